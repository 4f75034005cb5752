import numpy as np
import pandas as pd
import pytest

from rcic.errors import UserError
from rcic.screen.table import WELL_COLUMNS, read_screen, read_wells
from tests.screen.tiny import KAGGLE, METADATA, write_tables
from tests.tables import write_wells

RELEASES = ["kaggle_2019", "kaggle_2023"]


@pytest.fixture
def tiny(tmp_path):
    """The small Kaggle screen, as read."""
    return read_screen(write_tables(tmp_path, KAGGLE))


def test_the_whole_table_of_a_small_screen(tiny):
    wells = [tuple(row) for row in tiny.wells.itertuples(index=False)]
    assert list(tiny.wells.columns) == WELL_COLUMNS
    assert wells[:4] == [
        ("RPE-01_1_B02", "RPE-01", "RPE", 1, "B02", "train", "negative_control", 6),
        ("RPE-01_1_B03", "RPE-01", "RPE", 1, "B03", "train", "treatment", 2),
        ("RPE-01_1_B04", "RPE-01", "RPE", 1, "B04", "train", "treatment", 0),
        ("RPE-01_1_C07", "RPE-01", "RPE", 1, "C07", "train", "positive_control", 5),
    ]
    assert wells[-2:] == [
        ("U2OS-01_2_B03", "U2OS-01", "U2OS", 2, "B03", "test", "treatment", -1),
        ("U2OS-01_2_C07", "U2OS-01", "U2OS", 2, "C07", "test", "positive_control", 4),
    ]
    assert len(wells) == 17
    assert tiny.wells["plate"].dtype == tiny.wells["label"].dtype == np.int64
    assert tiny.truth is None


def test_classes_are_treatments_then_positive_then_negative_controls(tiny):
    assert tiny.classes == (2, 3, 10, 11, 29, 30, 40)
    assert tiny.n_treatments == 4


def test_names_come_in_natural_order(tmp_path):
    named = {name: text.replace(",40,", ",UNTREATED,") for name, text in KAGGLE.items()}
    for number in (2, 3, 10, 11, 29, 30):
        named = {k: v.replace(f",{number}\n", f",sirna_{number}\n") for k, v in named.items()}
        named = {k: v.replace(f",{number},p", f",sirna_{number},p") for k, v in named.items()}
    screen = read_screen(write_tables(tmp_path, named))
    assert screen.classes == (
        "sirna_2",
        "sirna_3",
        "sirna_10",
        "sirna_11",
        "sirna_29",
        "sirna_30",
        "UNTREATED",
    )


def test_names_may_have_no_number_or_begin_with_one(tmp_path):
    named = {name: text.replace(",40,", ",mock,").replace(",29,", ",9b,") for name, text in KAGGLE.items()}
    for number, name in {2: "b", 3: "10a", 10: "a", 11: "9a", 30: "b7"}.items():
        named = {k: v.replace(f",{number}\n", f",{name}\n") for k, v in named.items()}
        named = {k: v.replace(f",{number},p", f",{name},p") for k, v in named.items()}
    assert read_screen(write_tables(tmp_path, named)).classes == ("9a", "10a", "a", "b", "9b", "b7", "mock")


def test_select_splits_the_wells(tiny):
    parts = {(s, k): tiny.select(s, k) for s in ("train", "test") for k in ("treatment", "control")}
    assert {key: len(part) for key, part in parts.items()} == {
        ("train", "treatment"): 8,
        ("train", "control"): 4,
        ("test", "treatment"): 3,
        ("test", "control"): 2,
    }
    pd.testing.assert_frame_equal(pd.concat(parts.values()).sort_values("id_code", ignore_index=True),
                                  tiny.select().sort_values("id_code", ignore_index=True))  # fmt: skip
    assert list(tiny.select("test").index) == list(range(5))
    with pytest.raises(ValueError, match="'valid'"):
        tiny.select("valid")


def test_decode_and_encode_are_inverse(tiny):
    assert tiny.decode(np.arange(7)) == list(tiny.classes)
    assert all(type(name) is int for name in tiny.decode([0, 1]))
    labels = tiny.encode(tiny.classes)
    assert labels.dtype == np.int64
    assert labels.tolist() == list(range(7))
    assert tiny.encode(["10", np.int64(11)]).tolist() == [2, 3]
    assert tiny.encode([]).shape == (0,)


@pytest.mark.parametrize("label", [-1, 7])
def test_an_index_that_is_no_class_is_not_decoded(tiny, label):
    with pytest.raises(ValueError, match=r"not in 0\.\.6"):
        tiny.decode([0, label])


def test_an_unknown_sirna_is_not_encoded(tiny):
    with pytest.raises(UserError, match=r"label '111' is not in the screen .*; did you mean '11'\?"):
        tiny.encode([2, 111])


def test_the_fingerprint_is_of_the_facts_not_of_the_files(tiny, tmp_path):
    for name, text in KAGGLE.items():
        header, *rows = [line.split(",")[::-1] for line in text.splitlines()]
        lines = [",".join(row) for row in [header, *rows[::-1]]]
        (tmp_path / name).write_text("\n".join(lines))
    turned = read_screen(tmp_path)
    pd.testing.assert_frame_equal(turned.wells, tiny.wells)
    assert turned.fingerprint() == tiny.fingerprint()
    write_tables(tmp_path, KAGGLE | {"train.csv": KAGGLE["train.csv"].replace("B03,3\n", "B03,11\n", 1)})
    assert read_screen(tmp_path).fingerprint() != tiny.fingerprint()


def test_two_columns_in_another_order_are_no_mistake(tiny, tmp_path):
    table = pd.read_csv(tmp_path / "train.csv")
    table[["id_code", "well", "plate", "experiment", "sirna"]].to_csv(tmp_path / "train.csv", index=False)
    pd.testing.assert_frame_equal(read_screen(tmp_path).wells, tiny.wells)


def test_metadata_gives_one_row_a_well_and_hides_the_truth(tmp_path):
    screen = read_screen(write_tables(tmp_path, {"metadata.csv": METADATA}))
    assert screen.classes == ("s700", "s91", "s5", "EMPTY")
    assert screen.n_treatments == 2
    assert screen.wells["label"].tolist() == [3, 1, 0, 2, 3, -1, -1]
    assert screen.truth.to_dict("list") == {"id_code": ["U2OS-01_1_B03", "U2OS-01_1_B04"], "label": [0, -1]}


def test_metadata_of_numbers_keeps_names_as_text(tmp_path):
    numbered = METADATA.replace("EMPTY", "0").replace("s91", "91").replace("s700", "700")
    numbered = numbered.replace("s999", "999").replace("s5", "5")
    assert read_screen(write_tables(tmp_path, {"metadata.csv": numbered})).classes == ("700", "91", "5", "0")


def test_written_wells_are_read_back(tiny, tmp_path):
    wells = tiny.select("train").iloc[::-1].reset_index(drop=True)
    write_wells(tmp_path / "folds" / "train_0.csv", wells, tiny)
    text = (tmp_path / "folds" / "train_0.csv").read_text()
    assert text.startswith("id_code,experiment,plate,well,sirna\nRPE-02_2_C07,RPE-02,2,C07,30\n")
    pd.testing.assert_frame_equal(read_wells(tmp_path / "folds" / "train_0.csv", tiny), wells)


def test_wells_without_a_label_are_not_written(tiny, tmp_path):
    with pytest.raises(ValueError, match="class index"):
        write_wells(tmp_path / "pseudo.csv", tiny.select("test"), tiny)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(KAGGLE)


def test_a_pseudo_table_labels_test_wells(tiny, tmp_path):
    (tmp_path / "pseudo.csv").write_text("margin,sirna,id_code\n0.5,11,U2OS-01_1_B04\n,2,RPE-01_1_B04\n")
    wells = read_wells(tmp_path / "pseudo.csv", tiny)
    assert wells[["id_code", "split", "label"]].values.tolist() == [
        ["U2OS-01_1_B04", "test", 3],
        ["RPE-01_1_B04", "train", 0],
    ]
    assert list(wells.columns) == WELL_COLUMNS
    assert (tiny.select("test", "treatment")["label"] == -1).all()


def test_without_a_sirna_column_labels_are_the_screens(tiny, tmp_path):
    (tmp_path / "list.csv").write_text("id_code\nU2OS-01_1_B04\nRPE-02_1_B04\n")
    assert read_wells(tmp_path / "list.csv", tiny)["label"].tolist() == [-1, 3]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,sirna\nRPE-01_1_B03,10\n", "line 1: no column 'id_code' in the header 'id,sirna'"),
        (
            "id_code,sirna\nRPE-01_1_B03,10\nRPE-09_1_B03,10\n",
            "line 3: well 'RPE-09_1_B03' is not in the screen",
        ),
        ("id_code,sirna\nRPE-01_1_B03,10\n\nRPE-01_1_B03,10\n", "line 4: well RPE-01_1_B03 is listed twice"),
        ("id_code,sirna\nRPE-01_1_B03,5\n", "line 2: sirna '5' is not in the screen"),
        ("id_code,sirna\nRPE-01_1_B03,\n", "line 2: column 'sirna' has no value"),
        ("id_code,sirna\nRPE-01_1_B03,11\n", "line 2: sirna '11' contradicts"),
        ("id_code,sirna\nRPE-01_1_B03\n", "line 2: 1 fields, but the header has 2"),
        ("", "the file is empty"),
    ],
)
def test_a_broken_fold_table_is_refused(tiny, tmp_path, text, message):
    (tmp_path / "fold.csv").write_text(text)
    with pytest.raises(UserError) as error:
        read_wells(tmp_path / "fold.csv", tiny)
    assert str(error.value).startswith(str(tmp_path / "fold.csv"))
    assert message in str(error.value)


@pytest.mark.long
@pytest.mark.parametrize(("release", "train", "test"), [("kaggle_2019", 36515, 19897), ("kaggle_2023", 36517, 19899)])
def test_the_real_tables(shared_data, release, train, test):
    screen = read_screen(shared_data / release)
    assert screen.select("train")["experiment"].nunique() == 33
    assert screen.select("test")["experiment"].nunique() == 18
    assert len(screen.select("train", "treatment")) == train
    assert len(screen.select("test", "treatment")) == test
    assert (screen.n_treatments, len(screen.classes)) == (1108, 1139)
    assert screen.select("train", "treatment")["label"].nunique() == 1108
    assert screen.select(kind="control")["label"].unique().min() == 1108
    assert screen.classes[-1] == {"kaggle_2019": 1138, "kaggle_2023": "UNTREATED"}[release]
    assert type(screen.classes[0]) is {"kaggle_2019": int, "kaggle_2023": str}[release]


@pytest.mark.long
def test_both_releases_name_the_same_sirnas(shared_data):
    """The wells that both releases have agree up to one fixed renaming of siRNAs."""
    old, new = (read_screen(shared_data / release) for release in RELEASES)
    both = old.wells.merge(new.wells, on="id_code", suffixes=("_old", "_new"))
    assert len(both) == len(old.wells) == len(new.wells) - 4
    known = both[both["label_old"] >= 0]
    assert known[["label_old", "label_new"]].drop_duplicates().shape == (1139, 2)
    for column in ("experiment", "cell_type", "plate", "well", "split", "well_type"):
        assert (both[f"{column}_old"] == both[f"{column}_new"]).all()


def metadata_of(screen, truth):
    """Return the RxRx1 table of a Kaggle screen: two rows a well, in another row order."""
    label = screen.wells["label"].where(screen.wells["label"] >= 0, truth)
    names = np.array([f"s{(7 * k) % 1139}" for k in range(1138)] + ["EMPTY"])
    columns = {"well_id": "id_code", "dataset": "split"}
    wells = screen.wells.rename(columns={old: new for new, old in columns.items()})
    wells = wells.assign(sirna=names[label], sirna_id=label)
    sites = pd.concat([wells.assign(site=site) for site in (2, 1)])
    sites["site_id"] = sites["well_id"] + "_" + sites["site"].astype(str)
    order = METADATA.splitlines()[0].split(",")
    return sites.sample(frac=1, random_state=0)[order], names


@pytest.mark.long
def test_metadata_of_the_real_screen_gives_the_same_table(shared_data, tmp_path):
    kaggle = read_screen(shared_data / "kaggle_2019")
    made_up = np.random.default_rng(0).integers(0, 1108, len(kaggle.wells))
    sites, names = metadata_of(kaggle, made_up)
    sites.to_csv(tmp_path / "metadata.csv", index=False)
    screen = read_screen(tmp_path)
    pd.testing.assert_frame_equal(screen.wells, kaggle.wells)
    assert screen.n_treatments == 1108
    assert screen.classes == tuple(names)
    secret = kaggle.wells["label"] == -1
    assert screen.truth["id_code"].tolist() == kaggle.wells["id_code"][secret].tolist()
    assert screen.truth["label"].tolist() == made_up[secret].tolist()


NOWHERE = ["..", "../../etc", "/etc/passwd", "a/b", "a\\b", ".hidden", "a\x07b", "a\x85b", "x" * 101]


@pytest.mark.parametrize("name", NOWHERE)
def test_an_experiment_cannot_lead_out_of_the_data_root(tmp_path, name):
    tables = {file: text.replace("U2OS-01", name) for file, text in KAGGLE.items()}
    write_tables(tmp_path, tables)
    with pytest.raises(UserError) as error:
        read_screen(tmp_path)
    told = str(error.value)
    assert told.startswith(f"{tmp_path / 'test.csv'}, line 2: experiment ") and "without slashes" in told
    assert len(told.splitlines()) == 1 and len(told) < 400


@pytest.mark.parametrize(("column", "old"), [("experiment", "U2OS-01"), ("cell_type", "U2OS")])
@pytest.mark.parametrize("name", NOWHERE)
def test_no_name_of_metadata_csv_can_either(tmp_path, name, column, old):
    text = METADATA.replace("U2OS-01", name) if column == "experiment" else METADATA.replace(",U2OS,", f",{name},")
    assert text != METADATA
    write_tables(tmp_path, {"metadata.csv": text})
    with pytest.raises(UserError, match=rf"metadata\.csv, line 8: {column} .* without slashes"):
        read_screen(tmp_path)
