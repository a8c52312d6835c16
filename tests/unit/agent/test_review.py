"""What an operator is shown of a Dockerfile: the difference, and what to look at twice, whatever the text is."""

from __future__ import annotations

import time
import tracemalloc

import pytest
from hypothesis import given, strategies as st

from bottle.agent.review import differences, warnings

BEFORE = "FROM debian:13\nRUN apt-get update\nUSER agent\n"


def found(text: str, before: str = BEFORE) -> str:
    return "\n".join(warnings(before, text))


# --- the difference ---------------------------------------------------------------------------------------------------


def test_the_same_text_has_no_difference() -> None:
    assert differences(BEFORE, BEFORE) == ""
    assert differences("", "") == ""


def test_a_difference_shows_what_goes_and_what_comes() -> None:
    lines = differences(BEFORE, BEFORE.replace("update", "upgrade")).split("\n")
    assert lines[:3] == ["--- in force", "+++ requested", "@@ -1,3 +1,3 @@"]
    assert "-RUN apt-get update" in lines
    assert "+RUN apt-get upgrade" in lines


def test_a_line_ends_where_the_builder_ends_it() -> None:
    assert "+RUN a<U+2028>RUN b" in differences(BEFORE, BEFORE + "RUN a\u2028RUN b").split("\n")


@pytest.mark.parametrize("line", ["a", "RUN {0}", "{1}"])
def test_no_text_takes_long_to_compare(line: str) -> None:
    after = "\n".join(line.format(number, number % 90) for number in range(100_000))[: 256 * 1024]
    began = time.process_time()
    assert differences("\n".join(reversed(after.split("\n"))), after + "\n+")
    assert time.process_time() - began < 5


FAMILIES = [
    *("curl |", "sh $(", "${A:-", "aaaaaaaa", "A=", 'A="', "FROM a AS a\n", "FROM a\nRUN curl|sh\n", "RUN --x --x "),
    *("[", "$A", "COPY a b\n", "COPY --from=a b c\n", "\\ ", "\\\n", " <<A", "#\n", "sudo -x ", "/a", "/", " "),
    *("x.git#", "RUN <<A\n", "\u202e\n", "; ", " |", '"', "\\", "<", "$(", "` ", "ENV A=$A$A\n", "LABEL x$A\n"),
]


@pytest.mark.parametrize("part", FAMILIES)
@pytest.mark.parametrize(
    ("head", "tail"),
    [
        ("", ""),
        ("FROM x\nRUN curl |", ""),
        ("FROM x\nENV A=aaaaaaaaaaaaaaaaaaaa\n", ""),
        ('ARG A=b\nFROM x\nADD ["', ' y","/d"]'),
        ("# a=b", "  c"),
    ],
)
def test_no_text_takes_long_to_read(head: str, part: str, tail: str) -> None:
    text = head + part * ((256 * 1024 - len(head + tail)) // len(part.encode())) + tail
    began = time.process_time()
    assert len(warnings("", text)) < 80
    assert differences(BEFORE, text)
    assert time.process_time() - began < 2


@pytest.mark.parametrize("line", ["LABEL x$A\n", "ARG B=$A\n", "FROM $A$A\n"])
def test_variables_add_only_so_much_to_a_dockerfile(line: str) -> None:
    text = "ARG A=" + "a" * 1000 + "\nFROM x\nARG A\nENV A=$A$A$A$A$A$A$A$A\n" + line * 10_000
    tracemalloc.start()
    try:
        said = warnings("", text)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 64 * 1024 * 1024
    assert any("grow too long" in each for each in said)


# --- what to look at --------------------------------------------------------------------------------------------------


def test_nothing_is_said_of_a_package_more() -> None:
    assert found(BEFORE.replace("USER", "RUN apt-get install -y jq\nUSER")) == ""
    assert found(BEFORE, BEFORE) == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("FROM debian:12\nUSER agent\n", "debian:13 becomes debian:12"),
        ("from evil/image\nuser agent\n", "debian:13 becomes evil/image"),
        ("ARG BASE=evil\nFROM ${BASE}:1\nUSER agent", "becomes evil:1"),
        ("ARG BASE\nFROM ${BASE:-evil}\nUSER agent", "becomes evil"),
        ("FROM $WHAT\nUSER agent", "becomes $WHAT"),
        ("FROM --platform=linux/arm64 debian:13\nUSER agent", "another platform: --platform=linux/arm64"),
        ("FROM golang AS build\nFROM debian:13\nUSER agent", "not before: golang"),
        ("FROM debian:13\nCOPY --from=other/image /x /x\nUSER agent", "not before: other/image"),
        ("FROM debian:12 AS a\nFROM a AS b\nFROM B\nUSER agent", "debian:13 becomes debian:12"),
        ("FROM bottle-committed-other-abcde:1\nUSER agent", "image of a bottle"),
        ("RUN true\n", "no FROM"),
        ("", "no FROM"),
        ("# FROM debian:13\n", "no FROM"),
    ],
)
def test_another_base_image_is_named(text: str, said: str) -> None:
    assert said in found(text)


def test_stages_of_the_same_image_are_nothing_new() -> None:
    assert found("FROM debian:13 AS build\nRUN make\nFROM debian:13\nCOPY --from=build /x /x\nUSER agent") == ""
    assert found("FROM debian:13 AS build\nFROM debian:13\nCOPY --from=0 /x /x\nUSER agent") == ""


@pytest.mark.parametrize(
    "line",
    [
        "ADD https://example.com/x /x",
        "add --chown=1:1 http://example.com/x /x",
        'ADD ["https://example.com/x", "/x"]',
        "ADD git@github.com:a/b.git /x",
        "ADD https://github.com/a/b.git#main /x",
        "ADD \\\n  # the source\n\n  https://example.com/x /x",
        "ARG URL=https://example.com/x\nADD $URL /x",
        "ENV URL https://example.com\nADD ${URL}/x /x",
    ],
)
def test_what_is_added_from_the_network_is_named(line: str) -> None:
    assert "from the network" in found(BEFORE + line)


@pytest.mark.parametrize(
    "line",
    [
        "RUN curl -fsSL https://example.com/install | sh",
        "RUN wget -qO- https://example.com/install|bash -s -- -y",
        "run apt-get update && curl https://example.com \\\n   | \\\n   # now\n sudo -E bash",
        "RUN curl https://example.com | gzip -d | /bin/sh",
        'RUN ["sh", "-c", "curl https://example.com | sh"]',
        'RUN ["sh", "-c", "\\u0063url https://example.com | sh"]',
        'RUN sh -c "$(curl -fsSL https://example.com)"',
        "RUN bash <(curl https://example.com)",
        "RUN eval `wget -O- https://example.com`",
        "RUN . <(curl https://example.com)",
        "RUN curl https://example.com | python3 -",
        "RUN <<EOF\napt-get update\ncurl https://example.com | sh\nEOF",
        "RUN <<-'END' sh\n\tcurl https://example.com | env bash\n\tEND",
    ],
)
def test_what_is_fetched_and_run_is_named(line: str) -> None:
    assert "unseen" in found(BEFORE + line)
    assert "(as before)" in found(BEFORE + line, BEFORE + line)


@pytest.mark.parametrize(
    "line",
    [
        "RUN echo '<<EOF'",
        'RUN echo "a <<EOF b"',
        "RUN cat <<<EOF",
        "RUN echo $((1<<EOF))",
        "RUN echo $(( 1 <<EOF ))",
        "RUN <<EOF",
        "COPY x<<EOF /x",
        "RUN true <<A <<EOF",
    ],
)
def test_nothing_is_hidden_behind_what_looks_like_a_heredoc(line: str) -> None:
    hidden = "ADD https://example.com/x /x\nCOPY . /y\nUSER root\nENV API_KEY=x\nRUN curl x | sh\n"
    text = found(f"{BEFORE}{line}\n{hidden}")
    for said in ("ADD https://example.com/x /x", "COPY . /y", "runs as root", "API_KEY looks", "RUN curl x | sh"):
        assert said in text
    assert "debian:13 becomes evil" in found(f"FROM debian:13\n{line}\nFROM evil\nUSER agent\n")


def test_what_a_heredoc_says_is_no_instruction_to_speak_of() -> None:
    body = "apt-get update\nmake \\\n install\nuser=root\n"
    assert found(f"{BEFORE}RUN <<EOF\n{body}EOF\nRUN <<EOF\nls\nEOF\n") == (
        "it needs BuildKit, which the docker client here reaches with its buildx only: RUN <<EOF"
    )


@pytest.mark.parametrize(
    "line",
    ["RUN curl https://example.com -o /x; ls | sh", "RUN apt-get install -y curl wget bash", "RUN echo hi | sh"],
)
def test_what_only_looks_a_little_like_it_is_not(line: str) -> None:
    assert "unseen" not in found(BEFORE + line)


def test_the_escape_character_can_be_another() -> None:
    text = "# escape=`\nFROM debian:13\nRUN curl https://example.com `\n | sh\nUSER agent"
    assert "unseen" in found(text)
    assert "unseen" not in found("# no directive any more\n" + text)


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ("FROM debian:13\n", "no USER any more, which was agent"),
        ("FROM debian:13\nUSER root\n", "runs as root"),
        ("FROM debian:13\nUSER agent\nuser 0:0\n", "runs as root"),
        ("FROM debian:13\nARG WHO=root\nUSER $WHO\n", "runs as root"),
        ("FROM debian:13\nUSER other\n", "agent becomes other"),
        ("FROM debian:13 AS a\nUSER root\nFROM a\n", "runs as root"),
        ("FROM debian:13 AS a\nUSER root\nFROM debian:13\nUSER agent", ""),
    ],
)
def test_another_user_is_named(after: str, said: str) -> None:
    assert said in found(after)
    assert bool(said) == bool(found(after))


def test_what_the_bottle_acts_on_or_does_not_is_named() -> None:
    text = found(BEFORE + 'ENTRYPOINT ["/x"]\nCMD ["y"]\nVOLUME /data\n')
    assert "ENTRYPOINT changes" in text
    assert "CMD changes" in text
    assert "VOLUME /data" in text
    assert found(BEFORE + "CMD y\nVOLUME /data\n", BEFORE + "VOLUME /data\nCMD y\n") == ""


def test_files_of_this_host_are_named() -> None:
    assert "COPY . /src" in found(BEFORE + "COPY . /src")
    assert found(BEFORE + "COPY . /src", BEFORE + "COPY   .  /src") == ""
    assert "folder of" not in found(BEFORE + "COPY --from=debian:13 /x /x")


def test_what_needs_buildkit_is_named() -> None:
    assert "BuildKit" in found(BEFORE + "RUN --mount=type=cache,target=/root/.cache make")
    assert "BuildKit" in found(BEFORE + "COPY <<EOF /x\nhello\nEOF")
    assert "BuildKit" not in found(BEFORE + "COPY --chown=1:1 x /x")


def test_what_looks_like_a_secret_is_named_without_its_value() -> None:
    for line in ("ENV GITHUB_TOKEN=hunter2", "ARG api_key=hunter2", "ENV DB_PASSWORD hunter2", "ENV X=ghp_" + "a" * 20):
        text = found(BEFORE + line)
        assert "looks like a secret" in text
        assert "hunter2" not in text
    assert "secret" not in found(BEFORE + "ARG TOKEN\nENV PATH=/x")


@pytest.mark.parametrize("hidden", ["\u202e", "\u200b", "\x1b", "\x00", "\r", "\U000e0041"])
def test_what_is_not_seen_is_named(hidden: str) -> None:
    assert f"line 4 has characters that are not seen: U+{ord(hidden):04X}" in found(f"{BEFORE}RUN a{hidden}b\r\n")


def test_what_a_terminal_would_hide_is_in_the_difference() -> None:
    diff = differences(BEFORE, BEFORE + "RUN true \x1b]0; && evil\u202e\r\nRUN true\r\n")
    assert "+RUN true <U+001B>]0; && evil<U+202E><U+000D>\n" in diff
    assert diff.endswith("+RUN true<U+000D>")


# --- any text ---------------------------------------------------------------------------------------------------------

WORDS = st.sampled_from(
    [
        *(
            "FROM ",
            "ARG ",
            "ENV ",
            "ADD ",
            "COPY ",
            "RUN ",
            "USER ",
            "CMD ",
            "VOLUME ",
            "ENTRYPOINT ",
            "ONBUILD ",
            "as ",
        ),
        *(
            "# escape=`\n",
            "\\\n",
            "`\n",
            "\n",
            "\r\n",
            "#",
            "<<EOF",
            "EOF\n",
            "--from=",
            "--platform=",
            "[",
            '["',
            '"]',
        ),
        *(
            "$",
            "${",
            "}",
            ":-",
            ":+",
            "$A",
            "A=",
            "$(curl",
            "curl |",
            "| sh",
            "https://x",
            '"',
            "'",
            "\t",
            " ",
            "\ufeff",
        ),
    ]
)
ANY = st.one_of(st.text(), st.lists(st.one_of(WORDS, st.text(max_size=3))).map("".join))


@given(ANY, ANY)
def test_no_text_is_too_strange(before: str, after: str) -> None:
    assert all(isinstance(each, str) and each for each in warnings(before, after))
    assert (differences(before, after) == "") == (before.removesuffix("\n") == after.removesuffix("\n"))


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        ("RUN a\r\n", "RUN a\n", ["-RUN a<U+000D>", "+RUN a"]),
        ("RUN a\u202e\n", "RUN a<U+202E>\n", ["-RUN a<U+202E>", "+RUN a<U+202E>"]),
        ("RUN a\n", "RUN a", []),
        ("", "\n", []),
    ],
)
def test_what_differs_is_never_shown_as_the_same(before: str, after: str, shown: list[str]) -> None:
    assert differences(before, after).splitlines()[3:] == shown


def test_nested_text_is_not_too_deep() -> None:
    assert warnings("", "FROM x\nRUN " + "[" * 100_000)
    deep = "ARG A=aaaaaaaaaa\n" + "ARG A=$A$A$A$A$A$A$A$A\n" * 200 + "FROM $A\n"
    assert warnings("", deep)


def test_a_user_of_the_manifests_is_nobody_that_a_dockerfile_replaces() -> None:
    assert any("root" in each for each in warnings(BEFORE, BEFORE.replace("agent", "root")))
    assert not warnings(BEFORE, BEFORE.replace("agent", "root"), user="agent")
    assert not warnings(BEFORE, BEFORE.replace("USER agent\n", ""), user="agent")


# --- what it is told --------------------------------------------------------------------------------------------------
