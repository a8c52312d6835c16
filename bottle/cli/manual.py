"""Manual pages from the texts that `--help` prints: `python -m bottle.cli.manual FOLDER`.

The language is man(7); only what each of its formatters knows is used.
"""

import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

import bottle
from bottle.cli.group import WHOLE, Group
from bottle.cli.main import main
from bottle.cli.output import note

_LITERAL = "\b"  # what click has before a paragraph whose lines stay lines
_LAYOUT = (".nh", ".ad l")  # no word is cut in two: it may be one to type
_CODE = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True, slots=True)
class _Paragraph:
    lines: Sequence[str]
    literal: bool

    @property
    def section(self) -> str:
        """Where in a page it stands."""
        if self.lines[0].startswith("Exit codes"):
            return "EXIT STATUS"
        return "EXAMPLES" if self.lines[0] == "Example:" else "DESCRIPTION"


def pages(root: click.Group) -> dict[str, str]:
    """The pages of `root` and of all commands that its help shows, by the names of their files."""
    context = click.Context(root, info_name="bottle", **root.context_settings)
    return {f"{_name(each)}.1": _page(each) for each in (context, *_below(context))}


def _below(context: click.Context) -> Iterator[click.Context]:
    for command, names in _named(context):
        below = click.Context(command, info_name=names, parent=context)
        yield below
        yield from _below(below)


def _named(context: click.Context) -> list[tuple[click.Command, str]]:
    group = context.command
    if not isinstance(group, Group):
        return []
    names = [name for section in group.sections(context).values() for name in section.values()]
    return [(command, name) for name in names if (command := group.get_command(context, name)) is not None]


def _name(context: click.Context) -> str:
    return context.command_path.replace(" ", "-")


def _page(context: click.Context) -> str:
    command = context.command
    said = [*_paragraphs(command.help or ""), *_paragraphs(command.epilog or "")]
    sections = {
        "NAME": [f"{_escaped(_name(context))} \\- {_escaped(_summary(command))}"],
        "SYNOPSIS": [f".B {_escaped(context.command_path)}", _escaped(" ".join(command.collect_usage_pieces(context)))],
        "DESCRIPTION": _told(said, "DESCRIPTION"),
        "COMMANDS": _items((name, _summary(below)) for below, name in _named(context)),
        "OPTIONS": _items(filter(None, (each.get_help_record(context) for each in command.get_params(context)))),
        "EXAMPLES": _told(said, "EXAMPLES"),
        "EXIT STATUS": _told(said, "EXIT STATUS"),
        "SEE ALSO": _see_also(context),
    }
    title = f'.TH {_escaped(_name(context).upper())} 1 "" "bottle {bottle.__version__}" "bottle"'
    shown = [line for name, lines in sections.items() if lines for line in (f'.SH "{name}"', *lines)]
    return "\n".join([title, *_LAYOUT, *shown]) + "\n"


def _summary(command: click.Command) -> str:
    return command.get_short_help_str(WHOLE).removesuffix(".")


def _paragraphs(text: str) -> Iterator[_Paragraph]:
    for part in inspect.cleandoc(text).split("\n\n"):
        lines = part.strip("\n").split("\n")
        literal = lines[0] == _LITERAL
        if any(lines):
            yield _Paragraph(lines[1:] if literal else lines, literal)


def _told(paragraphs: Iterable[_Paragraph], section: str) -> list[str]:
    lines: list[str] = []
    for each in paragraphs:
        if each.section == section:
            shown = inspect.cleandoc("\n".join(each.lines[section == "EXAMPLES" :])).split("\n")
            written = [_escaped(line) for line in shown]
            lines += [".PP", *((".nf", *written, ".fi") if each.literal else written)]
    return lines


def _items(records: Iterable[tuple[str, str]]) -> list[str]:
    return [line for term, text in records for line in (".TP", f".B {_escaped(term)}", _escaped(text))]


def _see_also(context: click.Context) -> list[str]:
    others = [_name(context.parent)] if context.parent is not None else []
    others += [f"{_name(context)}-{name}" for _, name in _named(context)]
    return [", ".join(f"\\fB{_escaped(name)}\\fR(1)" for name in others)] if others else []


def _escaped(text: str) -> str:
    """`text` so that a formatter prints it as it is, but for what stands between backquotes, which is bold."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    text = _CODE.sub(r"\\fB\1\\fR", text)
    return f"\\&{text}" if text.startswith((".", "'")) else text


def write(folder: Path) -> int:
    """Write the pages into a folder, which is made where there is none, and say how many there are."""
    folder.mkdir(parents=True, exist_ok=True)
    written = pages(main)
    for name, text in written.items():
        (folder / name).write_text(text, encoding="utf-8")
    return len(written)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m bottle.cli.manual FOLDER")
    note(f"{write(Path(sys.argv[1]))} pages in {sys.argv[1]}: man -l {sys.argv[1]}/bottle.1")
