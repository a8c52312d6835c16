"""The recording at the top of the README, of a real run with a second real host: `python -m tests.recording [FILE]`.

Each line of the picture appears when it did, as fast as one can read; whoever wants no motion sees all of it at once.
"""

from __future__ import annotations

import io
import re
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import docker
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from tests.hosts import DockerHost
from tests.integration import migration
from tests.integration.migration import BOTTLE, ROOT, Desk
from tests.support.terminal import Terminal

COLUMNS = 100
FILE = ROOT / "docs" / "images" / "first-hour.svg"
THERE = "newhost"
# Seconds: for a command that is typed, for each line of what it says, and that it is shown to take at most.
TYPED, READ, LONGEST = 0.8, 0.25, 2.5
IMAGE = "bottle-recording:latest"
MANIFEST = f"""\
[agents.demo]
image = "{IMAGE}"
command = ["/agent"]
resume_command = ["/agent", "again"]
transcript = ["/root/journal"]
"""


@dataclass
class Recording:
    """Lines, each with the second in which it appears."""

    desk: Desk
    lines: list[tuple[float, Text]] = field(default_factory=list)
    now: float = 0.5

    def run(self, words: str, *, comment: str = "") -> str:
        """Run a command line on a terminal's terms, and record it with what it says."""
        self._show(Text.assemble(("$ ", "green"), (words, "bold"), (f"   # {comment}" if comment else "", "dim")))
        self.now += TYPED
        began = time.monotonic()
        with Terminal(shlex.split(words), cwd=self.desk.folder, environ=self.desk.environ, columns=COLUMNS) as terminal:
            code = terminal.exit_code(seconds=120)
            said = terminal.transcript
        assert code == 0, said
        self.now += min(time.monotonic() - began, LONGEST)
        for line in said.splitlines():
            self._show(Text.from_ansi(line))
            self.now += READ
        self._show(Text())
        return said

    def _show(self, text: Text) -> None:
        wide = Console(file=io.StringIO(), width=COLUMNS)
        self.lines += [(self.now, line) for line in text.wrap(wide, COLUMNS)] or [(self.now, text)]


def record(desk: Desk) -> Recording:
    """The main job: start, commit, lose, resume, move, resume there."""
    recording = Recording(desk)
    started = recording.run("bottle start demo -d --copy-cwd")
    identity = re.findall(r"demo-[0-9a-z]{5}", started)[0]
    recording.run(f'bottle commit {identity} -m "half of the parser"')
    recording.run(f"docker rm -f bottle-{identity}", comment="a reboot, a mistake, …")
    recording.run(f"bottle resume {identity} -d")
    recording.run(f"bottle migrate {identity} {THERE}")
    recording.run(f"ssh {THERE} bottle resume {identity} -d")
    recording.run(f"ssh {THERE} docker exec bottle-{identity} tail -n 3 /root/journal/log", comment="it goes on there")
    return recording


def drawn(recording: Recording) -> str:
    """The picture."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), legacy_windows=False)
    for _, line in recording.lines:
        console.print(line, no_wrap=True, overflow="crop", highlight=False)
    svg = console.export_svg(title="bottle", theme=MONOKAI, unique_id="bottle")
    appears = "".join(
        f'    [clip-path="url(#bottle-line-{number})"] {{ animation: appear 0s {second:.2f}s both }}\n'
        for number, (second, _) in enumerate(recording.lines)
    )
    style = (
        "    @keyframes appear { from { visibility: hidden } to { visibility: visible } }\n"
        f"    @media (prefers-reduced-motion: no-preference) {{\n{appears}    }}\n"
    )
    return svg.replace("    </style>", f"{style}    </style>", 1)


def main() -> None:
    """Record, and write the picture."""
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else FILE
    engine = docker.from_env()
    engine.images.build(path=str(ROOT / "examples" / "demo"), tag=IMAGE, rm=True)
    with (
        tempfile.TemporaryDirectory(prefix="bottle-recording-") as folder,
        DockerHost() as host,
        migration.desk_in(Path(folder) / "desk", engine) as desk,
    ):
        (desk.folder / "bottle.toml").write_text(MANIFEST)
        command = desk.folder / "bin" / "bottle"
        command.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, *BOTTLE])} "$@"\n')
        command.chmod(0o755)
        desk.knows_as(THERE, host, host.port)
        host.install_bottle(_wheel(Path(folder)))
        file.write_text(drawn(record(desk)), encoding="utf-8")
    engine.images.remove(IMAGE)


def _wheel(folder: Path) -> Path:
    words = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT))
    subprocess.run(words, check=True)
    return next(folder.glob("*.whl"))


if __name__ == "__main__":
    main()
