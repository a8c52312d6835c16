"""Private keys in armour, wherever they stand: in files of their own, in programs, in JSON within JSON.

Forms: RFC 7468 and RFC 5958 (PKCS #8), RFC 1421 (headers of encrypted ones), RFC 9580 (OpenPGP), and PROTOCOL.key of
OpenSSH.
"""

import base64
import re

REACH = 16 << 10  # bytes from its beginning that are looked at; RSA of 16384 bits has some 13,000

_SPACE = rb"\\+(?:[rnt]|(?:u00|x)0[aAdD9])"  # as JSON, within JSON too, and programs spell it
_GAP = rb"(?:" + _SPACE + rb"|[\s\"'+,]|(?<=\s)[bru]{1,2}(?=[\"']))"
_VALUE = rb"(?:[^\r\n\\]{1,100}(?=[\r\n\\])|\S{1,100})"
BEGIN = re.compile(
    rb"-----BEGIN (?P<kind>[A-Z0-9 ]{0,20})PRIVATE KEY(?: BLOCK)?-----"
    + (_GAP + rb"{0,80}(?P<headers>(?:[A-Za-z-]{1,20}: " + _VALUE + _GAP + rb"{1,80}){0,4})")
    + rb"(?P<body>(?:\\?[A-Za-z0-9+/=]){40})"
)
_DASHES, _END = b"-----", b"-----END"
# From one string of a program to its next.
_JOINT = re.compile(rb"(?:" + _SPACE + rb")*[\"'][\s+,\\()]*[bru]{0,2}[\"']")
_ESCAPE = re.compile(_SPACE)
_NOT_BODY = re.compile(rb"[^A-Za-z0-9+/=]+")
_RUN = re.compile(rb"(?:" + _SPACE + rb"|\\+/|[\s\"',]|[A-Za-z0-9+/=])*")
_DER = (b"", b"RSA ", b"DSA ", b"EC ", b"ENCRYPTED ")
_OPENSSH = base64.b64encode(b"openssh-key-v1").rstrip(b"=")[:-1]


def body(data: bytes, match: re.Match[bytes]) -> bytes | None:
    """The key that begins at `match` of BEGIN, as base64 in one line; None where what follows is no whole key.

    What has no end within REACH, or no end but another beginning, counts as a key.
    """
    begin, reach = match.start("body"), match.start() + REACH
    end = data.find(_DASHES, begin, reach)
    if not data.startswith(_END, end, reach):
        run = _RUN.match(data, begin, reach)
        return _bare(run[0]) if run is not None else None
    found = _bare(data[begin:end])
    return found if _is_whole(match, found) else None


def _bare(text: bytes) -> bytes:
    return _NOT_BODY.sub(b"", _ESCAPE.sub(b"", _JOINT.sub(b"", text)))


def _is_whole(match: re.Match[bytes], found: bytes) -> bool:
    """False only where the form says so: other programs put what they like behind such a header."""
    if match["kind"] == b"OPENSSH ":
        return found.startswith(_OPENSSH)
    return match["kind"] not in _DER or bool(match["headers"]) or not _is_cut(found)


def _is_cut(found: bytes) -> bool:
    """Whether it is the beginning of a longer SEQUENCE (X.690, 8.1.3)."""
    head = found.lstrip(b"+")[:8]
    if b"=" in head:
        return False
    tag, length, *more = base64.b64decode(head)
    octets = length & 0x7F if length & 0x80 else 0  # of a length that is too long for one
    size = int.from_bytes(bytes(more[:octets]), "big") if octets else length & 0x7F
    return tag == 0x30 and octets <= len(more) and len(found) * 3 // 4 < 2 + octets + size
