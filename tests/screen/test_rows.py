import signal
import time

import numpy as np
import pytest

from rcic.errors import UserError
from rcic.screen.rows import is_number, read_rows, whole_numbers


@pytest.fixture
def read(tmp_path):
    """Return a function that writes bytes to a.csv and reads it with columns x and plate."""

    def read_bytes(data: bytes, others=()):
        (tmp_path / "a.csv").write_bytes(data)
        return read_rows(tmp_path / "a.csv", ["x", "plate"], others)

    return read_bytes


def test_columns_come_in_any_order_and_rows_know_their_line(read):
    rows = read(b"plate,x\n1,a\n\n2,b\n   \n")
    assert rows["x"].to_dict() == {2: "a", 4: "b"}
    assert rows["plate"].to_list() == ["1", "2"]


@pytest.mark.parametrize(
    "data",
    [
        b"x,plate\r\na,1\r\nb,2\r\n",
        b"\xef\xbb\xbfx,plate\na,1\nb,2",
        b'"x",plate\n"a","1"\nb,2\n',
        b"x,plate\ra,1\rb,2\r",
    ],
    ids=["windows", "byte-order mark, no last newline", "quotes", "old mac"],
)
def test_the_usual_dialects_read_alike(read, data):
    assert read(data).to_numpy().tolist() == [["a", "1"], ["b", "2"]]


def test_a_value_that_looks_missing_to_pandas_is_a_name(read):
    assert read(b"x,plate\nNA,1\nnan,2\n")["x"].to_list() == ["NA", "nan"]


def test_other_columns_are_read_where_any_may_be_there(read):
    assert read(b"x,plate,note\na,1,\n", others=None)["note"].to_list() == [""]
    assert read(b"x,plate,note\na,1,\n", others=["note"])["note"].to_list() == [""]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "a.csv: the file is empty"),
        (b"\n", "a.csv: the file is empty"),
        (b"x,plate\n", "a.csv: the table has a header but no rows"),
        (b"x,plate\n\n\n", "a.csv: the table has a header but no rows"),
        (b"x,plat\na,1\n", "a.csv, line 1: no column 'plate' in the header 'x,plat'; did you mean 'plat'?"),
        (b"x;plate\na;1\n", "a.csv, line 1: its fields are separated by semicolons, not by commas; save"),
        (b"y\tplate\na\t1\n", "a.csv, line 1: its fields are separated by tabs, not by commas; save the table with"),
        (b'"x";"plate"\na;1\n', "or let rcic data discover --table "),
        (b"x,plate,note;;;\n", "a.csv, line 1: unknown column 'note;;;'"),
        (b"sep=;\nx;plate\na;1\n", "a.csv, line 1: 'sep=;' is a line for Excel; remove it"),
        (b"PK\x03\x04" + bytes(9), "a.csv: is an Excel workbook or another document; save its table as CSV"),
        (b"\xd0\xcf\x11\xe0" + bytes(9), "a.csv: is an Excel workbook"),
        (b"x,plate,plates\na,1,1\n", "a.csv, line 1: unknown column 'plates'; did you mean 'plate'?"),
        (b"x,plate,\na,1,1\n", "a.csv, line 1: unknown column ''"),
        (b"x,plate,x\na,1,a\n", "a.csv, line 1: column 'x' is listed twice in the header"),
        (b"x,plate\na,1,9\nb,2\n", "a.csv, line 2: 3 fields, but the header has 2: 'a,1,9'"),
        (b"x,plate\na,1\nb\n", "a.csv, line 3: 1 fields, but the header has 2: 'b'"),
        (b'x,plate\n"a,b",1\n\n"c",1,2\n', "a.csv, line 4: 3 fields, but the header has 2"),
        (b"x,plate\na,1\n,2\n", "a.csv, line 3: column 'x' has no value"),
        (b"x,plate\n\na,\n", "a.csv, line 3: column 'plate' has no value"),
        (b"x,plate\na,1\nb\xff,2\n", "a.csv, line 3: byte 0xff is not UTF-8 text"),
        (
            "x,plate\na,1\n".encode("utf-16"),
            "a.csv: is UTF-16 text, as Excel's Unicode Text; save the table as CSV UTF-8",
        ),
        (b"x,plate\na,\0\n", "a.csv, line 2: contains a zero byte"),
        (b'x,plate\n"a\nb",1\n', "a.csv: a quoted field spans lines"),
        (
            b'x,plate\n"a,1\n' + b"b,1\n" * 50_000,
            "a.csv: field larger than field limit (131072); is a closing quote missing",
        ),
        (
            b"x,plate," + b"y" * 200_000 + b"\n",
            "a.csv: field larger than field limit (131072); is a closing quote missing?",
        ),
        (b'x,plate\n"a,1\nb,1\n', "a.csv: a quoted field spans lines, or its closing quote is"),
    ],
)
def test_a_broken_table_is_refused_with_file_line_and_reason(read, data, message):
    with pytest.raises(UserError) as error:
        read(data)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_and_a_folder_in_its_place_are_refused(tmp_path):
    for path, told in ((tmp_path / "none.csv", "the file is missing"), (tmp_path, "is a folder, not a regular file")):
        with pytest.raises(UserError, match=told):
            read_rows(path, ["x"])


@pytest.mark.parametrize("value", ["1.0", "-1", "", "one", "01", "1e3", "²", "٣", "9" * 19, "1 2"])
def test_only_plain_whole_numbers_are_numbers(read, value):
    assert not is_number(value)
    if value:
        rows = read(f"x,plate\na,1\nb,{value}\n".encode())
        with pytest.raises(UserError, match=r"a\.csv, line 3: plate .* is not a whole number"):
            whole_numbers("a.csv", rows, "plate")


def test_blanks_at_the_ends_are_no_part_of_a_field_or_a_column(read):
    rows = read("\tx,\xa0plate \n a b\u3000,\u200b 1\xa0\n\ufeffc\r\n".replace("c\r\n", "c,2\r\n").encode())
    assert rows.to_numpy().tolist() == [["a b", "1"], ["c", "2"]] and [*rows] == ["x", "plate"]
    assert not is_number(" 1") and whole_numbers("a.csv", rows, "plate").to_list() == [1, 2]
    with pytest.raises(UserError, match="line 3: column 'x' has no value"):
        read("x,plate\na,1\n\xa0\u200b,2\n".encode())
    with pytest.raises(UserError, match="column 'x' is listed twice"):
        read(b"x,plate,x \na,1,2\n")


def test_whole_numbers_are_int64(read):
    numbers = whole_numbers("a.csv", read(b"x,plate\na,0\nb,999999999999999999\n"), "plate")
    assert numbers.to_list() == [0, 999999999999999999]
    assert numbers.dtype == "int64"


def test_a_table_of_too_many_lines_is_refused_before_they_are_split(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"id_code\n" + b"\n" * 10_000_001)
    with pytest.raises(UserError, match=r"a\.csv: has 10,000,002 lines, too many for a table \(10,000,000 at most\)"):
        read_rows(path, ["id_code"])


@pytest.mark.long
@pytest.mark.parametrize("row", ['HUVEC-01_1_B02,HUVEC-01,1,B02,"513"', "HUVEC-01_1_B02,HUVEC-01,1,B02,513", ""])
def test_a_signal_is_answered_while_a_table_is_read(tmp_path, row):
    """Python answers between two steps of its own: no library's step may be most of the work."""
    path, ticks = tmp_path / "a.csv", []
    path.write_text("id_code,experiment,plate,well,sirna\na,b,c,d,e\n" + f"{row}\n" * 400_000)
    before = signal.signal(signal.SIGALRM, lambda *_: ticks.append(time.monotonic()))
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
    try:
        began = time.monotonic()
        rows = read_rows(path, ["id_code"], others=None)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert len(rows) == (400_001 if row else 1)
    times = np.array([began, *ticks, time.monotonic()])
    assert np.diff(times).max() < max(0.4 * (times[-1] - began), 0.3)
