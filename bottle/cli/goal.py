"""Which host somebody means who types a name, an address, or a Docker context."""

from dataclasses import replace

from bottle.cli.hosts import context_address, named_hosts
from bottle.cli.output import note
from bottle.errors import BottleError, ContextUnusable, UsageError
from bottle.home import user_home
from migrate import Target
from migrate.transport.ssh.lookup import lookup


def host_meant(text: str) -> Target:
    """The host that `text` names; `str` of it, typed in its place, names the same one.

    A Host of ssh_config goes before a Docker context, and that before any other host; a note says which, where the two
    lead to different hosts. Raises UsageError, ContextUnusable.
    """
    hosts = named_hosts(user_home())
    if text in hosts:
        goal = Target.parse(text)
        if _leads_elsewhere(text, goal):
            note(f"{text} is the Host of ssh_config, and not the Docker context of that name")
        return goal
    behind = _behind(text)
    goal = behind or Target.parse(text)
    name = str(goal)
    if name not in {text, *hosts} and _leads_elsewhere(name, goal):
        goal = replace(goal, user=lookup(goal, None, ()).user)  # the user that it has in any case: no context has an @
    if behind is not None and name != text:
        note(f"{text} is a Docker context: the host is {goal}")
    return goal


def host_at(text: str, port: int | None) -> Target:
    """As `host_meant`, with the port of the host where one was said apart from it. Raises UsageError for two."""
    goal = host_meant(text)
    if port is None:
        return goal
    if goal.port not in {None, port}:
        raise UsageError(f"{text} says port {goal.port}, and --port says {port}")
    return replace(goal, port=port)


def _leads_elsewhere(name: str, goal: Target) -> bool:
    """Whether `name` is a Docker context that does not lead to `goal`."""
    try:
        return _behind(name) not in {None, goal}
    except BottleError:
        return True


def _behind(name: str) -> Target | None:
    """Where the Docker context `name` leads; None where there is none. Raises UsageError, ContextUnusable."""
    try:
        address = context_address(name)
        return Target.parse(address) if address is not None else None
    except (ContextUnusable, UsageError) as exc:
        if isinstance(exc, UsageError):
            exc.what = f'the Docker context "{name}" leads to no host over SSH: {exc.what}'
        exc.left = "nothing was changed"
        exc.next_step = f"docker context ls   (or, if {name} is a host, too: USER@{name})"
        raise
