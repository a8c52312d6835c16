"""What passes for a credential: well-known names of files, forms of keys and tokens, and the values of known secrets.

Only what is certain by its form counts, so that a find means something; what has no form of its own is found by the
name of its file alone. Nothing here ever shows a credential.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

SHORTEST = 6  # bytes; a value below that stands in too many files by chance
# Bytes from where a find begins that are enough to see that it is one: the longest form is that of a private key.
_REACH = 1024
_BEFORE = 24  # bytes before a token that are looked at
_HEAD = 1 << 20  # bytes of a file with a well-known name that are read to see whether it holds a credential


@dataclass(frozen=True, slots=True)
class _Form:
    """A token that is told by its form. `pattern` begins with letters of its own: that is what makes it fast."""

    what: str
    pattern: re.Pattern[bytes]
    token: bool = True


_FORMS = (
    _Form("an Anthropic key", re.compile(rb"sk-ant-[A-Za-z0-9_-]{20}")),
    _Form("an OpenAI key", re.compile(rb"sk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{20}")),
    _Form("an OpenAI key", re.compile(rb"sk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}")),
    _Form("a GitHub token", re.compile(rb"gh[pousr]_[A-Za-z0-9]{36}")),
    _Form("a GitHub token", re.compile(rb"github_pat_[A-Za-z0-9_]{40}")),
    _Form("a GitLab token", re.compile(rb"glpat-[A-Za-z0-9_-]{20}")),
    _Form("a Slack token", re.compile(rb"xox[abeprs]-[A-Za-z0-9-]{20}")),
    _Form("an AWS key", re.compile(rb"A[KS]IA[A-Z2-7]{16}(?![A-Za-z0-9])")),
    _Form("a Google key", re.compile(rb"AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])")),
    _Form("an npm token", re.compile(rb"npm_[A-Za-z0-9]{36}")),
    _Form("a PyPI token", re.compile(rb"pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{40}")),
    _Form(
        "a private key",  # its header alone stands in many a program; RFC 7468, RFC 1421, RFC 4880
        re.compile(
            rb"-----BEGIN [A-Z0-9 ]{0,20}PRIVATE KEY(?: BLOCK)?-----"
            rb"(?:\\[rn]|[\s\"'+,]){0,40}(?:[A-Za-z-]{1,20}: [^\n\\]{1,100}(?:\\[rn]|\s){1,4}){0,4}[A-Za-z0-9+/=]{40}"
        ),
        token=False,
    ),
)
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
    NamedFile("a Cargo token", re.compile(r"/\.cargo/credentials(?:\.toml)?")),
    NamedFile("a Claude login", re.compile(r"/\.claude/\.credentials\.json")),
    NamedFile("a Codex login", re.compile(r"/\.codex/auth\.json")),
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

    def find(self, pieces: Iterable[bytes]) -> tuple[str, ...]:
        """What is in them: each kind of find once, in the order in which they come up."""
        found: dict[str, None] = {}
        rest, judged = b"", 0  # of `rest`, the first `judged` bytes are there only to be looked back at
        for piece in pieces:
            rest = rest + piece if rest else piece
            end = len(rest) - self._reach
            if end <= judged:
                continue
            self._search(rest, judged, end, found)
            keep = max(0, end - _BEFORE)
            rest, judged = rest[keep:], end - keep
        self._search(rest, judged, len(rest), found)
        return tuple(found)

    def _search(self, data: bytes, start: int, end: int, found: dict[str, None]) -> None:
        """Add what begins in `data` between `start` and `end`."""
        for form in _FORMS:
            if form.what not in found and _is_in(form, data, start, end):
                found[form.what] = None
        for what, value in self._values.items():
            if what not in found and 0 <= data.find(value, start) < end:
                found[what] = None


def _is_in(form: _Form, data: bytes, start: int, end: int) -> bool:
    at = start
    while (match := form.pattern.search(data, at)) is not None and match.start() < end:
        at = match.start() + 1
        if _is_real(match[0]) and (not form.token or _begins(data, match.start())):
            return True
    return False


def _begins(data: bytes, at: int) -> bool:
    """Whether a word begins there, also behind what JSON and programs write for a line's end, or a colour code."""
    if at == 0 or data[at - 1] not in _ALNUM or data[max(at - 2, 0) : at] in _ESCAPED:
        return True
    return _COLOUR.search(data, max(at - _BEFORE, 0), at) is not None


def _is_real(token: bytes) -> bool:
    """Whether it is more than the `xxxx` and `EXAMPLE` of a manual."""
    return len(set(token[-16:])) >= 6 and b"EXAMPLE" not in token.upper()
