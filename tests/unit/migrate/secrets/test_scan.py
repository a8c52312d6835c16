"""What of all that looks like a credential is the bottle's own: not what a package brought, nor what was published."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives import serialization as forms
from cryptography.hazmat.primitives.asymmetric import ec

from bottle.errors import VerificationFailed
from migrate.secrets import published as published_module, scan as scan_module
from migrate.secrets.packages import LARGEST, Packages
from migrate.secrets.patterns import Finder
from migrate.secrets.published import published
from migrate.secrets.scan import Scan, ScannedEntry, Seen, decide

SITE = "/usr/local/lib/python3.12/site-packages"
VALUE = b"correct horse battery"
FINDER = Finder({"DEMO": VALUE})
TOKEN = b"gh" + b"p_" + b"aZ3bY4cX5dW6eV7fU2gT" + b"aZ3bY4cX5dW6eV7f"


def new_key() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption())


TEST_KEY, OWN_KEY = new_key(), new_key()
PROGRAM = b'KEY = """\n' + TEST_KEY + b'"""\n'


def byte_code(*texts: bytes) -> bytes:
    return bytes.fromhex("cb0d0d0a00000000000000000a000000") + b"".join(b"\xf3" + text for text in texts)


def record(files: dict[str, bytes]) -> tuple[str, bytes]:
    """The RECORD of a wheel with `files`, by their paths in SITE."""

    def line(path: str, data: bytes) -> str:
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
        return f"{path},sha256={digest},{len(data)}\n"

    text = "".join(line(path, data) for path, data in files.items())
    return f"{SITE}/demo-1.dist-info/RECORD", f"{text}demo/__pycache__/k.cpython-312.pyc,,\n".encode()


def sums(files: dict[str, bytes]) -> tuple[str, bytes]:
    text = "".join(f"{hashlib.md5(data).hexdigest()}  {path.removeprefix('/')}\n" for path, data in files.items())
    return "/var/lib/dpkg/info/demo.md5sums", text.encode()


def apk(files: dict[str, bytes]) -> tuple[str, bytes]:
    text = "P:demo\n"
    for path, data in files.items():
        folder, _, name = path.removeprefix("/").rpartition("/")
        text += f"F:{folder}\nR:{name}\nZ:Q1{base64.b64encode(hashlib.sha1(data).digest()).decode()}\n"
    return "/lib/apk/db/installed", text.encode()


def entries(files: dict[str, bytes]) -> Iterator[ScannedEntry]:
    for path, data in files.items():
        yield ScannedEntry(path=path, size=len(data), data=iter((data[:7], data[7:])))


def finds(*layers: dict[str, bytes]) -> list[tuple[str, str, bool]]:
    scan = Scan(FINDER)
    for layer in layers:
        scan.layer(entries(layer))
    return [(find.path, find.what, find.gone) for find in scan.finds()]


WHEEL = {f"{SITE}/demo/test.key": TEST_KEY, f"{SITE}/demo/k.py": PROGRAM}
WHEEL_RECORD = dict([record({"demo/test.key": TEST_KEY, "demo/k.py": PROGRAM})])
SYSTEM = {"/usr/share/demo/test.key": TEST_KEY, "/etc/demo/key.pem": TEST_KEY, "/usr/bin/demo": b"\x7fELF" + TEST_KEY}
PACKAGES = {
    "wheel": (WHEEL, WHEEL_RECORD),
    "dpkg": (SYSTEM, dict([sums(SYSTEM)])),
    "apk": (SYSTEM, dict([apk(SYSTEM)])),
}


@pytest.mark.parametrize("manager", PACKAGES)
def test_what_a_package_brought_is_none_wherever_its_database_is(manager: str) -> None:
    files, database = PACKAGES[manager]
    assert finds(files) == [(path, "a private key", False) for path in sorted(files)]
    assert finds(files | database) == []
    assert finds(database | files) == []
    assert finds(files, database) == []
    assert finds(database, files) == []
    assert finds(files | database, {"/etc/.wh.demo": b"", "/usr/.wh..wh..opq": b""}) == []


@pytest.mark.parametrize("manager", PACKAGES)
def test_a_key_that_is_put_into_such_a_file_or_beside_it_is_found(manager: str) -> None:
    files, database = PACKAGES[manager]
    for path, data in files.items():
        for changed in (data + OWN_KEY, OWN_KEY + data, OWN_KEY, data + TOKEN, data.replace(TEST_KEY, OWN_KEY)):
            assert [find[0] for find in finds(files | database | {path: changed})] == [path]
        beside = f"{path}.bak"
        assert finds(files | database | {beside: data}) == [(beside, "a private key", False)]
    assert finds(files | database | {"/root/work/key": TEST_KEY}) == [("/root/work/key", "a private key", False)]


@pytest.mark.parametrize("manager", PACKAGES)
def test_a_layer_below_is_judged_by_itself(manager: str) -> None:
    files, database = PACKAGES[manager]
    path, data = next(iter(files.items()))
    edited = files | {path: data + OWN_KEY}
    assert finds(edited, files | database) == [(path, "a private key", True)]  # as if it had been installed again
    assert finds(files | database, {path: data + OWN_KEY}) == [(path, "a private key", False)]
    assert finds(files | database, {path: data + OWN_KEY}, {path: b""}) == [(path, "a private key", True)]


def test_a_newer_version_in_a_higher_layer_does_not_make_the_older_one_strange() -> None:
    newer = {f"{SITE}/demo/test.key": OWN_KEY}
    assert finds(WHEEL | WHEEL_RECORD, newer | dict([record({"demo/test.key": OWN_KEY})])) == []


def test_byte_code_of_what_a_package_brought_is_none() -> None:
    compiled = f"{SITE}/demo/__pycache__/k.cpython-312.pyc"
    optimized = f"{SITE}/demo/__pycache__/k.cpython-312.opt-2.pyc"
    files = WHEEL | WHEEL_RECORD
    assert finds(files, {compiled: byte_code(TEST_KEY), optimized: byte_code(TEST_KEY)}) == []
    assert finds({compiled: byte_code(TEST_KEY)}, files) == []
    assert finds(files | {compiled: byte_code(TEST_KEY, OWN_KEY)}) == [(compiled, "a private key", False)]
    assert finds(files | {compiled: byte_code(OWN_KEY)}) == [(compiled, "a private key", False)]
    assert finds(files | {compiled: byte_code(TEST_KEY, VALUE)}) == [(compiled, "the value of DEMO", False)]
    strange = f"{SITE}/demo/__pycache__/other.cpython-312.pyc"
    assert finds(files | {strange: byte_code(TEST_KEY)}) == [(strange, "a private key", False)]
    edited = {f"{SITE}/demo/k.py": PROGRAM + OWN_KEY, compiled: byte_code(TEST_KEY, OWN_KEY)}
    assert [find[0] for find in finds(files | edited)] == [compiled, f"{SITE}/demo/k.py"]


def test_a_known_secret_and_a_file_of_logins_are_found_in_whatever_brought_them() -> None:
    files = {f"{SITE}/demo/data": TEST_KEY + VALUE, f"{SITE}/demo/.npmrc": b"_authToken=abcdefgh"}
    database = dict([record({path.removeprefix(f"{SITE}/"): data for path, data in files.items()})])
    assert finds(files | database) == [
        (f"{SITE}/demo/.npmrc", "npm logins", False),
        (f"{SITE}/demo/data", "the value of DEMO", False),
    ]


def test_a_person_s_key_is_found_though_a_database_names_it() -> None:
    files = {"/root/.ssh/id_rsa": TEST_KEY, "/root/.aws/key": TEST_KEY, "/home/me/key": TEST_KEY}
    found = [
        ("/home/me/key", "a private key", False),
        ("/root/.aws/key", "a private key", False),
        ("/root/.ssh/id_rsa", "an SSH key, a private key", False),
    ]
    assert finds(files | dict([sums(files)])) == found
    assert finds(files | dict([apk(files)])) == found


def test_what_is_too_large_to_be_compared_is_found() -> None:
    files = {f"{SITE}/demo/large": TEST_KEY + bytes(LARGEST)}
    database = dict([record({"demo/large": files[f"{SITE}/demo/large"]})])
    assert finds(files | database) == [(f"{SITE}/demo/large", "a private key", False)]
    database[f"{SITE}/demo-1.dist-info/RECORD"] += bytes(LARGEST)  # a database that nobody wrote
    assert finds(WHEEL | database) == [(path, "a private key", False) for path in sorted(WHEEL)]


def test_a_published_key_is_none_wherever_it_is_but_another_beside_it_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    (known,) = FINDER.find([TEST_KEY])
    monkeypatch.setattr(scan_module, "published", lambda: frozenset({known.fingerprint}))
    module = "/app/node_modules/ssh2/test/fixtures"
    assert finds({f"{module}/id_rsa": TEST_KEY, f"{module}/keys.json": TEST_KEY.replace(b"\n", b"\\n")}) == []
    assert finds({"/root/.ssh/id_rsa": TEST_KEY}) == [("/root/.ssh/id_rsa", "an SSH key", False)]
    assert finds({f"{module}/id_rsa": TEST_KEY + OWN_KEY}) == [(f"{module}/id_rsa", "a private key", False)]
    assert finds({f"{module}/id_rsa": TEST_KEY + VALUE}) == [(f"{module}/id_rsa", "the value of DEMO", False)]
    assert finds({f"{module}/id_rsa": TEST_KEY + TOKEN}) == [(f"{module}/id_rsa", "a GitHub token", False)]


def test_the_list_of_published_ones_is_what_it_should_be() -> None:
    assert len(published()) > 200
    assert all(len(each) == 64 and int(each, 16) for each in published())
    assert not {each.fingerprint for each in FINDER.find([TEST_KEY + OWN_KEY + TOKEN])} & published()
    assert published_module.FILE == "published.txt"


def test_a_layer_that_breaks_off_leaves_what_was_found_before() -> None:
    def broken() -> Iterator[ScannedEntry]:
        yield from entries({"/root/key": OWN_KEY, "/.wh.old": b""})
        raise VerificationFailed("it breaks off")

    scan = Scan(FINDER)
    scan.layer(entries({"/old/key": OWN_KEY}))
    with pytest.raises(VerificationFailed):
        scan.layer(broken())
    assert [(find.path, find.gone) for find in scan.finds()] == [("/old/key", False)]


def test_a_decision_is_made_of_facts_alone() -> None:
    (key,) = FINDER.find([TEST_KEY])
    seen = [Seen(path="/a", credentials=(key,)), Seen(path="/b", named="logins", credentials=(key,), gone=True)]
    assert [str(find).partition(" (")[0] for find in decide(seen, Packages(), frozenset())] == [
        "/a: a private key",
        "/b: logins, a private key",
    ]
    assert [find.what for find in decide(seen, Packages(), frozenset({key.fingerprint or ""}))] == ["logins"]
