"""What a workspace needs of what lies outside it: carried, named, or left behind knowingly. Pure.

A path means something else to the agent than to this host: its workspace is mounted at `workdir`, and what else it sees
is its image and its volumes, which travel. So what counts as left behind is what is there on this host, outside the
workspace; paths of the system are what every host has of its own.
"""

import os
import posixpath
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from bottle.files.paths import is_inside, is_system
from bottle.text import shortened

_SHOWN = 20  # of one kind, by name; the others are counted


class Need(Enum):
    """What names something by its path; the value is how it is called."""

    LINK = "link"
    REPOSITORY = "repository"
    COMMON = "common folder"
    OBJECTS = "objects"
    TREE = "work tree"
    SETTING = "setting"
    REMOTE = "remote"
    WORKTREE = "worktree"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """Something in a workspace that names a path.

    `path` is where it is, relative to the workspace; `text` the path as it is spelt there; `leads` where that is on
    this host, with no links in it, and `exists` whether anything is there. `name` is that of a setting or a remote.
    """

    needs: Need
    path: str
    text: str
    leads: str
    exists: bool
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worktree:
    """A linked git worktree whose repository is elsewhere, and knows of it: each names the other.

    `path` is that of its `.git`, relative to the workspace. `admin` is the folder that git keeps for this worktree,
    `common` the repository's. `obstacles` is why it cannot be made a repository of its own, empty where it can;
    `stays` is what of the repository would not go along, `names` what its settings name of what is elsewhere. `size` is
    that of all of its objects, in bytes, those of LFS among them.
    """

    path: str
    admin: str
    common: str
    sha256: bool = False
    size: int = 0
    obstacles: tuple[str, ...] = ()
    stays: tuple[str, ...] = ()
    names: tuple[Pointer, ...] = ()

    @property
    def line(self) -> str:
        """What is carried, and how."""
        return (
            f"git worktree {_folder_of(self.path)} of {self.common}: as a repository of its own, with its index, all "
            "branches and tags, and the stash"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What was found in one workspace. `folder` is its path here, with no links in it; `unread` what is not known."""

    folder: str = ""
    pointers: tuple[Pointer, ...] = ()
    worktrees: tuple[Worktree, ...] = ()
    unread: tuple[str, ...] = ()

    @property
    def carriable(self) -> tuple[Worktree, ...]:
        """The worktrees that can be made repositories of their own."""
        return tuple(each for each in self.worktrees if not each.obstacles)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideNeeds:
    """The verdict. `left` is what the workspace would lack there: only with consent. `told` is worth a line."""

    carried: tuple[Worktree, ...] = ()
    left: tuple[str, ...] = ()
    told: tuple[str, ...] = ()


def weigh(survey: Survey, *, workdir: str, lands: str | None) -> OutsideNeeds:
    """Decide about all that was found. `lands` is where the workspace will be, None where nobody can know."""
    left = [
        f"git repository {each.common}, of which {_folder_of(each.path)} is a worktree: {'; '.join(each.obstacles)}"
        for each in survey.worktrees
        if each.obstacles
    ]
    told = [line for each in survey.carriable for line in each.stays]
    told += [f"not looked at: {line}" for line in survey.unread]
    links: list[str] = []
    for each in survey.pointers:
        inside = is_inside(each.leads, survey.folder)
        if not inside and each.needs is not Need.REMOTE and is_inside(each.text, workdir):
            continue  # the agent's own way of saying it, which holds there too
        if inside:
            if posixpath.isabs(each.text) and lands != survey.folder:
                told.append(f"{_inside(each)}, which is the path of the workspace here; {_MEND[each.needs]}")
        elif each.needs in {Need.REMOTE, Need.WORKTREE}:
            told += [_out(each)] if each.exists else []
        elif each.needs is Need.LINK:
            links += [f"{each.path} -> {each.text}"] if each.exists and not is_system(each.leads) else []
        elif each.exists and not (each.needs is Need.SETTING and is_system(each.leads)):
            left.append(_out(each))
        elif each.needs is not Need.SETTING:
            told.append(f"{_inside(each)}: {each.name or 'there is no such thing on this host'}")
    led_to = [f"what a link leads to: {line}" for line in few(links)]
    return OutsideNeeds(carried=survey.carriable, left=(*few(left), *led_to), told=tuple(few(told)))


_OUT = {
    Need.REPOSITORY: "git repository {text}, which {path} names: {name}",
    Need.COMMON: "git repository {text}, which {path} names",
    Need.OBJECTS: "objects of {text}, which the git repository {path} borrows: "
    "`git repack -a -d` in it copies them, then delete its objects/info/alternates",
    Need.TREE: "work tree {text}, of which {path} is the git repository",
    Need.SETTING: "{text}, which {name} in {path} names",
    Need.REMOTE: "git remote {name} of {path}, {text}, is on this host",
    Need.WORKTREE: "git worktree {text} of {path}: it has its own files here, and its repository there "
    "(there: git worktree prune)",
}
_MEND = {
    **dict.fromkeys(Need, "mend it there"),
    Need.REPOSITORY: "there: git worktree repair",
    Need.WORKTREE: "there: git worktree repair",
}


def _out(pointer: Pointer) -> str:
    return _OUT[pointer.needs].format(path=pointer.path, text=shortened(pointer.text), name=pointer.name)


def _inside(pointer: Pointer) -> str:
    name = f" {pointer.name}" if pointer.needs in {Need.SETTING, Need.REMOTE} else ""
    return f"{pointer.path}: {pointer.needs.value}{name} {shortened(pointer.text)}"


def _folder_of(path: str) -> str:
    return posixpath.dirname(path) or "the workspace itself"


def few(lines: Iterable[str]) -> list[str]:
    """So many of `lines` as are shown, and how many more there are."""
    shown = sorted(lines)
    return shown if len(shown) <= _SHOWN else [*shown[:_SHOWN], f"and {len(shown) - _SHOWN} more"]


# --- what of a repository's settings goes along -----------------------------------------------------------------------

_ONE = {
    "core": frozenset(
        {"abbrev", "autocrlf", "bigfilethreshold", "commentchar", "eol", "filemode", "ignorecase", "logallrefupdates"}
        | {"notesref", "precomposeunicode", "quotepath", "safecrlf", "sparsecheckout", "sparsecheckoutcone", "symlinks"}
        | {"whitespace"}
    ),
    "user": frozenset({"name", "email"}),
    "remote": frozenset({"pushdefault"}),
    "merge": frozenset({"conflictstyle", "ff", "renames", "renamelimit", "log", "directoryrenames"}),
    "submodule": frozenset({"active", "recurse"}),
}
_WHOLE = frozenset({"push", "pull", "rebase", "index", "status", "rerere", "fetch"})
_NAMED = {
    "branch": frozenset({"remote", "merge", "rebase", "pushremote", "description"}),
    "remote": frozenset({"url", "pushurl", "fetch", "push", "tagopt", "prune", "skipdefaultupdate", "skipfetchall"}),
    "submodule": frozenset({"active", "url", "branch"}),
}
_LFS = {
    "filter.lfs.clean": "git-lfs clean -- %f",
    "filter.lfs.smudge": "git-lfs smudge -- %f",
    "filter.lfs.process": "git-lfs filter-process",
    "filter.lfs.required": "true",
}
_MADE_ANEW = frozenset(
    {"core.repositoryformatversion", "core.bare", "core.worktree", "extensions.objectformat"}
    | {"extensions.worktreeconfig", "extensions.relativeworktrees"}
)
_EXTENSIONS = frozenset({"objectformat", "worktreeconfig", "relativeworktrees", "noop", "preciousobjects"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A line of a git config; `key` as git spells it, section and name in lower case. None: it has no value."""

    key: str
    value: str | None

    @property
    def travels(self) -> bool:
        """Whether it is data, and nobody's secret. What names a program, a file or a login stays behind."""
        section, _, rest = self.key.partition(".")
        named, dot, name = rest.rpartition(".")
        if self.key in _LFS:
            return self.value == _LFS[self.key]
        if dot:
            return name in _NAMED.get(section, frozenset()) and bool(named)
        return name in _ONE.get(section, frozenset()) or section in _WHOLE

    @property
    def carried(self) -> "Setting":
        """The same with no login in it."""
        name = self.key.rpartition(".")[2]
        if self.value is None or name not in {"url", "pushurl"}:
            return self
        scheme, slashes, rest = self.value.partition("://")
        host, slash, path = rest.partition("/")
        if not slashes or scheme == "ssh" or "@" not in host:
            return self
        return Setting(key=self.key, value=f"{scheme}://{host.rpartition('@')[2]}{slash}{path}")


def parse_settings(listed: bytes) -> tuple[Setting, ...]:
    """What `git config --list -z` says."""
    settings = []
    for line in os.fsdecode(listed).split("\0"):
        key, newline, value = line.partition("\n")
        settings += [Setting(key=key, value=value if newline else None)] if key else []
    return tuple(settings)


def staying_settings(settings: Iterable[Setting]) -> tuple[str, ...]:
    """The names of those that stay behind, and of those that go along without their login."""
    names = {each.key for each in settings if not each.travels and each.key not in _MADE_ANEW}
    names |= {f"the login in {each.key}" for each in settings if each.travels and each.carried != each}
    return tuple(sorted(names))


def repository_obstacles(settings: Iterable[Setting]) -> tuple[str, ...]:
    """What in a repository's config makes it one that cannot be taken apart here."""
    found: dict[str, None] = {}
    for each in settings:
        section, _, name = each.key.partition(".")
        if section == "extensions" and name == "refstorage" and each.value != "files":
            found[f"its references are kept as {each.value}"] = None
        elif each.key == "extensions.partialclone" or (section == "remote" and name.endswith(".promisor")):
            found["it is a partial clone, which does not have all of its objects"] = None
        elif section == "extensions" and name != "refstorage" and name not in _EXTENSIONS:
            found[f"it uses an extension that is not known here, {name}"] = None
    return tuple(found)


def is_sha256(settings: Iterable[Setting]) -> bool:
    """Whether a repository names its objects by SHA-256."""
    return any(each.key == "extensions.objectformat" and each.value == "sha256" for each in settings)
