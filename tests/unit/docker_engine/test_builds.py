"""What builders say, and the docker client that builds, played by a script."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bottle.docker_engine.buildlog import BuildLog, BuildxOutput, EngineOutput, Layers, LineSplitter
from bottle.docker_engine.buildx import BuildxBuild, has_buildx, lines_of, running
from bottle.testing import RecordingProgress

FAILED = """\
#0 building with "default" instance using docker driver

#1 [internal] load build definition from Dockerfile
#1 transferring dockerfile: 169B done
#1 DONE 0.0s

#4 [base 1/2] FROM docker.io/library/debian:trixie-slim
#4 CACHED

#5 [base 2/2] RUN make one
#5 0.157 one starts

#6 [stage-1 2/5] RUN make two
#6 0.2 two starts

#5 [base 2/2] RUN make one
#5 1.660 \rbar 1%\rbar 2%
#5 1.661 \x1b[31mone is done
#5 DONE 1.7s

#6 [stage-1 2/5] RUN make two
#6 0.3 ERROR: of a program, which goes on
#6 0.4 two breaks
#6 ERROR: process "/bin/sh -c make two" did not complete successfully: exit code: 2
------
 > [stage-1 2/5] RUN make two:
0.4 two breaks
------
Dockerfile:7
--------------------
   7 | >>> RUN make two
--------------------
ERROR: failed to build: failed to solve: process "/bin/sh -c make two" did not complete successfully: exit code: 2
"""


@pytest.fixture
def progress() -> RecordingProgress:
    return RecordingProgress()


@pytest.fixture
def log(progress: RecordingProgress) -> BuildLog:
    return BuildLog("x:1", progress)


def test_lines_are_whole_wherever_the_stream_is_cut() -> None:
    text = "first line\nsecond\r\n\nlast without end"
    for cut in range(len(text)):
        lines = LineSplitter()
        found = [*lines.feed(text[:cut]), *lines.feed(text[cut:]), *lines.end()]
        assert found == text.split("\n")


def test_a_line_without_an_end_does_not_fill_the_memory() -> None:
    lines = LineSplitter()
    found = [line for _ in range(40) for line in lines.feed("x" * 10_000)]
    assert len(found) > 1
    assert sum(map(len, found)) + sum(map(len, lines.end())) == 400_000


def test_an_error_of_the_engines_builder_has_its_lines_whole(log: BuildLog, progress: RecordingProgress) -> None:
    output = EngineOutput(log)
    said = ["Step 1/2 : FR", "OM x\n ---> 0123\nStep 2/2 : RUN make\n", "E: unable to lo", "cate pack", "age\nlast"]
    assert [output.see({"stream": piece}) for piece in said] == [None] * 5
    assert output.see({"errorDetail": {"message": "code: 2"}}) == "code: 2"
    failure = log.failure("", "code: 2", "")
    assert progress.notes == ["Step 1/2 : FROM x", "Step 2/2 : RUN make"]
    assert failure.details == ("E: unable to locate package", "last")
    assert failure.what == "building x:1 failed at Step 2/2 : RUN make: code: 2"


def test_a_pull_tells_of_each_change_of_a_layer_once(log: BuildLog, progress: RecordingProgress) -> None:
    output = EngineOutput(log)
    for done in range(3):
        output.see({"id": "ab", "status": "Downloading", "progressDetail": {"current": done}})
    output.see({"id": "ab", "status": "Pull complete"})
    assert progress.outputs == ["ab: Downloading", "ab: Pull complete"]
    assert list(Layers().news({"status": "\x1b[2JDone"})) == ["Done"]


def see(output: BuildxOutput, text: str) -> None:
    for line in text.split("\n"):
        output.see(line)


def test_buildkits_steps_and_output_are_told_apart(log: BuildLog, progress: RecordingProgress) -> None:
    see(BuildxOutput(log), FAILED)
    assert progress.notes == [
        "Step 1/2 of base : FROM docker.io/library/debian:trixie-slim",
        "Step 2/2 of base : RUN make one",
        "Step 2/5 : RUN make two",
    ]
    assert progress.outputs == [
        'building with "default" instance using docker driver',
        "[internal] load build definition from Dockerfile",
        "transferring dockerfile: 169B done",
        "one starts",
        "two starts",
        "bar 2%",
        "one is done",
        "ERROR: of a program, which goes on",
        "two breaks",
        "Dockerfile:7",
        "--------------------",
        "   7 | >>> RUN make two",
        "--------------------",
    ]


def test_an_error_of_buildkit_has_the_step_that_failed_and_its_lines(log: BuildLog) -> None:
    output = BuildxOutput(log)
    see(output, FAILED)
    failure = log.failure(output.failed, output.message, "")
    assert failure.what == (
        "building x:1 failed at Step 2/5 : RUN make two: "
        'process "/bin/sh -c make two" did not complete successfully: exit code: 2'
    )
    assert failure.details == ("two starts", "ERROR: of a program, which goes on", "two breaks")


def test_an_error_before_any_step_has_its_cause_only(log: BuildLog) -> None:
    output = BuildxOutput(log)
    around = "failed to build: failed to solve: rpc error: code = Unknown desc = failed to solve with frontend "
    see(output, f"ERROR: {around}dockerfile.v0: failed to create LLB definition: parse error line 3: unknown: LS")
    assert log.failure(output.failed, output.message, "").what == "building x:1 failed: parse error line 3: unknown: LS"


# The docker client.

BUILD = BuildxBuild(context=Path("/src"), tag="x:1", labels={"l": "v w"}, args={"A": "1"}, secrets={"TOKEN": "hush"})


@pytest.fixture
def client(tmp_path: Path) -> Callable[[str], dict[str, str]]:
    """An environment in which `docker` is a script of Python; `told` in it is what it was called with."""

    def script(body: str) -> dict[str, str]:
        file = tmp_path / "docker"
        file.write_text(f"#!{sys.executable}\nimport json, os, sys, time\n{body}\n")
        file.chmod(0o755)
        return {"PATH": str(tmp_path), "DOCKER_HOST": "unix:///there"}

    return script


@pytest.mark.parametrize(
    ("body", "has_it"),
    [
        ("assert sys.argv[1:] == ['buildx', 'version']; print('github.com/docker/buildx 0.29.1 x')", True),
        ("print('buildah 1.28.2')", False),  # Podman's
        ("sys.exit(\"docker: 'buildx' is not a docker command.\")", False),
    ],
)
def test_whether_the_client_has_buildx(client: Callable[[str], dict[str, str]], body: str, has_it: bool) -> None:
    assert has_buildx(client(body)) is has_it


def test_without_a_client_there_is_no_buildx(tmp_path: Path) -> None:
    assert not has_buildx({"PATH": str(tmp_path)})


def test_what_the_client_is_asked(client: Callable[[str], dict[str, str]]) -> None:
    environ = client(
        "file = sys.argv[sys.argv.index('-f') + 1]\n"
        "given = [os.environ[name] for name in ('DOCKER_HOST', 'BUILDX_NO_DEFAULT_ATTESTATIONS', 'TOKEN')]\n"
        "print(json.dumps([sys.argv[1:], open(file).read(), given, file]))"
    )
    with running(BUILD, b"FROM x", environ) as process:
        [line] = lines_of(process)
    words, dockerfile, given, file = json.loads(line)
    assert (dockerfile, given) == ("FROM x", ["unix:///there", "1", "hush"])
    standard = ["buildx", "build", "--progress", "plain", "--builder", "default", "-t", "x:1", "-f", file]
    assert words == [*standard, "--label", "l=v w", "--build-arg", "A=1", "--secret", "id=TOKEN,env=TOKEN", "/src"]
    assert not Path(file).exists()


@pytest.mark.parametrize(
    ("environ", "builder"),
    [
        ({"DOCKER_HOST": "", "DOCKER_CONTEXT": "there"}, "there"),
        ({"DOCKER_HOST": "", "DOCKER_CONTEXT": ""}, "default"),
        ({"DOCKER_HOST": "unix:///there", "DOCKER_CONTEXT": "other"}, "default"),
    ],
)
def test_the_builder_is_the_one_of_the_engine_that_is_meant(
    client: Callable[[str], dict[str, str]], environ: dict[str, str], builder: str
) -> None:
    script = client("print(sys.argv[sys.argv.index('--builder') + 1])")
    with running(BUILD, b"", {**script, **environ}) as process:
        assert list(lines_of(process)) == [builder]


def test_output_comes_as_it_is_written_and_no_letter_is_cut(client: Callable[[str], dict[str, str]]) -> None:
    environ = client(
        "os.write(1, b'#1 0.1 one\\n')\n"
        "assert os.read(0, 1) == b''\n"
        "os.write(2, '#1 0.2 ä'.encode()[:-1]);"
        "os.write(1, '#1 0.2 ä'.encode()[-1:] + b'\\rb\\n')"
    )
    with running(BUILD, b"", environ) as process:
        assert list(lines_of(process)) == ["#1 0.1 one", "#1 0.2 ä\rb"]
    assert process.returncode == 0


def test_an_interruption_ends_the_client(client: Callable[[str], dict[str, str]]) -> None:
    environ = client("print('at work', flush=True); time.sleep(600)")

    def interrupted() -> Iterator[subprocess.Popen[bytes]]:
        with running(BUILD, b"", environ) as process:
            assert next(lines_of(process)) == "at work"
            yield process
            raise KeyboardInterrupt

    work = interrupted()
    process = next(work)
    with pytest.raises(KeyboardInterrupt):
        next(work)
    assert process.returncode == -15
