"""The form of every JSON answer: which fields, of which types. It changes knowingly or not at all.

Those that tests/unit/cli/golden holds whole are not repeated here. UPDATE_GOLDEN=1 writes the file anew, to be looked
at before it is committed. Sessions need a terminal or pipes: tests/integration/test_sessions.py holds their answers.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from bottle.cli.evacuated import evacuation_document, plan_document as evacuation_plan
from bottle.cli.main import main
from bottle.cli.moved import moved_document, plan_document
from bottle.cli.movewords import FETCHING, SENDING
from bottle.errors import Conflict
from bottle.model import Missing, MissingKind, MoveAccount, StayKind, Stays
from bottle.naming import Identity
from migrate.evacuation.model import Bulk, Candidate, Disk, Outcome, Result
from migrate.evacuation.plan import plan_evacuation
from migrate.model import Codec
from migrate.move.model import Estimate, Moved, MovePlan, Part, Round
from tests.unit.cli.conftest import Cli

GOLDEN = Path(__file__).parent / "golden" / "shapes.json"
# Commands that answer in no form, each with the reason.
NO_FORM = {
    "mcp": "speaks MCP with the agent that started it",
    "send-over-stdio": "speaks frames with the bottle of another host, and with nobody else",
    "dashboard": "is a program for the eyes, which answers nothing",
}
PLAN = MovePlan(
    workspace="/work",
    present=1,
    layers=2,
    layer_codec=Codec.ZSTD,
    file_codec=Codec.GZIP,
    parts=(Part(name="image", size=1),),
    stays=(Stays(kind=StayKind.SECRET, name="A"),),
    missing_there=(Missing(kind=MissingKind.SECRET, name="A"),),
    running=True,
    stops=True,
    commits=True,
    needed_docker=1,
    needed_home=1,
    free_docker=2,
    free_home=2,
    along=("/root/.netrc: logins",),
    shared=("bottle other-abcde runs in the workspace /work too",),
    left_behind=("a link",),
    estimate=Estimate(seconds=40, standstill_seconds=35, line_bytes_per_second=11_000_000, round_trip_seconds=0.02),
)
MOVED = Moved(
    identity=Identity.parse("demo-abcde"),
    arrived_as=Identity.parse("demo-abcde"),
    host="me@there",
    account=MoveAccount(
        commit=1,
        workspace="/work",
        staged=1,
        skipped=("socket",),
        stays=(Stays(kind=StayKind.SECRET, name="A"),),
        missing_there=(Missing(kind=MissingKind.SECRET, name="A"),),
        along=("/root/.netrc: logins",),
        dropped=("1 file with an ACL: /a",),
        edited=("late",),
        carried=("a git worktree",),
        left_behind=("a link",),
    ),
    resumed="it runs",
    rounds=(Round(commit=1, staged=1, seconds=0.5),),
    downtime=1.5,
)
DISK = Disk(name="/", path="/var/lib/docker", free=1 << 40)
BULK = Bulk(
    layers=frozenset(), base=0, written=1, volumes=0, workspace=1, state=1, staged=0, docker=DISK, home=DISK, place=DISK
)
GOES = [
    Candidate(identity=Identity.parse(f"demo-abcd{each}"), folder=Path("/work"), decided=PLAN, bulk=BULK)
    for each in "ef"
]
WENT = Outcome(identity=MOVED.identity, result=Result.WENT, moved=MOVED, place="/work")
REFUSED = Conflict("it is there", left="nothing was changed", next_step="look", details=("a line",))
STAYS = Outcome(identity=Identity.parse("demo-abcdg"), result=Result.STAYS, error=REFUSED)


def shape(value: Any) -> Any:
    """A document with types in the place of values; of a list, what its members are."""
    match value:
        case dict():
            return {key: shape(each) for key, each in sorted(value.items())}
        case list():
            return [shape(value[0])] if value else []
        case _:
            return type(value).__name__


def commands(group: click.Group, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command of the tree, with the words that lead to it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None, name
        words = (*above, name)
        if isinstance(found, click.Group):
            yield from commands(found, words)
        else:
            yield words, found


TREE = dict(commands(main))


@pytest.mark.parametrize("words", TREE, ids=" ".join)
def test_every_command_answers_in_json_or_has_a_reason_not_to(words: tuple[str, ...]) -> None:
    forms = [each for each in TREE[words].params if each.name == "form"]
    if not forms and " ".join(words) in NO_FORM:
        return
    (form,) = forms
    assert form.default == "text"
    if words in {("list",), ("ls",)}:  # which take a template, too
        assert [each.value for each in form.shell_complete(click.Context(TREE[words]), "")] == ["text", "json"]
        return
    assert isinstance(form.type, click.Choice)
    assert list(form.type.choices) == ["text", "json"]


@pytest.mark.parametrize("words", [words for words, each in TREE.items() if not each.hidden], ids=" ".join)
def test_every_command_of_the_tree_has_an_example_and_the_exit_codes_that_matter(words: tuple[str, ...]) -> None:
    said = CliRunner().invoke(main, [*words, "--help"], prog_name="bottle").stdout
    assert "Example:" in said
    assert "Exit codes that matter" in said


def test_no_answer_changes_its_form(cli: Cli) -> None:
    start = cli.json("start", "-d", "demo")
    name = start["identity"]
    cli.world.work(cli.world.home.find(name), "/srv/work", b"x")
    cli.world.work(cli.world.home.find(name), "/etc/passwd", b"y")
    answers = {
        "start -d": start,
        "diff": cli.json("diff", name),
        "diff --stat": cli.json("diff", name, "--stat"),
        "diff --path": cli.json("diff", name, "--path", "/etc/passwd"),
        "start --dry-run": cli.json("start", "--dry-run", "demo"),
        "commit": cli.json("commit", name, "-m", "one"),
        "logs": cli.json("logs", name),
        "stop": cli.json("stop", name),
        "resume --dry-run": cli.json("resume", "--dry-run", name),
        "resume -d": cli.json("resume", "-d", name),
        "export": cli.json("export", name, str(cli.world.folder / "demo.bottle")),
        "import": cli.json("import", str(cli.world.folder / "demo.bottle"), "--yes"),
        "an error": cli.json("commit", "nobody-00000", exit_code=3),
        "migrate": moved_document(MOVED, SENDING, "me@there"),
        "migrate --from": moved_document(replace(MOVED, resumed="it runs"), FETCHING, "me@there"),
        "migrate --plan": plan_document(PLAN, SENDING),
        "migrate --plan --from": plan_document(PLAN, FETCHING),
        "evacuate": evacuation_document((WENT, STAYS), "me@there"),
        "evacuate --plan": evacuation_plan(
            plan_evacuation((*GOES, Candidate(identity=STAYS.identity, refusal=REFUSED)), "me@there")
        ),
    }
    cli("stop", name)
    answers["rm"] = cli.json("rm", "--yes", name)
    shapes = {what: shape(json.loads(json.dumps(answer))) for what, answer in answers.items()}
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(json.dumps(shapes, indent=2) + "\n")
    assert shapes == json.loads(GOLDEN.read_text())
