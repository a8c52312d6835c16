"""Stand-ins for tests: an engine in memory, a progress that remembers, a clock that can be set."""

from bottle.testing.engine import Call, FakeContainer, FakeEngine, FakeExecution, FakeSession
from bottle.testing.progress import Clock, RecordingProgress

__all__ = ["Call", "Clock", "FakeContainer", "FakeEngine", "FakeExecution", "FakeSession", "RecordingProgress"]
