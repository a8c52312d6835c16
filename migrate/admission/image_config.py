"""An image's config that somebody else wrote: read strictly, and composed anew of what was understood. Pure.

The engine that is fed it reads JSON otherwise than Python does: keys without regard to case, the last of two, texts
that are no Unicode as something else. So it never sees the document, only one with the values that were checked here.
(OCI image-spec, config.md; what Docker adds: moby, image/spec/specs-go/v1.)
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from bottle.errors import VerificationFailed

MOST = 8 << 20
_MOST_LAYERS = 512
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_WORD = re.compile(r"[a-z0-9_]{1,32}")
_INTEGERS = range(-(2**63), 2**63)

Read = Callable[[Any], Any]


def composed(config: bytes) -> bytes:
    """The config, made anew: what decides how the image runs, its layers and its history, and nothing else.

    The same values give the same bytes. Raises VerificationFailed.
    """
    try:
        return json.dumps(_image(strict(config)), sort_keys=True).encode("ascii")
    except (ValueError, TypeError, KeyError) as exc:
        raise VerificationFailed(f"the image's config is none: {exc}", left="nothing of it was used") from exc


def strict(data: bytes) -> Any:
    """A JSON document: UTF-8, no key twice, integers of 64 bits, finite numbers. Raises ValueError for any other."""
    if len(data) > MOST:
        raise ValueError("a document that is too long")
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_object, parse_constant=_refuse, parse_int=_integer)
    except RecursionError as exc:
        raise ValueError("a document that is too deep") from exc


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key twice")
    return found


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant}, which is no number")


def _integer(digits: str) -> int:
    number = int(digits) if len(digits) < 21 else 2**63
    if number not in _INTEGERS:
        raise ValueError("a number that is too large")
    return number


def _image(document: Any) -> dict[str, Any]:
    image = _picked(document, _IMAGE)
    for key in ("architecture", "os", "rootfs"):
        if key not in image:
            raise ValueError(f"`{key}` is missing")
    return image


def _picked(value: Any, readers: Mapping[str, Read]) -> dict[str, Any]:
    """The keys that are known, each checked; null is as good as none. What only Go takes for one is refused."""
    if not isinstance(value, dict):
        raise TypeError("a table is none")
    known = {key.casefold(): key for key in readers}
    for key in value:
        if known.get(key.casefold(), key) != key:
            raise ValueError(f"`{key[:40]}`, which is not quite `{known[key.casefold()]}`")
    return {key: read(value[key]) for key, read in readers.items() if value.get(key) is not None}


def _table(readers: Mapping[str, Read]) -> Read:
    return lambda value: _picked(value, readers)


def _text(value: Any) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise TypeError("a text is none")
    value.encode("utf-8")  # UnicodeEncodeError, a ValueError, for half a character
    return value


def _word(value: Any) -> str:
    if not _WORD.fullmatch(_text(value)):
        raise ValueError("an architecture or an operating system is none")
    return str(value)


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise TypeError("a list is none")
    return [_text(each) for each in value]


def _names(value: Any) -> dict[str, Any]:
    """A set that is spelt as a table."""
    if not isinstance(value, dict):
        raise TypeError("a set is none")
    return {_text(key): {} for key in value}


def _labels(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise TypeError("labels are none")
    return {_text(key): _text(each) for key, each in value.items()}


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("a number is none")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("a truth value is none")
    return value


def _diff_ids(value: Any) -> list[str]:
    found = _texts(value)
    if not 0 < len(found) <= _MOST_LAYERS or not all(map(_DIGEST.fullmatch, found)):
        raise ValueError("the layers are none")
    return found


def _history(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise TypeError("the history is none")
    return [_picked(each, _ENTRY) for each in value]


def _layers(value: Any) -> dict[str, Any]:
    rootfs = _picked(value, {"type": _text, "diff_ids": _diff_ids})
    if rootfs.get("type") != "layers" or "diff_ids" not in rootfs:
        raise ValueError("the layers are none")
    return rootfs


_HEALTHCHECK: dict[str, Read] = {
    "Test": _texts,
    "Interval": _count,
    "Timeout": _count,
    "StartPeriod": _count,
    "StartInterval": _count,
    "Retries": _count,
}
_CONFIG: dict[str, Read] = {
    "User": _text,
    "ExposedPorts": _names,
    "Env": _texts,
    "Entrypoint": _texts,
    "Cmd": _texts,
    "Volumes": _names,
    "WorkingDir": _text,
    "Labels": _labels,
    "StopSignal": _text,
    "Healthcheck": _table(_HEALTHCHECK),
    "OnBuild": _texts,
    "Shell": _texts,
}
_ENTRY: dict[str, Read] = {
    "created": _text,
    "created_by": _text,
    "author": _text,
    "comment": _text,
    "empty_layer": _flag,
}
_IMAGE: dict[str, Read] = {
    "architecture": _word,
    "os": _word,
    "variant": _text,
    "created": _text,
    "author": _text,
    "config": _table(_CONFIG),
    "rootfs": _layers,
    "history": _history,
}
