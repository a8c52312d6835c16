"""What bottles ask for, listed and shown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bottle.errors import EngineError, MovedAway, NotFound, UsageError
from bottle.model import MigrationPhase, MigrationRecord, RequestStatus, Tombstone
from bottle.operations import approve, deny, list_requests, show
from tests.support.world import AGENT, BASE, World
from tests.unit.operations.test_request_decision import JQ, ask, at_work


def test_the_requests_of_all_bottles_are_listed(world: World) -> None:
    first, second = sorted((world.start(), world.start()), key=lambda each: each.identity)
    moved = world.start()
    ask(world, first, number=2)
    ask(world, second)
    ask(world, moved)
    deny(world.context, first, ask(world, first, JQ + "#\n").digest)
    moved.tombstone.write(Tombstone(host="far.example", moved_at=world.engine.clock()))
    (world.home.states / "demo-zzzzz").mkdir()
    listed = list_requests(world.context)
    assert [(each.identity, each.request.number) for each in listed.requests] == [
        (first.identity, 1),
        (first.identity, 2),
        (second.identity, 1),
    ]
    assert len(listed.open) == 2
    assert [each.request.number for each in list_requests(world.context, first.identity).requests] == [1, 2]
    with pytest.raises(MovedAway):
        list_requests(world.context, moved.identity)


def test_what_another_run_works_on_shows_what_is_known(world: World) -> None:
    bottle = at_work(world)
    request = ask(world, bottle)
    with bottle.locked("bottle commit"):
        listed = list_requests(world.context)
        shown = show(world.context, bottle)
    assert [each.request for each in listed.requests] == [request]
    assert "bottle commit" in listed.notes[0]
    world.engine.fail_next("read_archive", EngineError("refused"))
    refused = list_requests(world.context)
    assert [each.request for each in refused.requests] == [request]
    assert "refused" in refused.notes[0]
    assert "bottle commit" in shown.notes[0]
    bottle.migration.write(
        MigrationRecord(
            phase=MigrationPhase.HANDING_OFF, host="far.example", nonce="n", commit=1, started_at=world.engine.clock()
        )
    )
    assert "handed over" in show(world.context, bottle).notes[0]


def test_one_request_is_shown_against_the_dockerfile_in_force(world: World) -> None:
    bottle = at_work(world)
    with pytest.raises(NotFound, match="waiting"):
        show(world.context, bottle)
    request = ask(world, bottle, JQ + "USER root\n")
    shown = show(world.context, bottle)
    assert shown.request == request
    assert shown.in_force == f"image {BASE}"
    assert "+RUN echo jq > /usr/bin/jq" in shown.diff
    assert "-FROM" not in shown.diff
    assert any("root" in warning for warning in shown.warnings)
    ask(world, bottle, number=2)
    with pytest.raises(UsageError, match="2 requests"):
        show(world.context, bottle)
    approve(world.context, bottle, request.digest)
    own = show(world.context, bottle, request.digest)
    assert (own.diff, own.warnings) == ("", ())
    assert "the bottle's own" in own.in_force
    malformed = replace(request, number=3, dockerfile="", digest="0" * 64, status=RequestStatus.DENIED)
    bottle.write_request(malformed)
    assert show(world.context, bottle, "0" * 8).diff == ""
    empty = ask(world, bottle, "", number=4)
    assert any("no FROM" in each for each in show(world.context, bottle, empty.digest).warnings)


def test_an_agents_dockerfile_that_is_gone_is_compared_with_nothing(world: World) -> None:
    dockerfile = world.cwd / "Dockerfile"
    dockerfile.write_text(f"FROM {BASE}\n")
    bottle = world.start(replace(AGENT, image=None, dockerfile=dockerfile))
    ask(world, bottle)
    assert "the agent's" in show(world.context, bottle).in_force
    dockerfile.unlink()
    shown = show(world.context, bottle)
    assert f"+FROM {BASE}" in shown.diff
    assert "is gone" in shown.in_force
