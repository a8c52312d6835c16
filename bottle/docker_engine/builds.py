"""Builds: by BuildKit where engine and docker client have it, by the engine's own builder else."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import docker.errors

from bottle.docker_engine.base import Part
from bottle.docker_engine.buildlog import BuildLog, BuildxOutput, EngineOutput
from bottle.docker_engine.buildx import BuildxBuild, has_buildx, lines_of, running
from bottle.docker_engine.connection import events
from bottle.docker_engine.context import build_context
from bottle.model import Product
from bottle.ports import Progress

# A heredoc, which only BuildKit knows, reads as instructions that nobody knows.
_NEEDS_BUILDKIT = re.compile(r"requires BuildKit|unknown instruction")
_MEND = "mend the Dockerfile and run the same command again"
# What stands in the way of an image that a Dockerfile begins with, in the words of both builders.
_UNREACHED = re.compile(
    r"registry.* lookup |dial tcp|failed to resolve source metadata|failed to do request|pull access denied"
)
_REACH = (
    "docker pull of the image after FROM says whether its registry can be reached and has it; then the same command "
    'again, or another image (build_args = { BASE = "…" } in bottle.toml, where the Dockerfile has ARG BASE)'
)
_FOR_BUILDKIT = (
    f"{_MEND}; for what only BuildKit can, give the docker client its buildx: the package docker-buildx-plugin of "
    "Docker's own, docker-buildx of Debian's"
)
# https://docs.docker.com/build/buildkit/frontend: what an engine does not know yet, a frontend of its own does.
_FOR_SYNTAX = f"{_MEND}; heredocs need Docker 23, or `# syntax=docker/dockerfile:1` as the first line"
# https://github.com/moby/moby, image/cache/cache.go: where an image on the same base is removed while the engine looks
# through them for a step that it has done before, the build fails.
_CACHE_GONE = re.compile(r'unable to find image "sha256:[0-9a-f]{64}"')
_AGAIN = 3


class Builds(Part):
    """`ports.Builds` on a Docker Engine."""

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
        """Build; see the module for who does."""
        log = BuildLog(tag, progress)
        environ = {**os.environ, **self._connection.client_environment()}
        with self._asked_to(f"build {tag}"):
            if self._has_buildkit() and has_buildx(environ):
                build = BuildxBuild(context=context, tag=tag, labels=labels, args=args, secrets=secrets)
                _by_buildx(build, dockerfile, environ, log)
                return
            with build_context(context, dockerfile) as (tar, name):
                self._by_engine(tar, log, dockerfile=name, tag=tag, labels=dict(labels), buildargs=dict(args))

    def _has_buildkit(self) -> bool:
        """Whether the engine speaks BuildKit, as Docker's do since 18.09."""
        return self._dialect.product is Product.DOCKER

    def _by_engine(self, tar: IO[bytes], log: BuildLog, **options: object) -> None:
        message = self._failure(tar, log, options)
        for _ in range(_AGAIN):
            if message is None or _CACHE_GONE.match(message) is None:
                break
            tar.seek(0)
            message = self._failure(tar, log, options)
        if message is not None:
            raise log.failure("", message, _advice(message, _FOR_BUILDKIT))

    def _failure(self, tar: IO[bytes], log: BuildLog, options: Mapping[str, object]) -> str | None:
        """Have the engine build; what ended it, None where it came to its end."""
        output = EngineOutput(log)
        try:
            stream = self._patient.build(fileobj=tar, custom_context=True, rm=True, forcerm=True, **options)
            return next(filter(None, map(output.see, events(stream, f"build {options['tag']}"))), None)
        except docker.errors.APIError as error:
            return str(error.explanation or error)


def _by_buildx(build: BuildxBuild, dockerfile: bytes, environ: Mapping[str, str], log: BuildLog) -> None:
    output = BuildxOutput(log)
    with running(build, dockerfile, environ) as client:
        for line in lines_of(client):
            output.see(line)
    if client.returncode != 0:
        message = output.message or f"docker buildx ended with status {client.returncode}"
        raise log.failure(output.failed, message, _advice(message, _FOR_SYNTAX))


def _advice(message: str, for_buildkit: str) -> str:
    if _UNREACHED.search(message):
        return _REACH
    return for_buildkit if _NEEDS_BUILDKIT.search(message) else _MEND
