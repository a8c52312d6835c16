from bottle.operations.commit import Committed as Committed, commit as commit
from bottle.operations.context import Context as Context
from bottle.operations.copy import (
    Copied as Copied,
    copy_in as copy_in,
    copy_out as copy_out,
    pack_out as pack_out,
    unpack_in as unpack_in,
)
from bottle.operations.describing import described as described, lineage as lineage
from bottle.operations.diff import Compared as Compared, compare as compare
from bottle.operations.difftext import FileCompared as FileCompared, compare_file as compare_file
from bottle.operations.doctor import Check as Check, examine as examine, exit_code as exit_code
from bottle.operations.firstmoments import Ended as Ended
from bottle.operations.fork import Forked as Forked, ForkRequest as ForkRequest, fork as fork
from bottle.operations.init import init as init
from bottle.operations.inspection import (
    History as History,
    HistoryEntry as HistoryEntry,
    Inspection as Inspection,
    history as history,
    inspect as inspect,
)
from bottle.operations.listing import (
    STATES as STATES,
    BottleView as BottleView,
    list_bottles as list_bottles,
    unfinished as unfinished,
)
from bottle.operations.prune import Pruned as Pruned, plan_for as plan_for, prune as prune
from bottle.operations.remove import Removed as Removed, remove as remove
from bottle.operations.request_decision import Approved as Approved, Denied as Denied, approve as approve, deny as deny
from bottle.operations.request_review import (
    RequestDetail as RequestDetail,
    RequestList as RequestList,
    RequestView as RequestView,
    list_requests as list_requests,
    show as show,
)
from bottle.operations.resume import (
    Resumed as Resumed,
    observe_resume as observe_resume,
    require_resumable as require_resumable,
    resume as resume,
)
from bottle.operations.start import (
    Launched as Launched,
    StartPlan as StartPlan,
    StartRequest as StartRequest,
    abandon as abandon,
    plan_start as plan_start,
    start as start,
)
from bottle.operations.stop import Stopped as Stopped, end_session as end_session, stop as stop
from bottle.operations.takeover import TakenOver as TakenOver, take_over as take_over
