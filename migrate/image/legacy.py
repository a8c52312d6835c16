"""What Docker before 25 calls the layers of an archive: names made for engines before 1.10, yet foretellable.

The engine hashes a JSON document made of the layer's chain id, its parent's name and constants (moby v20.10,
image/tarexport/save.go and image/v1/imagev1.go; chain ids: OCI image-spec, config.md). Only the last layer's document
holds more. The archive says which layer is which at its very end; this says it before, so that a base image that
nobody wants is skipped and not compressed.
"""

import hashlib
from collections.abc import Sequence

_CONTAINER_CONFIG = (
    '{"Hostname":"","Domainname":"","User":"","AttachStdin":false,"AttachStdout":false,"AttachStderr":false,'
    '"Tty":false,"OpenStdin":false,"StdinOnce":false,"Env":null,"Cmd":null,"Image":"","Volumes":null,'
    '"WorkingDir":"","Entrypoint":null,"OnBuild":null,"Labels":null}'
)


def legacy_names(diff_ids: Sequence[str]) -> dict[str, str]:
    """Name to diff id of every layer but the last. A guess about a guess: use it to skip layers, for nothing else."""
    names: dict[str, str] = {}
    chain = parent = ""
    for diff_id in diff_ids[:-1]:
        chain = f"sha256:{_hash(f'{chain} {diff_id}')}" if chain else diff_id
        document = (
            f'{{"container_config":{_CONTAINER_CONFIG},"created":"1970-01-01T00:00:00Z","layer_id":"{chain}"'
            + (f',"parent":"sha256:{parent}"' if parent else "")
            + "}"
        )
        parent = _hash(document)
        names[parent] = diff_id
    return names


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
