"""Files like those in agents' images, generated: the same on every machine, and no download.

Of the files 55 % are text (words of one vocabulary, some far more frequent than others), 25 % look like programs (the
same with byte strings for words) and 20 % do not compress at all, as wheels, pictures and caches do not. Sizes are
log-normal: half of them are below 6 KiB, the mean is some 45 KiB. All in all they compress to some two fifths.
"""

import io
import random
import tarfile
from collections.abc import Callable
from typing import IO

_MEDIAN_EXPONENT, _SPREAD = 8.7, 2.0
_LARGEST = 16 << 20
_TOKENS = 1 << 16
_KINDS = ("text", "program", "packed")
_WEIGHTS = (55, 25, 20)
_LETTERS = b"eeetaaoiinnsshrrdlucmfwypvbgkjqxz"


def write_files(out: IO[bytes], folder: str, size: int, seed: str) -> int:
    """Write a tar of files of `size` bytes in all, below `folder`, to a stream; returns how many files."""
    source = _Source(seed)
    count = 0
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.GNU_FORMAT) as archive:
        while size > 0:
            length = min(source.length(), size)
            kind, data = source.data(length)
            entry = tarfile.TarInfo(f"{folder}/{count // 200:04d}/{count:06d}.{kind}")
            entry.size, entry.mode, entry.mtime = length, 0o644, 1_700_000_000
            archive.addfile(entry, io.BytesIO(data))
            size -= length
            count += 1
    return count


def write_tree(out: IO[bytes], folder: str, size: int, files: int, seed: str) -> None:
    """Write a tar of so many such files, of about `size` bytes in all, to a stream: folder/NNNN/NNNNNN, from 0 on."""
    source = _Source(seed)
    lengths = [source.length() for _ in range(files)]
    scale = size / sum(lengths)
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.GNU_FORMAT) as archive:
        for number, length in enumerate(lengths):
            _, data = source.data(round(length * scale))
            entry = tarfile.TarInfo(f"{folder}/{number // 200:04d}/{number:06d}")
            entry.size, entry.mode, entry.mtime = len(data), 0o644, 1_700_000_000
            archive.addfile(entry, io.BytesIO(data))


class _Source:
    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)  # noqa: S311  # to be repeated, not to be secret
        self._words = self._vocabulary(lambda length: bytes(self._random.choices(_LETTERS, k=length)) + b" ")
        self._codes = self._vocabulary(self._random.randbytes)

    def length(self) -> int:
        return min(int(self._random.lognormvariate(_MEDIAN_EXPONENT, _SPREAD)) + 1, _LARGEST)

    def data(self, length: int) -> tuple[str, bytes]:
        kind = self._random.choices(_KINDS, _WEIGHTS)[0]
        if kind == "packed":
            return kind, self._random.randbytes(length)
        return kind, self._tokens(self._words if kind == "text" else self._codes, length)

    def _tokens(self, vocabulary: list[bytes], length: int) -> bytes:
        """Two random bytes choose a token."""
        pieces: list[bytes] = []
        while length > 0:
            choices = memoryview(self._random.randbytes(2 * (length // 4 + 1))).cast("H")
            piece = b"".join(map(vocabulary.__getitem__, choices))[:length]
            pieces.append(piece)
            length -= len(piece)
        return b"".join(pieces)

    def _vocabulary(self, token: Callable[[int], bytes]) -> list[bytes]:
        """Tokens so often as Zipf's law has it: the n-th most frequent 1/n times as often as the first."""
        vocabulary: list[bytes] = []
        rank = 1
        while len(vocabulary) < _TOKENS:
            vocabulary += [token(self._random.randint(2, 10))] * max(1, 12000 // rank)
            rank += 1
        return vocabulary[:_TOKENS]
