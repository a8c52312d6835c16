"""What is asked of a far host, on the real script: nothing is changed, and nonsense is no answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bottle.errors import RemoteError
from bottle.model import Store
from bottle.naming import Identity
from migrate.host.probe import parse_probe, probe
from migrate.model import Codec, Presence, WorkspacePlace
from migrate.transport.testing import LocalRemote

INFO = {"ServerVersion": "26.1.5", "Architecture": "aarch64", "DockerRootDir": "/", "DriverStatus": [], "ID": "AB:CD"}
CONTAINERD = {**INFO, "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]]}
DOCKER = """\
#!/bin/sh
[ -z "{refusal}" ] || [ "$ALLOWED" ] || {{ echo "{refusal}" >&2; exit 1; }}
case "$*" in
*.Server.Arch*) echo arm64 ;;
version*) echo 26.1.5 ;;
*DockerRootDir*) echo / ;;
info*) echo '{info}' ;;
esac
"""


def put(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def docker(programs: Path, info: object = INFO, refusal: str = "") -> None:
    put(programs / "docker", DOCKER.format(info=json.dumps(info), refusal=refusal))


def test_a_host_with_docker(remote: LocalRemote, identity: Identity, far: Path, programs: Path) -> None:
    docker(programs)
    put(programs / "bottle", "#!/bin/sh\necho 'bottle, version 9'\n")
    host = probe(remote, identity, "")
    assert (host.bottle_home, host.writable, host.presence) == (f"{far}/.bottle", True, Presence.ABSENT)
    assert (host.docker, host.sudo, host.refused) == (str(programs / "docker"), False, None)
    assert (host.engine_version, host.architecture, host.store) == ("26.1.5", "arm64", Store.CLASSIC)
    assert host.engine_id == "AB:CD"
    assert host.bottle == "bottle, version 9"
    assert {"tar", "find", "awk", "sha256sum"} <= host.tools
    assert host.free_home > 0
    assert host.free_docker > 0
    assert host.disk_docker == "/"
    assert host.disk_home.startswith("/")
    assert host.workspace is None
    assert list(far.iterdir()) == []


def test_podman_is_known_behind_both_names(remote: LocalRemote, identity: Identity, programs: Path) -> None:
    docker(programs)
    assert not probe(remote, identity, "").podman
    components = "*.Server.Components*) echo 'Podman Engine;Conmon;' ;;\nversion*)"
    put(programs / "docker", DOCKER.replace("version*)", components).format(info=json.dumps(INFO), refusal=""))
    assert probe(remote, identity, "").podman
    put(programs / "docker", '#!/bin/sh\n[ "$1" != --version ] || echo podman version 4.3.1\n')
    assert probe(remote, identity, "").podman


def test_the_containerd_store_is_known_by_its_driver(remote: LocalRemote, identity: Identity, programs: Path) -> None:
    docker(programs, CONTAINERD)
    assert probe(remote, identity, "").store is Store.CONTAINERD


def test_sudo_is_used_where_it_helps(remote: LocalRemote, identity: Identity, programs: Path) -> None:
    docker(programs, refusal="permission denied")
    put(programs / "sudo", '#!/bin/sh\n[ "$1" = -n ] && shift && ALLOWED=yes exec "$@"\n')
    host = probe(remote, identity, "")
    assert (host.sudo, host.refused, host.engine_version) == (True, None, "26.1.5")


def test_why_docker_refuses_is_told_in_clean_text(remote: LocalRemote, identity: Identity, programs: Path) -> None:
    docker(programs, refusal="\\033[31mdenied")
    put(programs / "sudo", "#!/bin/sh\nexit 1\n")
    host = probe(remote, identity, "")
    assert host.refused is not None
    assert "denied" in host.refused
    assert "\x1b" not in host.refused


def test_the_identity_may_be_there_or_have_left(remote: LocalRemote, identity: Identity, far: Path) -> None:
    state = far / ".bottle" / "state" / str(identity)
    state.mkdir(parents=True)
    assert probe(remote, identity, "").presence is Presence.OWNED
    (state / "moved-to.json").touch()
    assert probe(remote, identity, "").presence is Presence.MOVED


def test_where_the_workspace_is_to_land(remote: LocalRemote, identity: Identity, far: Path) -> None:
    (far / "empty").mkdir()
    (far / "full").mkdir()
    (far / "full" / ".hidden").touch()
    (far / "file").touch()
    (far / "dangling").symlink_to("/nowhere")
    (far / "linked").symlink_to("empty")
    places = {
        "new/deep": WorkspacePlace.FREE,
        "empty": WorkspacePlace.FREE,
        "full": WorkspacePlace.FULL,
        "file": WorkspacePlace.FULL,
    }
    places |= {
        "dangling": WorkspacePlace.FULL,
        "linked": WorkspacePlace.FULL,
        "with $(touch far) 'quotes'": WorkspacePlace.FREE,
    }
    for name, place in places.items():
        assert probe(remote, identity, str(far / name)).workspace is place, name
    assert probe(remote, identity, "/proc/1/new").workspace is WorkspacePlace.DENIED
    assert sorted(each.name for each in far.iterdir()) == ["dangling", "empty", "file", "full", "linked"]


def test_what_is_staged_already_is_counted(remote: LocalRemote, identity: Identity, far: Path) -> None:
    assert probe(remote, identity, "").staged == 0
    staging = far / ".bottle" / "incoming" / str(identity)
    staging.mkdir(parents=True)
    (staging / "piece").write_bytes(b"x" * 500_000)
    assert 500_000 <= probe(remote, identity, "").staged < 600_000


@pytest.mark.parametrize(("tools", "codec"), [("zstd gzip", Codec.ZSTD), ("gzip", Codec.GZIP), ("", Codec.NONE)])
def test_files_are_compressed_as_the_far_shell_can_read_them(tools: str, codec: Codec) -> None:
    lines = ["bottle_home=/root/.bottle", "presence=absent", *(f"tool={tool}" for tool in tools.split())]
    assert parse_probe("\n".join(lines)).file_codec is codec


@pytest.mark.parametrize(
    "script",
    [
        "printf 'bottle_home=relative\\npresence=absent\\n'",
        "printf 'bottle_home=/x\\npresence=perhaps\\n'",
        "printf 'bottle_home=/x\\npresence=absent\\nfree_home=much\\n'",
        "printf 'bottle_home=/x\\npresence=absent\\ninfo=[1]\\n'",
        "printf 'bottle_home=/x\\npresence=moved\\nran_since=x; reboot\\n'",
        "printf 'bottle_home=/x\\npresence=absent\\ninfo={\\n'",
        "printf 'bottle_home=/x\\npresence=absent\\ninfo='; head -c 200000 /dev/zero | tr '\\0' '['",
        "true",
    ],
)
def test_an_answer_that_makes_no_sense_is_refused(
    remote: LocalRemote, identity: Identity, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    monkeypatch.setattr("migrate.host.script._text", lambda name: script if name == "probe" else "")
    with pytest.raises(RemoteError, match="makes no sense"):
        probe(remote, identity, "")


def test_an_engine_that_does_not_say_what_it_runs_on_is_of_no_architecture_that_fits(
    remote: LocalRemote, identity: Identity, programs: Path
) -> None:
    put(programs / "docker", "#!/bin/sh\ncase $* in info*) echo '{}' ;; esac\n")
    assert probe(remote, identity, "").architecture == ""
