"""What Fire makes of the words of a command line before a program sees them."""

import fire
import pytest
from fire.decorators import SetParseFns


def value(text: str) -> object:
    return fire.Fire(lambda **flags: flags, command=[f"--x={text}"], serialize=lambda _: "")["x"]


@pytest.mark.parametrize(("text", "seen"), [("a#b", "a"), ("5#6", 5), ("#1", "#1"), ("x/#1 #2", "x/#1 #2")])
def test_fire_what_follows_a_hash_is_lost(text, seen):
    """Fire 0.7.1: a value is parsed as Python, where # begins a comment: of plate#2 only plate is left.

    `cli.flags.readers`, set in `cli.main`, take the text as it is typed;
    `tests/cli/test_main.py::test_a_path_stays_as_it_was_typed`.
    """
    assert value(text) == seen


@pytest.mark.parametrize(
    ("text", "seen"), [("A,B", ("A", "B")), ("1_000", 1000), ("0x10", 16), ("1e400", float("inf"))]
)
def test_fire_names_become_tuples_and_numbers(text, seen):
    """Fire 0.7.1: A,B is a tuple, 1_000 is 1000 and 1e400 infinity, whatever the parameter's type.

    `cli.flags.readers` read each flag by its type;
    `tests/cli/test_main.py::test_a_flag_is_read_by_the_type_of_its_parameter`.
    """
    assert value(text) == seen


def test_fire_the_word_true_is_text():
    """Fire 0.7.1: True is a Boolean, true is text, and so a flag that is "on" even where it says false.

    `schema.text.parse_value` reads both; `tests/cli/test_main.py::test_a_flag_is_read_by_the_type_of_its_parameter`.
    """
    assert [value(text) for text in ("True", "true", "false")] == [True, "true", "false"]


def test_fire_a_set_parser_gets_the_text_as_typed():
    """Fire 0.7.1: a parser that `SetParseFns` names gets the whole text, with # and commas.

    All flags are read through it: `cli.main`.
    """

    @SetParseFns(x=lambda text: [text])
    def command(x: str) -> str:
        return x

    assert fire.Fire(command, command=["--x=a#b,c"], serialize=lambda _: "") == ["a#b,c"]
