"""A commit of what changed is killed at each of its moments, or its disk fills up, or the engine dies there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.campaigns.bench import STRUCK, RecordProperty
from tests.campaigns.campaign import SHARE
from tests.campaigns.oracles import oracle_on
from tests.hosts import SharedHost
from tests.integration.test_commit_killed import oracle
from tests.oracle.killed import SCENARIOS, Killed
from tests.oracle.oracle import Oracle

__all__ = ["oracle"]
pytestmark = [
    pytest.mark.campaign,
    pytest.mark.skipif(os.geteuid() != 0, reason="the engine's folders are root's"),
]
MOST = 60  # moments of one scenario here
ON_HOSTS = 12
scenarios = pytest.mark.parametrize("name", SCENARIOS)


@pytest.fixture(scope="module", params=["classic", "containerd"])
def host(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, run_id: str, host_image: str
) -> Iterator[SharedHost]:
    """A host whose engine may be killed, and has a small disk."""
    with SharedHost(tmp_path_factory.mktemp("host"), request.param, run_id=run_id, data_disk_mb=1200) as host:
        yield host


@pytest.fixture(scope="module")
def there(host: SharedHost, wheel: Path, oracle_image: str) -> Iterator[Oracle]:
    """The oracle on that host."""
    with oracle_on(host, wheel, oracle_image) as oracle:
        yield oracle


def _hold(killed: Killed, most: int, record_property: RecordProperty) -> None:
    killed.strike_all(max(2, round(most * SHARE)))
    record_property(STRUCK, killed.struck)
    assert killed.broken == [], "\n".join(killed.broken)
    assert killed.struck > 0


@scenarios
def test_a_commit_that_is_killed_is_made_or_not(oracle: Oracle, name: str, record_property: RecordProperty) -> None:
    _hold(Killed(oracle, SCENARIOS[name]), MOST, record_property)


@scenarios
def test_a_disk_that_fills_up(oracle: Oracle, name: str, record_property: RecordProperty) -> None:
    filler = oracle.desk.folder / "filler"
    full = f"cat /dev/zero > {filler}"
    _hold(Killed(oracle, SCENARIOS[name], act=full, repair=filler.unlink), MOST, record_property)


@scenarios
def test_a_commit_that_is_killed_on_a_host(there: Oracle, name: str, record_property: RecordProperty) -> None:
    _hold(Killed(there, SCENARIOS[name]), ON_HOSTS, record_property)


@pytest.mark.parametrize("name", ["first", "second"])
def test_an_engine_whose_disk_fills_up(
    there: Oracle, host: SharedHost, name: str, record_property: RecordProperty
) -> None:
    filler = f"{host.data}/filler"
    killed = Killed(
        there, SCENARIOS[name], act=f"cat /dev/zero > {filler}", repair=lambda: host.exec(["rm", "-f", filler])
    )
    _hold(killed, ON_HOSTS, record_property)


@pytest.mark.parametrize("name", ["first", "second"])
def test_an_engine_that_dies(there: Oracle, host: SharedHost, name: str, record_property: RecordProperty) -> None:
    killed = Killed(there, SCENARIOS[name], act="hostctl kill", repair=host.start_docker)
    _hold(killed, ON_HOSTS, record_property)
