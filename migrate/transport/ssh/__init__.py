"""Remote hosts over SSH: the only code that imports fabric and paramiko.

fabric makes and holds the connection, and goes through its gateways; paramiko speaks the protocol, reads keys, talks to
agents, and parses ssh_config where no `ssh` client can be asked. What they may not do here, and why:

- fabric may not read ssh_config. It takes paramiko's parser, which differs from OpenSSH in comments, quotes, tokens,
  variables and whole options, and knows no Include: another host, key or list of revoked keys would be meant. `ssh -G`
  says what OpenSSH makes of it (`lookup`); the parser stands in only where there is no client.
- fabric may not find the route. It visits `ProxyJump a,b` in the order b, a, and drops all jumps where one has the
  target's name; it is given each gateway instead (`connect`).
- fabric may not judge host keys. It loads no known_hosts, and adds whatever key it is shown (AutoAddPolicy).
- fabric may not run commands. Its runner decodes what is said, and cannot carry a tar (`remote`).
- paramiko may not read known_hosts. Its reader knows no wildcards and no `@revoked`, holds one key of a type, and stops
  at a line that it cannot decode; RevokedHostKeys is unknown to it (`known_hosts`).
- paramiko may not run a ProxyCommand. It splits the command into words without a shell, and its reads spin when the
  command has ended. Nor may it close a tunnel: its thread does so unguarded, and a traceback would land on the terminal
  when the jump host has died (`connect`).
- paramiko may not dial where AddressFamily or BindAddress is set: it knows neither.
- Neither may choose how to log in. Their AuthStrategy takes a method that is only the first of two for a login, goes on
  when the host has hung up, and knows no CertificateFile and no IdentitiesOnly (`login`, `identities`).
- paramiko's Agent knows only the socket of SSH_AUTH_SOCK, and takes an RSA certificate for the key in it;
  `PKey.from_path` opens no encrypted key (`identities`).
"""

import logging

from migrate.transport.ssh.connect import SshOptions
from migrate.transport.ssh.keys import require_key_file
from migrate.transport.ssh.remote import SshRemote

# What paramiko logs as an error is raised here as one; without a handler Python would print it, tracebacks and all.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

__all__ = ["SshOptions", "SshRemote", "require_key_file"]
