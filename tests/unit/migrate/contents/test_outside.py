"""What of a workspace's pointers is carried, left behind or told, from facts alone."""

from __future__ import annotations

import pytest

from migrate.contents.git import Setting, parse_settings, repository_obstacles, staying_settings
from migrate.contents.outside import Need, OutsideNeeds, Pointer, Survey, Worktree, is_inside, weigh

FOLDER = "/home/me/project"


def pointer(needs: Need, text: str, leads: str, *, exists: bool = True) -> Pointer:
    return Pointer(needs=needs, path="sub/it", text=text, leads=leads, exists=exists, name="core.hookspath")


def judged(each: Pointer, *, workdir: str = "/workspace", lands: str | None = FOLDER) -> str:
    outside = weigh(Survey(folder=FOLDER, pointers=(each,)), workdir=workdir, lands=lands)
    return "left" if outside.left else "told" if outside.told else "nothing"


@pytest.mark.parametrize(
    ("needs", "text", "leads", "exists", "verdict"),
    [
        (Need.LINK, "../data", "/home/me/data", True, "left"),
        (Need.LINK, "/home/me/data", "/home/me/data", True, "left"),
        (Need.LINK, "/media/disk", "/media/disk", True, "left"),
        (Need.LINK, "/usr/bin/python3", "/usr/bin/python3.13", True, "nothing"),
        (Need.LINK, "/usr-local/x", "/usr-local/x", True, "left"),
        (Need.LINK, "/opt/venv/bin/python", "/opt/venv/bin/python", False, "nothing"),
        (Need.LINK, "/workspace/x", "/workspace/x", True, "nothing"),
        (Need.LINK, "/workspace/../data", "/data", True, "left"),
        (Need.LINK, f"{FOLDER}/x", f"{FOLDER}/x", True, "nothing"),
        (Need.REPOSITORY, "/home/me/main/.git", "/home/me/main/.git", True, "left"),
        (Need.REPOSITORY, "/usr/src/main/.git", "/usr/src/main/.git", True, "left"),
        (Need.REPOSITORY, "/home/me/main/.git", "/home/me/main/.git", False, "told"),
        (Need.REPOSITORY, "/workspace/.git/worktrees/x", "/workspace/.git/worktrees/x", False, "nothing"),
        (Need.COMMON, "/home/me/main/.git", "/home/me/main/.git", True, "left"),
        (Need.OBJECTS, "/home/me/main/.git/objects", "/home/me/main/.git/objects", True, "left"),
        (Need.OBJECTS, "/home/me/main/.git/objects", "/home/me/main/.git/objects", False, "told"),
        (Need.TREE, "/home/me/other", "/home/me/other", True, "left"),
        (Need.SETTING, "/home/me/hooks", "/home/me/hooks", True, "left"),
        (Need.SETTING, "/home/me/hooks", "/home/me/hooks", False, "nothing"),
        (Need.SETTING, "/etc/git/hooks", "/etc/git/hooks", True, "nothing"),
        (Need.REMOTE, "/home/me/main", "/home/me/main", True, "told"),
        (Need.REMOTE, "/workspace/x", "/workspace/x", False, "nothing"),
        (Need.WORKTREE, "/home/me/try/.git", "/home/me/try/.git", True, "told"),
        (Need.WORKTREE, "/home/me/try/.git", "/home/me/try/.git", False, "nothing"),
    ],
)
def test_what_is_here_and_outside_is_left_behind(
    needs: Need, text: str, leads: str, exists: bool, verdict: str
) -> None:
    assert judged(pointer(needs, text, leads, exists=exists)) == verdict


@pytest.mark.parametrize("lands", ["/elsewhere", None])
def test_the_path_of_the_workspace_here_means_nothing_where_it_lands_elsewhere(lands: str | None) -> None:
    inside = pointer(Need.REPOSITORY, f"{FOLDER}/.git/worktrees/x", f"{FOLDER}/.git/worktrees/x")
    assert judged(inside) == "nothing"
    assert judged(inside, lands=lands) == "told"
    assert (
        judged(pointer(Need.REPOSITORY, "../.git/worktrees/x", f"{FOLDER}/.git/worktrees/x"), lands=lands) == "nothing"
    )


def test_a_worktree_is_carried_unless_something_is_against_it() -> None:
    good = Worktree(path="try/.git", admin="/m/.git/worktrees/try", common="/m/.git", stays=("settings",))
    bad = Worktree(path=".git", admin="/n/.git/worktrees/w", common="/n/.git", obstacles=("a", "b"), stays=("more",))
    assert weigh(Survey(folder=FOLDER, worktrees=(good, bad)), workdir="/workspace", lands=FOLDER) == OutsideNeeds(
        carried=(good,),
        left=("git repository /n/.git, of which the workspace itself is a worktree: a; b",),
        told=("settings",),
    )
    assert good.line.startswith("git worktree try of /m/.git: as a repository of its own")


def test_is_inside() -> None:
    assert is_inside("/a/b", "/a")
    assert is_inside("/a", "/a")
    assert is_inside("/x", "/")
    assert not is_inside("/ab", "/a")
    assert not is_inside("/a/../b", "/a")
    assert not is_inside("a/b", "/a")


@pytest.mark.parametrize(
    ("key", "value", "travels"),
    [
        ("user.name", "Me", True),
        ("core.autocrlf", "input", True),
        ("branch.feature/x.y.merge", "refs/heads/main", True),
        ("remote.origin.url", "/somewhere", True),
        ("pull.rebase", None, True),
        ("filter.lfs.process", "git-lfs filter-process", True),
        ("filter.lfs.process", "git-lfs filter-process; evil", False),
        ("filter.other.clean", "evil", False),
        ("core.sshcommand", "evil", False),
        ("core.hookspath", "/evil", False),
        ("core.fsmonitor", "evil", False),
        ("core.worktree", "/evil", False),
        ("remote.origin.vcs", "evil", False),
        ("remote.origin.uploadpack", "evil", False),
        ("remote..url", "x", False),
        ("submodule.x.update", "!evil", False),
        ("merge.evil.driver", "evil", False),
        ("merge.conflictstyle", "zdiff3", True),
        ("url.git@x:.insteadof", "https://x/", False),
        ("credential.helper", "evil", False),
        ("http.https://x.extraheader", "secret", False),
        ("alias.push", "!evil", False),
        ("include.path", "/evil", False),
        ("user.signingkey", "key", False),
    ],
)
def test_settings_that_are_data_travel(key: str, value: str | None, travels: bool) -> None:
    assert Setting(key=key, value=value).travels is travels


@pytest.mark.parametrize(
    ("url", "carried"),
    [
        ("https://user:secret@host/x@y", "https://host/x@y"),
        ("https://secret@host:8443/x", "https://host:8443/x"),
        ("ftp://u:p@host", "ftp://host"),
        ("https://host/x", "https://host/x"),
        ("ssh://git@host/x", "ssh://git@host/x"),
        ("git@host:x", "git@host:x"),
        ("/path/u:p@x", "/path/u:p@x"),
    ],
)
def test_no_login_travels_in_an_address(url: str, carried: str) -> None:
    setting = Setting(key="remote.origin.url", value=url)
    assert setting.carried.value == carried
    assert staying_settings([setting]) == (() if url == carried else ("the login in remote.origin.url",))


def test_a_listing_is_read_as_git_writes_it() -> None:
    assert parse_settings(b"core.bare\nfalse\0push.default\0alias.x\na\nb\0") == (
        Setting(key="core.bare", value="false"),
        Setting(key="push.default", value=None),
        Setting(key="alias.x", value="a\nb"),
    )


def test_extensions_that_are_not_known_are_obstacles() -> None:
    known = ("extensions.objectformat", "extensions.worktreeconfig", "extensions.relativeworktrees")
    assert repository_obstacles(Setting(key=key, value="true") for key in known) == ()
    assert repository_obstacles([Setting(key="extensions.refstorage", value="files")]) == ()
    for key in ("extensions.refstorage", "extensions.partialclone", "extensions.new", "remote.a.b.promisor"):
        assert len(repository_obstacles([Setting(key=key, value="x")])) == 1
