"""The campaigns strike bottle's own work, spread over all of it."""

from __future__ import annotations

from tests.campaigns.calls import FAULTS, KILL, Call, Point, choose, read

LOG = """\
10 openat(AT_FDCWD</work>, "/usr/lib/python3/os.py", O_RDONLY) = 3</usr/lib/python3/os.py>
10 openat(AT_FDCWD</work>, "/home/.bottle/state/x/lock", O_RDWR) = 3</home/.bottle/state/x/lock>
11 fsync(4</home/.bottle/other>) = 0
10 write(1</dev/pts/0>, "hello\\n", 6) = 6
10 fsync(3</home/.bottle/state/x/lock> <unfinished ...>
11 +++ exited with 0 +++
10 <... fsync resumed>) = 0
10 connect(5<socket:[1]>, {sa_family=AF_UNIX, sun_path="/run/docker.sock"}, 18) = 0
10 connect(6<socket:[2]>, {sa_family=AF_UNIX, sun_path="/var/run/nscd/socket"}, 110) = -1 ENOENT
10 sendto(5<socket:[1]>, "POST /v1.41/commit HTTP/1.1\\r\\n"..., 300, 0, NULL, 0) = 300
10 sendto(6<socket:[2]>, "\\2\\0\\0\\0", 4, 0, NULL, 0) = 4
"""


def test_calls_are_numbered_as_strace_counts_those_of_a_thread() -> None:
    found = [(call.name, call.number) for call in read(LOG)]
    assert found == [
        ("openat", 1), ("openat", 2), ("write", 1), ("fsync", 1), ("connect", 1), ("connect", 2), ("sendto", 1),
        ("sendto", 2),
    ]  # fmt: skip


def test_what_python_does_to_start_is_not_struck() -> None:
    found = [(call.name, call.number) for call in read(LOG) if call.concerns(("/home/.bottle",))]
    assert found == [("openat", 2), ("fsync", 1), ("connect", 1), ("sendto", 1)]


def test_points_are_spread_over_all_kinds_of_calls_and_faults() -> None:
    calls = [Call(name, number, "") for name in FAULTS for number in range(1, 21)]
    chosen = choose(calls, 34)
    assert len(chosen) == len(set(chosen)) == 34
    assert {(point.call.name, point.fault) for point in chosen} == {
        (name, fault) for name, faults in FAULTS.items() for fault in faults
    }
    killed = [point.call.number for point in chosen if (point.call.name, point.fault) == ("fsync", KILL)]
    assert (killed[0], killed[-1]) == (1, 20)
    assert len(choose(calls[:2], 50)) == 6  # no more than there are


def test_a_point_as_strace_wants_it_said() -> None:
    call = Call("fsync", 3, "")
    assert Point(call, KILL).injection == "inject=fsync:signal=KILL:when=3"
    assert Point(call, "EIO").injection == "inject=fsync:error=EIO:when=3"
