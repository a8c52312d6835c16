"""An image of a few megabytes in which a shell runs: what of the base image some programs need, and nothing else."""

from __future__ import annotations

import docker

_COPY = """
mkdir -p /small/usr/bin
cd /small
mkdir dev proc root srv sys tmp
ln -s usr/bin bin
for tool in $TOOLS; do
    path=/usr/bin/$tool
    cp -L --parents "$path" $(ldd "$path" | grep -o '/[^ ]*') /small
done
cp -a --parents $FILES /small
"""


def build_small(
    engine: docker.DockerClient, base: str, repository: str, tag: str, tools: str, files: str = "/etc/issue"
) -> str:
    """Make `repository:tag` of the base image, with these programs and files of it; returns its name."""
    words = {"TOOLS": tools, "FILES": files}
    maker = engine.containers.create(base, [], entrypoint=["sh", "-ec", _COPY], environment=words, network_mode="none")
    try:
        maker.start()
        assert maker.wait()["StatusCode"] == 0, maker.logs()
        files = b"".join(maker.get_archive("/small/.")[0])
    finally:
        maker.remove(force=True)
    engine.api.import_image_from_data(files, repository=repository, tag=tag)
    return f"{repository}:{tag}"
