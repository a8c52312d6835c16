"""What a far host may have done here while a bottle is pulled from it. Decides; does nothing.

Of a script only the name comes from there, out of this list; every argument is checked against what it can be in an
honest move of the one bottle that was asked for, and how Docker is reached here is for us to say.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from bottle.errors import InvalidIdentity
from bottle.model import Store
from bottle.naming import Identity
from migrate.host.commands import named
from migrate.host.layers import MOST_NAMED
from migrate.model import RemoteCommand
from migrate.pull.receiver import Breach, Request

PIECE_LIMIT = 8 << 20
_MOST_WORKSPACES = 2
_SYSTEM = frozenset(
    {"bin", "boot", "cgroup", "dev", "etc", "lib", "lib32", "lib64", "libx32", "lost+found", "nix", "proc", "root"}
    | {"run", "sbin", "snap", "sys", "usr", "var"}
)
_PROGRAMS = frozenset({"bin", "sbin", "lib", "lib64", "node_modules", "site-packages", "dist-packages", "cgi-bin"})
# Where compilers, interpreters and servers look below a home, unasked.
_LOOKED_INTO = frozenset({"go", "perl5", "public_html", "R", "texmf", "Library"})
_HEX = re.compile(r"[0-9a-f]{64}")
_PATTERNS = {
    "blob": _HEX,
    "image": re.compile(r"sha256:[0-9a-f]{64}"),
    "sha256": _HEX,
    "number": re.compile(r"[0-9]{8}"),
    "size": re.compile(r"[0-9]{1,8}"),
    "count": re.compile(r"[0-9]{1,12}"),
    "codec": re.compile(r"zstd|gzip|none"),
    "kind": re.compile(r"state|workspace"),
    "nonce": re.compile(r"[0-9a-f]{32}"),
    "folder": re.compile(r"(?:state|workspace)-[0-9a-f]{32}"),
    "workspace folder": re.compile(r"workspace-[0-9a-f]{32}"),
    "verifier": re.compile(r"bottle-verify-[0-9a-f]{12}"),
    "filler": re.compile(r"bottle-fill-[0-9a-f]{12}"),
    # Where a volume is mounted: an absolute path that stands between two colons of `docker create -v`.
    "target": re.compile(r"(?:/(?!\.{1,2}(?:/|$))[^/:,\x00-\x1f\x7f]+)+"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a script takes: its arguments, those about Docker aside, and up to `most` bytes of standard input.

    `lines` is what each line of that input is. What `streams` may run beside others, while its input still comes.
    What `looks` changes nothing. What `settles` asks how a move ended, or clears up after it: the bottle that is here
    stays as it is.
    """

    args: tuple[str, ...]
    docker: bool = False
    lines: re.Pattern[str] | None = None
    most: int = 0
    streams: bool = False
    looks: bool = False
    settles: bool = False


_LAYERS = _IMAGES = re.compile(r"sha256:[0-9a-f]{64}\n")
_BLOBS = re.compile(r"[0-9a-f]{64}\n")
_SUMS = re.compile(r"[0-9a-f]{64}  \./[^\n\\]+\n")
_UPDATES = re.compile(r"[+-](?:[A-Za-z0-9/._-]|\\0[0-3][0-7]{2})+\n")
RULES = {
    "probe": Rule(args=("identity", "workspace"), looks=True),
    "withdraw": Rule(args=("identity", "nonce"), settles=True),
    "images": Rule(args=(), docker=True, lines=_LAYERS, most=len(f"sha256:{'0' * 64}\n") * MOST_NAMED, looks=True),
    "known": Rule(args=("root",), docker=True, lines=_IMAGES, most=1 << 20, looks=True),
    "sink": Rule(args=(), most=1 << 20, streams=True),
    "staged": Rule(args=("identity",), lines=_BLOBS, most=1 << 20),
    "piece": Rule(args=("identity", "blob", "number", "sha256", "size"), most=PIECE_LIMIT, streams=True),
    "check": Rule(args=("identity",), lines=_BLOBS, most=1 << 20),
    "load": Rule(args=("identity",), docker=True, lines=_BLOBS, most=1 << 20),
    "tag": Rule(args=("image", "tag"), docker=True),
    "inspect": Rule(args=("tag", "verifier"), docker=True),
    "unload": Rule(args=("tag",), docker=True),
    "extract": Rule(args=("identity", "blob", "codec", "kind", "nonce")),
    "update": Rule(args=("identity", "blob", "codec", "workspace folder"), lines=_UPDATES, most=256 << 20),
    "verify": Rule(args=("identity", "folder", "count", "count", "count"), lines=_SUMS, most=256 << 20),
    "volume": Rule(
        args=("identity", "blob", "codec", "volume", "target", "tag", "filler", "count", "count", "sha256"), docker=True
    ),
    "register": Rule(args=("identity", "nonce", "workspace")),
    "clear": Rule(args=("identity",), settles=True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the user agreed to, and what was found here.

    `workspace` is where the workspace must land, None where the far host may name a harmless place. `keep`: what
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


@dataclass(slots=True)
class Policy:
    """Checks one request after the other. `arrives_as` is known once the far host has asked about it."""

    terms: Terms
    arrives_as: Identity | None = None
    workspaces: set[str] = field(default_factory=set)

    def check(self, request: Request) -> RemoteCommand:
        """The command to run here. Raises Breach."""
        rule = RULES.get(request.script)
        if rule is None:
            raise Breach(f"the far host asks for the script {request.script[:40]!r}, which is none of a move's")
        if self.terms.looking and not rule.looks:
            raise Breach(f"the far host asks for {request.script!r}, where only a plan was asked for")
        args = request.args
        if rule.docker:
            if len(args) < 2 or not self.terms.docker:
                raise _odd(request)
            args = args[2:]
        if len(args) != len(rule.args):
            raise _odd(request)
        checked = tuple(self._argument(kind, arg, request) for kind, arg in zip(rule.args, args, strict=True))
        ours = ("yes" if self.terms.sudo else "no", self.terms.docker) if rule.docker else ()
        return named(request.script, *ours, *checked, docker=rule.docker)

    @property
    def identity(self) -> Identity:
        """What the bottle is called here. Raises Breach before that is known."""
        if self.arrives_as is None:
            raise Breach("the far host sends a bottle before it has said which")
        return self.arrives_as

    def _argument(self, kind: str, arg: str, request: Request) -> str:
        if kind != "root" and not _is_sayable(arg):
            raise _odd(request)
        match kind:
            case "identity":
                self._bind(arg, first=request.script in {"probe", "withdraw"})
            case "workspace":
                self._require_place(arg)
            case "root":
                return self.terms.docker_root
            case "tag":
                if not re.fullmatch(rf"{re.escape(self.identity.committed_repository)}:[0-9]{{1,9}}", arg):
                    raise _odd(request, arg)
            case "volume":
                if not re.fullmatch(rf"{re.escape(self.identity.volume(''))}[A-Za-z0-9_.-]{{1,128}}", arg):
                    raise _odd(request, arg)
            case "size":
                if not _PATTERNS[kind].fullmatch(arg) or int(arg) > PIECE_LIMIT:
                    raise _odd(request, arg)
            case _:
                if not _PATTERNS[kind].fullmatch(arg):
                    raise _odd(request, arg)
        return arg

    def _bind(self, arg: str, *, first: bool) -> None:
        try:
            identity = Identity.parse(arg)
        except InvalidIdentity as exc:
            raise Breach(f"the far host speaks of {arg[:80]!r}, which is no identity") from exc
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
            allowed = path == str(terms.bottle_home / "workspaces" / str(self.identity)) or is_harmless(
                path, terms.home
            )
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


def _is_sayable(arg: str) -> bool:
    """Whether a shell can be told it: half characters, as JSON can spell them, are no bytes."""
    try:
        arg.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def _odd(request: Request, arg: str = "") -> Breach:
    about = f" about {arg[:80]!r}" if arg else ""
    return Breach(f"the far host asks for {request.script!r}{about} in a way that no honest one does")
