"""What a host that pulls tells of its images to who has named some layers: those, and no more."""

from __future__ import annotations

import json
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bottle.model import Store
from migrate.host.commands import MOST_NAMED
from migrate.host.layers import ask_images, ask_known
from migrate.model import RemoteCommand, Reply
from migrate.pull.images import Disclosure
from migrate.pull.receiver import Breach

BASE, TOOLS, MINE, PRIVATE = (f"sha256:{letter * 64}" for letter in "abcd")
IMAGES = {
    "sha256:" + "1" * 64: (BASE, TOOLS),
    "sha256:" + "2" * 64: (BASE, PRIVATE, MINE),
    "sha256:" + "3" * 64: (PRIVATE,),
    "sha256:" + "4" * 64: (BASE, PRIVATE),
}
WHOLE = next(iter(IMAGES))


class Machine:
    """A shell of a host with images, each layer of which its containerd store holds as the blob of the same letter."""

    name = "here"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def run(self, command: RemoteCommand, stdin: Iterable[bytes] = (), *, silence: float = 60.0) -> Reply:
        words = b"".join(stdin).decode().split()
        if command.name == "images":
            lines = [f"{name} {json.dumps(chain)}" for name, chain in IMAGES.items() if set(chain) & set(words)]
            return Reply(status=0, out="\n".join(lines).encode(), err="")
        assert command.name == "known"
        self.asked = words
        return Reply(status=0, out=b"".join(self._manifest(name) for name in words), err="")

    def _manifest(self, name: str) -> bytes:
        layers = [{"digest": f"{layer}", "size": 1, "mediaType": "x"} for layer in IMAGES[name]]
        config = {"rootfs": {"diff_ids": list(IMAGES[name])}}
        manifest = {"config": {"digest": f"config-{name}"}, "layers": layers, "annotations": {"secret": "hush"}}
        return f"config-{name} {json.dumps(config)}\n{name} {json.dumps(manifest)}\n".encode()


class Told:
    """The same host as the other side sees it, through what is told."""

    name = "here"

    def __init__(self, disclosure: Disclosure) -> None:
        self.disclosure = disclosure
        self.said = b""

    def run(self, command: RemoteCommand, stdin: Iterable[bytes] = (), *, silence: float = 60.0) -> Reply:
        words = b"".join(stdin).decode().split()
        if command.name == "images":
            self.disclosure.named(words)
        out = self.disclosure.images() if command.name == "images" else self.disclosure.known(words)
        self.said += out
        return Reply(status=0, out=out, err="")


def made(store: Store) -> tuple[Machine, Told, Any]:
    access = cast("Any", SimpleNamespace(docker="docker", sudo=False, store=store, docker_root="/"))
    machine = Machine()
    return machine, Told(Disclosure(machine, access)), access


@pytest.mark.parametrize("store", Store)
def test_nothing_is_told_of_what_was_not_named(store: Store) -> None:
    _, told, access = made(store)
    chains = ask_images(told, access, [BASE, TOOLS, MINE]).chains
    assert chains.pop(WHOLE) == (BASE, TOOLS)
    partly = {(BASE,)} if store is Store.CLASSIC else {(BASE,), (BASE, MINE)}
    assert set(chains.values()) == partly
    assert not chains.keys() & IMAGES.keys()
    ask_known(told, access, [WHOLE, *chains])
    for secret in (PRIVATE, "hush", *(each for each in IMAGES if each != WHOLE)):
        assert secret.encode() not in told.said


def test_to_who_names_nothing_nothing_is_told() -> None:
    _, told, access = made(Store.CONTAINERD)
    assert ask_images(told, access, []).chains == {}
    assert ask_known(told, access, [*IMAGES]) == {}


def test_as_what_a_layer_is_held_is_told_of_those_that_were_named() -> None:
    machine, told, access = made(Store.CONTAINERD)
    chains = ask_images(told, access, [BASE, MINE]).chains
    found = ask_known(told, access, [*chains, "sha256:" + "3" * 64])
    assert {layer: blob.digest for layer, blob in found.items()} == {BASE: BASE, MINE: MINE}
    assert set(machine.asked) <= IMAGES.keys() - {"sha256:" + "3" * 64}


def test_an_image_is_told_by_its_id_only_if_all_of_it_was_named() -> None:
    _, told, access = made(Store.CLASSIC)
    chains = ask_images(told, access, [BASE, TOOLS]).chains
    assert [each for each in chains if told.disclosure.is_told(each)] == [WHOLE]
    assert not any(map(told.disclosure.is_told, IMAGES.keys() - {WHOLE}))
    assert ask_images(told, access, [BASE, TOOLS]).chains == chains  # asked once more


def test_who_names_layers_without_end_is_cut_off() -> None:
    _, told, _ = made(Store.CLASSIC)
    with pytest.raises(Breach):
        told.disclosure.named(map(str, range(2 * MOST_NAMED + 1)))
