"""What bottle talks about: agents, containers, images and commits, as frozen values with no behaviour of their own."""

from bottle.model.agent import Agent as Agent, Retention as Retention
from bottle.model.bottle import (
    DOCKER_BACKEND as DOCKER_BACKEND,
    MOST_COMMITS as MOST_COMMITS,
    MOST_GENERATIONS as MOST_GENERATIONS,
    SCHEMA as SCHEMA,
    CommitIntent as CommitIntent,
    CommitRecord as CommitRecord,
    ContainerMark as ContainerMark,
    Lineage as Lineage,
    Metadata as Metadata,
    ResumeIntent as ResumeIntent,
)
from bottle.model.container import (
    NO_RESTART as NO_RESTART,
    Change as Change,
    ChangeKind as ChangeKind,
    ContainerEvent as ContainerEvent,
    ContainerFacts as ContainerFacts,
    ContainerSummary as ContainerSummary,
    EventKind as EventKind,
    HelperSpec as HelperSpec,
    LaunchSpec as LaunchSpec,
    Mount as Mount,
    MountKind as MountKind,
    Status as Status,
    Usage as Usage,
)
from bottle.model.engine import (
    DEFAULT_CONTEXT as DEFAULT_CONTEXT,
    Endpoint as Endpoint,
    EngineInfo as EngineInfo,
    NetworkFacts as NetworkFacts,
    Product as Product,
    Runtime as Runtime,
    Store as Store,
    VolumeFacts as VolumeFacts,
)
from bottle.model.image import (
    CommitSpec as CommitSpec,
    ImageDefaults as ImageDefaults,
    ImageFacts as ImageFacts,
    ImageSummary as ImageSummary,
)
from bottle.model.move import (
    Arrived as Arrived,
    CopiesThere as CopiesThere,
    CopyThere as CopyThere,
    MigrationPhase as MigrationPhase,
    MigrationRecord as MigrationRecord,
    Missing as Missing,
    MissingKind as MissingKind,
    MoveAccount as MoveAccount,
    Standby as Standby,
    StayKind as StayKind,
    Stays as Stays,
    Tombstone as Tombstone,
)
from bottle.model.request import CapabilityRequest as CapabilityRequest, RequestStatus as RequestStatus
from bottle.model.scan import FoundFile as FoundFile, LayerScan as LayerScan, LayerScans as LayerScans
