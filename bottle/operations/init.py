"""`init`: what an agent needs to start at once: its entry in the manifest, and its Dockerfile."""

import json
import os
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bottle.agent.manifest import FILE_NAME, read_manifest
from bottle.agent.template import PLAIN, SUMMARIES, dockerfile_of, entry_of
from bottle.errors import NameTaken, NotFound
from bottle.files.atomic import cannot_write, sync_folder, write_atomic, writing
from bottle.files.regular import read_regular
from bottle.text import printable
from bottle.workspace import require_folder

_MODE = 0o644
_GIT_SECONDS = 10
_WHO = {
    "user.name": ("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"),
    "user.email": ("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What was written: an agent's entry, `added` to a manifest or the first in it, and its Dockerfile, if any."""

    agent: str
    manifest: Path
    added: bool
    dockerfile: Path | None


def init(folder: Path, template: str = PLAIN) -> Written:
    """Write an agent's entry into the manifest in `folder`, and its Dockerfile below it.

    Raises NotFound where there is no such template; UsageError, NameTaken, ManifestError or StateDamaged: what is there
    stays as it is.
    """
    if template not in SUMMARIES:
        raise NotFound(
            f"there is no template {template!r}; there are: {', '.join(SUMMARIES)}",
            left="nothing was written",
            next_step="bottle init --list",
        )
    path = require_folder(folder) / FILE_NAME
    added = os.path.lexists(path)
    if added and template in read_manifest(path).agents:
        raise NameTaken(
            f"{path} has an agent {template!r} already", left="it is unchanged", next_step=f"bottle start {template}"
        )
    dockerfile = _write_dockerfile(path.parent, template)
    entry = entry_of(template)
    if dockerfile is not None:
        entry += _identity(path.parent, template)
    if added:
        _append(path, entry)
    else:
        _create(path, entry)
    return Written(agent=template, manifest=path, added=added, dockerfile=dockerfile)


def _append(path: Path, entry: str) -> None:
    """Put an entry behind what is in a manifest: it is the old one or the new one, whole."""
    with writing(path):
        before = read_regular(path, follow=True).decode().rstrip()
        mode = stat.S_IMODE(path.stat().st_mode)
    write_atomic(path.resolve(), f"{before}\n\n{entry}".encode(), mode)


def _create(path: Path, entry: str) -> None:
    """Write a first manifest. Raises NameTaken where there is one by now."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _MODE)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(entry)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            path.unlink()  # half of it would be in the way of the same command
            raise
        sync_folder(path.parent)
    except FileExistsError as exc:
        raise NameTaken(f"{path} exists already", left="it is unchanged", next_step="the same command again") from exc
    except OSError as exc:
        raise cannot_write(path, exc) from exc


def _write_dockerfile(folder: Path, template: str) -> Path | None:
    """Write a template's Dockerfile, if it has one. Raises NameTaken where there is another one."""
    text = dockerfile_of(template)
    if text is None:
        return None
    path = folder / "agents" / template / "Dockerfile"
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        same = read_regular(path, follow=True) == text.encode() if os.path.lexists(path) else None
    if same is False:
        raise NameTaken(
            f"{path} exists already, and is another one",
            left="nothing was written",
            next_step=f"mv {path} {path}.mine, then the same again",
        )
    if same is None:
        write_atomic(path, text.encode(), _MODE)
    return path


def _identity(folder: Path, template: str) -> str:
    """The end of an entry, that makes the agent's commits those of whoever works in `folder`, as git has them there."""
    values = {variable: _git(folder, key) for key, variables in _WHO.items() for variable in variables}
    if all(values.values()):
        said = "".join(f"{variable} = {json.dumps(value, ensure_ascii=False)}\n" for variable, value in values.items())
        return f"\n# Whose the agent's commits are.\n[agents.{template}.env]\n{said}"
    said = "".join(f'# {variable} = "…"\n' for variable in values)
    return f"\n# Whose the agent's commits are: without it git makes none.\n# [agents.{template}.env]\n{said}"


def _git(folder: Path, key: str) -> str:
    """What git is told there; empty where it is told nothing, or is not here."""
    words = ("git", "config", "--get", key)
    try:
        answer = subprocess.run(words, cwd=folder, capture_output=True, timeout=_GIT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return printable(answer.stdout.decode("utf-8", "replace").strip())
