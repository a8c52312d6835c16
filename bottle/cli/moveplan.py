"""How the plan of a move is shown, to who sends and to who fetches."""

from collections.abc import Iterable

from bottle.cli.movewords import Sides, missing, staying
from bottle.words import size
from migrate import MovePlan


def plan_document(plan: MovePlan, sides: Sides) -> dict[str, object]:
    """The plan for programs."""
    return {
        "stop": plan.stops,
        "commit": plan.commits,
        "travels": [{"name": part.name, "bytes": part.size, "at_most_on_the_wire": part.most} for part in plan.parts],
        "layers": {
            "total": plan.layers,
            f"present_{sides.destination}": plan.present,
            "compression": plan.layer_codec.value,
        },
        "workspace": plan.workspace,
        "shared": list(plan.shared),
        "credentials_along": list(plan.along),
        "stays": staying(plan.stays, sides),
        "left_behind": list(plan.left_behind),
        f"missing_{sides.destination}": missing(plan.missing_there, sides),
        "needed": {"docker": plan.needed_docker, "home": plan.needed_home},
        "free": {"docker": plan.free_docker, "home": plan.free_home},
    }


def plan_lines(plan: MovePlan, sides: Sides) -> list[str]:
    """The plan for people."""
    rows = [("would", "stop it")] if plan.stops else []
    rows += [("would", "commit it")] if plan.commits else []
    rows.append(("would", "look for credentials once more in what it wrote, before that is sent"))
    for part in plan.parts:
        amount = "size not known yet" if part.most is None else f"at most {size(part.most)} on the wire"
        rows.append(("travels", f"{part.name} ({amount})"))
    if plan.workspace is not None:
        rows.append(("workspace lands", f"{plan.workspace}, {sides.destination}"))
    disk = f"disk {sides.destination}"
    rows += [
        (disk, f"{size(plan.needed_docker)} needed for Docker, {size(plan.free_docker)} free"),
        (disk, f"{size(plan.needed_home)} needed for staging, {size(plan.free_home)} free"),
    ]
    rows += [("shared", item) for item in plan.shared]
    rows += [("credential", f"goes along: {item}") for item in plan.along]
    rows += [("left behind", f"{item} (wants --yes)") for item in plan.left_behind]
    rows += [(f"stays {sides.source}", item) for item in staying(plan.stays, sides)]
    rows += [(f"missing {sides.destination}", item) for item in missing(plan.missing_there, sides)]
    return plan_rows(rows)


def plan_rows(rows: Iterable[tuple[str, str]]) -> list[str]:
    """Lines of a plan: what a thing is, and the thing."""
    return [f"{label + ':':<16} {text}" for label, text in rows]
