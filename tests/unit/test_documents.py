"""README, docs and `--help` name commands and options that exist, links that lead somewhere, and the real manifest."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from bottle.agent.template import entry_of
from bottle.cli.group import Group
from bottle.cli.main import main

ROOT = Path(__file__).parents[2]
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")))
TYPED = re.compile(r"(?:^|^\$ |&& |\$\(|DOCKER_CONTEXT=\w+ )(bottle [a-z][^|&;#()$]*)")
HELP = click.Context(main, info_name="bottle", **main.context_settings)


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, kind: str = r"\w*") -> list[str]:
    """The fenced blocks of a page."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", text_of(page), re.MULTILINE | re.DOTALL)


def command_lines(page: str) -> Iterator[str]:
    """What is to be typed, in blocks and between backquotes, from the word `bottle` on."""
    prose = re.sub(r"^```.*?^```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    for code in (*(line for block in blocks(page) for line in block.splitlines()), *re.findall(r"`([^`]+)`", prose)):
        yield from TYPED.findall(" ".join(code.split("\n")))


def commands(context: click.Context = HELP) -> Iterator[click.Context]:
    """All that there are, those within others too."""
    for section in context.command.sections(context).values() if isinstance(context.command, Group) else ():
        for name in section.values():
            command = context.command.get_command(context, name)
            assert command is not None
            below = click.Context(command, info_name=name, parent=context)
            yield below
            yield from commands(below)


def unknown(line: str) -> list[str]:
    """The words of a command line that name no command or option."""
    context, words = HELP, re.sub(r"\"[^\"]*\"|'[^']*'", "TEXT", line).split()[1:]
    while words and isinstance(context.command, click.Group):
        command = context.command.get_command(context, words[0])
        if command is None:
            return [words[0]]
        context, words = click.Context(command, info_name=words[0], parent=context), words[1:]
    known = {option for each in context.command.get_params(context) for option in (*each.opts, *each.secondary_opts)}
    typed = words[: words.index("--")] if "--" in words else words
    options = [word.partition("=")[0] for word in typed if re.match(r"--?[a-z]", word)]
    return [option for option in options if option not in known]


@pytest.mark.parametrize("page", PAGES)
def test_what_is_to_be_typed_exists(page: str) -> None:
    assert {line: words for line in command_lines(page) if (words := unknown(line))} == {}


@pytest.mark.parametrize("context", [*commands()], ids=lambda context: context.command_path)
def test_the_examples_of_help_exist(context: click.Context) -> None:
    lines = [line.strip() for line in (context.command.help or "").partition("Example:")[2].splitlines()]
    assert {each: words for line in lines for each in TYPED.findall(line) if (words := unknown(each))} == {}


def test_the_lines_of_a_page_are_found_and_mistakes_in_them() -> None:
    assert "bottle fork claude-x7k2p@2 --cwd ../try-b" in {
        line.strip() for line in command_lines("docs/guides/yesterday.md")
    }
    assert unknown("bottle snapshot x") == ["snapshot"]
    assert unknown("bottle commit x --massage m -- --not-mine") == ["--massage"]


def test_every_command_is_in_the_readme() -> None:
    table = text_of("README.md").partition("## Commands")[2].partition("\n## ")[0]
    shown = {name for section in main.sections(HELP).values() for name in section.values()}
    assert {name for name in shown if not re.search(rf"`{name}\b", table)} == set()


def anchors(page: str) -> set[str]:
    """The places of a page that links may name, as GitHub spells them."""
    headings = re.findall(r"^#+ (.*)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, "CHANGELOG.md"])
def test_links_lead_somewhere(page: str) -> None:
    for link in re.findall(r"\]\((?!https?://)([^)\s]+)\)", text_of(page)):
        name, _, anchor = link.partition("#")
        goal = ((ROOT / page).parent / name).resolve() if name else ROOT / page
        assert goal.exists(), link
        assert not anchor or anchor in anchors(goal.relative_to(ROOT).as_posix()), link


def test_the_manifest_of_the_readme_is_what_init_writes() -> None:
    (shown,) = (tomllib.loads(block)["agents"]["claude"] for block in blocks("README.md", "toml"))
    written = tomllib.loads(entry_of("claude"))["agents"]["claude"]
    assert shown.keys() == written.keys()
    assert {key for key in shown if "…" not in str(shown[key]) and shown[key] != written[key]} == set()
    assert shown["command"] == written["command"]


def test_the_architecture_names_what_is_there() -> None:
    page = text_of("docs/ARCHITECTURE.md")
    named = re.findall(r"`((?:bottle|migrate|tests|scripts)/[a-z_/.]+)`", page)
    assert len(named) > 20
    assert [path for path in named if not (ROOT / path).exists()] == []
    tree = re.search(r"^```\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert tree is not None
    for package, text in zip(("bottle", "migrate"), tree[1].split("migrate/  "), strict=True):
        told = set(re.findall(r"[a-z_]+", "\n".join(line[:44] for line in text.splitlines())))
        rooms = {path.name.removesuffix(".py") for path in (ROOT / package).iterdir() if path.suffix in {"", ".py"}}
        assert {room for room in rooms if not room.startswith("_")} <= told


def test_each_way_of_a_change_is_short() -> None:
    (walks,) = re.findall(
        r"^## Where a change goes\n(.*?)^## ", text_of("docs/ARCHITECTURE.md"), re.MULTILINE | re.DOTALL
    )
    lengths = [len(re.findall(r"^[0-9]\. ", walk, re.MULTILINE)) for walk in walks.split("\n**")[1:]]
    assert len(lengths) == 5
    assert all(2 < length <= 5 for length in lengths)
