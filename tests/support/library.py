"""The program of docs/LIBRARY.md."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "LIBRARY.md"


def program(identity: str, host: str) -> str:
    """Its lines, for another bottle and another host than those of the page."""
    found = re.search(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert found is not None
    assert ('"claude"' in found[1], '"me@newhost"' in found[1]) == (True, True)
    return found[1].replace('"claude"', repr(identity)).replace('"me@newhost"', repr(host))
