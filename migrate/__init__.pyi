from bottle.moveoptions import MoveOptions as MoveOptions
from migrate.bundle.export import Exported as Exported, export as export
from migrate.bundle.imports import Imported as Imported, ImportRequest as ImportRequest, import_bundle as import_bundle
from migrate.evacuation.model import (
    Candidate as Candidate,
    EvacuationPlan as EvacuationPlan,
    Outcome as Outcome,
    Result as Result,
)
from migrate.evacuation.observe import observe_all as observe_all
from migrate.evacuation.perform import evacuate as evacuate
from migrate.evacuation.plan import no_room as no_room, plan_evacuation as plan_evacuation
from migrate.evacuation.workers import Worker as Worker
from migrate.host.doctor import examine_host as examine_host
from migrate.model import Target as Target
from migrate.move.execute import move as move, plan as plan
from migrate.move.handoff import settle_handoff as settle_handoff
from migrate.move.model import Estimate as Estimate, Moved as Moved, MovePlan as MovePlan
from migrate.move.standby import (
    note_failure as note_failure,
    put_back_here as put_back_here,
    require_ownership as require_ownership,
    stand_by as stand_by,
)
from migrate.ports import Remote as Remote
from migrate.pull.session import PullPlan as PullPlan, PullRequest as PullRequest, offer as offer, pull as pull
from migrate.secrets.policy import Allowed as Allowed
from migrate.transport.ssh import SshOptions as SshOptions, SshRemote as SshRemote
