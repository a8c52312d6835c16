"""What every `migrate.ports.Remote` does: one suite for the local stand-in and for real SSH.

A test class inherits `RemoteContract` and provides the fixture `remote`.
"""

import hashlib
import os
import shlex
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from bottle.errors import ConnectionLost, RemoteError
from migrate.model import RemoteCommand
from migrate.ports import Remote

# One argument a row; every byte that a shell could take for something else, and UTF-8 that holds 0x80 to 0x8f, which
# some shells use for themselves.
ARGUMENTS = (
    "",
    " ",
    "two words",
    "it's",
    'say "hi"',
    "$(touch /tmp/pwned) `id` ${HOME} $1",
    "; exit 9; #",
    "| & < > ( ) { } [a-z] * ? ~",
    "!! !x ^a^b",
    "back\\slash \\n \\' end\\",
    "line one\nline two\n",
    "\n",
    "\ttab\r\x01\x1b[31m\x7f",
    "-n",
    "--",
    "%s %d %%",
    "Á É Ö ё 漢字 \U0001f37e \u0080\u0081\u0088\u008f",
    "not utf-8: \udcff\udc81",
)


def script(text: str, *args: str) -> RemoteCommand:
    """Short for a command of these tests."""
    return RemoteCommand(script=text, args=args)


def chunks(total: int, size: int) -> Iterator[bytes]:
    """`total` bytes that are no text and do not repeat, in pieces."""
    block = os.urandom(size)
    for number in range(total // size):
        yield number.to_bytes(8) + block[8:]


class RemoteContract:
    """The suite."""

    def test_arguments_arrive_as_they_are(self, remote: Remote) -> None:
        reply = remote.run(script('for arg; do printf "%s\\0" "$arg"; done', *ARGUMENTS))
        assert reply.status == 0
        assert reply.out.split(b"\0")[:-1] == [arg.encode(errors="surrogateescape") for arg in ARGUMENTS]

    @pytest.mark.parametrize("argument", ARGUMENTS)
    def test_one_argument_alone(self, remote: Remote, argument: str) -> None:
        reply = remote.run(script('printf "%s:%s" "$#" "$1"', argument))
        assert reply.out == b"1:" + argument.encode(errors="surrogateescape")

    def test_no_arguments(self, remote: Remote) -> None:
        assert remote.run(script('echo "$#"')).out == b"0\n"

    def test_a_zero_byte_is_refused(self, remote: Remote) -> None:
        with pytest.raises(RemoteError, match="zero byte"):
            remote.run(script("true", "a\0b"))

    def test_many_arguments_and_a_long_one(self, remote: Remote) -> None:
        reply = remote.run(script('printf "%s " "$#" "${#1}"', "x" * 200_000, *("y",) * 999))
        assert reply.out == b"1000 200000 "

    @pytest.mark.parametrize("status", [0, 1, 2, 42, 127, 255])
    def test_exit_status(self, remote: Remote, status: int) -> None:
        assert remote.run(script('exit "$1"', str(status))).status == status

    def test_status_of_the_last_command(self, remote: Remote) -> None:
        assert remote.run(script("true\nfalse")).status == 1

    def test_set_e_ends_the_script_and_not_the_frame(self, remote: Remote) -> None:
        reply = remote.run(script("set -e\necho one\nfalse\necho two"))
        assert (reply.status, reply.out) == (1, b"one\n")

    def test_exec_and_exit_trap(self, remote: Remote) -> None:
        assert remote.run(script("exec sh -c 'echo in; exit 5'")).status == 5
        assert remote.run(script("trap 'echo bye' EXIT; exit 6")).out == b"bye\n"

    def test_script_of_many_lines_with_here_document_and_comment(self, remote: Remote) -> None:
        text = "f() {\n  cat <<'END'\n$not (expanded)\nEND\n}\nf # the end"
        assert remote.run(script(text)).out == b"$not (expanded)\n"

    def test_stderr_is_kept_apart_and_cleaned(self, remote: Remote) -> None:
        reply = remote.run(script("echo out; printf 'one\\n\\033[31mtwo\\n' >&2; exit 3"))
        assert (reply.status, reply.out) == (3, b"out\n")
        assert "one" in reply.err
        assert "two" in reply.err
        assert "\x1b" not in reply.err

    def test_long_stderr_is_cut_and_its_end_kept(self, remote: Remote) -> None:
        text = "i=0; while [ $i -lt 20000 ]; do echo 'a line of complaint'; i=$((i+1)); done >&2; echo cause >&2"
        reply = remote.run(script(text))
        assert reply.err.rstrip().endswith("cause")
        assert len(reply.err) <= 64 << 10

    def test_output_is_binary_and_needs_no_line_end(self, remote: Remote) -> None:
        reply = remote.run(script("cat"), [bytes(range(256)), b"\nend-", b"\0"])
        assert reply.out == bytes(range(256)) + b"\nend-\0"

    def test_no_output(self, remote: Remote) -> None:
        assert remote.run(script("true")).out == b""

    def test_no_input_is_an_empty_input(self, remote: Remote) -> None:
        assert remote.run(script("wc -c")).out.strip() == b"0"

    def test_input_is_not_touched_by_a_script_that_reads_none(self, remote: Remote) -> None:
        assert remote.run(script("echo done"), [b"unread"]).out == b"done\n"

    def test_twenty_megabytes_arrive_whole(self, remote: Remote) -> None:
        sent = hashlib.sha256()

        def counted() -> Iterator[bytes]:
            for chunk in chunks(20 << 20, 256 << 10):
                sent.update(chunk)
                yield chunk

        reply = remote.run(script("sha256sum | cut -c1-64"), counted())
        assert reply.out.decode().strip() == sent.hexdigest()

    def test_odd_sizes_and_buffers(self, remote: Remote) -> None:
        pieces = [b"", b"a", bytes(32768), memoryview(bytes(70001)), bytearray(3), b""]
        assert remote.run(script("wc -c"), pieces).out.strip() == str(1 + 32768 + 70001 + 3).encode()

    def test_echo_of_megabytes_locks_nobody_up(self, remote: Remote) -> None:
        data = os.urandom(3 << 20)
        assert remote.run(script("cat"), [data]).out == data

    def test_endless_output_is_refused(self, remote: Remote) -> None:
        with pytest.raises(RemoteError, match="endless output"):
            remote.run(script("while :; do echo yes yes yes yes yes yes yes yes yes; done"))
        assert remote.run(script("echo alive")).out == b"alive\n"

    def test_endless_output_while_we_send(self, remote: Remote) -> None:
        with pytest.raises(RemoteError, match="endless output"):
            remote.run(script("yes"), (bytes(65536) for _ in iter(int, 1)))

    def test_far_end_stops_early_while_we_send(self, remote: Remote) -> None:
        reply = remote.run(script("echo 'no space left' >&2; exit 4"), (bytes(65536) for _ in range(2000)))
        assert reply.status == 4
        assert "no space left" in reply.err

    def test_far_end_stops_in_the_middle(self, remote: Remote) -> None:
        reply = remote.run(
            script("head -c 1000000 >/dev/null; echo enough; exit 7"), (bytes(65536) for _ in range(3000))
        )
        assert (reply.status, reply.out) == (7, b"enough\n")

    def test_what_the_iterable_raises_reaches_the_caller(self, remote: Remote) -> None:
        def broken() -> Iterator[bytes]:
            yield b"some"
            raise ZeroDivisionError("ours")

        with pytest.raises(ZeroDivisionError, match="ours"):
            remote.run(script("cat"), broken())
        assert remote.run(script("echo alive")).out == b"alive\n"

    def test_ctrl_c_passes_promptly(self, remote: Remote) -> None:
        def interrupted() -> Iterator[bytes]:
            yield b"some"
            raise KeyboardInterrupt

        start = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            remote.run(script("cat; sleep 30"), interrupted())
        assert time.monotonic() - start < 3
        assert remote.run(script("echo alive")).out == b"alive\n"

    def test_threads_share_a_remote(self, remote: Remote) -> None:
        def one(number: int) -> bool:
            payload = [bytes([number]) * 65536] * 16
            reply = remote.run(script('sha256sum | cut -c1-64; echo "$1"', str(number)), payload)
            return reply.out == f"{hashlib.sha256(b''.join(payload)).hexdigest()}\n{number}\n".encode()

        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(one, range(12)))

    def test_killed_command_is_an_error_and_no_answer(self, remote: Remote) -> None:
        with pytest.raises(RemoteError, match="without an answer") as caught:
            remote.run(script("echo half; kill -9 $$"))
        assert not isinstance(caught.value, ConnectionLost)

    def test_broken_script_says_why(self, remote: Remote) -> None:
        with pytest.raises(RemoteError, match="without an answer"):
            remote.run(script("if true; then echo never"))

    def test_silence_ends_it(self, remote: Remote) -> None:
        start = time.monotonic()
        with pytest.raises(ConnectionLost, match="no sign of life"):
            remote.run(script("sleep 20"), silence=1.0)
        assert time.monotonic() - start < 6
        assert remote.run(script("echo again")).out == b"again\n"

    def test_silence_while_the_far_end_does_not_read(self, remote: Remote) -> None:
        with pytest.raises(ConnectionLost, match="no sign of life"):
            remote.run(script("sleep 20"), (bytes(1 << 20) for _ in range(64)), silence=1.0)

    def test_signs_of_life_keep_it_going(self, remote: Remote) -> None:
        text = "for i in 1 2 3 4 5 6; do sleep 0.4; echo beat >&2; done; echo done"
        assert remote.run(script(text), silence=1.5).out == b"done\n"

    def test_our_own_slowness_is_not_silence(self, remote: Remote) -> None:
        def slow() -> Iterator[bytes]:
            for _ in range(3):
                time.sleep(1.2)
                yield b"x"

        assert remote.run(script("wc -c"), slow(), silence=1.0).out.strip() == b"3"

    def test_no_threads_are_left_behind(self, remote: Remote) -> None:
        remote.run(script("true"))
        before = threading.active_count()
        for _ in range(5):
            remote.run(script("cat >/dev/null"), [b"x" * 100_000])
        deadline = time.monotonic() + 5
        while threading.active_count() > before and time.monotonic() < deadline:
            time.sleep(0.05)
        assert threading.active_count() <= before

    def test_arguments_stand_in_no_process_list(self, remote: Remote) -> None:
        reply = remote.run(script("cat /proc/[0-9]*/cmdline | tr '\\0' ' '", "s3cret-word"))
        assert b"s3cret-word" not in reply.out

    def test_a_closed_remote_says_so(self, remote: Remote) -> None:
        remote.close()
        with pytest.raises(RemoteError, match="closed"):
            remote.run(script("true"))

    def test_name(self, remote: Remote) -> None:
        assert remote.name
        assert shlex.quote(remote.name)
