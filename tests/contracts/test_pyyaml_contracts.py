"""What a YAML file of version 1.1 says, as PyYAML reads it."""

import pytest
import yaml


def read(text: str) -> object:
    return yaml.safe_load(f"a: {text}")["a"]


@pytest.mark.parametrize("text", ["1e-3", "5e4", "1E+3"])
def test_pyyaml_a_power_of_ten_without_a_point_is_text(text):
    """PyYAML 6.0.3: `1e-3` is text, `1.0e-3` a number (YAML 1.1 wants the point).

    `schema.convert` takes text that is a number where one is wanted;
    `tests/schema/test_convert.py::test_what_yaml_reads_otherwise_is_understood`.
    """
    assert read(text) == text
    assert read("1.0e-3") == 1e-3


@pytest.mark.parametrize(("text", "value"), [("NO", False), ("off", False), ("On", True), ("yes", True), ("y", "y")])
def test_pyyaml_no_and_off_are_false(text, value):
    """PyYAML 6.0.3: the words no, off, yes and on are Booleans in any case; y and n are text.

    `schema.convert` takes a bare off as the choice "off", and refuses a Boolean where text is wanted;
    `tests/schema/test_convert.py::test_what_yaml_reads_otherwise_is_understood`.
    """
    assert read(text) is value if isinstance(value, bool) else read(text) == value


def test_pyyaml_a_leading_zero_makes_an_octal_number():
    """PyYAML 6.0.3: 010 is 8, 001 is 1, 08 is text, and 0o10 is text, too.

    `schema.document` refuses a number that is another one without its zeros;
    `tests/schema/test_document.py::test_a_number_of_another_base_is_refused`.
    """
    assert [read(text) for text in ("010", "001", "08", "0o10")] == [8, 1, "08", "0o10"]


def test_pyyaml_a_time_is_a_number_of_seconds():
    """PyYAML 6.0.3: 1:30 is 90, of base 60; 1:30.5 is 90.5.

    `schema.document` refuses it; `tests/schema/test_document.py::test_a_number_of_another_base_is_refused`.
    """
    assert [read(text) for text in ("1:30", "1:30.5")] == [90, 90.5]


def test_pyyaml_a_repeated_key_takes_the_last():
    """PyYAML 6.0.3: of two equal keys the last counts, without a word.

    `schema.document` refuses the second with its line; `tests/schema/test_document.py` (case of a repeated key).
    """
    assert yaml.safe_load("a: 1\na: 2") == {"a": 2}


def test_pyyaml_a_date_is_a_date():
    """PyYAML 6.0.3: 2024-01-01 is a date, so an experiment of that name is no text.

    `schema.document` leaves dates as text; `tests/schema/test_document.py::test_a_date_is_text`.
    """
    assert str(read("2024-01-01")) == "2024-01-01"
    assert not isinstance(read("2024-01-01"), str)


def test_pyyaml_writes_names_that_other_readers_take_for_numbers():
    """PyYAML 6.0.3: the text 1E07, a well, is written without quotes; PyYAML reads it back as text, YAML 1.2 as 1e7.

    The program reads its own files by PyYAML only; in another program quote such names.
    """
    text = yaml.safe_dump({"well": "1E07", "no": "NO"})
    assert text == "'no': 'NO'\nwell: 1E07\n"
    assert yaml.safe_load(text)["well"] == "1E07"
