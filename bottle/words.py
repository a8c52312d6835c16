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


def coarse(amount: float) -> int:
    """A time in seconds that nobody knows better than by a tenth or so: at least 1, and the longer, the rounder."""
    for below, step in ((10, 1), (60, 5), (120, 10), (1200, 60), (7200, 300)):
        if amount < below:
            return max(round(amount / step) * step, 1)
    return round(amount / 3600) * 3600


def about(amount: float) -> str:
    """Such a time in words: `about 35 s`, `about 3 min`."""
    whole = coarse(amount)
    for unit, length, most in (("s", 1, 120), ("min", 60, 7200)):
        if whole < most:
            return f"about {whole // length} {unit}"
    return f"about {whole // 3600} h"


def rate(amount: float) -> str:
    """Bytes a second, such as 11 MB/s or 1.2 MB/s."""
    return f"{size(round(amount)).replace('.0 ', ' ')}/s"


def elapsed(moment: datetime | None, now: datetime | None = None) -> str:
    """The time from `moment` to `now`, in the largest whole unit."""
    if moment is None:
        return NOTHING
    whole = max(0, int(((now or datetime.now(UTC)) - moment).total_seconds()))
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if whole >= length:
            return f"{whole // length}{unit}"
    return f"{whole}s"
