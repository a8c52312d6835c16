"""What the core needs of the world: an engine and someone to show progress to."""

from bottle.ports.engine import Containers, Contents, Engine
from bottle.ports.progress import Progress, Silent
from bottle.ports.streams import Events, Execution, Session

__all__ = [
    "Containers",
    "Contents",
    "Engine",
    "Events",
    "Execution",
    "Progress",
    "Session",
    "Silent",
]
