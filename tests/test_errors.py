"""Messages are one line of visible characters, of bounded length, with a hint at the nearest name."""

import time

import pytest

from rcic.errors import LONGEST_LINE, brief, nearest, one_line, quoted


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("B3", ["b1", "b2", "b3"], "; did you mean 'b3'?"),
        ("COMPOUND", ["compound", "COMPOUNDS"], "; did you mean 'compound'?"),
        ("x \u00b5M", ["x \u03bcM"], "; did you mean 'x \\u03bcM'?"),
        ("01", ["0", "1"], "; did you mean '1'?"),
        ("densnet121", ["densenet121"], "; did you mean 'densenet121'?"),
        ("caf\u00e9s", ["caf\u00e9"], "; did you mean 'caf\u00e9'?"),
        ("x", ["y"], ""),
    ],
)
def test_the_nearest_name(name, known, hint):
    assert nearest(name, known) == hint


def test_of_a_long_name_none_is_nearest_and_that_is_known_at_once():
    began = time.monotonic()
    assert nearest(5_000_000 * "x", ["x", "y"]) == ""
    assert time.monotonic() - began < 1


def test_a_long_value_is_shortened():
    for show in (brief, quoted):
        assert show("a\u200b") == "'a\\u200b'" and len(show("x" * 10**7)) < 200
    assert quoted("\u00b5") == "'\\xb5'" and brief("\u00b5") == "'\u00b5'"


def test_a_message_is_one_line_and_no_longer_than_a_screen():
    assert one_line("a\nb\u2028c\r\nd") == "a b c d" and one_line("\u00e9 \x1b[31m") == "\u00e9 \\x1b[31m"
    for long in ("a" + 10**7 * "x" + "z", "a" + 3000 * "x" + "z", "a" + 3000 * "\u200b" + "z"):
        line = one_line(long)
        assert len(line) <= LONGEST_LINE and line.startswith("a") and line.endswith("z") and " ... " in line
    assert one_line(LONGEST_LINE * "x") == LONGEST_LINE * "x"
