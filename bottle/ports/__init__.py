"""What the core needs of the world: an engine and someone to show progress to."""

from bottle.ports.engine import Builds, Containers, Contents, Engine, Images, Volumes
from bottle.ports.progress import Progress, Silent
from bottle.ports.streams import Events, Execution, Session

__all__ = [
    "Builds",
    "Containers",
    "Contents",
    "Engine",
    "Events",
    "Execution",
    "Images",
    "Progress",
    "Session",
    "Silent",
    "Volumes",
]
