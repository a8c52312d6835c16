"""The frame and the wrapping, without any shell but sh."""

import subprocess

import pytest
from hypothesis import given, settings, strategies as st

from bottle.errors import RemoteError
from migrate.model import RemoteCommand
from migrate.transport.framing import ERR_LIMIT, LINE, ErrorTail, Frame, wrap

NONCE = "0123456789abcdef"
BEGIN, END = f"\nbegin-{NONCE}\n".encode(), f"end-{NONCE} ".encode()


def fed(data: bytes, size: int = 1 << 20, limit: int = 1 << 20) -> Frame:
    frame = Frame(NONCE, limit)
    for start in range(0, len(data), size):
        if frame.feed(data[start : start + size]):
            break
    return frame


def test_the_line_holds_nothing_that_a_login_shell_expands() -> None:
    assert LINE.count("'") == 2
    assert not set("!\\\n`") & set(LINE)


def test_a_shell_that_is_told_nothing_ends() -> None:
    done = subprocess.run(("sh", "-c", LINE), input=b"", capture_output=True, check=False, timeout=60)
    assert (done.stdout, done.stderr) == (b"", b"")


def test_nonces_differ() -> None:
    command = RemoteCommand(script="x")
    assert wrap(command).nonce != wrap(command).nonce


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))))
@settings(max_examples=60, deadline=None)
def test_any_arguments_survive(args: list[str]) -> None:
    wrapped = wrap(RemoteCommand(script='for a; do printf "%s\\0" "$a"; done', args=tuple(args)))
    done = subprocess.run(("sh", "-c", LINE), input=wrapped.prelude, capture_output=True, check=True)
    frame = Frame(wrapped.nonce)
    assert frame.feed(done.stdout)
    assert frame.out == b"".join(arg.encode() + b"\0" for arg in args)


@pytest.mark.parametrize("keep", [0, 0.1, 0.5, 0.9, 0.99])
def test_a_prelude_cut_short_runs_nothing(tmp_path, keep: float) -> None:
    mark = tmp_path / "mark"
    wrapped = wrap(RemoteCommand(script='touch "$1"\n' * 20, args=(str(mark),)))
    cut = wrapped.prelude[: int(len(wrapped.prelude) * keep)] if keep else wrapped.prelude[:2]
    subprocess.run(("sh", "-c", LINE), input=cut, capture_output=True, check=False)
    assert not mark.exists()


@given(st.binary(), st.binary(max_size=300), st.integers(0, 255), st.integers(1, 50))
def test_what_stands_in_the_frame_comes_out(out: bytes, noise: bytes, status: int, size: int) -> None:
    frame = fed(noise + BEGIN + out + END + str(status).encode() + b"\n" + b"trailing noise", size)
    assert (frame.status, frame.out) == (status, out)


def test_a_frame_that_does_not_end_has_no_status() -> None:
    assert fed(BEGIN + b"half").status is None
    assert fed(BEGIN + b"half" + END + b"4").status is None


def test_another_nonce_is_just_output() -> None:
    other = b"end-ffff 0\n"
    assert fed(BEGIN + other + END + b"3\n").out == other


def test_limit_is_exact() -> None:
    data = bytes(100)
    assert fed(BEGIN + data + END + b"0\n", limit=100).out == data
    for size in (1, 7, 1000):
        with pytest.raises(RemoteError, match="endless"):
            fed(BEGIN + data + b"x" + END + b"0\n", size, limit=100)
    with pytest.raises(RemoteError, match="endless"):
        fed(BEGIN + bytes(1000), 10, limit=100)


@pytest.mark.parametrize("size", [1, 1 << 20])
@pytest.mark.parametrize("said", [b"x", b"12345", b"-1\n", b"\n\n\n\n", b"1x\n\n"])
def test_an_end_without_a_status_is_refused(said: bytes, size: int) -> None:
    """Whoever writes it knows the nonce, and could go on for ever behind it."""
    with pytest.raises(RemoteError, match="no status"):
        fed(BEGIN + b"out" + END + said + bytes(10), size, limit=100)


def test_endless_noise_is_refused_and_memory_stays_small() -> None:
    frame = Frame(NONCE)
    for _ in range(16):
        frame.feed(bytes(64 << 10))
    with pytest.raises(RemoteError, match="login shell"):
        frame.feed(bytes(64 << 10))


def test_noise_is_shown_clean() -> None:
    noise = fed(b"This account is \x1b[31mclosed.\r\n").noise
    assert "closed." in noise
    assert "\x1b" not in noise


def test_error_tail_keeps_the_end() -> None:
    tail = ErrorTail()
    for _ in range(100):
        tail.feed(b"early\n" * 1000)
    tail.feed(b"the \x1b[1mcause\xff\n")
    assert tail.text.split(" | ")[-1].startswith("the ")
    assert "\n" not in tail.text
    assert "\x1b" not in tail.text
    assert len(tail.text) <= ERR_LIMIT
