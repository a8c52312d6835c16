"""What one host says of itself and of the other, as the other says it: here is there, and there is here."""

import re

# "there is no bottle" speaks of no place.
_PLACES = re.compile(
    r"(?:^|[;:,.(] |\b(?:and|but|if|or|since|that|when|where) )there (?:is|are|was|were)\b"
    r"|(?<![\w/.-])(?:this host|there|here)(?![\w/-])"
)


def told_from_here(text: str, host: str) -> str:
    """What `host` says, as it is said on the other of the two hosts."""
    return _PLACES.sub(
        lambda match: {"this host": host, "there": "here", "here": "there"}.get(match[0], match[0]), text
    )
