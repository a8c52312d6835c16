"""How long `bottle list` takes beside docker's own listing, with many bottles, and `bottle` to begin at all.

`python -m benchmarks.list`.

Makes containers and commits in the engine in force, in a state home of its own, and removes all of it afterwards. The
commits are made of a tiny image, as a list's time does not depend on what is in them.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import docker
from docker.errors import DockerException

from bottle.composition import make_context
from bottle.errors import BottleError
from bottle.model import Agent
from bottle.naming import LABEL_IDENTITY
from bottle.operations import Context, StartRequest, commit, list_bottles, plan_start, remove, start
from tests.hosts import BASE_IMAGE, ensure_base_image

AGENT = Agent(name="bench", image=BASE_IMAGE, command=("sleep", "1"), network="none")


@contextmanager
def bottles(context: Context, folder: Path, count: int) -> Iterator[None]:
    """That many bottles, each with a container that never ran and a commit."""
    try:
        for number in range(count):
            plan = plan_start(context, StartRequest(agent=AGENT, cwd=folder, tty=False))
            state = context.home.bottle(start(context, plan, begin=False).identity)
            commit(context, state, message=str(number))
        yield
    finally:
        for identity in context.home.identities():
            remove(context, context.home.bottle(identity), consent=True)


def seconds(act: Callable[[], object], rounds: int) -> float:
    """The median time of one round."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        act()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def processor_time(words: tuple[str, ...], environ: dict[str, str], rounds: int) -> float:
    """The least that one round took of the processor, in seconds: what else the machine does counts little there."""
    times = []
    for _ in range(rounds):
        process = subprocess.Popen((sys.executable, *words), env=environ, stdout=subprocess.DEVNULL)
        _, process.returncode, used = os.wait4(process.pid, 0)
        assert process.returncode == 0, words
        times.append(used.ru_utime + used.ru_stime)
    return min(times)


def begins(context: Context, rounds: int) -> Iterator[str]:
    """A line for each program: its processor time, and how many times that is what Python takes to do nothing."""
    with_all = {**os.environ, "BOTTLE_HOME": str(context.home.path)}
    with_none = {**with_all, "BOTTLE_HOME": str(context.home.path / "none")}
    ways = {
        "python -c pass": (("-c", "pass"), with_none),
        "bottle --help": (("-m", "bottle", "--help"), with_none),
        "bottle --version": (("-m", "bottle", "--version"), with_none),
        "bottle list, no bottles": (("-m", "bottle", "list"), with_none),
        "bottle list": (("-m", "bottle", "list"), with_all),
    }
    times = {what: processor_time(words, environ, rounds) for what, (words, environ) in ways.items()}
    yield f"processor time, least of {rounds} rounds"
    for what, taken in times.items():
        yield f"{taken:8.3f} s  {taken / times['python -c pass']:5.1f}  {what}"


def docker_lists() -> None:
    """What `docker ps -a` and `docker images` do."""
    for words in (("ps", "-a"), ("images",)):
        subprocess.run(("docker", *words), check=True, stdout=subprocess.DEVNULL)


def inspecting_each(context: Context) -> None:
    """What a list would cost that looks at each container and each image."""
    context.engine.containers({LABEL_IDENTITY: None})
    context.engine.images({LABEL_IDENTITY: None})


def measure(context: Context, *, count: int, rounds: int) -> Iterator[str]:
    """A line for each way, as soon as it is measured."""
    program = (sys.executable, "-m", "bottle", "list")
    environ = {**os.environ, "BOTTLE_HOME": str(context.home.path)}
    ways: dict[str, Callable[[], object]] = {
        "docker ps -a; docker images": docker_lists,
        "list_bottles": lambda: list_bottles(context),
        "bottle list, the whole program": lambda: subprocess.run(
            program, check=True, stdout=subprocess.DEVNULL, env=environ
        ),
        "inspecting each container and image": lambda: inspecting_each(context),
    }
    views = list_bottles(context)
    assert len(views) == count
    assert all(view.weight is not None for view in views)
    yield f"{count} bottles, median of {rounds} rounds"
    for what, act in ways.items():
        yield f"{seconds(act, rounds):8.3f} s  {what}"
    yield from begins(context, 2 * rounds)


def main() -> int:
    """Measure, and print a line for each way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bottles", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    try:
        with closing(docker.from_env(timeout=600)) as client:
            ensure_base_image(client)
        with tempfile.TemporaryDirectory(prefix="bottle-bench-") as name:
            folder = Path(name)
            context = make_context(home=folder / "home", environ={}, runtime=folder / "run")
            with bottles(context, folder, options.bottles):
                for line in measure(context, count=options.bottles, rounds=options.rounds):
                    sys.stdout.write(f"{line}\n")
    except (BottleError, DockerException) as exc:
        sys.stderr.write(f"error: {exc}\n")
        return 5
    return 0


if __name__ == "__main__":
    sys.exit(main())
