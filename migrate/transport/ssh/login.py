"""Proving who we are: keys, the agent, and what somebody types at a terminal, in the order OpenSSH users expect."""

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from paramiko import AuthenticationException, BadAuthenticationType, SSHException, Transport

from bottle.errors import ConnectionLost, LoginRefused
from bottle.text import printable
from bottle.words import ssh_to
from migrate.transport.ssh.config import HostConfig
from migrate.transport.ssh.identities import (
    AgentAt,
    Offer,
    beside,
    certificates,
    in_order,
    public_blobs,
)
from migrate.transport.ssh.keys import Encrypted, load, public_blob_of, unusable_without_agent

_TYPED = frozenset({"password", "keyboard-interactive"})
_TRIES = 3


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
        if self._offer(transport, "", partial(transport.auth_none, self.user)):
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
        """All keys that can be had at once, in order; those that ask come last."""
        by_user, configured = self.identity_files, self.config.identity_files
        first = public_blobs(by_user)
        named = first | public_blobs(configured)
        held = {key.asbytes(): Offer.held(key) for key in (agent.get_keys() if agent is not None else ())}
        locked: list[Path] = []
        keys = [
            *(offer for blob, offer in held.items() if blob in first),
            *self._files(by_user, held, locked, meant=True),
            *(offer for blob, offer in held.items() if blob in named - first),
            *(offer for blob, offer in held.items() if blob not in named and not self.config.identities_only),
            *self._files(configured, held, locked),
        ]
        return self._keys(transport, keys) or any(self._unlocked(transport, path) for path in locked)

    def _files(
        self, paths: tuple[Path, ...], held: Container[bytes | None], locked: list[Path], *, meant: bool = False
    ) -> Iterator[Offer]:
        """The keys of these files that no agent holds; those that ask are added to `locked` instead.

        Raises UsageError for one that is of no use though the user `meant` it.
        """
        for path in paths:
            if public_blob_of(path) in held:
                continue
            try:
                yield Offer.read(path, load(path))
            except Encrypted:
                locked.append(path)
            except (OSError, ValueError) as exc:
                if meant and path.exists():
                    raise unusable_without_agent(path, printable(str(exc), 120)) from exc
                if path.exists():
                    self._tried.append(f"{path} (not readable as a private key: {printable(str(exc), 120)})")

    def _keys(self, transport: Transport, keys: Sequence[Offer]) -> bool:
        """Offer each of these once, and with each of their certificates."""
        first, offered = certificates(self.config.certificate_files), set[bytes]()
        others = () if self.config.certificate_files else beside((*self.identity_files, *self.config.identity_files))
        for each in in_order(keys, first, others):
            blob = each.key.asbytes()
            if blob not in offered and self._key(transport, each):
                return True
            offered.add(blob)
        return False

    def _unlocked(self, transport: Transport, path: Path) -> bool:
        if not transport.is_active():
            return False
        if self.prompter.ask is None:
            self._tried.append(f"{path} (encrypted, and nobody to ask for the passphrase: ssh-add {path})")
            return False
        prompt = f"Passphrase for key {path}: "
        for answer in self.prompter.answers(prompt):
            try:
                key = load(path, answer)
            except Encrypted:
                continue
            self.prompter.was_right(prompt, answer)
            return self._keys(transport, (Offer.read(path, key),))
        self._tried.append(f"{path} (encrypted, and not opened)")
        return False

    def _by_password(self, transport: Transport) -> bool:
        prompt = f"{self.user}@{self.host.rpartition('@')[2]}'s password: "
        for answer in self.prompter.answers(prompt):
            if self._offer(transport, "a password", partial(transport.auth_password, self.user, answer)):
                self.prompter.was_right(prompt, answer)
                return True
            if not transport.is_active():
                break
        return False

    def _key(self, transport: Transport, offer: Offer) -> bool:
        return self._offer(transport, offer.what, partial(transport.auth_publickey, self.user, offer.key))

    def _may(self, method: str) -> bool:
        return method in self.config.methods and (self._allowed is None or method in self._allowed)

    def _may_type(self) -> bool:
        return "password" in self.config.methods and (self._allowed is None or bool(self._allowed & _TYPED))

    def _offer(self, transport: Transport, what: str, attempt: Callable[[], list[str]]) -> bool:
        """Make one attempt. Afterwards `_allowed` says what the host would still take."""
        if not transport.is_active():
            return False
        if what and what not in self._tried:
            self._tried.append(what)
        try:
            also_needed = attempt()
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
                f"{self.host} hung up before anybody could log in", next_step=f"{ssh_to(self.host, options='-v')} true"
            )
        hung_up = (
            "" if transport.is_active() else "; it hung up after these (MaxAuthTries): name the right key with -i KEY"
        )
        tried = "; ".join(self._tried) or "nothing, for there was no key to offer"
        takes = f" (it takes {', '.join(sorted(self._allowed))})" if self._allowed else ""
        return LoginRefused(
            f"{self.host} does not let {self.user} in{takes}. Tried: {tried}{hung_up}",
            left="nothing was changed there",
            next_step=f"make this work first: {ssh_to(self.host)} true   (with a key: -i KEY)",
        )
