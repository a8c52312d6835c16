"""An image of a few megabytes in which a shell runs: what of the base image some programs need, and nothing else."""

from __future__ import annotations

import docker

_COPY = """
mkdir /small
for tool in $TOOLS; do
    path=/usr/bin/$tool
    cp -L --parents "$path" $(ldd "$path" | grep -o '/[^ ]*') /small
done
cp --parents /etc/issue /small
"""


def build_small(engine: docker.DockerClient, base: str, repository: str, tag: str, tools: str) -> str:
    """Make `repository:tag` of the base image; returns its name."""
    maker = engine.containers.create(base, ["sh", "-ec", _COPY], environment={"TOOLS": tools}, network_mode="none")
    try:
        maker.start()
        assert maker.wait()["StatusCode"] == 0, maker.logs()
        files = b"".join(maker.get_archive("/small/.")[0])
    finally:
        maker.remove(force=True)
    engine.api.import_image_from_data(files, repository=repository, tag=tag)
    return f"{repository}:{tag}"
