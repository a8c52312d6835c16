"""Docker contexts, as the docker client keeps them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any


def folder_of(kind: str, config: Path, name: str) -> Path:
    return config / "contexts" / kind / hashlib.sha256(name.encode()).hexdigest()


def store(config: Path, name: str, host: str | None, *, tls: tuple[str, ...] | None = None, **docker: Any) -> Path:
    """A context, as `docker context create` writes it; the file that describes it."""
    meta = folder_of("meta", config, name) / "meta.json"
    meta.parent.mkdir(parents=True)
    endpoint = docker if host is None else {"Host": host, **docker}
    meta.write_text(json.dumps({"Name": name, "Metadata": {}, "Endpoints": {"docker": endpoint}}))
    if tls is not None:
        files = folder_of("tls", config, name) / "docker"
        files.mkdir(parents=True)
        for each in tls:
            (files / each).write_text("x")
    return meta
