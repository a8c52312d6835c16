"""Asking from inside, by the shell script in every shell there is and by its Python twin: the same files either way."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest

from bottle import runtime
from bottle.errors import BottleError, NotFound, UsageError
from bottle.naming import Identity
from bottle.requests.asking import answers, ask, read_answer
from bottle.requests.request import MAX_DOCKERFILE, MAX_KEPT, MAX_REASON
from tests.support.shells import shells

SHELLS = {"dash": ("dash",), "bash": ("bash", "--posix"), "busybox": ("busybox", "sh")}
IDENTITY = Identity.parse("demo-abcde")


class Asker(Protocol):
    """One of the two ways to ask."""

    def ask(self, reason: str, dockerfile: str) -> int: ...
    def status(self, number: int) -> tuple[str, str]: ...


class Refused(Exception):
    """It was said to be wrong use (2) or to have failed (1)."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Script:
    """request-capability, run by one shell with an empty PATH but for what is said."""

    def __init__(self, shell: tuple[str, ...], folder: Path) -> None:
        self._shell = (str(shutil.which(shell[0])), *shell[1:])
        text = (folder / "request-capability").read_text()
        assert "here=/run/bottle\n" in text
        self.path = folder.parent / f"ask-{shell[0]}"
        self.path.write_text(text.replace("here=/run/bottle\n", f"here={folder}\n"))

    def popen(self, *words: str, path: str = "/nowhere") -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            (*self._shell, str(self.path), *words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": path, "LANG": "C.UTF-8"},
        )

    def run(self, *words: str, stdin: bytes = b"", path: str = "/nowhere") -> tuple[int, str, str]:
        with self.popen(*words, path=path) as process:
            out, err = process.communicate(stdin, timeout=60)
        return process.returncode, out.decode(), err.decode()

    def ask(self, reason: str, dockerfile: str) -> int:
        code, out, err = self.run("--reason", reason, stdin=dockerfile.encode())
        if code:
            raise Refused(code, err)
        assert err == ""
        return int(out.split()[1])

    def status(self, number: int) -> tuple[str, str]:
        code, out, err = self.run("--status", str(number))
        if code:
            raise Refused(code, err)
        status, _, note = out.partition("\n")
        return status, note.removesuffix("\n")


class Module:
    """bottle.requests.asking."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def ask(self, reason: str, dockerfile: str) -> int:
        try:
            return ask(reason, dockerfile, self._folder)
        except BottleError as exc:
            raise Refused(exc.exit_code, exc.what) from exc

    def status(self, number: int) -> tuple[str, str]:
        try:
            found = read_answer(number, self._folder)
        except NotFound as exc:
            raise Refused(2, exc.what) from exc
        return found.status, found.note


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a bottle sees as /run/bottle."""
    return runtime.prepare(tmp_path / "runtime", IDENTITY, {})


@pytest.fixture(params=[*shells(SHELLS), "module"])
def asker(request: pytest.FixtureRequest, folder: Path) -> Asker:
    return Module(folder) if request.param == "module" else Script(SHELLS[request.param], folder)


@pytest.fixture(params=shells(SHELLS))
def script(request: pytest.FixtureRequest, folder: Path) -> Script:
    return Script(SHELLS[request.param], folder)


def written(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "requests").iterdir()}


# --- the contract of both ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "dockerfile"),
    [
        ("jq", "FROM a\n"),
        ("no line's end", "FROM a\nRUN b"),
        ("-n ü \\n $(id) `id`\n%s", "\n\n  FROM a\\\n\tb \\n %s $HOME 'ü'\r\n\n\n"),
        ("r" * MAX_REASON, "#" * MAX_DOCKERFILE),
        ("ü" * (MAX_REASON // 2), "# ü\n" * (MAX_DOCKERFILE // 5)),
    ],
)
def test_a_request_is_written_byte_for_byte(asker: Asker, folder: Path, reason: str, dockerfile: str) -> None:
    assert asker.ask(reason, dockerfile) == 1
    assert written(folder) == {"1.reason": reason.encode(), "1.Dockerfile": dockerfile.encode(), "1.ready": b""}
    assert asker.status(1) == ("pending", "")


@pytest.mark.parametrize(
    ("reason", "dockerfile"),
    [
        ("", "FROM a"),
        ("x", ""),
        ("x", " \n\n"),
        ("r" * (MAX_REASON + 1), "FROM a"),
        ("ü" * (MAX_REASON // 2 + 1), "FROM a"),
        ("x", "#" * (MAX_DOCKERFILE + 1)),
        ("x", "#\n" * (MAX_DOCKERFILE // 2) + "#"),
    ],
)
def test_what_is_empty_or_too_long_is_refused_and_nothing_written(
    asker: Asker, folder: Path, reason: str, dockerfile: str
) -> None:
    with pytest.raises(Refused) as caught:
        asker.ask(reason, dockerfile)
    assert caught.value.code == UsageError.exit_code
    assert written(folder) == {}


def test_the_lowest_number_is_taken_that_was_never_used(asker: Asker, folder: Path) -> None:
    (folder / "answers" / "1").write_text("denied\n")
    (folder / "requests" / "2.reason").symlink_to("/nowhere")
    (folder / "requests" / "4.reason").write_bytes(b"")
    assert [asker.ask("x", "FROM a") for _ in range(3)] == [3, 5, 6]
    assert (folder / "requests" / "2.reason").is_symlink()


def test_numbers_come_to_an_end(asker: Asker, folder: Path) -> None:
    for number in range(1, MAX_KEPT + 1):
        (folder / "answers" / str(number)).write_text("denied\n")
    with pytest.raises(Refused, match="in its life") as caught:
        asker.ask("x", "FROM a")
    assert caught.value.code == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pending\n", ("pending", "")),
        ("approved\n", ("approved", "")),
        ("denied\nuse python\n\n  instead\\n\n", ("denied", "use python\n\n  instead\\n")),
    ],
)
def test_an_answer_is_told(asker: Asker, folder: Path, text: str, expected: tuple[str, str]) -> None:
    (folder / "answers" / "7").write_text(text)
    assert asker.status(7) == expected
    with pytest.raises(Refused) as caught:
        asker.status(8)
    assert caught.value.code == 2


def test_a_folder_that_cannot_be_written_is_said(asker: Asker, folder: Path) -> None:
    (folder / "requests").rmdir()
    with pytest.raises(Refused, match="cannot be written") as caught:
        asker.ask("x", "FROM a")
    assert caught.value.code == 1


def test_many_at_once_get_numbers_of_their_own(asker: Asker, folder: Path) -> None:
    numbers: list[int] = []
    threads = [threading.Thread(target=lambda: numbers.append(asker.ask("x", "FROM a"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(1, 9))
    assert len(written(folder)) == 24


# --- the script alone -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("answered", "code"), [("approved\n", 0), ("denied\nno\n", 1)])
def test_waiting_ends_with_the_answer(script: Script, folder: Path, answered: str, code: int) -> None:
    with script.popen("--wait", "--reason", "x", path=os.environ["PATH"]) as process:
        assert process.stdin is not None
        process.stdin.write(b"FROM a")
        process.stdin.close()
        eventually((folder / "requests" / "1.ready").exists)
        (folder / "answers" / "1").write_text("pending\n")
        time.sleep(0.2)
        assert process.poll() is None
        (folder / "answers" / "new").write_text(answered)
        (folder / "answers" / "new").replace(folder / "answers" / "1")
        assert process.wait(timeout=30) == code
        assert process.stdout is not None
        assert process.stdout.read().decode().endswith(answered)


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_waiting_without_sleep_is_refused_before_anything_is_asked(folder: Path, shell: str) -> None:
    code, out, err = Script(SHELLS[shell], folder).run("--wait", "--reason", "x", stdin=b"FROM a")
    assert (code, out) == (2, "")
    assert "lacks" in err
    assert written(folder) == {}


@pytest.mark.parametrize(
    "words", [("--reason",), ("--status",), ("--status", "0"), ("--status", "../x"), ("--what",), ("x",), ()]
)
def test_wrong_use_is_told_and_nothing_asked(script: Script, folder: Path, words: tuple[str, ...]) -> None:
    code, out, err = script.run(*words, stdin=b"FROM a")
    assert (code, out) == (2, "")
    assert err.startswith("request-capability: ")
    assert written(folder) == {}


def test_help_has_an_example(script: Script) -> None:
    code, out, _ = script.run("--help")
    assert code == 0
    assert "example:" in out
    assert "--reason" in out


def test_its_limits_are_those_of_the_other_side(folder: Path) -> None:
    script = folder / "request-capability"
    assert script.stat().st_mode & 0o777 == 0o555
    text = script.read_text()
    for name, value in (("most", MAX_KEPT), ("most_reason", MAX_REASON), ("most_dockerfile", MAX_DOCKERFILE)):
        assert f"\n{name}={value} " in text


# --- the module alone -------------------------------------------------------------------------------------------------


def test_all_answers_at_once(folder: Path) -> None:
    assert answers(folder) == ()
    assert ask("x", "FROM a", folder) == 1
    (folder / "answers" / "3").write_text("denied\nno\n")
    (folder / "answers" / ".3.tmp").write_text("")
    (folder / "requests" / "x.ready").write_text("")
    assert [(each.number, each.status, each.note) for each in answers(folder)] == [
        (1, "pending", ""),
        (3, "denied", "no"),
    ]
