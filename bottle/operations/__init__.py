"""What the commands do: observe, plan, execute, return a typed result. This is the public API; it prints nothing.

`__init__.pyi` has its names. Each is loaded with its module when somebody first asks for it: `bottle list` needs a few.
"""

from bottle.lazyload import public_names

__getattr__, __all__ = public_names(__name__, __file__)
