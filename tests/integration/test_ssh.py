"""SSH against a real sshd on loopback: whom it trusts, how it logs in, what it says when the line breaks."""

import base64
import contextlib
import getpass
import os
import shlex
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from paramiko import HostKeys

from bottle.errors import ConnectionLost, HostKeyRejected, LoginRefused, RemoteError, UsageError
from migrate.model import Target
from migrate.transport.ssh import SshOptions, SshRemote
from migrate.transport.ssh.keys import fingerprint
from tests.contract.remote import ARGUMENTS, RemoteContract, script
from tests.integration.sshd import Sshd, free_port, make_key, running, user_with_shell

ECHO = script('printf %s "$1"', "it works")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with running(tmp_path_factory.mktemp("sshd"), host_key_types=("ed25519", "ecdsa", "rsa")) as sshd:
        yield sshd


class Client:
    """Files of one user: a known_hosts and a ssh_config that names `server` "box"."""

    def __init__(self, folder: Path, server: Sshd, *, known: bool = True, extra: tuple[str, ...] = ()) -> None:
        self.known_hosts = folder / "known_hosts"
        if known:
            server.known_hosts(self.known_hosts)
        self.config = server.ssh_config(folder / "ssh_config", self.known_hosts, extra=extra)

    def connect(self, target: str = "box", **options: object) -> SshRemote:
        return SshRemote.connect(Target.parse(target), options=SshOptions(ssh_config=self.config, **options))  # type: ignore[arg-type]


@pytest.fixture
def client(tmp_path: Path, server: Sshd) -> Client:
    return Client(tmp_path, server)


def blob_of(public: Path) -> bytes:
    return base64.b64decode(public.read_text().split()[1])


def lose(remote: SshRemote, server: Sshd) -> None:
    """Kill the sessions of `server` in the middle of a run."""
    timer = threading.Timer(0.4, server.kill_sessions)
    timer.start()
    with pytest.raises(ConnectionLost):
        remote.run(script("sleep 30"))
    timer.join()


class TestContract(RemoteContract):
    @pytest.fixture
    def remote(self, client: Client) -> Iterator[SshRemote]:
        with client.connect() as remote:
            yield remote


class TestHostKeys:
    def test_unknown_key_is_refused_before_anything_is_sent(self, tmp_path: Path) -> None:
        with running(tmp_path / "sshd") as server:
            client = Client(tmp_path, server, known=False)
            with pytest.raises(HostKeyRejected) as caught:
                client.connect()
            # The log of the session comes a moment after the hang-up.
            time.sleep(0.3)
            log = server.log()
        assert fingerprint(blob_of(server.host_keys[0].with_suffix(".pub"))) in str(caught.value)
        assert str(client.known_hosts) in str(caught.value)
        assert "--accept-new-host-key" in caught.value.next_step
        assert "kex: algorithm" in log
        for sign in ("userauth-request", "Failed ", "Accepted ", "Starting session", "session opened"):
            assert sign not in log
        assert not client.known_hosts.exists()

    def test_fingerprint_is_the_one_of_openssh(self, server: Sshd) -> None:
        public = server.host_keys[0].with_suffix(".pub")
        shown = subprocess.run(("ssh-keygen", "-lf", str(public)), capture_output=True, text=True, check=True).stdout
        assert shown.split()[1] == fingerprint(blob_of(public))

    def test_changed_key_is_refused_even_when_new_ones_are_accepted(self, tmp_path: Path, server: Sshd) -> None:
        client = Client(tmp_path, server, known=False)
        other = make_key(tmp_path / "other").with_suffix(".pub").read_text().split()
        client.known_hosts.write_text(f"# a comment\n[127.0.0.1]:{server.port} {other[0]} {other[1]}\n")
        before = client.known_hosts.read_text()
        with pytest.raises(HostKeyRejected, match="CHANGED") as caught:
            client.connect(accept_new_host_key=True)
        assert f"{client.known_hosts}:2" in str(caught.value)
        assert "ssh-keygen -R" in caught.value.next_step
        assert client.known_hosts.read_text() == before

    def test_a_known_host_that_shows_only_a_new_type_is_refused(self, tmp_path: Path) -> None:
        with running(tmp_path / "sshd", host_key_types=("ed25519",)) as server:
            client = Client(tmp_path, server, known=False)
            rsa = make_key(tmp_path / "rsa", kind="rsa").with_suffix(".pub").read_text().split()
            client.known_hosts.write_text(f"[127.0.0.1]:{server.port} {rsa[0]} {rsa[1]}\n")
            with pytest.raises(HostKeyRejected, match="CHANGED"):
                client.connect(accept_new_host_key=True)

    @pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
    def test_the_host_is_asked_for_the_type_that_is_known(self, tmp_path: Path, server: Sshd, kind: str) -> None:
        client = Client(tmp_path, server, known=False)
        server.known_hosts(client.known_hosts, kinds=(kind,))
        with client.connect() as remote:
            assert remote.run(ECHO).out == b"it works"

    def test_accepting_adds_the_key_and_it_holds(self, tmp_path: Path, server: Sshd) -> None:
        client = Client(tmp_path, server, known=False)
        client.known_hosts.write_text("other.example ssh-ed25519 AAAA")
        with client.connect(accept_new_host_key=True) as remote:
            assert remote.run(ECHO).out == b"it works"
        lines = client.known_hosts.read_text().splitlines()
        assert lines[0] == "other.example ssh-ed25519 AAAA"
        assert lines[1].startswith(f"[127.0.0.1]:{server.port} ssh-ed25519 ")
        client.connect().close()
        assert client.known_hosts.read_text().splitlines() == lines
        subprocess.run(("ssh", "-F", str(client.config), "-o", "StrictHostKeyChecking=yes", "box", "true"), check=True)

    def test_accepting_makes_a_private_file(self, tmp_path: Path, server: Sshd) -> None:
        config = server.ssh_config(tmp_path / "config", tmp_path / "new" / "known_hosts", extra=("HashKnownHosts yes",))
        options = SshOptions(ssh_config=config, accept_new_host_key=True)
        SshRemote.connect(Target("box"), options=options).close()
        made = tmp_path / "new" / "known_hosts"
        assert made.stat().st_mode & 0o777 == 0o600
        assert made.parent.stat().st_mode & 0o777 == 0o700
        assert made.read_text().startswith("|1|")
        SshRemote.connect(Target("box"), options=SshOptions(ssh_config=config)).close()

    @pytest.mark.parametrize(
        "name",
        [
            lambda port: HostKeys.hash_host(f"[127.0.0.1]:{port}"),
            lambda port: f"other,[127.0.0.1]:{port}",
            lambda port: f"[127.0.*]:{port}",
            lambda port: "127.0.0.1",
        ],
        ids=["hashed", "list", "wildcard", "without port"],
    )
    def test_forms_of_a_name(self, tmp_path: Path, server: Sshd, name: Callable[[int], str]) -> None:
        client = Client(tmp_path, server, known=False)
        server.known_hosts(client.known_hosts, name=name(server.port))
        client.connect().close()

    def test_negated_and_damaged_lines_name_nobody(self, tmp_path: Path, server: Sshd) -> None:
        client = Client(tmp_path, server, known=False)
        client.known_hosts.write_bytes(
            f"[127.0.0.1]:{server.port} ssh-ed25519 not*base64\n\xff\xfe garbage\n|1|x|y ssh-rsa AAAA\nshort\n".encode(
                "latin-1"
            )
        )
        server.known_hosts(client.known_hosts, name=f"![127.0.0.1]:{server.port},!127.0.0.1,*")
        with pytest.raises(HostKeyRejected, match="not known"):
            client.connect()

    def test_revoked_key_is_refused(self, tmp_path: Path, server: Sshd) -> None:
        client = Client(tmp_path, server)
        server.known_hosts(client.known_hosts, name="@revoked *")
        with pytest.raises(HostKeyRejected, match="revoked"):
            client.connect()

    def test_alias_and_several_files(self, tmp_path: Path, server: Sshd) -> None:
        key = server.known_hosts(tmp_path / "second", name="the-box")
        client = Client(tmp_path, server, known=False, extra=("HostKeyAlias the-box",))
        text = client.config.read_text().replace(f"File {client.known_hosts}", f"File {tmp_path / 'missing'} {key}")
        client.config.write_text(text)
        client.connect().close()


class TestConfiguration:
    def test_include_and_user_and_port(self, tmp_path: Path, client: Client, server: Sshd) -> None:
        top = tmp_path / "top"
        top.write_text(f"Include {tmp_path}/ssh_conf*\nHost *\n  ConnectTimeout 7\n")
        options = SshOptions(ssh_config=top)
        with SshRemote.connect(Target("box"), options=options) as remote:
            assert remote.run(script("id -un")).out.decode().strip() == getpass.getuser()

    def test_the_target_goes_ahead_of_the_configuration(self, tmp_path: Path, client: Client, server: Sshd) -> None:
        with pytest.raises(LoginRefused, match="nobody-here"):
            client.connect(f"nobody-here@box:{server.port}")
        with pytest.raises(RemoteError, match="refuses the connection"):
            client.connect(f"box:{free_port()}")

    def test_missing_configuration(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"Can't open user config file .*/none"):
            SshRemote.connect(Target("box"), options=SshOptions(ssh_config=tmp_path / "none"))

    def test_broken_configuration(self, tmp_path: Path) -> None:
        for text in ("Host box\n???\n", "Host box\n  Port many\n", "Match wrong\n"):
            (tmp_path / "config").write_text(text)
            with pytest.raises(UsageError, match=r"config line 2|missing|Match"):
                SshRemote.connect(Target("box"), options=SshOptions(ssh_config=tmp_path / "config"))

    def test_proxy_command_is_a_shell_command(self, tmp_path: Path, server: Sshd) -> None:
        code = (
            "import os,socket,sys,threading\n"
            "s=socket.create_connection((sys.argv[1],int(sys.argv[2])))\n"
            "def up():\n"
            "  while d:=os.read(0,65536): s.sendall(d)\n"
            "threading.Thread(target=up,daemon=True).start()\n"
            "while d:=s.recv(65536): os.write(1,d)\n"
        )
        (tmp_path / "proxy.py").write_text(code)
        command = f"ProxyCommand {sys.executable} {tmp_path}/proxy.py %h %p 2>/dev/null"
        with Client(tmp_path, server, extra=(command,)).connect() as remote:
            assert remote.run(ECHO).out == b"it works"
            assert remote.run(script("wc -c"), [bytes(1 << 20)] * 4).out.strip() == str(4 << 20).encode()

    def test_failing_proxy_command(self, tmp_path: Path, server: Sshd) -> None:
        start = time.monotonic()
        with pytest.raises(RemoteError):
            Client(tmp_path, server, extra=("ProxyCommand false",)).connect()
        assert time.monotonic() - start < 5


class TestJump:
    @pytest.fixture
    def far(self, tmp_path: Path) -> Iterator[Sshd]:
        with running(tmp_path / "far") as sshd:
            yield sshd

    def config(self, tmp_path: Path, server: Sshd, far: Sshd, *, jump_known: bool, far_known: bool = True) -> Path:
        known = tmp_path / "known_hosts"
        if jump_known:
            server.known_hosts(known)
        if far_known:
            far.known_hosts(known)
        config = server.ssh_config(tmp_path / "config", known, alias="jump")
        return far.ssh_config(config, known, alias="far", extra=("ProxyJump jump",))

    def test_through_a_jump_host(self, tmp_path: Path, server: Sshd, far: Sshd) -> None:
        config = self.config(tmp_path, server, far, jump_known=True)
        with SshRemote.connect(Target("far"), options=SshOptions(ssh_config=config)) as remote:
            assert remote.run(ECHO).out == b"it works"
            lose(remote, far)
            assert remote.run(ECHO).out == b"it works"
            lose(remote, server)
            assert remote.run(ECHO).out == b"it works"

    def test_the_key_of_the_jump_host_is_checked(self, tmp_path: Path, server: Sshd, far: Sshd) -> None:
        config = self.config(tmp_path, server, far, jump_known=False)
        with pytest.raises(HostKeyRejected, match=str(server.port)):
            SshRemote.connect(Target("far"), options=SshOptions(ssh_config=config))
        assert "kex: algorithm" not in far.log()

    def test_the_key_behind_the_jump_host_is_checked(self, tmp_path: Path, server: Sshd, far: Sshd) -> None:
        config = self.config(tmp_path, server, far, jump_known=True, far_known=False)
        with pytest.raises(HostKeyRejected, match=str(far.port)):
            SshRemote.connect(Target("far"), options=SshOptions(ssh_config=config))
        assert "userauth-request" not in far.log()

    def test_two_jumps_are_visited_in_order(self, tmp_path: Path, server: Sshd, far: Sshd) -> None:
        config = self.config(tmp_path, server, far, jump_known=True)
        with running(tmp_path / "last") as last:
            known = last.known_hosts(tmp_path / "known_hosts")
            server.ssh_config(config, known, alias="first")
            far.ssh_config(config, known, alias="second")
            last.ssh_config(config, known, alias="last", extra=("ProxyJump first,second",))
            with SshRemote.connect(Target("last"), options=SshOptions(ssh_config=config)) as remote:
                assert remote.run(ECHO).out == b"it works"
            time.sleep(0.2)
            assert f"target 127.0.0.1 port {far.port}" in server.log()
            assert f"target 127.0.0.1 port {last.port}" in far.log()
            assert f"target 127.0.0.1 port {last.port}" not in server.log()

    def test_a_jump_that_cannot_reach_the_host(self, tmp_path: Path, server: Sshd, far: Sshd) -> None:
        config = self.config(tmp_path, server, far, jump_known=True)
        far.stop()
        with pytest.raises(RemoteError, match="refuses to open a session"):
            SshRemote.connect(Target("far"), options=SshOptions(ssh_config=config))

    def test_a_circle_of_jumps_ends(self, tmp_path: Path) -> None:
        config = tmp_path / "config"
        config.write_text("Host a\n  ProxyJump b\nHost b\n  ProxyJump a\n")
        with pytest.raises(RemoteError, match="circles"):
            SshRemote.connect(Target("a"), options=SshOptions(ssh_config=config))


class TestLoginShells:
    @pytest.mark.parametrize("shell", ["/usr/bin/tcsh", "/usr/bin/fish", "/usr/bin/zsh", "/bin/dash", "/bin/bash"])
    def test_commands_mean_the_same_in_every_shell(self, client: Client, server: Sshd, shell: str) -> None:
        name = f"bottle-t{os.getpid()}"
        with user_with_shell(name, shell, server) as home:
            for file in (".bashrc", ".zshenv", ".cshrc", ".config/fish/config.fish"):
                (home / file).parent.mkdir(parents=True, exist_ok=True)
                (home / file).write_text("echo Welcome, this is noise\n")
            with client.connect(f"{name}@box") as remote:
                reply = remote.run(
                    script('for arg; do printf "%s\\0" "$arg"; done; cat; exit 3', *ARGUMENTS), [b"data"]
                )
                assert reply.out == b"\0".join(a.encode(errors="surrogateescape") for a in ARGUMENTS) + b"\0data"
                assert reply.status == 3
                assert remote.run(script("id -un")).out.decode().strip() == name

    def test_an_account_without_a_shell_says_so(self, client: Client, server: Sshd) -> None:
        name = f"bottle-t{os.getpid()}"
        with (
            user_with_shell(name, "/usr/sbin/nologin", server),
            client.connect(f"{name}@box") as remote,
            pytest.raises(RemoteError, match="not available"),
        ):
            remote.run(ECHO)


class TestLogin:
    def test_wrong_key(self, tmp_path: Path, server: Sshd, client: Client) -> None:
        wrong = make_key(tmp_path / "wrong")
        client.config.write_text(client.config.read_text().replace(str(server.user_key), str(wrong)))
        with pytest.raises(LoginRefused) as caught:
            client.connect()
        assert str(wrong) in str(caught.value)
        assert "publickey" in str(caught.value)
        assert caught.value.next_step

    def test_a_key_named_by_the_user_goes_first(self, tmp_path: Path, server: Sshd, client: Client) -> None:
        client.config.write_text(client.config.read_text().replace(str(server.user_key), str(tmp_path / "absent")))
        with pytest.raises(LoginRefused, match="no key to offer"):
            client.connect()
        client.connect(identity_files=(server.user_key,)).close()

    @pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
    def test_encrypted_key(self, tmp_path: Path, server: Sshd, client: Client, kind: str) -> None:
        locked = make_key(tmp_path / "locked", kind=kind, passphrase="open sesame")
        with server.authorized.open("a") as file:
            file.write(locked.with_suffix(".pub").read_text())
        client.config.write_text(client.config.read_text().replace(str(server.user_key), str(locked)))
        with pytest.raises(LoginRefused, match="encrypted"):
            client.connect()
        asked: list[str] = []
        answers = iter(["wrong", "open sesame"])

        def ask(prompt: str) -> str:
            asked.append(prompt)
            return next(answers)

        with client.connect(ask_password=ask) as remote:
            assert remote.run(ECHO).out == b"it works"
            assert asked == [f"Passphrase for key {locked}: "] * 2
            lose(remote, server)
            # Connects again without asking again.
            assert remote.run(ECHO).out == b"it works"
        assert len(asked) == 2
        with pytest.raises(LoginRefused, match="not opened"):
            client.connect(ask_password=lambda prompt: "")

    def test_key_in_the_agent(
        self, tmp_path: Path, server: Sshd, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sock = tmp_path / "agent"
        agent = subprocess.Popen(("ssh-agent", "-D", "-a", str(sock)), stdout=subprocess.DEVNULL)
        try:
            while not sock.exists():
                time.sleep(0.02)
            monkeypatch.setenv("SSH_AUTH_SOCK", str(sock))
            for number in range(7):
                subprocess.run(("ssh-add", "-q", str(make_key(tmp_path / f"k{number}"))), check=True)
            locked = make_key(tmp_path / "locked", passphrase="secret")
            with server.authorized.open("a") as file:
                file.write(locked.with_suffix(".pub").read_text())
            script_file = tmp_path / "askpass"
            script_file.write_text("#!/bin/sh\necho secret\n")
            script_file.chmod(0o755)
            environment = os.environ | {"SSH_ASKPASS": str(script_file), "SSH_ASKPASS_REQUIRE": "force"}
            subprocess.run(("ssh-add", "-q", str(locked)), check=True, env=environment)
            text = client.config.read_text().replace(str(server.user_key), str(locked))
            # Eight keys and MaxAuthTries 6: the one that the file, or the user, names goes first.
            client.config.write_text(text)
            client.connect().close()
            text = text.replace("IdentitiesOnly yes", "IdentitiesOnly no")
            client.config.write_text(text)
            client.connect().close()
            client.config.write_text(text.replace(str(locked), str(tmp_path / "absent")))
            with pytest.raises(LoginRefused, match="hung up"):
                client.connect()
            client.connect(identity_files=(locked,)).close()
        finally:
            agent.terminate()
            agent.wait()

    def test_password_only_when_somebody_can_be_asked(self, tmp_path: Path) -> None:
        name = f"bottle-t{os.getpid()}"
        with (
            running(tmp_path / "sshd", settings=("PasswordAuthentication yes",)) as server,
            user_with_shell(name, "/bin/sh", server),
        ):
            subprocess.run(("chpasswd",), input=f"{name}:pass word\n".encode(), check=True)
            client = Client(tmp_path, server)
            client.config.write_text(client.config.read_text().replace(str(server.user_key), str(tmp_path / "absent")))
            with pytest.raises(LoginRefused, match="password"):
                client.connect(f"{name}@box")
            answers = iter(["wrong", "pass word"])
            with client.connect(f"{name}@box", ask_password=lambda prompt: next(answers)) as remote:
                assert remote.run(ECHO).out == b"it works"

    def test_no_password_prompt_where_passwords_are_not_taken(
        self, tmp_path: Path, server: Sshd, client: Client
    ) -> None:
        client.config.write_text(client.config.read_text().replace(str(server.user_key), str(tmp_path / "absent")))
        asked: list[str] = []
        with pytest.raises(LoginRefused):
            client.connect(ask_password=lambda prompt: asked.append(prompt) or "x")
        assert not asked


class TestBreakage:
    def test_killed_session_and_the_next_run(self, client: Client, server: Sshd) -> None:
        with client.connect() as remote:
            lose(remote, server)
            assert remote.run(ECHO).out == b"it works"

    def test_killed_session_while_we_send(self, client: Client, server: Sshd) -> None:
        with client.connect() as remote:
            threading.Timer(0.5, server.kill_sessions).start()
            with pytest.raises(ConnectionLost):
                remote.run(script("cat >/dev/null"), (bytes(1 << 20) for _ in iter(int, 1)))
            assert remote.run(ECHO).out == b"it works"

    def test_parallel_runs_all_hear_of_it(self, client: Client, server: Sshd) -> None:
        with client.connect() as remote:
            heard: list[str] = []

            def one() -> None:
                try:
                    remote.run(script("sleep 30"))
                except ConnectionLost:
                    heard.append("lost")

            threads = [threading.Thread(target=one) for _ in range(3)]
            for thread in threads:
                thread.start()
            time.sleep(0.5)
            server.kill_sessions()
            for thread in threads:
                thread.join(5)
            assert heard == ["lost"] * 3

    def test_sshd_gone(self, tmp_path: Path) -> None:
        with running(tmp_path / "sshd") as server:
            client = Client(tmp_path, server)
            with client.connect() as remote:
                server.stop()
                for _ in range(3):
                    with pytest.raises(ConnectionLost) as caught:
                        remote.run(ECHO)
                assert "refuses the connection" in str(caught.value)
                server.start()
                assert remote.run(ECHO).out == b"it works"
            server.stop()
            with pytest.raises(RemoteError, match="refuses the connection") as first:
                client.connect()
            assert not isinstance(first.value, ConnectionLost)

    def test_a_name_without_an_address(self, tmp_path: Path) -> None:
        (tmp_path / "config").touch()
        with pytest.raises(RemoteError, match="DNS"):
            SshRemote.connect(Target("no-such-host.invalid"), options=SshOptions(ssh_config=tmp_path / "config"))

    @pytest.mark.parametrize("greeting", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-x\r\n" + bytes(400)])
    def test_something_else_answers(self, tmp_path: Path, greeting: bytes) -> None:
        (tmp_path / "config").touch()
        with socket.create_server(("127.0.0.1", 0)) as listener:

            def serve() -> None:
                with contextlib.suppress(OSError):
                    connection, _ = listener.accept()
                    connection.sendall(greeting)
                    connection.close()

            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            port = listener.getsockname()[1]
            with pytest.raises(RemoteError):
                SshRemote.connect(Target("127.0.0.1", None, port), options=SshOptions(ssh_config=tmp_path / "config"))

    def test_something_that_never_speaks(self, tmp_path: Path) -> None:
        (tmp_path / "config").touch()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            start = time.monotonic()
            options = SshOptions(ssh_config=tmp_path / "config", connect_timeout=1.0)
            with pytest.raises(RemoteError):
                SshRemote.connect(Target("127.0.0.1", None, listener.getsockname()[1]), options=options)
            assert time.monotonic() - start < 5

    def test_more_sessions_than_the_server_allows_wait_for_each_other(self, tmp_path: Path) -> None:
        with (
            running(tmp_path / "sshd", settings=("MaxSessions 1",)) as server,
            Client(tmp_path, server).connect() as remote,
        ):
            thread = threading.Thread(target=lambda: remote.run(script("sleep 2")))
            thread.start()
            time.sleep(0.5)
            assert remote.run(ECHO).out == b"it works"
            thread.join()
            for _ in range(20):
                assert remote.run(ECHO).out == b"it works"

    def test_a_server_that_allows_no_session(self, tmp_path: Path) -> None:
        with (
            running(tmp_path / "sshd", settings=("MaxSessions 0",)) as server,
            Client(tmp_path, server).connect() as remote,
            pytest.raises(RemoteError, match="refuses to open"),
        ):
            remote.run(ECHO)

    def test_ctrl_c_from_the_terminal(self, client: Client) -> None:
        program = (
            "import sys\nfrom pathlib import Path\nfrom migrate.transport.ssh import SshOptions, SshRemote\n"
            "from migrate.model import RemoteCommand, Target\n"
            f"options = SshOptions(ssh_config=Path({str(client.config)!r}))\n"
            "remote = SshRemote.connect(Target('box'), options=options)\n"
            "print('ready', flush=True)\n"
            "try:\n    remote.run(RemoteCommand(script='sleep 60'))\n"
            "except KeyboardInterrupt:\n    remote.close()\n    sys.exit(130)\n"
        )
        command = f"exec {shlex.quote(sys.executable)} -c {shlex.quote(program)}"
        process = subprocess.Popen(("sh", "-c", command), stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(0.5)
        start = time.monotonic()
        process.send_signal(2)
        assert process.wait(10) == 130
        assert time.monotonic() - start < 2
        process.stdout.close()
