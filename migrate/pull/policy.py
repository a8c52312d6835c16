"""What a far host may have done here while a bottle is pulled from it. Decides; does nothing.

Of a script only the name comes from there, out of this list; every argument is checked against what it can be in an
honest move of the one bottle that was asked for, and how Docker is reached here is for us to say.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import get_args

from bottle.model import Store
from bottle.naming import Identity
from migrate.host import commands
from migrate.host.arguments import CommitTag, VolumeName, Workspace
from migrate.host.script import Effect
from migrate.pull.receiver import Breach, Request

_MOST_WORKSPACES = 2
_SYSTEM = frozenset(
    {"bin", "boot", "cgroup", "dev", "etc", "lib", "lib32", "lib64", "libx32", "lost+found", "nix", "proc", "root"}
    | {"run", "sbin", "snap", "sys", "usr", "var"}
)
_PROGRAMS = frozenset({"bin", "sbin", "lib", "lib64", "node_modules", "site-packages", "dist-packages", "cgi-bin"})
# Where compilers, interpreters and servers look below a home, unasked.
_LOOKED_INTO = frozenset({"go", "perl5", "public_html", "R", "texmf", "Library"})
# What a move asks of its destination. A script that is not among these is run for nobody here.
Asked = (
    commands.Probe | commands.Withdraw | commands.Images | commands.Known | commands.Sink | commands.Staged
    | commands.Piece | commands.Check | commands.Load | commands.Tag | commands.Inspect | commands.Unload
    | commands.Extract | commands.Seed | commands.Update | commands.Verify | commands.Volume | commands.Register
    | commands.Clear
)  # fmt: skip
ASKED: Mapping[str, type[Asked]] = {each.name(): each for each in get_args(Asked)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the user agreed to, and what was found here.

    `workspace` is where the workspace must land, None where the far host may name a harmless place, or the one where
    the bottle `left` it here when it moved away. `keep`: what
    arrives is a copy, under an identity of the same agent that the far host chooses. `looking`: only a plan is wanted.
    `consent`: links of the workspace may lead to what is here.
    """

    identity: Identity
    keep: bool
    looking: bool
    workspace: Path | None
    home: Path
    bottle_home: Path
    docker: str
    sudo: bool
    store: Store
    docker_root: str
    consent: bool
    left: str | None = None


@dataclass(slots=True)
class PullPolicy:
    """Checks one request after the other. `arrives_as` is known once the far host has asked about it."""

    terms: Terms
    arrives_as: Identity | None = None
    workspaces: set[str] = field(default_factory=set)

    def check(self, request: Request) -> Asked:
        """What to run here. Raises Breach."""
        kind = ASKED.get(request.script)
        if kind is None:
            raise Breach(f"the far host asks for the script {request.script[:40]!r}, which is none of a move's")
        if self.terms.looking and kind.effect is not Effect.LOOKS:
            raise Breach(f"the far host asks for {request.script!r}, where only a plan was asked for")
        if kind.access and not self.terms.docker:
            raise _odd(request)
        try:
            script = kind.parse(request.args)
            for value in script.values():
                self._require_ours(value, first=isinstance(script, commands.Probe | commands.Withdraw))
        except ValueError as exc:
            raise _odd(request, str(exc)) from exc
        return script

    @property
    def identity(self) -> Identity:
        """What the bottle is called here. Raises Breach before that is known."""
        if self.arrives_as is None:
            raise Breach("the far host sends a bottle before it has said which")
        return self.arrives_as

    def _require_ours(self, value: object, *, first: bool) -> None:
        """Let an argument be about the bottle that was asked for, and what is its own. Raises Breach, or ValueError."""
        match value:
            case Identity():
                self._bind(value, first=first)
            case Workspace():
                self._require_place(value)
            case CommitTag():
                _require(rf"{re.escape(self.identity.committed_repository)}:[0-9]{{1,9}}", value)
            case VolumeName():
                _require(rf"{re.escape(self.identity.volume(''))}[A-Za-z0-9_.-]{{1,128}}", value)

    def _bind(self, identity: Identity, *, first: bool) -> None:
        if self.arrives_as is None and first:
            mine = self.terms.identity
            if identity == mine or (self.terms.keep and identity.agent == mine.agent):
                self.arrives_as = identity
        if identity != self.arrives_as:
            raise Breach(f"the far host speaks of {identity}, and {self.terms.identity} was asked for")

    def _require_place(self, path: str) -> None:
        if not path or path in self.workspaces:
            return
        terms = self.terms
        if terms.workspace is not None:
            allowed = path == str(terms.workspace)
        else:
            ours = (str(terms.bottle_home / "workspaces" / str(self.identity)), terms.left)
            allowed = path in ours or is_harmless(path, terms.home)
        if not allowed or len(self.workspaces) >= _MOST_WORKSPACES:
            raise Breach(
                f"the workspace is to land at {path[:200]!r} here, and nobody agreed to that",
                left="nothing was put there",
                next_step="say where it may land: the same command with --workspace DIR",
            )
        self.workspaces.add(path)


def is_harmless(path: str, home: Path) -> bool:
    """Whether a new folder at `path`, with contents chosen by somebody else, changes nothing that works here.

    Hidden folders and folders of programs are not, since shells, desktops and interpreters act on what lies in them.
    """
    parts = PurePosixPath(path).parts
    if not path.startswith("/") or path.startswith("//") or str(PurePosixPath(path)) != path or len(parts) < 2:
        return False
    if any(part == ".." or not part.isprintable() for part in parts):
        return False
    here = Path(path).resolve()  # of what exists: links on the way count as where they lead
    if here == home.resolve():
        return False
    at_home = here.is_relative_to(home.resolve())
    below = here.relative_to(home.resolve()).parts if at_home else here.parts[1:]
    if below and below[0] in (_LOOKED_INTO if at_home else _SYSTEM):
        return False
    return not any(part.startswith(".") or part in _PROGRAMS for part in below)


def _require(pattern: str, text: str) -> None:
    if not re.fullmatch(pattern, text):
        raise ValueError(text)


def _odd(request: Request, arg: str = "") -> Breach:
    about = f" about {arg[:80]!r}" if arg else ""
    return Breach(f"the far host asks for {request.script!r}{about} in a way that no honest one does")
