"""The agents that people run, as npm has them today: started in a terminal, ended, resumed, rebuilt and moved.

They have no network and no login, and keep what was said to them all the same, Gemini CLI once it was answered: that is
the session to be found again.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import docker
import pytest

from bottle.files import tree
from tests.hosts import DockerHost
from tests.integration import migration
from tests.integration.migration import BOTTLE, Desk, forgotten
from tests.support.git import git
from tests.support.terminal import Terminal
from tests.support.users import users_folder

pytestmark = pytest.mark.campaign

NODE = "bottle-campaign-node:latest"  # stays: it takes a minute, and is the same each time
# Where the network has authorities of its own, Node is told of them.
NODE_DOCKERFILE = """\
FROM {base}
COPY authorities /usr/local/share/ca-certificates/
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates nodejs npm \
    && update-ca-certificates && rm -rf /var/lib/apt/lists/*
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
"""
AUTHORITIES = Path("/usr/local/share/ca-certificates")
WORD = "marmalade"
SOMEBODY = 4321
BUILD_SECONDS = 900
WORK = "echo mine >mine && git add mine && git commit -qm mine && git log -1 --format='%an <%ae>'"
# What the bottle has in its home that its image has not: since its start, whatever times the files were given.
WEIGHT = r"find ~ -type f -cnewer /etc/hostname -printf '%k\n' | awk '{ kB += $1 } END { print kB }'"
# In the bottle, where it is all that Gemini CLI reaches: a model, and a wait until it listens.
MODEL = 'node -e "$1" >/dev/null 2>&1 & exec curl --silent --retry 60 --retry-connrefused http://127.0.0.1:4141'
LIGHT = 50_000  # kB: no copy of the agent, and no cache


@dataclass(frozen=True)
class Kind:
    """How an agent is used: what it shows when it is `ready` and when it has `heard` something, and how it is ended.

    `model` is a program of Node.js that answers it, `variables` are lines for the end of its entry: its environment.
    """

    name: str
    ready: str
    heard: str
    bye: tuple[str, ...]
    sandbox: str
    added: str = ""
    environ: dict[str, str] = field(default_factory=dict)
    model: str = ""
    variables: str = ""


CLAUDE = Kind(
    name="claude",
    ready="bypass permissions on",
    heard="Not logged in",
    bye=("/exit", "Enter"),
    sandbox='"--dangerously-skip-permissions"',
)
CODEX = Kind(
    name="codex",
    ready="Ask Codex to do anything",
    heard="Reconnecting|Connection failed",
    bye=("/quit", "Enter"),
    sandbox='"--dangerously-bypass-approvals-and-sandbox"',
    added=', "--config", "model_provider=key"',  # as the manifest says, for who has a key
    environ={"OPENAI_API_KEY": "sk-test"},
)
GEMINI = Kind(
    name="gemini",
    ready="Type your message",
    heard="So be it",
    bye=("/quit", "Enter"),
    sandbox='"--approval-mode=yolo"',
    environ={"GEMINI_API_KEY": "test"},
    model=Path(__file__).with_name("gemini.js").read_text(),
    # Without a model's name it asks a model for one.
    variables='GEMINI_MODEL = "test"\nGOOGLE_GEMINI_BASE_URL = "http://127.0.0.1:4141"\n',
)
OPENCODE = Kind(
    name="opencode",
    ready=r"ctrl\+p commands",
    heard="Cannot connect",
    bye=("/exit", "Enter"),
    sandbox='"--auto"',
)


@dataclass
class Shop:
    """A project with an agent that `bottle init` put there, and whoever uses it: the owner of all of it."""

    desk: Desk
    kind: Kind
    owner: int
    user: int
    columns: int

    @property
    def project(self) -> Path:
        return self.desk.workspace

    @property
    def _as_user(self) -> tuple[str, ...]:
        if self.user == os.geteuid():
            return ()
        socket = Path(os.environ["DOCKER_HOST"].removeprefix("unix://")).stat()
        return ("setpriv", f"--reuid={self.user}", f"--regid={self.user}", f"--groups={socket.st_gid}", "--")

    @property
    def _environ(self) -> dict[str, str]:
        own = {name: value for name, value in self.desk.environ.items() if not name.endswith(("_API_KEY", "_TOKEN"))}
        return {**own, **self.kind.environ}

    def bottle(self, *words: str) -> str:
        """Run the real command off a terminal; what it answers."""
        done = subprocess.run(
            (*self._as_user, sys.executable, *BOTTLE, *words), cwd=self.project, env=self._environ, check=False,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=BUILD_SECONDS,
        )  # fmt: skip
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def terminal(self, *words: str) -> Terminal:
        """Run the real command on a terminal."""
        words = (*self._as_user, sys.executable, *BOTTLE, *words)
        return Terminal(words, cwd=self.project, environ=self._environ, columns=self.columns)

    def session(self) -> str:
        """A bottle whose agent was told something, did some work, and was ended; its identity."""
        with self.terminal("start", self.kind.name) as terminal:
            terminal.shows(self.kind.ready, seconds=BUILD_SECONDS)
            (identity,) = (each.name for each in self.desk.states.iterdir())
            if self.kind.model:
                self.bottle("exec", identity, "--", "sh", "-c", MODEL, "model", self.kind.model)
            terminal.type(f"remember the word {WORD}")
            terminal.shows(WORD)
            terminal.press("Enter")
            terminal.shows(self.kind.heard)
            who, weight = self.bottle("exec", identity, "--", "sh", "-c", f"{WORK} && {WEIGHT}").splitlines()
            assert who == 'Ada "L" King <ada@example.org>'
            assert 0 < int(weight) < LIGHT
            assert (self.project / "mine").stat().st_uid == self.owner
            assert f"bottle resume {identity}" in self.end(terminal)
        return identity

    def finds_it(self, *words: str) -> None:
        """Bring the bottle back: what was said to its agent stands on the screen."""
        with self.terminal(*words) as terminal:
            terminal.shows(WORD, seconds=BUILD_SECONDS)
            self.end(terminal)

    def end(self, terminal: Terminal) -> str:
        """End the agent as its users do; the last screen."""
        terminal.shows(self.kind.ready)
        for key in self.kind.bye:
            if key.startswith("/"):
                terminal.type(key)
                terminal.shows(re.escape(key))
            else:
                terminal.press(key)
        assert terminal.exit_code() in {0, 130}, terminal.screen
        return terminal.screen


@pytest.fixture(scope="session")
def node(engine: docker.DockerClient, base_image: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An image with Node.js and npm, in the place of the one that the templates begin with."""
    context = tmp_path_factory.mktemp("node")
    (context / "authorities").mkdir()
    for file in AUTHORITIES.glob("*.crt"):
        shutil.copy(file, context / "authorities")
    (context / "Dockerfile").write_text(NODE_DOCKERFILE.format(base=base_image))
    engine.images.build(path=str(context), tag=NODE, rm=True)
    return NODE


@pytest.fixture
def shop(request: pytest.FixtureRequest, engine: docker.DockerClient, node: str) -> Iterator[Shop]:
    """A project with an agent, as `bottle init` and its user's few changes make it."""
    kind, owner, user, columns = request.param
    with users_folder() as folder, migration.desk_in(folder / "desk", engine) as desk:
        (desk.folder / "bottle.toml").unlink()
        desk.workspace.mkdir()
        git(desk.workspace, "init", "--quiet")
        shop = Shop(desk, kind, owner, user, columns)
        for each in (desk.folder, *desk.folder.rglob("*")):
            os.chown(each, owner, owner)
        for key, value in (("user.name", 'Ada "L" King'), ("user.email", "ada@example.org")):
            shop_git = (*shop._as_user, "git", "config", "--global", key, value)
            subprocess.run(shop_git, cwd=desk.folder, env=desk.environ, check=True)
        shop.bottle("init", kind.name)
        manifest = desk.workspace / "bottle.toml"
        text = manifest.read_text().replace(f"{kind.sandbox}]", f"{kind.sandbox}{kind.added}]")
        ours = f'user = "agent"\nnetwork = "none"\nbuild_args = {{ BASE = "{node}" }}'
        manifest.write_text(text.replace('user = "agent"', ours) + kind.variables)
        yield shop
        if user:
            tree.discard(Path(f"/dev/shm/bottle-{user}"))  # where its bottles' /run/bottle are


COMES_BACK = pytest.mark.parametrize(
    "shop",
    [
        pytest.param((CLAUDE, 0, 0, 60), id="claude, root"),
        pytest.param((CODEX, SOMEBODY, 0, 80), id="codex, root in a folder of somebody's"),
        pytest.param((CLAUDE, SOMEBODY, SOMEBODY, 160), id="claude, a member of the docker group"),
        pytest.param((CODEX, SOMEBODY, SOMEBODY, 60), id="codex, a member of the docker group"),
        pytest.param((GEMINI, 0, 0, 80), id="gemini, root"),
        pytest.param((GEMINI, SOMEBODY, SOMEBODY, 60), id="gemini, a member of the docker group"),
        pytest.param((OPENCODE, 0, 0, 80), id="opencode, root"),
        pytest.param((OPENCODE, SOMEBODY, SOMEBODY, 120), id="opencode, a member of the docker group"),
    ],
    indirect=True,
)
MOVES = pytest.mark.parametrize(
    "shop", [pytest.param((each, 0, 0, 80), id=each.name) for each in (CLAUDE, CODEX, GEMINI, OPENCODE)], indirect=True
)


@COMES_BACK
def test_a_session_is_there_however_its_bottle_comes_back(shop: Shop, engine: docker.DockerClient) -> None:
    identity = shop.session()
    shop.finds_it("resume", identity)  # its stopped container
    shop.bottle("commit", identity)
    engine.containers.get(f"bottle-{identity}").remove(force=True)
    shop.finds_it("resume", identity)  # its commit
    engine.containers.get(f"bottle-{identity}").remove(force=True)
    for tag in engine.images.get(f"bottle-committed-{identity}:latest").tags:
        engine.images.remove(tag)
    shop.finds_it("resume", identity)  # its Dockerfile and its transcript


@MOVES
def test_a_session_is_there_when_its_bottle_has_moved(shop: Shop, classic_host: DockerHost, wheel: Path) -> None:
    classic_host.install_bottle(wheel)
    shop.desk.knows(classic_host)
    identity = shop.session()
    with forgotten(classic_host, identity):
        shop.bottle("migrate", identity, shop.desk.target(classic_host))
        keys = shlex.join(f"{name}={value}" for name, value in shop.kind.environ.items())
        words = classic_host.ssh_command(f"env {keys} bottle resume {identity}", options=("-t",))
        with Terminal(words, cwd=shop.project, environ=shop.desk.environ) as terminal:
            terminal.shows(WORD)
            shop.end(terminal)
