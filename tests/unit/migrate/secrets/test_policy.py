"""What an image holds that should not leave: found by path in the layers that a bottle wrote, and in the config."""

from __future__ import annotations

import io
import json
import os
import tarfile
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bottle.errors import PreflightRefused
from bottle.model import Agent, Metadata
from bottle.naming import Identity
from bottle.operations import commit, stop
from bottle.operations.resume import resume
from bottle.plan.resume import ResumeRequest
from bottle.testing import RecordingProgress
from migrate.bundle.export import export
from migrate.bundle.imports import ImportRequest, import_bundle
from migrate.image.spool import DirectorySpool
from migrate.model import Blob, Codec
from migrate.secrets.patterns import Finder
from migrate.secrets.policy import Allowed, finder_for, own_layers, require_clean
from migrate.secrets.scan import Find
from migrate.secrets.search import Search, Subject
from tests.support.world import BASE, World

TOKEN = b"gh" + b"p_" + b"aZ3bY4cX5dW6eV7fU2gT" + b"aZ3bY4cX5dW6eV7f"
AGENT = Agent(name="demo", image=BASE, command=("cat",), network="none", secrets=("DEMO_KEY",))
VALUE = "correct horse battery"


@pytest.fixture(autouse=True)
def _no_power_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def spool(tmp_path: Path) -> DirectorySpool:
    return DirectorySpool(tmp_path / "spool", Codec.ZSTD)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "world")


def layer(spool: DirectorySpool, files: dict[str, bytes], links: dict[str, str] | None = None) -> Blob:
    """A layer with these files, and these hard links to some of them."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.LNKTYPE, target
            archive.addfile(member)
    return kept(spool, buffer.getvalue())


def kept(spool: DirectorySpool, data: bytes) -> Blob:
    with spool.writer() as writer:
        writer.write(data)
        return writer.keep()


def finds(*layers: Blob, config: object = None, values: dict[str, bytes] | None = None) -> tuple[Find, ...]:
    return search(*layers, config=config, finder=Finder(values or {}), progress=RecordingProgress())


def search(*layers: Blob, config: object = None, finder: Finder, progress: RecordingProgress) -> tuple[Find, ...]:
    there = {blob.diff_id: blob for blob in layers}
    own = [blob.diff_id for blob in layers]
    written = json.dumps(config or {}).encode()
    subject = Subject(image="sha256:image", own=own, read=lambda _: (written, there))
    return Search(finder=finder, progress=progress).through(subject)


def test_files_and_tokens_are_reported_by_path_and_never_shown(spool: DirectorySpool) -> None:
    found = finds(
        layer(
            spool,
            {
                "etc/hosts": b"127.0.0.1",
                "root/.netrc": b"machine x login y password z",
                "root/notes\x1b[31m": b"use " + TOKEN,
                "root/.npmrc": b"_authToken=" + TOKEN,
                "root/log": VALUE.encode(),
            },
            {"root/.ssh/id_rsa": "root/log"},
        ),
        values={"DEMO_KEY": VALUE.encode()},
    )
    assert [(find.path, find.what, find.gone) for find in found] == [
        ("/root/.netrc", "logins", False),
        ("/root/.npmrc", "npm logins, a GitHub token", False),
        ("/root/.ssh/id_rsa", "an SSH key", False),
        ("/root/log", "the value of DEMO_KEY", False),
        ("/root/notes\x1b[31m", "a GitHub token", False),
    ]
    shown = "\n".join(map(str, found))
    assert "\x1b" not in shown
    assert TOKEN.decode() not in shown
    assert VALUE not in shown


def test_what_a_later_layer_hides_is_still_in_the_image_and_that_is_said(spool: DirectorySpool) -> None:
    below = layer(
        spool,
        {"a/.netrc": b"x", "b/.netrc": b"x", "c/deep/.netrc": b"x", "d/.netrc": b"x", "e/.netrc": b"x", "f": TOKEN},
    )
    above = layer(
        spool,
        {"a/.wh..netrc": b"", "b/.wh..wh..opq": b"", ".wh.c": b"", "d/.netrc": b"", "e/.netrc": b"other", "g": b""},
    )
    gone = {find.path: find.gone for find in finds(below, above)}
    assert gone == {
        "/a/.netrc": True,
        "/b/.netrc": True,
        "/c/deep/.netrc": True,
        "/d/.netrc": True,  # emptied
        "/e/.netrc": False,  # another one
        "/f": False,
    }
    assert "an earlier layer of the image still has it" in str(finds(below, above)[0])
    assert not any(find.gone for find in finds(above, below))


def test_the_config_is_looked_through_with_its_environment_and_history(spool: DirectorySpool) -> None:
    token = TOKEN.decode()
    config = {
        "config": {"Env": ["PATH=/bin", f"GH={token}"], "Labels": {"x": f"y {token}"}, "Cmd": ["sh", f"--t={token}"]},
        "history": [{"created_by": "RUN true"}, {"created_by": f"RUN curl -H {token}"}],
        "rootfs": {"diff_ids": ["sha256:0"]},
    }
    assert [find.path for find in finds(config=config)] == [
        "the image's config, Env GH",
        "the image's config, config.Cmd[1]",
        "the image's config, config.Labels.x",
        "the image's config, history[1].created_by",
    ]


def test_an_archive_in_a_form_of_its_own_is_looked_through_all_the_same(spool: DirectorySpool) -> None:
    progress = RecordingProgress()
    odd = kept(spool, b"no tar at all " * 100 + TOKEN)
    (found,) = search(odd, finder=Finder({}), progress=progress)
    assert (found.path, found.what) == (f"layer {odd.diff_id}", "a GitHub token")
    assert any("without names of files" in note for note in progress.notes)


def test_memory_is_flat(spool: DirectorySpool) -> None:
    large = layer(spool, {"large": bytes(64 << 20), ".env": bytes(64 << 20)})
    tracemalloc.start()
    try:
        assert [find.path for find in finds(large)] == ["/.env"]
        assert tracemalloc.get_traced_memory()[1] < 24 << 20
    finally:
        tracemalloc.stop()


def test_only_the_layers_of_the_bottle_itself_are_its_own(world: World) -> None:
    bottle = world.start(AGENT)
    stop(world.context, bottle)
    record, metadata = commit(world.context, bottle).commit, bottle.metadata()
    assert own_layers(metadata, record) == record.diff_ids[len(metadata.base) :]
    assert own_layers(replace(metadata, base=("sha256:other",)), record) == record.diff_ids
    assert own_layers(replace(metadata, base=()), record) == record.diff_ids


def test_what_is_allowed_is_told_and_all_else_is_refused() -> None:
    found = (Find(path="/root/.netrc", what="logins"), Find(path="/root/.ssh/id_rsa", what="an SSH key"))

    def allow(allowed: Allowed) -> tuple[str, ...]:
        return require_clean(found, allowed, subject="demo", left="left", next_step="next")

    with pytest.raises(PreflightRefused) as caught:
        allow(Allowed(carry=("/root/.net*",)))
    assert caught.value.details == ("/root/.ssh/id_rsa: an SSH key",)
    for enough in (
        Allowed(everything=True),
        Allowed(carry=("/root/.ssh", "/root/.netrc")),
        Allowed(carry=("/root/*",)),
    ):
        assert allow(enough) == ("/root/.netrc: logins", "/root/.ssh/id_rsa: an SSH key")
    in_config = (Find(path="the image's config, Env X", what="an AWS key"),)
    with pytest.raises(PreflightRefused):
        require_clean(in_config, Allowed(carry=("/*",)), subject="demo", left="", next_step="")


def test_a_value_that_is_too_short_is_not_passed_over_in_silence() -> None:
    progress = RecordingProgress()
    metadata = Metadata(identity=Identity.parse("demo-abcde"), agent=AGENT, started_at=datetime(2026, 1, 1, tzinfo=UTC))
    finder = finder_for(metadata, {"DEMO_KEY": "x"}, progress)
    assert finder.find([b"xxxx"]) == ()
    assert any("DEMO_KEY is too short" in note for note in progress.notes)


# --- in a bundle ------------------------------------------------------------------------------------------------------


def test_an_export_with_credentials_is_refused_and_the_bottle_goes_on(world: World) -> None:
    world.environ["DEMO_KEY"] = VALUE
    bottle = world.start(AGENT)
    world.work(bottle, "/root/.git-credentials", b"https://me:pass@host")
    world.work(bottle, "/root/notes", VALUE.encode())
    file = world.folder / "demo.bottle"
    with pytest.raises(PreflightRefused) as caught:
        export(world.context, bottle, file)
    error = caught.value
    assert "/root/.git-credentials: Git logins" in error.details
    assert "/root/notes: the value of DEMO_KEY" in error.details
    assert VALUE not in str(error) + error.left + error.next_step
    assert "--allow-secrets" in error.next_step
    assert not file.exists()
    assert world.status(bottle) is not None
    assert bottle.migration.read() is None

    assert export(world.context, bottle, file, Allowed(carry=("/root/*",))).along == (
        "/root/.git-credentials: Git logins",
        "/root/notes: the value of DEMO_KEY",
    )
    assert file.exists()


def test_a_deleted_one_is_found_in_the_layer_below(world: World) -> None:
    bottle = world.start(AGENT)
    world.work(bottle, "/root/.git-credentials", b"https://me:pass@host")
    stop(world.context, bottle)
    commit(world.context, bottle)
    resume(world.context, bottle, ResumeRequest())
    world.engine.erase(bottle.identity.container, "/root/.git-credentials")
    with pytest.raises(PreflightRefused, match="an earlier layer"):
        export(world.context, bottle, world.folder / "demo.bottle")


def test_what_a_bundle_says_of_itself_may_not_leave_here(world: World) -> None:
    bottle = world.start(replace(AGENT, carry=("/root/*",)))
    world.work(bottle, "/root/.git-credentials", b"https://me:pass@host")
    file = world.folder / "demo.bottle"
    export(world.context, bottle, file)
    imported = import_bundle(world.context, ImportRequest(file=file, agree=lambda _: True))
    assert world.home.bottle(imported.identity).metadata().agent.carry == ()
    assert any("`carry` /root/*" in line for line in imported.refused)


def test_a_secret_that_is_not_in_the_environment_is_said_not_to_be_looked_for() -> None:
    progress = RecordingProgress()
    metadata = Metadata(identity=Identity.parse("demo-abcde"), agent=AGENT, started_at=datetime(2026, 1, 1, tzinfo=UTC))
    finder_for(metadata, {}, progress)
    assert progress.notes == ["DEMO_KEY is not in the environment: its value is not looked for in the image"]
