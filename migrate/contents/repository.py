"""Makes a repository of its own out of a linked git worktree. The repository that it belongs to is only read.

git works in the new repository alone, whose settings are ours. References, index and what git has under way are copied
as files; objects are read by git through the new repository, so that nothing which the old one says comes into force.
"""

import os
import posixpath
import re
import shutil
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from bottle.errors import BottleError, PreflightRefused
from bottle.files import tree
from migrate.contents.git import Git, GitFailed, Setting
from migrate.contents.index import Index, IndexEntry, compare, edited_since, look
from migrate.contents.outside import Worktree
from migrate.contents.survey import OWN_STATE, look_inside, read_settings

_MOST_STATE = 1 << 20  # bytes of a file of git's state in which names of objects are looked for
_PER_WORKTREE = ("refs/bisect", "refs/worktree", "refs/rewritten")  # gitrepository-layout(5)
_SHARED = frozenset({"refs", "logs", "hooks", "info", "lfs", "rr-cache", "shallow", "description"})
_COMMON = _SHARED | {"packed-refs", "config"}
_SHARED_INFO = ("info/attributes", "info/exclude", "info/grafts")
_OBJECT = {False: re.compile(rb"\b[0-9a-f]{40}\b"), True: re.compile(rb"\b[0-9a-f]{64}\b")}
# What is left of a rebase, a cherry-pick or a revert: `pick NAME SUBJECT`, the name at any length that tells it.
_LEFT = re.compile(rb"^\s*[a-z]+\s+(?:-[cC]\s+)?([0-9a-f]{4,64})\b", re.MULTILINE)
_STATE = re.compile(
    r"[A-Z_]*_HEAD|AUTO_MERGE|MERGE_AUTOSTASH|BISECT_[A-Z_]+|(?:rebase-merge|rebase-apply|sequencer)/.*"
)


@dataclass(slots=True)
class Repositories:
    """What travels in place of the `.git` files of `worktrees` in `folder`: repositories of their own, in `staging`.

    They are made at the first look, and anew where what they were made of has changed since.
    """

    worktrees: tuple[Worktree, ...]
    folder: Path
    staging: Path
    git: Git
    leave_out: frozenset[str] = frozenset()
    _seen: dict[str, tuple[IndexEntry | None, Index, Index]] = field(init=False, default_factory=dict)
    _made: Counter[str] = field(init=False, default_factory=Counter)

    def __post_init__(self) -> None:
        tree.discard(self.staging)

    @property
    def exchanged(self) -> Mapping[str, Path]:
        """For the path of each such file, a folder that holds nothing but what is to travel in its place."""
        return {each.path: self._place(each) / "repository" for each in self.worktrees}

    def look(self) -> Index:
        """What is in the folder now, with the repositories in their places.

        Raises OSError where something cannot be looked at, PreflightRefused where a repository cannot be made.
        """
        found = look(self.folder, self.leave_out)
        entries = dict(found.entries)
        for worktree in self.worktrees:
            self._refresh(worktree, entries.pop(worktree.path, None))
            made = look(self._place(worktree) / "repository" / ".git")
            # Nobody else writes there, so nothing there is in doubt, however new: what counts is which making it is of.
            making = -self._made[worktree.path]
            entries |= {
                posixpath.normpath(posixpath.join(worktree.path, path)): replace(each, ctime=making)
                for path, each in made.entries.items()
            }
        return Index(begun=found.begun, ended=time.time_ns(), entries=entries)

    def rehearse(self) -> None:
        """See that all of them can be made. Raises PreflightRefused."""
        try:
            for worktree in self.worktrees:
                self._make(worktree, trial=True)
        finally:
            tree.discard(self.staging)

    def _place(self, worktree: Worktree) -> Path:
        return self.staging / str(self.worktrees.index(worktree))

    def _refresh(self, worktree: Worktree, dotgit: IndexEntry | None) -> None:
        admin = _look_at(Path(worktree.admin), lambda name: name not in OWN_STATE or name == "config.worktree")
        now = (dotgit, admin, _look_at(Path(worktree.common), lambda name: name in _COMMON))
        before = self._seen.get(worktree.path)
        if before is not None and before[0] != dotgit:
            raise OSError(f"{self.folder / worktree.path} was changed meanwhile")
        self._seen[worktree.path] = now
        if before is None or compare(before[1], now[1]) or compare(before[2], now[2]):
            self._make(worktree, trial=False)
            self._made[worktree.path] += 1

    def _make(self, worktree: Worktree, *, trial: bool) -> None:
        place, folder = self._place(worktree), self.folder / posixpath.dirname(worktree.path)
        tree.discard(place)
        try:
            place.mkdir(mode=0o700, parents=True)
            _make(worktree, self.folder, place, self.git, trial=trial)
        except (GitFailed, OSError) as exc:
            what = exc.what if isinstance(exc, BottleError) else str(exc)
            raise PreflightRefused(
                f"the git worktree {folder} cannot be made a repository of its own: {what}",
                left="nothing was sent; neither the worktree nor its repository was changed",
                next_step=f"git -C {folder} fsck",
            ) from exc


def _look_at(folder: Path, wanted: Callable[[str], bool]) -> Index:
    """What is below the things in a folder of git's that are `wanted`: those that are copied.

    Objects are none of them, and never change: that one is needed shows in what names it.
    """
    found = look(folder, frozenset(each.name for each in folder.iterdir() if not wanted(each.name)))
    return replace(found, entries={path: entry for path, entry in found.entries.items() if path != "."})


def _make(worktree: Worktree, folder: Path, place: Path, git: Git, *, trial: bool) -> None:
    form = ("--object-format=sha256",) if worktree.sha256 else ()  # which a git before 2.29 does not know
    git.run("init", "--quiet", "--template=", *form, "repository", cwd=place)
    made = place / "repository" / ".git"
    _carry_settings(read_settings(Path(worktree.admin), Path(worktree.common), git), made, git)
    with _held(worktree.admin) as admin, _held(worktree.common) as common:
        copied = _copy_files(admin, common, made)
        _take_objects(worktree, common, made, git, trial=trial)
    _dress(made, copied, (folder / worktree.path).lstat())


def _carry_settings(settings: Iterable[Setting], made: Path, git: Git) -> None:
    told: set[str] = set()
    for setting in (each.carried for each in settings if each.travels):
        # A setting without a value means true, and has no spelling on the command line.
        value = "true" if setting.value is None else setting.value
        how = "--add" if setting.key in told else "--replace-all"  # of what `git init` has said
        git.run("config", "--file", str(made / "config"), how, "--", setting.key, value, cwd=made)
        told.add(setting.key)


@contextmanager
def _held(path: str) -> Iterator[int]:
    """A folder that is at `path` itself: none that somebody has put a link to in its place since it was looked at."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if Path(f"/proc/self/fd/{descriptor}").readlink() != Path(path):
            raise GitFailed(f"{path} was moved away meanwhile")
        yield descriptor
    finally:
        os.close(descriptor)


def edited_in_repository(worktree: Worktree, moment: int) -> tuple[str, ...]:
    """What travels of a worktree's repository, but for objects, and may have been changed after `moment`, in ns.

    These are absolute paths. Raises OSError where it cannot be looked at.
    """
    found: list[str] = []
    for top, travels in ((worktree.admin, _is_own), (worktree.common, _is_common)):
        edited = edited_since(look(Path(top), frozenset({"objects"})), moment)
        found += [posixpath.join(top, path) for path in edited if path != "." and travels(path)]
    return tuple(found)


def _is_own(path: str) -> bool:
    """HEAD and the index are the worktree's own, and so is whatever it is in the middle of."""
    return path.partition("/")[0] not in OWN_STATE


def _is_common(path: str) -> bool:
    return path in {"packed-refs", "config"} or _is_shared(path)


def _is_shared(path: str) -> bool:
    if path.partition("/")[0] not in _SHARED:
        return False
    if path.startswith("info/"):
        return path in _SHARED_INFO
    if path.startswith("hooks/"):
        return not path.endswith(".sample")
    return path != "logs/HEAD" and not path.startswith(_PER_WORKTREE)


def _copy_files(admin: int, common: int, made: Path) -> set[str]:
    """All that git keeps as files, for the worktree and for the repository; their paths."""
    copied = _copy(common, made, _is_shared)
    # After the others, as git moves references from there into this file.
    copied |= _copy(common, made, lambda path: path == "packed-refs")
    return copied | _copy(admin, made, _is_own)


def _copy(source: int, target: Path, wanted: Callable[[str], bool]) -> set[str]:
    """Copy the files below `source` that are `wanted`; locks of a git at work, and links, are not."""
    copied = set()
    for node in tree.walk(source, lost=_gone, entered=lambda node: wanted(node.path)):
        path = node.path
        if not node.is_file or not wanted(path) or path.endswith(".lock"):
            continue
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        with node.open() as read, (target / path).open("wb") as write:
            shutil.copyfileobj(read, write)
        (target / path).chmod(stat.S_IMODE(node.facts.st_mode) & 0o777 | 0o600)
        os.utime(target / path, ns=(node.facts.st_mtime_ns, node.facts.st_mtime_ns))
        copied.add(path)
    return copied


def _gone(_: str, error: OSError) -> None:
    """A git that is at work takes its files away; anything else that cannot be read cannot be left out either."""
    if not isinstance(error, FileNotFoundError):
        raise error


def _take_objects(worktree: Worktree, common: int, made: Path, git: Git, *, trial: bool) -> None:
    """Copy all objects that references, reflogs, the index and what is under way need; then prove that none lacks."""
    objects = f"/proc/self/fd/{common}/objects"  # git has the descriptor too
    _require_own(worktree, common)
    tips = _tips(made, git, worktree, common, objects)
    everything = ("--all", "--reflog", "--indexed-objects")
    if not trial:
        packing = ("pack-objects", "--quiet", "--non-empty", "--revs", *everything, str(made / "objects/pack/pack"))
        git.run(*packing, cwd=made, stdin=tips, environ=_in(made, objects), keeps=(common,))
        _require_own(worktree, common)
    proving = ("rev-list", "--quiet", "--objects", *everything, "--stdin")
    git.run(*proving, cwd=made, stdin=tips, environ=_in(made, objects if trial else None), keeps=(common,))


def _require_own(worktree: Worktree, common: int) -> None:
    """Before and after: whoever else may write in that repository could have made it borrow meanwhile."""
    obstacles = look_inside(common).obstacles
    if obstacles:
        raise GitFailed(f"{worktree.common}: {obstacles[0]}")


def _in(made: Path, borrowed: str | None = None) -> dict[str, str]:
    environ = {"GIT_DIR": str(made)}
    return environ if borrowed is None else {**environ, "GIT_ALTERNATE_OBJECT_DIRECTORIES": borrowed}


def _tips(made: Path, git: Git, worktree: Worktree, common: int, objects: str) -> bytes:
    """The objects that a merge, a rebase or another thing under way names, a line each: git packs none of them."""
    names: dict[bytes, None] = {}
    for node in tree.walk(made):
        if node.is_file and _STATE.fullmatch(node.path):
            with node.open() as file:
                content = file.read(_MOST_STATE)
            names |= dict.fromkeys(_OBJECT[worktree.sha256].findall(content))
            names |= dict.fromkeys(name + b"^{commit}" for name in _LEFT.findall(content))
    listed = b"".join(name + b"\n" for name in names)
    checked = git.run("cat-file", "--batch-check", cwd=made, stdin=listed, environ=_in(made, objects), keeps=(common,))
    found = (line.split(b" ")[0] for line in checked.splitlines() if not line.endswith((b" missing", b" ambiguous")))
    return b"".join(name + b"\n" for name in found)


def _dress(made: Path, copied: set[str], dotgit: os.stat_result) -> None:
    """Give it the owner of the file that it replaces, and to what was made here that file's time: one tar each time."""
    for node in (*tree.walk(made), None):
        path = made if node is None else made / node.path
        if node is None or node.path not in copied:
            os.utime(path, ns=(dotgit.st_mtime_ns, dotgit.st_mtime_ns))
        if os.geteuid() == 0:
            os.lchown(path, dotgit.st_uid, dotgit.st_gid)
