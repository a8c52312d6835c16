"""Which runtimes keep what a container writes where a commit looks for it; all others are refused by name."""

from pathlib import PurePosixPath

from bottle.errors import PreflightRefused
from bottle.model import ContainerFacts, EngineInfo, Runtime
from bottle.naming import Identity

# Programs and containerd shims that run a container on the filesystem that the engine has mounted for it. gVisor is
# none of them: it keeps the writes in a file of its own and drops them when the container stops, while `docker commit`
# says success (https://gvisor.dev/docs/user_guide/filesystem/, https://github.com/google/gvisor/issues/11559). Of what
# it does with --overlay2=none, and of virtual machines (Kata, krun), nobody has seen here that a commit has all of it.
_ON_THE_ENGINES_FILES = frozenset(
    {
        "runc",
        "crun",
        "youki",
        "io.containerd.runc.v1",
        "io.containerd.runc.v2",
        "io.containerd.runtime.v1.linux",
        "containerd-shim-runc-v1",
        "containerd-shim-runc-v2",
        "nvidia",
        "nvidia-container-runtime",
        "sysbox-runc",
    }
)

ANOTHER_DEFAULT = (
    'make runc the engine\'s default ("default-runtime": "runc" in its daemon.json; Podman: runtime = "crun" in '
    "containers.conf), and restart it"
)


def runtime_of(info: EngineInfo, container: ContainerFacts | None) -> Runtime:
    """What a container runs in, None being one that is still to be made: that gets the engine's default."""
    name = (container.runtime if container is not None else "") or info.default_runtime
    return next((each for each in info.runtimes if each.name == name), Runtime(name=name))


def keeps_writes(runtime: Runtime) -> bool:
    """Whether what is written in it is known to be where a commit looks. Any name can be given to any program.

    An engine that tells of no runtimes at all has only its own.
    """
    program = PurePosixPath(runtime.program or runtime.name).name
    return not program or program in _ON_THE_ENGINES_FILES


def doubt(runtime: Runtime) -> str:
    """What is wrong with a runtime."""
    return f"the runtime {runtime}, which may keep what is written there from a commit, as gVisor does"


def saving(container: ContainerFacts) -> str:
    """The command that saves the work of a container whose files the engine may not see: from inside, while it runs.

    `docker cp` and `docker export` have the engine's view; for one that has ended, that is all there is.
    """
    if container.status.alive:
        return f"docker exec {container.name} tar -C / --one-file-system -cf - . > {container.name}.tar"
    return f"docker export {container.name} > {container.name}.tar   (what the engine sees of it)"


def require_kept_writes(
    identity: Identity, container: ContainerFacts, runtime: Runtime, verb: str, *, then: str = ""
) -> None:
    """Refuse what would leave work behind in a runtime. Raises PreflightRefused."""
    if not keeps_writes(runtime):
        raise PreflightRefused(
            f"cannot {verb} {identity}: its container runs in {doubt(runtime)}",
            left="nothing was changed; the bottle goes on as it was",
            next_step=f"{saving(container)}{f'; then {then}' if then else ''}; for bottles that can be committed: "
            f"{ANOTHER_DEFAULT}",
        )
