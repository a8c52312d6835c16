"""What the parts of the adapter share."""

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from bottle.docker_engine.connection import Connection
from bottle.docker_engine.dialect import Dialect


class Part:
    """A part of the adapter, on a connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # Any: the stubs of docker-py leave most of its calls without types.

    @property
    def _quick(self) -> Any:
        return self._connection.quick

    @property
    def _patient(self) -> Any:
        return self._connection.patient

    @property
    def _dialect(self) -> Dialect:
        return self._connection.dialect

    def _asked_to(self, doing: str) -> AbstractContextManager[None]:
        return self._connection.asked_to(doing)


def label_filters(labels: Mapping[str, str | None]) -> dict[str, list[str]]:
    """The `filters` of a list call for things with all of these labels (None: any value)."""
    if not labels:
        return {}
    return {"label": [key if value is None else f"{key}={value}" for key, value in labels.items()]}


def readable_folder(path: str) -> bool:
    """Whether a folder of the engine's can be looked into by this process."""
    # In this order: of what lies where nobody may enter, Python 3.11 and 3.12 raise an error when asked what it is.
    effective = os.access in os.supports_effective_ids
    return os.access(path, os.R_OK | os.X_OK, effective_ids=effective) and Path(path).is_dir()


def split_tag(reference: str) -> tuple[str, str]:
    """Repository and tag of `repository[:tag]`; a port in a registry's name is no tag."""
    repository, colon, tag = reference.rpartition(":")
    return (repository, tag) if colon and "/" not in tag else (reference, "latest")
