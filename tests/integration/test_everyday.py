"""The commands for every day through the real program on the real engine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
from click.testing import CliRunner
from docker.errors import APIError, NotFound

from bottle.cli.main import main
from tests.hosts import DockerHost
from tests.hosts.keys import path_with_config
from tests.support.inside import run_inside

MANIFEST = """
[agents.everyday]
image = "{image}"
command = ["/bin/sh", "-c", "while :; do sleep 1; done"]
transcript = ["/root/notes"]
volumes = ["cache:/root/.cache"]
network = "none"
cap_add = ["CHOWN"]
keep = {{ commits = 2 }}
"""


@dataclass(frozen=True)
class Desk:
    """A folder with a manifest, and a state home of its own."""

    folder: Path
    environ: dict[str, str]
    engine: docker.DockerClient

    def run(self, *words: str, code: int = 0, **environ: str) -> subprocess.CompletedProcess[str]:
        """A command that ends with `code`."""
        done = subprocess.run(
            [sys.executable, "-m", "bottle", *words],
            cwd=self.folder,
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    def ask(self, *words: str, code: int = 0, **environ: str) -> dict[str, Any]:
        """A command's JSON."""
        answer: dict[str, Any] = json.loads(self.run(*words, "--format", "json", code=code, **environ).stdout)
        return answer

    def start(self) -> str:
        """A bottle that runs, with something in its home, its transcript and its volume."""
        identity = str(self.ask("start", "everyday", "-d")["identity"])
        self.inside(identity, "mkdir -p /root/notes; echo one > /root/notes/log; head -c 300000 /dev/urandom > /blob")
        self.inside(identity, "echo cached > /root/.cache/file; ln -s file /root/.cache/link; chown 7:8 /root/.cache")
        return identity

    def inside(self, identity: str, script: str) -> str:
        """What a shell in a bottle prints."""
        code, output = run_inside(self.engine.containers.get(f"bottle-{identity}"), ["sh", "-c", script])
        assert code == 0, output
        return output.decode()

    def tags(self, identity: str) -> list[str]:
        """The tags of a bottle's commits."""
        found = self.engine.images.list(name=f"bottle-committed-{identity}")
        return sorted(tag.rpartition(":")[2] for image in found for tag in image.tags if identity in tag)


@pytest.fixture
def desk(tmp_path: Path, engine: docker.DockerClient, base_image: str) -> Iterator[Desk]:
    """A fresh desk, whose bottles are removed from the engine afterwards."""
    (tmp_path / "bottle.toml").write_text(MANIFEST.format(image=base_image))
    environ = {**os.environ, "BOTTLE_HOME": str(tmp_path / "home")}
    try:
        yield Desk(tmp_path, environ, engine)
    finally:
        states = tmp_path / "home" / "state"
        for identity in [each.name.strip(".") for each in states.iterdir()] if states.is_dir() else []:
            clean(engine, identity.removesuffix(".draft"))


def clean(engine: docker.DockerClient, identity: str) -> None:
    """Take all of a bottle away."""
    with suppress(NotFound):
        engine.containers.get(f"bottle-{identity}").remove(force=True, v=True)
    for image in engine.images.list(name=f"bottle-committed-{identity}"):
        for tag in image.tags:
            if identity in tag:
                engine.images.remove(tag)
    for volume in engine.volumes.list(filters={"label": f"bottle.identity={identity}"}):
        volume.remove()


def test_a_fork_outlives_its_origin(desk: Desk) -> None:
    origin = desk.start()
    desk.run("commit", origin, "-m", "base")
    desk.run("fork", origin, code=2)
    (desk.folder / "other").mkdir()
    forked = desk.ask("fork", f"{origin}@1", "--cwd", "other")
    new = forked["identity"]
    assert forked["copied_from"] == {"identity": origin, "commit": 1}
    assert desk.tags(new) == ["1", "latest"]
    shared = {view["identity"]: view["bytes"] for view in desk.ask("list", "-a")["bottles"]}
    assert shared[origin]["own"] == shared[new]["own"] == 0
    desk.run("stop", origin, "--grace", "1")
    desk.run("rm", origin, "--yes")
    assert desk.tags(origin) == []
    desk.run("resume", new, "-d")
    assert desk.inside(new, "cat /root/notes/log /root/.cache/link; stat -c %u:%g /root/.cache") == "one\ncached\n7:8\n"
    assert desk.ask("inspect", new)["metadata"]["cwd"] == str(desk.folder / "other")
    assert desk.ask("list")["bottles"][0]["bytes"]["own"] >= 300_000
    assert f"{origin}@1" in desk.run("history", new).stdout


def test_old_commits_go_and_history_says_so(desk: Desk) -> None:
    identity = desk.start()
    for number in range(3):
        desk.inside(identity, f"echo {number} > /root/notes/log")
        desk.run("commit", identity, "-m", str(number))
    commits = desk.ask("history", identity)["commits"]
    assert [each["image"] for each in commits] == ["expired", "present", "present"]
    assert [each["in_force"] for each in commits] == [False, False, True]
    assert commits[1]["size"] >= 300_000  # the oldest that is there holds what those before it did
    assert 0 < commits[2]["size"] < 10_000  # the next one the change alone
    assert desk.tags(identity) == ["2", "3", "latest"]
    assert desk.ask("resume", identity, "--at", "1", "--dry-run", code=4)["exit_code"] == 4
    desk.run("stop", identity, "--grace", "1")
    assert desk.ask("resume", identity, "--at", "1", "--yes", "--dry-run", code=3)["exit_code"] == 3


def test_inspect_and_history_after_the_images_were_lost(desk: Desk) -> None:
    identity = desk.start()
    desk.run("commit", identity)
    desk.engine.containers.get(f"bottle-{identity}").remove(force=True)
    for tag in ("1", "latest"):
        desk.engine.images.remove(f"bottle-committed-{identity}:{tag}")
    seen = desk.ask("inspect", identity)
    assert (seen["container"], seen["committed_image"]["present"]) == (None, False)
    assert "WHICH IS GONE" in desk.run("inspect", identity).stdout
    assert desk.ask("history", identity)["commits"][0]["image"] == "gone"
    (view,) = desk.ask("list", "-a")["bottles"]
    assert (view["state"], view["detail"]) == ("gone", f"its committed image bottle-committed-{identity}:1 is gone")


def test_prune_takes_what_a_cut_fork_left_and_what_moved_away(desk: Desk) -> None:
    identity = desk.start()
    desk.run("commit", identity)
    moved = desk.ask("fork", identity, "--share-cwd")["identity"]
    home = desk.folder / "home"
    (home / "state" / moved / "moved-to.json").write_text(
        '{"schema": 1, "host": "me@there", "moved_at": "2026-01-02T00:00:00+00:00"}'
    )
    draft = "everyday-" + moved[-5:][::-1]
    (home / "state" / f".{draft}.draft").mkdir()
    desk.engine.images.get(f"bottle-committed-{identity}:1").tag(f"bottle-committed-{draft}", "1")
    desk.engine.volumes.create(f"bottle-{draft}-cache", labels={"bottle.schema": "1", "bottle.identity": draft})
    planned = desk.ask("prune", "--dry-run")["plan"]["garbage"]
    ours = {each["name"]: each["needs_consent"] for each in planned if moved in each["name"] or draft in each["name"]}
    assert ours == {
        f"bottle-committed-{draft}:1": False,
        f"bottle-{draft}-cache": False,
        str(home / "state" / f".{draft}.draft"): False,
        f"{moved} (moved to me@there)": True,
    }
    desk.run("prune")
    assert desk.tags(draft) == []
    assert not (home / "state" / f".{draft}.draft").exists()
    assert desk.tags(moved) == ["1", "latest"]
    desk.run("prune", "--yes")
    assert desk.tags(moved) == []
    assert not (home / "state" / moved).exists()
    assert desk.tags(identity) == ["1", "latest"]
    assert desk.inside(identity, "cat /root/.cache/file") == "cached\n"
    with pytest.raises((NotFound, APIError)):
        desk.engine.volumes.get(f"bottle-{draft}-cache")


def test_doctor_where_docker_answers_and_where_none_does(desk: Desk) -> None:
    checks = {each["name"]: each for each in desk.ask("doctor")["checks"]}
    assert checks["docker"]["detail"].startswith("Docker ")
    assert checks["manifest"]["verdict"] == checks["docker disk"]["verdict"] == "good"
    assert checks["commits"]["detail"].startswith("cost what has changed")
    without = desk.ask("doctor", code=5, DOCKER_HOST="unix:///nonexistent")
    assert without["exit_code"] == 5
    checks = {each["name"]: each for each in without["checks"]}
    assert checks["docker"]["next"] == "start Docker, or mend DOCKER_HOST, which is unix:///nonexistent"
    assert checks["manifest"]["verdict"] == "good"
    assert "no Docker Engine answers" in desk.run("doctor", code=5, DOCKER_HOST="unix:///nonexistent").stdout
    assert "refuses the connection" in desk.run("doctor", "root@127.0.0.1:1", code=6).stdout


def test_doctor_of_a_host(desk: Desk, destination: DockerHost) -> None:
    path = path_with_config(desk.folder / "bin", destination.ssh_config)
    answer = desk.ask("doctor", destination.alias("root"), PATH=path)
    checks = {each["name"]: each for each in answer["checks"]}
    assert checks["login"]["verdict"] == checks["docker there"]["verdict"] == "good"
    assert f"{destination.store} image store" in checks["docker there"]["detail"]
    # Other tests share the host, and some install bottle there.
    installed = destination.exec(["sh", "-c", "command -v bottle"], check=False).returncode == 0
    assert checks["bottle there"]["verdict"] == ("good" if installed else "warning")
    assert not [name for name, check in checks.items() if check["verdict"] == "bad"]


def test_doctor_of_a_host_whose_key_nobody_knows(desk: Desk, classic_host: DockerHost) -> None:
    target = f"root@127.0.0.1:{classic_host.port}"
    words = ("doctor", target, "-i", str(classic_host.key_file))
    config = desk.folder / "ssh_config"
    config.write_text(f"Host *\n  UserKnownHostsFile {desk.folder}/known_hosts\n  IdentityAgent none\n")
    path = path_with_config(desk.folder / "bin", config)
    (check,) = desk.ask(*words, code=6, PATH=path)["checks"]
    assert "key" in check["detail"]
    desk.ask(*words, "--accept-new-host-key", PATH=path)


def test_init_and_then_the_first_bottle(desk: Desk) -> None:
    (desk.folder / "bottle.toml").unlink()
    desk.run("init")
    desk.run("init", code=4)
    assert "would use debian:trixie-slim" in desk.run("start", "shell", "-d", "--dry-run").stdout


SCENE = """
rm -rf /srv/* && cd /srv && mkdir -p dir/below empty && echo 1 > dir/one && echo 2 > dir/below/two && echo 3 > file
ln -s dir to-dir && ln -s file to-file && ln -s nowhere dangling && mkdir dir/file && chmod 750 dir/below
"""
INTO = [
    *(("file", f"/srv/{place}") for place in ("new", "new/", "dir", "dir/", "file", "to-file", "to-dir", "no/such")),
    *(("stuff", f"/srv/{place}") for place in ("new", "new/", "dir", "to-dir", "file")),
    *((f"stuff/{end}", "/srv/empty") for end in (".", "")),
    ("stuff/.", "/srv/new"),
    ("stuff/link", "/srv/empty"),
    ("file", "/srv/dir/."),
]
OUT_OF = [
    *(("/srv/file", place) for place in ("new", "new/", "stuff", "file", "no/such")),
    *(("/srv/dir", place) for place in ("new", "new/", "stuff", "file")),
    *((f"/srv/dir/{end}", "stuff") for end in (".", "")),
    ("/srv/dir/.", "new"),
    ("/srv/to-file", "new"),
    ("/srv/dangling", "new"),
    ("/srv/to-dir", "stuff"),
    ("/srv/to-dir/", "stuff"),
    ("/srv/no-such", "new"),
]


def lay(folder: Path) -> None:
    """Files of this host, always the same."""
    (folder / "stuff" / "deep").mkdir(parents=True)
    (folder / "stuff" / "deep" / "a").write_text("a")
    (folder / "stuff" / "b").write_text("b")
    (folder / "stuff" / "link").symlink_to("b")
    (folder / "file").write_text("f")


def laid(folder: Path) -> dict[str, tuple[int, str]]:
    """What is in a folder: modes, contents, and where links lead."""
    return {
        str(each.relative_to(folder)): (
            each.lstat().st_mode,
            str(each.readlink()) if each.is_symlink() else each.read_text() if each.is_file() else "",
        )
        for each in folder.rglob("*")
    }


def copied(desk: Desk, folder: Path, source: str, place: str) -> bool:
    """Whether docker's own client copies that, in a folder."""
    words = ("docker", "cp", source, place)
    return subprocess.run(words, cwd=folder, env=desk.environ, capture_output=True, check=False).returncode == 0


def test_cp_puts_everything_where_dockers_own_does(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing where docker refuses. Owners are the agent's, so they are not looked at here."""
    monkeypatch.setenv("BOTTLE_HOME", desk.environ["BOTTLE_HOME"])
    identity, other = desk.start(), desk.start()
    show = "cd /srv && find . -printf '%p %m %l ' -type f -exec cat {} + -o -printf '\\n' | sort"
    mine, reference = tmp_path / "mine", tmp_path / "reference"
    done = 0
    for source, place in INTO:
        lay(mine)
        monkeypatch.chdir(mine)
        for each in (identity, other):
            desk.inside(each, SCENE)
        expected = copied(desk, mine, source, f"bottle-{other}:{place}")
        result = CliRunner().invoke(main, ["cp", source, f"{identity}:{place}"])
        assert (result.exit_code == 0) == expected, (source, place, result.output)
        assert desk.inside(identity, show) == desk.inside(other, show), (source, place)
        shutil.rmtree(mine)
        done += expected
    desk.inside(identity, SCENE)
    for source, place in OUT_OF:
        lay(mine)
        lay(reference)
        monkeypatch.chdir(mine)
        expected = copied(desk, reference, f"bottle-{identity}:{source}", place)
        result = CliRunner().invoke(main, ["cp", f"{identity}:{source}", place])
        assert (result.exit_code == 0) == expected, (source, place, result.output)
        assert laid(mine) == laid(reference), (source, place)
        shutil.rmtree(mine)
        shutil.rmtree(reference)
        done += expected
    assert done > len(INTO + OUT_OF) / 2


def test_cp_into_a_stopped_bottle_is_work_that_comes_along(desk: Desk) -> None:
    identity = desk.start()
    desk.run("stop", identity, "--grace", "1")
    desk.run("commit", identity)
    (desk.folder / "new").write_text("put in")
    desk.run("cp", "new", f"{identity}:/srv/")
    pipe = f"{sys.executable} -m bottle cp {identity}:/ - | tar -xf - -O ./srv/new"
    listed = subprocess.run(["sh", "-c", pipe], cwd=desk.folder, env=desk.environ, capture_output=True, check=True)
    assert listed.stdout == b"put in"
    assert "holds work that no commit has" in desk.run("resume", identity, "-d", "--at", "1", code=4).stderr
    desk.run("commit", identity)
    desk.engine.containers.get(f"bottle-{identity}").remove(force=True)
    desk.run("cp", f"{identity}:/srv/new", "back")
    assert (desk.folder / "back").read_text() == "put in"
    desk.run("resume", identity, "-d")
    assert desk.inside(identity, "cat /srv/new; stat -c %u /srv/new") == "put in0\n"
