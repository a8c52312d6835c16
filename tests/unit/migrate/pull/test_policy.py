"""What a far host may ask for while a bottle is pulled from it: the requests of an honest move, and no other."""

from __future__ import annotations

from dataclasses import fields
from importlib.resources import files
from pathlib import Path

import pytest

from bottle.model import Store
from bottle.naming import Identity
from migrate.host.arguments import PIECE_LIMIT, Count, FolderKind, MountPoint, PieceSize, Workspace
from migrate.host.script import Effect
from migrate.host.upload import Payload, cut
from migrate.pull.policy import ASKED, PullPolicy, Terms, is_harmless
from migrate.pull.receiver import Breach, Request

IDENTITY = "demo-abc12"
HEX, NONCE = "a" * 64, "b" * 32
HOME = Path("/home/me")
HONEST = {
    "probe": (IDENTITY, ""),
    "withdraw": (IDENTITY, NONCE),
    "images": ("no", "/usr/bin/docker"),
    "known": ("no", "/usr/bin/docker", "/var/lib/docker"),
    "sink": (),
    "staged": (IDENTITY,),
    "piece": (IDENTITY, HEX, "00000007", HEX, "262144"),
    "check": (IDENTITY,),
    "load": ("no", "/usr/bin/docker", IDENTITY),
    "inspect": ("no", "/usr/bin/docker", f"bottle-committed-{IDENTITY}:3", "bottle-verify-0123456789ab"),
    "unload": ("no", "/usr/bin/docker", f"bottle-committed-{IDENTITY}:3"),
    "extract": (IDENTITY, HEX, "zstd", "state", NONCE),
    "update": (IDENTITY, HEX, "gzip", f"workspace-{NONCE}"),
    "verify": (IDENTITY, f"state-{NONCE}", "1", "2", "3"),
    "volume": (
        *("no", "/usr/bin/docker", IDENTITY, HEX, "gzip", f"bottle-{IDENTITY}-cache", "/root/.cache"),
        *(f"bottle-committed-{IDENTITY}:3", "bottle-fill-0123456789ab", "17", "2", HEX),
    ),
    "tag": ("no", "/usr/bin/docker", f"sha256:{HEX}", f"bottle-committed-{IDENTITY}:3"),
    "register": (IDENTITY, NONCE, "/home/me/work"),
    "seed": (IDENTITY, NONCE, "/home/me/work"),
    "clear": (IDENTITY,),
}


def policy(
    *,
    keep: bool = False,
    looking: bool = False,
    workspace: Path | None = None,
    known: bool = True,
    left: str | None = None,
) -> PullPolicy:
    terms = Terms(
        identity=Identity.parse(IDENTITY),
        keep=keep,
        looking=looking,
        workspace=workspace,
        home=HOME,
        bottle_home=HOME / ".bottle",
        docker="/opt/docker",
        sudo=True,
        store=Store.CLASSIC,
        docker_root="/var/lib/docker",
        consent=False,
        left=left,
    )
    made = PullPolicy(terms)
    if known:
        made.check(ask("probe", IDENTITY, ""))
    return made


def ask(script: str, *args: str) -> Request:
    return Request(script=script, args=args, silence=60)


def test_every_rule_has_an_honest_example() -> None:
    assert HONEST.keys() == ASKED.keys()


def test_every_script_is_allowed_here_or_is_none_of_a_pulls() -> None:
    scripts = {each.name.removesuffix(".sh") for each in files("migrate.host").joinpath("scripts").iterdir()}
    # renew: of live moves only; retire: of copies brought up to date; works: of bottles that go after each other
    assert scripts - ASKED.keys() == {"common", "docker", "places", "renew", "resume", "retire", "send", "works"}


def test_the_largest_piece_that_is_cut_is_allowed() -> None:
    payload = Payload(digest=HEX, size=1 << 40, content=Path("/nowhere"))
    assert next(cut(payload)).size <= PIECE_LIMIT


@pytest.mark.parametrize("script", HONEST)
def test_an_honest_move_may_do_what_it_does(script: str) -> None:
    made = policy()
    command = made.check(ask(script, *HONEST[script])).command(made.terms)
    assert command.name == script
    ours = len(ASKED[script].access)
    assert command.args[:ours] == ("yes", "/opt/docker", "/var/lib/docker")[:ours]
    assert command.args[ours:] == HONEST[script][ours:]


@pytest.mark.parametrize(
    "script", ["resume", "send", "common", "docker", "../far/piece", "sh", "", "piece.sh", "PIECE"]
)
def test_other_scripts_are_refused(script: str) -> None:
    with pytest.raises(Breach, match="none of a move's"):
        policy().check(ask(script, IDENTITY))


@pytest.mark.parametrize("script", HONEST)
def test_a_number_of_arguments_that_is_not_the_scripts_is_refused(script: str) -> None:
    for args in (HONEST[script][:-1], (*HONEST[script], "more")):
        if args != HONEST[script]:
            with pytest.raises(Breach):
                policy().check(ask(script, *args))


EVIL = (
    *("..", "../../etc", "/etc", "-rf", "", " ", "x", "a;b", "$(id)", "a\nb", "demo-abc1", "demo-abc13", "DEMO-abc12"),
    *(HEX[:-1], HEX + "a", HEX.upper(), f"../{HEX}", NONCE + "\n", "state", "etc", "0", "-1", "9" * 20, "1e3", "bz2"),
    *("debian:latest", "bottle-committed-demo-abc12:latest", "bottle-committed-demo-abc13:1", "bottle-demo-abc13-x"),
    *(
        "bottle-demo-abc12-",
        "bottle-demo-abc12-../x",
        "/a:/b",
        "/a/../b",
        "relative",
        "/",
        "bottle-verify-x",
        "ö",
        "/a\ud800",
        "\0",
    ),
)


HARMLESS: dict[object, set[str]] = {
    PieceSize: {"0"},
    Count: {"0"},
    FolderKind: {"state"},
    Workspace: {"", "/a:/b"},
    MountPoint: {"/etc"},
}


@pytest.mark.parametrize(
    ("script", "place"), [(script, place) for script in HONEST for place in range(len(HONEST[script]))]
)
def test_an_argument_of_another_kind_is_refused(script: str, place: int) -> None:
    kinds = (*ASKED[script].access, *(each.type for each in fields(ASKED[script])))
    for evil in EVIL:
        request = ask(script, *HONEST[script][:place], evil, *HONEST[script][place + 1 :])
        if place < len(ASKED[script].access):
            # What is said about Docker here is not listened to.
            made = policy()
            assert evil not in made.check(request).command(made.terms).args
        elif evil in HARMLESS.get(kinds[place], set()):
            policy().check(request)
        else:
            with pytest.raises(Breach):
                policy().check(request)


def test_a_piece_larger_than_any_is_refused() -> None:
    with pytest.raises(Breach):
        policy().check(ask("piece", IDENTITY, HEX, "00000000", HEX, str((8 << 20) + 1)))


def test_nothing_is_done_for_a_bottle_that_was_not_asked_about_first() -> None:
    for script in ("staged", "piece", "clear", "register", "inspect"):
        with pytest.raises(Breach):
            policy(known=False).check(ask(script, *HONEST[script]))


def test_a_copy_gets_one_fresh_identity_of_its_agent_and_keeps_it() -> None:
    copy = policy(keep=True, known=False)
    with pytest.raises(Breach):
        copy.check(ask("probe", "other-abc13", ""))
    copy.check(ask("probe", "demo-abc13", ""))
    copy.check(ask("staged", "demo-abc13"))
    with pytest.raises(Breach):
        copy.check(ask("probe", "demo-abc14", ""))


def test_what_may_be_asked_about_a_bottle_that_lives_here() -> None:
    """`migrate.pull.perform` refuses all else, whatever is added to the rules."""
    assert {name for name, script in ASKED.items() if script.effect is Effect.LOOKS} == {"probe", "images", "known"}
    assert {name for name, script in ASKED.items() if script.effect is Effect.SETTLES} == {"withdraw", "clear"}


def test_who_wants_a_plan_only_is_only_looked_at() -> None:
    looked_at = policy(looking=True)
    for script, args in HONEST.items():
        if script in {"probe", "images", "known"}:
            looked_at.check(ask(script, *args))
        else:
            with pytest.raises(Breach, match="only a plan"):
                looked_at.check(ask(script, *args))


def test_the_workspace_lands_where_the_user_says() -> None:
    told = policy(workspace=Path("/etc/mine"))
    told.check(ask("register", IDENTITY, NONCE, "/etc/mine"))
    told.check(ask("register", IDENTITY, NONCE, ""))
    with pytest.raises(Breach, match="nobody agreed"):
        told.check(ask("register", IDENTITY, NONCE, "/home/me/work"))


def test_a_far_host_asks_about_few_places() -> None:
    curious = policy()
    for place in ("/home/me/a", f"/home/me/.bottle/workspaces/{IDENTITY}", "/home/me/a"):
        curious.check(ask("probe", IDENTITY, place))
    with pytest.raises(Breach, match="nobody agreed"):
        curious.check(ask("probe", IDENTITY, "/home/me/b"))


@pytest.mark.parametrize(
    "path", ["/home/me/work", "/home/me/a/b c", "/home/me/code/go/x", "/srv/x", "/data", "/opt/project", "/home/you/x"]
)
def test_harmless_places(path: str) -> None:
    assert is_harmless(path, HOME)


@pytest.mark.parametrize(
    "path",
    [
        *("", "relative", "/", "/home/me", "/etc/cron.d", "/usr/local/x", "/var/spool/cron", "/root/x", "/proc/x"),
        *(
            "/home/me/.ssh",
            "/home/me/.config/autostart",
            "/home/me/bin",
            "/home/me/x/.git/hooks",
            "/srv/.x",
            "/opt/x/bin",
        ),
        *("/home/me/node_modules", "/node_modules", "/home/me/x/node_modules/y", "/srv/cgi-bin", "/opt/site-packages"),
        *("/home/me/go", "/home/me/go/src/x", "/home/me/public_html", "/home/me/R", "/home/me/perl5/x"),
        *(
            "/home/me/../you",
            "/home/me/./x",
            "/home/me//x",
            "/home/me/x/",
            "//etc",
            "/home/me/a\nb",
            "/home/me/\x1b[2J",
        ),
    ],
)
def test_places_that_something_acts_on(path: str) -> None:
    assert not is_harmless(path, HOME)


def test_a_link_counts_as_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc")
    assert not is_harmless(str(tmp_path / "link" / "new"), tmp_path)
    (tmp_path / "hidden").symlink_to(tmp_path / ".ssh")
    assert not is_harmless(str(tmp_path / "hidden" / "new"), tmp_path)


def test_a_bottle_may_come_back_to_where_it_had_left_and_to_no_other_such_place() -> None:
    policy(left="/root/.project").check(ask("register", IDENTITY, NONCE, "/root/.project"))
    for other in ("/root/.other", "/root/.project/inner"):
        with pytest.raises(Breach, match="nobody agreed to that"):
            policy(left="/root/.project").check(ask("register", IDENTITY, NONCE, other))
    with pytest.raises(Breach, match="nobody agreed to that"):
        policy(left="/root/.project", workspace=Path("/work")).check(ask("register", IDENTITY, NONCE, "/root/.project"))
