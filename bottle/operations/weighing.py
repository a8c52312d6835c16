"""What the images of bottles weigh, in the measure of the engine's list of images.

Of one image alone the engine may tell another size: containerd's store counts packed layers then, and in the list the
unpacked ones too. So sizes are compared within the list, and there only.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress

from bottle.errors import StateDamaged
from bottle.model import CommitRecord, ImageSummary, Metadata
from bottle.naming import LABEL_IDENTITY
from bottle.operations.context import Context
from bottle.plan.sizes import Chain, Weight, growth, held, weights


def weigh(
    context: Context, bottles: Mapping[str, tuple[Metadata, Sequence[CommitRecord]]], listed: Collection[ImageSummary]
) -> dict[str, Weight]:
    """The weight of each bottle's commits, as far as they are among the images `listed`, which are all there are."""
    by_tag = _by_tag(listed)
    known = {name: [commit for commit in commits if commit.tag in by_tag] for name, (_, commits) in bottles.items()}
    sizes = {commit.diff_ids: by_tag[commit.tag].size for commits in known.values() for commit in commits}
    wanted = {metadata.base: metadata.image for name, (metadata, _) in bottles.items() if known[name]}
    bases = _bases(context, wanted, listed)
    return weights(
        {name: [commit.diff_ids for commit in commits] for name, commits in known.items()}, bases, sizes | bases
    )


def added_by_commits(
    context: Context, metadata: Metadata, commits: Sequence[CommitRecord], listed: Collection[ImageSummary]
) -> list[int | None]:
    """What each of a bottle's commits adds to what it stands on, None where nobody can tell; `listed` as above."""
    by_tag = _by_tag(listed)
    known = {commit.diff_ids: by_tag[commit.tag].size for commit in commits if commit.tag in by_tag}
    bases = _bases(context, {metadata.base: metadata.image}, listed)
    base = {metadata.base: bases[metadata.base]} if metadata.base in bases else {}
    return growth([commit.diff_ids for commit in commits], known | base)


def held_by_commits(
    context: Context, metadata: Metadata, commits: Sequence[CommitRecord], listed: Collection[ImageSummary]
) -> list[int | None]:
    """What each of a bottle's commits holds by itself, and would be free without it; None where nobody can tell.

    `listed` as above. What bottles here have in common with it, as forks have, is theirs too.
    """
    by_tag = _by_tag(listed)
    bases = _bases(context, {metadata.base: metadata.image}, listed)
    here = [commit for commit in commits if commit.tag in by_tag]
    others = {commit.diff_ids for commit in _of_others(context, metadata) if commit.tag in by_tag}
    sizes = {commit.diff_ids: by_tag[commit.tag].size for commit in here}
    alone = held([commit.diff_ids for commit in here], others | bases.keys(), bases | sizes)
    known = {commit.number: each for commit, each in zip(here, alone, strict=True)}
    return [known.get(commit.number) for commit in commits]


def _of_others(context: Context, metadata: Metadata) -> Iterator[CommitRecord]:
    """The commits of all other bottles here; of one that cannot be read they are not known."""
    for identity in context.home.identities():
        if identity != metadata.identity:
            with suppress(StateDamaged):
                yield from context.home.bottle(identity).commits()


def _by_tag(listed: Collection[ImageSummary]) -> dict[str, ImageSummary]:
    return {tag: image for image in listed for tag in image.tags}


def _bases(context: Context, wanted: Mapping[Chain, str], listed: Collection[ImageSummary]) -> dict[Chain, int]:
    """The sizes of the images that bottles began with, by chain: as many questions as agents have images.

    One whose tag went to a newer build may be here without a tag; of one that is not, as where a bottle arrived, there
    may be the image that it was built on. So where one is missing, all images are looked at once that are no bottle's.
    """
    sizes = {image.id: image.size for image in listed}
    found: dict[Chain, int] = {}
    missing = dict(wanted)
    for ref in dict.fromkeys(filter(None, wanted.values())):
        image = context.engine.image(ref)
        if image is not None and image.id in sizes and missing.pop(image.diff_ids, None) is not None:
            found[image.diff_ids] = sizes[image.id]
    for summary in listed if missing else ():
        chain = _chain(context, summary.id) if LABEL_IDENTITY not in summary.labels else None
        if chain is not None and any(each[: len(chain)] == chain for each in missing):
            found[chain] = summary.size
    return found


def _chain(context: Context, image_id: str) -> Chain | None:
    """The layers of an image, for which the engine is asked once: the id is a digest of them."""
    if image_id not in context.chains:
        image = context.engine.image(image_id)
        if image is None:
            return None
        context.chains[image_id] = image.diff_ids
    return context.chains[image_id]
