"""What an engine is told of a helper: it may read, and nothing else."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile

from bottle.docker_engine.helpers import empty_image, helper_config
from bottle.helper.container import CAPABILITIES
from bottle.model import HelperSpec
from bottle.naming import HELPER_IMAGE, is_agent_name

SPEC = HelperSpec(
    name="bottle-help-0123456789ab",
    command=("/usr/bin/python3", "-m", "x"),
    env=(("PYTHONPATH", "/srv"),),
    shown=("/usr", "/srv/bottle"),
    folders=("/var/lib/docker",),
    capabilities=CAPABILITIES,
    runtime="runc",
)


def test_it_may_read_and_nothing_else() -> None:
    config = helper_config(SPEC)
    host = config["HostConfig"]
    assert (host["CapDrop"], host["CapAdd"]) == (["ALL"], ["DAC_READ_SEARCH", "SYS_ADMIN"])
    assert (host["NetworkMode"], config["NetworkDisabled"], host["ReadonlyRootfs"]) == ("none", True, True)
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert {each["Source"]: each["Target"] for each in host["Mounts"]} == {
        each: each for each in ("/usr", "/srv/bottle", "/var/lib/docker")
    }
    assert all(each["ReadOnly"] for each in host["Mounts"])
    assert [each["Source"] for each in host["Mounts"] if each.get("BindOptions")] == ["/var/lib/docker"]


def test_it_ends_with_its_input_and_leaves_nothing() -> None:
    config = helper_config(SPEC)
    assert (config["OpenStdin"], config["StdinOnce"], config["HostConfig"]["AutoRemove"]) == (True, True, True)
    assert config["HostConfig"]["LogConfig"] == {"Type": "none"}


def test_its_image_is_empty_and_the_same_one_each_time() -> None:
    archive = empty_image("amd64")
    assert archive == empty_image("amd64")
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        found = {member.name: tar.extractfile(member) for member in tar}
        read = {name: file.read() for name, file in found.items() if file is not None}
    (entry,) = json.loads(read["manifest.json"])
    assert entry["RepoTags"] == [HELPER_IMAGE]
    assert entry["Config"] == f"{hashlib.sha256(read[entry['Config']]).hexdigest()}.json"
    (diff_id,) = json.loads(read[entry["Config"]])["rootfs"]["diff_ids"]
    assert diff_id == f"sha256:{hashlib.sha256(read['layer.tar']).hexdigest()}"
    with tarfile.open(fileobj=io.BytesIO(read["layer.tar"])) as layer:
        assert layer.getmembers() == []


def test_no_agent_has_an_image_of_that_name() -> None:
    assert not HELPER_IMAGE.startswith("bottle-")
    assert is_agent_name("helper")  # whose image is bottle-helper
