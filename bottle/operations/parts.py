"""The images of which a commit is put together while it is read, of which nothing is left."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, Self

from bottle.errors import BottleError, NotFound
from bottle.layers import LayerAppender, NewLayer
from bottle.model import CommitSpec, ImageFacts
from bottle.naming import LABEL_PART, Identity
from bottle.operations.context import Context
from bottle.operations.ground import Ground
from bottle.store.state import BottleState


class Parts:
    """The first layers of a commit, which the engine unpacks one by one while the next ones are read and sent.

    Each makes an image of its own, of which nothing is left when the context closes; the commit's has their layers.
    """

    def __init__(
        self, context: Context, state: BottleState, appender: LayerAppender, ground: Ground, nonce: str
    ) -> None:
        self._context = context
        self._state = state
        self._appender = appender
        self._nonce = nonce
        self._labels = {"Labels": {LABEL_PART: nonce}}
        self._pool = ThreadPoolExecutor(max_workers=2)  # what is sent, and what is unpacked meanwhile
        self._loading: list[Future[ImageFacts]] = []
        self.ref = ground.ref
        self.diff_ids = ground.diff_ids

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        remove_parts(self._context, self._state.identity)

    def take(self, layer: NewLayer, done: Callable[[], None]) -> None:
        """Give the engine one more, above those before; `done` is told when it has it. One at most is sent ahead."""
        for each in self._loading[:-1]:
            each.result()
        tag = self._state.identity.part(self._nonce, len(self._loading))
        below, ref = self.diff_ids, self.ref
        append = partial(self._appender.append, ref, below, (layer,), self._labels, tag=tag)
        loading = self._pool.submit(append, after=self._loading[-1].result if self._loading else None)
        loading.add_done_callback(lambda _: done())
        self._loading.append(loading)
        self.ref, self.diff_ids = tag, (*below, layer.diff_id)

    def are_loaded(self) -> bool:
        """Whether the engine has them all, or has not taken one."""
        return all(each.done() for each in self._loading)

    def wait(self) -> None:
        """Until the engine has them all. Raises what became of the first one that it did not take."""
        for each in self._loading:
            each.result()

    def finish(self, layers: Sequence[NewLayer], config: Mapping[str, Any], spec: CommitSpec) -> ImageFacts:
        """The commit's image: the parts and `layers`. Raises as `LayerAppender.append`."""
        return self._appender.append(self.ref, self.diff_ids, layers, config, tag=spec.tag, comment=spec.message)


def remove_parts(context: Context, identity: Identity) -> None:
    """Remove what is left of the images of which commits were put together; the caller holds the bottle's lock."""
    with suppress(BottleError):
        for image in context.engine.image_summaries({LABEL_PART: None}):
            for tag in filter(identity.is_in_flight, image.tags):
                with suppress(NotFound):
                    context.engine.remove_image(tag)
