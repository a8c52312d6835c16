"""Which container is a bottle's own: a table over what is known of those that bear its label."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from bottle.agent.admission import RESERVED
from bottle.errors import TwoContainers
from bottle.launch import bare_spec
from bottle.model import ContainerFacts, ContainerSummary, Mount, MountKind, Status
from bottle.naming import LABEL_IDENTITY, LABEL_SCHEMA, Identity
from bottle.plan.ownership import Claims, bears_our_marks, in_the_making, own_containers, strays, the_one
from bottle.testing import FakeEngine

IDENTITY = Identity.parse("demo-abc12")


def labelled(name: str, status: Status = Status.EXITED) -> ContainerSummary:
    """A container whose id is its name, and which bears the bottle's label."""
    return ContainerSummary(
        id=name,
        name=name,
        image="sha256:0",
        status=status,
        exit_code=0,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        labels={LABEL_IDENTITY: str(IDENTITY)},
    )


NAMED, DRAFT = IDENTITY.container, IDENTITY.draft
TABLE = {
    "nothing is there": ((), {}, ()),
    "its name, from an earlier version": ((NAMED,), {}, (NAMED,)),
    "its name, and its id is noted": ((NAMED,), {"recorded": NAMED}, (NAMED,)),
    "renamed, its id is noted": (("mine",), {"recorded": "mine"}, ("mine",)),
    "renamed, a commit was made of it": (("mine",), {"committed": {"mine"}}, ("mine",)),
    "renamed, only bottle can have made it": (("mine",), {"made": {"mine"}}, ("mine",)),
    "run from a commit by hand": (("try",), {}, ()),
    "run from a commit by hand, beside it": ((NAMED, "try"), {"recorded": NAMED}, (NAMED,)),
    "run from a commit by hand, beside the renamed one": (("mine", "try"), {"recorded": "mine"}, ("mine",)),
    "run from a commit by hand, after the noted one was removed": (("try",), {"recorded": "mine"}, ()),
    "called like a draft, and has run": ((DRAFT,), {"recorded": "gone"}, (DRAFT,)),
    "called like a draft, and has run beside it": ((DRAFT, NAMED), {"recorded": NAMED}, (DRAFT, NAMED)),
    "noted, and made again under its name since": ((NAMED,), {"recorded": "gone"}, (NAMED,)),
    "renamed, and a second one made by an earlier version": (
        ("mine", NAMED),
        {"committed": {"mine"}},
        ("mine", NAMED),
    ),
    "renamed, and its name given to another": (("mine", NAMED), {"recorded": "mine"}, ("mine", NAMED)),
    "noted, and another that was committed": (
        ("mine", "other"),
        {"recorded": "mine", "committed": {"other"}},
        ("mine", "other"),
    ),
}


@pytest.mark.parametrize(("names", "known", "own"), TABLE.values(), ids=TABLE)
def test_the_table(names: tuple[str, ...], known: dict[str, Any], own: tuple[str, ...]) -> None:
    facts = replace(Claims(identity=IDENTITY, labelled=tuple(map(labelled, names))), **known)
    found = own_containers(facts)
    assert tuple(each.name for each in found) == own
    if len(own) > 1:
        with pytest.raises(TwoContainers) as caught:
            the_one(IDENTITY, found)
        assert all(name in caught.value.what for name in own)
        assert caught.value.exit_code == 4
    else:
        assert the_one(IDENTITY, found) == next(iter(found), None)


DRAFTS = {
    "one in the making": ({}, ()),
    "beside the noted one": ({"recorded": "gone"}, ()),
    "only bottle can have made it": ({"made": {DRAFT}}, ()),
    "it is the noted one, renamed": ({"recorded": DRAFT}, (DRAFT,)),
    "a commit was made of it": ({"committed": {DRAFT}}, (DRAFT,)),
}


@pytest.mark.parametrize(("known", "own"), DRAFTS.values(), ids=DRAFTS)
def test_what_never_ran_under_the_name_of_a_draft_is_in_the_making_unless_it_is_known(
    known: dict[str, Any], own: tuple[str, ...]
) -> None:
    claims = replace(Claims(identity=IDENTITY, labelled=(labelled(DRAFT, Status.CREATED),)), **known)
    assert tuple(each.name for each in own_containers(claims)) == own
    assert len(in_the_making(claims)) == 1 - len(own)


@pytest.mark.parametrize(("recorded", "unclear"), [("mine", ["try"]), (None, [DRAFT, "mine", "try"])])
def test_only_what_neither_its_id_nor_its_name_places_is_looked_at(recorded: str | None, unclear: list[str]) -> None:
    names = (NAMED, DRAFT, "mine", "try")
    claims = Claims(identity=IDENTITY, labelled=tuple(map(labelled, names)), recorded=recorded)
    assert [each.name for each in strays(claims)] == unclear


LABELS = ((LABEL_SCHEMA, "1"), (LABEL_IDENTITY, str(IDENTITY)))
OURS = Mount(kind=MountKind.VOLUME, source="requests", target=RESERVED)


@pytest.mark.parametrize(
    ("image_labels", "mounts", "ours"),
    [
        ({}, (), True),
        ({LABEL_IDENTITY: "demo-other"}, (), True),
        ({LABEL_IDENTITY: str(IDENTITY)}, (), False),
        ({LABEL_IDENTITY: str(IDENTITY)}, (OURS,), True),
    ],
    ids=["label from the maker", "off another's commit", "label from the image", "our mount"],
)
def test_the_marks_of_our_making(image_labels: dict[str, str], mounts: tuple[Mount, ...], ours: bool) -> None:
    engine = FakeEngine()
    engine.add_image("image", Labels=image_labels)
    engine.create(replace(bare_spec("one", "image", mounts), labels=LABELS))
    container, image = engine.container("one"), engine.image("image")
    assert isinstance(container, ContainerFacts)
    assert bears_our_marks(IDENTITY, container, image) is ours
    assert bears_our_marks(IDENTITY, container, None) is bool(mounts)  # its image is gone: nothing is known
