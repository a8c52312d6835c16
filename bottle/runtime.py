"""The folder on the host that a container sees as /run/bottle, read-only: in memory, or on disk and without secrets.

```
launch                   what its container runs, which becomes the agent
command                  what it runs this time; without it, what it was made to run
secrets                  what the agent has in its environment: in no image, no `docker inspect` and no state folder
request-capability       how it asks the operator for what it lacks
answers/<number>         what became of a request: `pending`, `approved` or `denied`, then the operator's note
requests/                empty: where the volume is mounted that requests are written into
```
"""

import os
import shlex
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path

from bottle.errors import BottleError
from bottle.files import tree
from bottle.files.regular import read_regular
from bottle.naming import Identity

_SET = ("set", "--")  # how a shell script replaces its arguments


def default_runtime() -> Path:
    """A folder of this user in memory, the same in every session, so that a stopped container finds its mount again."""
    user = os.getuid()
    return Path("/run/bottle") if user == 0 else Path(f"/dev/shm/bottle-{user}")  # noqa: S108  (checked when used)


def prepare(
    base: Path,
    identity: Identity,
    secrets: Mapping[str, str],
    answers: Mapping[int, str] | None = None,
    *,
    command: tuple[str, ...] | None = None,
) -> Path:
    """Write all that a bottle is to see, `answers` by the number of the request; the folder to mount.

    `command` is the argument vector that its container runs when it is started next, None for what it was made to run.
    `base` is 0700, so no other user of the host gets in; what is in it may be read by whatever user the agent is
    inside its container.
    """
    folder = base / str(identity)
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in sorted(secrets.items())]
    with _reaching(base, identity):
        _private(base)
        folder.mkdir(mode=0o755, exist_ok=True)
        folder.chmod(0o755)
        _put(folder / "launch", files("bottle").joinpath("launch.sh").read_bytes(), 0o555)
        _put(folder / "secrets", "".join(lines).encode("utf-8", "surrogateescape"), 0o444)
        _tell(folder / "command", command)
        request = files("bottle.requests").joinpath("request-capability.sh")
        _put(folder / "request-capability", request.read_bytes(), 0o555)
        for name in ("answers", "requests"):
            (folder / name).mkdir(mode=0o755, exist_ok=True)
            (folder / name).chmod(0o755)
        for number, text in (answers or {}).items():
            _answer(folder, number, text)
    return folder


def write_answer(base: Path, identity: Identity, number: int, text: str) -> None:
    """Let a bottle see what became of its request; one that has no folder sees it when it is next prepared."""
    with _reaching(base, identity), suppress(FileNotFoundError):
        _answer(base / str(identity), number, text)


def told(base: Path, identity: Identity) -> tuple[str, ...] | None:
    """The argument vector that a bottle's container was told to run, None for what it was made to run."""
    with _reaching(base, identity, doing="read"), suppress(FileNotFoundError):
        content = read_regular(base / str(identity) / "command").decode("utf-8", "surrogateescape")
        return tuple(shlex.split(content)[len(_SET) :])
    return None


def is_prepared(base: Path, identity: Identity) -> bool:
    """Whether the folder of a bottle is there: it is in memory, and a reboot takes it away."""
    return (base / str(identity) / "requests").is_dir()


def hide(base: Path, identity: Identity) -> None:
    """Take the secrets of a stopped bottle away, which needs no room where they are.

    The folder stays, and is made again after a reboot, as the engine needs it to read the container.
    """
    if not is_prepared(base, identity):
        prepare(base, identity, {})
    with _reaching(base, identity):
        (base / str(identity) / "secrets").unlink(missing_ok=True)


def forget(base: Path, identity: Identity) -> None:
    """Take all that is here of a bottle away, secrets too; gone already is fine. Raises BottleError."""
    with _reaching(base, identity), suppress(FileNotFoundError):
        tree.remove(base / str(identity))


def _private(base: Path) -> None:
    base.mkdir(mode=0o700, exist_ok=True)
    facts = base.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid() or stat.S_IMODE(facts.st_mode) & 0o077:
        raise BottleError(
            f"{base} must be a folder that only you may enter, and is not: secrets would be seen by others",
            left="nothing was started",
            next_step=f"ls -ld {base}; remove it",
        )


def _tell(path: Path, command: tuple[str, ...] | None) -> None:
    if command is None:
        path.unlink(missing_ok=True)
    else:
        _put(path, f"{shlex.join((*_SET, *command))}\n".encode("utf-8", "surrogateescape"), 0o444)


def _answer(folder: Path, number: int, text: str) -> None:
    path, data = folder / "answers" / str(number), text.encode("utf-8", "surrogateescape")
    try:
        known = read_regular(path) == data
    except FileNotFoundError:
        known = False
    if not known:
        _put(path, data, 0o444)


@contextmanager
def _reaching(base: Path, identity: Identity, *, doing: str = "write") -> Iterator[None]:
    """Say of what fails that it is a bottle's folder. Raises BottleError."""
    try:
        yield
    except (OSError, ValueError) as exc:
        why = getattr(exc, "strerror", None) or exc
        raise BottleError(
            f"cannot {doing} {base / str(identity)}, which {identity} sees as /run/bottle: {why}",
            next_step=f"ls -ld {base}; df -h {base.parent}",
        ) from exc


def _put(path: Path, data: bytes, mode: int) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    temporary.chmod(mode)
    temporary.replace(path)
