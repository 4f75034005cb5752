"""A flag's text arrives as it was typed; only a list is divided."""

from typing import Literal

import pytest

from rcic.errors import UserError
from rcic.schema.text import parse_value

TYPED = [
    *(
        "(c)/full.yml",
        "a[1]/x.yml",
        "[1]",
        "(1)",
        "x [1]",
        "a#b",
        "a #b",
        "it's",
        '5"',
        "a b",
        "1e5",
        "0x10",
        "2024",
        "007",
    ),
    *("None", "True", "null", "~", "a=b", "{a}", "a:b", "*", "x\\y", "$HOME", "\u00b5", "[a", "a(b", "a'b'c", "-5"),
]


@pytest.mark.parametrize("text", TYPED)
@pytest.mark.parametrize("kind", [str, str | None])
def test_text_stays_as_it_is(text, kind):
    assert parse_value(text, kind) == text


@pytest.mark.parametrize("kind", [Literal["row", "well"], Literal["row", "well"] | None])
def test_one_of_several_words(kind):
    assert parse_value("row", kind) == "row"
    with pytest.raises(UserError, match="must be row or well; did you mean 'row'"):
        parse_value("rows", kind)


@pytest.mark.parametrize("text", TYPED)
def test_so_does_text_in_a_list(text):
    assert parse_value(text, tuple[str, ...]) == (text,)
    assert parse_value(f"{text},x", tuple[str, ...]) == (text, "x")
    assert parse_value(f"x,{text}", tuple[str, ...]) == ("x", text)


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("a,b", ("a", "b")),
        ("[a, b]", ("a", "b")),
        ("(a,b)", ("a", "b")),
        ("['a', \"b\"]", ("a", "b")),
        ("['a']", ("a",)),
        ("'a,b.yml'", ("a,b.yml",)),
        ("'a,b.yml',c", ("a,b.yml", "c")),
        ("out/[1,2]/fold_0,out/[3]", ("out/[1,2]/fold_0", "out/[3]")),
        ("a(1,2).yml", ("a(1,2).yml",)),
        ("[a],[b]", ("[a]", "[b]")),
        ("\"'q'\"", ("'q'",)),
        ("'[1]'", ("[1]",)),
        ("a,", ("a", "")),
        (",a", ("", "a")),
        ("a(b,c", ("a(b", "c")),
    ],
)
def test_a_list_is_divided_at_its_commas(text, items):
    assert parse_value(text, tuple[str, ...]) == items


def test_a_long_text_is_not_repeated():
    with pytest.raises(UserError) as error:
        parse_value("1," + 10_000 * "x", tuple[int, ...])
    assert len(str(error.value)) < 200
