"""What a release needs: notes of the version that is built, and workflows that run what is there."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
CHANGELOG = (
    "# Changelog\n\n## 0.2.0 (2026-01-31)\n\n- New.\n\n### Security\n\n- Safe.\n\n## 0.1.0 (2025-12-01)\n\n- Old.\n"
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """As much of a project as a release looks at, its version being 0.2.0."""
    (tmp_path / "scripts" / "lib").mkdir(parents=True)
    for name in ("scripts/release-notes", "scripts/lib/say.sh"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "0.2.0"\n')
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    return tmp_path


def notes(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run((project / "scripts" / "release-notes", *words), capture_output=True, text=True, check=False)


def test_the_notes_are_the_section_of_the_version(project: Path) -> None:
    told = notes(project, "v0.2.0")
    assert told.returncode == 0, told.stderr
    assert told.stdout.strip() == "- New.\n\n### Security\n\n- Safe."


@pytest.mark.parametrize("tag", ["v0.1.0", "v0.2", "v0.2.00", "v"])
def test_another_version_than_the_one_that_is_built_is_refused(project: Path, tag: str) -> None:
    told = notes(project, tag)
    assert (told.returncode, told.stdout) == (1, "")
    assert "pyproject.toml has another version" in told.stderr


@pytest.mark.parametrize("heading", ["## 0.2.0 (unreleased)", "## 0.3.0 (2026-01-31)", "## 0.2.0", "no heading"])
def test_a_changelog_that_does_not_say_when_it_was_released_is_refused(project: Path, heading: str) -> None:
    (project / "CHANGELOG.md").write_text(f"# Changelog\n\n{heading}\n\n- New.\n")
    told = notes(project, "v0.2.0")
    assert (told.returncode, told.stdout) == (1, "")
    assert "CHANGELOG.md begins with" in told.stderr


@pytest.mark.parametrize("words", [(), ("0.2.0",), ("v0.2.0", "more")])
def test_a_tag_is_asked_for(project: Path, words: tuple[str, ...]) -> None:
    assert notes(project, *words).returncode == 2


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_names_versions_of_actions_and_scripts_that_are_there(workflow: Path) -> None:
    text = workflow.read_text()
    uses = re.findall(r"uses: (\S+)", text)
    assert uses
    for each in uses:
        assert re.search(r"@v\d", each) or (ROOT / each).is_file(), each
    for script in re.findall(r"(?:scripts|\.ci)/[\w-]+", text):
        assert (ROOT / script).is_file(), script
