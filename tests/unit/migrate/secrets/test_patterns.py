"""What passes for a credential, and what does not: told by form, by the name of a file, or by a value that is known."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import serialization as forms
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given, settings, strategies as st

from migrate.secrets.patterns import Finder, by_name

LETTERS = "aZ3bY4cX5dW6eV7fU2gT"  # of which a token is made up here: none of them is one that ever was
BODY = (LETTERS * 6).encode()
KEY = b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n" + BODY[:64] + b"\n"
PLANTED = {
    "an Anthropic key": b"sk-" + b"ant-api03-" + BODY[:40],
    "an OpenAI key": b"sk-" + b"proj-" + BODY[:40],
    "a GitHub token": b"gh" + b"p_" + BODY[:36],
    "a GitLab token": b"glpat" + b"-" + BODY[:20],
    "a Slack token": b"xox" + b"b-" + BODY[:30],
    "an AWS key": b"AK" + b"IA" + b"Z2Y3X4W5V6U7TQRS",
    "a Google key": b"AI" + b"za" + BODY[:35],
    "an npm token": b"np" + b"m_" + BODY[:36],
    "a PyPI token": b"py" + b"pi-AgEIcHlwaS5vcmc" + BODY[:60],
    "a private key": KEY,
    "the value of DEMO": b"hunter2-\x00-and-more",
}
FINDER = Finder({"DEMO": PLANTED["the value of DEMO"]})


def found(data: list[bytes], finder: Finder = FINDER) -> tuple[str, ...]:
    """What is in it, each kind once."""
    return tuple(dict.fromkeys(each.what for each in finder.find(data)))


def pieces(data: bytes, *sizes: int) -> list[bytes]:
    """`data`, cut into pieces of these lengths in turn."""
    cut, at = [], 0
    while at < len(data):
        for size in sizes:
            cut.append(data[at : at + size])
            at += size
    return cut


@pytest.mark.parametrize("what", PLANTED)
@settings(max_examples=60)
@given(
    before=st.integers(0, 5000),
    after=st.integers(0, 5000),
    seed=st.integers(),
    sizes=st.lists(st.integers(1, 3000), min_size=1, max_size=4),
)
def test_a_planted_one_is_found_wherever_it_is_and_however_it_comes(
    what: str, before: int, after: int, seed: int, sizes: list[int]
) -> None:
    noise = random.Random(seed)
    data = noise.randbytes(before) + b"=" + PLANTED[what] + b"\n" + noise.randbytes(after)
    assert found(pieces(data, *sizes)) == (what,)


@pytest.mark.parametrize("what", PLANTED)
def test_it_is_found_one_byte_at_a_time_and_at_either_end(what: str) -> None:
    assert found(pieces(PLANTED[what], 1)) == (what,)
    assert found([bytes(100_000), PLANTED[what]]) == (what,)
    assert found([PLANTED[what], bytes(100_000)]) == (what,)


def test_all_that_is_in_a_file_is_found_once() -> None:
    assert set(found([b"\n".join([*PLANTED.values(), *PLANTED.values()])])) == PLANTED.keys()


def test_a_value_longer_than_any_form_is_found_over_pieces() -> None:
    value = random.Random(1).randbytes(10_000)
    assert found(pieces(bytes(5000) + value + bytes(5000), 777), Finder({"LONG": value})) == ("the value of LONG",)


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("an OpenAI key", b"sk-" + BODY[:20] + b"T3Blbk" + b"FJ" + BODY[20:40]),
        ("a GitHub token", b"github" + b"_pat_" + BODY[:40]),
    ],
)
def test_other_forms_of_the_same(what: str, text: bytes) -> None:
    assert found(pieces(b"KEY=" + text + b"\n", 7)) == (what,)


def test_in_a_transcript_a_line_may_begin_behind_an_escape() -> None:
    assert found([b'{"text": "token:\\n' + PLANTED["a GitHub token"] + b'"}']) == ("a GitHub token",)
    assert found([rb'{"key": "' + KEY.replace(b"\n", rb"\n") + b'"}']) == ("a private key",)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"gh" + b"p_" + b"x" * 36,
        b"sk-" + b"ant-api03-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        b"AK" + b"IAIOSFODNN7EXAMPLE",
        b"task-" + b"ant-" + BODY[:40],  # a word that ends so
        b'if line == "-----BEGIN PRIVATE ' + b'KEY-----":\n    raise ValueError("that is a key, and none is wanted")',
        b"-----BEGIN PUBLIC KEY-----\n" + BODY[:64],
        b"-----BEGIN CERTIFICATE-----\n" + BODY[:64],
        b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIO" + BODY[:40],
    ],
)
def test_what_only_looks_like_one_is_none(text: bytes) -> None:
    assert found([b"x = " + text + b"\n"]) == ()


def test_random_data_holds_none() -> None:
    noise = random.Random(4711)
    alphabet = bytes(range(65, 91)) + bytes(range(97, 123)) + b"0123456789+/"
    table = bytes(alphabet[value % len(alphabet)] for value in range(256))
    for _ in range(16):
        piece = noise.randbytes(1 << 20)
        assert found([piece]) == ()
        assert found([piece.translate(table)]) == ()  # as base64


@pytest.mark.parametrize(
    ("path", "head", "what"),
    [
        ("/root/.ssh/id_ed25519", b"x", "an SSH key"),
        ("/home/me/.ssh/id_rsa.pub", b"x", None),
        ("/root/.ssh/id_rsa", b"", None),  # empty
        ("/root/.netrc", b"machine", "logins"),
        ("/root/.git-credentials", b"x", "Git logins"),
        ("/root/.config/git/credentials", b"x", "Git logins"),
        ("/root/.aws/credentials", b"x", "AWS keys"),
        ("/root/.aws/config", b"x", None),
        ("/root/.config/gcloud/legacy_credentials/me/adc.json", b"x", "Google Cloud logins"),
        ("/root/.docker/config.json", b'{"auths": {"r": {"auth": "abc"}}}', "registry logins"),
        ("/root/.docker/config.json", b'{"auths": {"r": {}}, "credsStore": "pass"}', None),
        ("/root/.npmrc", b"//registry.npmjs.org/:_authToken=abc", "npm logins"),
        ("/root/.npmrc", b"//registry.npmjs.org/:_authToken=${NPM_TOKEN}\nfund=false", None),
        ("/root/.pypirc", b"[pypi]\nusername = me\npassword = abc", "PyPI logins"),
        ("/root/.pypirc", b"[pypi]\nusername = me\n", None),
        ("/app/.env", b"DEBUG=1\nexport DB_PASSWORD='correct horse'\n", "secret settings"),
        ("/app/.env.production", b"API_KEY=abcdefgh\n", "secret settings"),
        ("/app/.env", b"DEBUG=1\nAPI_KEY=\nTOKEN=$OTHER_TOKEN\n", None),
        ("/app/.env.example", b"API_KEY=abcdefgh\n", None),
        ("/root/.env/.ssh/id_rsa", b"x", "an SSH key"),
        ("/root/.claude/.credentials.json", b"{}", "a Claude login"),
        ("/root/.codex/auth.json", b"{}", "a Codex login"),
        ("/root/.gemini/oauth_creds.json", b"{}", "a Gemini login"),
        ("/root/.gemini/gemini-credentials.json", b"00:11:22", "a Gemini login"),
        ("/root/.gemini/mcp-oauth-tokens.json", b"[{}]", "a Gemini login"),
        ("/root/.gemini/settings.json", b"{}", None),
        ("/root/.local/share/opencode/auth.json", b"{}", "an opencode login"),
        ("/root/.local/share/opencode/opencode.db", b"SQLite", None),
        ("/etc/passwd", b"root", None),
        ("/usr/share/netrc", b"x", None),
    ],
)
def test_files_go_by_their_names(path: str, head: bytes, what: str | None) -> None:
    named = by_name(path)
    assert (named.what if named is not None and named.is_one(head, len(head)) else None) == what
    if what is not None and named is not None and named.holds is not None:
        assert named.is_one(b"", 10 << 20)  # too large to be looked at: never passed over in silence


@pytest.mark.parametrize("colour", [b"\x1b[m", b"\x1b[32m", b"\x1b[1;38;2;255;128;100m"])
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_a_token_right_behind_a_colour_code_is_found(colour: bytes, size: int) -> None:
    token = PLANTED["an Anthropic key"]
    assert found(pieces(bytes(3000) + colour + token + bytes(3000), size)) == ("an Anthropic key",)
    assert found([colour[1:] + token]) == ()


# --- private keys -----------------------------------------------------------------------------------------------------

PEM, PLAIN = forms.Encoding.PEM, forms.NoEncryption()
PKCS1, PKCS8, OPENSSH = forms.PrivateFormat.TraditionalOpenSSL, forms.PrivateFormat.PKCS8, forms.PrivateFormat.OpenSSH
LOCKED = forms.BestAvailableEncryption(b"a passphrase")
RSA, EDWARDS = rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate()
REAL = {
    "PKCS #1": RSA.private_bytes(PEM, PKCS1, PLAIN),
    "PKCS #1, encrypted": RSA.private_bytes(PEM, PKCS1, LOCKED),
    "PKCS #8": RSA.private_bytes(PEM, PKCS8, PLAIN),
    "PKCS #8, encrypted": RSA.private_bytes(PEM, PKCS8, LOCKED),
    "OpenSSH": RSA.private_bytes(PEM, OPENSSH, PLAIN),
    "SEC 1": ec.generate_private_key(ec.SECP256R1()).private_bytes(PEM, PKCS1, PLAIN),
    "the shortest there are": EDWARDS.private_bytes(PEM, PKCS8, PLAIN),
    "Ed25519 of OpenSSH": EDWARDS.private_bytes(PEM, OPENSSH, PLAIN),
}


def as_strings(key: bytes, between: str) -> bytes:
    return between.join(f'"{line}\\n"' for line in key.decode().splitlines()).encode()


def marked(key: bytes, mark: str) -> bytes:
    """Each line of the key behind a mark, in which `%d` counts."""
    lines = enumerate(key.decode().splitlines(), 8)
    return "".join(f"\n{mark.replace('%d', str(at))}{line}" for at, line in lines).encode()


def in_json(spelt: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    return lambda key: json.dumps({"text": spelt(key).decode()}, ensure_ascii=False).encode()


MARKED: dict[str, Callable[[bytes], bytes]] = {
    "commented out": lambda key: marked(key, "    # "),
    "commented out, with blank lines cut": lambda key: marked(key, "# ").replace(b"# \n", b"#\n"),
    "commented out with slashes": lambda key: marked(key, "// "),
    "in a comment of Java": lambda key: marked(key, " * "),
    "in a comment of Lua": lambda key: marked(key, "-- "),
    "quoted": lambda key: marked(key, "> "),
    "quoted twice": lambda key: marked(key, "> > "),
    "added": lambda key: marked(key, "+"),
    "removed": lambda key: marked(key, "-"),
    "a list of YAML": lambda key: marked(key, "- "),
    "with numbers": lambda key: marked(key, "     %d\t"),
    "with numbers and arrows": lambda key: marked(key, "     %d\u2192"),
    "found by grep": lambda key: marked(key, "file.pem:%d:"),
    "in a log": lambda key: marked(key, "2026-01-02T03:04:%d.123Z | "),
    "in colours": lambda key: b"".join(b"\n\x1b[1;32m" + line + b"\x1b[0m" for line in key.splitlines()),
    "a difference in colours": lambda key: b"".join(b"\n\x1b[31m-" + line + b"\x1b[m" for line in key.splitlines()),
    "strings of PHP": lambda key: as_strings(key, ".\n    "),
    "raw strings of Go": lambda key: b" +\n\t".join(b"`" + line + b"\n`" for line in key.splitlines()),
    "a continued string of C": lambda key: b'"' + b"".join(line + b"\\n\\\n" for line in key.splitlines()) + b'"',
    "a continued string of Rust": lambda key: (
        b'"' + b"".join(line + b"\\n\\\r\n      " for line in key.splitlines()) + b'"'
    ),
}
SPELLINGS: dict[str, Callable[[bytes], bytes]] = (
    MARKED
    | {
        "as it is": lambda key: key,
        "lines of DOS": lambda key: key.replace(b"\n", b"\r\n"),
        "indented": lambda key: key.replace(b"\n", b"\n        "),
        "JSON": lambda key: json.dumps({"key": key.decode()}).encode(),
        "JSON within JSON": lambda key: json.dumps(json.dumps({"key": key.decode()})).encode(),
        "JSON with escaped slashes": lambda key: json.dumps(key.decode()).replace("/", "\\/").encode(),
        "JSON of its own mind": lambda key: key.replace(b"\n", b"\\u000a"),
        "strings of Python": lambda key: b"K = (b" + as_strings(key, "\n        b") + b")\n",
        "strings of JavaScript": lambda key: as_strings(key, " +\n    "),
        "strings of C": lambda key: as_strings(key, "\n\t"),
        "strings of C within JSON": in_json(lambda key: as_strings(key, "\n\t")),
    }
    | {f"{name}, in JSON": in_json(spelt) for name, spelt in MARKED.items()}
)


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("name", REAL)
def test_a_real_key_is_found_and_is_the_same_one_however_it_is_spelt(name: str, spelling: str) -> None:
    text = b"before " + SPELLINGS[spelling](REAL[name]) + b" after"
    for size in (1, 1000, len(text)):
        assert FINDER.find(pieces(text, size)) == FINDER.find([REAL[name]])
    assert [each.what for each in FINDER.find([text])] == ["a private key"]


@pytest.mark.parametrize(
    "hostile", [b"a: ", b"a: a ", b"a: \n", b'" b', b"\\", b"\\n", b"+", b"MII", b"a", b"\n# ", b"\n" + b"1 " * 20]
)
def test_what_is_made_to_take_long_does_not(hostile: bytes) -> None:
    begun = time.process_time()
    line = b"-----BEGIN RSA PRIVATE " + b"KEY-----"
    for count in (10, 40, 2000):
        FINDER.find([(line + hostile * count) * (400_000 // (count * len(hostile)))])
    assert time.process_time() - begun < 5


@pytest.mark.parametrize("mark", [b"+", b"/", b"# ", b"12 ", b"A", b"\n+", b"\n- "])
def test_a_mark_that_is_not_repeated_is_none(mark: bytes) -> None:
    """Though a line of the key may begin so."""
    for key in REAL.values():
        for joint in (b"\n+", b"\n/", b"\n12"):
            head, _, rest = key.partition(b"\n")
            changed = head + b"\n" + rest[:70] + joint + rest[70:]
            assert FINDER.find([mark + changed]) == FINDER.find([changed])


@pytest.mark.parametrize("comment", ["Ann Bee <ann@example-corp.com>", "EXAMPLE"])
def test_what_the_headers_say_makes_no_key_an_example(comment: str) -> None:
    armour = "-----BEGIN PGP PRIVATE KEY " + "BLOCK-----"
    for text in (f"{armour}\nComment: 8F17 7771\nComment: {comment}\n\n", f"{armour}\r\nComment: {comment}\r\n\r\n"):
        assert found([text.encode() + BODY[:64] + b"\n=abcd\n-----END"]) == ("a private key",)
        assert found([text.encode() + b"EXAMPLE" + BODY[:64] + b"\n=abcd\n-----END"]) == ()


def test_another_key_is_another_one() -> None:
    assert len({FINDER.find([key]) for key in REAL.values()}) == len(REAL)
    both = FINDER.find([REAL["PKCS #8"] + REAL["SEC 1"] + REAL["PKCS #8"]])
    assert both == (*FINDER.find([REAL["PKCS #8"]]), *FINDER.find([REAL["SEC 1"]]))


def test_a_key_without_an_end_counts_as_one() -> None:
    for key in REAL.values():
        assert found([key.partition(b"-----END")[0]]) == ("a private key",)
    assert found([REAL["PKCS #1"].partition(b"-----END")[0] + bytes(100_000)]) == ("a private key",)


@pytest.mark.parametrize(
    "text",
    [
        REAL["PKCS #1"][:400] + b"\n[...]\n-----END RSA PRIVATE " + b"KEY-----\n",  # shortened for a manual
        REAL["SEC 1"][:100] + b"...\n-----END EC PRIVATE " + b"KEY-----\n",
        b"-----BEGIN OPENSSH PRIVATE " + b"KEY-----\n" + BODY[:64] + b"\n-----END OPENSSH PRIVATE KEY-----",
    ],
)
def test_a_key_of_a_manual_is_none(text: bytes) -> None:
    assert FINDER.find([text]) == ()


@pytest.mark.parametrize("kind", ["", "RSA ", "NEBULA X25519 ", "ENCRYPTED SIGSTORE "])
def test_what_a_program_keeps_in_a_form_of_its_own_is_one(kind: str) -> None:
    header = f"-----BEGIN {kind}PRIVATE " + "KEY-----"
    assert found([header.encode() + b"\n" + BODY[:44] + b"\n-----END"]) == ("a private key",)


def test_a_token_is_told_from_another_by_all_of_it() -> None:
    token = PLANTED["an Anthropic key"]
    assert FINDER.find([token]) != FINDER.find([token + b"x"])
    assert FINDER.find([token]) == FINDER.find([b"key: '" + token + b"', "])
    assert FINDER.find([PLANTED["the value of DEMO"]])[0].fingerprint is None


def test_very_many_are_not_told_from_each_other() -> None:
    tokens = (b"gh" + b"p_%016d%s\n" % (number, BODY[:20]) for number in range(3000))
    found_ones = FINDER.find([b"".join(tokens)])
    assert ("a GitHub token", None) in [(each.what, each.fingerprint) for each in found_ones]
    assert len(found_ones) <= 1001
