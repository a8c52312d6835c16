"""Whatever paramiko, fabric or invoke raise, a user sees one of our errors."""

import contextlib
import importlib
import pkgutil
import socket
from types import ModuleType

import fabric.exceptions
import invoke.exceptions
import paramiko
import pytest

from bottle.errors import BottleError, RemoteError
from migrate.transport.ssh.translate import translated


def foreign_exceptions() -> list[type[BaseException]]:
    """Every exception class that paramiko, fabric or invoke defines."""
    modules: list[ModuleType] = [fabric.exceptions, invoke.exceptions]
    for info in pkgutil.iter_modules(paramiko.__path__):
        with contextlib.suppress(ImportError, AttributeError, OSError):
            modules.append(importlib.import_module(f"paramiko.{info.name}"))
    found = {
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Exception)
        and value.__module__.split(".")[0] in {"paramiko", "fabric", "invoke"}
    }
    return sorted(found, key=lambda cls: (cls.__qualname__, cls.__module__))


@pytest.mark.parametrize("stood", [False, True])
@pytest.mark.parametrize(
    "kind",
    [*foreign_exceptions(), OSError, EOFError, TimeoutError, socket.gaierror, ValueError],
    ids=lambda kind: f"{kind.__module__}.{kind.__name__}",
)
def test_no_foreign_exception_escapes(kind: type[Exception], stood: bool) -> None:
    # Made without its constructor, so that even its __str__ may fail.
    foreign = kind.__new__(kind)
    with pytest.raises(RemoteError) as caught, translated("host", stood=stood):
        raise foreign
    assert caught.value.__cause__ is foreign
    assert caught.value.exit_code == 6
    assert str(caught.value)


def test_there_are_foreign_exceptions_to_test_with() -> None:
    names = {kind.__name__ for kind in foreign_exceptions()}
    assert {"SSHException", "BadHostKeyException", "AuthenticationException", "ChannelException", "Failure"} <= names


def test_own_errors_and_ctrl_c_pass_untouched() -> None:
    for error in (BottleError("ours"), KeyboardInterrupt()):
        with pytest.raises(type(error)) as caught, translated("host", stood=True):
            raise error
        assert caught.value is error
