"""A commit costs what has changed: on this engine, and on hosts with each store, where bottle runs beside it."""

from __future__ import annotations

import json
import time
from typing import Any

from tests.hosts import DockerHost
from tests.integration.migration import Desk

CHANGES = {"by its changes", "by its changes, read through a helper container"}


def own_layers(answer: dict[str, Any]) -> list[str]:
    """The layers of a commit above those of its agent's image."""
    commit = answer["commit"]
    layers: list[str] = commit["diff_ids"][len(commit["base"]) :]
    return layers


def idle(desk: Desk) -> str:
    """A bottle in which nothing happens by itself."""
    done = desk.bottle("start", "plain", "-d", "--format", "json", "--cwd", str(desk.folder), "--", "sleep", "infinity")
    identity = str(json.loads(done.stdout)["identity"])
    desk.known.append(identity)
    return identity


def test_a_commit_adds_a_layer_of_what_changed_and_none_where_nothing_has(desk: Desk) -> None:
    identity = idle(desk)
    desk.grow(identity, 2_000_000)
    first = desk.ok("commit", identity)
    assert first["way"] in CHANGES
    assert (first["unchanged"], len(own_layers(first))) == (False, 1)
    assert desk.run_in(identity, "sh", "-c", "echo more > /root/more; rm -r /usr/share/doc") is not None
    second = desk.ok("commit", identity)
    assert own_layers(second)[:-1] == own_layers(first)
    assert second["adds"] < 10_000 < 2_000_000 <= first["adds"]
    third = desk.ok("commit", identity)
    assert (own_layers(third), third["unchanged"], third["adds"]) == (own_layers(second), True, 0)
    desk.ok("stop", identity)
    assert desk.ok("commit", identity)["way"] in CHANGES
    desk.container(identity).remove(force=True)
    assert desk.ok("resume", identity, "-d")["identity"] == identity
    assert desk.run_in(identity, "cat", "/root/more") == b"more\n"


MANY = "mkdir /root/many; n=0; while [ $n -lt 1000 ]; do n=$((n+1)); : > /root/many/$n; done"


def paused(desk: Desk, identity: str, since: int) -> int:
    """How often a bottle was paused."""
    there = {"container": desk.container(identity).id, "event": "pause"}
    return len(list(desk.engine.events(since=since, until=int(time.time()) + 1, filters=there)))


def test_an_agent_is_paused_once_for_little_and_once_more_for_much(desk: Desk) -> None:
    since = int(time.time())
    identity = idle(desk)
    desk.grow(identity, 1000)
    desk.ok("commit", identity)
    assert paused(desk, identity, since) == 1
    assert desk.run_in(identity, "touch", "/root/more") is not None
    desk.ok("commit", identity)
    assert paused(desk, identity, since) == 2
    assert desk.run_in(identity, "sh", "-c", MANY) is not None
    assert len(own_layers(desk.ok("commit", identity))) == 3
    assert paused(desk, identity, since) == 4


def test_a_commit_whose_index_is_gone_holds_everything_and_says_so(desk: Desk) -> None:
    identity = idle(desk)
    desk.grow(identity, 2_000_000)
    desk.ok("commit", identity)
    for index in (desk.states / identity / "trees").iterdir():
        index.unlink()
    assert desk.run_in(identity, "touch", "/root/more") is not None
    done = desk.bottle("commit", identity, "--format", "json")
    answer = json.loads(done.stdout)
    assert answer["way"] in CHANGES
    assert len(own_layers(answer)) == 1
    assert answer["adds"] >= 2_000_000
    assert "is not known to the last file: this one holds all" in done.stderr.decode()
    assert desk.ok("commit", identity)["unchanged"]


def test_depth_is_bounded_and_each_commit_is_what_it_was(desk: Desk) -> None:
    identity = idle(desk)
    answers = []
    for number in range(1, 19):
        command = f"echo {number} > /root/number; echo x > /root/file-{number}; rm -f /root/file-{number - 2}"
        assert desk.run_in(identity, "sh", "-c", command) is not None
        answers.append(desk.ok("commit", identity))
    assert {answer["way"] for answer in answers} <= CHANGES
    assert [len(own_layers(answer)) for answer in answers] == [*range(1, 17), 2, 3]
    for number in (1, 9, 17, 18):
        image = answers[number - 1]["commit"]["tag"]
        said = desk.engine.containers.run(
            image, ["sh", "-c", "cat /root/number; ls /root"], remove=True, network_disabled=True
        )
        kept = {f"file-{each}" for each in (number - 1, number) if each > 0}
        shown = said.decode().split()
        assert (shown[0], {each for each in shown if each.startswith("file-")}) == (str(number), kept)
    assert len(list((desk.states / identity / "trees").iterdir())) <= 3


SCRIPT = """
set -e
mkdir -p /srv/costs && cd /srv/costs && export BOTTLE_HOME=/srv/costs/home
printf '[agents.a]\\nimage = "%s"\\ncommand = ["sleep", "infinity"]\\nnetwork = "none"\\n' "$1" > bottle.toml
id=$(bottle start a -d --format json | sed -n 's/.*"identity": "\\(.*\\)".*/\\1/p')
run() { docker exec -u 0 "bottle-$id" sh -c "$1" >&2; }
run 'mkdir /root/d /root/e; echo one > /root/d/one; cp /root/d/one /root/e/two; echo changed > /etc/hostname.kept'
bottle commit "$id" --format json
run 'rm -r /root/d; mkdir /root/d; echo three > /root/d/three; rm -r /usr/share/doc'
bottle commit "$id" --format json
bottle commit "$id" --format json
run 'echo last > /root/last'
bottle stop "$id" >&2
bottle commit "$id" --format json
docker run --rm --network none "bottle-committed-$id:4" sh -c '
    cd /root; cat d/* e/* last; test -e /usr/share/doc || echo gone'
bottle rm --yes "$id" >&2
"""


def test_on_every_store_a_commit_holds_what_changed(host: DockerHost, small_base: str) -> None:
    said = host.exec(["bash", "-c", SCRIPT, "bash", small_base]).stdout.decode()
    answers, position = [], 0
    for _ in range(4):
        answer, position = json.JSONDecoder().raw_decode(said, said.index("{", position))
        answers.append(answer)
    assert {answer["way"] for answer in answers} <= CHANGES
    assert [len(own_layers(answer)) for answer in answers] == [1, 2, 2, 3]
    assert [answer["unchanged"] for answer in answers] == [False, False, True, False]
    shown = said[position:].split("\n", 1)[1]
    assert shown == "three\none\nlast\ngone\n"


LARGE = """
set -e
mkdir -p /srv/large && cd /srv/large && export BOTTLE_HOME=/srv/large/home
printf '[agents.a]\\nimage = "%s"\\ncommand = ["sleep", "infinity"]\\nnetwork = "none"\\n' "$1" > bottle.toml
id=$(bottle start a -d --format json | sed -n 's/.*"identity": "\\(.*\\)".*/\\1/p')
docker exec -u 0 "bottle-$id" sh -c '
    cd /root; for each in 1 2 3 4 5 6 7 8; do
        mkdir "$each" && cd "$each" && head -c 9000000 /dev/urandom > file && ln file again && cp file copy && cd ..
    done'
bottle commit "$id" --format json
show='cat /root/*/file /root/*/copy /root/*/again; stat -c "%h %Y %n" /root/*/*'
docker exec "bottle-$id" sh -c "$show" | sha256sum
docker run --rm --network none "bottle-committed-$id:1" sh -c "$show" | sha256sum
docker images -q --filter label=bottle.first-layers | wc -l
bottle stop "$id" >&2
bottle rm --yes "$id" >&2
"""


def test_on_every_store_a_large_first_commit_is_given_in_pieces_and_is_whole(host: DockerHost, small_base: str) -> None:
    said = host.exec(["bash", "-c", LARGE, "bash", small_base]).stdout.decode()
    answer, end = json.JSONDecoder().raw_decode(said)
    there, shown, parts = said[end:].strip().splitlines()
    assert answer["way"] in CHANGES
    assert len(own_layers(answer)) == 5  # four pieces, and the files with two names
    assert shown == there
    assert parts == "0"
