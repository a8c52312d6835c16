"""BuildKit, through the docker client's buildx: it serves what the engine asks for while it builds."""

import io
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_CLIENT = "docker"
_BUILD = ("buildx", "build", "--progress", "plain")
_PROBE_SECONDS = 20
_GRACE = 10  # seconds in which a client that is told to end may take back what it began
_LONGEST = 64 * 1024  # characters of a line


def has_buildx(environ: Mapping[str, str]) -> bool:
    """Whether the docker client on the PATH has buildx. Podman has a command of that name, which is another one."""
    client = _client(environ)
    if client is None:
        return False
    with suppress(OSError, subprocess.TimeoutExpired):
        probe = subprocess.run(
            [client, "buildx", "version"],
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PROBE_SECONDS,
            check=False,
        )
        return probe.returncode == 0 and b"docker/buildx" in probe.stdout
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildxBuild:
    """What is to be built: the files of a folder, without what its .dockerignore excludes, into an image with a tag."""

    context: Path
    tag: str
    labels: Mapping[str, str]
    args: Mapping[str, str]
    secrets: Mapping[str, str]

    def command(self, dockerfile: Path, builder: str) -> tuple[str, ...]:
        """The arguments behind `docker`."""
        pairs = [("--label", pair) for pair in self.labels.items()]
        pairs += [("--build-arg", pair) for pair in self.args.items()]
        options = [word for option, (key, value) in pairs for word in (option, f"{key}={value}")]
        options += [word for name in self.secrets for word in ("--secret", f"id={name},env={name}")]
        return (
            *_BUILD,
            "--builder",
            builder,
            "-t",
            self.tag,
            "-f",
            str(dockerfile),
            *options,
            str(self.context.absolute()),
        )


@contextmanager
def running(build: BuildxBuild, dockerfile: bytes, environ: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """The docker client at work, with all that it says on its standard output. It has ended when the context has."""
    # An attestation would make an index of the image, with an entry that no engine can run.
    env = {**build.secrets, **environ, "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
    with tempfile.TemporaryDirectory(prefix="bottle-dockerfile-") as folder:
        file = Path(folder, "Dockerfile")
        file.write_bytes(dockerfile)
        command = [_client(environ) or _CLIENT, *build.command(file, _builder(environ))]
        client = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env
        )
        try:
            yield client
            client.wait()
        except BaseException:
            _end(client)
            raise
        finally:
            if client.stdout is not None:
                client.stdout.close()


def lines_of(client: subprocess.Popen[bytes]) -> Iterator[str]:
    """What it says, line by line, as it says it; one without an end in several."""
    assert client.stdout is not None
    # Not Popen's own text, which takes the carriage return of a bar for the end of a line.
    text = io.TextIOWrapper(client.stdout, "utf-8", "replace", newline="\n")
    while line := text.readline(_LONGEST):
        yield line.removesuffix("\n")


def _end(client: subprocess.Popen[bytes]) -> None:
    client.terminate()
    try:
        client.wait(_GRACE)
    except subprocess.TimeoutExpired:
        client.kill()
        client.wait()


def _builder(environ: Mapping[str, str]) -> str:
    """The engine's own BuildKit, whichever builder is selected: what any other builds is not in the engine.

    It is called after the context that names the engine (https://docs.docker.com/build/builders/drivers/docker/).
    """
    named = "" if environ.get("DOCKER_HOST") else environ.get("DOCKER_CONTEXT")
    return named or "default"


def _client(environ: Mapping[str, str]) -> str | None:
    return shutil.which(_CLIENT, path=environ.get("PATH"))
