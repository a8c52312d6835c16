"""The fake engine, in the parts that the real one has."""

from bottle.testing.engine.engine import FakeEngine

__all__ = ["FakeEngine"]
