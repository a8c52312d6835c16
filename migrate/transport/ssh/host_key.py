"""Whether the key that a host shows is its own. Asked after the key exchange, before anything else is sent."""

from pathlib import Path

from paramiko import MissingHostKeyPolicy, PKey, SSHClient, Transport

from bottle.errors import HostKeyRejected, RemoteError
from migrate.transport.ssh.config import HostConfig
from migrate.transport.ssh.keys import fingerprint
from migrate.transport.ssh.known_hosts import KeyVerdict, KnownHost, KnownHosts, is_revoked

_RSA = ("rsa-sha2-512", "rsa-sha2-256")
_NOT_SENT = "nothing was sent there: neither a login nor a command"


class HostKeyCheck(MissingHostKeyPolicy):
    """The only judge of a host's key: the client it serves is given no keys of its own, so it is always asked.

    StrictHostKeyChecking of ssh_config is not heeded: an unknown key is refused unless `accept_new`.
    """

    def __init__(self, config: HostConfig, *, accept_new: bool) -> None:
        self._known = KnownHosts.read(
            config.hostname,
            config.port,
            alias=config.host_key_alias,
            user_files=config.user_known_hosts,
            more=config.global_known_hosts,
        )
        self._ssh = f"ssh {config.user}@{config.hostname}" + (f" -p {config.port}" if config.port != 22 else "")
        self._accept_new = accept_new
        self._hashed = config.hash_known_hosts
        self._revoked = config.revoked_host_keys

    def prefer_known_types(self, transport: Transport) -> None:
        """Ask the host first for a key of a type that is known; it may have several."""
        security = transport.get_security_options()
        known = [name for kind in self._known.key_types for name in (_RSA if kind == "ssh-rsa" else (kind,))]
        offered = list(security.key_types)
        first = [name for name in known if name in offered]
        security.key_types = (*first, *(name for name in offered if name not in first))

    def missing_host_key(self, client: SSHClient, hostname: str, key: PKey) -> None:
        """Return if the key is the host's, else raise HostKeyRejected."""
        blob = key.asbytes()
        shown = f"{key.get_name()} key {fingerprint(blob)}"
        if self._revoked is not None and is_revoked(self._revoked, key.get_name(), blob):
            raise self._not_to_be_used(shown, f"which {self._revoked} revokes, or which cannot be read")
        match self._known.judge(blob):
            case KeyVerdict.KNOWN:
                return
            case KeyVerdict.UNKNOWN if self._accept_new and self._known.user_files:
                self._add(key, blob)
            case KeyVerdict.UNKNOWN:
                raise self._unknown(shown)
            case KeyVerdict.CHANGED:
                raise self._changed(shown)
            case KeyVerdict.REVOKED:
                raise self._not_to_be_used(shown, f"which is marked @revoked in {_listed(self._known.files)}")

    def _add(self, key: PKey, blob: bytes) -> None:
        try:
            self._known.add(key.get_name(), blob, hashed=self._hashed)
        except OSError as exc:
            raise RemoteError(
                f"the key of {self._known.name} cannot be added to {self._known.user_files[0]}: {exc.strerror}",
                left=_NOT_SENT,
            ) from exc

    def _not_to_be_used(self, shown: str, why: str) -> HostKeyRejected:
        return HostKeyRejected(
            f"{self._known.name} shows the {shown}, {why}",
            left=_NOT_SENT,
            next_step="find out from the host's owner which key it should have",
        )

    def _unknown(self, shown: str) -> HostKeyRejected:
        authority = any(entry.marker == "@cert-authority" for entry in self._known.entries)
        return HostKeyRejected(
            f"the host key of {self._known.name} is not known: it shows the {shown}, and no line of "
            f"{_listed(self._known.files)} names that host"
            + (" (but a @cert-authority, which is not supported here)" if authority else ""),
            left=_NOT_SENT,
            next_step=f"compare that fingerprint with the host's own, then connect once with: {self._ssh} "
            "(or run this again with --accept-new-host-key)",
        )

    def _changed(self, shown: str) -> HostKeyRejected:
        entries = [entry for entry in self._known.entries if not entry.marker]
        files = " and ".join(f"ssh-keygen -R '{self._known.name}' -f {path}" for path in {e.path: 0 for e in entries})
        return HostKeyRejected(
            f"THE HOST KEY OF {self._known.name} HAS CHANGED: it shows the {shown}, but known is "
            f"{'; '.join(map(_place, entries))}. Somebody may be listening in, or the host was installed anew",
            left=_NOT_SENT,
            next_step=f"if the host's owner confirms the new fingerprint: {files}, then connect once with: {self._ssh}",
        )


def _place(entry: KnownHost) -> str:
    return f"the {entry.key_type} key {fingerprint(entry.blob)} ({entry.path}:{entry.line})"


def _listed(files: tuple[Path, ...]) -> str:
    return ", ".join(map(str, files)) or "any known_hosts file (none is configured)"
