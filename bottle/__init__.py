"""Make the work inside an agent's Docker container durable and movable.

The public API is :mod:`bottle.composition` (where a program begins), :mod:`bottle.operations` (what the commands do),
:mod:`bottle.store.home` (where it is kept) and :mod:`bottle.errors` (what can go wrong). Moving a bottle to another
host is :mod:`migrate`. See docs/LIBRARY.md.
"""

__version__: str

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    """The version, looked up when somebody asks for it: that takes longer than a Tab has time."""
    if name != "__version__":
        raise AttributeError(name)
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415  (as said above)

    try:
        return version("agent-bottle")
    except PackageNotFoundError:
        return "0+source"  # run from a source tree that was never installed
