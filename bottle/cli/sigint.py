"""What tells that a run was interrupted. It imports nothing: this is loaded before a Ctrl-C is heard (entry.py)."""

WORDS = "bottle.words"  # where click's root context keeps what was typed


def is_interruption(error: BaseException) -> bool:
    """Whether it came of a Ctrl-C, or of a signal that is heard as one.

    A library that tidies up after one may fail at that, or take it for a failure of its own: then the error that comes
    out is another one, and the Ctrl-C stands behind it.
    """
    pending, seen = [error], set[int]()
    while pending:
        each = pending.pop()
        if isinstance(each, KeyboardInterrupt):
            return True
        seen.add(id(each))
        pending += [
            behind for behind in (each.__cause__, each.__context__) if behind is not None and id(behind) not in seen
        ]
    return False
