"""Programs of this machine in a container that is empty but for what they are shown."""

import hashlib
import io
import json
import tarfile
from functools import partial
from typing import Any

from bottle.docker_engine.base import Part
from bottle.docker_engine.streams import DockerSession
from bottle.errors import NotFound
from bottle.model import SCHEMA, HelperSpec
from bottle.naming import HELPER_IMAGE, LABEL_SCHEMA
from bottle.ports import Session

_LABELS = {LABEL_SCHEMA: str(SCHEMA)}
_PIDS = 32
_EMPTY_TAR = bytes(10240)


class Helpers(Part):
    """`ports.Helpers` on a Docker Engine."""

    def run_helper(self, spec: HelperSpec) -> Session:
        """Run a program in an empty container, and join its streams."""
        doing = f"run container {spec.name}"
        self._require_image()
        with self._asked_to(doing):
            answer = self._quick.create_container_from_config(helper_config(spec), name=spec.name)
        try:
            response = self._connection.upgrade(
                f"/containers/{answer['Id']}/attach", doing, stream=1, stdin=1, stdout=1, stderr=1
            )
            session = DockerSession(response, framed=True, translated=partial(self._asked_to, doing))
            with self._asked_to(doing):
                self._quick.start(answer["Id"])
        except BaseException:
            self._remove(answer["Id"])
            raise
        return session

    def _require_image(self) -> None:
        """See that the engine has the image; it is the same one wherever it was made, so that two are none too many."""
        doing = "make an empty image"
        try:
            with self._asked_to(doing):
                self._quick.inspect_image(HELPER_IMAGE)
        except NotFound:
            architecture = {"x86_64": "amd64", "aarch64": "arm64"}
            with self._asked_to(doing):
                machine = str(self._quick.version()["Arch"])
            archive = empty_image(architecture.get(machine, machine))
            self._connection.post("/images/load", doing, [archive], quiet=1)

    def _remove(self, ref: str) -> None:
        with self._connection.asked_to("remove a container"):
            self._quick.remove_container(ref, force=True)


def helper_config(spec: HelperSpec) -> dict[str, Any]:
    """The body of a create request."""
    return {
        "Image": HELPER_IMAGE,
        "Entrypoint": list(spec.command),
        "Cmd": [],
        "Env": [f"{name}={value}" for name, value in spec.env],
        "Labels": _LABELS,
        "User": "0",
        "WorkingDir": "/",
        "NetworkDisabled": True,
        "OpenStdin": True,
        "StdinOnce": True,  # the input ends with the one who is attached
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "HostConfig": {
            "AutoRemove": True,
            "NetworkMode": "none",
            "IpcMode": "none",
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "CapAdd": list(spec.capabilities),
            "SecurityOpt": ["no-new-privileges"],
            "PidsLimit": _PIDS,
            "Runtime": spec.runtime,
            "LogConfig": {"Type": "none"},  # all that it says is for who is attached
            "Mounts": [
                *({"Type": "bind", "Source": each, "Target": each, "ReadOnly": True} for each in spec.shown),
                *(_alone(each) for each in spec.folders),
            ],
        },
    }


def _alone(folder: str) -> dict[str, Any]:
    """A folder of the engine's, without what is mounted below it now: filesystems of containers, which must come free.

    What is mounted there later comes and goes as it does outside: the engine sees to that for its own folders.
    """
    options = {"NonRecursive": True}
    return {"Type": "bind", "Source": folder, "Target": folder, "ReadOnly": True, "BindOptions": options}


def empty_image(architecture: str) -> bytes:
    """An archive for `docker load`: an image of one layer with nothing in it (moby, image/tarexport/load.go)."""
    config = json.dumps(
        {
            "architecture": architecture,
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": {"Labels": _LABELS},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(_EMPTY_TAR).hexdigest()}"]},
            "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "bottle"}],
        },
        sort_keys=True,
    ).encode()
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": name, "RepoTags": [HELPER_IMAGE], "Layers": ["layer.tar"]}]).encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, data in ((name, config), ("layer.tar", _EMPTY_TAR), ("manifest.json", manifest)):
            member = tarfile.TarInfo(path)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()
