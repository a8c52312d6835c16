"""Credentials that look like real ones, made up at random each time: none of them ever opened anything."""

import base64
import json
import random
import string
from collections.abc import Iterator
from dataclasses import dataclass

from cryptography.hazmat.primitives import serialization as forms
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x25519

VALUE = b"correct horse battery staple"  # of a secret that the agent has

_ALNUM = string.ascii_letters + string.digits
_PKCS1, _PKCS8 = forms.PrivateFormat.TraditionalOpenSSL, forms.PrivateFormat.PKCS8
_OPENSSH = forms.PrivateFormat.OpenSSH


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """A credential: text to be put into some file, or the file at `path`, below a home, that holds it by its name."""

    name: str
    text: bytes
    path: str = ""


def plants() -> tuple[Plant, ...]:
    """Sixty of them: private keys, those in programs and documents, tokens, and files of logins."""
    return (*_keys(), *_written(), *_tokens(), *_files())


def _keys() -> Iterator[Plant]:
    locked = forms.BestAvailableEncryption(b"a passphrase")
    plain = forms.NoEncryption()
    small, large = rsa.generate_private_key(65537, 2048), rsa.generate_private_key(65537, 4096)
    edwards, curve = ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256R1())
    made = (
        ("RSA 2048, PKCS #1", small, _PKCS1, plain),
        ("RSA 2048, PKCS #8", small, _PKCS8, plain),
        ("RSA 2048, PKCS #1, encrypted", small, _PKCS1, locked),
        ("RSA 2048, PKCS #8, encrypted", small, _PKCS8, locked),
        ("RSA 4096, PKCS #1", large, _PKCS1, plain),
        ("RSA 4096, OpenSSH", large, _OPENSSH, plain),
        ("Ed25519, PKCS #8", edwards, _PKCS8, plain),
        ("Ed25519, OpenSSH", edwards, _OPENSSH, plain),
        ("Ed25519, OpenSSH, encrypted", edwards, _OPENSSH, locked),
        ("P-256, SEC 1", curve, _PKCS1, plain),
        ("P-256, OpenSSH", curve, _OPENSSH, plain),
        ("P-384, PKCS #8", ec.generate_private_key(ec.SECP384R1()), _PKCS8, plain),
        ("P-521, SEC 1, encrypted", ec.generate_private_key(ec.SECP521R1()), _PKCS1, locked),
        ("DSA", dsa.generate_private_key(2048), _PKCS1, plain),
        ("Ed448, PKCS #8", ed448.Ed448PrivateKey.generate(), _PKCS8, plain),
        ("X25519, PKCS #8", x25519.X25519PrivateKey.generate(), _PKCS8, plain),
    )
    for name, key, form, lock in made:
        yield Plant(name=name, text=key.private_bytes(forms.Encoding.PEM, form, lock))


def _written() -> Iterator[Plant]:
    """Keys as programs and documents spell them."""

    def key() -> str:
        new = rsa.generate_private_key(65537, 2048)
        return new.private_bytes(forms.Encoding.PEM, _PKCS8, forms.NoEncryption()).decode()

    def said(name: str, text: str) -> Plant:
        return Plant(name=f"a key in {name}", text=text.encode())

    account = json.dumps({"type": "service_account", "private_key": key()})
    yield said("JSON", account)
    yield said("JSON within JSON", json.dumps({"content": json.dumps({"private_key": key()})}))
    yield said("strings of Python", "KEY = (\n" + "".join(f"    b'{line}\\n'\n" for line in key().split("\n")) + ")\n")
    yield said(
        "strings of JavaScript", "const key = " + " +\n  ".join(f'"{it}\\n"' for it in key().split("\n")) + ";\n"
    )
    yield said("a template string", f"const key = `{key()}`;\n")
    yield said("YAML", "key: |\n" + "".join(f"    {line}\n" for line in key().splitlines()))
    yield said("a line of settings", 'export KEY="' + key().replace("\n", "\\n") + '"\n')
    yield said("lines of DOS", key().replace("\n", "\r\n"))


def _tokens() -> Iterator[Plant]:
    dash = _ALNUM + "_-"
    made = (
        ("Anthropic", "sk-" + "ant-api03-", 95, dash),
        ("OpenAI, project", "sk-" + "proj-", 80, dash),
        ("OpenAI, service", "sk-" + "svcacct-", 80, dash),
        ("GitHub, personal", "gh" + "p_", 36, _ALNUM),
        ("GitHub, OAuth", "gh" + "o_", 36, _ALNUM),
        ("GitHub, server", "gh" + "s_", 36, _ALNUM),
        ("GitHub, fine-grained", "github" + "_pat_", 82, _ALNUM),
        ("GitLab", "glpat" + "-", 20, _ALNUM),
        ("Slack, bot", "xox" + "b-", 50, _ALNUM),
        ("Slack, person", "xox" + "p-", 60, _ALNUM),
        ("AWS, lasting", "AK" + "IA", 16, string.ascii_uppercase + "234567"),
        ("AWS, passing", "AS" + "IA", 16, string.ascii_uppercase + "234567"),
        ("Google", "AI" + "za", 35, _ALNUM),
        ("npm", "np" + "m_", 36, _ALNUM),
        ("PyPI", "py" + "pi-AgEIcHlwaS5vcmc", 120, _ALNUM),
    )
    for name, head, length, letters in made:
        yield Plant(name=name, text=f"token = '{head}{_random(length, letters)}'\n".encode())
    old = f"sk-{_random(20)}T3Blbk" + f"FJ{_random(20)}"
    yield Plant(name="OpenAI, old", text=f"token = '{old}'\n".encode())
    yield Plant(name="the value of a secret", text=b"password: " + VALUE + b"\n")


def _files() -> Iterator[Plant]:
    word = _random(24)
    auth = base64.b64encode(f"me:{word}".encode()).decode()
    block = "\n".join(_random(64, _ALNUM + "+/") for _ in range(20))
    armour = "PGP PRIVATE KEY BLOCK-----"
    made = (
        (".netrc", f"machine example.org login me password {word}"),
        (".git-credentials", f"https://me:{word}@example.org"),
        (".aws/credentials", f"[default]\naws_secret_access_key = {word}"),
        (".npmrc", f"//example.org/:_authToken={word}"),
        (".pypirc", f"[pypi]\nusername = me\npassword = {word}"),
        (".docker/config.json", json.dumps({"auths": {"example.org": {"auth": auth}}})),
        (".kube/config", f"users:\n- name: me\n  user:\n    token: {word}"),
        (".env", f"DEBUG=1\nDB_PASSWORD={word}"),
        (".env.production", f"export API_KEY='{word}'"),
        (".claude/.credentials.json", json.dumps({"claudeAiOauth": {"accessToken": word}})),
        (".codex/auth.json", json.dumps({"OPENAI_API_KEY": word})),
        (".config/gh/hosts.yml", f"example.org:\n    oauth_token: {word}"),
        (".config/gcloud/application_default_credentials.json", json.dumps({"refresh_token": word})),
        (".payload/credentials.toml", f'[registry]\ntoken = "{word}"'),
        (".pgpass", f"example.org:5432:*:me:{word}"),
        (".gnupg/private-keys-v1.d/0123.key", f"Key: (private-key {word})"),
        (".ssh/id_work", f"-----BEGIN {armour}\n\n{block}\n-----END {armour}\n"),
    )
    for path, text in made:
        yield Plant(name=path, text=text.encode(), path=path)
    text = f"-----BEGIN {armour}\nVersion: GnuPG v2\n\n{block}\n-----END {armour}\n"
    yield Plant(name="OpenPGP", text=text.encode())
    yield Plant(
        name="a key between other lines", text=b"# notes\n" + text.encode().replace(b"Version: GnuPG v2\n", b"")
    )


def _random(length: int, letters: str = _ALNUM) -> str:
    return "".join(random.choices(letters, k=length))  # noqa: S311  # nothing is kept by it
