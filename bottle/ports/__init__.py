"""What the core needs of the world: an engine and someone to show progress to."""

from bottle.ports.engine import Containers as Containers, Contents as Contents, Engine as Engine
from bottle.ports.progress import Progress as Progress, Silent as Silent
from bottle.ports.streams import Events as Events, Execution as Execution, Session as Session
