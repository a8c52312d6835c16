"""Proving who we are: keys, the agent, and what somebody types at a terminal, in the order OpenSSH users expect."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from paramiko import (
    AuthenticationException,
    BadAuthenticationType,
    ECDSAKey,
    Ed25519Key,
    PasswordRequiredException,
    PKey,
    RSAKey,
    SSHException,
    Transport,
)

from bottle.errors import ConnectionLost, LoginRefused
from bottle.text import printable
from migrate.ssh.agent import AgentAt
from migrate.ssh.config import HostConfig
from migrate.ssh.keys import describe, read_public_blob

_CLASSES: tuple[type[PKey], ...] = (Ed25519Key, ECDSAKey, RSAKey)
_TYPED = frozenset({"password", "keyboard-interactive"})
_TRIES = 3


class _Encrypted(Exception):
    """A key file wants a passphrase, or another one."""


@dataclass(slots=True)
class Prompter:
    """Asks the terminal, and remembers what turned out right, so that a reconnect does not ask again."""

    ask: Callable[[str], str] | None
    _right: dict[str, str] = field(default_factory=dict)

    def answers(self, prompt: str) -> Iterator[str]:
        """Answers worth trying, until the caller is content or the user leaves one empty."""
        if prompt in self._right:
            yield self._right.pop(prompt)
        for _ in range(_TRIES if self.ask else 0):
            answer = self.ask(prompt) if self.ask else ""
            if not answer:
                return
            yield answer

    def was_right(self, prompt: str, answer: str) -> None:
        """Keep `answer` for the life of this object, in memory only."""
        self._right[prompt] = answer


class _Offer(Protocol):
    def __call__(self, transport: Transport) -> list[str]: ...


@dataclass(slots=True)
class Login:
    """An auth strategy for paramiko: `authenticate` is called once the host's key has been accepted."""

    host: str
    user: str
    config: HostConfig
    identity_files: tuple[Path, ...]
    prompter: Prompter
    _tried: list[str] = field(default_factory=list)
    _allowed: frozenset[str] | None = None

    def authenticate(self, transport: Transport) -> list[str]:
        """Log in, or raise LoginRefused with what was tried. A method that is only the first of two goes on."""
        if self._offer(transport, "", lambda t: t.auth_none(self.user)):
            return []
        agent = AgentAt(self.config.identity_agent) if self.config.identity_agent is not None else None
        try:
            if self._may("publickey") and self._by_key(transport, agent):
                return []
        finally:
            if agent is not None:
                agent.close()
        if self._may_type() and self._by_password(transport):
            return []
        raise self._refused(transport)

    def _by_key(self, transport: Transport, agent: AgentAt | None) -> bool:
        """Keys named by the user, then the agent's, then ssh_config's or the usual ones; those that ask come last."""
        locked: list[Path] = []
        files = self.config.identity_files
        held = list(agent.get_keys()) if agent is not None else []
        if self.config.identities_only:
            named = {blob for path in (*self.identity_files, *files) for blob in _public_blobs(path)}
            held = [key for key in held if key.asbytes() in named]
        in_agent = {key.asbytes() for key in held}
        for path in self.identity_files:
            if self._file(transport, path, locked, skip=frozenset()):
                return True
        for key in held:
            if self._key(transport, key, f"the agent's {describe(key.asbytes())}"):
                return True
        for path in files:
            if self._file(transport, path, locked, skip=in_agent):
                return True
        return any(self._unlocked(transport, path, in_agent) for path in locked)

    def _file(
        self, transport: Transport, path: Path, locked: list[Path], *, skip: frozenset[bytes] | set[bytes]
    ) -> bool:
        if any(blob in skip for blob in _public_blobs(path)):
            return False
        try:
            keys = _load(path, None, self.config.certificate_files)
        except _Encrypted:
            locked.append(path)
            return False
        except (OSError, ValueError, SSHException) as exc:
            if path.exists():
                self._tried.append(f"{path} (not readable as a private key: {printable(str(exc), 120)})")
            return False
        return any(self._key(transport, key, f"{path} ({describe(key.asbytes())})") for key in keys)

    def _unlocked(self, transport: Transport, path: Path, in_agent: set[bytes]) -> bool:
        if any(blob in in_agent for blob in _public_blobs(path)) or not transport.is_active():
            return False
        if self.prompter.ask is None:
            self._tried.append(f"{path} (encrypted, and nobody to ask for the passphrase: ssh-add {path})")
            return False
        prompt = f"Passphrase for key {path}: "
        for answer in self.prompter.answers(prompt):
            try:
                keys = _load(path, answer, self.config.certificate_files)
            except _Encrypted:
                continue
            self.prompter.was_right(prompt, answer)
            return any(self._key(transport, key, f"{path} ({describe(key.asbytes())})") for key in keys)
        self._tried.append(f"{path} (encrypted, and not opened)")
        return False

    def _by_password(self, transport: Transport) -> bool:
        prompt = f"{self.user}@{self.host}'s password: "
        for answer in self.prompter.answers(prompt):
            if self._offer(transport, "a password", lambda t, a=answer: t.auth_password(self.user, a)):
                self.prompter.was_right(prompt, answer)
                return True
            if not transport.is_active():
                break
        return False

    def _key(self, transport: Transport, key: PKey, what: str) -> bool:
        return self._offer(transport, what, lambda t: t.auth_publickey(self.user, key))

    def _may(self, method: str) -> bool:
        return method in self.config.methods and (self._allowed is None or method in self._allowed)

    def _may_type(self) -> bool:
        return "password" in self.config.methods and (self._allowed is None or bool(self._allowed & _TYPED))

    def _offer(self, transport: Transport, what: str, offer: _Offer) -> bool:
        """Make one attempt. Afterwards `_allowed` says what the host would still take."""
        if not transport.is_active():
            return False
        if what and what not in self._tried:
            self._tried.append(what)
        try:
            also_needed = offer(transport)
        except BadAuthenticationType as exc:
            self._allowed = frozenset(exc.allowed_types)
            return False
        except AuthenticationException:
            return False
        except (SSHException, EOFError, OSError):
            if transport.is_active():
                raise
            return False
        if also_needed:
            self._allowed = frozenset(also_needed)
        return transport.is_authenticated()

    def _refused(self, transport: Transport) -> LoginRefused | ConnectionLost:
        if not transport.is_active() and not self._tried:
            return ConnectionLost(
                f"{self.host} hung up before anybody could log in", next_step=f"ssh -v ssh://{self.host} true"
            )
        hung_up = (
            "" if transport.is_active() else "; it hung up after these (MaxAuthTries): name the right key with -i KEY"
        )
        tried = "; ".join(self._tried) or "nothing, for there was no key to offer"
        takes = f" (it takes {', '.join(sorted(self._allowed))})" if self._allowed else ""
        return LoginRefused(
            f"{self.host} does not let {self.user} in{takes}. Tried: {tried}{hung_up}",
            left="nothing was changed there",
            next_step=f"make this work first: ssh ssh://{self.host} true (with a key: -i KEY)",
        )


def _load(path: Path, passphrase: str | None, certificates: tuple[Path, ...]) -> list[PKey]:
    """The key of a file, ahead of it with each certificate of it. Raises _Encrypted."""
    failure: Exception | None = None
    for kind in _CLASSES:
        try:
            key = kind.from_private_key_file(str(path), passphrase)
            certified = []
            for certificate in (Path(f"{path}-cert.pub"), *certificates):
                if _certifies(certificate, key):
                    certified.append(kind.from_private_key_file(str(path), passphrase))
                    certified[-1].load_certificate(str(certificate))
        except PasswordRequiredException:
            raise _Encrypted from None
        except (SSHException, ValueError, TypeError) as exc:
            failure = failure or exc
        else:
            return [*certified, key]
    if passphrase is not None:
        raise _Encrypted
    raise ValueError(str(failure))


def _certifies(certificate: Path, key: PKey) -> bool:
    """Whether a certificate is of this key: its public part stands in there as it does in the key."""
    blob = read_public_blob(certificate)
    public = key.asbytes()
    return blob is not None and public[4 + int.from_bytes(public[:4]) :] in blob


def _public_blobs(path: Path) -> Iterator[bytes]:
    for candidate in (Path(f"{path}.pub"), path):
        blob = read_public_blob(candidate)
        if blob is not None:
            yield blob
