"""Look through a workspace for what names something outside of it: links, and the metadata of git repositories.

One walk, by descriptor. What is there is the agent's to write: it is read as data, in bounded amounts. Outside of the
workspace only one thing is looked at, a repository that itself names this workspace as its worktree.
"""

import os
import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from bottle import gitfile
from bottle.errors import PreflightRefused
from bottle.files.paths import is_inside
from bottle.files.regular import open_regular
from bottle.files.tree import Node, walk
from bottle.home import user_home
from migrate.contents.git import Git, GitFailed, Setting, is_sha256, repository_obstacles, staying_settings
from migrate.contents.outside import Need, Pointer, Survey, Worktree

_MOST = 1 << 20  # bytes of a file of git's that is read
_MOST_TEXTS = 1 << 26  # bytes of all of them
_MOST_REPOSITORIES = 1000
_FILES = frozenset(
    {"include.path", "core.hookspath", "core.attributesfile", "core.excludesfile", "commit.template", "lfs.storage"}
)
_REMOTE = re.compile(r"(?:remote\.(.+)|(lfs))\.(?:url|pushurl)")
_KNOWN = frozenset(
    {"branches", "config", "config.worktree", "description", "gc.log", "gitk.cache", "hooks", "index", "info", "lfs"}
    | {"logs", "modules", "objects", "packed-refs", "rebase-apply", "rebase-merge", "refs", "rr-cache", "sequencer"}
    | {"shallow", "worktrees"}
)
# What the main worktree is in the middle of is in files of such names, all but a few; locks are nobody's.
_TRANSIENT = re.compile(r"[A-Z_]+|.*\.(?:lock|pid)|sharedindex\..*|ADD_EDIT\.patch|addp-hunk-edit\.diff|fsmonitor--.*")
_LOOKED_INTO = frozenset({"objects", "refs", "logs", "hooks", "info", "lfs", "rr-cache"})
OWN_STATE = frozenset({"gitdir", "commondir", "locked", "config.worktree", "modules"})  # of a worktree: not carried


@dataclass(slots=True)
class _Found:
    """What the walk came across, by path relative to the workspace."""

    links: dict[str, str] = field(default_factory=dict)
    gitfiles: dict[str, str] = field(default_factory=dict)
    marks: dict[str, set[str]] = field(default_factory=dict)
    texts: dict[str, bytes] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)
    size: int = 0

    def see(self, node: Node) -> None:
        """Take in one thing; raises what reading it raises."""
        if node.name in {"HEAD", "objects", "refs", "commondir"}:
            self.marks.setdefault(posixpath.dirname(node.path), set()).add(node.name)
        if node.is_symlink:
            self.links[node.path] = node.target()
            if self._is_read(node.path):
                self.unread.append(f"{node.path}, as it is a link")
        elif node.is_file and node.name == ".git":
            named = gitfile.parse(_content(node, gitfile.MOST))
            if named is not None and "\0" not in named:
                self.gitfiles[node.path] = named
        elif node.is_file and self._is_read(node.path):
            if node.facts.st_size > _MOST or self.size + node.facts.st_size > _MOST_TEXTS:
                self.unread.append(f"{node.path}, as there is too much of it")
                return
            self.texts[node.path] = _content(node, _MOST)
            self.size += len(self.texts[node.path])

    def _is_read(self, path: str) -> bool:
        """Whether a file is one of git's that name paths. Of what is beside it, `HEAD` is seen first."""
        match path.split("/"):
            case [*above, "config" | "config.worktree" | "commondir"]:
                pass
            case [*above, "objects", "info", "alternates"]:
                pass
            case [*above, "worktrees", _, "gitdir"]:
                pass
            case _:
                return False
        return "HEAD" in self.marks.get("/".join(above), ())


def survey(folder: Path, git: Git, *, still: bool = True) -> Survey:
    """Look through `folder`; one that is not there has nothing in it.

    What vanishes meanwhile is an error where all is `still`, and is left out where it is not. Raises PreflightRefused.
    """
    top = os.path.realpath(folder)
    try:
        found = _walk(top, still=still) if folder.is_dir() else _Found()
    except OSError as exc:
        raise PreflightRefused(
            f"{folder} cannot be looked through: {exc}",
            left="nothing was sent; this host still owns the bottle",
            next_step=f"let nobody write to {folder}, and see that it can be read: ls -la {folder}",
        ) from exc
    pointers = [_pointer(Need.LINK, top, path, text) for path, text in found.links.items()]
    worktrees: list[Worktree] = []
    unread = found.unread
    looked_into = 0
    for path, text in found.gitfiles.items():
        named = _pointer(Need.REPOSITORY, top, path, text)
        match None if is_inside(named.leads, top) else look_at_worktree(Path(top), path, text, git):
            case Worktree() as worktree:
                worktrees.append(worktree)
                pointers += worktree.names if not worktree.obstacles else ()
            case why:
                pointers.append(_pointer(Need.REPOSITORY, top, path, text, name=why or ""))
    for path, marks in found.marks.items():
        if "HEAD" in marks and ("commondir" in marks or {"objects", "refs"} <= marks):
            pointers += _repository(top, path, found.texts)
            looked_into += 1
            if git.why_not:
                unread.append(f"the settings of {path or 'the workspace'}, as {git.why_not}")
            elif looked_into > _MOST_REPOSITORIES:
                unread.append(f"the settings of {path}, as there are more than {_MOST_REPOSITORIES} repositories")
            else:
                pointers += _settings(top, path, found.texts, git)
    outward = [each for each in pointers if posixpath.isabs(each.text) or not is_inside(each.leads, top)]
    return Survey(folder=top, pointers=tuple(outward), worktrees=tuple(worktrees), unread=tuple(unread))


def _walk(top: str, *, still: bool) -> _Found:
    def lost(_: str, error: OSError) -> None:
        if still or isinstance(error, PermissionError):
            raise error

    found = _Found()
    for node in walk(Path(top), lost=lost):
        try:
            found.see(node)
        except OSError as exc:
            lost(node.path, exc)
    return found


def _content(node: Node, most: int) -> bytes:
    with node.open() as file:
        return file.read(most)


def _pointer(needs: Need, top: str, path: str, text: str, *, base: str | None = None, name: str = "") -> Pointer:
    """`base` is what a relative path counts from, relative to the workspace; by default the folder of `path`."""
    start = _join(top, posixpath.dirname(path) if base is None else base)
    leads = os.path.realpath(posixpath.join(start, text.replace("\0", "")))
    return Pointer(needs=needs, path=path, text=text, leads=leads, exists=os.path.lexists(leads), name=name)


def _repository(top: str, path: str, texts: dict[str, bytes]) -> Iterator[Pointer]:
    """What a git folder names besides its settings."""
    common = texts.get(_join(path, "commondir"))
    if common is not None:
        yield _pointer(Need.COMMON, top, _join(path, "commondir"), _line(common))
    lines = texts.get(_join(path, "objects/info/alternates"), b"").split(b"\n")
    for line in lines:
        if line and not line.startswith(b"#"):
            yield _pointer(Need.OBJECTS, top, path or ".", os.fsdecode(line), base=_join(path, "objects"))
    for each, content in texts.items():
        if posixpath.basename(each) == "gitdir" and posixpath.dirname(posixpath.dirname(each)) == _join(
            path, "worktrees"
        ):
            yield _pointer(Need.WORKTREE, top, path or ".", _line(content), base=posixpath.dirname(each))


def _settings(top: str, path: str, texts: dict[str, bytes], git: Git) -> Iterator[Pointer]:
    """What its settings name: files, its work tree, and repositories on this host."""
    tree = posixpath.dirname(path)
    for file in ("config", "config.worktree"):
        at = _join(path, file)
        try:
            listed = git.settings(texts[at]) if at in texts else ()
        except GitFailed:
            continue  # git there makes as little of it as git here
        for key, value in ((each.key, each.value) for each in listed if each.value):
            if key == "core.worktree":
                yield _pointer(Need.TREE, top, path, value, base=path)
            elif key in _FILES or (key.startswith("includeif.") and key.endswith(".path")):
                # git-config(1), and git-lfs-config(5): a relative one is inside the repository's folder.
                base = path if key.startswith(("include", "lfs")) else tree
                yield _pointer(Need.SETTING, top, at, _from_home(value), base=base, name=key)
            elif (remote := _remote(top, path, tree, key, value)) is not None:
                yield remote


def _from_home(value: str) -> str:
    return str(user_home() / value[2:]) if value.startswith("~/") else value


def _remote(top: str, path: str, base: str, key: str, value: str) -> Pointer | None:
    """What a setting says of a remote that is a folder of this host; `path` is what is told of as its repository."""
    named = _REMOTE.fullmatch(key)
    if value.startswith("file://"):
        value = unquote(value.removeprefix("file://").removeprefix("localhost"))
    if named is None or not value.startswith(("/", "../", "./")):
        return None
    return _pointer(Need.REMOTE, top, path, value, base=base, name=named[1] or named[2])


def look_at_worktree(top: Path, path: str, text: str, git: Git) -> Worktree | str:
    """The worktree whose `.git`, at `path` of the workspace `top`, says `text`; or why it is none that can be carried.

    The agent may write what it likes into that file. So nothing of what it names is taken, unless git's own record
    there names this very place, and has the form that git gives it.
    """
    place = top / path
    admin = Path(os.path.realpath(place.parent / text))
    try:
        if not admin.is_dir():
            return "there is no such thing on this host"
        common, back, up = admin.parent.parent, _read(admin / "gitdir"), _read(admin / "commondir")
        if admin.parent.name != "worktrees" or back is None or up is None:
            return "it is not the record of a worktree, so nothing there says that it belongs to this workspace"
        if Path(os.path.realpath(admin / _line(up))) != common:
            return "it is not the record of a worktree of the repository that it is in"
        named = admin / _line(back)
        if named.name != place.name or os.path.realpath(named.parent) != os.path.realpath(place.parent):
            return f"it belongs to {_line(back)}, not to this workspace"
        return _examine(top, path, admin, common, git)
    except OSError as exc:
        return f"it cannot be looked at from here: {exc.strerror}"


def _examine(top: Path, path: str, admin: Path, common: Path, git: Git) -> Worktree:
    """What speaks against carrying it, and what would stay."""
    obstacles = [git.why_not] if git.why_not else []
    settings: tuple[Setting, ...] = ()
    if not git.why_not:
        try:
            settings = read_settings(admin, common, git)
        except GitFailed as exc:
            obstacles.append(f"its settings cannot be read: {exc.what}")
    obstacles += repository_obstacles(settings)
    inside = look_inside(common)
    obstacles += inside.obstacles
    stays = []
    names = staying_settings(settings)
    if names:
        stays.append(f"settings of the git repository {common}: {', '.join(names)}")
    stays += [f"{each} of the git repository {common}" for each in inside.stays]
    if (admin / "modules").is_dir():
        stays.append(f"the repositories of the submodules of the worktree, in {admin / 'modules'}")
    return Worktree(
        path=path,
        admin=str(admin),
        common=str(common),
        sha256=is_sha256(settings),
        size=inside.size,
        obstacles=tuple(obstacles),
        stays=tuple(stays),
        names=tuple(_named(str(top), path, common, settings)),
    )


def _named(top: str, path: str, common: Path, settings: Iterable[Setting]) -> Iterator[Pointer]:
    """What the settings of a worktree's repository name that does not go along, though it is used there too."""
    for key, value in ((each.key, each.value) for each in settings if each.value):
        if key == "lfs.storage":
            yield _pointer(Need.SETTING, top, path, _from_home(value), base=str(common), name=key)
        elif (remote := _remote(top, path, str(common.parent), key, value)) is not None:
            yield remote


def read_settings(admin: Path, common: Path, git: Git) -> tuple[Setting, ...]:
    """What holds in a worktree, in the order in which git reads it. Raises GitFailed, PermissionError."""
    files = (common / "config", admin / "config.worktree")
    return tuple(setting for file in files for setting in git.settings(_read(file) or b""))


@dataclass(slots=True)
class Inside:
    """What is in the folder of a repository. `size` is that of its objects, in bytes, those of LFS among them.

    The others are paths; `closed` are those that may not be read.
    """

    size: int = 0
    borrows: bool = False
    folders: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)

    @property
    def obstacles(self) -> tuple[str, ...]:
        """Why its objects and references are not all its own: they may be anybody's, so git is not let near them."""
        found = []
        if self.borrows:
            found.append(
                "it borrows objects from another repository; `git repack -a -d` there copies them, then delete its "
                "objects/info/alternates"
            )
        if not {"objects", "refs"} <= self.folders or any(_is_held(each) for each in self.links):
            found.append("its objects or references are links, or there are links among them")
        if self.closed:
            found.append(f"this user may not read all of it: {self.closed[0]}")
        return tuple(found)

    @property
    def stays(self) -> tuple[str, ...]:
        """What would not go along."""
        links = (f"{each}, a link," for each in self.links if not _is_held(each))
        return (*links, *sorted(self.unknown))


def look_inside(common: Path | int) -> Inside:
    """Look through the folder of a repository, or its descriptor; no link is followed."""
    inside = Inside()

    def lost(path: str, error: OSError) -> None:
        if isinstance(error, PermissionError):
            inside.closed.append(path)

    for node in walk(common, lost=lost, entered=lambda node: node.path.partition("/")[0] in _LOOKED_INTO):
        first = node.path.partition("/")[0]
        if node.is_symlink:
            inside.links.append(node.path)
        elif node.is_folder:
            inside.folders.add(node.path)
        elif first in _LOOKED_INTO and node.is_file:
            inside.size += node.facts.st_size if first in {"objects", "lfs"} else 0
            inside.borrows |= node.path == "objects/info/alternates" and node.facts.st_size > 0
            if not os.access(node.name, os.R_OK, dir_fd=node.folder, effective_ids=True):
                inside.closed.append(node.path)
        if node.path == first and first not in _KNOWN and not _TRANSIENT.fullmatch(first):
            inside.unknown.append(first)
    return inside


def _is_held(path: str) -> bool:
    return path.partition("/")[0] in {"objects", "refs"}


def _read(path: Path) -> bytes | None:
    """A file of git's, None where there is none, or another thing in its place. Raises PermissionError."""
    try:
        with open_regular(path) as file:
            return file.read(_MOST)
    except PermissionError:
        raise
    except OSError:
        return None


def _line(content: bytes) -> str:
    return os.fsdecode(content.rstrip(b"\r\n")).replace("\0", "")


def _join(first: str, second: str) -> str:
    return posixpath.join(first, second) if first else second
