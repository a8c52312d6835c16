"""`bottle.toml`: what it means, and mistakes named by file, key and what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from bottle.agent.manifest import find_manifest, parse_manifest, read_manifest
from bottle.errors import ManifestError, NotFound
from bottle.model import Agent, Mount, MountKind, Retention
from bottle.portbinding import PortBinding

WHOLE = """
[agents.claude]
dockerfile = "agents/Dockerfile"
command = ["claude", "--dangerously-skip-permissions"]
resume_command = ["claude", "--continue"]
remote_control = ["--remote-control"]
workdir = "/work//space/"
user = "agent"
transcript = ["/root/.claude", "/root/.claude.json"]
env = { EDITOR = "vi", EMPTY = "" }
secrets = ["ANTHROPIC_API_KEY"]
volumes = ["cache:/root/.cache", "/srv/data:/data:ro"]
network = "none"
memory = "1.5g"
cpus = 2
pids = 64
cap_add = ["cap_chown", "DAC_OVERRIDE"]
carry = ["/root/.claude/*"]
build_args = { VERSION = "2", EMPTY = "" }
ports = ["3000:80", "[::1]:3000:80/udp"]
shm_size = "1g"
gpus = ["0", "GPU-fe"]
hosts = { "db.local" = "10.0.0.5", docker = "host-gateway" }

[agents.demo]
image = "debian:trixie-slim"
"""


def test_a_whole_entry_is_resolved(tmp_path: Path) -> None:
    dockerfile = tmp_path / "agents" / "Dockerfile"
    dockerfile.parent.mkdir()
    dockerfile.touch()
    assert parse_manifest(WHOLE, tmp_path / "bottle.toml").agent("claude") == Agent(
        name="claude",
        dockerfile=dockerfile,
        command=("claude", "--dangerously-skip-permissions"),
        resume_command=("claude", "--continue"),
        remote_control=("--remote-control",),
        workdir="/work/space",
        user="agent",
        transcript=("/root/.claude", "/root/.claude.json"),
        env=(("EDITOR", "vi"), ("EMPTY", "")),
        secrets=("ANTHROPIC_API_KEY",),
        volumes=(
            Mount(kind=MountKind.VOLUME, source="cache", target="/root/.cache"),
            Mount(kind=MountKind.BIND, source="/srv/data", target="/data", read_only=True),
        ),
        network="none",
        memory=1536 * 1024**2,
        cpus=2.0,
        pids=64,
        cap_add=("CHOWN", "DAC_OVERRIDE"),
        carry=("/root/.claude/*",),
        build_args=(("VERSION", "2"), ("EMPTY", "")),
        ports=(PortBinding("127.0.0.1", 3000, 80), PortBinding("::1", 3000, 80, "udp")),
        shm_size=1 << 30,
        gpus="device=0,GPU-fe",
        hosts=(("db.local", "10.0.0.5"), ("docker", "host-gateway")),
    )


def test_the_defaults_are_the_safe_ones(tmp_path: Path) -> None:
    agent = parse_manifest('[agents.demo]\nimage = "x"', tmp_path / "bottle.toml").agent("demo")
    assert (agent.cap_add, agent.pids, agent.network, agent.secrets) == ((), 512, "bridge", ())


@pytest.mark.parametrize(
    ("line", "key", "expected"),
    [
        ("command = 'sh'", "agents.demo.command", "a list of texts"),
        ("command = []", "agents.demo.command", "a list of texts"),
        ("command = ['sh', 5]", "agents.demo.command[1]", "a text"),
        ("resume_command = [['sh']]", "agents.demo.resume_command[0]", "a text"),
        ("remote_control = true", "agents.demo.remote_control", "a list of texts"),
        ("carry = ['root/x']", "agents.demo.carry[0]", "an absolute path"),
        ("workdir = 'work'", "agents.demo.workdir", "an absolute path"),
        ("workdir = '/'", "agents.demo.workdir", "an absolute path"),
        ("workdir = '/a/../..'", "agents.demo.workdir", "an absolute path"),
        ("workdir = '/run/bottle/x'", "agents.demo.workdir", "outside /run/bottle"),
        ("transcript = '/root'", "agents.demo.transcript", "a list of texts"),
        ("transcript = ['/root', '../x']", "agents.demo.transcript[1]", "an absolute path"),
        ("env = ['A=b']", "agents.demo.env", "a table of texts"),
        ("env = { A = 5 }", "agents.demo.env.A", "a text"),
        ("env = { 'A=B' = 'c' }", "agents.demo.env.A=B", "a variable's name"),
        ("secrets = ['API_KEY=hunter2']", "agents.demo.secrets[0]", "not its value"),
        ("secrets = ['X; rm -rf /']", "agents.demo.secrets[0]", "the name of a variable"),
        ("volumes = ['cache']", "agents.demo.volumes[0]", "NAME:/path"),
        ("volumes = ['../x:/y']", "agents.demo.volumes[0]", "NAME:/path"),
        ("volumes = ['cache:/x:rwx']", "agents.demo.volumes[0]", "NAME:/path"),
        ("volumes = ['cache:/run/bottle']", "agents.demo.volumes[0]", "NAME:/path"),
        ("network = 'host'", "agents.demo.network", '"bridge", "none"'),
        ("network = 'container:x'", "agents.demo.network", '"bridge", "none"'),
        ("memory = 'much'", "agents.demo.memory", "an amount of memory"),
        ("memory = '1m'", "agents.demo.memory", "at least 6m"),
        ("memory = true", "agents.demo.memory", "an amount of memory"),
        (f"memory = '{'9' * 400}t'", "agents.demo.memory", "an amount of memory"),
        (f"memory = 0x{'f' * 5000}", "agents.demo.memory", "an amount of memory"),
        ("cpus = 'two'", "agents.demo.cpus", "a number of CPUs"),
        ("cpus = nan", "agents.demo.cpus", "a number of CPUs"),
        ("cpus = inf", "agents.demo.cpus", "a number of CPUs"),
        (f"cpus = 0x{'f' * 5000}", "agents.demo.cpus", "a number of CPUs"),
        ("pids = 0", "agents.demo.pids", "a whole number"),
        ("pids = 1.5", "agents.demo.pids", "a whole number"),
        (f"pids = 0x{'f' * 5000}", "agents.demo.pids", "a whole number"),
        ("cap_add = ['ALL']", "agents.demo.cap_add[0]", "the name of a Linux capability"),
        ("user = ''", "agents.demo.user", "a user's name or number"),
        ("user = 'agent:'", "agents.demo.user", "a user's name or number"),
        ("user = '--privileged'", "agents.demo.user", "a user's name or number"),
        ("user = true", "agents.demo.user", "a user's name or number"),
        ("user = 4294967295", "agents.demo.user", "a user's name or number"),
        ("ports = '3000:3000'", "agents.demo.ports", "a list of ports"),
        ("ports = [3000]", "agents.demo.ports[0]", "HOST:CONTAINER"),
        ("ports = ['3000']", "agents.demo.ports[0]", "HOST:CONTAINER"),
        ("ports = ['1:1', '0:3000']", "agents.demo.ports[1]", "ports from 1 to 65535"),
        ("ports = ['localhost:3000:3000']", "agents.demo.ports[0]", "HOST:CONTAINER"),
        ("ports = ['999.0.0.1:3000:3000']", "agents.demo.ports[0]", "an IPv4 or IPv6 address"),
        ("ports = ['3000:3000', '0.0.0.0:3000:80', '127.0.0.1:3000:80']", "agents.demo.ports[1]", "of the host once"),
        ("shm_size = 'much'", "agents.demo.shm_size", "an amount of memory"),
        ("shm_size = 0", "agents.demo.shm_size", "at least 4k"),
        ("gpus = 0", "agents.demo.gpus", '"all", how many'),
        ("gpus = 'some'", "agents.demo.gpus", '"all", how many'),
        ("gpus = []", "agents.demo.gpus", '"all", how many'),
        ("gpus = ['0', '']", "agents.demo.gpus", '"all", how many'),
        ("gpus = true", "agents.demo.gpus", '"all", how many'),
        (f"gpus = 0x{'f' * 5000}", "agents.demo.gpus", '"all", how many'),
        (f"user = 0x{'f' * 5000}", "agents.demo.user", "a user's name or number"),
        ("hosts = ['db:10.0.0.5']", "agents.demo.hosts", "a table of names and addresses"),
        ("hosts = { 'a:b' = '10.0.0.5' }", "agents.demo.hosts.a:b", "the name of a host"),
        ("hosts = { db = 'elsewhere' }", "agents.demo.hosts.db", '"host-gateway"'),
        ("cap_add = ['SYS_EVERYTHING']", "agents.demo.cap_add[0]", "the name of a Linux capability"),
        ("cap_add = [['CHOWN']]", "agents.demo.cap_add[0]", "the name of a Linux capability"),
        ("build_args = ['A=b']", "agents.demo.build_args", "a table of texts"),
        ("build_args = { A = 5 }", "agents.demo.build_args.A", "a text"),
        ("build_args = { 'A B' = 'c' }", "agents.demo.build_args.A B", "a variable's name"),
        ("comand = ['sh']", "agents.demo.comand", "expected one of"),
        ("dockerfile = 'Dockerfile'", "agents.demo", "not both"),
        ("volumes = ['a:/workspace']", "agents.demo.volumes", "taken by workdir"),
        ("volumes = ['a:/x', 'b:/x/']", "agents.demo.volumes", "taken by volume a"),
    ],
)
def test_a_mistake_names_file_key_and_what_was_expected(tmp_path: Path, line: str, key: str, expected: str) -> None:
    path = tmp_path / "bottle.toml"
    with pytest.raises(ManifestError) as caught:
        parse_manifest(f"[agents.demo]\nimage = 'x'\n{line}\n", path)
    assert str(path) in caught.value.what
    assert key in caught.value.what
    assert expected in caught.value.what
    assert str(path) in caught.value.next_step


@pytest.mark.parametrize(
    "source",
    [
        "agents = 5",
        "agents = [1]",
        "[agents]\ndemo = 'x'",
        "[other]",
        "[agents.Demo]\nimage = 'x'",
        "[agents.'../x']\nimage = 'x'",
        "[agents.'; rm -rf /']\nimage = 'x'",
        "[agents.committed-x]\nimage = 'x'",
        "[agents.demo]",
        "[agents.demo]\ndockerfile = 'missing'",
        f"[agents.demo]\ndockerfile = '{'x' * 5000}'",
        "[agents.demo]\ndockerfile = 'loop'",
        "[agents.demo]\ndockerfile = 'folder'",
        f"x = {'9' * 5000}",
        "x = 2026-13-45",
        "[" * 5000,
        "x = " + "[" * 5000,
    ],
)
def test_other_mistakes_are_errors_of_the_manifest(tmp_path: Path, source: str) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ManifestError, match=r"bottle\.toml"):
        parse_manifest(source, tmp_path / "bottle.toml")


KEYS = st.sampled_from(sorted(parse_manifest.__globals__["_READERS"]))
SCALARS = st.one_of(
    st.integers(),
    st.floats(),
    st.booleans(),
    st.just(10**400),
    st.text(max_size=10),
    st.sampled_from(["/x", "a:/x", "4g", "CHOWN", "bridge"]),
    st.dates(),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner), max_leaves=4
)
ENTRIES = st.dictionaries(KEYS | st.text(max_size=4), VALUES, max_size=5)


@given(st.dictionaries(st.sampled_from(["demo", "a-b"]) | st.text(max_size=4), ENTRIES | SCALARS, max_size=3))
def test_any_toml_gives_agents_or_an_error_of_the_manifest(agents: dict[str, object]) -> None:
    document = {"agents": agents}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bottle.agent.manifest.tomllib.loads", lambda _: document)
        try:
            manifest = parse_manifest("", Path("/nowhere/bottle.toml"))
        except ManifestError as error:
            assert "/nowhere/bottle.toml" in error.what
        else:
            assert set(manifest.agents) == set(agents)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_any_file_gives_agents_or_an_error_of_the_manifest(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bottle.toml"
    path.write_bytes(content)
    try:
        read_manifest(path)
    except ManifestError as error:
        assert str(path) in error.what


def test_a_missing_or_unreadable_file_is_an_error_of_the_manifest(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.toml", tmp_path):
        with pytest.raises(ManifestError, match="cannot read"):
            read_manifest(path)


def test_an_agent_that_is_not_there_is_answered_with_those_that_are(tmp_path: Path) -> None:
    manifest = parse_manifest("[agents.a]\nimage='x'\n[agents.b]\nimage='x'", tmp_path / "bottle.toml")
    with pytest.raises(NotFound, match="it has: a, b"):
        manifest.agent("c")


def test_the_nearest_manifest_counts_then_the_one_at_home(tmp_path: Path) -> None:
    home, below = tmp_path / "home", tmp_path / "project" / "src"
    home.mkdir()
    below.mkdir(parents=True)
    with pytest.raises(ManifestError, match=r"no bottle\.toml") as caught:
        find_manifest(below, home)
    assert caught.value.next_step == "bottle init"
    (home / "bottle.toml").touch()
    assert find_manifest(below, home) == home / "bottle.toml"
    (tmp_path / "project" / "bottle.toml").touch()
    assert find_manifest(below, home) == tmp_path / "project" / "bottle.toml"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("{ commits = 10 }", Retention(commits=10)),
        ("{ days = 30 }", Retention(days=30)),
        ("{ commits = 1, days = 2 }", Retention(commits=1, days=2)),
    ],
)
def test_how_long_commits_are_kept(written: str, read: Retention, tmp_path: Path) -> None:
    manifest = parse_manifest(f'[agents.a]\nimage = "x"\nkeep = {written}\n', tmp_path / "bottle.toml")
    assert manifest.agent("a").keep == read


@pytest.mark.parametrize(
    "written", ["{}", "10", "{ hours = 3 }", "{ commits = 0 }", "{ days = true }", "{ days = 1.5 }"]
)
def test_what_says_nothing_about_keeping(written: str, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"agents\.a\.keep"):
        parse_manifest(f'[agents.a]\nimage = "x"\nkeep = {written}\n', tmp_path / "bottle.toml")


@pytest.mark.parametrize(
    ("said", "user"),
    [("'agent'", "agent"), ("1000", "1000"), ("'1000:1000'", "1000:1000"), ("'agent:users'", "agent:users")],
)
def test_a_user_is_a_name_or_a_number(tmp_path: Path, said: str, user: str) -> None:
    source = f"[agents.demo]\nimage = 'x'\nuser = {said}"
    assert parse_manifest(source, tmp_path / "bottle.toml").agent("demo").user == user


@pytest.mark.parametrize(
    ("said", "gpus"), [("'all'", "all"), ("2", "2"), ("['1']", "device=1"), ("'device=0,1'", "device=0,1")]
)
def test_gpus_are_said_as_to_docker(tmp_path: Path, said: str, gpus: str) -> None:
    source = f"[agents.demo]\nimage = 'x'\ngpus = {said}"
    assert parse_manifest(source, tmp_path / "bottle.toml").agent("demo").gpus == gpus


@pytest.mark.parametrize("name", ["chown", "CAP_CHOWN", "cap_chown", "CHOWN"])
def test_a_capability_is_called_as_docker_takes_it(tmp_path: Path, name: str) -> None:
    source = f"[agents.demo]\nimage = 'x'\ncap_add = ['{name}']"
    assert parse_manifest(source, tmp_path / "bottle.toml").agent("demo").cap_add == ("CHOWN",)
