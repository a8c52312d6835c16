"""A layer is looked through once: what is kept of that, and that it never changes what is found."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Collection, Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from bottle.errors import PreflightRefused
from bottle.model import Agent
from bottle.naming import Identity
from bottle.operations import commit
from bottle.store.state import BottleState
from bottle.testing import RecordingProgress
from migrate.bundle.export import export
from migrate.image.spool import DirectorySpool
from migrate.model import Blob, Codec
from migrate.secrets import kept as kept_module
from migrate.secrets.kept import PATTERNS, StoredScans
from migrate.secrets.patterns import Finder
from migrate.secrets.policy import Allowed
from migrate.secrets.scan import Find
from migrate.secrets.search import Search, Subject
from tests.support.world import BASE, World

SECRETS = Path(kept_module.__file__).parent
# What decides which credentials are found, as it was when PATTERNS was raised last.
LOOKED_FOR = "a806dec89f4ae0095b2b1441b41c5c01c132dfb9f69f0eb9a405b25ebf6a0d11"
TOKEN = b"gh" + b"p_" + b"aZ3bY4cX5dW6eV7fU2gT" + b"aZ3bY4cX5dW6eV7f"
VALUE = b"correct horse battery staple"
IMAGE = "sha256:" + "1" * 64
IDENTITY = Identity.parse("demo-abcde")


@pytest.fixture(autouse=True)
def _no_power_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def state(tmp_path: Path) -> BottleState:
    folder = tmp_path / "state"
    folder.mkdir()
    return BottleState(IDENTITY, folder)


def sums(**files: bytes) -> bytes:
    """What dpkg notes of files."""
    return b"".join(
        b"%s  %s\n" % (hashlib.md5(data, usedforsecurity=False).hexdigest().encode(), name.encode())
        for name, data in files.items()
    )


def tar(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


class Images:
    """Layers and a config, which notes what of them is read."""

    def __init__(self, folder: Path, config: object = None) -> None:
        self._spool = DirectorySpool(folder, Codec.ZSTD)
        self._layers: dict[str, Blob] = {}
        self.config = json.dumps(config or {}).encode()
        self.read: list[tuple[str, ...]] = []

    def layer(self, files: Mapping[str, bytes]) -> str:
        with self._spool.writer() as writer:
            writer.write(tar(files))
            blob = writer.keep()
        self._layers[blob.diff_id] = blob
        return blob.diff_id

    def subject(self, *own: str, image: str = IMAGE) -> Subject:
        def read(wanted: Collection[str]) -> tuple[bytes, Mapping[str, Blob]]:
            self.read.append(tuple(wanted))
            return self.config, {each: self._layers[each] for each in wanted}

        return Subject(image=image, own=own, read=read)


@pytest.fixture
def images(tmp_path: Path) -> Images:
    return Images(tmp_path / "spool")


def looked(state: BottleState, subject: Subject, **values: bytes) -> tuple[Find, ...]:
    """What a run finds that begins anew."""
    finder = Finder(values)
    return Search(finder=finder, progress=RecordingProgress(), known=StoredScans(state.scanned, finder)).through(
        subject
    )


def test_the_version_is_raised_with_what_is_looked_for() -> None:
    """Where this fails: raise PATTERNS in migrate/secrets/kept.py, and put the new digest here."""
    names = ("packages.py", "patterns.py", "private_key.py", "published.txt", "scan.py")
    found = hashlib.sha256(b"".join((SECRETS / name).read_bytes() for name in names)).hexdigest()
    assert (PATTERNS, found) == (2, LOOKED_FOR)


def test_what_was_looked_through_is_not_read_again(state: BottleState, images: Images) -> None:
    below = images.layer({"root/.netrc": b"machine x", "usr/bin/tool": b"x"})
    above = images.layer({"root/.wh..netrc": b"", "srv/.env.example": b"A=b"})
    first = looked(state, images.subject(below, above))
    assert [(each.path, each.what, each.gone) for each in first] == [("/root/.netrc", "logins", True)]
    assert images.read == [(below, above)]
    assert looked(state, images.subject(below, above)) == first
    assert images.read == [(below, above)]
    third = images.layer({"x": b"y"})
    assert looked(state, images.subject(below, above, third, image="sha256:other")) == first
    assert images.read[1:] == [(third,)]


def test_the_document_has_paths_and_kinds_and_no_value(state: BottleState, images: Images) -> None:
    own = images.layer({"root/.npmrc": b"_authToken=" + TOKEN, "root/.env": b"KEY=" + VALUE})
    found = looked(state, images.subject(own), DEMO_KEY=VALUE)
    kept = (state.path / "scanned.json").read_bytes()
    assert [each.what for each in found] == ["secret settings, the value of DEMO_KEY", "npm logins, a GitHub token"]
    for told in (b"/root/.npmrc", b"npm logins, a GitHub token", b"the value of DEMO_KEY"):
        assert told in kept
    for secret in (TOKEN, VALUE, VALUE.hex().encode(), hashlib.sha256(TOKEN).hexdigest().encode()):
        assert secret not in kept


@pytest.mark.parametrize("value", [b"another horse, another staple", b"short one"])
def test_a_result_counts_only_for_the_secrets_that_were_looked_for(
    state: BottleState, images: Images, value: bytes
) -> None:
    own = images.layer({"srv/x": b"see " + value})
    assert looked(state, images.subject(own), DEMO_KEY=VALUE) == ()
    (find,) = looked(state, images.subject(own), DEMO_KEY=value)
    assert (find.path, find.what) == ("/srv/x", "the value of DEMO_KEY")
    assert len(images.read) == 2


def test_for_a_secret_that_could_be_guessed_nothing_is_kept(state: BottleState, images: Images) -> None:
    own = images.layer({"srv/x": b"x"})
    for _ in range(2):
        assert looked(state, images.subject(own), DEMO_KEY=b"short one") == ()
    assert len(images.read) == 2
    assert state.scanned.read() is None


@pytest.mark.parametrize(
    "damage", [b"", b"{", b'{"schema": 99}', b'{"schema": 1, "patterns": 1, "salt": "", "scans": 5}']
)
def test_a_damaged_document_counts_as_none(state: BottleState, images: Images, damage: bytes) -> None:
    own = images.layer({"root/.netrc": b"machine x"})
    (state.path / "scanned.json").write_bytes(damage)
    first = looked(state, images.subject(own))
    assert looked(state, images.subject(own)) == first != ()
    assert len(images.read) == 1


def test_a_document_that_cannot_be_written_is_no_error(state: BottleState, images: Images) -> None:
    (state.path / "scanned.json").mkdir()
    own = images.layer({"root/.netrc": b"machine x"})
    assert len(looked(state, images.subject(own))) == 1


def test_what_an_older_version_looked_for_counts_for_nothing(state: BottleState, images: Images) -> None:
    own = images.layer({"root/.netrc": b"machine x"})
    looked(state, images.subject(own))
    kept = state.scanned.read()
    assert kept is not None
    state.scanned.write(replace(kept, patterns=PATTERNS - 1))
    assert len(looked(state, images.subject(own))) == 1
    assert len(images.read) == 2


def test_what_only_another_layer_explains_is_looked_at_again(state: BottleState, images: Images) -> None:
    program = b"key = " + TOKEN
    known = images.layer({"var/lib/dpkg/info/demo.md5sums": sums(**{"usr/lib/demo": program})})
    brought = images.layer({"usr/lib/demo": program})
    assert looked(state, images.subject(known)) == ()
    assert looked(state, images.subject(known, brought, image="sha256:two")) == ()
    assert images.read[1:] == [(brought,), (known, brought)]
    (find,) = looked(state, images.subject(brought, image="sha256:three"))
    assert find.path == "/usr/lib/demo"


def test_what_a_later_layer_explains_is_not_kept(state: BottleState, images: Images) -> None:
    program = b"key = " + TOKEN
    brought = images.layer({"usr/lib/demo": program})
    known = images.layer({"var/lib/dpkg/info/demo.md5sums": sums(**{"usr/lib/demo": program})})
    assert len(looked(state, images.subject(brought))) == 1
    assert looked(state, images.subject(brought, known)) == ()


def test_what_a_kept_layer_hides_of_a_new_one_below_is_told(state: BottleState, images: Images) -> None:
    above = images.layer({"srv/.npmrc": b"registry=x", "root/.wh..wh..opq": b"", ".wh.opt": b""})
    looked(state, images.subject(above))
    below = images.layer({"srv/.npmrc": b"_authToken=x", "root/.netrc": b"x", "opt/.netrc": b"x", "a/.netrc": b"x"})
    found = looked(state, images.subject(below, above))
    assert [each.path for each in found if not each.gone] == ["/a/.netrc"]
    assert len(found) == 4
    assert images.read == [(above,), (below,)]


def test_a_config_with_a_find_is_looked_at_again(state: BottleState, tmp_path: Path) -> None:
    images = Images(tmp_path / "spool", {"config": {"Env": [f"TOKEN={TOKEN.decode()}"]}})
    first = looked(state, images.subject())
    assert [each.path for each in first] == ["the image's config, Env TOKEN"]
    assert looked(state, images.subject()) == first
    assert len(images.read) == 2


NAMES = ("root/.netrc", "srv/.env", "srv/.npmrc", "usr/lib/demo", "srv/key", "usr/lib/__pycache__/demo.cpython-311.pyc")
CONTENT = (b"", b"plain", b"KEY=abcdefgh", b"key " + TOKEN, b"key " + VALUE, b"_authToken=" + TOKEN)
ENTRIES = st.one_of(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(CONTENT)),
    st.tuples(st.sampled_from(("srv/.wh..env", "root/.wh..wh..opq", ".wh.srv", "usr/lib/.wh.demo")), st.just(b"")),
    st.just(("var/lib/dpkg/info/demo.md5sums", sums(**{"usr/lib/demo": b"key " + TOKEN}))),
)
LAYERS = st.lists(st.lists(ENTRIES, max_size=4, unique_by=lambda entry: entry[0]).map(dict), min_size=1, max_size=4)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(layers=LAYERS, runs=st.lists(st.lists(st.integers(0, 3), unique=True), min_size=1, max_size=3))
def test_what_is_kept_never_changes_what_is_found(
    tmp_path_factory: pytest.TempPathFactory, layers: list[dict[str, bytes]], runs: list[list[int]]
) -> None:
    """Whatever of the layers is stacked on whatever other, whatever was looked at before."""
    folder = tmp_path_factory.mktemp("search")
    images, state = Images(folder / "spool"), BottleState(IDENTITY, folder)
    made = [images.layer(files) for files in layers]
    for run, values in product(runs, ({}, {"DEMO_KEY": VALUE})):
        own = [made[index] for index in run if index < len(made)]
        bare = Search(finder=Finder(values), progress=RecordingProgress()).through(images.subject(*own))
        assert looked(state, images.subject(*own), **values) == bare


def test_an_export_keeps_its_results_and_what_may_go_along_is_still_told(tmp_path: Path) -> None:
    world = World(tmp_path / "world")
    agent = Agent(name="demo", image=BASE, command=("cat",), network="none")
    bottle = world.start(agent)
    world.work(bottle, "/root/.netrc", b"machine x")
    commit(world.context, bottle)
    with pytest.raises(PreflightRefused, match="credentials would leave"):
        export(world.context, bottle, tmp_path / "one.bottle")
    kept = bottle.scanned.read()
    assert kept is not None
    allowed = Allowed(carry=("/root/.netrc",))
    for name in ("two.bottle", "three.bottle"):
        told = export(world.context, bottle, tmp_path / name, allowed)
        assert told.along == ("/root/.netrc: logins",)
    with pytest.raises(PreflightRefused, match="credentials would leave"):
        export(world.context, bottle, tmp_path / "four.bottle")
