"""Identities, and the names made of them."""

from __future__ import annotations

import re
from itertools import islice

import pytest
from hypothesis import given, strategies as st

from bottle.errors import InvalidIdentity
from bottle.naming import (
    SUFFIX_ALPHABET,
    Identity,
    built_image,
    declared_volume,
    generations,
    is_agent_name,
    is_declared,
    is_identity_prefix,
)
from tests.support.values import AGENT_NAMES, IDENTITIES

# https://github.com/distribution/reference/blob/main/reference.go and moby's names.RestrictedNamePattern
REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
CONTAINER = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")

HOSTILE = (
    "",
    "demo",
    "demo-abc1",
    "demo-abc123",
    "demo-ABCDE",
    "../../etc",
    "/etc/passwd",
    "; rm -rf /",
    "$(id)-abcde",
    "-demo-abcde",
    "--force-abcde",
    ".demo-abcde",
    "demo/../x-abcde",
    "demo\n-abcde",
    "demo-abcde\n",
    " demo-abcde",
    "demo-abcde ",
    "demo\0-abcde",
    "démo-abcde",
    "demo-abcd\u0660",
    "demo.-abcde",
    "de..mo-abcde",
    "committed-demo-abcde",
    "a" * 65 + "-abcde",
)


@given(IDENTITIES)
def test_an_identity_reads_back_as_it_was_written(identity: Identity) -> None:
    assert Identity.parse(str(identity)) == identity
    assert is_identity_prefix(str(identity))


@pytest.mark.parametrize("text", HOSTILE)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidIdentity):
        Identity.parse(text)


@given(st.text())
def test_whatever_is_read_is_safe_to_use_as_a_name(text: str) -> None:
    try:
        identity = Identity.parse(text)
    except InvalidIdentity:
        return
    assert str(identity) == text
    assert re.fullmatch(r"[a-z0-9][a-z0-9_.-]*-[0-9a-z]{5}", text)
    assert ".." not in text


@given(AGENT_NAMES)
def test_a_fresh_identity_is_one(agent: str) -> None:
    identity = Identity.fresh(agent)
    assert Identity.parse(str(identity)) == identity
    assert set(identity.suffix) <= set(SUFFIX_ALPHABET)


def test_fresh_identities_differ() -> None:
    assert len({str(Identity.fresh("demo")) for _ in range(200)}) == 200


@given(IDENTITIES, st.integers(1, 10**6))
def test_docker_takes_every_name(identity: Identity, number: int) -> None:
    tags = (identity.committed(number), identity.committed_latest, identity.rebuilt, identity.committing("0" * 32))
    for tag in (*tags, built_image(identity.agent)):
        repository, _, name = tag.partition(":")
        assert REPOSITORY.fullmatch(repository)
        assert TAG.fullmatch(name)
    for name in (identity.container, identity.draft, identity.volume("cache")):
        assert CONTAINER.fullmatch(name)


@given(IDENTITIES, IDENTITIES, AGENT_NAMES)
def test_no_two_things_share_a_name(one: Identity, other: Identity, agent: str) -> None:
    assert built_image(agent) not in {one.committed_latest, one.rebuilt}
    assert one.draft != other.container
    if one != other:
        assert one.container != other.container
        assert one.committed_repository != other.committed_repository


@given(st.text())
def test_an_agent_name_is_a_repository_component(text: str) -> None:
    if is_agent_name(text):
        assert REPOSITORY.fullmatch(text)
        assert len(text) <= 64


def test_what_an_image_declares_is_known_by_any_name_that_a_copy_gives_it() -> None:
    first, second, third = islice(generations(declared_volume("/a.b")), 3)
    assert (first, second, third) == ("image-a.b", "image-a.b.2", "image-a.b.3")
    assert all(is_declared(name, "/a.b") for name in (first, second, third, "image-a.b.2.3"))
    assert not any(is_declared(name, "/a.b") for name in ("image-a.b.", "image-a.b.x", "image-a-b", "image-a.b2"))
