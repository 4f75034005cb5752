import re

import pytest

from rcic.errors import UserError
from rcic.schema.document import LARGEST, read_document, read_yaml_value


@pytest.fixture
def read(tmp_path):
    """Return a function that writes a text (or bytes) to f.yml and reads it."""

    def read_text(text):
        (tmp_path / "f.yml").write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_document(tmp_path / "f.yml")

    return read_text


def test_every_key_knows_its_line(read):
    document = read("# story\nstage: full\n\ntrain:\n  seed: 1\n  ema: 0.5\ndata: {fold: 2,\n  sites: [1,\n    2]}\n")
    assert document.plain == {"stage": "full", "train": {"seed": 1, "ema": 0.5}, "data": {"fold": 2, "sites": [1, 2]}}
    assert document.lines == {
        "stage": 2,
        "train": 4,
        "train.seed": 5,
        "train.ema": 6,
        "data": 7,
        "data.fold": 7,
        "data.sites": 8,
    }


@pytest.mark.parametrize("text", ["", "\n\n", "# a story\n", "---\n", "null\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_an_empty_mapping(read, text):
    document = read(text)
    assert (document.plain, document.lines) == ({}, {})


def test_a_byte_order_mark_is_no_part_of_a_key(read):
    assert read(b"\xef\xbb\xbfstage: full\n").plain == {"stage": "full"}


DEEP = "[" * 5000 + "]" * 5000
BAD = {
    "a key twice": (
        "a: 1\ntrain:\n  seed: 1\n  ema: 0\n  seed: 2\n",
        "line 5: key 'seed' is listed twice, first in line 3",
    ),
    "a section twice": ("train: {seed: 1}\ntrain: {ema: 0}\n", "line 2: key 'train' is listed twice, first in line 1"),
    "an anchor": ("a: &x 1\nb: 2\n", "line 1: anchors and aliases"),
    "an alias": ("b: 2\na: *x\n", "line 2: anchors and aliases"),
    "a merge": ("a: 1\n<<: {b: 2}\n", "line 2: a key must be a word, and merge keys (<<) are not allowed"),
    "a list as key": ("? [1, 2]\n: 3\n", "line 1: a key must be a word"),
    "a python object": ("a: !!python/object/apply:os.system [ls]\n", "line 1: the tag 'tag:yaml.org,2002:python/obj"),
    "a tag": ("a: 1\nb: !!str 3\n", "line 2: the tag 'tag:yaml.org,2002:str' is not allowed in a config"),
    "an own tag": ("a: !mine 3\n", "line 1: the tag '!mine' is not allowed in a config"),
    "depth": (f"a: {DEEP}\n", "line 1: more than 10 levels or 10,000 values, too many for a config"),
    "breadth": (f"a: [{'1,' * 20_000}]\n", "line 1: more than 10 levels or 10,000 values"),
    "a long value": (f"a: {'9' * 5000}\n", "line 1: a value of 5,000 characters"),
    "no number": ("a: 1\nb: 0x_\n", "line 2: '0x_' is not a number"),
    "two documents": ("a: 1\n---\nb: 2\n", "line 2: not valid YAML: but found another document"),
    "an open bracket": ("train:\n  batch_size: [1\nmodel: {}\n", "line 3: not valid YAML: "),
    "a tabulator": ("a:\n\tb: 1\n", "line 2: not valid YAML: found character '\\t' that cannot start any token"),
    "a bell": ("a: 1\nb: \a\n", "line 2: not valid YAML: character #x0007"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_plain_data_is_refused_with_its_line(read, tmp_path, case):
    text, message = BAD[case]
    with pytest.raises(UserError) as error:
        read(text)
    assert str(error.value).startswith(f"{tmp_path}/f.yml, {message}")
    assert "\n" not in str(error.value) and len(str(error.value)) < 300


def test_a_bomb_of_aliases_is_refused_at_its_first_anchor(read):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    with pytest.raises(UserError, match="line 1: anchors"):
        read("\n".join(lines))


def test_a_large_file_is_not_read(read, tmp_path):
    with pytest.raises(UserError, match=r"f\.yml: is larger than 1\.0 MB, too large to be read"):
        read(b"#" * (LARGEST + 1))
    assert read(b"#" * LARGEST).plain == {}


def test_a_file_without_a_mapping_is_refused(read):
    for text, shown in (("[1]", r"\[1\]"), ("3", "3"), ("false", "False"), ("[]", r"\[\]")):
        with pytest.raises(UserError, match=f"f.yml: the file must be a mapping, not {shown}$"):
            read(text)


def test_a_file_that_cannot_be_read_is_named(read, tmp_path):
    with pytest.raises(UserError, match=r"f\.yml: cannot be read as text"):
        read(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"absent\.yml: no such config file"):
        read_document(tmp_path / "absent.yml")
    with pytest.raises(UserError, match="is a folder, not a regular file"):
        read_document(tmp_path)


def test_a_date_is_text(read):
    assert read("a: 2019-06-27\nb: 2019-99-99\n").plain == {"a": "2019-06-27", "b": "2019-99-99"}


def test_a_single_value_is_read_alike():
    values = {"3": 3, "[1, 2]": [1, 2], "null": None, "tiny": "tiny", "off": False, "": None, "{a: 1}": {"a": 1}}
    assert {text: read_yaml_value(text, "--set a") for text in values} == values
    for text in ("[1", "*x", "&x 1", "!!int 3", "{a: 1, a: 2}", DEEP):
        with pytest.raises(UserError, match=r"^--set a: "):
            read_yaml_value(text, "--set a")


@pytest.mark.parametrize(
    ("text", "number"), [("010", "8"), ("-010", "-8"), ("[9, 010]", "8"), ("1:30", "90"), ("1:30.5", "90.5")]
)
def test_a_number_of_another_base_is_refused(text, number):
    with pytest.raises(UserError, match=rf"place: .* would be read as {re.escape(number)}; write .* in quotes"):
        read_yaml_value(text, "place")


@pytest.mark.parametrize(
    ("text", "value"),
    [("007", 7), ("0x10", 16), ("1_000", 1000), ("0", 0), ("-5", -5), ("0_7", 7), ("1.50", 1.5), ("'010'", "010")],
)
def test_other_spellings_of_a_number_are_read(text, value):
    assert read_yaml_value(text, "place") == value


def test_sites_with_leading_zeros_are_refused_with_their_line(read):
    with pytest.raises(UserError, match=r"line 2: 010 would be read as 8"):
        read("name: x\nsites: [008, 009, 010, 011]\n")
