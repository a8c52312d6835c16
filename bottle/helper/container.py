"""The helper as who needs it has it: started when something is asked of it, and once, as a rule.

It is an empty image with this machine's Python shown to it, and the engine's folders, all read-only, at the paths that
they have. It has no network, and of what root may do no more than this:

- DAC_READ_SEARCH: to look into folders, and read files, whoever they belong to.
- SYS_ADMIN: without it the kernel says of each folder that it has no `trusted.overlay.opaque`, and a commit would bring
  back what the agent has deleted (tried; Linux, fs/xattr.c). It is asked for nothing else; what it would allow is kept
  from it by the engine's own AppArmor profile, where there is one, and by what runs in there: this package alone.

Its end is that of its input: whatever becomes of this process, the engine closes that, and removes the container.
"""

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bottle.errors import BottleError, HelperLost
from bottle.helper import python
from bottle.helper.server import IDLE
from bottle.helper.session import HelperSession
from bottle.helper.tree_client import HelperTree
from bottle.model import EngineInfo, HelperSpec, Product, Store
from bottle.ports import Engine

CAPABILITIES = ("DAC_READ_SEARCH", "SYS_ADMIN")
_RUNTIME = "runc"  # others may show files as something else than they are
_SYSTEM_CONTAINERD = "/var/lib/containerd"


class Helper:
    """Helpers of an engine, as many as are asked at the same time. `module` is what runs in one, of `packages`."""

    def __init__(self, engine: Engine, module: str, packages: tuple[str, ...]) -> None:
        self._engine = engine
        self._module = module
        self._packages = packages
        self._lock = threading.Lock()
        self._idle: list[tuple[float, HelperSession]] = []
        self._failed: tuple[float, str] | None = None

    def tree(self, place: Path) -> HelperTree:
        """A folder of the engine's, read through it. Nothing is asked yet."""
        return HelperTree(place, self)

    @contextmanager
    def session(self) -> Iterator[HelperSession]:
        """A line for one call. Raises HelperLost where none is to be had; for a minute none is tried then."""
        session = self._waiting() or self._started()
        try:
            yield session
        finally:
            if session.is_idle:
                with self._lock:
                    self._idle.append((time.monotonic(), session))
            else:
                session.close()

    def close(self) -> None:
        """Let all go that are asked nothing."""
        with self._lock:
            idle, self._idle = self._idle, []
        for _, session in idle:
            session.close()

    def _waiting(self) -> HelperSession | None:
        """One that waits for a call, and not for so long that it may be about to end."""
        with self._lock:
            while self._idle:
                since, session = self._idle.pop()
                if time.monotonic() - since < IDLE / 2:
                    return session
                session.close()
        return None

    def _started(self) -> HelperSession:
        failed = self._failed
        if failed is not None and time.monotonic() - failed[0] < IDLE:
            raise HelperLost(failed[1])
        try:
            return self._greeted()
        except BottleError as exc:
            self._failed = (time.monotonic(), exc.what)
            raise HelperLost(exc.what) from exc

    def _greeted(self) -> HelperSession:
        info = self._engine.info()
        _require_possible(self._engine, info)
        own = (info.root_dir, _SYSTEM_CONTAINERD) if info.store is Store.CONTAINERD else (info.root_dir,)
        try:
            session = HelperSession(self._engine.run_helper(self._spec(info, own)))
        except BottleError:
            if len(own) == 1:
                raise
            # There may be no such folder, where dockerd runs a containerd of its own.
            session = HelperSession(self._engine.run_helper(self._spec(info, own[:1])))
        try:
            session.greet()
        except BaseException:
            session.close()
            raise
        return session

    def _spec(self, info: EngineInfo, folders: tuple[str, ...]) -> HelperSpec:
        command, environment = python.command(self._module, self._packages)
        return HelperSpec(
            name=f"bottle-help-{secrets.token_hex(6)}",
            command=command,
            env=environment,
            shown=python.shown(self._packages),
            folders=folders,
            capabilities=CAPABILITIES,
            runtime=_RUNTIME if any(each.name == _RUNTIME for each in info.runtimes) else "",
        )


def _require_possible(engine: Engine, info: EngineInfo) -> None:
    """Raises HelperLost where no helper would be of use."""
    if not engine.is_local:
        raise HelperLost("the engine is on another machine")
    if info.product is not Product.DOCKER or not info.root_dir:
        raise HelperLost("where this engine keeps its files is not known")
    if info.rootless or info.remapped:
        raise HelperLost("users in the engine's containers are others outside")
