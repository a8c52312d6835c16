"""Where a bottle's image comes from, when it is not one of its commits: a build, or a pull."""

from dataclasses import dataclass
from pathlib import Path

from bottle.model import Agent, Metadata
from bottle.naming import built_image


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """Build a Dockerfile. `context` None: with no files to copy from. `args` are the agent's `build_args`.

    `secrets` are names of the environment, whose values its steps may mount.
    """

    dockerfile: Path
    context: Path | None
    tag: str
    args: tuple[tuple[str, str], ...] = ()
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """Use an image by name, fetching it when it is not here."""

    image: str

    @property
    def tag(self) -> str:
        """The image's own name."""
        return self.image


ImageSource = Build | Pull


def own_build(metadata: Metadata, dockerfile: Path, *, dockerfile_exists: bool) -> Build:
    """How a bottle's own Dockerfile is built: with the files of its agent's, which `dockerfile_exists` says is there.

    Never with those of the state folder, where the own one is: a COPY would put transcript and history into the image.
    """
    agent = metadata.agent
    context = agent.dockerfile.parent if agent.dockerfile is not None and dockerfile_exists else None
    if context == dockerfile.parent:  # a bottle from a bundle has no other Dockerfile
        context = None
    return Build(
        dockerfile=dockerfile,
        context=context,
        tag=metadata.identity.rebuilt,
        args=agent.build_args,
        secrets=agent.secrets,
    )


def agent_image(agent: Agent) -> ImageSource:
    """Where an agent's image comes from."""
    if agent.dockerfile is not None:
        return Build(
            dockerfile=agent.dockerfile,
            context=agent.dockerfile.parent,
            tag=built_image(agent.name),
            args=agent.build_args,
            secrets=agent.secrets,
        )
    assert agent.image is not None  # the manifest sees to it that one of the two is set
    return Pull(image=agent.image)
