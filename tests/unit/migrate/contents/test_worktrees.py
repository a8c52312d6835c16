"""Git worktrees become repositories of their own, by the real git; and nothing else of this host is let out."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bottle.errors import PreflightRefused
from bottle.files import tree
from migrate.contents.git import Git
from migrate.contents.index import GRAIN
from migrate.contents.live_folder import keep_up
from migrate.contents.outside import OutsideNeeds, weigh
from migrate.contents.packing import live_folder
from migrate.contents.repository import Repositories
from migrate.contents.survey import survey
from migrate.image.spool import DirectorySpool
from migrate.model import Codec
from tests.support.git import commit, git, repository, view, worktree
from tests.support.trees import snapshot

GIT = Git.find()


def look(folder: Path, lands: str | None = None, git: Git = GIT) -> OutsideNeeds:
    return weigh(survey(folder, git), workdir="/workspace", lands=lands or str(folder))


def move(folder: Path, into: Path) -> Path:
    """What arrives of a workspace, and with what it needs."""
    outside = look(folder)
    assert outside.left == ()
    made = Repositories(outside.carried, folder, into.parent / "staging", GIT)
    made.rehearse()
    assert not (into.parent / "staging").exists()
    made.look()
    assert made.exchanged
    shutil.copytree(folder, into, symlinks=True)
    for path, place in made.exchanged.items():
        (into / path).unlink()
        assert [each.name for each in place.iterdir()] == [".git"]
        shutil.copytree(place / ".git", into / path, symlinks=True)
    return into


@pytest.fixture
def main(tmp_path: Path) -> Path:
    return repository(tmp_path / "main")


def plain(main: Path, folder: Path) -> None:
    worktree(main, folder)


def relative(main: Path, folder: Path) -> None:
    """As git 2.48 and later make them with worktree.useRelativePaths."""
    worktree(main, folder)
    (folder / ".git").write_text("gitdir: ../main/.git/worktrees/try\n")
    (main / ".git/worktrees/try/gitdir").write_text("../../../../try/.git\n")


def detached(main: Path, folder: Path) -> None:
    worktree(main, folder)
    git(folder, "checkout", "--quiet", "--detach")
    commit(folder, "third")


def unborn(main: Path, folder: Path) -> None:
    worktree(main, folder)
    git(folder, "checkout", "--quiet", "--orphan", "fresh")


def packed(main: Path, folder: Path) -> None:
    worktree(main, folder)
    git(main, "tag", "-a", "-m", "a tag", "v1")
    git(main, "gc", "--quiet")


def sparse(main: Path, folder: Path) -> None:
    commit(main, "deep/er/file")
    worktree(main, folder)
    git(folder, "sparse-checkout", "set", "--cone", "other")


def split_index(main: Path, folder: Path) -> None:
    worktree(main, folder)
    git(folder, "update-index", "--split-index")


def merging(main: Path, folder: Path) -> None:
    worktree(main, folder)
    git(folder, "commit", "--quiet", "-a", "-m", "all")
    commit(main, "staged", "other")
    with pytest.raises(AssertionError):
        git(folder, "merge", "main")


def merging_what_no_reference_names(main: Path, folder: Path) -> None:
    merging(main, folder)
    (main / "lost").write_text("only MERGE_HEAD knows it")
    git(main, "add", "lost")
    lost = git(main, "commit-tree", "-p", "main", "-m", "lost", git(main, "write-tree").strip()).strip()
    (main / ".git/worktrees/try/MERGE_HEAD").write_text(f"{lost}\n")


def rebasing(main: Path, folder: Path) -> None:
    worktree(main, folder)
    git(folder, "commit", "--quiet", "-a", "-m", "all")
    commit(folder, "fourth")
    commit(main, "staged", "other")
    with pytest.raises(AssertionError):
        git(folder, "rebase", "main")


def picking(main: Path, folder: Path) -> None:
    """What is left of it, git notes down by abbreviated names; nothing else names it."""
    worktree(main, folder)
    git(folder, "commit", "--quiet", "-a", "-m", "all")
    git(main, "worktree", "add", "--quiet", "--detach", "other")
    picked = [commit(main / "other", name) for name in ("staged", "fourth", "fifth")]
    with pytest.raises(AssertionError):
        git(folder, "cherry-pick", *picked)
    git(main, "worktree", "remove", "--force", "other")


def bisecting(main: Path, folder: Path) -> None:
    worktree(main, folder)
    git(folder, "bisect", "start", "HEAD", "main")


def of_a_bare_repository(main: Path, folder: Path) -> None:
    git(main.parent, "clone", "--quiet", "--bare", str(main), "bare.git")
    git(main.parent / "bare.git", "remote", "remove", "origin")
    worktree(main.parent / "bare.git", folder)


def shallow(main: Path, folder: Path) -> None:
    commit(main, "more")
    git(main.parent, "clone", "--quiet", "--depth=1", f"file://{main}", "shallow")
    worktree(main.parent / "shallow", folder)


def with_replaced_objects(main: Path, folder: Path) -> None:
    worktree(main, folder)
    git(folder, "replace", "--graft", "HEAD")


def with_a_pruned_reflog(main: Path, folder: Path) -> None:
    worktree(main, folder)
    log = main / ".git/logs/refs/heads/try"
    log.write_text(f"{'0' * 40} {'1' * 40} A <a@example.org> 1700000000 +0000\tgone\n" + log.read_text())


def of_sha256(main: Path, folder: Path) -> None:
    worktree(repository(main.parent / "other", "--object-format=sha256"), folder)


KINDS: tuple[Callable[[Path, Path], None], ...] = (
    plain, relative, detached, unborn, packed, sparse, split_index, merging, merging_what_no_reference_names, rebasing,
    picking, bisecting, of_a_bare_repository, shallow, with_replaced_objects, with_a_pruned_reflog, of_sha256,
)  # fmt: skip


@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_a_worktree_is_what_it_was_without_its_repository(
    main: Path, tmp_path: Path, make: Callable[[Path, Path], None]
) -> None:
    make(main, tmp_path / "try")
    here = view(tmp_path / "try")
    common = Path(git(tmp_path / "try", "rev-parse", "--path-format=absolute", "--git-common-dir").strip())
    index = (Path(git(tmp_path / "try", "rev-parse", "--absolute-git-dir").strip()) / "index").read_bytes()
    before = snapshot(common)
    there = move(tmp_path / "try", tmp_path / "elsewhere" / "there")
    assert snapshot(common) == before
    assert (there / ".git" / "index").read_bytes() == index
    common.rename(tmp_path / "gone")  # nothing of it is needed any more
    assert view(there) == here
    git(there, "fsck", "--connectivity-only", *(["--no-reflogs"] if make is with_a_pruned_reflog else []))
    if make is merging_what_no_reference_names:
        git(there, "rev-list", "--objects", "MERGE_HEAD")
    if make is picking:
        git(there, "checkout", "--ours", "staged")
        git(there, "add", "staged")
        git(there, "-c", "core.editor=true", "commit", "--quiet", "--allow-empty", "--no-edit")
        git(there, "cherry-pick", "--continue")
        assert {(there / name).read_text() for name in ("fourth", "fifth")} == {"fourth", "fifth"}
    if make is sparse:
        assert git(there, "sparse-checkout", "list") == "other\n"
    git(there, "stash", "list")
    assert not (there / ".git" / "objects" / "info" / "alternates").exists()


def test_the_same_worktree_is_the_same_repository_each_time(main: Path, tmp_path: Path) -> None:
    folder = worktree(main, tmp_path / "try")
    first, second = (move(folder, tmp_path / name / "there") / ".git" for name in ("a", "b"))
    assert snapshot(first) == snapshot(second)


def test_what_is_data_of_the_settings_goes_along_and_what_acts_or_is_secret_does_not(
    main: Path, tmp_path: Path
) -> None:
    folder = worktree(main, tmp_path / "try")
    for key, value in (
        ("remote.origin.url", "https://me:token@example.org/it.git"),
        ("remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"),
        ("remote.mail.url", "ssh://me@example.org/it.git"),
        ("branch.try.remote", "origin"),
        ("user.email", "-me@example.org"),
        ("core.fsmonitor", "touch /tmp/x"),
        ("alias.ours", "!true"),
        ("http.extraheader", "Authorization: basic secret"),
        ("include.path", "/somewhere/else"),
        ("filter.lfs.clean", "git-lfs clean -- %f"),
        ("filter.lfs.smudge", "evil"),
    ):
        git(main, "config", key, value)
    told = "\n".join(look(folder).told)
    for name in ("core.fsmonitor", "alias.ours", "http.extraheader", "include.path", "filter.lfs.smudge"):
        assert name in told
    assert "the login in remote.origin.url" in told
    assert "token" not in told
    settings = (move(folder, tmp_path / "elsewhere" / "there") / ".git" / "config").read_text()
    assert "https://example.org/it.git" in settings
    assert "ssh://me@example.org/it.git" in settings
    assert "-me@example.org" in settings
    assert "git-lfs clean" in settings
    for secret in ("token", "basic", "touch", "!true", "somewhere", "evil"):
        assert secret not in settings


def test_hooks_and_lfs_objects_go_along_and_what_is_unknown_is_named(main: Path, tmp_path: Path) -> None:
    folder = worktree(main, tmp_path / "try")
    (main / ".git/hooks").mkdir(exist_ok=True)
    (main / ".git/hooks/pre-push").write_text("#!/bin/sh\n")
    (main / ".git/hooks/pre-push").chmod(0o755)
    (main / ".git/hooks/pre-commit").symlink_to("/etc/passwd")
    (main / ".git/lfs/objects/ab").mkdir(parents=True)
    (main / ".git/lfs/objects/ab/abcd").write_text("large")
    (main / ".git/annex").mkdir()
    for name in ("MERGE_RR", "BISECT_LOG", "MERGE_MODE", "EDIT_DESCRIPTION", "sharedindex.0123", "index.lock"):
        (main / ".git" / name).touch()  # the main worktree's own
    outside = look(folder)
    told = "\n".join(outside.told)
    assert "pre-commit" in told
    assert "annex" in told
    assert len(outside.told) == 2, told
    assert outside.carried[0].size == 5 + sum(each.stat().st_size for each in (main / ".git/objects").glob("??/*"))
    there = move(folder, tmp_path / "elsewhere" / "there") / ".git"
    assert os.access(there / "hooks/pre-push", os.X_OK)
    assert not (there / "hooks/pre-commit").is_symlink()
    assert (there / "lfs/objects/ab/abcd").read_text() == "large"


def test_worktrees_deep_in_a_workspace_go_along_too(main: Path, tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    for name in ("a/one", "b/two"):
        worktree(main, top / name)
    outside = look(top)
    assert [each.path for each in outside.carried] == ["a/one/.git", "b/two/.git"]
    there = move(top, tmp_path / "elsewhere" / "there")
    assert view(there / "b/two") == view(top / "b/two")


# --- what does not point out ------------------------------------------------------------------------------------------


def test_what_is_inside_needs_nothing(main: Path, tmp_path: Path) -> None:
    sub = repository(tmp_path / "sub")
    git(main, "submodule", "--quiet", "add", str(sub), "module")
    git(main, "commit", "--quiet", "-m", "module")
    git(main, "worktree", "add", "--quiet", "-b", "inner", "inner")
    (main / "here").symlink_to("first")
    (main / "python").symlink_to("/usr/bin/env")
    (main / "dangling").symlink_to("/nowhere/at/all")
    assert look(main) == OutsideNeeds(told=(f"git remote origin of .git/modules/module, {sub}, is on this host",))
    moved = "\n".join(look(main, lands="/elsewhere").told)
    assert "git worktree repair" in moved


def test_paths_as_the_agent_sees_them_are_inside(main: Path, tmp_path: Path) -> None:
    """Made in the container, where the workspace is at /workspace."""
    git(main, "worktree", "add", "--quiet", "-b", "inner", "inner")
    (main / "inner/.git").write_text("gitdir: /workspace/.git/worktrees/inner\n")
    (main / ".git/worktrees/inner/gitdir").write_text("/workspace/inner/.git\n")
    (main / "link").symlink_to("/workspace/first")
    git(main, "config", "core.hooksPath", "/workspace/hooks")
    assert look(main, lands="/elsewhere") == OutsideNeeds()


# --- what does, and cannot be carried ---------------------------------------------------------------------------------


def separate(main: Path, folder: Path) -> str:
    git(main, "clone", "--quiet", "--separate-git-dir", str(folder.parent / "kept.git"), str(main), str(folder))
    return "kept.git"


def submodule(main: Path, folder: Path) -> str:
    top = repository(folder.parent / "top")
    git(top, "submodule", "--quiet", "add", str(main), "module")
    (top / "module").rename(folder)
    (folder / ".git").write_text(f"gitdir: {top / '.git/modules/module'}\n")
    return "modules/module"


def borrowing(main: Path, folder: Path) -> str:
    git(main, "clone", "--quiet", "--shared", str(main), str(folder))
    return "borrows"


def work_tree(main: Path, folder: Path) -> str:
    repository(folder)
    git(folder, "config", "core.worktree", str(main))
    return str(main)


def work_tree_in_a_bare_repository(main: Path, folder: Path) -> str:
    folder.mkdir()
    git(folder, "init", "--quiet", "--bare", "deep.git")
    (folder / "deep.git/config").write_text(f"[core]\n\tworktree = {main}\n")
    return "deep.git"


def hooks(main: Path, folder: Path) -> str:
    repository(folder)
    git(folder, "config", "core.hooksPath", "../main")
    return "core.hookspath"


def included(main: Path, folder: Path) -> str:
    repository(folder)
    git(folder, "config", "includeIf.gitdir:/.path", str(main / ".git/config"))
    return "includeif.gitdir:/.path"


def large_files(main: Path, folder: Path) -> str:
    repository(folder)
    git(folder, "config", "lfs.storage", str(main))
    return "lfs.storage"


def worktree_with_large_files(main: Path, folder: Path) -> str:
    worktree(main, folder)
    (main.parent / "store").mkdir()
    git(main, "config", "lfs.storage", "../../store")
    return "../../store, which lfs.storage in .git names"


def common(main: Path, folder: Path) -> str:
    """A git folder inside, which says that all the rest is elsewhere."""
    repository(folder)
    (folder / ".git/commondir").write_text(f"{main / '.git'}\n")
    return "commondir"


def link(main: Path, folder: Path) -> str:
    folder.mkdir()
    (folder / "data").symlink_to("../main")
    return "data -> ../main"


def linked_repository(main: Path, folder: Path) -> str:
    folder.mkdir()
    (folder / ".git").symlink_to(main / ".git")
    return ".git -> "


def worktree_of_a_borrower(main: Path, folder: Path) -> str:
    git(main.parent, "clone", "--quiet", "--shared", str(main), "shared")
    worktree(main.parent / "shared", folder)
    return "borrows"


def worktree_of_a_partial_clone(main: Path, folder: Path) -> str:
    worktree(main, folder)
    git(main, "config", "remote.origin.promisor", "true")
    return "partial clone"


def worktree_of_reftables(main: Path, folder: Path) -> str:
    worktree(main, folder)
    git(main, "config", "extensions.refStorage", "reftable")
    return "reftable"


def worktree_with_a_submodule(main: Path, folder: Path) -> str:
    sub = repository(main.parent / "sub")
    git(main, "submodule", "--quiet", "add", str(sub), "module")
    git(main, "commit", "--quiet", "-m", "module")
    worktree(main, folder)
    git(folder, "submodule", "--quiet", "update", "--init")
    return "modules/module"


@pytest.mark.parametrize(
    "make",
    [
        separate, submodule, borrowing, work_tree, work_tree_in_a_bare_repository, hooks, included, common, link,
        linked_repository, worktree_of_a_borrower, worktree_of_a_partial_clone, worktree_of_reftables,
        worktree_with_a_submodule, large_files, worktree_with_large_files,
    ],
    ids=lambda make: make.__name__,
)  # fmt: skip
def test_what_cannot_be_carried_is_named(main: Path, tmp_path: Path, make: Callable[[Path, Path], str]) -> None:
    said = make(main, tmp_path / "try")
    outside = look(tmp_path / "try")
    assert len(outside.left) == 1, outside
    assert said in outside.left[0]


@pytest.mark.parametrize(
    ("place", "why"), [("/closed/main/.git/worktrees/try", "Permission denied"), ("/a" * 3000, "File name too long")]
)
def test_what_cannot_be_looked_at_from_here_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, why: str
) -> None:
    """As the agent made it in its container, say, where its user is root."""
    stat_of = os.stat

    def closed(path: Any, *args: Any, **options: Any) -> os.stat_result:
        if str(path).startswith("/closed"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return stat_of(path, *args, **options)

    (tmp_path / "try").mkdir()
    (tmp_path / "try/.git").write_text(f"gitdir: {place}\n")
    monkeypatch.setattr(os, "stat", closed)
    outside = look(tmp_path / "try")
    assert (outside.left, outside.carried) == ((), ())
    (line,) = outside.told
    assert line.endswith(f": it cannot be looked at from here: {why}")
    assert len(line) < 500


@pytest.mark.parametrize("name", ["packed", "try"])
def test_a_repository_of_which_not_all_may_be_read_is_not_carried(
    main: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder = worktree(main, tmp_path / "try")
    (main / ".git/objects/packed").mkdir()
    access, opened = os.access, os.open

    def closed(path: Any, *args: Any, **options: Any) -> int:
        if path == name:
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return opened(path, *args, **options)

    monkeypatch.setattr(os, "open", closed)
    monkeypatch.setattr(os, "access", lambda path, *args, **options: path != name and access(path, *args, **options))
    (line,) = look(folder).left
    assert "this user may not read all of it" in line
    assert name in line


def test_remotes_on_this_host_are_told_however_they_are_spelt(main: Path, tmp_path: Path) -> None:
    folder = worktree(main, tmp_path / "try")
    bare = tmp_path / "a bare.git"
    git(main.parent, "clone", "--quiet", "--bare", str(main), str(bare))
    for key, value in (
        ("remote.one.url", str(bare)),
        ("remote.two.url", f"file://{tmp_path}/a%20bare.git"),
        ("remote.three.pushurl", f"file://localhost{bare}"),
        ("remote.four.url", "../a bare.git"),
        ("lfs.url", f"file://{bare}"),
        ("remote.five.url", "https://example.org/it.git"),
    ):
        git(main, "config", key, value)
    for place in (main, folder):
        told = [line for line in look(place).told if line.endswith("is on this host")]
        assert [line.split()[2] for line in told] == ["four", "lfs", "one", "three", "two"]


def test_without_git_a_worktree_is_named_and_settings_are_not_known(main: Path, tmp_path: Path) -> None:
    folder = worktree(main, tmp_path / "try")
    none = Git.find(str(tmp_path))
    (line,) = look(folder, git=none).left
    assert "git is not installed" in line
    assert "not looked at: the settings of .git, as git is not installed on this host" in look(main, git=none).told


def test_a_git_that_is_too_old_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "git").write_text("#!/bin/sh\necho git version 2.31.9\n")
    (tmp_path / "git").chmod(0o755)
    assert "older" in Git.find(str(tmp_path)).why_not


def test_other_worktrees_of_a_repository_that_travels_are_told(main: Path, tmp_path: Path) -> None:
    worktree(main, tmp_path / "try")
    outside = look(main)
    assert outside.left == ()
    assert any(str(tmp_path / "try") in line for line in outside.told)


def test_many_links_are_counted(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "data").touch()
    for number in range(50):
        (tmp_path / "w" / f"{number:02}").symlink_to("../data")
    left = look(tmp_path / "w").left
    assert len(left) == 21
    assert "30 more" in left[-1]


def test_a_head_that_is_a_link_hides_no_repository(main: Path, tmp_path: Path) -> None:
    """As git before 1.5.5 made them, and as git still reads them."""
    borrowing(main, tmp_path / "try")
    head = tmp_path / "try/.git/HEAD"
    head.unlink()
    head.symlink_to("refs/heads/main")
    assert "borrows" in look(tmp_path / "try").left[0]


def test_what_is_not_looked_into_is_told(main: Path, tmp_path: Path) -> None:
    (main / ".git/config").rename(main / "config")
    (main / ".git/config").symlink_to("../config")
    (main / ".git/objects/info").mkdir(exist_ok=True)
    (main / ".git/objects/info/alternates").write_bytes(b"#" * (2 << 20))
    assert look(main).told == (
        "not looked at: .git/config, as it is a link",
        "not looked at: .git/objects/info/alternates, as there is too much of it",
    )


def test_a_workspace_as_deep_as_agents_make_them_is_looked_through(tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    (tmp_path / "data").touch()
    try:
        place = os.open(top, os.O_RDONLY)
        for _ in range(1500):
            os.mkdir("sub-folder", dir_fd=place)
            below = os.open("sub-folder", os.O_RDONLY, dir_fd=place)
            os.close(place)
            place = below
        os.symlink(tmp_path / "data", "deep", dir_fd=place)
        os.close(place)
        (line,) = look(top).left
        assert line.endswith(f"sub-folder/deep -> {tmp_path / 'data'}")
    finally:
        tree.remove(top)  # pytest could not


# --- an agent that lies -----------------------------------------------------------------------------------------------


def test_a_repository_that_does_not_know_of_the_workspace_is_not_carried(main: Path, tmp_path: Path) -> None:
    """The `.git` file is the agent's to write: it may name anybody's repository, or anybody's worktree."""
    worktree(main, tmp_path / "private")
    (tmp_path / "try").mkdir()
    for named in (main / ".git", main / ".git/worktrees/private", main, "../main/.git/worktrees/../worktrees/private"):
        (tmp_path / "try/.git").write_text(f"gitdir: {named}\n")
        outside = look(tmp_path / "try")
        assert outside.carried == ()
        assert len(outside.left) == 1


def test_a_worktree_that_is_moved_over_is_not_carried(main: Path, tmp_path: Path) -> None:
    """`cp -a` of a worktree names a repository that knows of the original only."""
    worktree(main, tmp_path / "private")
    shutil.copytree(tmp_path / "private", tmp_path / "try", symlinks=True)
    (line,) = look(tmp_path / "try").left
    assert f"belongs to {tmp_path / 'private/.git'}" in line


def test_a_record_that_says_its_repository_is_elsewhere_is_not_believed(main: Path, tmp_path: Path) -> None:
    """The agent of the main working tree may write the records of all worktrees."""
    folder = worktree(main, tmp_path / "try")
    private = repository(tmp_path / "private")
    (main / ".git/worktrees/try/commondir").write_text(f"{private / '.git'}\n")
    (line,) = look(folder).left
    assert "not the record of a worktree of the repository that it is in" in line


@pytest.mark.parametrize("name", ["objects", "refs", "objects/pack", "refs/heads/private"])
def test_a_repository_whose_insides_are_links_is_not_carried(main: Path, tmp_path: Path, name: str) -> None:
    folder = worktree(main, tmp_path / "try")
    private = repository(tmp_path / "private")
    place = main / ".git" / name
    if place.is_dir():
        place.rename(tmp_path / "aside")
    place.symlink_to(private / ".git" / ("refs/heads/main" if name.endswith("private") else name))
    (line,) = look(folder).left
    assert "links among" in line or "folders of its own" in line


@pytest.mark.parametrize("name", ["description", "info/exclude", "logs", "hooks", "lfs", "worktrees/try/ORIG_HEAD"])
def test_no_link_is_followed_out_of_a_repository(main: Path, tmp_path: Path, name: str) -> None:
    folder = worktree(main, tmp_path / "try")
    secret = tmp_path / "secrets"
    secret.mkdir()
    (secret / "secret").write_text("hush-4711")
    place = main / ".git" / name
    if place.is_dir():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(secret if name in {"logs", "hooks", "lfs"} else secret / "secret")
    there = move(folder, tmp_path / "elsewhere" / "there")
    for file in (there / ".git").rglob("*"):
        assert not file.is_symlink()
        assert not file.is_file() or b"hush-4711" not in file.read_bytes()


def test_nothing_that_a_repository_says_is_run(main: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = worktree(main, tmp_path / "try")
    marker = tmp_path / "marker"
    run = tmp_path / "run"
    run.write_text(f"#!/bin/sh\ntouch {marker}\n")
    run.chmod(0o755)
    (tmp_path / "included").write_text(f"[core]\n\tfsmonitor = {run}\n")
    (folder / ".gitattributes").write_text("* filter=evil diff=evil\n")
    settings = (
        ("core.fsmonitor", str(run)), ("core.pager", str(run)), ("core.editor", str(run)),
        ("core.sshCommand", str(run)),
        ("core.alternateRefsCommand", str(run)), ("core.hooksPath", str(tmp_path)), ("filter.evil.clean", str(run)),
        ("filter.evil.smudge", str(run)), ("diff.evil.textconv", str(run)), ("uploadpack.packObjectsHook", str(run)),
        ("gpg.program", str(run)), ("include.path", str(tmp_path / "included")), ("pager.config", str(run)),
        ("alias.config", f"!{run}"), ("trace2.eventTarget", str(marker)),
    )  # fmt: skip
    for key, value in settings:
        git(main, "config", key, value)
    for hook in ("reference-transaction", "post-checkout", "post-index-change", "pre-auto-gc"):
        shutil.copy(run, tmp_path / hook)
        (main / ".git/hooks").mkdir(exist_ok=True)
        shutil.copy(run, main / ".git/hooks" / hook)
    marker.unlink(missing_ok=True)
    monkeypatch.setenv("GIT_DIR", str(main / ".git"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(main / ".git/config"))
    monkeypatch.setenv("GIT_TRACE", str(marker))
    look(main)
    move(folder, tmp_path / "elsewhere" / "there")
    assert not marker.exists()


# --- when it does not work --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trial", [True, False])
def test_a_repository_that_lacks_objects_is_refused(main: Path, tmp_path: Path, trial: bool) -> None:
    folder = worktree(main, tmp_path / "try")
    blob = git(folder, "rev-parse", "HEAD:second").strip()
    (main / ".git/objects" / blob[:2] / blob[2:]).unlink()
    made = Repositories(look(folder).carried, folder, tmp_path / "staging", GIT)
    with pytest.raises(PreflightRefused, match="cannot be made a repository of its own"):
        made.rehearse() if trial else made.look()


# --- worked in while it travels ---------------------------------------------------------------------------------------


def refused(update: object) -> None:
    raise AssertionError(f"nothing had changed: {update}")


def test_a_repository_is_made_anew_where_it_changed_and_only_there(main: Path, tmp_path: Path) -> None:
    folder = worktree(main, tmp_path / "try")
    spool = DirectorySpool(tmp_path / "spool", Codec.NONE)
    time.sleep(2 * GRAIN / 1e9)
    live = live_folder(folder, spool, Repositories(look(folder).carried, folder, tmp_path / "staging", GIT))
    assert live.tarball.members[".git"] == stat.S_IFDIR
    keep_up(live, refused, left="", next_step="")
    packed = snapshot(tmp_path / "staging")
    keep_up(live, refused, left="", next_step="")
    assert snapshot(tmp_path / "staging") == packed

    for change in (
        lambda: commit(folder, "late"),
        lambda: git(folder, "add", "untracked"),
        lambda: git(main, "tag", "t"),
    ):
        change()
        update = live.update()
        assert update is not None
        assert ".git" in update.delta.edited
        assert not any(path.startswith(".git/") for path in update.delta.edited)
        assert any(path.startswith(".git/") for path in update.delta.changed)
        keep_up(live, lambda _: None, left="", next_step="")

    commit(main, "elsewhere")
    (main / ".git/index.lock").touch()
    keep_up(live, lambda _: None, left="", next_step="")
    os.utime(main / ".git/index")
    (main / ".git/index.lock").unlink()
    keep_up(live, refused, left="", next_step="")

    (folder / ".git").write_text("gitdir: /elsewhere\n")
    with pytest.raises(PreflightRefused, match="changed meanwhile"):
        live.update()
