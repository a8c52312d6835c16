"""Calls that are remembered, and that fail on command."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, NamedTuple, ParamSpec, TypeVar, cast

from bottle.errors import EngineUnreachable

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound="Faults")


class Call(NamedTuple):
    """One call: the method's name, and the values it was given, in order."""

    method: str
    arguments: tuple[object, ...]


@dataclass(frozen=True)
class _Fault:
    error: BaseException
    afterwards: bool
    after_bytes: int | None


class Faults:
    """Remembers calls in `calls`. With `down` set, every call raises EngineUnreachable."""

    _changed: threading.Condition

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.down = False
        self._faults: dict[str, list[_Fault]] = {}

    @property
    def methods(self) -> tuple[str, ...]:
        """The names of the methods that were called, in order."""
        return tuple(call.method for call in self.calls)

    def fail_next(
        self, method: str, error: BaseException, *, afterwards: bool = False, after_bytes: int | None = None
    ) -> None:
        """Let the next call of `method` raise `error`; more than one fault of a method come up in turn.

        With `afterwards` the work is done first, like a commit whose answer is lost. With `after_bytes` the call
        succeeds and the iterator it returns breaks off there, like a cut line.
        """
        if not callable(getattr(self, method, None)):
            raise AttributeError(f"no method {method}")
        self._faults.setdefault(method, []).append(_Fault(error, afterwards, after_bytes))

    def _next_fault(self, method: str) -> _Fault | None:
        waiting = self._faults.get(method)
        return waiting.pop(0) if waiting else None


def recorded(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Make a method one that remembers its calls, can fail on command, and runs one at a time."""
    name = method.__name__

    @wraps(method)
    def call(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self._changed:
            self.calls.append(Call(name, (*args, *kwargs.values())))
            if self.down:
                raise EngineUnreachable("no Docker Engine answers", next_step="bottle doctor")
            fault = self._next_fault(name)
            if fault is not None and not fault.afterwards and fault.after_bytes is None:
                raise fault.error
            result = method(self, *args, **kwargs)
            if fault is not None and fault.afterwards:
                raise fault.error
        if fault is not None and fault.after_bytes is not None:
            return cast("R", _broken_off(cast("Iterator[bytes]", result), fault.after_bytes, fault.error))
        return result

    return call


def _broken_off(chunks: Iterator[bytes], left: int, error: BaseException) -> Iterator[Any]:
    for chunk in chunks:
        if len(chunk) >= left:
            if left:
                yield chunk[:left]
            raise error
        left -= len(chunk)
        yield chunk
