"""`init`: an agent that starts at once, and nothing that was there is touched."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from bottle.agent.dockerfile import declared_args
from bottle.agent.manifest import parse_manifest, read_manifest
from bottle.agent.template import PLAIN, SUMMARIES, dockerfile_of, entry_of
from bottle.errors import ManifestError, NameTaken, NotFound, StateDamaged
from bottle.operations.init import init
from tests.support.git import git
from tests.support.trees import snapshot

AGENTS = [name for name in SUMMARIES if name != PLAIN]


@pytest.fixture(autouse=True)
def no_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git knows nobody, whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "nobody"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project."""
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


@pytest.mark.parametrize("name", AGENTS)
def test_an_agent_has_an_entry_and_a_dockerfile_that_fit_each_other(folder: Path, name: str) -> None:
    written = init(folder, name)
    assert (written.agent, written.added, written.manifest) == (name, False, folder / "bottle.toml")
    agent = read_manifest(written.manifest).agent(name)
    assert agent.dockerfile == written.dockerfile == folder / "agents" / name / "Dockerfile"
    text = dockerfile_of(name)
    assert text is not None
    assert all(f"`bottle start {name}`" in each for each in (text, entry_of(name)))
    assert {"BASE", "BOTTLE_UID", "BOTTLE_GID"} <= set(declared_args(text))
    assert (agent.user, agent.workdir) == ("agent", "/workspace")
    assert agent.transcript
    assert all(path.startswith("/home/agent/.") for path in agent.transcript)
    assert all(any(f"{login}/".startswith(f"{path}/") for path in agent.transcript) for login in agent.carry)
    assert agent.resume_command is not None
    assert agent.resume_command != agent.command
    assert agent.env == ()


def test_a_shell_has_every_key_explained_and_no_dockerfile(folder: Path) -> None:
    written = init(folder)
    assert (written.agent, written.dockerfile, list(folder.iterdir())) == (PLAIN, None, [written.manifest])
    assert written.manifest.read_text() == entry_of(PLAIN)


def test_entries_are_put_behind_what_is_there(folder: Path) -> None:
    path = folder / "bottle.toml"
    init(folder)
    path.chmod(0o600)
    for name in AGENTS:
        before = path.read_text()
        assert init(folder, name).added
        assert path.read_text().startswith(before.rstrip() + "\n\n")
    assert set(read_manifest(path).agents) == set(SUMMARIES)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("cause", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_a_first_manifest_that_is_cut_short_leaves_none(
    folder: Path, monkeypatch: pytest.MonkeyPatch, cause: BaseException
) -> None:
    def cut(_: int) -> None:
        raise cause

    monkeypatch.setattr("os.fsync", cut)
    with pytest.raises((KeyboardInterrupt, StateDamaged)):
        init(folder)
    assert snapshot(folder) == {}
    monkeypatch.undo()
    assert not init(folder).added


def test_the_plain_entry_is_put_behind_others_too(folder: Path) -> None:
    init(folder, "claude")
    assert init(folder).added
    assert set(read_manifest(folder / "bottle.toml").agents) == {"claude", PLAIN}


def test_a_manifest_that_is_linked_to_stays_a_link(folder: Path, tmp_path: Path) -> None:
    real = tmp_path / "real.toml"
    real.write_text(entry_of(PLAIN))
    (folder / "bottle.toml").symlink_to(real)
    init(folder, "claude")
    assert (folder / "bottle.toml").is_symlink()
    assert "[agents.claude]" in real.read_text()


@pytest.mark.parametrize("there", ["agent", "dockerfile", "broken", "folder", "plain"])
def test_what_is_there_stays_as_it_is(folder: Path, there: str) -> None:
    name, refusal = "claude", NameTaken
    if there == "agent":
        (folder / "bottle.toml").write_text('[agents.claude]\nimage = "mine"\n')
    elif there == "plain":
        init(folder)
        name = PLAIN
    elif there == "dockerfile":
        (folder / "agents" / name).mkdir(parents=True)
        (folder / "agents" / name / "Dockerfile").write_text("FROM mine\n")
    elif there == "broken":
        (folder / "bottle.toml").write_text("[agents")
        refusal = ManifestError
    else:
        (folder / "agents").write_text("a file")
        refusal = StateDamaged
    before = snapshot(folder)
    with pytest.raises(refusal) as caught:
        init(folder, name)
    assert caught.value.next_step
    assert snapshot(folder) == before


def test_a_dockerfile_that_a_run_wrote_before_it_died_is_used(folder: Path) -> None:
    init(folder, "claude")
    (folder / "bottle.toml").unlink()
    assert init(folder, "claude").dockerfile is not None


def test_a_manifest_that_somebody_writes_meanwhile_is_not_overwritten(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "bottle.toml").write_text("mine")
    monkeypatch.setattr("os.path.lexists", lambda _: False)
    with pytest.raises(NameTaken):
        init(folder)
    assert (folder / "bottle.toml").read_text() == "mine"


def test_no_such_template(folder: Path) -> None:
    with pytest.raises(NotFound, match="there are: shell, claude, codex, gemini, opencode"):
        init(folder, "clade")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", AGENTS)
def test_the_agents_commits_are_of_whoever_works_there(folder: Path, name: str) -> None:
    git(folder, "init", "--quiet")
    who, mail = 'Ada "L" \\ é', "ada@example.org"
    subprocess.run(("git", "config", "user.name", who), cwd=folder, check=True)
    subprocess.run(("git", "config", "user.email", mail), cwd=folder, check=True)
    init(folder, name)
    assert dict(read_manifest(folder / "bottle.toml").agent(name).env) == {
        "GIT_AUTHOR_NAME": who,
        "GIT_COMMITTER_NAME": who,
        "GIT_AUTHOR_EMAIL": mail,
        "GIT_COMMITTER_EMAIL": mail,
    }


def test_without_a_name_the_lines_for_it_are_there_to_be_filled_in(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(folder))  # no git
    init(folder, "claude")
    text = (folder / "bottle.toml").read_text()
    filled = text.replace("# [agents.claude.env]", "[agents.claude.env]").replace("# GIT_", "GIT_")
    assert len(parse_manifest(filled, folder / "bottle.toml").agent("claude").env) == 4
