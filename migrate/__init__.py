"""Move a bottle to another Docker host over SSH: plan, stage, verify, hand off.

What others may use is in `__init__.pyi`; each name is loaded with its module when somebody first asks for it. `move`
and `pull` are the functions: what is in the packages that are called so too is imported from them, by `from`.
"""

from bottle.lazyload import public_names

__getattr__, __all__ = public_names(__name__, __file__)
