"""An engine's socket offered over TLS, to clients whose certificate it knows."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path


def make_certificate(folder: Path) -> Path:
    """`ca.pem`, `cert.pem` and `key.pem` for 127.0.0.1, one pair being authority, server and client; the folder."""
    folder.mkdir(parents=True)
    words = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    names = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    files = ("-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem"))
    subprocess.run((*words, *names, *files), check=True, capture_output=True)
    (folder / "ca.pem").write_bytes((folder / "cert.pem").read_bytes())
    return folder


@contextlib.contextmanager
def offered(target: str, certificates: Path) -> Iterator[int]:
    """Forward what comes over TLS to the socket `target`; yields the port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with (
                contextlib.suppress(OSError),
                socket.socket(socket.AF_UNIX) as engine,
                context.wrap_socket(self.request, server_side=True) as client,
            ):
                engine.connect(target)
                back = threading.Thread(target=_pump, args=(engine, client), daemon=True)
                back.start()
                _pump(client, engine)
                back.join()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads, server.block_on_close = True, False
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield int(server.server_address[1])
        server.shutdown()


def _pump(source: socket.socket, target: socket.socket) -> None:
    """Forward one direction to its end, which ends both: TLS knows no half."""
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)
