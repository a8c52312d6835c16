"""Where what is in a bundle comes to lie on this host, and whether there is room. Looks, and changes nothing."""

import os
from pathlib import Path

from bottle.errors import Conflict, PreflightRefused
from bottle.model import EngineInfo
from bottle.naming import Identity
from migrate.bundle.format import LEFT, BundleManifest, MemberKind

_SLACK = 64 * 1024**2


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


def require_disks(home: Path, manifest: BundleManifest, info: EngineInfo, workspace: Path | None) -> None:
    """Refuse what does not fit; what is needed on one filesystem adds up. Raises PreflightRefused.

    Of an engine whose folder cannot be seen from here nothing is known.
    """
    sizes = {kind: sum(member.plain_size for member in manifest.of(kind)) for kind in MemberKind}
    needs = [(home, sizes[MemberKind.STATE] + _SLACK)]
    if info.root_dir:  # the engine keeps a copy of what it is fed, besides what it unpacks
        needs.insert(0, (Path(info.root_dir), 2 * sizes[MemberKind.LAYER] + sizes[MemberKind.VOLUME] + _SLACK))
    if workspace is not None:
        needs.append((workspace, sizes[MemberKind.WORKSPACE]))
    disks: dict[int, list[tuple[Path, int, int]]] = {}
    for path, needed in needs:
        if (seen := _disk_at(path)) is not None:
            disks.setdefault(seen[0], []).append((path, needed, seen[1]))
    for together in disks.values():
        needed, free = sum(each for _, each, _ in together), min(each for _, _, each in together)
        if needed > free:
            paths = [str(path) for path, _, _ in together]
            raise PreflightRefused(
                f"there are {free // 1024**2} MiB free at {', '.join(paths)}, and up to {needed // 1024**2} MiB are "
                "needed to take the bundle in",
                left=LEFT,
                next_step=f"free space: docker system df; df -h {paths[0]}",
            )


def _disk_at(path: Path) -> tuple[int, int] | None:
    """The filesystem that a path is, or would be, on, and the bytes free there.

    The engine may be elsewhere, or hide its folder: a path that is not there counts for its nearest folder above.
    """
    for folder in (path, *path.parents):
        try:
            facts = os.statvfs(folder)
            return folder.stat().st_dev, facts.f_bavail * facts.f_frsize
        except FileNotFoundError:
            continue
        except OSError:
            return None
    return None
