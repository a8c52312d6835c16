"""An engine: where it is looked for, what it says of itself, and what it has besides containers and images."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

DEFAULT_CONTEXT = "default"  # of the docker client: what its variables say, else Docker's own socket


class Store(Enum):
    """How an engine keeps images; it decides which form of archive it reads and what an image's id means."""

    CLASSIC = "classic"
    CONTAINERD = "containerd"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where an engine is looked for: the address of a Docker context, and what named it (`origin`, empty: nothing did).

    `trouble` is why the file that could have named another was passed over; `others` are contexts that nobody named.
    """

    address: str
    context: str = DEFAULT_CONTEXT
    origin: str = ""
    trouble: str = ""
    others: tuple[str, ...] = ()

    @property
    def is_local(self) -> bool:
        """Whether it is a socket of this machine."""
        return self.address.startswith("unix://")

    def __str__(self) -> str:
        said = f", from {self.origin}" if self.origin else ""
        passed_over = f"; {self.trouble}" if self.trouble else ""
        return f'{self.address} (context "{self.context}"{said}{passed_over})'


class Product(Enum):
    """Whose engine it is, behind Docker's API."""

    DOCKER = "Docker"
    PODMAN = "Podman"


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """What an engine runs containers with: its name there, and the program or containerd shim that this stands for.

    `program` is empty where the engine does not say.
    """

    name: str
    program: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.program})" if self.program not in {"", self.name} else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """What answered, and where it keeps its data. `id` tells it from every other engine, empty where it has none.

    `cpus` and `memory`, in bytes, are its machine's, 0 where it does not say; `runtimes` are those of its containers,
    of which `default_runtime` is the name of the one that they get, empty where it does not say.
    `remapped`: users in its containers are others outside, as with `userns-remap`.
    `rootless`: it runs as a user who is not root, whose number `owner` is where it is on this machine; that user is
    root in its containers. `unlimited` are the keys of a manifest that limit nothing there, and `freezes` says whether
    it can pause.
    """

    version: str
    api_version: str
    architecture: str
    os: str
    store: Store
    root_dir: str
    id: str = ""
    cpus: int = 0
    memory: int = 0
    runtimes: tuple[Runtime, ...] = ()
    default_runtime: str = ""
    product: Product = Product.DOCKER
    rootless: bool = False
    remapped: bool = False
    owner: int | None = None
    unlimited: tuple[str, ...] = ()
    freezes: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeFacts:
    """A named volume as the engine describes it."""

    name: str
    labels: Mapping[str, str]
    created_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFacts:
    """A network as the engine describes it."""

    id: str
    name: str
