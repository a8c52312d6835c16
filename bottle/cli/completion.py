"""Shell completion: identities, commits and agents, read from the state folder and the manifest alone.

It asks no engine, changes nothing, and where something is wrong it offers nothing: a shell is no place for an error.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from bottle.errors import BottleError
from bottle.home import default_home, user_home
from bottle.model import CommitRecord
from bottle.store.home import StateHome
from bottle.text import printable

_Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]

FORMS = ("text", "json")


def _quiet(offer: Callable[[click.Context, str], Iterator[CompletionItem]]) -> _Completer:
    """What `offer` yields and the incomplete word begins, up to where something went wrong."""

    @functools.wraps(offer)
    def complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
        found = []
        with suppress(BottleError, OSError):
            for item in offer(ctx, incomplete):
                if item.value.startswith(incomplete):
                    found.append(item)
        return found

    return complete


@_quiet
def identities(ctx: click.Context, _incomplete: str) -> Iterator[CompletionItem]:
    """Every bottle that has a state folder, by either of its names, but for those that were named before."""
    for item in _bottles(StateHome(default_home())):
        if item.value not in (ctx.params.get("names") or ()):
            yield item


@_quiet
def places(_ctx: click.Context, incomplete: str) -> Iterator[CompletionItem]:
    """What `cp` takes: a bottle, with the colon before a path in it, or a file of this host."""
    for item in _bottles(StateHome(default_home())):
        yield CompletionItem(f"{item.value}:", help=item.help)
    yield CompletionItem(incomplete, type="file")


@_quiet
def hosts(_ctx: click.Context, incomplete: str) -> Iterator[CompletionItem]:
    """The names of ssh_config, behind a user that was typed; without one, Docker contexts over SSH too."""
    from bottle.cli.hosts import host_names, named_hosts  # noqa: PLC0415  (every command imports this; few need it)

    user, at, _ = incomplete.rpartition("@")
    for name in named_hosts(user_home()) if at else host_names():
        yield CompletionItem(f"{user}{at}{name}")


def identity_then_host(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """What `migrate` takes: an identity, and then a host."""
    return (hosts if ctx.params.get("names") else identities)(ctx, param, incomplete)


@_quiet
def origins(_ctx: click.Context, incomplete: str) -> Iterator[CompletionItem]:
    """What `fork` takes: identities, and behind an @ the commits of one."""
    home = StateHome(default_home())
    name, at, _ = incomplete.partition("@")
    if at:
        for commit in _commits(home, name):
            yield _item(f"{name}@{commit.number}", commit)
        return
    yield from _bottles(home)


@_quiet
def commits(ctx: click.Context, _incomplete: str) -> Iterator[CompletionItem]:
    """The numbers of the commits of the bottle that was named before."""
    # Without the value that is being typed, click reads no argument: the words are there all the same.
    name = next(iter(ctx.params.get("names") or ctx.args), None)
    if isinstance(name, str):
        for commit in _commits(StateHome(default_home()), name):
            yield _item(str(commit.number), commit)


@_quiet
def versions(ctx: click.Context, _incomplete: str) -> Iterator[CompletionItem]:
    """What `diff` compares: the commits of the bottle that was named before, and what it began with, and now."""
    name = ctx.params.get("identity")
    if isinstance(name, str):
        for commit in _commits(StateHome(default_home()), name):
            yield _item(str(commit.number), commit)
        yield CompletionItem("image", help="what it began with")
        yield CompletionItem("now", help="its work as it is")


@_quiet
def agents(_ctx: click.Context, _incomplete: str) -> Iterator[CompletionItem]:
    """The agents of the manifest."""
    from bottle.agent.manifest import find_manifest, read_manifest  # noqa: PLC0415  (takes longer than the rest of a Tab)

    for name in sorted(read_manifest(find_manifest(Path.cwd(), default_home())).agents):
        yield CompletionItem(name)


@_quiet
def forms(_ctx: click.Context, _incomplete: str) -> Iterator[CompletionItem]:
    """How an answer is printed; a template is the user's own."""
    for form in FORMS:
        yield CompletionItem(form)


@_quiet
def templates(_ctx: click.Context, _incomplete: str) -> Iterator[CompletionItem]:
    """What `init` can write."""
    from bottle.agent.template import SUMMARIES  # noqa: PLC0415  (as above)

    for name, summary in SUMMARIES.items():
        yield CompletionItem(name, help=summary)


def _bottles(home: StateHome) -> Iterator[CompletionItem]:
    for identity in home.identities():
        yield CompletionItem(str(identity))
        name = home.bottle(identity).name
        if name is not None:
            yield CompletionItem(name, help=str(identity))


def _commits(home: StateHome, name: str) -> Iterator[CommitRecord]:
    for commit in reversed(home.find(name).commits()):
        if not commit.expired:
            yield commit


def _item(value: str, commit: CommitRecord) -> CompletionItem:
    return CompletionItem(value, help=printable(f"{commit.created_at:%Y-%m-%d %H:%M} {commit.message}", 60))
