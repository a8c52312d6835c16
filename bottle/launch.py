"""How a bottle's container is made: its command line, mounts and hardening, from our own metadata only.

A committed image's config is the agent's to shape; none of it decides what runs here.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from bottle.agent.admission import RESERVED
from bottle.errors import ManifestError
from bottle.model import SCHEMA, Agent, ContainerFacts, LaunchSpec, Metadata, Mount, MountKind
from bottle.naming import LABEL_AGENT, LABEL_COMMIT, LABEL_IDENTITY, LABEL_SCHEMA, Identity, declared_volume

# What stands before the command of a container that can be told another one; `runtime.prepare` puts both there.
LAUNCH = ("/bin/sh", f"{RESERVED}/launch")
REQUESTS_MOUNT = f"{RESERVED}/requests"

_WITH_SECRETS = f'[ ! -r {RESERVED}/secrets ] || . {RESERVED}/secrets; exec "$@"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """What the user asks for this once: another command than the agent's, and its arguments for remote control."""

    command: tuple[str, ...] = ()
    remote_control: bool = False

    def __bool__(self) -> bool:
        """Whether anything is asked for."""
        return bool(self.command) or self.remote_control


AS_USUAL = Once()


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """The argument vector that a container is made to run, and the one that it is told to run this once, if any."""

    made: tuple[str, ...]
    once: tuple[str, ...] | None = None

    @property
    def now(self) -> tuple[str, ...]:
        """What it runs this time."""
        return self.made if self.once is None else self.once


def command_for(metadata: Metadata, *, resuming: bool, once: Once) -> Command:
    """What a new container runs. Raises ManifestError when neither manifest nor image names a command."""
    made = command_line(metadata, resuming=resuming)
    return Command(made=made, once=this_once(metadata, made, once) if once else None)


def this_once(metadata: Metadata, usual: tuple[str, ...], once: Once) -> tuple[str, ...]:
    """What is run this once instead of the `usual` argument vector."""
    argv = (*metadata.defaults.entrypoint, *once.command) if once.command else usual
    return (*argv, *metadata.agent.remote_control) if once.remote_control else argv


def command_line(metadata: Metadata, *, resuming: bool) -> tuple[str, ...]:
    """The whole argument vector of the agent. Raises ManifestError when neither manifest nor image names one."""
    agent, defaults = metadata.agent, metadata.defaults
    command = agent.command if agent.command is not None else defaults.command
    if resuming and agent.resume_command is not None:
        command = agent.resume_command
    argv = (*defaults.entrypoint, *command)
    if not argv:
        raise ManifestError(
            f"agent {agent.name!r} has no `command`, and its image {metadata.image} names none",
            next_step=f'add command = ["…"] to [agents.{agent.name}] in bottle.toml',
        )
    return argv


def can_be_told(container: ContainerFacts) -> bool:
    """Whether what a container runs is not fixed: it has the launcher, which reads what it is told."""
    return container.argv[: len(LAUNCH)] == LAUNCH


def made_to_run(container: ContainerFacts) -> tuple[str, ...]:
    """The argument vector that a container runs while it is told no other."""
    return container.argv[len(LAUNCH) :] if can_be_told(container) else container.argv


def with_secrets(words: tuple[str, ...]) -> tuple[str, ...]:
    """The command line of one more command in a container, with what the agent has in its environment."""
    return ("/bin/sh", "-c", _WITH_SECRETS, "sh", *words)


def launch_spec(
    metadata: Metadata, *, image: str, argv: tuple[str, ...], run_folder: Path | None, commit: int | None, tty: bool
) -> LaunchSpec:
    """What the container is created from, to run `argv`.

    `run_folder` is the host's folder that becomes /run/bottle, None where the engine cannot see it; `commit` is the
    number of the commit that `image` is.
    """
    identity, agent, mounts = metadata.identity, metadata.agent, container_mounts(metadata)
    if run_folder is not None:  # with the volume in it that requests are made in
        mounts += (
            Mount(kind=MountKind.BIND, source=str(run_folder), target=RESERVED, read_only=True),
            Mount(kind=MountKind.VOLUME, source=requests_volume(identity), target=REQUESTS_MOUNT),
        )
    return LaunchSpec(
        name=identity.container,
        image=image,
        entrypoint=argv,
        env=agent.env,
        labels=_labels(metadata, commit),
        mounts=mounts,
        workdir=agent.workdir,
        user=metadata.user,
        hostname=str(identity)[-63:].lstrip("-."),
        network=agent.network,
        memory=agent.memory,
        cpus=agent.cpus,
        pids=agent.pids,
        cap_add=agent.cap_add,
        tty=tty,
        interactive=True,
        shm_size=agent.shm_size,
        gpus=agent.gpus,
        ports=agent.ports,
        hosts=agent.hosts,
    )


def _labels(metadata: Metadata, commit: int | None) -> tuple[tuple[str, str], ...]:
    labels = {LABEL_SCHEMA: str(SCHEMA), LABEL_IDENTITY: str(metadata.identity), LABEL_AGENT: metadata.agent.name}
    if commit is not None:
        labels[LABEL_COMMIT] = str(commit)
    return tuple(labels.items())


def requests_volume(identity: Identity) -> str:
    """Docker's name of the volume that a bottle makes its capability requests in; no manifest can name one so."""
    return identity.volume("_requests")


def is_ours(mount: Mount) -> bool:
    """Whether a container's mount is there for bottle's own purposes, and no data of the agent's."""
    return is_below(mount.target, RESERVED)


def container_mounts(metadata: Metadata) -> tuple[Mount, ...]:
    """The workspace, unless it was copied, and the agent's volumes under this bottle's own names."""
    mounts = []
    if metadata.cwd is not None and not metadata.copy_cwd:
        mounts.append(Mount(kind=MountKind.BIND, source=str(metadata.cwd), target=metadata.agent.workdir))
    for volume in metadata.agent.volumes:
        source = metadata.identity.volume(volume.source) if volume.kind is MountKind.VOLUME else volume.source
        mounts.append(Mount(kind=volume.kind, source=source, target=volume.target, read_only=volume.read_only))
    return tuple(mounts)


def mount_over(path: str, mounts: Iterable[Mount]) -> Mount | None:
    """The mount that holds `path`, absolute in the container, if one does."""
    return next((mount for mount in mounts if is_below(path, mount.target)), None)


def is_below(path: str, folder: str) -> bool:
    """Whether `path` is `folder` or something in it."""
    return f"{path.rstrip('/')}/".startswith(f"{folder.rstrip('/')}/")


def with_declared_volumes(agent: Agent, declared: tuple[str, ...], *, copy_cwd: bool) -> Agent:
    """The agent with named volumes for those that its image declares: an anonymous one is empty after a resume."""
    taken = {volume.target for volume in agent.volumes} | (set() if copy_cwd else {agent.workdir})
    named = [
        Mount(kind=MountKind.VOLUME, source=declared_volume(target), target=target)
        for target in declared
        if target not in taken
    ]
    return replace(agent, volumes=(*agent.volumes, *named))


def bare_spec(name: str, image: str, mounts: tuple[Mount, ...] = ()) -> LaunchSpec:
    """A container that is never started: a way to look into an image and into volumes."""
    return LaunchSpec(
        name=name,
        image=image,
        entrypoint=("/bottle-never-runs",),
        labels=((LABEL_SCHEMA, str(SCHEMA)),),
        mounts=mounts,
        hostname="never-runs",
        network="none",
        pids=1,
    )
