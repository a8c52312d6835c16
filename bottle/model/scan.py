"""What a search for credentials has found in layers: where, and of which kind, never what."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFile:
    """A file that holds a credential, by its name at least: its absolute path, and what it is."""

    path: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerScan:
    """A layer that was looked through, by its diff id; or the config of an image, by the image's id.

    `values` tells for which known secrets, without telling them; empty where there were none. `hides` are entries of
    the layer by which it may hide a find of one below: absolute paths, `.wh.NAME` being what it deletes.
    """

    digest: str
    values: str = ""
    finds: tuple[FoundFile, ...] = ()
    hides: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerScans:
    """`scanned.json`: layers that need not be read again to know what is in them, the newest last.

    `patterns` is the version of what was looked for, and `salt`, in hex, is that of `values`.
    """

    patterns: int
    salt: str
    scans: tuple[LayerScan, ...] = ()
