"""What the tars of a bottle that comes from elsewhere may hold, and how that comes to lie here."""

import posixpath

from bottle.files.unpack import Policy
from bottle.tar.items import ItemType
from bottle.tar.rules import SPECIAL, Links, Rules

STATE = Rules(what="the state", links=Links.NONE, folded=True, apart="transcript/files/")
WORKSPACE = Rules(what="the workspace", links=Links.INSIDE)
LAYER = Rules(what="a layer", special=SPECIAL, strict=False)


def placed(*, owners: bool) -> Policy:
    """How a workspace lies here; with `owners`, which root alone can give, it belongs to whom it belongs there."""
    return Policy(owners=owners, folder_bits=0o3777)


def volume_rules(name: str, target: str) -> Rules:
    """Those of a volume, as an engine packs it: below the last part of its target."""
    return Rules(
        what=f"volume {name}",
        special=frozenset({ItemType.FIFO}),
        top=posixpath.basename(posixpath.normpath(target)),
    )
