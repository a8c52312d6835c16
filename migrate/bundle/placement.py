"""Where what is in a bundle comes to lie on this host, and whether there is room. Looks, and changes nothing."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bottle.errors import Conflict, PreflightRefused
from bottle.model import EngineInfo
from bottle.naming import Identity
from migrate.bundle.format import LEFT, BundleManifest, MemberKind

_SLACK = 64 * 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """Bytes that are needed at a path. `disk` and `free` are of the filesystem that it is, or would be, on."""

    path: Path
    needed: int
    disk: int
    free: int


def workspace_folder(home: Path, manifest: BundleManifest, identity: Identity, wanted: Path | None) -> Path | None:
    """Where the workspace lands: where the user says, else below the bottle home; None where there is none.

    Never where the bundle says that it was: a folder of its choosing could be one that this host's programs go by.
    Raises Conflict for what is no empty folder.
    """
    if not manifest.of(MemberKind.WORKSPACE):
        if wanted is not None:
            raise Conflict(
                f"the bundle of {manifest.identity} has no workspace to put at {wanted}",
                left=LEFT,
                next_step="the same command without --workspace",
            )
        return None
    if wanted is None:
        return home / "workspaces" / str(identity)
    wanted = wanted.absolute()
    if os.path.lexists(wanted) and (wanted.is_symlink() or not wanted.is_dir() or any(wanted.iterdir())):
        raise Conflict(
            f"{wanted} exists and is no empty folder; it is never overwritten",
            left=LEFT,
            next_step="the same command with --workspace DIR, a folder that is new or empty",
        )
    return wanted


def require_engine(manifest: BundleManifest, info: EngineInfo) -> None:
    """Refuse an image that this engine cannot run. Raises PreflightRefused."""
    if (manifest.architecture, manifest.os) != (info.architecture, info.os):
        raise PreflightRefused(
            f"this host's engine is {info.os}/{info.architecture}, and the bundle's image is "
            f"{manifest.os}/{manifest.architecture}",
            left=LEFT,
            next_step="import it on a host of the same architecture",
        )


def disk_demands(home: Path, manifest: BundleManifest, info: EngineInfo, workspace: Path | None) -> tuple[Demand, ...]:
    """How much is needed where. Of an engine whose folder cannot be seen from here nothing is known."""
    sizes = {kind: sum(member.plain_size for member in manifest.of(kind)) for kind in MemberKind}
    # The engine keeps a copy of what it is fed, besides what it unpacks.
    found = (
        [_demand(Path(info.root_dir), 2 * sizes[MemberKind.LAYER] + sizes[MemberKind.VOLUME] + _SLACK)]
        if info.root_dir
        else []
    )
    found.append(_demand(home, sizes[MemberKind.STATE] + _SLACK))
    if workspace is not None:
        found.append(_demand(workspace, sizes[MemberKind.WORKSPACE]))
    return tuple(demand for demand in found if demand is not None)


def require_disks(found: Iterable[Demand]) -> None:
    """Refuse what does not fit; disk_demands on one filesystem add up. Raises PreflightRefused."""
    disks: dict[int, list[Demand]] = {}
    for demand in found:
        disks.setdefault(demand.disk, []).append(demand)
    for together in disks.values():
        needed, free = sum(demand.needed for demand in together), min(demand.free for demand in together)
        if needed > free:
            paths = ", ".join(str(demand.path) for demand in together)
            raise PreflightRefused(
                f"there are {free // 1024**2} MiB free at {paths}, and up to {needed // 1024**2} MiB are needed to "
                "take the bundle in",
                left=LEFT,
                next_step=f"free space: docker system df; df -h {together[0].path}",
            )


def _demand(path: Path, needed: int) -> Demand | None:
    """The engine may be elsewhere, or hide its folder: a path that is not there counts for its nearest folder above."""
    for folder in (path, *path.parents):
        try:
            facts = os.statvfs(folder)
            return Demand(path=path, needed=needed, disk=folder.stat().st_dev, free=facts.f_bavail * facts.f_frsize)
        except FileNotFoundError:
            continue
        except OSError:
            return None
    return None
