"""Stand-ins for tests: an engine in memory, a progress that remembers, a clock that can be set."""

from bottle.testing.container import FakeContainer, FakeExecution, FakeSession
from bottle.testing.engine import FakeEngine
from bottle.testing.faults import Call
from bottle.testing.progress import Clock, RecordingProgress

__all__ = ["Call", "Clock", "FakeContainer", "FakeEngine", "FakeExecution", "FakeSession", "RecordingProgress"]
