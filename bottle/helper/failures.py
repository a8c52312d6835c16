"""An error that the helper met, as a document, and the same error again where it was asked."""

from typing import Any

from bottle import errors
from bottle.errors import BottleError, HelperLost
from bottle.text import printable


def told(error: OSError | BottleError) -> dict[str, Any]:
    """An error as a document."""
    if isinstance(error, OSError):
        filename = None if error.filename is None else printable(str(error.filename))
        return {"class": "OSError", "errno": error.errno, "what": error.strerror or str(error), "filename": filename}
    return {"class": error.code, "what": error.what, "left": error.left, "next_step": error.next_step}


def raised(document: Any) -> OSError | BottleError:
    """The error of a document; HelperLost for what is none."""
    match document:
        case {
            "class": "OSError",
            "errno": int() | None as number,
            "what": str(what),
            "filename": str() | None as filename,
        }:
            return OSError(number, what, filename)
        case {"class": str(name), "what": str(what), "left": str(left), "next_step": str(next_step)}:
            kind = getattr(errors, name, None)
            if isinstance(kind, type) and issubclass(kind, BottleError):
                return kind(what, left=left, next_step=next_step)
    return HelperLost("the helper container tells of an error that is none")
