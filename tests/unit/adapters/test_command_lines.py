"""A line of shell as a tree: what is written is what is read, and nothing makes the reading fail in other words."""

import shlex

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from handiwork.adapters.command_lines import (
    Group,
    Loop,
    NotUnderstood,
    Script,
    Simple,
    Substitution,
    Text,
    Variable,
    parsed,
)

NAMES = st.text(min_size=1, max_size=20).filter(lambda text: "\0" not in text)


def only(script: Script) -> Simple:
    ((_operator, pipe),) = script.steps
    (part,) = pipe.parts
    assert isinstance(part, Simple)
    return part


def texts(command: Simple) -> list[str]:
    return ["".join(part.text for part in word if isinstance(part, Text)) for word in command.words]


@given(st.lists(NAMES, min_size=1, max_size=5))
@example(["a'b", 'c"d', "$HOME", "a\nb", "#", "\\"])
def test_words_that_were_quoted_are_read_as_they_were(words: list[str]) -> None:
    assert texts(only(parsed("echo " + shlex.join(words)))) == ["echo", *words]


@given(st.text(alphabet="ab $'\"\\\n;|&<>(){}=#`*?0", max_size=60))
def test_any_line_is_read_or_refused_in_words(line: str) -> None:
    try:
        parsed(line)
    except NotUnderstood as refused:
        assert str(refused)  # noqa: PT017  # either outcome is one


@pytest.mark.parametrize("text", ["(" * 100_000, "$(" * 100_000, '"' * 100_001, "a <<" * 50_000, "for i in " * 50_000])
def test_a_hostile_line_is_refused_at_once(text: str) -> None:
    with pytest.raises(NotUnderstood):
        parsed(text)


def test_commands_are_joined_as_they_are_written() -> None:
    script = parsed("a && b || c; d | e\nf")
    assert [(operator, len(pipe.parts)) for operator, pipe in script.steps] == [
        (";", 1), ("&&", 1), ("||", 1), (";", 2), (";", 1)
    ]  # fmt: skip


def test_a_loop_a_group_and_what_is_put_in() -> None:
    script = parsed("for i in $(seq 3) a; do echo $i > ${i}.txt; done; (cd b && c)")
    (_first, looping), (_second, grouping) = script.steps
    loop, group = looping.parts[0], grouping.parts[0]
    assert isinstance(loop, Loop)
    assert isinstance(group, Group)
    assert isinstance(loop.words[0][0], Substitution)
    body = only(loop.body)
    assert body.words[1] == (Variable("i"),)
    assert body.redirects[0].target == (Variable("i"), Text(".txt"))


def test_a_document_is_what_stands_between_the_marks() -> None:
    script = parsed("cat > a.py << 'END' && python a.py\nprint('$x')\n\nEND\nls")
    assert len(script.steps) == 3
    redirects = script.steps[0][1].parts[0]
    assert isinstance(redirects, Simple)
    assert redirects.redirects[1].target == (Text("print('$x')\n\n", is_quoted=True),)


@pytest.mark.parametrize("end", ["\f", "\v", "\r", "\x1c", "\x85", "\u2028", "\u2029"])
def test_no_other_end_of_line_ends_a_document_and_lets_the_rest_be_commands(end: str) -> None:
    script = parsed(f"cat <<END\na{end}END\nrm -rf *\nEND\nls")
    assert len(script.steps) == 2
    command = script.steps[0][1].parts[0]
    assert isinstance(command, Simple)
    assert command.redirects[0].target == (Text(f"a{end}END\nrm -rf *\n", is_quoted=True),)


def test_the_stream_of_the_output_may_be_named() -> None:
    command = only(parsed("echo a 1> b 1>>c"))
    assert texts(command) == ["echo", "a"]
    assert [redirect.operator for redirect in command.redirects] == [">", ">>"]
    assert texts(only(parsed("echo 1 a1>b"))) == ["echo", "1", "a1"]


def test_the_home_is_where_the_files_are_unless_it_is_quoted() -> None:
    assert only(parsed("cat ~/a")).words[1] == (Variable("HOME", is_quoted=True), Text("/a"))
    assert texts(only(parsed("cat '~/a' a~/b ~c"))) == ["cat", "~/a", "a~/b", "~c"]


@pytest.mark.parametrize(
    "line",
    [
        "while a; do b; done",
        "if a; then b; fi",
        "a &",
        "`a`",
        "$((1+1))",
        "a <<< b",
        "${a:-b}",
        "a 3> b",
        "a 0< b",
        "mkdir {a,b}",
        "rm a{1..9}",
    ],
)
def test_what_is_not_known_here_is_named(line: str) -> None:
    with pytest.raises(NotUnderstood, match="is not understood here"):
        parsed(line)
