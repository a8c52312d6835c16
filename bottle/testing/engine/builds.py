"""Builds that know enough of Dockerfiles for tests: they copy files and set the config, but run nothing."""

import fnmatch
import json
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bottle.errors import BuildFailed
from bottle.ports import Progress
from bottle.testing.engine.base import Part
from bottle.testing.faults import recorded
from bottle.testing.image import FakeImage
from bottle.testing.tree import FOLDER, FakeNode, Tree, absolute, layer_between, put

_WITHOUT_EFFECT = {"ARG", "EXPOSE", "MAINTAINER", "SHELL", "STOPSIGNAL"}
_ECHO = re.compile(r"echo (?P<text>.*?) *> *(?P<path>/\S+)")
_PRINT = re.compile(r"RUN echo (?P<text>[^>;]*)")
_FAIL = re.compile(r"false|exit (?!0\b)\d+")


class _StepFailed(Exception):
    """A step of a build went wrong."""


class Builds(Part):
    """`ports.Builds` in memory."""

    @recorded
    def build(
        self,
        *,
        dockerfile: bytes,
        context: Path,
        tag: str,
        labels: Mapping[str, str],
        args: Mapping[str, str],
        secrets: Mapping[str, str],
        progress: Progress,
    ) -> None:
        """Build, step by step."""
        where = ""
        try:
            if not context.is_dir():
                raise _StepFailed(f"the build context {context} could not be read")
            lines = _instructions(dockerfile)
            image = FakeImage(created=self.clock())
            for number, (line, meant) in enumerate(_with_args(lines, args), start=1):
                where = f"Step {number}/{len(lines)} : {line}"
                progress.note(where)
                image = self._step(image, meant, context)
                for text in _printed(meant):
                    progress.output(text)
        except _StepFailed as error:
            raise BuildFailed(
                f"building {tag} failed{' at ' if where else ''}{where}: {error}", next_step="mend the Dockerfile"
            ) from error
        config = {**image.config, "Labels": {**image.config.get("Labels", {}), **labels}}
        self._keep(replace(image, config=config), (tag,))

    def _step(self, image: FakeImage, line: str, context: Path) -> FakeImage:
        name, _, rest = line.partition(" ")
        if name.upper() == "FROM":
            return self._base(rest.split()[0])
        before = image.tree()
        tree, config = dict(before), dict(image.config)
        _perform(line, tree, config, context)
        layers = image.layers
        if name.upper() in {"COPY", "ADD", "RUN"}:
            layers = (*layers, layer_between(before, tree))
        return replace(image, layers=layers, config=config, comment=f"{image.comment}\n{line}")

    def _base(self, ref: str) -> FakeImage:
        if ref == "scratch":
            return FakeImage(created=self.clock())
        found = self._find_image(ref)
        if found is None and ref in self.registry:
            found = self._keep(self.registry[ref], (ref,))
        if found is None:
            raise _StepFailed(f"pull access denied for {ref}, repository does not exist or may require 'docker login'")
        return replace(self._images[found], created=self.clock(), parent=found)


def _instructions(dockerfile: bytes) -> list[str]:
    """The instructions of a Dockerfile, one a line, without comments. Raises _StepFailed for ones that do not exist."""
    text = re.sub(r"\\\n", "", dockerfile.decode("utf-8", "replace"))
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]
    if not lines:
        raise _StepFailed("the Dockerfile (Dockerfile) cannot be empty")
    known = {"FROM", "COPY", "ADD", "RUN", "ENV", "LABEL", *_CONFIG, *_WITHOUT_EFFECT}
    for line in lines:
        name = line.split()[0].upper()
        if name not in known:
            raise _StepFailed(f"dockerfile parse error: unknown instruction: {name}")
    return lines


def _with_args(lines: Iterable[str], args: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Each instruction as it is written, and with the values of what was declared before it."""
    values: dict[str, str] = {}
    for line in lines:
        yield line, re.sub(r"\$\{?(\w+)\}?", lambda found: values.get(found[1], found[0]), line)
        if declared := re.fullmatch(r"ARG (\w+)(?:=(.*))?", line):
            values[declared[1]] = args.get(declared[1], declared[2] or "")


def _printed(line: str) -> tuple[str, ...]:
    """The lines that an instruction prints."""
    match = _PRINT.fullmatch(line)
    return (match["text"].strip("'\""),) if match else ()


def _perform(line: str, tree: Tree, config: dict[str, Any], context: Path) -> None:
    """Do what one instruction other than FROM says to a tree and a config. Raises _StepFailed."""
    name, _, rest = line.partition(" ")
    rest = rest.strip()
    match name.upper():
        case "COPY" | "ADD":
            _copy(tree, context, rest)
        case "RUN":
            _run(tree, rest)
        case "ENV":
            config["Env"] = [*config.get("Env", ()), *_pairs(rest)]
        case "LABEL":
            config["Labels"] = {**config.get("Labels", {}), **dict(pair.split("=", 1) for pair in _pairs(rest))}
        case other if other in _CONFIG:
            key, read = _CONFIG[other]
            config[key] = read(rest)
        case _:
            pass


def _arguments(text: str) -> list[str]:
    """The exec form of a command, or the shell form put into a shell."""
    try:
        return [str(each) for each in json.loads(text)]
    except ValueError:
        return ["/bin/sh", "-c", text]


def _volumes(text: str) -> dict[str, Any]:
    paths = json.loads(text) if text.startswith("[") else text.split()
    return {str(path): {} for path in paths}


def _healthcheck(text: str) -> dict[str, Any]:
    kind, _, command = text.rpartition("CMD ")
    return {"Test": ["CMD-SHELL", command]} if kind or command != text else {"Test": ["NONE"]}


_CONFIG: dict[str, tuple[str, Any]] = {
    "CMD": ("Cmd", _arguments),
    "ENTRYPOINT": ("Entrypoint", _arguments),
    "HEALTHCHECK": ("Healthcheck", _healthcheck),
    "ONBUILD": ("OnBuild", lambda text: [text]),
    "USER": ("User", str),
    "VOLUME": ("Volumes", _volumes),
    "WORKDIR": ("WorkingDir", str),
}


def _pairs(text: str) -> list[str]:
    pairs = re.findall(r'[\w.-]+=(?:"[^"]*"|\S*)', text)
    return [pair.replace('"', "") for pair in pairs] or ["=".join(text.split(None, 1))]


def _run(tree: Tree, command: str) -> None:
    if _FAIL.fullmatch(command):
        code = command.rsplit(maxsplit=1)[-1] if command != "false" else "1"
        raise _StepFailed(f"The command '/bin/sh -c {command}' returned a non-zero code: {code}")
    if match := _ECHO.fullmatch(command):
        put(tree, match["path"], FakeNode(data=match["text"].strip("'\"").encode() + b"\n"))


def _copy(tree: Tree, context: Path, rest: str) -> None:
    *sources, target = [word for word in rest.split() if not word.startswith("--")]
    patterns = _ignored(context)
    for source in sources:
        origin = context / source.strip("/")
        found = [(path, name) for path, name in _files(origin) if not _is_ignored(path.relative_to(context), patterns)]
        if not found:
            raise _StepFailed(f"COPY failed: file not found in build context: {source}")
        for path, name in found:
            into = posixpath.join(target, name or (path.name if target.endswith("/") or len(sources) > 1 else ""))
            node = FOLDER if path.is_dir() else FakeNode(data=path.read_bytes(), mode=path.stat().st_mode & 0o7777)
            put(tree, absolute(into), node)


def _files(origin: Path) -> Iterator[tuple[Path, str]]:
    """What a COPY of `origin` means: the file itself, or what is in the folder by its name below it."""
    if origin.is_file():
        yield origin, ""
    for path in sorted(origin.rglob("*")) if origin.is_dir() else ():
        yield path, path.relative_to(origin).as_posix()


def _ignored(context: Path) -> list[str]:
    file = context / ".dockerignore"
    lines = file.read_text().splitlines() if file.is_file() else []
    return [line.strip().strip("/") for line in lines if line.strip() and not line.startswith("#")]


def _is_ignored(path: Path, patterns: Iterable[str]) -> bool:
    names = [path.as_posix(), *(parent.as_posix() for parent in path.parents)]
    return any(fnmatch.fnmatch(name, pattern) for name in names for pattern in patterns)
