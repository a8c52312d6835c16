"""Docker contexts: bottle talks to the engine that the docker client talks to, also over ssh and TLS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.register_assert_rewrite("tests.contract.engine")

from bottle.docker_engine import DockerEngine  # noqa: E402
from bottle.errors import EngineError, EngineUnreachable  # noqa: E402
from tests.contract.engine import EngineContract, Rig  # noqa: E402
from tests.hosts import DockerHost  # noqa: E402
from tests.hosts.keys import path_with_config  # noqa: E402
from tests.integration.sshd import Sshd, running  # noqa: E402
from tests.integration.tlsproxy import make_certificate, offered  # noqa: E402

MANIFEST = """
[agents.worker]
image = "{image}"
command = ["/bin/sh", "-c", "while :; do sleep 1; done"]
network = "none"

[agents.keeper]
image = "{image}"
command = ["/bin/sh", "-c", "while :; do sleep 1; done"]
secrets = ["TOKEN"]
network = "none"
"""


@pytest.fixture(scope="module")
def socket_path() -> str:
    """The socket of the engine in force."""
    return os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """An sshd that is `Box` to every `ssh` of these tests, which heeds a configuration of its own, as in a home."""
    folder = tmp_path_factory.mktemp("ssh")
    with running(folder) as server, pytest.MonkeyPatch.context() as patch:
        config = server.ssh_config(folder / "config", server.known_hosts(folder / "known_hosts"), alias="Box")
        patch.setenv("PATH", path_with_config(folder / "bin", config))
        yield server


@pytest.fixture(scope="module")
def engine_there(server: Sshd, socket_path: str) -> DockerEngine:
    """The engine in force, behind ssh."""
    return DockerEngine({"DOCKER_HOST": f"ssh://Box{socket_path}"})


class TestThroughSsh(EngineContract):
    """An engine behind ssh is held to the same as any other."""

    @pytest.fixture
    def rig(self, engine_there: DockerEngine, base_image: str, tmp_path: Path) -> Iterator[Rig]:
        rig = Rig(engine=engine_there, base=base_image, folder=tmp_path)
        yield rig
        rig.clean()


@dataclass(frozen=True)
class Shell:
    """A shell of somebody who uses contexts: the real docker client and the real bottle, in one environment."""

    folder: Path
    environ: dict[str, str]

    def run(self, *words: str, code: int | None = 0, **environ: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            words, cwd=self.folder, env={**self.environ, **environ}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert code is None or done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    def docker(self, *words: str, code: int | None = 0, **environ: str) -> str:
        done = self.run("docker", *words, code=code, **environ)
        return done.stdout.strip() if code == 0 else done.stderr

    def bottle(self, *words: str, code: int = 0, **environ: str) -> Any:
        """A command's JSON, or what one that fails says."""
        form = ("--format", "json") if code == 0 else ()
        done = self.run(sys.executable, "-m", "bottle", *words, *form, code=code, **environ)
        return json.loads(done.stdout) if code == 0 else done.stderr

    def endpoint(self, **environ: str) -> dict[str, Any]:
        """The engine that doctor names, which must be the one that the docker client reaches."""
        checks = self.run(sys.executable, "-m", "bottle", "doctor", "--format", "json", code=None, **environ)
        answer = json.loads(checks.stdout)
        assert answer["checks"][0]["verdict"] == "good", answer
        ask = "from bottle.docker_engine import DockerEngine; print(DockerEngine().info().id)"
        identifier, _, _ = self.run(sys.executable, "-c", ask, **environ).stdout.partition(" ")
        assert identifier.strip() == self.docker("info", "--format", "{{.ID}}", **environ)
        endpoint: dict[str, Any] = answer["engine"]
        return endpoint


@pytest.fixture
def shell(tmp_path: Path, engine: object, server: Sshd) -> Shell:
    """A shell in which nothing is said about Docker yet."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("DOCKER_")}
    # As the tests are run: the client's plugins and configuration are those of nobody.
    own = {"DOCKER_CONFIG": str(tmp_path / "docker"), "BOTTLE_HOME": str(tmp_path / "bottles")}
    return Shell(tmp_path, {**environ, **own, "PYTHONPATH": str(Path(__file__).resolve().parents[2])})


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory, socket_path: str) -> Iterator[tuple[str, Path]]:
    """The engine in force over TLS: its address, and the folder of certificates."""
    certificates = make_certificate(tmp_path_factory.mktemp("tls") / "certificates")
    with offered(socket_path, certificates) as port:
        yield f"tcp://127.0.0.1:{port}", certificates


# Every way to name an engine.


def test_of_the_environment_and_of_contexts(shell: Shell, socket_path: str) -> None:
    here = f"unix://{socket_path}"
    shell.docker("context", "create", "here", "--docker", f"host={here}")
    shell.docker("context", "create", "nowhere", "--docker", "host=unix:///nowhere.sock")
    config = str(shell.folder / "docker" / "config.json")
    assert shell.endpoint(DOCKER_HOST=here) == {"address": here, "context": "default", "from": "DOCKER_HOST"}
    assert shell.endpoint(DOCKER_CONTEXT="here") == {"address": here, "context": "here", "from": "DOCKER_CONTEXT"}
    shell.docker("context", "use", "here")
    assert shell.endpoint() == {"address": here, "context": "here", "from": config}
    assert shell.endpoint(DOCKER_HOST=here, DOCKER_CONTEXT="nowhere")["from"] == "DOCKER_HOST"
    shell.docker("context", "use", "nowhere")
    assert shell.endpoint(DOCKER_CONTEXT="here")["context"] == "here"
    assert f'unix:///nowhere.sock (context "nowhere", from {config})' in shell.bottle("list", code=5)
    shell.docker("context", "use", "default")
    assert shell.bottle("doctor", code=0, DOCKER_HOST=here)["engine"]["context"] == "default"


def test_tls_of_contexts_and_of_the_environment(shell: Shell, tls: tuple[str, Path]) -> None:
    address, files = tls
    own = f"cert={files / 'cert.pem'},key={files / 'key.pem'}"
    shell.docker("context", "create", "safe", "--docker", f"host={address},ca={files / 'ca.pem'},{own}")
    shell.docker("context", "create", "blind", "--docker", f"host={address},skip-tls-verify=true,{own}")
    shell.docker("context", "create", "trusting", "--docker", f"host={address},{own}")
    shell.docker("context", "create", "nobody", "--docker", f"host={address},ca={files / 'ca.pem'}")
    assert shell.endpoint(DOCKER_CONTEXT="safe")["address"] == address
    # Another program's bundle of authorities says nothing about the engine's.
    bundle = make_certificate(shell.folder / "other") / "ca.pem"
    assert shell.endpoint(DOCKER_CONTEXT="safe", REQUESTS_CA_BUNDLE=str(bundle))["context"] == "safe"
    assert shell.endpoint(DOCKER_CONTEXT="blind")["context"] == "blind"
    assert shell.run(sys.executable, "-m", "bottle", "list", DOCKER_CONTEXT="blind").stderr == ""
    variables = {"DOCKER_HOST": address, "DOCKER_CERT_PATH": str(files)}
    assert shell.endpoint(**variables, DOCKER_TLS_VERIFY="1")["from"] == "DOCKER_HOST"
    assert shell.endpoint(**variables, DOCKER_TLS="1")["from"] == "DOCKER_HOST"
    for refused in ({"DOCKER_CONTEXT": "trusting"}, {"DOCKER_CONTEXT": "nobody"}, variables):
        assert shell.docker("info", code=None, **refused)
        assert address in shell.bottle("list", code=5, **refused)


def test_ssh_of_contexts_and_of_the_environment(shell: Shell, server: Sshd, socket_path: str) -> None:
    host = f"ssh://Box{socket_path}"
    shell.docker("context", "create", "box", "--docker", f"host={host}")
    assert shell.endpoint(DOCKER_HOST=host)["address"] == host
    assert shell.endpoint(DOCKER_CONTEXT="box")["context"] == "box"
    shell.docker("context", "use", "box")
    assert shell.endpoint()["address"] == host
    assert "another machine" in next(
        check["detail"] for check in shell.bottle("doctor")["checks"] if check["name"] == "docker disk"
    )


# Contexts that lead nowhere.


def test_contexts_that_are_broken_are_named(shell: Shell) -> None:
    said = shell.bottle("list", code=5, DOCKER_CONTEXT="gone")
    assert 'the Docker context "gone", from DOCKER_CONTEXT, does not exist' in said
    assert "docker context ls" in said
    assert shell.docker("ps", code=1, DOCKER_CONTEXT="gone")
    shell.docker("context", "create", "torn", "--docker", "host=unix:///x.sock")
    shell.docker("context", "use", "torn")
    (meta,) = (shell.folder / "docker" / "contexts" / "meta").glob("*/meta.json")
    meta.write_text(meta.read_text()[:-20])
    assert shell.docker("ps", code=1)
    said = shell.bottle("list", code=5)
    assert f'the Docker context "torn", from {shell.folder / "docker" / "config.json"}, cannot be used' in said
    doctor = shell.run(sys.executable, "-m", "bottle", "doctor", "--format", "json", code=5)
    answer = json.loads(doctor.stdout)
    assert answer["engine"] is None
    assert answer["checks"][0]["next"].startswith("docker context ls")


def test_a_configuration_that_is_torn_is_the_default_context_for_both(shell: Shell, socket_path: str) -> None:
    here = f"unix://{socket_path}"
    shell.docker("context", "create", "here", "--docker", f"host={here}")
    (shell.folder / "docker" / "config.json").write_text('{"currentContext": "here"')
    assert shell.docker("context", "show") == "default"
    doctor = shell.run(sys.executable, "-m", "bottle", "doctor", "--format", "json", code=None)
    answer = json.loads(doctor.stdout)
    assert answer["engine"]["context"] == "default"
    assert (answer["checks"][0]["name"], answer["checks"][0]["verdict"]) == ("docker context", "warning")


@pytest.mark.parametrize(
    ("host", "words", "place"),
    [
        ("ssh://nosuchhost.invalid", "Could not resolve hostname nosuchhost.invalid", "nosuchhost.invalid"),
        ("ssh://127.0.0.1:@PORT@", "Host key verification failed", "-p @PORT@ 127.0.0.1"),
        ("ssh://nobodyhere@Box", "Permission denied (publickey)", "nobodyhere@Box"),
        ("ssh://Box/nowhere.sock", "nowhere.sock", "Box"),
    ],
)
def test_ssh_s_own_words_and_what_to_type(shell: Shell, server: Sshd, host: str, words: str, place: str) -> None:
    host, place = (each.replace("@PORT@", str(server.port)) for each in (host, place))
    said = shell.bottle("list", code=5, DOCKER_HOST=host)
    assert f'no Docker Engine answers at {host} (context "default", from DOCKER_HOST): ' in said
    assert words in said
    doctor = shell.run(sys.executable, "-m", "bottle", "doctor", "--format", "json", code=5, DOCKER_HOST=host)
    advice = json.loads(doctor.stdout)["checks"][0]["next"]
    assert advice == f"ssh {place} docker version"


def test_a_cable_that_breaks_is_told_from_an_engine_that_was_never_there(
    engine_there: DockerEngine, server: Sshd
) -> None:
    stream = engine_there.events({"label.of.nobody": None})
    server.kill_sessions()
    with pytest.raises(EngineError) as caught:
        list(stream)
    assert not isinstance(caught.value, EngineUnreachable)
    assert engine_there.networks()  # the next question has a line of its own


# Two engines.


@pytest.fixture
def far(shell: Shell, server: Sshd, classic_host: DockerHost, small_base: str, socket_path: str) -> Shell:
    """The shell with the contexts `near`, the engine in force, and `far`, an engine on another machine."""
    classic_host.load_image(small_base)
    (shell.folder / "bottle.toml").write_text(MANIFEST.format(image=small_base))
    config = shell.folder / "ssh_config"
    config.write_text(classic_host.ssh_config.read_text() + (server.folder / "config").read_text())
    environ = {**shell.environ, "PATH": path_with_config(shell.folder / "bin", config)}
    both = Shell(shell.folder, environ)
    both.docker("context", "create", "near", "--docker", f"host=unix://{socket_path}")
    both.docker("context", "create", "far", "--docker", f"host=ssh://{classic_host.alias('root')}")
    return both


def test_docker_and_bottle_look_at_the_same_of_two_engines(far: Shell) -> None:
    started: dict[str, str] = {}
    try:
        for context in ("near", "far"):
            far.docker("context", "use", context)
            started[context] = far.bottle("start", "worker", "-d", "--copy-cwd")["identity"]
        for context in ("far", "near"):
            far.docker("context", "use", context)
            listed = far.docker("ps", "--filter", "label=bottle.identity", "--format", "{{.Names}}").split()
            running = [each["identity"] for each in far.bottle("list")["bottles"] if each["state"] == "running"]
            assert running == [started[context]]
            assert [name for name in listed if name.removeprefix("bottle-") in started.values()] == [
                f"bottle-{started[context]}"
            ]
    finally:
        for context, identity in started.items():
            far.bottle("stop", identity, DOCKER_CONTEXT=context)
            far.bottle("rm", identity, "--yes", DOCKER_CONTEXT=context)


def test_a_bottle_on_another_machine(far: Shell) -> None:
    """Folders of this machine are refused by name; all else works as on an engine here."""
    far.docker("context", "use", "far")
    said = far.bottle("start", "worker", "-d", code=5)
    assert f"{far.folder}: the engine at ssh://" in said
    assert "mounts folders of its own machine" in said
    assert far.bottle("list", "-a")["bottles"] == []
    said = far.bottle("start", "keeper", "-d", "--copy-cwd", code=5, TOKEN="t")
    assert "mounts folders of its own machine" in said
    assert "next:  no `secrets` in bottle.toml" in said
    (far.folder / "work").write_text("work\n")
    begun = far.bottle("start", "worker", "-d", "--copy-cwd")
    identity = begun["identity"]
    assert any("cannot make capability requests" in note for note in begun["notes"])
    inside = (sys.executable, "-m", "bottle", "exec", identity, "--")
    assert far.run(*inside, "cat", "/workspace/work").stdout == "work\n"
    assert far.run(*inside, "sh", "-c", "echo more >> /workspace/work; exit 7", code=7).stdout == ""
    far.bottle("commit", identity)
    far.bottle("stop", identity)
    far.docker("rm", f"bottle-{identity}")
    far.bottle("resume", identity, "-d")
    assert far.run(*inside, "cat", "/workspace/work").stdout == "work\nmore\n"
    far.bottle("stop", identity)
    far.bottle("rm", identity, "--yes")
    assert far.docker("ps", "-aq", "--filter", f"label=bottle.identity={identity}") == ""


def test_a_bottle_moves_from_an_engine_behind_ssh(far: Shell, classic_host: DockerHost, socket_path: str) -> None:
    far.docker("context", "create", "box", "--docker", f"host=ssh://Box{socket_path}")
    far.docker("context", "use", "box")
    identity = far.bottle("start", "worker", "-d", "--copy-cwd")["identity"]
    try:
        inside = (sys.executable, "-m", "bottle", "exec", identity, "--")
        far.run(*inside, "sh", "-c", "echo work > /root/work; head -c 3000000 /dev/urandom > /root/much")
        far.bottle("migrate", identity, classic_host.alias("root"), "--yes")
        image = f"bottle-committed-{identity}:1"
        said = classic_host.docker("run", "--rm", "--entrypoint", "cat", image, "/root/work").text
        assert said.strip() == "work"
    finally:
        for verb in (("stop",), ("rm", "--yes")):
            far.run(sys.executable, "-m", "bottle", *verb, identity, code=None)
