"""Move a bottle to another Docker host over SSH: plan, stage, verify, hand off.

What others may use is here; each name is loaded with its module when somebody first asks for it. `move` and `pull` are
the functions: what is in the packages that are called so too is imported from them, by `from`.
"""

from typing import TYPE_CHECKING

from bottle.lazyload import loaded_from
from bottle.moveoptions import MoveOptions

if TYPE_CHECKING:
    from migrate.bundle.export import Exported, export
    from migrate.bundle.imports import Imported, ImportRequest, import_bundle
    from migrate.host.doctor import examine_host
    from migrate.model import Target
    from migrate.move.execute import move, plan
    from migrate.move.handoff import settle_handoff
    from migrate.move.model import Moved, MovePlan
    from migrate.ports import Remote
    from migrate.pull.session import PullPlan, PullRequest, offer, pull
    from migrate.secrets.policy import Allowed
    from migrate.transport.ssh import SshOptions, SshRemote
else:
    __getattr__ = loaded_from(
        __name__,
        {
            "bundle.export": "Exported export",
            "bundle.imports": "ImportRequest Imported import_bundle",
            "host.doctor": "examine_host",
            "model": "Target",
            "move.execute": "move plan",
            "move.handoff": "settle_handoff",
            "move.model": "MovePlan Moved",
            "ports": "Remote",
            "pull.session": "PullPlan PullRequest offer pull",
            "secrets.policy": "Allowed",
            "transport.ssh": "SshOptions SshRemote",
        },
    )

__all__ = [
    "Allowed",
    "Exported",
    "ImportRequest",
    "Imported",
    "MoveOptions",
    "MovePlan",
    "Moved",
    "PullPlan",
    "PullRequest",
    "Remote",
    "SshOptions",
    "SshRemote",
    "Target",
    "examine_host",
    "export",
    "import_bundle",
    "move",
    "offer",
    "plan",
    "pull",
    "settle_handoff",
]
