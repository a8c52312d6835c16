"""Where the symlinks of a tree lead. Pure."""

import posixpath
from collections.abc import Mapping

from bottle.errors import VerificationFailed

_MOST_HOPS = 40  # after that many links the kernel gives up
_MOST_STEPS = 1 << 24  # on the ways of all links of a tar; a million links of ten folders each take fewer
_STEP = 256  # bytes of a path that count as one more step: they are copied and hashed


class Walk:
    """Goes the ways of the links of one tree, as the kernel would; `links` are what they say, by path."""

    def __init__(self, links: Mapping[str, str]) -> None:
        self._links = links
        self._steps = 0

    def points_out(self, path: str) -> bool:
        """Whether the link at `path` leads out of the tree, over other links too.

        An absolute target always leads out. A link that turns in circles leads nowhere. Raises VerificationFailed when
        the ways of all that were asked for are too long: a million links may each lead over the same forty long ones.
        """
        at = posixpath.dirname(path)
        ahead = [self._links[path]]
        hops = 0
        while ahead:
            self._step(at)
            target = ahead.pop()
            if target.startswith("/"):
                return True
            first, slash, rest = target.partition("/")
            if slash and rest.strip("/"):
                ahead.append(rest.lstrip("/"))
            if first == "..":
                if not at:
                    return True
                at = posixpath.dirname(at)
            elif first not in {"", "."}:
                here = posixpath.join(at, first)
                if here not in self._links:
                    at = here
                    continue
                hops += 1
                if hops > _MOST_HOPS:
                    return False
                ahead.append(self._links[here])
        return False

    def _step(self, at: str) -> None:
        self._steps += 1 + len(at) // _STEP
        if self._steps > _MOST_STEPS:
            raise VerificationFailed("the links of a folder lead over each other in too many ways")
