"""Repositories for tests, made by the real git with nobody's settings."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ENVIRON = {
    "PATH": os.environ.get("PATH", os.defpath),
    "HOME": os.devnull,
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_CONFIG_COUNT": "2",
    "GIT_CONFIG_KEY_0": "init.defaultBranch",
    "GIT_CONFIG_VALUE_0": "main",
    "GIT_CONFIG_KEY_1": "protocol.file.allow",
    "GIT_CONFIG_VALUE_1": "always",
}


def git(folder: Path, *words: str) -> str:
    """What git says, which must succeed."""
    done = _run(folder, words)
    assert done.returncode == 0, f"git {words}: {done.stderr}"
    return done.stdout


def _run(folder: Path, words: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *words], cwd=folder, env=ENVIRON, capture_output=True, text=True, check=False)


def commit(folder: Path, name: str, content: str = "") -> str:
    """Commit one file; the commit's name."""
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(content or name)
    git(folder, "add", name)
    git(folder, "commit", "--quiet", "--message", name)
    return git(folder, "rev-parse", "HEAD").strip()


def repository(folder: Path, *words: str) -> Path:
    """A repository with one commit."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", *words)
    commit(folder, "first")
    return folder


def worktree(main: Path, folder: Path, *words: str) -> Path:
    """A linked worktree on a branch of its own, with a commit, work that is staged and not, and two stashes."""
    git(main, "worktree", "add", "--quiet", *words, "-b", folder.name, str(folder))
    commit(folder, "second")
    for number in ("one", "two"):
        (folder / "first").write_text(number)
        git(folder, "stash", "push", "--quiet", "--message", number)
    (folder / "staged").write_text("staged")
    git(folder, "add", "staged")
    (folder / "staged").write_text("staged, then edited")
    (folder / "untracked").write_text("untracked")
    return folder


def view(folder: Path) -> dict[str, str]:
    """All that a user sees of a repository; one without a commit has no reflog to show."""
    asked = ("status", "log --all --format=%H%d", "stash list", "ls-files --stage", "reflog", "diff", "diff --cached")
    return {words: _run(folder, tuple(words.split())).stdout for words in asked}
