"""A desk with a small agent, and a far host to move it to."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from tests.campaigns.bench import LIFE, MANIFEST, STRUCK, TOOLS, Bench
from tests.hosts import DockerHost
from tests.integration import migration
from tests.integration.conftest import (
    base_image,
    classic_host,
    engine,
    host_image,
    make_host,
    oracle_image,
    run_id,
    wheel,
)
from tests.integration.smallimage import build_small

__all__ = ["base_image", "classic_host", "engine", "host_image", "make_host", "oracle_image", "run_id", "wheel"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many points were struck: what could not be struck where it was meant to be is none."""
    reports = (report for several in terminalreporter.stats.values() for report in several)
    called = (report for report in reports if getattr(report, "when", None) == "call")
    found = [value for report in called for name, value in report.user_properties if name == STRUCK]
    if found:
        terminalreporter.write_line(f"campaigns: {sum(found)} points struck")


@pytest.fixture(scope="session")
def small(engine: docker.DockerClient, base_image: str) -> Iterator[str]:
    """The image that the agents of the campaigns run in."""
    name = build_small(engine, base_image, "bottle-campaign-test", secrets.token_hex(4), TOOLS)
    yield name
    engine.images.remove(name, force=True)


@pytest.fixture
def bench(tmp_path: Path, engine: docker.DockerClient, small: str) -> Iterator[Bench]:
    """A fresh desk whose bottles no other test has."""
    agent = f"q{secrets.token_hex(4)}"
    with migration.desk_in(tmp_path / "desk", engine) as desk:
        (desk.folder / "bottle.toml").write_text(MANIFEST.format(agent=agent, image=small, life=LIFE))
        desk.workspace.mkdir()
        bench = Bench(desk, agent, small)
        try:
            yield bench
        finally:
            bench.clear()


@pytest.fixture(scope="session")
def there(classic_host: DockerHost, wheel: Path, small: str) -> DockerHost:
    """A host that can resume what arrives."""
    classic_host.install_bottle(wheel)
    classic_host.load_image(small)
    return classic_host
