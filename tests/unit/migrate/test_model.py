"""Targets: read as they are written, and as Docker writes them; nothing else passes for one."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, strategies as st

from bottle.errors import UsageError
from migrate.model import Target

WORDS = st.from_regex(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?", fullmatch=True)
ADDRESSES = st.ip_addresses(v=6).map(str)
ZONED = st.builds("{}%{}".format, ADDRESSES, st.sampled_from(("eth0", "br-0.1", "2")))
TARGETS = st.builds(
    Target,
    host=WORDS | st.ip_addresses(v=4).map(str) | ADDRESSES | ZONED,
    user=st.none() | WORDS,
    port=st.none() | st.integers(1, 65535),
)


@given(TARGETS)
def test_what_is_written_is_read_as_docker_writes_it_too(target: Target) -> None:
    text = str(target)
    as_uri = f"ssh://{text.replace('%', '%25')}"
    assert [Target.parse(each) for each in (text, f"ssh://{text}", as_uri, f"{as_uri}/")] == [target] * 4


@given(st.text(alphabet="ab1@:/[]%.-?#s \n") | st.text(), st.sampled_from(("", "ssh://", "tcp://", "ssh:", "me@")))
def test_what_is_read_is_nothing_but_a_target(text: str, before: str) -> None:
    with suppress(UsageError):
        target = Target.parse(f"{before}{text}")
        assert Target.parse(str(target)) == target
        assert str(target).isprintable()
        assert not {*" /?#"} & {*str(target)}
        assert not str(target).startswith("-")
        assert not target.host.startswith("-")


@pytest.mark.parametrize(
    "text",
    [
        "ssh://",
        "ssh:///var/run/docker.sock",
        "ssh://box/var/run/docker.sock",
        "ssh://box//",
        "ssh://box?x=1",
        "ssh://box#x",
        "ssh://box:",
        "ssh://box:0",
        "ssh://box:65536",
        "ssh://@box",
        "ssh://me@",
        "ssh://-oProxyCommand=x",
        "ssh://me@-x",
        "ssh://::1",
        "ssh://box\n",
        "ssh://a%40b@box",
        "ssh://ssh://box",
        "me@ssh://box",
        "SSH://box",
        "tcp://box:2375",
        "unix:///var/run/docker.sock",
        "http://box",
        "://box",
    ],
)
def test_another_address_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Target.parse(text)
    assert caught.value.what.endswith(
        "is no host to move to: expected ssh://[USER@]HOST[:PORT], without a password, a path or a query"
    )
    assert repr(text) in caught.value.what


@pytest.mark.parametrize("word", ["hunter2", "hun:ter@2", "h/unter2"])
def test_a_password_is_not_repeated(word: str) -> None:
    with pytest.raises(UsageError) as caught:
        Target.parse(f"ssh://me:{word}@box")
    assert caught.value.what.startswith("'ssh://me:…@box' is no host to move to")


@pytest.mark.parametrize("text", ["", "-x", "a b", "me@", "box:port", "box/x", "me:pw@box"])
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"expected \[USER@\]HOST\[:PORT\], such as"):
        Target.parse(text)
