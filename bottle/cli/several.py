"""Doing one thing to several bottles, as docker's commands do it: one that fails keeps no other from its turn."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bottle.cli.output import JSON, TEXT, Shown, answer, error_document, report
from bottle.errors import BottleError, Interrupted


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What was done to one bottle, for programs and for people."""

    document: Mapping[str, object]
    lines: Sequence[Shown]


def one_by_one(identities: Sequence[str], form: str, act: Callable[[str], Done]) -> None:
    """Do `act` to each, and answer: for people as it is done, for programs in one document when all of it is.

    The document of a single bottle is its own; several are in a list, those that failed with their `error`. Raises what
    `act` raises for a single one, Interrupted in any case, and else ends with the exit code of the first failure.
    """
    if len(identities) == 1:
        done = act(identities[0])
        answer(form, done.document, done.lines)
        return
    documents: list[Mapping[str, object]] = []
    codes: list[int] = []
    for identity in dict.fromkeys(identities):
        try:
            done = act(identity)
        except Interrupted:
            raise
        except BottleError as exc:
            report(exc, TEXT)
            documents.append({"identity": identity, "error": error_document(exc)})
            codes.append(exc.exit_code)
            continue
        documents.append(done.document)
        if form != JSON:
            answer(form, {}, done.lines)
    if form == JSON:
        answer(form, {"bottles": documents}, ())
    if codes:
        raise SystemExit(codes[0])
