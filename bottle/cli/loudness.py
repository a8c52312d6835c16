"""How much the user wants to hear beside the answer."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Loudness:
    """What stands before the command: `bottle -q commit`."""

    quiet: bool = False
    verbose: bool = False
