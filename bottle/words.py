"""Numbers as people say them: how many, how large, how long ago. Pure."""

from datetime import UTC, datetime

NOTHING = "-"  # what a table says where there is nothing to say


def counted(count: int, noun: str, plural: str = "") -> str:
    """`1 image`, `2 images`, `2 entries`."""
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


def size(count: int) -> str:
    """A number of bytes, in powers of 1000 as Docker counts them."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def ssh_to(place: str, *, options: str = "") -> str:
    """The `ssh` command for `[USER@]HOST[:PORT]`, in the form that every version of it takes."""
    where, colon, port = place.rpartition(":")
    if not (colon and port.isdigit()):
        where, port = place, ""
    words = ("ssh", options, f"-p {port}" if port else "", where.replace("[", "").replace("]", ""))
    return " ".join(filter(None, words))


def age(moment: datetime | None, now: datetime | None = None) -> str:
    """How long ago, as seen from `now`."""
    if moment is None:
        return NOTHING
    seconds = max(0, int(((now or datetime.now(UTC)) - moment).total_seconds()))
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit} ago"
    return f"{seconds}s ago"
