"""Debian's docker-registry on the far host, reached through an SSH tunnel, as `docker pussh` reaches its own."""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from tests.hosts import DockerHost

_FOLDER = "/var/lib/bench-registry"
_PORT = 5000
_CONFIG = f"""version: 0.1
log: {{level: error}}
storage:
  filesystem: {{rootdirectory: {_FOLDER}/live}}
http: {{addr: "127.0.0.1:{_PORT}"}}
"""
_START = """
set -eu
cat >/etc/bench-registry.yml
[ ! -r /run/bench-registry.pid ] || kill "$(cat /run/bench-registry.pid)" 2>/dev/null || :
rm -rf "$1/live"
mkdir -p "$1/live"
[ ! -d "$1/saved-$2" ] || cp -a "$1/saved-$2/." "$1/live/"
setsid docker-registry serve /etc/bench-registry.yml </dev/null >/var/log/bench-registry.log 2>&1 &
echo $! >/run/bench-registry.pid
tenth=0
until python3 -c 'import socket, sys; socket.create_connection(("127.0.0.1", int(sys.argv[1])))' "$3" 2>/dev/null; do
    tenth=$((tenth + 1))
    [ "$tenth" -lt 100 ] || exit 1
    sleep 0.1
done
"""


class Registry:
    """The registry there, and the tunnel to it."""

    def __init__(self, host: DockerHost, ssh: Sequence[str], alias: str, port: int) -> None:
        self._host = host
        self._ssh = tuple(ssh)
        self._alias = alias
        self._port = port
        self._pushed: set[str] = set()
        self.far_repository = f"localhost:{_PORT}/bench"
        self.repository = f"localhost:{port}/bench"

    def prepare(self, contents: Mapping[str, tuple[str, str]]) -> None:
        """Push images, one after the other, and keep what the registry then has under each name.

        The far engine pulls each once, so that it knows the layers by the names that the registry has for them.
        """
        self.restore("nothing")
        for name, (image, tag) in contents.items():
            with self.tunnel():
                self.push(image, tag)
            self._host.docker("pull", "--quiet", f"{self.far_repository}:{tag}")
            self._host.exec(["cp", "-a", f"{_FOLDER}/live", f"{_FOLDER}/saved-{name}"])

    def push(self, image: str, tag: str) -> None:
        """Push, not measured."""
        name = self.name(image, tag)
        subprocess.run(["docker", "push", "--quiet", name], check=True, stdout=subprocess.DEVNULL)

    def name(self, image: str, tag: str) -> str:
        """Give an image of this host the name under which the registry is to have it; that name."""
        name = f"{self.repository}:{tag}"
        subprocess.run(["docker", "tag", image, name], check=True)
        self._pushed.add(name)
        return name

    def restore(self, name: str) -> None:
        """Start it anew with what it had under `name`; with nothing for a name that was not kept."""
        self._host.exec(["sh", "-c", _START, "start", _FOLDER, name, str(_PORT)], stdin=_CONFIG.encode())

    @contextmanager
    def tunnel(self, watch: Callable[["subprocess.Popen[bytes]"], None] = lambda _: None) -> Iterator[None]:
        """The registry answers on a port of this host while the context is open."""
        forward = f"127.0.0.1:{self._port}:127.0.0.1:{_PORT}"
        argv = [*self._ssh, "-N", "-o", "ExitOnForwardFailure=yes", "-L", forward, self._alias]
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
        try:
            watch(process)
            self._wait(process)
            yield
        finally:
            process.terminate()
            process.wait()

    def _wait(self, process: "subprocess.Popen[bytes]") -> None:
        give_up = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < give_up:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=5):
                return
            time.sleep(0.05)
        raise RuntimeError("the tunnel to the registry does not open")

    def forget(self) -> None:
        """Take away the names that were given here."""
        for name in self._pushed:
            subprocess.run(["docker", "image", "rm", name], check=False, capture_output=True)
