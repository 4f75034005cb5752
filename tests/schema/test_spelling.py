"""Names that a reader takes for the same, and characters that nobody sees."""

import pytest

from rcic.schema.spelling import look, trimmed, visible

ALIKE = [
    ("DMSO", "dmso"),
    ("x 10 \u00b5M", "x 10 \u03bcM"),  # micro sign, Greek mu
    ("x 10 \u03bcM", "x\u00a010\u03bcM"),
    ("caf\u00e9", "cafe\u0301"),
    ("\uff22\uff10\uff12", "B02"),  # full width
    ("siRNA-1", "siRNA\u20131"),
    ("siRNA-1", "siRNA\u22121"),
    ("3'UTR", "3\u2032UTR"),
    ("DM\u200bSO", "DMSO"),
    ("DM\u00adSO", "DMSO"),
    ("\u0421ontrol", "Control"),  # a Cyrillic letter
    ("1", "01"),
    ("1", "1.0"),
    ("0", "00"),
    ("x\u00b2", "x2"),
    ("stra\u00dfe", "STRASSE"),
]
APART = [
    ("1.1", "1.10"),
    ("1", "10"),
    ("P1", "P10"),
    ("a_b", "ab"),
    ("a-b", "ab"),
    ("TNF-\u03b1", "TNF-\u03b2"),
    ("1", "-1"),
]


@pytest.mark.parametrize(("first", "second"), ALIKE)
def test_names_that_look_the_same(first, second):
    assert first != second and look(first) == look(second)


@pytest.mark.parametrize(("first", "second"), APART)
def test_names_that_do_not(first, second):
    assert look(first) != look(second)


@pytest.mark.parametrize(
    "blank", [" ", "\t", "\u00a0", "\u2009", "\u3000", "\u200b", "\ufeff", "\u200e", "\u2060", "\x85"]
)
def test_blanks_at_the_ends_are_cut_off_and_none_inside(blank):
    assert trimmed(f"{blank} a{blank}b {blank}") == f"a{blank}b"
    assert trimmed(blank) == ""


def test_a_name_is_not_cut_of_what_can_be_seen():
    for name in ("-", ".", "*a*", "_a_", "\x07a", "\u00b5", "\u0301a"):
        assert trimmed(name) == name


def test_what_cannot_be_seen_is_shown():
    assert visible("a\u200bb\x1b[31m \u00e9\u00a0") == "a\\u200bb\\x1b[31m \u00e9\\xa0"
    assert visible("\udcff") == "\\udcff"
