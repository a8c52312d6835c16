"""What passes for a credential: well-known names of files, forms of keys and tokens, and the values of known secrets.

Only what is certain by its form counts, so that a find means something; what has no form of its own is found by the
name of its file alone. Nothing here ever shows a credential.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from migrate.secrets import private_key as privatekey

_UNGUESSABLE = 20  # bytes; below that a value may be one that a person made up
_ROUNDS = 200_000  # 0.1 s
SHORTEST = 6  # bytes; a value below that stands in too many files by chance
_REACH = privatekey.REACH  # bytes from where one begins that are looked at; no token is longer
_LEAST = 64 << 10  # bytes that are worth a search
_MOST = 1000  # in one file that are told from each other
_BEFORE = 24  # bytes before a token that are looked at
_OF_A_KEY = 40  # letters of one from its beginning, which tell whether it is more than an example
_HEAD = 1 << 20  # bytes of a file with a well-known name that are read to see whether it holds a credential


@dataclass(frozen=True, slots=True)
class Credential:
    """One that was found. `fingerprint` is the same wherever it stands; None where it is not to be told from others.

    The value of a known secret has none: nothing can make that a matter of no concern.
    """

    what: str
    fingerprint: str | None


def _token(data: bytes, begin: int, match: re.Match[bytes]) -> bytes | None:
    """The whole token of which `match` is a part; None for what only looks like one."""
    if not _is_real(data[begin : match.end()]) or not _begins(data, begin):
        return None
    run = _RUN.match(data, begin)
    return run[0] if run is not None else data[begin : match.end()]


def _private_key(data: bytes, _: int, match: re.Match[bytes]) -> bytes | None:
    body = privatekey.body(data, match)
    return body if body is not None and _is_real(body[:_OF_A_KEY]) else None


# What sets one apart from others of its form, or None where it is none after all; `begin` is where it begins.
_Read = Callable[[bytes, int, re.Match[bytes]], bytes | None]


@dataclass(frozen=True, slots=True)
class _Forms:
    """Credentials that are told by their forms, and have one byte in common: a search for that is what makes it fast.

    `pattern` begins with it, and has a group for each of them: `whats` says what they are, `before` how many bytes in
    front of it each of them begins.
    """

    whats: tuple[str, ...]
    before: tuple[int, ...]
    pattern: re.Pattern[bytes]
    read: _Read = _token

    @classmethod
    def around(cls, byte: bytes, *forms: tuple[str, bytes, bytes]) -> Self:
        """Forms by what stands on both sides of `byte`: in front letters, or sets of them in brackets."""
        rests = b"|".join(b"(?<=%s%s)(%s)" % (front, byte, rest) for _, front, rest in forms)
        before = tuple(len(re.sub(rb"\[[a-z]+\]", b".", front)) for _, front, _ in forms)
        return cls(tuple(what for what, _, _ in forms), before, re.compile(byte + b"(?:" + rests + b")"))


_FORMS = (
    _Forms.around(
        b"-",
        ("an Anthropic key", b"sk", rb"ant-[A-Za-z0-9_-]{20}"),
        ("an OpenAI key", b"sk", rb"(?:proj|svcacct|admin)-[A-Za-z0-9_-]{20}"),
        ("an OpenAI key", b"sk", rb"[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}"),
        ("a GitLab token", b"glpat", rb"[A-Za-z0-9_-]{20}"),
        ("a Slack token", b"xox[abeprs]", rb"[A-Za-z0-9-]{20}"),
        ("a PyPI token", b"pypi", rb"AgEIcHlwaS5vcmc[A-Za-z0-9_-]{40}"),
    ),
    _Forms.around(
        b"_",
        ("a GitHub token", b"gh[pousr]", rb"[A-Za-z0-9]{36}"),
        ("a GitHub token", b"github_pat", rb"[A-Za-z0-9_]{40}"),
        ("an npm token", b"npm", rb"[A-Za-z0-9]{36}"),
    ),
    _Forms.around(
        b"A",
        ("an AWS key", b"", rb"[KS]IA[A-Z2-7]{16}(?![A-Za-z0-9])"),
        ("a Google key", b"", rb"Iza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])"),
    ),
    _Forms(("a private key",), (0,), privatekey.BEGIN, _private_key),
)
_RUN = re.compile(rb"[A-Za-z0-9_-]{1,512}")
_ALNUM = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_ESCAPED = frozenset({b"\\n", b"\\r", b"\\t"})
_COLOUR = re.compile(rb"\x1b\[[0-9;:]{0,21}m\Z")  # ECMA-48, "SGR"


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A file that holds a credential by its name: always, or where `holds` is found in its beginning."""

    what: str
    path: re.Pattern[str]
    holds: re.Pattern[bytes] | None = None

    def names(self, path: str) -> bool:
        """Whether the absolute path `path` ends as the names of such files do."""
        return any(self.path.fullmatch(path, at.start()) for at in re.finditer("/", path))

    def is_one(self, head: bytes, size: int) -> bool:
        """Whether a file of that name, `size` bytes long and beginning with `head`, holds one."""
        if self.holds is None or size > _HEAD:
            return size > 0
        return self.holds.search(head) is not None


_SECRET_LINE = (
    rb"(?im)^[ \t]*(?:export[ \t]+)?[A-Z0-9_]*(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL)[A-Z0-9_]*[ \t]*="
    rb"[ \t]*[\"']?[^\s\"'#$]{6}"
)
_FILES = (
    NamedFile("an SSH key", re.compile(r"/\.ssh/id_[^/]*(?<!\.pub)")),
    NamedFile("a GnuPG key", re.compile(r"/\.gnupg/private-keys-v1\.d/[^/]+\.key")),
    NamedFile("logins", re.compile(r"/[._]netrc")),
    NamedFile("Git logins", re.compile(r"/\.git-credentials|/\.config/git/credentials")),
    NamedFile("AWS keys", re.compile(r"/\.aws/credentials")),
    NamedFile(
        "Google Cloud logins",
        re.compile(
            r"/\.config/gcloud/(?:credentials\.db|access_tokens\.db|application_default_credentials\.json"
            r"|legacy_credentials/.*)"
        ),
    ),
    NamedFile("PostgreSQL logins", re.compile(r"/\.pgpass")),
    NamedFile("a Payload token", re.compile(r"/\.payload/credentials(?:\.toml)?")),
    NamedFile("a Claude login", re.compile(r"/\.claude/\.credentials\.json")),
    NamedFile("a Codex login", re.compile(r"/\.codex/auth\.json")),
    NamedFile("an opencode login", re.compile(r"/\.local/share/opencode/(?:mcp-)?auth\.json")),
    NamedFile(
        "a Gemini login", re.compile(r"/\.gemini/(?:oauth_creds|gemini-credentials|(?:mcp|a2a)-oauth-tokens)\.json")
    ),
    NamedFile(
        "registry logins",
        re.compile(r"/\.docker/config\.json|/\.dockercfg"),
        re.compile(rb'"(?:auth|identitytoken|registrytoken|password)"\s*:\s*"[^"]'),
    ),
    NamedFile(
        "npm logins",
        re.compile(r"/\.npmrc|/\.yarnrc\.yml"),
        re.compile(rb"(?:_auth|_authToken|_password|npmAuthToken)[\"']?\s*[:=]\s*[\"']?[^\s\"'$]"),
    ),
    NamedFile("PyPI logins", re.compile(r"/\.pypirc"), re.compile(rb"(?m)^\s*password\s*[:=]\s*\S")),
    NamedFile(
        "cluster logins",
        re.compile(r"/\.kube/config"),
        re.compile(rb"(?:token|client-key-data|password)[\"']?\s*:\s*[\"']?[^\s\"']"),
    ),
    NamedFile("a GitHub login", re.compile(r"/\.config/gh/hosts\.yml"), re.compile(rb"oauth_token\s*:\s*\S")),
    NamedFile(
        "secret settings",
        re.compile(r"/\.env(?:\.(?!(?:example|sample|template|dist)\Z)[^/]+)?"),
        re.compile(_SECRET_LINE),
    ),
)


def by_name(path: str) -> NamedFile | None:
    """What a file at the absolute path `path` would hold, going by its name; None for most."""
    if "/." not in path and not path.endswith("/_netrc"):
        return None
    return next((each for each in _FILES if each.names(path)), None)


class Finder:
    """Looks for credentials in bytes that go by once, in pieces of any length. Memory is a piece and its neighbours."""

    def __init__(self, values: Mapping[str, bytes]) -> None:
        """`values` are those of known secrets by their names, none shorter than SHORTEST."""
        self._values = {f"the value of {name}": value for name, value in values.items()}
        self._reach = max([_REACH, *map(len, values.values())])

    def told_apart(self, salt: bytes) -> str | None:
        """What is another text for other secrets, empty for none; None where one could be guessed from it."""
        if not self._values:
            return ""
        if min(map(len, self._values.values())) < _UNGUESSABLE:
            return None
        told = json.dumps(sorted((name, value.hex()) for name, value in self._values.items()))
        return hashlib.pbkdf2_hmac("sha256", told.encode(), salt, _ROUNDS).hex()

    def find(self, pieces: Iterable[bytes]) -> tuple[Credential, ...]:
        """What is in them: each credential once, in the order in which they come up."""
        found: dict[Credential, None] = {}
        rest, judged = b"", 0  # of `rest`, the first `judged` bytes are there only to be looked back at
        for piece in pieces:
            rest = rest + piece if rest else piece
            end = len(rest) - self._reach
            if end < judged + _LEAST:
                continue
            found = _few(found | dict.fromkeys(self._search(rest, judged, end)))
            keep = max(0, end - max(_BEFORE, privatekey.BEFORE))
            rest, judged = rest[keep:], end - keep
        return tuple(_few(found | dict.fromkeys(self._search(rest, judged, len(rest)))))

    def _search(self, data: bytes, start: int, end: int) -> Iterator[Credential]:
        """What begins in `data` between `start` and `end`."""
        for forms in _FORMS:
            yield from _in(forms, data, start, end)
        for what, value in self._values.items():
            if 0 <= data.find(value, start) < end:
                yield Credential(what, None)


def _in(forms: _Forms, data: bytes, start: int, end: int) -> Iterator[Credential]:
    """Each that has one of these forms, and begins between `start` and `end`."""
    texts: set[bytes] = set()
    at, last = start, end + max(forms.before)
    while (match := forms.pattern.search(data, at)) is not None and match.start() < last:
        at = match.start() + 1
        number = (match.lastindex or 1) - 1
        begin = match.start() - forms.before[number]
        text = forms.read(data, begin, match) if start <= begin < end else None
        if text is not None and text not in texts:
            texts.add(text)
            yield Credential(forms.whats[number], hashlib.sha256(text).hexdigest())


def _few(found: dict[Credential, None]) -> dict[Credential, None]:
    """All of them, or, where there are very many, of each kind that there are some."""
    return found if len(found) <= _MOST else dict.fromkeys(Credential(each.what, None) for each in found)


def _begins(data: bytes, at: int) -> bool:
    """Whether a word begins there, also behind what JSON and programs write for a line's end, or a colour code."""
    if at == 0 or data[at - 1] not in _ALNUM or data[max(at - 2, 0) : at] in _ESCAPED:
        return True
    return _COLOUR.search(data, max(at - _BEFORE, 0), at) is not None


def _is_real(token: bytes) -> bool:
    """Whether it is more than the `xxxx` and `EXAMPLE` of a manual."""
    return len(set(token[-16:])) >= 6 and b"EXAMPLE" not in token.upper()
