"""BuildKit, through the docker client's buildx: held to what every builder promises, and to what only it can."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

pytest.register_assert_rewrite("tests.contract.engine")

from bottle.docker_engine import DockerEngine  # noqa: E402
from bottle.errors import BuildFailed  # noqa: E402
from tests.contract.engine import BuilderContract, Rig  # noqa: E402
from tests.hosts import DockerHost  # noqa: E402

ONLY_BUILDKIT = """\
FROM {base}
RUN <<END
printf 'of a heredoc\\n' >/heredoc
END
RUN --mount=type=cache,target=/cache echo cached >/cache/file && cat /cache/file >/copied
COPY --chmod=711 notes /notes
CMD ["sleep", "600"]
"""
MANIFEST = """\
[agents.built]
dockerfile = "Dockerfile"
workdir = "/work"
"""
BUILD = """\
import sys
from pathlib import Path
from bottle.docker_engine import DockerEngine
from bottle.cli.progress import LineProgress

base, folder, tag = sys.argv[1:]
dockerfile = f"FROM {base}\\nRUN echo it works; sleep 600\\n".encode()
DockerEngine().build(
    dockerfile=dockerfile, context=Path(folder), tag=tag, labels={}, args={}, secrets={}, progress=LineProgress()
)
"""


@pytest.fixture
def rig(buildx: Path, base_image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.setenv("DOCKER_CONFIG", str(buildx))
    rig = Rig(engine=DockerEngine(), base=base_image, folder=tmp_path)
    yield rig
    rig.clean()


class TestBuildx(BuilderContract):
    """Held to the same as the engine's own builder."""

    def test_it_mounts_a_cache_and_sets_modes(self, rig: Rig) -> None:
        rig.build(
            "RUN --mount=type=cache,target=/cache echo cached >/cache/x && cp /cache/x /x\nCOPY --chmod=711 a /a",
            files={"a": ""},
        )
        assert rig.read(rig.create(image=rig.image("built")), "/x") == b"cached\n"

    def test_a_secret_is_mounted_and_is_in_no_layer(self, rig: Rig) -> None:
        step = "RUN --mount=type=secret,id=TOKEN cat /run/secrets/TOKEN | wc -c > /length"
        rig.build(f"{step}\nRUN find /run/secrets -type f > /left || true", secret={"TOKEN": "hush-4711"})
        container = rig.create(image=rig.image("built"))
        assert rig.read(container, "/length") == b"9\n"
        assert rig.read(container, "/left") == b""

    def test_an_error_has_the_last_lines_of_its_step_whole(self, rig: Rig) -> None:
        with pytest.raises(BuildFailed) as caught:
            rig.build("RUN echo first; for each in 1 2 3; do echo $each; done; printf 'no end'; exit 7")
        assert caught.value.details == ("first", "1", "2", "3", "no end")
        assert "exit code: 7" in caught.value.what


def test_an_interrupted_build_ends_with_its_client(
    engine: docker.DockerClient, buildx: Path, base_image: str, tmp_path: Path
) -> None:
    tag = "bottle-interrupted-build-test:1"
    build = subprocess.Popen(
        [sys.executable, "-c", BUILD, base_image, str(tmp_path), tag],
        env={**os.environ, "DOCKER_CONFIG": str(buildx)},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert build.stderr is not None
    while (line := build.stderr.readline()) != "  | it works\n":
        assert line, "the build ended by itself"
    children = Path(f"/proc/{build.pid}/task/{build.pid}/children").read_text().split()
    build.send_signal(signal.SIGINT)
    build.communicate(timeout=60)
    assert children
    assert not [child for child in children if Path(f"/proc/{child}").exists()]
    assert not engine.images.list(tag)


def test_an_agent_is_built_with_what_only_buildkit_can(host: DockerHost, small_base: str, tmp_path: Path) -> None:
    (tmp_path / "bottle.toml").write_text(MANIFEST)
    (tmp_path / "Dockerfile").write_text(ONLY_BUILDKIT.format(base=small_base))
    (tmp_path / "notes").write_text("note\n")
    host.put(tmp_path, "/root/built")
    started = host.exec(["sh", "-c", "cd /root/built && bottle start built -d"])
    identity = next(word for word in started.text.split() if word.startswith("built-"))
    try:
        seen = host.docker("exec", f"bottle-{identity}", "cat", "/heredoc", "/copied", "/notes").text
        assert seen == "of a heredoc\ncached\nnote"
        host.exec(["bottle", "commit", identity])
        logs = host.exec(["sh", "-c", "cat /root/.bottle/logs/*-start-*.log"]).text
        assert "note: Step 2/4 : RUN <<END" in logs, logs
        assert "output: exporting to image" in logs
    finally:
        host.exec(["bottle", "rm", "--yes", identity], check=False)
        host.exec(["rm", "-rf", "/root/built"])
