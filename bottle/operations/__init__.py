"""What the commands do: observe, plan, execute, return a typed result. This is the public API; it prints nothing.

Each name is loaded with its module when somebody first asks for it: `bottle list` needs a few of them.
"""

from typing import TYPE_CHECKING

from bottle.lazyload import loaded_from

if TYPE_CHECKING:
    from bottle.operations.commit import Committed, commit
    from bottle.operations.context import Context
    from bottle.operations.copy import Copied, copy_in, copy_out, pack_out, unpack_in
    from bottle.operations.describing import described, lineage
    from bottle.operations.doctor import Check, examine, exit_code
    from bottle.operations.firstmoments import Ended
    from bottle.operations.fork import Forked, ForkRequest, fork
    from bottle.operations.init import init
    from bottle.operations.inspection import History, HistoryEntry, Inspection, history, inspect
    from bottle.operations.listing import STATES, BottleView, list_bottles, unfinished
    from bottle.operations.preflight import require_launchable
    from bottle.operations.prune import Pruned, plan_for, prune
    from bottle.operations.remove import Removed, remove
    from bottle.operations.request_decision import Approved, Denied, approve, deny
    from bottle.operations.request_review import RequestDetail, RequestList, RequestView, list_requests, show
    from bottle.operations.resume import Resumed, observe_resume, resume
    from bottle.operations.start import Launched, StartPlan, StartRequest, abandon, plan_start, start
    from bottle.operations.stop import Stopped, end_session, stop
else:
    __getattr__ = loaded_from(
        __name__,
        {
            "commit": "Committed commit",
            "context": "Context",
            "copy": "Copied copy_in copy_out pack_out unpack_in",
            "describing": "described lineage",
            "doctor": "Check examine exit_code",
            "firstmoments": "Ended",
            "fork": "Forked ForkRequest fork",
            "init": "init",
            "inspection": "History HistoryEntry Inspection history inspect",
            "listing": "STATES BottleView list_bottles unfinished",
            "preflight": "require_launchable",
            "prune": "Pruned plan_for prune",
            "remove": "Removed remove",
            "request_decision": "Approved Denied approve deny",
            "request_review": "RequestDetail RequestList RequestView list_requests show",
            "resume": "Resumed observe_resume resume",
            "start": "Launched StartPlan StartRequest abandon plan_start start",
            "stop": "Stopped end_session stop",
        },
    )

__all__ = [
    "STATES",
    "Approved",
    "BottleView",
    "Check",
    "Committed",
    "Context",
    "Copied",
    "Denied",
    "Ended",
    "ForkRequest",
    "Forked",
    "History",
    "HistoryEntry",
    "Inspection",
    "Launched",
    "Pruned",
    "Removed",
    "RequestDetail",
    "RequestList",
    "RequestView",
    "Resumed",
    "StartPlan",
    "StartRequest",
    "Stopped",
    "abandon",
    "approve",
    "commit",
    "copy_in",
    "copy_out",
    "deny",
    "described",
    "end_session",
    "examine",
    "exit_code",
    "fork",
    "history",
    "init",
    "inspect",
    "lineage",
    "list_bottles",
    "list_requests",
    "observe_resume",
    "pack_out",
    "plan_for",
    "plan_start",
    "prune",
    "remove",
    "require_launchable",
    "resume",
    "show",
    "start",
    "stop",
    "unfinished",
    "unpack_in",
]
