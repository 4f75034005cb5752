import pytest

from rcic.errors import UserError
from rcic.screen.table import read_screen
from tests.screen.tiny import KAGGLE, METADATA, write_tables


def message_of(root):
    """Return the error that reading the screen gives."""
    with pytest.raises(UserError) as error:
        read_screen(root)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_folder_that_is_not_there(tmp_path):
    assert message_of(tmp_path / "gone") == f"{tmp_path / 'gone'}: the data root does not exist"


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "file").write_text("")
    assert message_of(tmp_path / "file") == f"{tmp_path / 'file'}: is not a folder"


def test_an_empty_folder(tmp_path):
    assert message_of(tmp_path).startswith(f"{tmp_path}: the data root is empty; it must contain train.csv, test.csv")


def test_a_folder_without_tables(tmp_path):
    (tmp_path / "images").mkdir()
    assert message_of(tmp_path) == (
        f"{tmp_path / 'train.csv'}: the file is missing (and so is metadata.csv); for other tables give "
        "their screen spec with --screen FILE"
    )


@pytest.mark.parametrize("name", list(KAGGLE))
def test_a_missing_table(tmp_path, name):
    write_tables(tmp_path, KAGGLE)
    (tmp_path / name).rename(tmp_path / name.replace(".csv", "-old.csv"))
    found = name.replace(".csv", "-old.csv")
    assert message_of(tmp_path) == f"{tmp_path / name}: the file is missing; did you mean {found!r}?"


@pytest.mark.parametrize("name", list(KAGGLE))
def test_an_empty_table(tmp_path, name):
    write_tables(tmp_path, KAGGLE | {name: ""})
    assert message_of(tmp_path).startswith(f"{tmp_path / name}: the file is empty")


def test_two_forms_in_one_folder(tmp_path):
    write_tables(tmp_path, KAGGLE | {"metadata.csv": METADATA})
    assert message_of(tmp_path).startswith(
        f"{tmp_path}: metadata.csv and train.csv belong to two versions of the screen"
    )


KAGGLE_MISTAKES = [
    ("train.csv", "RPE-02,1,B04,11", "RPE-02,1,Q04,11", 3, "well 'Q04' is not in A01-P24"),
    ("train.csv", "RPE-02,1,B04,11", "RPE-02,1.0,B04,11", 3, "plate '1.0' is not a whole number"),
    ("train.csv", "RPE-02,1,B04,11", "RPE-02,2,B04,11", 3, "id_code 'RPE-02_1_B04' contradicts experiment"),
    ("train.csv", "RPE-02,1,B04,11", "RPE-02,1,B04,", 3, "column 'sirna' has no value"),
    ("train.csv", "RPE-02,1,B04,11", "RPE-02,1,B04", 3, "4 fields, but the header has 5"),
    ("train.csv", "RPE-02,1,B04,11", "RPE-02,1,B04,11,7", 3, "6 fields, but the header has 5"),
    ("train.csv", "RPE-02,1,B04,11", "RPE-02,1,B04,x11", 3, "label 'x11' is not an integer like the other"),
    ("train.csv", "RPE-02,1,B04,11", "RPE-02,1,B04,-1", 3, "label '-1' is not an integer like the other"),
    ("train.csv", "RPE-02,1,B04,11", "RPE-02,1,B04,1" + 19 * "0", 3, "0' is not an integer like the other"),
    ("train.csv", "RPE-02,1,B04,11", "RPE-02,1,B04,30", 3, "label '30' is used for a treatment, but in most wells"),
    (
        "train_controls.csv",
        "C07,30",
        "C07,2",
        3,
        "label '2' is used for a positive control, but in most wells it is a t",
    ),
    ("test_controls.csv", "B02,40", "B02,11", 2, "label '11' is used for a negative control, but in most wells it is"),
    (
        "test_controls.csv",
        "29,positive",
        "40,positive",
        3,
        "label '40' is used for a positive control, but in most wells",
    ),
    (
        "test_controls.csv",
        "29,positive",
        "29,positiv",
        3,
        "'positiv_control' is none of positive_control, neg",
    ),
    ("train_controls.csv", ",well_type", ",welltype", 1, "no column 'well_type' in the header"),
    ("test.csv", "plate,well\n", "plate,well,sirnas\n", 1, "unknown column 'sirnas'"),
    (
        "test.csv",
        "U2OS-01_1_B04,U2OS-01,1,B04",
        "U2OS-01_1_B03,U2OS-01,1,B03",
        3,
        "is listed twice, first in test.csv, line 2",
    ),
    (
        "test_controls.csv",
        "U2OS-01_1_B02,U2OS-01,1,B02",
        "RPE-01_1_B04,RPE-01,1,B04",
        2,
        "first in train.csv, line 7",
    ),
    (
        "test_controls.csv",
        "U2OS-01_1_B02,U2OS-01,1,B02",
        "RPE-01_1_D02,RPE-01,1,D02",
        2,
        "experiment 'RPE-01' is in test, but train.csv, line 6 has it in train",
    ),
    (
        "train.csv",
        "RPE-02_1_B04,RPE-02,1,B04",
        "U2OS-01_1_D04,U2OS-01,1,D04",
        3,
        "experiment 'U2OS-01' is in train, but test.csv, line 2 has it in test",
    ),
]


@pytest.mark.parametrize(("name", "right", "wrong", "line", "reason"), KAGGLE_MISTAKES)
def test_a_mistake_in_kaggles_tables(tmp_path, name, right, wrong, line, reason):
    assert KAGGLE[name].count(right) >= 1
    write_tables(tmp_path, KAGGLE | {name: KAGGLE[name].replace(right, wrong, 1)})
    message = message_of(tmp_path)
    assert message.startswith(f"{tmp_path / name}, line {line}: ")
    assert reason in message


def test_a_name_is_the_mistake_among_integers_and_an_integer_among_names(tmp_path):
    named = {name: text.replace(",2\n", ",s2\n") for name, text in KAGGLE.items()}
    write_tables(tmp_path, named)
    assert "train.csv, line 5: label 's2' is not an integer" in message_of(tmp_path)
    named = {name: text.replace(",1", ",s1").replace(",s1,", ",1,") for name, text in KAGGLE.items()}
    named = {name: text.replace(",3", ",s3").replace(",4", ",s4") for name, text in named.items()}
    write_tables(tmp_path, named)
    assert "train.csv, line 5: label '2' is not a name" in message_of(tmp_path)


def swap(text, first, second):
    """Return the table with the values of two columns exchanged below an unchanged header."""
    header, *lines = text.splitlines()
    a, b = header.split(",").index(first), header.split(",").index(second)
    rows = [line.split(",") for line in lines]
    for row in rows:
        row[a], row[b] = row[b], row[a]
    return "\n".join([header, *(",".join(row) for row in rows)]) + "\n"


@pytest.mark.parametrize(
    ("first", "second", "hint"),
    [
        ("experiment", "well", "; are the values of 'experiment' and 'well' swapped?"),
        ("plate", "well", "; are the values of 'plate' and 'well' swapped?"),
        ("well", "sirna", "; are the values of 'well' and 'sirna' swapped?"),
        ("plate", "sirna", "; are the values of 'plate' and 'sirna' swapped?"),
        ("experiment", "sirna", "; are the values of 'experiment' and 'sirna' swapped?"),
        ("id_code", "experiment", "; are the values of 'id_code' and 'experiment' swapped?"),
        ("id_code", "well", "; are the values of 'id_code' and 'well' swapped?"),
    ],
)
def test_values_that_stand_in_each_others_column_are_refused(tmp_path, first, second, hint):
    write_tables(tmp_path, KAGGLE | {"train.csv": swap(KAGGLE["train.csv"], first, second)})
    message = message_of(tmp_path)
    assert message.startswith(f"{tmp_path / 'train.csv'}, line 2: ")
    assert message.endswith(hint)


METADATA_MISTAKES = [
    (
        "RPE,train,RPE-01,1,B02,2",
        "RPE,trian,RPE-01,1,B02,2",
        3,
        "dataset 'trian' is none of train, test; did you",
    ),
    (
        "RPE,train,RPE-01,1,B02,2",
        "RPE,test,RPE-01,1,B02,2",
        3,
        "dataset 'test' of well_id 'RPE-01_1_B02' contradicts",
    ),
    ("RPE,train,RPE-01,1,B02,2", "HUVEC,train,RPE-01,1,B02,2", 3, "cell_type 'HUVEC' of experiment 'RPE-01'"),
    ("RPE,train,RPE-01,1,B02,2", "RPE,train,RPE-01,1,B02,3", 3, "site '3' is none of 1, 2"),
    ("RPE-01_1_B02_2,", "RPE-01_1_B02_1,", 3, "site_id 'RPE-01_1_B02_1' is not RPE-01_1_B02_2"),
    ("RPE-01_1_B02_2,", "RPE-01_1_B02,", 3, "site_id 'RPE-01_1_B02' is not RPE-01_1_B02_2"),
    (
        "RPE-01,1,B02,2",
        "RPE-01,2,B02,2",
        3,
        "well_id 'RPE-01_1_B02' contradicts experiment 'RPE-01', plate 2",
    ),
    (
        "B03,2,treatment,s91,10",
        "B03,2,treatment,s91,11",
        5,
        "sirna_id '11' of sirna 's91' contradicts an earlier row, which has '10'",
    ),
    (
        "B03,2,treatment,s91,10",
        "B03,2,treatment,s92,10",
        5,
        "sirna 's92' of sirna_id '10' contradicts an earlier row, which has 's91'",
    ),
    (
        "B03,2,treatment,s91,10",
        "B03,2,treatment,s700,2",
        5,
        "sirna 's700' of well_id 'RPE-01_1_B03' contradicts an earlier row",
    ),
    (
        "U2OS,test,U2OS-01,1,B04",
        "U2OS,train,U2OS-01,1,B04",
        11,
        "experiment 'U2OS-01' is in train, but metadata.csv, line 8 has it in test",
    ),
    ("B03,2,treatment,s91,10", "B03,2,treatment,s91,-10", 5, "sirna_id '-10' is not a whole number"),
    ("B03,2,treatment,s91,10", "B03,2,treatment,s91,x", 5, "sirna_id 'x' is not a whole number"),
    ("B03,2,treatment,s91,10", "B03,2,treated,s91,10", 5, "well_type 'treated' is none of treatment"),
    ("B03,2,treatment,s91,10", "B03,2,positive_control,s91,10", 5, "well_type 'positive_control' of well_id"),
    (
        "treatment,s999,77",
        "treatment,EMPTY,40",
        11,
        "label 'EMPTY' is used for a treatment, but in most wells it is a negative",
    ),
    ("sirna_id\n", "sirna_id,size\n", 1, "unknown column 'size'"),
]


@pytest.mark.parametrize(("right", "wrong", "line", "reason"), METADATA_MISTAKES)
def test_a_mistake_in_metadata(tmp_path, right, wrong, line, reason):
    assert METADATA.count(right) == 1
    write_tables(tmp_path, {"metadata.csv": METADATA.replace(right, wrong)})
    message = message_of(tmp_path)
    assert message.startswith(f"{tmp_path / 'metadata.csv'}, line {line}: ")
    assert reason in message


def test_a_site_twice_in_metadata(tmp_path):
    line = METADATA.splitlines()[2]
    write_tables(tmp_path, {"metadata.csv": METADATA + line + "\n"})
    assert "metadata.csv, line 12: site RPE-01_1_B02_2 of its well is listed twice" in message_of(tmp_path)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("experiment", "well"),
        ("plate", "well"),
        ("well_id", "site_id"),
        ("cell_type", "dataset"),
        ("sirna", "sirna_id"),
        ("well_type", "sirna"),
        ("dataset", "well_type"),
        ("site", "sirna_id"),
        ("experiment", "cell_type"),
    ],
)
def test_swapped_values_in_metadata_are_refused(tmp_path, first, second):
    write_tables(tmp_path, {"metadata.csv": swap(METADATA, first, second)})
    assert message_of(tmp_path).startswith(f"{tmp_path / 'metadata.csv'}, line 2: ")
