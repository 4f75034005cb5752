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
        (b"x;plate\na;1\n", "a.csv, line 1: no column 'x' in the header 'x;plate'"),
        (b"x,plate,plates\na,1,1\n", "a.csv, line 1: unknown column 'plates'; did you mean 'plate'?"),
        (b"x,plate,\na,1,1\n", "a.csv, line 1: unknown column ''"),
        (b"x,plate,x\na,1,a\n", "a.csv, line 1: column 'x' is listed twice in the header"),
        (b"x,plate\na,1,9\nb,2\n", "a.csv, line 2: 3 fields, but the header has 2: 'a,1,9'"),
        (b"x,plate\na,1\nb\n", "a.csv, line 3: 1 fields, but the header has 2: 'b'"),
        (b'x,plate\n"a,b",1\n\n"c",1,2\n', "a.csv, line 4: 3 fields, but the header has 2"),
        (b"x,plate\na,1\n,2\n", "a.csv, line 3: column 'x' has no value"),
        (b"x,plate\n\na,\n", "a.csv, line 3: column 'plate' has no value"),
        (b"x,plate\na,1\nb\xff,2\n", "a.csv, line 3: byte 0xff is not UTF-8 text"),
        ("x,plate\na,1\n".encode("utf-16"), "a.csv, line 1: byte 0xff is not UTF-8 text"),
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
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(UserError, match="the file is missing"):
            read_rows(path, ["x"])


@pytest.mark.parametrize("value", ["1.0", "-1", "", "one", "01", "1e3", "²", "٣", "9" * 19, " 1"])
def test_only_plain_whole_numbers_are_numbers(read, value):
    assert not is_number(value)
    if value:
        rows = read(f"x,plate\na,1\nb,{value}\n".encode())
        with pytest.raises(UserError, match=r"a\.csv, line 3: plate .* is not a whole number"):
            whole_numbers("a.csv", rows, "plate")


def test_whole_numbers_are_int64(read):
    numbers = whole_numbers("a.csv", read(b"x,plate\na,0\nb,999999999999999999\n"), "plate")
    assert numbers.to_list() == [0, 999999999999999999]
    assert numbers.dtype == "int64"
