"""What is staged here by a host that nobody vouches for is what it is called, or nothing."""

from __future__ import annotations

import errno
import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from bottle.errors import VerificationFailed
from migrate.admission.arrived_state import staged, unpack_folder

PIECES = (b"one", b"two", b"three")
WHOLE = hashlib.sha256(b"".join(PIECES)).hexdigest()


def stage(folder: Path, blob: str, pieces: tuple[bytes, ...]) -> None:
    """As piece.sh leaves them: each piece is what its own name says."""
    (folder / blob).mkdir()
    for number, piece in enumerate(pieces):
        (folder / blob / f"{number:08d}-{hashlib.sha256(piece).hexdigest()}").write_bytes(piece)
    (folder / blob / ".00000000.77").write_bytes(b"of a piece that was cut")


def test_pieces_make_up_their_blob(tmp_path: Path) -> None:
    stage(tmp_path, WHOLE, PIECES)
    assert b"".join(staged(tmp_path, WHOLE)) == b"".join(PIECES)


@pytest.mark.parametrize(
    "pieces", [PIECES[:2], (*PIECES, b"four"), PIECES[::-1], (b"one", b"two", b"thrse"), ()],
    ids=["too few", "too many", "in another order", "another", "none"],
)  # fmt: skip
def test_pieces_whose_sum_is_not_the_blobs_name_are_refused(tmp_path: Path, pieces: tuple[bytes, ...]) -> None:
    stage(tmp_path, WHOLE, pieces)
    with pytest.raises(VerificationFailed, match="is something else"):
        list(staged(tmp_path, WHOLE))


def test_a_link_is_no_piece(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"".join(PIECES))
    (tmp_path / WHOLE).mkdir()
    (tmp_path / WHOLE / f"00000000-{WHOLE}").symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="link") as caught:
        list(staged(tmp_path, WHOLE))
    assert caught.value.errno == errno.ELOOP


def test_a_state_that_is_unpacked_is_this_users_alone_whatever_rights_it_had(tmp_path: Path) -> None:
    """A folder that may not be entered could never be read, nor deleted by `rm`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, type_, mode in (
            (".", tarfile.DIRTYPE, 0o000),
            ("./locked", tarfile.DIRTYPE, 0o555),
            ("./locked/file", tarfile.REGTYPE, 0o4666),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.mode = type_, mode
            archive.addfile(member)
    state = tmp_path / "state"
    unpack_folder([buffer.getvalue()], state, owners=False, links=False, room=1 << 20)
    modes = {str(path.relative_to(state)): path.stat().st_mode & 0o7777 for path in (state, *state.rglob("*"))}
    assert modes == {".": 0o700, "locked": 0o700, "locked/file": 0o600}
