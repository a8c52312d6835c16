"""Bundles that mean no good: each is refused for its own reason, and nothing at all is written or made."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings, strategies as st

from bottle.errors import BottleError, NeedsConsent, StateTooNew, VerificationFailed
from bottle.files import tree
from bottle.model import Agent, CapabilityRequest, Mount, MountKind
from bottle.requests.request import digest_of
from bottle.store.forms import dump
from bottle.store.kept import KEPT
from migrate.bundle import format as bundle
from migrate.bundle.export import export
from migrate.bundle.imports import ImportRequest, import_bundle
from tests.support.documents import JSON, NOTHINGS, is_typed, places
from tests.support.forge import Forge, container, digest, entry, make_tar
from tests.support.trees import snapshot
from tests.support.world import BASE, World

AGENT = Agent(
    name="demo",
    image=BASE,
    command=("cat",),
    transcript=("/root/.demo",),
    network="none",
    volumes=(Mount(kind=MountKind.VOLUME, source="cache", target="/root/.cache"),),
)
Spoil = Callable[[Forge], "bytes | None"]


@pytest.fixture(scope="module")
def genuine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a bottle with work of every kind."""
    world = World(tmp_path_factory.mktemp("genuine") / "world")
    (world.cwd / "sub").mkdir()
    (world.cwd / "sub" / "file").write_text("content")
    bottle = world.start(AGENT)
    world.work(bottle, "/root/installed", b"by hand" * 1000)
    world.work(bottle, "/root/.demo/journal", b"step 1\n")
    world.work(bottle, "/root/.cache/entry", b"cached")
    file = world.folder / "genuine.bottle"
    export(world.context, bottle, file)
    return file


# --- ways to spoil one ------------------------------------------------------------------------------------------------


def added(kind: str, *entries: tuple[tarfile.TarInfo, bytes]) -> Spoil:
    """More entries in an inner tar, all digests in order."""
    return lambda forge: forge.edit_tar(kind, lambda found: found.extend(entries))


def request(place: int, **values: Any) -> tuple[tarfile.TarInfo, bytes]:
    """A capability request as `place` keeps it, with some of its values changed."""
    asked = CapabilityRequest(
        number=place, digest=digest_of("jq", "FROM a"), reason="jq", dockerfile="FROM a", received_at=datetime.now(UTC)
    )
    document = {**KEPT.to_json(asked), **values}
    if "dockerfile" in values:
        document["digest"] = digest_of("jq", values["dockerfile"])
    return entry(f"./requests/{place}.json", dump(document))


def said(file: str, **values: Any) -> Spoil:
    """Other values in a document of the state; `agent__x` is x of its agent."""

    def change(document: dict[str, Any]) -> None:
        for key, value in values.items():
            part, _, name = key.rpartition("__")
            (document[part] if part else document)[name] = value

    return lambda forge: forge.edit_json(file, change)


def commit_said(**values: Any) -> Spoil:
    """Other values in the first entry of the history."""
    return lambda forge: forge.edit_json("commits.json", lambda document: document["commits"][0].update(values))


def declared(**values: Any) -> Spoil:
    """Other values in the manifest, sealed."""
    return lambda forge: forge.manifest.update(values)


def member(kind: str, **values: Any) -> Spoil:
    """Other values in a member's entry of the manifest, sealed."""

    def spoil(forge: Forge) -> bytes:
        forge.seal().member(kind).update(values)
        return forge.file()

    return spoil


def laid_out(edit: Callable[[list[tuple[str, bytes]]], Any]) -> Spoil:
    """Members in the file other than the manifest says."""

    def spoil(forge: Forge) -> bytes:
        members = forge.seal().lay_out()
        edit(members)
        return container(members)

    return spoil


def bytewise(edit: Callable[[bytearray], Any]) -> Spoil:
    """The finished file, with its bytes changed."""

    def spoil(forge: Forge) -> bytes:
        data = bytearray(forge.seal().file())
        edit(data)
        return bytes(data)

    return spoil


def flipped(where: Callable[[bytearray], int]) -> Spoil:
    """One bit of the file."""

    def edit(data: bytearray) -> None:
        data[where(data)] ^= 1

    return bytewise(edit)


def renamed_layer(forge: Forge) -> None:
    """A layer that claims another diff id."""
    forge.manifest["commit"]["diff_ids"][0] = digest(b"another")


def other_layer(forge: Forge) -> None:
    """Another layer, with manifest, history and config all saying so, but no such image's config."""
    layer = forge.member("layer")
    forge.plain[layer["name"]] = make_tar([entry("etc/evil", b"evil")])
    forge.manifest["commit"]["diff_ids"][0] = digest(forge.plain[layer["name"]])


def config_with(old: bytes, new: bytes) -> Spoil:
    """An image's config that says something else to whoever reads JSON as Go does."""

    def spoil(forge: Forge) -> None:
        name = forge.member("image-config")["name"]
        changed = forge.plain[name].replace(old, new)
        assert changed != forge.plain[name]
        forge.plain[name] = changed

    return spoil


def climbing_layer(name: str, **facts: Any) -> Spoil:
    """A layer with an entry that climbs; config, manifest and history all agree with it."""

    def spoil(forge: Forge) -> None:
        layer = forge.member("layer")
        old = layer["plain_digest"]
        forge.plain[layer["name"]] = make_tar([entry(name, **facts)])
        new = digest(forge.plain[layer["name"]])
        config = forge.member("image-config")["name"]
        forge.plain[config] = forge.plain[config].replace(old.encode(), new.encode())
        diff_ids = forge.manifest["commit"]["diff_ids"]
        diff_ids[:] = [new if each == old else each for each in diff_ids]

    return spoil


def bomb(declared_size: int | None) -> Spoil:
    """A gigabyte of zeros in some kilobytes, declared as what it is not."""

    def spoil(forge: Forge) -> bytes:
        state = forge.seal().member("workspace")
        parts = zstandard.ZstdCompressor(level=19).compressobj()
        packed = b"".join(parts.compress(bytes(1 << 20)) for _ in range(1024)) + parts.flush()
        forge.packed[state["name"]] = packed
        state |= {"size": len(packed), "digest": digest(packed)}
        if declared_size is not None:
            state["plain_size"] = declared_size
        return forge.file()

    return spoil


def huge_claim(forge: Forge) -> bytes:
    """An honest bomb: it says that it unpacks to a pebibyte."""
    forge.seal().member("workspace")["plain_size"] = 1 << 50
    return forge.file()


def second_name(forge: Forge) -> None:
    """An entry with a harmless pax name in front of a second one without: parsers differ in which counts."""
    name = forge.member("workspace")["name"]
    harmless = tarfile.TarInfo("x")
    harmless.type, data = tarfile.XHDTYPE, b"16 path=sub/ok!\n"
    harmless.size = len(data)
    extension = harmless.tobuf() + data + bytes(-len(data) % 512)
    evil, _ = entry("evil")
    forge.plain[name] = forge.plain[name].rstrip(b"\0")
    forge.plain[name] += bytes(-len(forge.plain[name]) % 512) + 2 * extension + evil.tobuf() + bytes(1024)


def reordered(members: list[tuple[str, bytes]]) -> None:
    members[-2], members[-3] = members[-3], members[-2]


def doubled_key(forge: Forge) -> bytes:
    members = forge.seal().lay_out()
    document = members[0][1].replace(b'"identity":', b'"identity": "other-aaaaa",\n  "identity":', 1)
    members[0], members[-1] = (bundle.MANIFEST, document), (bundle.SEAL, bundle.seal(document))
    return container(members)


def moved_pax(size: str) -> Spoil:
    """A workspace whose entry says a size in its pax records that is not what follows."""

    def spoil(forge: Forge) -> None:
        forge.edit_tar("workspace", lambda found: found.append(entry("./late", b"x" * 10)))
        name = forge.member("workspace")["name"]
        evil, _ = entry("./liar", pax_headers={"size": size})
        tar = forge.plain[name].rstrip(b"\0")
        tar += bytes(-len(tar) % 512)
        forge.plain[name] = tar + evil.tobuf(tarfile.PAX_FORMAT) + bytes(1024)

    return spoil


SYMLINK: dict[str, Any] = {"type": tarfile.SYMTYPE}
HARDLINK: dict[str, Any] = {"type": tarfile.LNKTYPE}
FOLDER: dict[str, Any] = {"type": tarfile.DIRTYPE}

HOSTILE: dict[str, tuple[Spoil, int, str]] = {
    # paths
    "a workspace path that climbs": (added("workspace", entry("./../../outside/evil", b"x")), 7, "escapes"),
    "a workspace path that climbs midway": (added("workspace", entry("sub/../../evil", b"x")), 7, "escapes"),
    "an absolute path in the workspace": (added("workspace", entry("/outside/evil", b"x")), 7, "escapes"),
    "an absolute path in the state": (added("state", entry("/etc/evil", b"x")), 7, "escapes"),
    "a path that climbs in the transcript": (added("state", entry("transcript/../../evil", b"x")), 7, "escapes"),
    "a path that climbs in a volume": (added("volume", entry(".cache/../../evil", b"x")), 7, "escapes"),
    "a volume beside its folder": (added("volume", entry("etc/passwd", b"x")), 7, "beside its folder"),
    "a path that climbs in a layer": (climbing_layer("../../etc/evil"), 7, "escapes"),
    "a hard link that climbs in a layer": (climbing_layer("x", **HARDLINK, linkname="../../etc/shadow"), 7, "escapes"),
    "a name too long for any file": (added("workspace", entry("x" * 300, b"x")), 7, "too long"),
    # links
    "an absolute link in the workspace": (
        added("workspace", entry("./evil", **SYMLINK, linkname="/etc/passwd")), 7, "points out",
    ),
    "a link that climbs out": (added("workspace", entry("./sub/evil", **SYMLINK, linkname="../../x")), 7, "points out"),
    "a link out over another link": (
        added(
            "workspace",
            entry("./sub/top", **SYMLINK, linkname=".."),
            entry("./evil", **SYMLINK, linkname="sub/top/../x"),
        ), 7, "points out",
    ),
    "a file written through a link": (
        added("workspace", entry("./door", **SYMLINK, linkname="sub"), entry("./door/evil", b"x")), 7, "no folder",
    ),
    "a link that becomes a folder": (
        added("workspace", entry("./door", **SYMLINK, linkname="sub"), entry("./door", **FOLDER)), 7, "twice",
    ),
    "a link in the state": (added("state", entry("./Dockerfile", **SYMLINK, linkname="/etc/passwd")), 7, "a link"),
    "a hard link out": (added("workspace", entry("./evil", **HARDLINK, linkname="/etc/shadow")), 7, "escapes"),
    "a hard link to what is not there": (
        added("workspace", entry("./evil", **HARDLINK, linkname="./nowhere")), 7, "does not hold",
    ),
    "a hard link to a link": (
        added(
            "workspace",
            entry("./door", **SYMLINK, linkname="sub"),
            entry("./evil", **HARDLINK, linkname="./door"),
        ), 7, "does not hold",
    ),
    "a Dockerfile that is a hard link to what is not kept": (
        added("state", entry("./Dockerfile", **HARDLINK, linkname="./metadata.json")), 7, "not taken over",
    ),
    # things that are no files
    "a character device in the workspace": (added("workspace", entry("./null", type=tarfile.CHRTYPE)), 7, "device"),
    "a block device in a volume": (added("volume", entry(".cache/disk", type=tarfile.BLKTYPE)), 7, "device"),
    "a fifo in the state": (added("state", entry("./requests", type=tarfile.FIFOTYPE)), 7, "fifo"),
    "a request of another number": (added("state", request(1, number=2)), 7, "numbered 2"),
    "a request of another digest": (added("state", request(1, digest="0" * 64)), 7, "digest"),
    "a request that is too long": (added("state", request(1, dockerfile="#" * 300_000)), 7, "too long"),
    "a request that cannot be written": (
        added("state", request(1, dockerfile="FROM a\n# \udcff")), 7, "no text that can be written",
    ),
    "a request that is none": (added("state", entry("./requests/1.json", b"{}")), 7, "no capability request"),
    "a request that is a folder": (added("state", entry("./requests/1.json", type=tarfile.DIRTYPE)), 7, "no file"),
    "a request that is a hard link": (
        added("state", entry("./requests/1.json", **HARDLINK, linkname="./metadata.json")), 7, "no file",
    ),
    "too many requests": (added("state", *[request(number) for number in range(1, 202)]), 7, "more than 200"),
    "requests in a file": (added("state", entry("./requests", b"x")), 7, "not what is called so"),
    "a marker with something in it": (added("state", entry("./rebuild/x", b"")), 7, "not what is called so"),
    "an entry of no known type": (added("workspace", entry("./odd", type=b"Z")), 7, "type"),
    # names twice
    "a file twice in the workspace": (added("workspace", entry("./sub/file", b"other")), 7, "twice"),
    "metadata twice": (added("state", entry("./metadata.json", b"{}")), 7, "twice"),
    "metadata once more in capitals": (added("state", entry("./Metadata.JSON", b"{}")), 7, "case alone"),
    "an entry with two names": (second_name, 7, "named more than once"),
    "a member twice": (laid_out(lambda members: members.insert(2, members[1])), 7, "too long"),
    "a member in another's place": (laid_out(reordered), 7, "something else is there"),
    "a member nobody declared": (laid_out(lambda members: members.insert(-1, ("more", b"x"))), 7, "too long"),
    "a member in capitals": (member("state", name="State.tar.zst"), 7, "belongs"),
    "a member that climbs": (member("state", name="../state.tar.zst"), 7, "belongs"),
    "a key twice in the manifest": (doubled_key, 7, "says something twice"),
    "a key nobody knows": (declared(trust="me"), 7, "should not"),
    # damage
    "cut in the middle": (bytewise(lambda data: data.__delitem__(slice(len(data) // 2, None))), 7, "cut short"),
    "cut by its last byte": (bytewise(lambda data: data.__delitem__(slice(len(data) - 1, None))), 7, "cut short"),
    "cut to nothing": (bytewise(lambda data: data.clear()), 7, "cut short"),
    "a bit of a member flipped": (flipped(lambda data: data.index(b"image/layer-000.tar.zst\0") + 600), 7, "layer-000"),
    "a bit of the manifest flipped": (flipped(lambda data: data.index(b'"created_at": "2') + 16), 7, "not the one"),
    "a bit of a header flipped": (flipped(lambda data: data.index(b"state.tar.zst\0") + 100), 7, "something else"),
    "a config with a key twice": (config_with(b'"os":', b'"os": "linux", "os":'), 7, "a key twice"),
    "a config with a key that Go alone knows": (config_with(b'"os":', b'"OS": "plan9", "os":'), 7, "not quite"),
    "a config with half a character": (config_with(b'"Cmd": [', b'"Env": ["\\ud800"], "Cmd": ['), 7, "config is none"),
    "a bit of the padding flipped": (flipped(lambda data: data.index(b"image/config.json\0") - 1), 7, "something else"),
    "a bit of the end flipped": (flipped(lambda data: -1), 7, "its end"),
    "something behind the end": (bytewise(lambda data: data.extend(b"more")), 7, "too long"),
    "no bundle at all": (lambda forge: b"#!/bin/sh\nrm -rf /\n" * 1000, 7, "no bundle"),
    "another tar": (lambda forge: make_tar([entry("bottle-bundle.json", b"{}"), entry("x", b"y")]), 7, "belongs"),
    **{
        f"{none!r} as {key}": (spoil, 7, f"`{key}`|is missing")
        for none in NOTHINGS[1:]
        for key, spoil in (
            ("place", member("volume", place=none)),
            ("container", commit_said(container=none)),
            ("copied_from", said("metadata.json", copied_from=none)),
        )
    },
    # digests and sizes
    "a wrong digest of a member": (member("workspace", digest=digest(b"other")), 7, "another digest"),
    "a wrong digest of what it unpacks to": (member("workspace", plain_digest=digest(b"other")), 7, "does not unpack"),
    "a layer that claims to be another": (renamed_layer, 7, "not those of the commit"),
    "a layer that its config does not know": (other_layer, 7, "another image"),
    "a bomb that claims to be small": (bomb(4096), 7, "more than the 4096 bytes"),
    "a bomb in the place of another": (bomb(None), 7, "more than"),
    "a claim of a pebibyte": (huge_claim, 8, "free"),
    "a negative size": (member("workspace", plain_size=-1), 7, "plain_size"),
    "a pax size that is not so": (moved_pax("1000000"), 7, "ends"),
    "a pax size that is no number": (moved_pax("-5"), 7, "number"),
    "an unknown compression": (member("workspace", codec="lzma"), 7, "lzma"),
    # what it says
    "a newer schema": (declared(schema=2), 1, "upgrade|reads up to 1"),
    "a newer schema of the state": (said("metadata.json", schema=2), 1, "reads up to 1"),
    "an identity that is a path": (declared(identity="../../evil-aaaaa"), 7, "no identity"),
    "another identity than its state": (said("metadata.json", identity="demo-zzzzz"), 7, "its metadata that it is"),
    "a tag of somebody else": (
        lambda forge: forge.manifest["commit"].update(tag="debian:latest"), 7, "none of",
    ),
    "another backend": (said("metadata.json", backend="podman"), 4, "podman"),
    "the host's network": (said("metadata.json", agent__network="host"), 7, "`network`"),
    "another container's network": (said("metadata.json", agent__network="container:x"), 7, "`network`"),
    "no limit of processes": (said("metadata.json", agent__pids=-1), 7, "`pids`"),
    "no commits to keep": (said("metadata.json", agent__keep={"commits": -1, "days": None}), 7, "`keep`"),
    "all capabilities": (said("metadata.json", agent__cap_add=["ALL"]), 7, "`cap_add`"),
    "a secret that is a command": (said("metadata.json", agent__secrets=["A=$(id)"]), 7, "`secrets`"),
    "a mount over bottle's own": (
        said("metadata.json", agent__workdir="/run/bottle"), 7, "`workdir`",
    ),
    "volumes that were not declared": (said("metadata.json", agent__volumes=[]), 7, "volumes"),
    "a history without the commit": (said("commits.json", commits=[]), 7, "history"),
    "no metadata": (
        lambda forge: forge.edit_tar(
            "state", lambda found: found.remove(next(e for e in found if e[0].name == "./metadata.json"))
        ), 7, "lacks metadata.json",
    ),
    "a tombstone": (added("state", entry("./moved-to.json", b"{}")), 7, "moved-to.json"),
    "a lock": (added("state", entry("./lock", b"{}")), 7, "lock"),
    "metadata that is no JSON": (
        lambda forge: forge.edit_tar(
            "state",
            lambda found: found.__setitem__(
                next(i for i, e in enumerate(found) if e[0].name == "./metadata.json"), entry("./metadata.json", b"[")
            ),
        ), 7, "damaged",
    ),
    "an owner that cannot be": (added("workspace", entry("./x", b"", uid=2**40)), 7, "owner"),
    "a time that cannot be": (
        added("workspace", entry("./x", b"", pax_headers={"mtime": "nan"})), 7, "time",
    ),
}  # fmt: skip


@pytest.fixture
def host(tmp_path: Path) -> World:
    """A host with a bottle of its own and a file to be evil to."""
    world = World(tmp_path / "host")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "precious").write_text("precious")
    world.start(AGENT)
    return world


def everything(world: World) -> tuple[object, ...]:
    """All that is on the disk and in the engine."""
    engine = world.engine
    return (
        snapshot(world.folder.parent),
        sorted(tag for image in engine.images({}) for tag in image.tags),
        len(engine.images({})),
        sorted(each.name for each in engine.containers({})),
        engine.volumes({}),
    )


@pytest.mark.parametrize(("spoil", "code", "why"), HOSTILE.values(), ids=HOSTILE.keys())
def test_it_is_refused_and_nothing_is_written(
    genuine: Path, host: World, tmp_path: Path, spoil: Spoil, code: int, why: str
) -> None:
    forge = Forge.take_apart(genuine)
    data = spoil(forge)
    file = tmp_path / "hostile.bottle"
    file.write_bytes(forge.seal().file() if data is None else data)
    before = everything(host)
    with pytest.raises(BottleError, match=why) as caught:
        import_bundle(host.context, ImportRequest(file=file))
    assert caught.value.exit_code == code
    assert caught.value.left
    assert everything(host) == before


def test_the_forge_makes_bundles_that_are_taken(genuine: Path, host: World, tmp_path: Path) -> None:
    """Else the others would be refused for the forge's own mistakes."""
    file = tmp_path / "forged.bottle"
    file.write_bytes(Forge.take_apart(genuine).seal().file())
    assert import_bundle(host.context, ImportRequest(file=file)).origin.identity.agent == "demo"
    forge = Forge.take_apart(genuine)
    forge.edit_json("metadata.json", lambda document: None)
    forge.edit_tar("workspace", lambda found: found.append(entry("./more", b"x")))
    file.write_bytes(forge.seal().file())
    imported = import_bundle(host.context, ImportRequest(file=file))
    assert imported.workspace is not None
    assert (imported.workspace / "more").read_bytes() == b"x"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_one_wrong_value_in_the_manifest_is_refused(genuine: Path, data: st.DataObject) -> None:
    """Or it is one that the manifest may hold there, and is what its annotation says."""
    document = Forge.take_apart(genuine).manifest
    holder, key = data.draw(st.sampled_from([*places(document)]))
    holder[key] = data.draw(JSON)
    try:
        manifest = bundle.parse_manifest(dump(document))
    except (VerificationFailed, StateTooNew):
        return
    assert is_typed(manifest, bundle.BundleManifest)
    assert bundle.render(manifest) == dump(document)


def test_every_bit_of_the_frame_counts(genuine: Path, host: World, tmp_path: Path) -> None:
    """Whatever byte is another one: the file is refused."""
    data = genuine.read_bytes()
    file = tmp_path / "flipped.bottle"
    for at in range(0, len(data), 97):
        spoilt = bytearray(data)
        spoilt[at] ^= 0x10
        file.write_bytes(spoilt)
        with pytest.raises(BottleError) as caught:
            import_bundle(host.context, ImportRequest(file=file))
        assert caught.value.exit_code in {1, 7, 8}, at


def test_a_pipe_is_not_waited_for(host: World, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BottleError, match="no regular file"):
        import_bundle(host.context, ImportRequest(file=tmp_path / "pipe"))


def forged(genuine: Path, tmp_path: Path, spoil: Spoil) -> Path:
    forge = Forge.take_apart(genuine)
    spoil(forge)
    file = tmp_path / "forged.bottle"
    file.write_bytes(forge.seal().file())
    return file


@pytest.mark.parametrize("yes", [False, True])
def test_folders_of_this_host_and_capabilities_are_granted_to_whom_the_user_grants_them(
    genuine: Path, host: World, tmp_path: Path, *, yes: bool
) -> None:
    """A bundle's word is not the user's."""
    bind = {"kind": "bind", "source": "/etc", "target": "/host", "read_only": False}

    def spoil(forge: Forge) -> None:
        forge.edit_json(
            "metadata.json",
            lambda document: (
                document["agent"]["volumes"].append(bind),
                document["agent"].update(
                    cap_add=["CHOWN", "SYS_ADMIN"], image=None, dockerfile="/root/.ssh/config", secrets=["TOKEN"]
                ),
            ),
        )

    file, asked = forged(genuine, tmp_path, spoil), []
    before = everything(host)
    request = ImportRequest(file=file, agree=lambda what: asked.extend(what) or yes)
    if not yes:
        with pytest.raises(NeedsConsent):
            import_bundle(host.context, request)
        assert everything(host) == before
        return
    imported = import_bundle(host.context, request)
    metadata = host.home.bottle(imported.identity).metadata()
    assert [mount.kind for mount in metadata.agent.volumes] == [MountKind.VOLUME, MountKind.BIND]
    assert metadata.agent.cap_add == ("CHOWN", "SYS_ADMIN")
    assert metadata.agent.dockerfile == host.home.bottle(imported.identity).path / "Dockerfile"
    assert [line.split(",")[0].split(":")[0] for line in imported.refused] == ["the Dockerfile /root/.ssh/config"]
    assert list(imported.powers) == asked
    assert asked == [
        "host folder /etc, mounted at /host", "Linux capability CHOWN", "Linux capability SYS_ADMIN",
        "secret TOKEN, taken from your environment at each resume",
    ]  # fmt: skip


def test_a_mounted_folder_without_its_content_is_never_used(genuine: Path, host: World, tmp_path: Path) -> None:
    def spoil(forge: Forge) -> None:
        forge.manifest["members"] = [each for each in forge.manifest["members"] if each["kind"] != "workspace"]
        forge.edit_json("metadata.json", lambda document: document.update(cwd="/etc"))

    imported = import_bundle(host.context, ImportRequest(file=forged(genuine, tmp_path, spoil)))
    assert host.home.bottle(imported.identity).metadata().cwd is None


def test_a_commit_number_that_leaves_no_room_is_refused(genuine: Path, host: World, tmp_path: Path) -> None:
    for number in (10**18, 1_000_000):
        later = {"number": number, "tag": BASE}

        def spoil(forge: Forge, later: dict[str, Any] = later) -> None:
            forge.edit_json(
                "commits.json", lambda document: document["commits"].append({**document["commits"][0], **later})
            )

        with pytest.raises(VerificationFailed):
            import_bundle(host.context, ImportRequest(file=forged(genuine, tmp_path, spoil)))


def test_a_folder_that_the_bundle_names_is_never_used(genuine: Path, host: World, tmp_path: Path) -> None:
    """Neither mounted, nor copied in at a rebuild, nor made."""
    goal = tmp_path / "home" / ".ssh"
    file = forged(genuine, tmp_path, said("metadata.json", cwd=str(goal)))
    imported = import_bundle(host.context, ImportRequest(file=file))
    assert not goal.exists()
    assert host.home.bottle(imported.identity).metadata().cwd == imported.workspace
    file = forged(genuine, tmp_path, said("metadata.json", cwd="/etc", copy_cwd=True))
    imported = import_bundle(host.context, ImportRequest(file=file))
    assert "/etc" not in str(host.home.bottle(imported.identity).metadata().cwd)


def test_a_dockerfile_of_its_own_is_named(genuine: Path, host: World, tmp_path: Path) -> None:
    file = forged(genuine, tmp_path, added("state", entry("./Dockerfile", b"FROM scratch\n")))
    imported = import_bundle(host.context, ImportRequest(file=file))
    assert imported.powers[-1] == "its own Dockerfile, if it is ever rebuilt"
    assert host.home.bottle(imported.identity).own_dockerfile is not None


def test_history_names_no_image_but_its_own(genuine: Path, host: World, tmp_path: Path) -> None:
    def spoil(forge: Forge) -> None:
        forge.edit_json(
            "commits.json",
            lambda document: document["commits"].append({**document["commits"][0], "number": 7, "tag": BASE}),
        )

    imported = import_bundle(host.context, ImportRequest(file=forged(genuine, tmp_path, spoil)))
    commits = host.home.bottle(imported.identity).commits()
    assert [commit.tag for commit in commits] == [imported.identity.committed(1), imported.identity.committed(7)]


def test_set_id_bits_do_not_arrive_on_files(genuine: Path, host: World, tmp_path: Path) -> None:
    file = forged(genuine, tmp_path, added("workspace", entry("./su", b"#!/bin/sh\n", mode=0o6755)))
    imported = import_bundle(host.context, ImportRequest(file=file))
    assert imported.unset == ("su",)
    assert imported.workspace is not None
    assert (imported.workspace / "su").stat().st_mode & 0o7777 == 0o755


def test_hard_links_in_the_state_take_no_room(genuine: Path, host: World, tmp_path: Path) -> None:
    big, links = bytes(1 << 20), [f"transcript/files/h{number}" for number in range(50)]
    more = [entry(path, **HARDLINK, linkname="transcript/files/big") for path in links]
    file = forged(genuine, tmp_path, added("state", entry("transcript/files/big", big), *more))
    state = host.home.bottle(import_bundle(host.context, ImportRequest(file=file)).identity).path
    assert {(state / path).read_bytes() for path in links} == {big}
    assert tree.size_of(state) < 2 << 20


def test_files_of_the_state_that_mean_nothing_are_left_out(genuine: Path, host: World, tmp_path: Path) -> None:
    file = forged(genuine, tmp_path, added("state", entry("./hooks/on-resume", b"rm -rf /")))
    imported = import_bundle(host.context, ImportRequest(file=file))
    assert imported.left_out == ("hooks",)
    assert not (host.home.bottle(imported.identity).path / "hooks").exists()


def test_only_requests_arrive_among_requests(genuine: Path, host: World, tmp_path: Path) -> None:
    strange = [entry(f"./requests/{name}", b"x") for name in ("0.json", "x", ".1.json.tmp", "sub/1.json")]
    file = forged(genuine, tmp_path, added("state", request(3), *strange))
    imported = import_bundle(host.context, ImportRequest(file=file))
    bottle = host.home.bottle(imported.identity)
    assert imported.left_out == ("requests/0.json", "requests/x", "requests/sub/1.json")
    assert [path.name for path in (bottle.path / "requests").iterdir()] == ["3.json"]
    assert [each.number for each in bottle.requests()] == [3]


def test_a_file_that_changes_while_it_is_read_is_refused(
    genuine: Path, host: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second pass checks again: what was looked at need not be what is there a second later."""
    file = tmp_path / "changing.bottle"
    file.write_bytes(genuine.read_bytes())
    real = host.engine.load

    def load(tar: Iterator[bytes]) -> None:
        real(tar)
        data = bytearray(file.read_bytes())
        data[data.index(b"workspace.tar.zst\0") + 530] ^= 1
        file.write_bytes(data)

    monkeypatch.setattr(host.engine, "load", load)
    before = everything(host)[1:]
    with pytest.raises(BottleError) as caught:
        import_bundle(host.context, ImportRequest(file=file))
    assert caught.value.exit_code == 7
    assert everything(host)[1:] == before
    assert len(host.home.identities()) == 1


def test_a_volume_that_the_engine_did_not_keep_is_noticed(
    genuine: Path, host: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host.engine, "write_archive", lambda ref, path, tar: (tar.read(), None)[1])
    before = everything(host)[1:]
    with pytest.raises(BottleError, match="volume cache is not what was sent"):
        import_bundle(host.context, ImportRequest(file=genuine))
    assert everything(host)[1:] == before


def test_an_engine_that_loads_something_else_is_noticed(
    genuine: Path, host: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = host.engine.add_image("other:latest", {"/x": b"y"})

    def load(tar: Iterator[bytes]) -> None:
        io.BytesIO(b"".join(tar))
        identity = [name for name in os.listdir(host.home.states) if name.endswith(".draft")][0]  # noqa: PTH208, RUF015
        host.engine.tag(other.id, f"bottle-committed-{identity[1:-6]}:1")

    monkeypatch.setattr(host.engine, "load", load)
    before = everything(host)[1:]
    with pytest.raises(BottleError, match="not the one that was committed"):
        import_bundle(host.context, ImportRequest(file=genuine))
    assert everything(host)[1:] == before
