"""Numbers as people say them: how many, how large, how long ago. Pure."""

from datetime import UTC, datetime

NOTHING = "-"  # what a table says where there is nothing to say


def counted(count: int, noun: str, plural: str = "") -> str:
    """`1 image`, `2 images`, `2 entries`."""
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


def size(count: int) -> str:
    """A number of bytes, in powers of 1000 as Docker counts them; in eight characters or less up to 999.9 TB."""
    if count < 1000:
        return f"{count} B"
    amount = float(count)
    for unit in ("kB", "MB", "GB"):
        amount /= 1000
        if round(amount, 1) < 1000:  # as it is shown: 999,960 bytes are 1.0 MB
            return f"{amount:.1f} {unit}"
    return f"{amount / 1000:.1f} TB"


def ssh_to(place: str, *, options: str = "") -> str:
    """The `ssh` command for `[USER@]HOST[:PORT]`, in the form that every version of it takes."""
    where, colon, port = place.rpartition(":")
    if not (colon and port.isdigit()):
        where, port = place, ""
    words = ("ssh", options, f"-p {port}" if port else "", where.replace("[", "").replace("]", ""))
    return " ".join(filter(None, words))


def age(moment: datetime | None, now: datetime | None = None) -> str:
    """How long ago, as seen from `now`."""
    return NOTHING if moment is None else f"{elapsed(moment, now)} ago"


def seconds(amount: float) -> str:
    """A short time, such as 1.3 s."""
    return f"{amount:.1f} s"


def elapsed(moment: datetime | None, now: datetime | None = None) -> str:
    """The time from `moment` to `now`, in the largest whole unit."""
    if moment is None:
        return NOTHING
    whole = max(0, int(((now or datetime.now(UTC)) - moment).total_seconds()))
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if whole >= length:
            return f"{whole // length}{unit}"
    return f"{whole}s"
