"""Make the work inside an agent's Docker container durable and movable.

The public API is :mod:`bottle.operations` (what the commands do), :mod:`bottle.state` (where it is kept) and
:mod:`bottle.errors` (what can go wrong). Moving a bottle to another host is :mod:`migrate`.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("agent-bottle")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+source"

__all__ = ["__version__"]
