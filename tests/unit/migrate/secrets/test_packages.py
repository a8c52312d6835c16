"""Databases of package managers, as dpkg, apk and pip write them: which files they know, and by which digests."""

from __future__ import annotations

import base64
import hashlib

import pytest

from migrate.secrets.packages import Packages, digests, source_of

FILE = b"what a package brought\n"
MD5 = hashlib.md5(FILE).hexdigest()
SHA1 = base64.b64encode(hashlib.sha1(FILE).digest()).decode()
SHA256 = base64.urlsafe_b64encode(hashlib.sha256(FILE).digest()).decode().rstrip("=")
SITE = "/srv/venv/lib/python3.12/site-packages"
STATUS = f"""Package: stunnel4
Status: install ok installed
Conffiles:
 /etc/stunnel/README {MD5}
 /etc/default/stunnel4 {MD5} obsolete
 /etc/stunnel/stunnel.pem newconffile
Description: wrapper
 /etc/not/a/conffile {MD5}

Package: next
Conffiles:
 /etc/next {MD5}
"""
INSTALLED = f"""C:Q1pj5cyfPDyO0qqZVT5wUuDPZ5Hqw=
P:openssl
F:
R:top
Z:Q1{SHA1}
F:etc/ssl
M:0:0:755
R:key.pem
a:0:0:644
Z:Q1{SHA1}
R:other.pem
F:etc/bare
Z:Q1{SHA1}
"""
RECORD = f"""pkg/test.key,sha256={SHA256},23
"pkg/a, b.key",sha256={SHA256},23
pkg/__pycache__/x.cpython-312.pyc,,
../../../bin/tool,sha256={SHA256},23
pkg/../../../up,sha256={SHA256},23
/etc/ssl/private/key.pem,sha256={SHA256},23
pkg/old,md5={MD5},23
pkg/nonsense,sha256=\xe9,23
pkg
pkg-1.dist-info/RECORD,,
"""


def packages(path: str, content: str) -> Packages:
    known = Packages()
    assert known.keeps(path)
    known.learn(path, content.encode())
    return known


def owned(known: Packages, *paths: str) -> list[str]:
    """Which of these are what a package brought, if FILE is there, and none if it is there with a change."""
    assert not any(known.own(path, digests([FILE, b"x"])) for path in paths)
    assert not any(known.own(path, frozenset()) for path in paths)
    return [path for path in paths if known.own(path, digests([FILE[:5], FILE[5:]]))]


def test_dpkg_knows_what_is_in_its_packages() -> None:
    known = packages("/var/lib/dpkg/info/x.md5sums", f"{MD5}  usr/share/x/a b.pem\n{MD5}  lib/y\nnonsense\n")
    assert owned(known, "/usr/share/x/a b.pem", "/usr/share/x/c.pem", "/lib/y", "/usr/lib/y", "/nonsense") == [
        "/usr/share/x/a b.pem",
        "/lib/y",
        "/usr/lib/y",  # where /lib leads, on a system whose /usr is merged
    ]


def test_dpkg_knows_configuration_as_it_was_brought() -> None:
    known = packages("/var/lib/dpkg/status", STATUS)
    paths = ("/etc/stunnel/README", "/etc/default/stunnel4", "/etc/next")
    assert owned(known, *paths, "/etc/not/a/conffile", "/etc/stunnel/stunnel.pem") == list(paths)


@pytest.mark.parametrize("database", ["/lib/apk/db/installed", "/usr/lib/apk/db/installed"])
def test_apk_knows_what_it_installed(database: str) -> None:
    known = packages(database, INSTALLED)
    assert owned(known, "/top", "/etc/ssl/key.pem", "/etc/ssl/other.pem", "/etc/bare/", "/etc/bare") == [
        "/top",
        "/etc/ssl/key.pem",
    ]


def test_a_wheel_knows_what_is_in_its_tree_and_nothing_outside() -> None:
    known = packages(f"{SITE}/pkg-1.dist-info/RECORD", RECORD)
    inside = [f"{SITE}/pkg/test.key", f"{SITE}/pkg/a, b.key"]
    outside = ["/srv/venv/bin/tool", "/srv/venv/lib/up", "/etc/ssl/private/key.pem", f"{SITE}//etc/ssl/private/key.pem"]
    assert owned(known, *inside, *outside, f"{SITE}/pkg/old", f"{SITE}/pkg/nonsense", "/pkg/test.key") == inside


def test_what_was_installed_from_a_folder_or_a_repository_of_somebody_s_own_is_not_believed() -> None:
    known = packages(f"{SITE}/pkg-1.dist-info/RECORD", RECORD + f"pkg-1.dist-info/direct_url.json,sha256={SHA256},9\n")
    assert owned(known, f"{SITE}/pkg/test.key", f"{SITE}/pkg/a, b.key") == []
    known = packages(f"{SITE}/pkg-1.dist-info/RECORD", RECORD + f"pkg/direct_url.json,sha256={SHA256},9\n")
    assert owned(known, f"{SITE}/pkg/test.key") == [f"{SITE}/pkg/test.key"]


@pytest.mark.parametrize(
    "path",
    [
        "/srv/var/lib/dpkg/info/x.md5sums",
        "/var/lib/dpkg/info/deep/x.md5sums",
        "/var/lib/dpkg/info/x.list",
        "/root/lib/apk/db/installed",
        f"{SITE}/pkg/RECORD",
        f"{SITE}/pkg-1.dist-info/deep/RECORD",
        "/home/me/var/lib/dpkg/status",
    ],
)
def test_only_where_they_belong_are_they_databases(path: str) -> None:
    assert not Packages.keeps(path)


@pytest.mark.parametrize(
    "nonsense",
    [b"", b"\0", b"\xff\xfe", b'"' + b"x" * 200_000, b"F:\nR:\nZ:Q1\nZ:Q1=\n", b"  \n  x\n", b"Conffiles:\n x"],
)
@pytest.mark.parametrize("where", [f"{SITE}/p-1.dist-info/RECORD", "/lib/apk/db/installed", "/var/lib/dpkg/status"])
def test_what_makes_no_sense_is_passed_over(where: str, nonsense: bytes) -> None:
    known = Packages()
    known.learn(where, nonsense)
    assert not known.own("/", digests([b""]))


def test_where_persons_keep_their_logins_no_database_is_believed() -> None:
    known = packages(
        "/var/lib/dpkg/info/x.md5sums",
        "".join(f"{MD5}  {path}\n" for path in ("root/key", "home/me/key", "etc/skel/.ssh/key", "opt/.aws/key")),
    )
    assert owned(known, "/root/key", "/home/me/key", "/etc/skel/.ssh/key", "/opt/.aws/key") == []
    known = packages("/root/pkg-1.dist-info/RECORD", f".ssh/key,sha256={SHA256},\nx/key,sha256={SHA256},\n")
    assert owned(known, "/root/.ssh/key", "/root/x/key") == ["/root/x/key"]
    site = "/root/.claude/tool/lib/python3/site-packages"
    known = packages(f"{site}/pkg-1.dist-info/RECORD", f"x/key,sha256={SHA256},\n.ssh/key,sha256={SHA256},\n")
    assert owned(known, f"{site}/x/key", f"{site}/.ssh/key") == [f"{site}/x/key"]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("/x/__pycache__/m.cpython-312.pyc", "/x/m.py"),
        ("/x/__pycache__/m.cpython-312.opt-1.pyc", "/x/m.py"),
        ("/x/__pycache__/m.pypy310.pyc", "/x/m.py"),
        ("/x/__pycache__/m.pyc", None),
        ("/x/m.cpython-312.pyc", None),
        ("/x/__pycache__/y/m.cpython-312.pyc", None),
        ("/x/m.py", None),
    ],
)
def test_byte_code_is_told_by_its_name(path: str, source: str | None) -> None:
    assert source_of(path) == source
