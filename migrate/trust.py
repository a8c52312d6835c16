"""What a bottle that came in a bundle is granted here: decided from its metadata alone, which nobody vouches for. Pure.

A manifest `bottle.toml` is the user's word; a bundle is somebody else's. So nothing of it may name a folder of this
host, or ask for more than `docker run` gives anybody.
"""

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from bottle.manifest import RESERVED
from bottle.model import Agent, CommitRecord, Lineage, Metadata, MountKind
from bottle.naming import Identity
from bottle.plan import require_docker
from migrate.bundle import Kind, Manifest, Place, refusal

# What Docker gives a container by default: https://docs.docker.com/engine/containers/run/#runtime-privilege-and-linux-capabilities
ORDINARY = frozenset(
    {
        "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW",
        "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
    }
)  # fmt: skip

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./:@-]{0,500}")
_CAPABILITY = re.compile(r"[A-Z][A-Z_]*")
_MOST_PIDS = 2**22
_LEAST_MEMORY = 6 * 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """The metadata as it will be here, what was taken away of it, and what the agent has, in words."""

    metadata: Metadata
    refused: tuple[str, ...]
    powers: tuple[str, ...]


def require_sound(metadata: Metadata, manifest: Manifest) -> None:
    """Refuse metadata that no `bottle start` could have made, or that is not this bundle's.

    Raises VerificationFailed, or BackendUnsupported.
    """
    if metadata.identity != manifest.identity:
        raise refusal(f"it says that it is {manifest.identity}, and its metadata that it is {metadata.identity}")
    require_docker(metadata, "import")
    _require_agent(metadata.agent)
    declared = {member.place for member in manifest.of(Kind.VOLUME)}
    mounted = {
        Place(volume=mount.source, target=mount.target)
        for mount in metadata.agent.volumes
        if mount.kind is MountKind.VOLUME
    }
    if declared != mounted:
        raise refusal("its volumes are not those that its metadata names")


def grant(
    metadata: Metadata,
    manifest: Manifest,
    *,
    identity: Identity,
    cwd: Path | None,
    state: Path,
    dockerfile: bool,
    rebuild: bool,
) -> Granted:
    """What a sound bottle is here, called `identity`, with its workspace at `cwd` and its state in `state`.

    `dockerfile`: it comes with one of its own. `rebuild`: that was approved elsewhere, and a resume builds it.
    """
    agent = metadata.agent
    own = f"its own Dockerfile, {'which the next resume builds' if rebuild else 'if it is ever rebuilt'}"
    refused = [
        f"host folder {mount.source}, mounted at {mount.target}: a bundle reaches into no folder of this host"
        for mount in agent.volumes
        if mount.kind is MountKind.BIND
    ]
    extra = [name for name in agent.cap_add if name not in ORDINARY]
    refused += [f"capability {name}: more than `docker run` gives by default" for name in extra]
    if agent.dockerfile is not None:
        refused.append(f"the Dockerfile {agent.dockerfile}: it and the folder it is in did not travel")
    if metadata.copy_cwd and metadata.cwd is not None:
        refused.append(f"folder {metadata.cwd}, which was copied in at the start: only its copy in the image is here")
    refused += [f"`carry` {glob}: what may leave this host is for its own manifest to say" for glob in agent.carry]
    granted = replace(
        agent,
        carry=(),
        volumes=tuple(mount for mount in agent.volumes if mount.kind is not MountKind.BIND),
        cap_add=tuple(name for name in agent.cap_add if name in ORDINARY),
        # Where a Dockerfile that the user puts there would be found; a folder of the bundle's choosing must not be
        # what a build takes its files from.
        dockerfile=state / "Dockerfile" if agent.dockerfile is not None else None,
    )
    return Granted(
        metadata=replace(
            metadata,
            identity=identity,
            agent=granted,
            cwd=cwd,
            copied_from=Lineage(identity=manifest.identity, commit=manifest.number),
        ),
        refused=tuple(refused),
        powers=(*_powers(granted), *([own] if dockerfile else [])),
    )


def history_here(commits: Iterable[CommitRecord], manifest: Manifest, identity: Identity) -> tuple[CommitRecord, ...]:
    """The history under the new identity. No entry names an image or a container that is not its own.

    Raises VerificationFailed when the commit that the bundle holds is not in it as the manifest says.
    """
    history = tuple(commits)
    held = [commit for commit in history if commit.number == manifest.number]
    if len(held) != 1 or (held[0].diff_ids, held[0].config_digest) != (manifest.diff_ids, manifest.config_digest):
        raise refusal(f"its history does not have commit {manifest.number} as its manifest says")
    return tuple(replace(commit, tag=identity.committed(commit.number), mark=None) for commit in history)


def _powers(agent: Agent) -> tuple[str, ...]:
    powers = []
    if agent.network != "none":
        powers.append(f"network {agent.network}")
    powers += [f"capability {name}" for name in agent.cap_add]
    powers += [f"secret {name}, taken from your environment at each resume" for name in agent.secrets]
    if agent.image is not None:
        powers.append(f"image {agent.image}, if it is ever rebuilt")
    return tuple(powers)


def _require_agent(agent: Agent) -> None:
    """The rules of `bottle.toml` (bottle.manifest), for an entry that did not come from there."""
    targets = [mount.target for mount in agent.volumes]
    problems = {
        "no `image` or no `dockerfile`": (agent.image is None) == (agent.dockerfile is None),
        "`image`": agent.image is not None and not _IMAGE.fullmatch(agent.image),
        "`workdir`": not _is_inside(agent.workdir),
        "`transcript`": not all(map(_is_inside, agent.transcript)),
        "`env`": not all(_VARIABLE.fullmatch(key) and "\0" not in value for key, value in agent.env),
        "`secrets`": not all(map(_VARIABLE.fullmatch, agent.secrets)),
        "`network`": not _NAME.fullmatch(agent.network) or agent.network in {"host", "container"},
        "`cap_add`": not all(_CAPABILITY.fullmatch(name) and name != "ALL" for name in agent.cap_add),
        "`memory`": agent.memory is not None and not _LEAST_MEMORY <= agent.memory <= 2**62,
        "`cpus`": agent.cpus is not None and not 0.01 <= agent.cpus <= 65_536,
        "`pids`": not 1 <= agent.pids <= _MOST_PIDS,
        "`keep`": agent.keep is not None
        and any(each is not None and each < 1 for each in (agent.keep.commits, agent.keep.days)),
        "`volumes`": not all(map(_is_inside, targets)) or len({*targets, agent.workdir}) != len(targets) + 1,
        "a volume's name": not all(
            _NAME.fullmatch(mount.source) for mount in agent.volumes if mount.kind is MountKind.VOLUME
        ),
    }
    wrong = [what for what, is_wrong in problems.items() if is_wrong]
    if wrong:
        raise refusal(f"its agent has {', '.join(wrong)} as no manifest could say it")


def _is_inside(path: str) -> bool:
    """Whether it is an absolute path in the container, written plainly, and not bottle's own."""
    return (
        path.startswith("/")
        and path not in {"/", "//"}
        and "\0" not in path
        and posixpath.normpath(path) == path.rstrip("/")
        and path != RESERVED
        and not path.startswith(RESERVED + "/")
    )
