"""A table goes into the page as it is: short ones whole, long ones in few bytes and to four digits."""

import base64
import json

import numpy as np
import pandas as pd
import pytest

from rcic.report.chart import SHORT, Chart, encode


def decode(column):
    """Return the values of an encoded column as the page reads them."""
    if "values" in column:
        return column["values"]
    numbers = np.frombuffer(base64.b64decode(column["data"]), np.dtype(column["type"])).tolist()
    if "labels" in column:
        return [column["labels"][number] for number in numbers]
    return [None if number == column.get("nothing") else number * column["step"] for number in numbers]


def test_a_short_table_is_written_in_full():
    table = pd.DataFrame({"well": ["B02", "B03"], "value": [0.123456789012, np.nan], "count": [3, 4]})
    chart = Chart("a", "A", "", "table", table, {"rows": 8}).encoded()
    assert (chart["kind"], chart["rows"], chart["options"]) == ("table", 2, {"rows": 8})
    columns = {column["name"]: decode(column) for column in chart["columns"]}
    assert columns == {"well": ["B02", "B03"], "value": [0.123456789012, None], "count": [3, 4]}


def test_what_json_has_not_is_null():
    values = encode("x", pd.Series([np.inf, -np.inf, np.nan, 1.5]))["values"]
    assert values == [None, None, None, 1.5]
    assert encode("x", pd.Series([None, "a", True], dtype=object))["values"] == [None, "a", True]


def test_a_long_table_keeps_texts_and_whole_numbers_and_four_digits_of_fractions():
    rows = SHORT + 1
    texts = pd.Series([f"plate {n % 7}" for n in range(rows)])
    assert decode(encode("t", texts)) == texts.tolist()
    numbers = pd.Series(np.arange(rows) - 5)
    assert decode(encode("n", numbers)) == numbers.tolist()
    fractions = pd.Series(np.linspace(0, 254.7, rows))
    fractions[3] = np.nan
    got = decode(encode("f", fractions))
    assert got[3] is None
    known = fractions.notna()
    assert np.abs(np.array(got, float)[known] - fractions[known]).max() <= 0.05 + 1e-9
    assert got[-1] == pytest.approx(254.7)


@pytest.mark.parametrize(("values", "kind"), [([0, 100], "int8"), ([0, 300], "int16"), ([-1, 70_000], "int32")])
def test_whole_numbers_take_the_smallest_type(values, kind):
    column = encode("n", pd.Series(values * SHORT))
    assert column["type"] == kind
    assert decode(column) == values * SHORT


def test_a_column_of_nothing_and_one_of_zeros():
    rows = SHORT + 1
    assert set(decode(encode("n", pd.Series(np.full(rows, np.nan))))) == {None}
    assert set(decode(encode("n", pd.Series(np.zeros(rows))))) == {0}
    assert set(decode(encode("b", pd.Series(np.ones(rows, bool))))) == {1}


def test_it_is_small():
    table = pd.DataFrame({"well": ["B02"] * 50_000, "value": np.random.default_rng(0).random(50_000)})
    assert len(json.dumps(Chart("a", "A", "", "table", table).encoded())) < 220_000
