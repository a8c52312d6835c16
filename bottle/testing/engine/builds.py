"""Builds, of the Dockerfiles that `builder` knows."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bottle.errors import BuildFailed
from bottle.ports import Progress
from bottle.testing.builder import StepFailed, instructions, perform, printed, with_args
from bottle.testing.engine.base import Part
from bottle.testing.faults import recorded
from bottle.testing.image import FakeImage
from bottle.testing.tree import layer_between


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
        """Build; see `builder` for what it knows of Dockerfiles."""
        where = ""
        try:
            if not context.is_dir():
                raise StepFailed(f"the build context {context} could not be read")
            lines = instructions(dockerfile)
            image = FakeImage(created=self.clock())
            for number, (line, meant) in enumerate(with_args(lines, args), start=1):
                where = f"Step {number}/{len(lines)} : {line}"
                progress.note(where)
                image = self._step(image, meant, context)
                for text in printed(meant):
                    progress.output(text)
        except StepFailed as error:
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
        perform(line, tree, config, context)
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
            raise StepFailed(f"pull access denied for {ref}, repository does not exist or may require 'docker login'")
        return replace(self._images[found], created=self.clock(), parent=found)
