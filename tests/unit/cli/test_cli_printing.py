"""Text and tables for terminals and pipes."""

import json

import pytest

from handiwork.cli import printing


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, ünïcode, 中文 and 🎉", "plain, ünïcode, 中文 and 🎉"),
        ("a\tb\nc", "a\tb\nc"),
        ("\x1b]0;title\x07\x1b[2J", "\\x1b]0;title\\x07\\x1b[2J"),
        ("\x9b31m and \x7f", "\\x9b31m and \\x7f"),
        ("windows\r\nline\roverwritten", "windows\nline\noverwritten"),
        ("gnp.\u202eexe", "gnp.\\u202eexe"),
        ("half \udc80 a character", "half \\udc80 a character"),
    ],
)
def test_no_text_steers_the_terminal_and_ordinary_text_stays(text: str, shown: str) -> None:
    assert printing.harmless(text) == shown


def test_a_name_never_starts_a_line_of_its_own() -> None:
    assert printing.one_line("a\n[ok]\tb") == "a\\n[ok]\\tb"


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 bytes"),
        (1023, "1,023 bytes"),
        (1024, "1.0 KB"),
        (1024**2 - 1, "1.0 MB"),
        (10 * 1024**2, "10.0 MB"),
        (5 * 1024**5, "5,120.0 TB"),
    ],
)
def test_sizes_are_counted_in_steps_of_1024(count: int, shown: str) -> None:
    assert printing.size(count) == shown


def test_a_table_in_a_pipe_is_neither_folded_nor_padded(capsys: pytest.CaptureFixture[str]) -> None:
    long = "x" * 300
    printing.print_table(printing.results(), "Title", ("name", "size"), [(long, "1"), ("b", "12")], right=("size",))
    assert capsys.readouterr().out.splitlines() == [
        "",
        "Title",
        f"name{' ' * 296}  size",
        f"{long}     1",
        f"b{' ' * 299}    12",
    ]


def test_words_in_brackets_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    printing.say(printing.results(), "[bold]x[/bold] ", ("[/]", "red"), " :smile:")
    printing.print_table(printing.results(), "", ("[red]",), [("[link=x]y",)])
    assert capsys.readouterr().out == "[bold]x[/bold] [/] :smile:\n[red]\n[link=x]y\n"


def test_json_is_one_object_in_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    shape = {"name": "é \x9b \udc80", "list": [1, None]}
    printing.print_json(shape)
    printed = capsys.readouterr().out
    assert printed.isascii()
    assert json.loads(printed) == shape


def test_the_output_of_a_program_ends_its_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    printing.print_text("no newline")
    printing.print_text("")
    printing.print_text("one\n", is_error=True)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("no newline\n", "one\n")


def test_progress_says_nothing_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with printing.progress("First") as stage:
        stage("Second")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")
