"""What runs in a helper container: it reads layers out of the engine's folders, and what containers have written."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from bottle.helper.server import Call, Handler, run
from bottle.helper.tree_server import TREE_CALLS
from bottle.model import EngineInfo, ImageDefaults, ImageFacts, Store
from bottle.ports import Silent
from migrate.image.engine_folders import opened, place


def _store(call: Call) -> str:
    return str(place(_info(call)))


def _layer(call: Call) -> None:
    with opened(_info(call), _image(call)) as stored:
        for piece in stored.layer(call.given["diff_id"], Silent()):
            call.write(piece)
    call.flush()


def _documents(call: Call) -> dict[str, Any]:
    with opened(_info(call), _image(call)) as stored:
        documents = stored.documents()
    known = {diff_id: asdict(blob) for diff_id, blob in documents.known.items()}
    return {"config": documents.config.decode("latin-1"), "known": known}


def _info(call: Call) -> EngineInfo:
    """As much of it as is needed to find the store."""
    return EngineInfo(
        version="",
        api_version="",
        architecture="",
        os="",
        store=Store(call.given["store"]),
        root_dir=call.given["root_dir"],
    )


def _image(call: Call) -> ImageFacts:
    """As much of it as is needed to find its layers."""
    return ImageFacts(
        id=call.given["id"],
        tags=(),
        diff_ids=tuple(call.given["diff_ids"]),
        config_digest="",
        architecture=call.given["architecture"],
        os=call.given["os"],
        size=0,
        created_at=None,
        labels={},
        defaults=ImageDefaults(),
    )


CALLS: Mapping[str, Handler] = {**TREE_CALLS, "store": _store, "layer": _layer, "documents": _documents}

if __name__ == "__main__":
    run(CALLS)
