"""What is said of an interrupted command is so: at each call of the engine, each sentence is held to the world."""

from __future__ import annotations

import re
import shlex
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from bottle.cli.aftermath import in_force, resume_again
from bottle.errors import EngineUnreachable
from bottle.launch import Once
from bottle.model import CapabilityRequest, RequestStatus, Status
from bottle.naming import Identity
from bottle.plan.prune import is_helper
from bottle.plan.resume import ResumeRequest
from bottle.requests.request import digest_of
from bottle.store.state import BottleState
from tests.support.world import BASE
from tests.unit.cli.conftest import Cli

NOW = datetime(2026, 1, 2, tzinfo=UTC)
BUNDLE = "demo.bottle"
DOCKERFILE = f"FROM {BASE}\nRUN true\n"
DIGEST = digest_of("need jq", DOCKERFILE)
ASKED = ("list", "inspect {}", "history {}", "diff {}", "logs {}", "doctor", "capability list")
DONE = (
    "start -d demo",
    "start --rm demo",
    "commit {}",
    "fork {} --share-cwd",
    "resume -d {}",
    "resume -d {} --at 1 --yes",
    "resume -d {} --rebuild --yes",
    "stop {}",
    "rm {} --yes",
    "prune --yes",
    f"export {{}} {BUNDLE}",
    f"import {BUNDLE} --yes",
    "cp notes.md {}:/root/",
    f"capability approve {{}} {DIGEST[:12]} --build",
    f"capability deny {{}} {DIGEST[:12]}",
)
_STRIDES = {"export": 4, "capability": 3}  # of what asks the engine most, not every call is struck
_STOPPED = ("resume", "rm")  # what wants a bottle that does not run


class Struck:
    """An engine whose call numbered `moment` is interrupted, once, when it was done: nobody hears its answer."""

    def __init__(self, engine: object, moment: int) -> None:
        self._engine = engine
        self._moment = moment
        self.calls = 0

    @property
    def came(self) -> bool:
        """Whether the moment came."""
        return self.calls > self._moment

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._engine, name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            try:
                return found(*args, **kwargs)
            finally:
                if self.calls == self._moment + 1:
                    signal.raise_signal(signal.SIGINT)

        return call


@dataclass(frozen=True)
class Seen:
    """What there is of all bottles; containers to look into something are garbage."""

    bottles: frozenset[Identity]
    containers: frozenset[tuple[str, Status]]
    tags: frozenset[str]
    container: str | None
    in_force: int


@dataclass(frozen=True)
class Then:
    """A world after a command on `bottle` that was interrupted, and what was seen before."""

    cli: Cli
    bottle: BottleState
    before: Seen

    @property
    def now(self) -> Seen:
        return seen(self.cli, self.bottle)

    @property
    def new(self) -> frozenset[Identity]:
        """The bottles that were not there before."""
        return self.now.bottles - self.before.bottles

    @property
    def request(self) -> RequestStatus:
        """What was decided about the bottle's one request."""
        (request,) = self.bottle.requests()
        return request.status

    def status(self, identity: str) -> Status | None:
        return self.cli.world.status(self.cli.world.home.bottle(Identity.parse(identity)))

    def runs_not(self, identity: str) -> bool:
        status = self.status(identity)
        return status is None or not status.alive

    def is_whole(self, identity: str) -> bool:
        """Whether it is a bottle, with the image of its commit."""
        state = self.cli.world.home.bottle(Identity.parse(identity))
        tag = state.committed_image()
        return state.exists() and tag is not None and self.cli.world.engine.image(tag) is not None


def seen(cli: Cli, bottle: BottleState) -> Seen:
    engine = cli.world.engine
    container = engine.container(bottle.identity.container)
    return Seen(
        bottles=frozenset(cli.world.home.identities()),
        containers=frozenset((each.id, each.status) for each in engine.containers({}) if not is_helper(each)),
        tags=frozenset(tag for image in engine.images({}) for tag in image.tags),
        container=container.id if container is not None else None,
        in_force=in_force(bottle),
    )


_ID = "(demo-[0-9a-z]{5})"
# Each sentence that may be said, and when it is so.
CLAIMS: dict[str, Callable[[Then, re.Match[str]], bool]] = {
    "nothing was changed": lambda then, _: then.now == then.before,
    "nothing was begun": lambda then, _: then.now == then.before,
    "nothing of the new bottle is left": lambda then, _: then.now == then.before,
    "all its work is where it was": lambda then, _: then.now == then.before,
    "no (fork|bottle) was made": lambda then, _: then.now == then.before,
    _ID + " runs": lambda then, said: then.status(said[1]) is Status.RUNNING,
    f"{_ID} was being taken away again: its container is gone": lambda then, said: then.status(said[1]) is None,
    _ID + " has ended": lambda then, said: then.status(said[1]) is Status.EXITED,
    _ID + " was left running": lambda then, said: then.status(said[1]) is Status.RUNNING,
    _ID + " runs, in a new container": lambda then, said: (
        then.status(said[1]) is Status.RUNNING and then.now.container != then.before.container
    ),
    _ID + " runs still, unless Docker is ending it": lambda then, said: then.status(said[1]) is Status.RUNNING,
    _ID + " does not run": lambda then, said: then.runs_not(said[1]),
    _ID + " stays, with all its work": lambda then, said: then.status(said[1]) in {Status.CREATED, Status.EXITED},
    "no commit was made": lambda then, _: (
        (then.now.in_force, then.bottle.intent.read()) == (then.before.in_force, None)
    ),
    "the next commit, or resume, finds out whether it was made": lambda then, _: then.bottle.intent.read() is not None,
    r"commit (\d+) is made, and in force": lambda then, said: then.now.in_force == int(said[1]) > then.before.in_force,
    "its container is as it was": lambda then, _: then.now.container == then.before.container is not None,
    "all its work is there": lambda then, _: then.now.container == then.before.container is not None,
    _ID + " is there, with its container": lambda then, _: then.now.container == then.before.container is not None,
    _ID + " has a new container, which does not run": lambda then, said: (
        then.now.container not in {None, then.before.container} and then.runs_not(said[1])
    ),
    _ID + " has no container": lambda then, _: then.now.container is None,
    "its commits are all there": lambda then, _: then.now.tags >= then.before.tags,
    "the (?:fork|bottle) is made, and whole: (.+)": lambda then, said: (
        list(map(str, then.new)) == [said[1]] and then.is_whole(said[1])
    ),
    _ID + " is gone": lambda then, said: not then.cli.world.home.bottle(Identity.parse(said[1])).exists(),
    f"what was deleted of {_ID} is gone": lambda then, _: then.now.container is None and then.bottle.exists(),
    "what was taken away is gone": lambda *_: True,
    "the rest is there, and goes with the same command": lambda *_: True,
    "the rest goes with the same command": lambda *_: True,
    "nothing was decided": lambda then, _: then.request is RequestStatus.PENDING,
    "the approval was begun": lambda then, _: then.request is RequestStatus.APPROVING,
    "the request is approved": lambda then, _: then.request is RequestStatus.APPROVED,
    "the request waits, or is denied": lambda then, _: (
        then.request in {RequestStatus.PENDING, RequestStatus.DENIED} and then.now == then.before
    ),
    "what was copied by then is there, and the rest is not": lambda *_: True,
    "there is no (.+)": lambda then, said: not (then.cli.world.cwd / said[1]).exists(),
    "(.+) is written, and whole": lambda then, said: then.cli("import", said[1], "--yes").exit_code == 0,
}


# By command or verb, what is so when the command that is told was typed.
REACHED: dict[str, Callable[[Then], bool]] = {
    "start": lambda then: len(then.new) == 1,
    "start --rm demo": lambda then: len(then.new) <= 1,  # which may have come to its end
    "commit": lambda then: then.now.in_force > then.before.in_force,
    "fork": lambda then: len(then.new) == 1,
    "resume": lambda then: then.cli.world.status(then.bottle) is Status.RUNNING,
    "stop": lambda then: then.cli.world.status(then.bottle) is Status.EXITED,
    "rm": lambda then: not then.bottle.exists(),
    "prune": lambda then: then.now == then.before,
    "export": lambda then: (then.cli.world.cwd / BUNDLE).exists(),
    "import": lambda then: len(then.new) == 1,
    "cp": lambda then: then.cli.world.content(then.bottle, "/root/notes.md") == b"notes",
    "capability": lambda then: then.request in {RequestStatus.APPROVED, RequestStatus.DENIED},
}


def unheld(then: Then, left: str) -> list[str]:
    """The sentences that are not so, and those that nobody has said how to hold to the world."""
    held = {
        sentence: [so(then, match) for claim, so in CLAIMS.items() if (match := re.fullmatch(claim, sentence))]
        for sentence in left.split("; ")
    }
    return [sentence for sentence, answers in held.items() if not answers or not all(answers)]


def prepared(cli: Cli, words: str) -> BottleState:
    """A bottle whose commit 1 lacks some of its work, and what `words` need besides."""
    bottle, verb = cli.start(), words.split(maxsplit=1)[0]
    cli("commit", str(bottle.identity))
    if verb == "import":
        (cli.world.cwd / BUNDLE).unlink(missing_ok=True)
        assert cli("export", str(bottle.identity), BUNDLE).exit_code == 0
    if verb == "capability":
        bottle.write_request(
            CapabilityRequest(number=1, digest=DIGEST, reason="need jq", dockerfile=DOCKERFILE, received_at=NOW)
        )
    (cli.world.cwd / "notes.md").write_text("notes")
    cli.world.work(bottle, "/root/new", b"work")
    if verb in _STOPPED:
        cli("stop", str(bottle.identity))
    return bottle


@contextmanager
def struck(cli: Cli, moment: int) -> Iterator[Struck]:
    """Have the engine be one that is struck."""
    engine = Struck(cli.world.engine, moment)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bottle.composition.DockerEngine", lambda: engine)
        yield engine


def interruptions(cli: Cli, words: str) -> Iterator[tuple[Then, dict[str, Any]]]:
    """A world, and the error that was told, for each moment of a command; it is cleared before the next."""
    for moment in range(0, 1000, _STRIDES.get(words.split(maxsplit=1)[0], 1)):
        bottle = prepared(cli, words)
        then = Then(cli, bottle, seen(cli, bottle))
        with struck(cli, moment) as engine:
            result = cli(*words.format(bottle.identity).split())
        if not engine.came:
            assert moment
            return
        assert result.exit_code == 130, result.output
        lines = result.stderr.splitlines()
        at = next(index for index, line in enumerate(lines) if re.match("bottle: .*interrupted", line))
        state, following = lines[at + 1 : at + 3]
        yield then, {"left": state.removeprefix("  state: "), "next": following.removeprefix("  next:  ")}
        clear(cli)


def clear(cli: Cli) -> None:
    cli("prune", "--yes", "--older-than", "0")  # what was to look into a volume holds that
    for identity in cli.world.home.identities():
        cli("stop", str(identity))
        result = cli("rm", str(identity), "--yes")
        assert result.exit_code == 0, result.output
    (cli.world.cwd / BUNDLE).unlink(missing_ok=True)


def follow(cli: Cli, following: str) -> None:
    """Type the command that is told, say yes where it asks, and stay with no agent."""
    words = shlex.split(following.partition(" (")[0])
    assert words[0] == "bottle"
    if words[1] == "attach":
        words[1:2] = ["inspect"]
    if words[1] == "resume" and "-d" not in words:
        words.insert(2, "-d")
    if words[1] == "rm" and "--yes" not in words:
        words.append("--yes")
    result = cli(*words[1:])
    assert result.exit_code == 0, (following, result.output)


@pytest.mark.parametrize("words", ASKED)
def test_what_only_looks_has_changed_nothing(cli: Cli, words: str) -> None:
    for then, told in interruptions(cli, words):
        assert told == {"left": "nothing was changed", "next": f"bottle {words.format(then.bottle.identity)}"}
        assert then.now == then.before


@pytest.mark.parametrize("words", DONE)
def test_what_is_told_is_so_and_goes_on(cli: Cli, words: str) -> None:
    for then, told in interruptions(cli, words):
        assert not unheld(then, told["left"]), told
        if then.now.container != then.before.container and not words.startswith("rm"):
            assert "--yes" not in told["next"], told
        follow(cli, told["next"])
        assert REACHED.get(words, REACHED[words.split(maxsplit=1)[0]])(then), told


@pytest.mark.parametrize("error", [KeyboardInterrupt(), EngineUnreachable("no engine answers")])
def test_what_cannot_be_looked_at_is_not_told(cli: Cli, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    bottle = cli.start()

    def refused(*_: object) -> None:
        raise error

    def interrupted(*_: object, **__: object) -> None:
        monkeypatch.setattr("bottle.cli.commit.standing", refused)
        raise KeyboardInterrupt

    monkeypatch.setattr("bottle.operations.commit", interrupted)
    told = cli.json("commit", str(bottle.identity), exit_code=130)["error"]
    assert (told["left"], told["next"]) == ("how far it came could not be looked at", "bottle list")


def test_a_consent_is_not_repeated_once_its_container_is_gone() -> None:
    request = ResumeRequest(at=2, consent=True, force=True, once=Once(command=("sh", "-c", "a b"), remote_control=True))
    again = resume_again(Identity.parse("demo-abcde"), request, detach=True)
    assert again == "bottle resume demo-abcde --at 2 -d --force --remote-control -- sh -c 'a b'"
    again = resume_again(Identity.parse("demo-abcde"), ResumeRequest(rebuild=True, consent=True), detach=False)
    assert again == "bottle resume demo-abcde --rebuild"


def test_of_several_none_is_resumed_again_by_a_consent_for_all(cli: Cli) -> None:
    for moment in range(0, 1000, 5):
        first, second = (prepared(cli, "resume") for _ in range(2))
        words = ("resume", "-d", str(first.identity), str(second.identity), "--rebuild", "--yes")
        with struck(cli, moment) as engine:
            result = cli(*words)
        if not engine.came:
            break
        assert result.exit_code == 130, result.output
        assert "--yes" not in result.stderr.rpartition("bottle: interrupted")[2], result.stderr
        clear(cli)
    assert moment > 20


def test_what_was_resumed_is_not_resumed_again_as_its_answer_is_cut(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    bottle = prepared(cli, "resume")

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bottle.cli.several.answer", cut)
    result = cli("resume", "-d", str(bottle.identity), "--at", "1", "--yes")
    assert result.exit_code == 130
    assert "state: what was resumed is resumed; the rest is as it was\n  next:  bottle list\n" in result.stderr
    assert cli.world.status(bottle) is Status.RUNNING
