"""Private keys in armour, wherever they stand: in files of their own, in programs, in comments, in JSON within JSON.

Forms: RFC 7468 and RFC 5958 (PKCS #8), RFC 1421 (headers of encrypted ones), RFC 9580 (OpenPGP), and PROTOCOL.key of
OpenSSH.
"""

import base64
import re

REACH = 16 << 10  # bytes from its beginning that are looked at; RSA of 16384 bits has some 13,000
BEFORE = 64  # bytes ahead of it that are looked at

BEGIN = re.compile(rb"-----BEGIN (?P<kind>[A-Z0-9 ]{0,20})PRIVATE KEY(?: BLOCK)?-----")
# As JSON, within JSON too, and programs spell what is no text. A line of C, Rust and shells may go on behind a `\`.
_COLOUR = re.compile(rb"(?:\x1b|(?<!\\)\\+(?:u001b|x1b|033|e))\[[0-9;:]{0,21}[mK]")  # ECMA-48, "SGR" and "EL"
_TAB = re.compile(rb"(?<!\\)\\+(?:t|(?:u00|x)09)")
_LINE = re.compile(rb"(?<!\\)\\+(?:[rn]|(?:u00|x)0[aAdD]|\r?\n)|\r\n?")
_QUOTE = rb"[\"'`]"
_START = re.compile(rb"\n|" + _QUOTE)  # of a line, also of one of a program
_DIGITS, _BLANKS = re.compile(rb"[0-9]+"), re.compile(rb"(?:\\[ \t])+")
_NEAR = 8  # bytes that the second mark may be longer than the first one, or further away
# From one string of a program to its next.
_JOINT = re.compile(_QUOTE + rb"[\s+,.\\()]*[bru]{0,2}" + _QUOTE)
_GAP = rb"(?:[\s\"'`+,.\\]|(?<=\s)[bru]{1,2}(?=[\"']))"
_HEAD = re.compile(
    _GAP
    + rb"{0,80}(?P<headers>(?:[A-Za-z-]{1,20}: (?:[^\n]{1,100}(?=\n)|\S{1,100})"
    + _GAP
    + rb"{1,80}){0,4})(?P<body>(?:\\?[A-Za-z0-9+/=]){40})"
)
_STOP = re.compile(rb"-----(?P<kind>BEGIN|END)")
_NOT_BODY = re.compile(rb"[^A-Za-z0-9+/=]+")
_RUN = re.compile(rb"[\s\"'`,\\A-Za-z0-9+/=]*")
_DER = (b"", b"RSA ", b"DSA ", b"EC ", b"ENCRYPTED ")
_OPENSSH = base64.b64encode(b"openssh-key-v1").rstrip(b"=")[:-1]


def body(data: bytes, match: re.Match[bytes]) -> bytes | None:
    """The key that begins at `match` of BEGIN, as base64 in one line; None where what follows is no whole key.

    What has no end within REACH, or no end but another beginning, counts as a key.
    """
    reach = match.start() + REACH
    stop = _STOP.search(data, match.end(), reach)
    before = _plain(data[max(0, match.start() - BEFORE) : match.start()])
    text = _unmarked(_plain(data[match.end() : stop.start() if stop else reach]), before)
    head = _HEAD.match(text)
    if head is None:
        return None
    key = text[head.start("body") :]
    if stop is None or stop["kind"] != b"END":
        run = _RUN.match(key)
        return _bare(run[0]) if run is not None else None
    found = _bare(key)
    return found if _is_whole(match["kind"], bool(head["headers"]), found) else None


def _plain(text: bytes) -> bytes:
    """`text` with its escapes, and the ends of its lines, as what they stand for, and without colours."""
    return _LINE.sub(b"\n", _TAB.sub(b"\t", _COLOUR.sub(b"", text)))


def _unmarked(text: bytes, before: bytes) -> bytes:
    """Lines without the mark that the first one has too, which ends `before`: of a comment, a quotation, a log.

    In a mark numbers may differ, and blanks. What might be a part of the key is no mark.
    """
    last = _START.split(before)[-1]
    mark = last.strip()
    if not mark or last[-1:].isalnum():
        return text
    spelt = _BLANKS.sub(rb"[ \\t]+", _DIGITS.sub(rb"[0-9]+", re.escape(mark)))
    repeated = re.compile(rb"\n[ \t]*" + spelt)
    return repeated.sub(b"\n", text) if repeated.search(text, 0, len(last) + _NEAR) else text


def _bare(text: bytes) -> bytes:
    return _NOT_BODY.sub(b"", _JOINT.sub(b"", text))


def _is_whole(kind: bytes, headers: bool, found: bytes) -> bool:
    """False only where the form says so: other programs put what they like behind such a header."""
    if kind == b"OPENSSH ":
        return found.startswith(_OPENSSH)
    return kind not in _DER or headers or not _is_cut(found)


def _is_cut(found: bytes) -> bool:
    """Whether it is the beginning of a longer SEQUENCE (X.690, 8.1.3)."""
    head = found.lstrip(b"+")[:8]
    if b"=" in head:
        return False
    tag, length, *more = base64.b64decode(head)
    octets = length & 0x7F if length & 0x80 else 0  # of a length that is too long for one
    size = int.from_bytes(bytes(more[:octets]), "big") if octets else length & 0x7F
    return tag == 0x30 and octets <= len(more) and len(found) * 3 // 4 < 2 + octets + size
