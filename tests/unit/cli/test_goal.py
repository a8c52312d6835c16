"""Which host is meant by a name: a Host of ssh_config, a Docker context, an address; and that it stays the same one."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, strategies as st

from bottle.cli.goal import host_meant
from bottle.cli.hosts import host_names
from bottle.errors import BottleError, ContextUnusable, UsageError
from migrate import Target
from tests.support.contexts import store
from tests.unit.cli.conftest import Cli

BROKEN = "is broken"
CONTEXTS = {
    "far": "ssh://me@far.example:2222",
    "newhost": "ssh://other",  # a Host of ssh_config, too
    "box": "ssh://box",
    "aside": "ssh://work",
    "work": "ssh://elsewhere",
    "a+b": "ssh://[::1]",
    "me.box": "ssh://dotted",
    "default": "ssh://defaulted",
    "desk": "unix:///desk.sock",
    "old": "tcp://old:2375",
    "deep": "ssh://deep/run/docker.sock",
    "torn": BROKEN,
}
SSH_CONFIG = "Host newhost torn\nHost *\n  User nobody\n"


@contextmanager
def somebody(ssh_config: str, contexts: Mapping[str, str]) -> Iterator[Path]:
    """A user with these files, whom `ssh` calls me wherever nothing is said; the folder of the docker client."""
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        home = Path(name)
        (home / ".ssh").mkdir()
        (home / ".ssh" / "config").write_text(ssh_config)
        for context, address in contexts.items():
            meta = store(home / "docker", context, address)
            if address == BROKEN:
                meta.write_text("{")
        patch.setenv("HOME", name)
        patch.setenv("DOCKER_CONFIG", str(home / "docker"))
        patch.setattr("bottle.cli.hosts._SYSTEM", home / "none")
        patch.setattr("bottle.cli.goal.lookup", lambda *_: SimpleNamespace(user="me"))
        yield home / "docker"


@pytest.fixture
def docker() -> Iterator[Path]:
    with somebody(SSH_CONFIG, CONTEXTS) as folder:
        yield folder


NAMED = "newhost is the Host of ssh_config, and not the Docker context of that name"
TORN = "torn is the Host of ssh_config, and not the Docker context of that name"


@pytest.mark.parametrize(
    ("text", "host", "said"),
    [
        ("me@newhost:2222", "me@newhost:2222", ""),
        ("ssh://me@newhost:2222", "me@newhost:2222", ""),
        ("ssh://[::1]:22", "[::1]:22", ""),
        ("nobody-knows", "nobody-knows", ""),
        ("far", "me@far.example:2222", "far is a Docker context: the host is me@far.example:2222"),
        ("a+b", "[::1]", "a+b is a Docker context: the host is [::1]"),
        ("box", "box", ""),
        ("ssh://box", "box", ""),
        ("newhost", "newhost", NAMED),
        ("torn", "torn", TORN),
        ("me@far", "me@far", ""),
        ("far:22", "far:22", ""),
        ("me.box", "me.box", ""),
        ("default", "default", ""),
        # A host whose name alone would be a context: with a user it is the same host, and no context.
        ("aside", "me@work", "aside is a Docker context: the host is me@work"),
        ("ssh://work", "me@work", ""),
        ("ssh://desk", "me@desk", ""),
        ("ssh://newhost", "newhost", ""),
    ],
)
@pytest.mark.usefixtures("docker")
def test_which_host_is_meant(text: str, host: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert host_meant(text) == Target.parse(host)
    assert capsys.readouterr().err == (f"{said}\n" if said else "")


@pytest.mark.parametrize("name", ["desk", "old", "deep"])
@pytest.mark.usefixtures("docker")
def test_a_context_that_leads_to_no_host_is_refused_by_name(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        host_meant(name)
    assert caught.value.what.startswith(
        f'the Docker context "{name}" leads to no host over SSH: {CONTEXTS[name]!r} is '
    )
    assert caught.value.left == "nothing was changed"
    assert caught.value.next_step == f"docker context ls   (or, if {name} is a host, too: USER@{name})"


def test_a_context_that_is_broken_is_refused_by_name(docker: Path) -> None:
    store(docker, "odd", None).write_text("[]")
    with pytest.raises(ContextUnusable) as caught:
        host_meant("odd")
    assert 'the Docker context "odd", from the command line, cannot be used: it is no JSON object' in caught.value.what
    assert caught.value.next_step.startswith("docker context ls   (or")


def test_a_store_that_cannot_be_read_has_no_contexts(docker: Path) -> None:
    store(docker, "closed", "ssh://x").unlink()
    assert host_meant("closed") == Target("closed")
    (docker / "contexts").rename(docker / "gone")
    (docker / "contexts").symlink_to("contexts")
    assert host_meant("far") == Target("far")
    assert host_names() == ("newhost", "torn")


@pytest.mark.usefixtures("docker")
def test_hosts_are_those_of_ssh_config_and_contexts_over_ssh() -> None:
    assert host_names() == ("a+b", "aside", "box", "deep", "far", "newhost", "torn", "work")


NAMES = st.sampled_from("abcd")
LEADS = st.builds("ssh://{}{}{}".format, st.sampled_from(("", "x@")), NAMES, st.sampled_from(("", ":1", "/")))


@given(
    hosts=st.sets(NAMES),
    contexts=st.dictionaries(NAMES, LEADS | st.sampled_from((BROKEN, "tcp://a:2375", "ssh://a/x"))),
    text=NAMES | LEADS,
)
def test_what_is_told_and_recorded_leads_to_the_same_host(hosts: set[str], contexts: dict[str, str], text: str) -> None:
    with somebody("".join(f"Host {name}\n" for name in sorted(hosts)), contexts):
        try:
            goal = host_meant(text)
        except BottleError:
            assert text in {*contexts} - hosts
            return
        assert host_meant(str(goal)) == goal
        if text not in {*contexts} - hosts:
            meant = Target.parse(text)
            assert (goal.host, goal.port) == (meant.host, meant.port)
            assert goal.user == meant.user or (meant.user, goal.user) == (None, "me")


@pytest.mark.usefixtures("docker")
def test_every_command_that_takes_a_host_takes_a_context(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    called = []

    def connect(goal: Target, *_: object) -> None:
        called.append(str(goal))
        raise UsageError("nobody answers")

    monkeypatch.setattr("bottle.cli.migrate.connect", connect)
    monkeypatch.setattr("bottle.cli.pull.connect", connect)
    monkeypatch.setattr("bottle.cli.doctor.connect", connect)
    identity = str(cli.start().identity)
    for host in ("far", "ssh://me@far.example:2222"):
        for words in (
            ("migrate", identity, host),
            ("migrate", identity, host, "--plan"),
            ("migrate", "demo-abc12", host, "--from"),
            ("doctor", host),
        ):
            assert cli.json(*words, exit_code=2)["error"]["what"] == "nobody answers"
    assert called == ["me@far.example:2222"] * 8
    assert cli.json("migrate", identity, "desk", exit_code=2)["error"]["what"].startswith('the Docker context "desk"')
    assert "far says port 2222, and --port says 22" in cli("migrate", identity, "far", "-p", "22").stderr
