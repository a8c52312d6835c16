"""Makes the list of published keys and tokens anew, from the packages that it names: `python -m benchmarks.published`.

They are those that people also have without a package manager that keeps digests: npm's, and test keys of languages and
libraries that come as archives or clones. Needs Docker, pip, npm and their registries.
"""

import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmarks.credentials import entries
from benchmarks.packages import Installed, debian, npm, pypi
from migrate.secrets.patterns import Finder
from migrate.secrets.published import FILE

_LIST = Path(__file__).resolve().parent.parent / "migrate" / "secrets" / FILE
_NPM = ("node-rsa", "request", "ssh2")
_DEBIAN = ("golang-1.24-src", "libpython3.13-testsuite", "openssh-tests", "gnutls-bin")
_PYPI = (
    *(
        "cryptography-vectors",
        "gevent",
        "jwcrypto",
        "moto",
        "pycryptodome",
        "tornado",
        "twisted",
        "awscli",
        "mitmproxy",
    ),
    "yt-dlp",
)
_HEAD = """\
# Keys and tokens that were published as examples or for tests, made by `python -m benchmarks.published`.
# FINGERPRINT MANAGER PACKAGE PATH of where one stands
"""


def published(packages: Iterable[Installed]) -> Iterator[tuple[str, str]]:
    """The fingerprint of each, and where it stands."""
    finder = Finder({})
    for package in packages:
        for entry in entries(package.root):
            for each in finder.find(entry.data or ()):
                assert each.fingerprint is not None
                yield each.fingerprint, f"{package.manager} {package.name} {entry.path.replace(' ', '_')}"


def main() -> None:
    """Write the list."""
    with tempfile.TemporaryDirectory(prefix="bottle-bench-") as name:
        folder = Path(name)
        packages = [npm(each, folder) for each in _NPM] + [pypi(each, folder) for each in _PYPI]
        packages += debian(_DEBIAN, folder / "debian")
        places: dict[str, str] = {}
        for fingerprint, place in sorted(published(packages)):
            places.setdefault(fingerprint, place)
    _LIST.write_text(_HEAD + "".join(f"{fingerprint} {place}\n" for fingerprint, place in sorted(places.items())))
    sys.stdout.write(f"{len(places)} in {_LIST}\n")


if __name__ == "__main__":
    main()
