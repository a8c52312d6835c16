"""What stands in front of a tar member's content, made and changed byte for byte: all else that it says survives.

Formats as in `tarstream`. A name that is long or not ASCII goes into a pax record, as Go's writer does it.
"""

import tarfile

BLOCK = tarfile.BLOCKSIZE
_NAME, _TYPE, _LINK, _CHECKSUM, _PREFIX = slice(0, 100), 156, slice(157, 257), slice(148, 156), slice(345, 500)
_USTAR, _MAGIC = b"ustar\0", slice(257, 263)
_SIZE = slice(124, 136)


def plain_head(path: str, kind: bytes, mode: int) -> bytes:
    """The head of an empty member of root's, at time 0."""
    info = tarfile.TarInfo("-")
    info.type, info.mode = kind, mode
    return renamed(info.tobuf(tarfile.USTAR_FORMAT), path=path)


def renamed(head: bytes, *, path: str | None = None, link: str | None = None) -> bytes:
    """`head` with another name, or another target of its link; times, owners, attributes stay."""
    extensions, block = bytearray(), bytearray()
    records: dict[bytes, bytes] = {}
    rest = head
    while rest:
        block, rest = bytearray(rest[:BLOCK]), rest[BLOCK:]
        kind = bytes(block[_TYPE : _TYPE + 1])
        if kind not in {tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK}:
            break
        size = tarfile.nti(block[_SIZE])  # type: ignore[attr-defined]
        padded = size + -size % BLOCK
        data, rest = rest[:padded], rest[padded:]
        if kind == tarfile.XHDTYPE:
            records |= _records(data[:size])
        elif (path if kind == tarfile.GNUTYPE_LONGNAME else link) is None:
            extensions += bytes(block) + data
    if path is not None:
        _put(block, records, _NAME, b"path", path)
        if block[_MAGIC] == _USTAR:  # in GNU's own form other things stand there
            block[_PREFIX] = bytes(155)
    if link is not None:
        _put(block, records, _LINK, b"linkpath", link)
    block[_CHECKSUM] = b" " * 8
    block[_CHECKSUM] = b"%06o\0 " % sum(block)
    return bytes(extensions) + _extension(records) + bytes(block)


def _put(block: bytearray, records: dict[bytes, bytes], field: slice, key: bytes, text: str) -> None:
    value = text.encode("utf-8", "surrogateescape")
    width = field.stop - field.start
    records.pop(key, None)
    if len(value) > width or not value.isascii():
        records[key] = value
    block[field] = value[:width].ljust(width, b"\0")


def _records(data: bytes) -> dict[bytes, bytes]:
    """pax records that `tarstream` has found to be well formed."""
    records = {}
    while data:
        length, _, _ = data.partition(b" ")
        key, _, value = data[len(length) + 1 : int(length) - 1].partition(b"=")
        records[key] = value
        data = data[int(length) :]
    return records


def _extension(records: dict[bytes, bytes]) -> bytes:
    if not records:
        return b""
    data = b"".join(_record(key, records[key]) for key in sorted(records))
    info = tarfile.TarInfo("PaxHeaders.0/-")
    info.type, info.size = tarfile.XHDTYPE, len(data)
    return info.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % BLOCK)


def _record(key: bytes, value: bytes) -> bytes:
    """`LENGTH KEY=VALUE\\n`, where LENGTH counts itself."""
    body = b" " + key + b"=" + value + b"\n"
    length = len(body)
    while length != len(body) + len(str(length)):
        length = len(body) + len(str(length))
    return str(length).encode() + body
