"""What the layer of a commit stands on: an earlier commit of the container, or the image that it was made from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bottle.errors import StateDamaged, TreeUnfit
from bottle.model import CommitRecord, ContainerFacts
from bottle.operations.context import Context
from bottle.plan.standing import standing_on
from bottle.store.state import BottleState
from bottle.trees.snapshot import Index
from bottle.trees.source import TreeReader


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a new layer stands on: `diff_ids`, with which image `ref` begins, and the index of what they show.

    `index` is None where that is the image that the container was made from.
    """

    ref: str
    diff_ids: tuple[str, ...]
    index: Index | None = None


def find_ground(context: Context, state: BottleState, container: ContainerFacts, reader: TreeReader) -> Ground:
    """What the next commit of a container stands on: an earlier one of it, where that is known to the last file."""
    image = context.engine.image(container.image)
    if image is None:
        raise TreeUnfit("the image that the container was made from is gone")
    commits = tuple(each for each in state.commits() if each.mark and each.mark.container_id == container.id)
    where = (container.id, str(reader.place), reader.inode())
    for number in standing_on(commits):
        record = next(each for each in commits if each.number == number)
        index = _index_of(state.index(number), where, record)
        ref = _holder(context, commits, record) if index is not None else None
        if ref is not None:
            return Ground(ref=ref, diff_ids=record.diff_ids, index=index)
    if commits:
        context.progress.note(
            f"what {container.name} held at earlier commits is not known to the last file: this one holds all that it "
            "has written since it was made"
        )
    return Ground(ref=image.id, diff_ids=image.diff_ids)


def _holder(context: Context, commits: Sequence[CommitRecord], record: CommitRecord) -> str | None:
    """The newest commit here that begins with the layers of `record`, which may be gone itself."""
    for each in reversed(commits):
        if each.diff_ids[: len(record.diff_ids)] == record.diff_ids:
            image = context.engine.image(each.tag)
            if image is not None and image.diff_ids == each.diff_ids:
                return each.tag
    return None


def _index_of(path: Path, where: tuple[str, str, int], record: CommitRecord) -> Index | None:
    """The index of a commit, if it is of this container, in this folder with this inode, and of that very image."""
    try:
        index = Index.open(path)
    except (OSError, StateDamaged):
        return None
    header = index.header
    found = (header.container, header.place, header.inode)
    return index if found == where and header.diff_ids == record.diff_ids else None
