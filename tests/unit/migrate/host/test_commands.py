"""The classes of the far scripts, and the scripts: what the one says of arguments and ends, the other does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from importlib.resources import files
from typing import Any

import pytest

from bottle.naming import Identity
from migrate.host import commands
from migrate.host.arguments import (
    PIECE_LIMIT,
    CommitTag,
    Count,
    Digest,
    Filler,
    FolderKind,
    ImageId,
    MountPoint,
    Nonce,
    PieceNumber,
    PieceSize,
    StagedFolder,
    StagedWorkspace,
    Verifier,
    VolumeName,
    Workspace,
)
from migrate.host.script import EngineScript, PlainScript, Script, ScriptStatus
from migrate.model import Codec
from tests.unit.migrate.conftest import IDENTITY

FOLDER = files("migrate.host").joinpath("scripts")
SHARED = ("common", "places", "docker")
HEX = "a" * 64
VALUES: dict[object, Any] = {
    Identity: IDENTITY,
    Codec: Codec.NONE,
    Digest: Digest(HEX),
    ImageId: ImageId(f"sha256:{HEX}"),
    Nonce: Nonce("b" * 32),
    CommitTag: CommitTag(IDENTITY.committed(3)),
    VolumeName: VolumeName(IDENTITY.volume("cache")),
    MountPoint: MountPoint("/root/.cache"),
    Workspace: Workspace("/home/me/it's mine"),
    StagedFolder: FolderKind.STATE.folder("b" * 32),
    StagedWorkspace: StagedWorkspace(FolderKind.WORKSPACE.folder("b" * 32)),
    Verifier: Verifier("bottle-verify-0123456789ab"),
    Filler: Filler("bottle-fill-0123456789ab"),
    Count: Count(17),
    PieceNumber: PieceNumber(7),
    PieceSize: PieceSize(PIECE_LIMIT),
    FolderKind: FolderKind.WORKSPACE,
}


class Access:
    """An engine that is reached by sudo."""

    docker, sudo, docker_root = "/opt/docker", True, "/var/lib/docker"
    store: Any = None


def scripts() -> list[type[Script]]:
    found = [each for base in (PlainScript, EngineScript) for each in base.__subclasses__()]
    return sorted({each.name(): each for each in found if each.__module__ == commands.__name__}.values(), key=repr)


SCRIPTS = scripts()
PARSED = [each for each in SCRIPTS if each is not commands.Send]


def text(name: str) -> str:
    return FOLDER.joinpath(f"{name}.sh").read_text(encoding="utf-8")


def comment(name: str) -> str:
    """The first comment of a script, in one line."""
    found: list[str] = []
    for line in text(name).splitlines():
        if not line.startswith("#"):
            break
        found.append(line[1:])
    return " ".join(" ".join(found).split())


def filled(kind: type[Script]) -> Any:
    return kind(**{each.name: VALUES[each.type] for each in fields(kind)})


def test_each_script_has_a_class_and_each_class_a_script() -> None:
    names = {each.name.removesuffix(".sh") for each in FOLDER.iterdir()}
    assert names - set(SHARED) == {each.name() for each in SCRIPTS}


@pytest.mark.parametrize("kind", SCRIPTS, ids=lambda each: each.name())
def test_a_script_says_of_itself_what_its_class_does(kind: type[Script]) -> None:
    about_the_engine = comment("docker").partition(" …")[0].split()
    engine = list(kind.access)
    if engine:
        assert engine[: len(about_the_engine)] == about_the_engine
        engine = engine[len(about_the_engine) :]
    said = " ".join(str(kind.__doc__).split())
    arguments = " ".join(engine + [each.name.upper() for each in fields(kind)])
    expected = f"{arguments}: {said[0].lower()}{said[1:]}" if arguments else said
    assert comment(kind.name()).startswith(expected)


def named_in(script: str) -> Iterator[str]:
    """The statuses that a script ends with, by its own word or by that of a function that it calls."""
    yield from re.findall(r'(?:fail|exit) "\$([A-Z_]+)"', script)
    shared = text("common") + text("places")
    for name, body in re.findall(r"^([a-z_]+)\(\) \{(.*?)^\}", shared, re.MULTILINE | re.DOTALL):
        if re.search(rf"\b{name}\b", re.sub(r"#.*|\"[^\"]*\"", "", script)):
            yield from re.findall(r'fail "\$([A-Z_]+)"', body)


@pytest.mark.parametrize("kind", SCRIPTS, ids=lambda each: each.name())
def test_a_script_is_sent_with_the_functions_that_it_calls(kind: type[Script]) -> None:
    script = re.sub(r"#.*|\"[^\"]*\"", "", text(kind.name()))
    called = {name for name in re.findall(r"^([a-z_]+)\(\) \{", text("places"), re.MULTILINE) if calls(script, name)}
    own = set(re.findall(r"^([a-z_]+)\(\) \{", text(kind.name()), re.MULTILINE))
    assert bool(called - own) == kind.places


def calls(script: str, name: str) -> bool:
    """Whether a script has the name of a function where a command stands."""
    return (
        re.search(rf"(?:^|[;&|!({{]|\bif|\bthen|\belse|\bdo|\bwhile)\s*{name}\b(?!=|\()", script, re.MULTILINE)
        is not None
    )


@pytest.mark.parametrize("kind", SCRIPTS, ids=lambda each: each.name())
def test_a_script_ends_as_its_class_says(kind: type[Script]) -> None:
    assert {ScriptStatus[name] for name in named_in(text(kind.name()))} == kind.exits


@pytest.mark.parametrize("name", [*SHARED, *(each.name() for each in SCRIPTS)])
def test_no_script_ends_with_a_bare_number(name: str) -> None:
    assert re.findall(r"\b(?:fail|exit) [1-9][0-9]+", text(name)) == []


def test_the_statuses_are_those_of_the_shell() -> None:
    there = re.findall(r"\b([A-Z_]+)=([0-9]+)\b", "\n".join(re.findall(r"^readonly .*", text("common"), re.MULTILINE)))
    assert {name: int(number) for name, number in there} == {
        each.name: each.value for each in ScriptStatus if each is not ScriptStatus.DONE
    }


@pytest.mark.parametrize("kind", PARSED, ids=lambda each: each.name())
def test_what_is_sent_is_read_again_but_for_how_the_engine_is_reached(kind: type[Script]) -> None:
    script = filled(kind)
    command = script.command(Access())
    assert command.args[: len(kind.access)] == ("yes", "/opt/docker", "/var/lib/docker")[: len(kind.access)]
    assert kind.parse(command.args) == script
    assert kind.parse(("evil", "\ud800", "/evil")[: len(kind.access)] + command.args[len(kind.access) :]) == script


@pytest.mark.parametrize("kind", PARSED, ids=lambda each: each.name())
def test_a_script_is_sent_with_what_it_stands_on(kind: type[Script]) -> None:
    command = filled(kind).command(Access())
    shared = ("common", *(("places",) if kind.places else ()), *(("docker",) if kind.access else ()))
    assert command.script == "".join(map(text, (*shared, kind.name())))
    assert command.name == kind.name()


def test_options_of_a_command_are_arguments_as_they_are() -> None:
    assert commands.Send(words=("demo-abc12", "--host", "a b")).command().args == ("demo-abc12", "--host", "a b")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (PieceSize, str(PIECE_LIMIT + 1)),
        (PieceSize, "007"),
        (Count, "01"),
        (Count, "٣"),
        (PieceNumber, "7"),
        (Codec, ""),
        (MountPoint, "/a\ud800"),
        (Workspace, "/a\ud800"),
        (StagedWorkspace, f"state-{'b' * 32}"),
        (Identity, "DEMO-abc12"),
    ],
)
def test_an_argument_that_would_be_spelt_in_another_way_is_none(kind: type, text: str) -> None:
    (script, place) = next(
        (each, place) for each in PARSED for place, field in enumerate(fields(each)) if field.type is kind
    )
    args = list(filled(script).command(Access()).args)
    args[len(script.access) + place] = text
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        script.parse(args)
