"""Embeddings in files become scores in prediction folders, by likeness to labelled wells; the ensemble takes them."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rcic.check.verdicts import check_results
from rcic.decide.knn import (
    Bank,
    Votes,
    best_site_scores,
    by_cell_type,
    centres_by_cell_type,
    neighbour_scores,
)
from rcic.decide.whitening import Normalisation, centred
from rcic.ensemble.calibration import calibrate
from rcic.ensemble.ensemble_options import EnsembleOptions
from rcic.ensemble.predictions import read_predictions
from rcic.ensemble.scoring import score
from rcic.errors import UserError
from rcic.files.names import embedding_files, prediction_files
from rcic.files.record import Record, network_id, read_record
from rcic.files.well_rows import write_well_rows
from rcic.profiles.neighbours import NeighbourSettings, neighbours
from rcic.screen.table import Screen, read_screen
from tests.predicted import TRAIN, WELLS, write_member
from tests.program import TINY, Program, left_over
from tests.records import flat, rewrite
from tests.screen.tiny import KAGGLE, write_tables

FOLDER = "[1,2]/fold_{}/tiny"
AS_STORED = {"centre": "off", "whiten": "off"}  # embeddings as they are
CODES = {name: [f"{name}_{well}" for well in wells] for name, wells in TRAIN.items()}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a screen of two RPE train experiments and a U2OS test experiment, or of one cell type (`with_bank`)."""
    (tmp_path / "data").mkdir()
    return write_tables(tmp_path / "data", KAGGLE)


@pytest.fixture
def with_bank(tmp_path: Path) -> Path:
    """Return the same screen with a test experiment of the train wells' cell type."""
    (tmp_path / "rpe").mkdir()
    return write_tables(tmp_path / "rpe", {name: text.replace("U2OS-01", "RPE-03") for name, text in KAGGLE.items()})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "emb"


def write_embedded(
    root: Path, split: str, codes: Sequence[str], vectors: np.ndarray, folder: str = FOLDER.format(0), **record: object
) -> None:
    """Write what `embed-all` of version 0.2 would leave of some wells; ``none=True`` leaves the record out."""
    files = embedding_files(root / folder, split)
    files["embeddings"].parent.mkdir(parents=True, exist_ok=True)
    np.save(files["embeddings"], vectors)
    files["wells"].write_text("\n".join(["id_code", *codes]) + "\n")
    if not record.pop("none", False):
        flat(
            files["record"],
            read_screen(next(path for path in (root.parent / "rpe", root.parent / "data") if path.is_dir())),
            **record,
        )


def embeddings(codes: Sequence[str], d: int = 6, seed: int = 0) -> np.ndarray:
    """Return random (N, d) float32 vectors."""
    return np.random.default_rng([seed, len(codes)]).standard_normal((len(codes), d)).astype(np.float32)


def write_folds(root: Path, test: Sequence[str] = (), model: str = "tiny", **record: object) -> None:
    """Write two folds: each experiment's wells held out once, learnt from once."""
    for fold, (held_out, learnt) in enumerate((("RPE-01", "RPE-02"), ("RPE-02", "RPE-01"))):
        folder = f"[1,2]/fold_{fold}/{model}"
        parts = {"train": CODES[learnt], "valid": CODES[held_out]} | ({"test": test} if test else {})
        for split, codes in parts.items():
            write_embedded(root, split, codes, embeddings(codes, seed=fold), folder, **record)


def scores(out: Path, split: str, folder: str = FOLDER.format(0) + "+knn") -> pd.DataFrame:
    files = prediction_files(out / folder, split)
    return pd.DataFrame(np.load(files["logits"]), index=pd.read_csv(files["wells"])["id_code"])


# ---- wrong input


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"k": ("RPF=3",)}, r"--k: no cell type 'RPF' in the screen \(RPE, U2OS\); did you mean 'RPE'\?"),
        ({"k": ("RPE=3", "20")}, "--k: no cell type '20' in the screen"),
        ({"k": ("RPE=3", "RPE=4")}, "--k: RPE is listed twice"),
        ({"k": ("RPE=0",)}, "--k: '0' neighbours, must be a whole number from 1 on"),
        ({"k": ("0",)}, "--k: '0' neighbours"),
        ({"k": ("2.5",)}, "--k: '2.5' neighbours"),
        ({"k": ("RPE=",)}, "--k: '' neighbours"),
        ({"k": ("3",), "kind": "centres"}, "--k has no effect with --kind=centres"),
        ({"scale": 3.0}, "--scale has no effect with --kind=knn"),
        ({"scale": -1.0, "kind": "centres"}, "--scale is -1, must be a number above 0"),
        ({"scale": 0.0, "kind": "centres"}, "--scale is 0, must be a number above 0"),
        ({"votes": "plain", "kind": "centres"}, "--votes has no effect with --kind=centres"),
        ({"within": "group", "kind": "centres"}, "--within has no effect with --kind=centres"),
        ({"sites": "best", "kind": "centres"}, "--sites has no effect with --kind=centres"),
        ({"sites": "best"}, "--sites=best compares single sites as they are embedded; add --centre=off --whiten=off"),
        (
            {"sites": "best", "centre": "off", "whiten": "off"},
            r"emb_train_sites\.npy: no such file; run embed-all --by_site",
        ),
    ],
)
def test_flags_that_make_no_sense(data, root, tmp_path, how, message):
    write_folds(root)
    with pytest.raises(UserError, match=message):
        neighbours(data, root, tmp_path / "out", NeighbourSettings(**how))
    assert not (tmp_path / "out").exists()


VECTORS = embeddings(CODES["RPE-01"])
WRONG = {
    "nothing": (lambda root: None, r"emb: no emb_train\.npy in folders like .*; run embed-all first"),
    "only a bank": (
        lambda root: write_embedded(root, "train", CODES["RPE-01"], VECTORS),
        "no member has embeddings of train wells and of other wells; let embed-all finish",
    ),
    "no bank": (
        lambda root: write_embedded(root, "valid", CODES["RPE-01"], VECTORS),
        "no member has embeddings of train wells",
    ),
    "another width": (
        lambda root: write_embedded(root, "valid", CODES["RPE-01"], VECTORS[:, :5]),
        r"emb_valid\.npy: 5 dimensions, but emb_train\.npy beside it has 6",
    ),
    "an unknown well": (
        lambda root: write_embedded(root, "valid", ["X", *CODES["RPE-01"][1:]], VECTORS),
        r"emb_valid\.csv, line 2: 'X' is not a train well",
    ),
    "a test well in the bank": (
        lambda root: write_embedded(root, "train", WELLS, VECTORS[:3]),
        r"emb_train\.csv, line 2: 'U2OS-01_1_B03' is not a train well",
    ),
    "a control in the bank": (
        lambda root: write_embedded(root, "train", ["RPE-01_1_B02"], VECTORS[:1]),
        r"'RPE-01_1_B02' is not a train well",
    ),
    "a well twice": (
        lambda root: write_embedded(root, "valid", [*CODES["RPE-01"][1:], CODES["RPE-01"][1]], VECTORS),
        "'RPE-01_1_B04' is listed twice",
    ),
    "unequal lengths": (
        lambda root: write_embedded(root, "valid", CODES["RPE-01"][1:], VECTORS),
        r"emb_valid\.npy: 4 rows, but emb_valid\.csv beside it has 3",
    ),
    "NaN": (
        lambda root: write_embedded(root, "valid", CODES["RPE-01"], np.where(np.eye(4, 6) == 1, np.nan, VECTORS)),
        r"emb_valid\.npy, row 0 \(well RPE-01_1_B03\): NaN or infinity among the embeddings",
    ),
    "no wells": (
        lambda root: write_embedded(root, "valid", [], VECTORS[:0]),
        r"emb_valid\.csv: the table has a header but no rows",
    ),
    "another checkpoint": (
        lambda root: write_embedded(root, "valid", CODES["RPE-01"], VECTORS, checkpoint_sha256="b"),
        r"emb_valid\.npy: made with another checkpoint, sites or views than emb_train\.npy; run embed-all again",
    ),
    "other views": (
        lambda root: write_embedded(root, "valid", CODES["RPE-01"], VECTORS, tta=["hflip"]),
        "another checkpoint, sites or views",
    ),
    "a held-out well in the bank": (
        lambda root: write_embedded(root, "valid", CODES["RPE-02"][:1], VECTORS[:1]),
        r"emb_valid\.npy: RPE-02_1_B03 is also in emb_train\.npy, so it would be its own nearest neighbour",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_embeddings_that_do_not_fit_are_named(data, root, tmp_path, case):
    spoil, message = WRONG[case]
    if case not in ("nothing", "only a bank", "no bank"):
        write_embedded(root, "train", CODES["RPE-02"], embeddings(CODES["RPE-02"]))
        write_embedded(root, "valid", CODES["RPE-01"], VECTORS)
    spoil(root)
    with pytest.raises(UserError, match=message):
        neighbours(data, root, tmp_path / "out", NeighbourSettings())
    assert not list((tmp_path / "out").rglob("*.npy"))


def test_a_model_that_is_not_there(data, root, tmp_path):
    write_folds(root)
    with pytest.raises(UserError, match=r"no embeddings of 'tinny' \(there: tiny\); did you mean 'tiny'"):
        neighbours(data, root, tmp_path / "out", NeighbourSettings(), ["tinny"])


# ---- scores


def test_a_well_that_looks_like_one_of_the_bank_gets_its_label(with_bank, root, tmp_path):
    bank = embeddings(CODES["RPE-01"])
    labels = list(TRAIN["RPE-01"].values())
    test = [well.replace("U2OS-01", "RPE-03") for well in WELLS]
    write_embedded(root, "train", CODES["RPE-01"], bank)
    write_embedded(root, "test", test, 2 * bank[[3, 0, 2]])
    for how in (
        NeighbourSettings(k=("1",), centre="off", whiten="off"),
        NeighbourSettings("centres", centre="off", whiten="off"),
    ):
        neighbours(with_bank, root, tmp_path / "out", how)
        table = scores(tmp_path / "out", "test", f"{FOLDER.format(0)}+{how.kind}")
        assert table.index.tolist() == test
        assert table.to_numpy().argmax(axis=1).tolist() == [labels[row] for row in (3, 0, 2)]


@pytest.mark.parametrize("place", ["plate", "off"])
def test_the_scores_are_those_of_the_bank_that_the_member_learnt_from(data, root, tmp_path, place):
    write_folds(root)
    screen = read_screen(data)
    table = screen.wells.set_index("id_code", drop=False)
    for kind in ("knn", "centres"):
        neighbours(
            data,
            root,
            tmp_path / "out",
            NeighbourSettings(kind, centre=place, whiten="off", k=("RPE=2",) if kind == "knn" else ()),
        )
        for fold, (held_out, learnt) in enumerate((("RPE-01", "RPE-02"), ("RPE-02", "RPE-01"))):
            codes = CODES[held_out] + CODES[learnt]
            vectors = np.concatenate([embeddings(part, seed=fold) for part in (CODES[held_out], CODES[learnt])])
            done = centred(vectors, table.loc[codes].reset_index(drop=True), Normalisation(place))
            asked, known = np.split(done, [len(CODES[held_out])])
            labels = np.array(list(TRAIN[learnt].values()))
            bank, cells = Bank(known, labels, np.full(len(known), "RPE"), 4), np.full(len(asked), "RPE")
            wanted = (
                by_cell_type(asked, cells, bank, {"RPE": 2})
                if kind == "knn"
                else centres_by_cell_type(asked, cells, bank)
            )
            told = scores(tmp_path / "out", "valid", f"{FOLDER.format(fold)}+{kind}")
            assert told.index.tolist() == CODES[held_out]
            np.testing.assert_allclose(told, wanted, rtol=1e-6)
            assert told.to_numpy().dtype == np.float32


def test_a_plates_own_shift_changes_nothing_when_centred(with_bank, root, tmp_path, monkeypatch):
    monkeypatch.setattr("rcic.decide.whitening.FEWEST_REFERENCES", 1)  # plates here have two wells
    test = [well.replace("U2OS-01", "RPE-03") for well in WELLS]
    write_folds(root, test)
    neighbours(with_bank, root, tmp_path / "out", NeighbourSettings(k=("2",)))
    before = scores(tmp_path / "out", "test")
    shift = 50 * np.repeat(embeddings([""] * 2), [2, 1], axis=0)  # two wells of plate 1, one of plate 2
    write_embedded(root, "test", test, embeddings(test) + shift)
    neighbours(with_bank, root, tmp_path / "out", NeighbourSettings(k=("2",)))
    np.testing.assert_allclose(scores(tmp_path / "out", "test"), before, atol=1e-5)


def test_a_cell_type_without_a_bank_is_left_out_aloud(data, root, tmp_path, capsys):
    text = KAGGLE["test.csv"] + "RPE-03_1_B03,RPE-03,1,B03\n"
    (data / "test.csv").write_text(text)
    write_embedded(root, "train", CODES["RPE-01"], VECTORS)
    write_embedded(root, "test", [*WELLS, "RPE-03_1_B03"], VECTORS)
    neighbours(data, root, tmp_path / "out", NeighbourSettings())
    assert scores(tmp_path / "out", "test").index.tolist() == ["RPE-03_1_B03"]
    said = capsys.readouterr().out
    assert "[1,2]/fold_0/tiny+knn: 4 wells in the bank" in said
    assert "test: 3 wells of U2OS are left out: the bank has no well of that cell type" in said
    screen = read_screen(data)
    (prediction,) = read_predictions(tmp_path / "out", screen.select("test", "treatment"), screen)
    assert len(prediction.logits) == 1
    write_embedded(root, "test", WELLS, VECTORS[:3])
    with pytest.raises(UserError, match="the bank has no wells of U2OS, so none can be scored"):
        neighbours(data, root, tmp_path / "out", NeighbourSettings())


def test_members_that_are_not_whole_are_left_out_aloud(data, root, tmp_path, capsys):
    write_folds(root)
    write_folds(root, model="other")
    embedding_files(root / "[1,2]/fold_1/other", "train")["embeddings"].unlink()
    embedding_files(root / "[1,2]/fold_1/tiny", "valid")["embeddings"].unlink()
    neighbours(data, root, tmp_path / "out", NeighbourSettings())
    said = capsys.readouterr().out
    assert "fold_1/other, it has no embeddings of train wells" in said
    assert "fold_1/tiny, it has no embeddings of held-out or test wells" in said
    assert {path.parent.name for path in (tmp_path / "out").rglob("*.npy")} == {"tiny+knn", "other+knn"}


def test_the_named_models_and_cell_types_own(data, root, tmp_path):
    for model in ("a", "b@RPE", "b@U2OS"):
        write_folds(root, model=model)
    neighbours(data, root, tmp_path / "out", NeighbourSettings("centres"), ["b@"])
    folders = {path.parent.name for path in (tmp_path / "out").rglob("*.npy")}
    assert folders == {"b@RPE+centres", "b@U2OS+centres"}


def test_what_was_done_is_recorded(data, root, tmp_path):
    write_folds(root, tta=["identity", "hflip"])
    neighbours(data, root, tmp_path / "out", NeighbourSettings(k=("RPE=7",)))
    record = recorded(tmp_path / "out", "knn")
    screen = read_screen(data)
    made_from = dict(record.made_from)
    assert [len(made_from.pop(key)) for key in ("bank", "queries", "normalised_with")] == [64, 64, 64]
    earlier = {"checkpoint": "a", "fingerprint": screen.fingerprint()}
    assert set(made_from.pop("embeddings")) == {"emb_train.npy", "emb_valid.npy"}
    wells = screen.identity.wells(["RPE-01", "RPE-02"])
    assert made_from == earlier | {"classes": ["2", "3", "10", "11"], "wells": wells}
    settings = {"kind": "knn", "normalisation": str(Normalisation()), "k": {"RPE": 7, "U2OS": 15}, "bank": "all"}
    settings |= {"votes": "balanced", "within": "all"}
    assert record.made_with == settings | {"sites": [1, 2], "tta": ["identity", "hflip"]}
    assert set(record.files) == {"pred_valid.npy", "pred_valid.csv"}
    wells = screen.select("train", "treatment")
    assert [p.tta for p in read_predictions(tmp_path / "out", wells, screen, "valid")] == [True, True]
    neighbours(data, root, tmp_path / "out", NeighbourSettings("centres", scale=9))
    settings = recorded(tmp_path / "out", "centres").made_with
    assert (settings["scale"], "k" in settings) == (9, False)
    networks = {
        recorded(tmp_path / "out", kind, fold).facts["network"] for kind in ("knn", "centres") for fold in (0, 1)
    }
    assert len(networks) == 4


def recorded(out: Path, kind: str, fold: int = 0) -> Record:
    """Return the record of a member's scores of held-out wells."""
    record = read_record(out / f"{FOLDER.format(fold)}+{kind}" / "pred_valid.json", "prediction")
    assert record
    return record


# ---- what is in the bank

TEST = [well.replace("U2OS-01", "RPE-03") for well in WELLS]


@pytest.mark.parametrize("kind", ["knn", "centres"])
def test_held_out_wells_answer_for_test_wells_only(with_bank, root, tmp_path, kind, capsys):
    write_folds(root, TEST)
    k = ("2",) if kind == "knn" else ()
    table = {}
    for bank in ("all", "train"):
        out = tmp_path / bank
        neighbours(with_bank, root, out, NeighbourSettings(kind, k, centre="off", whiten="off", bank=bank))
        table[bank] = {split: scores(out, split, f"{FOLDER.format(0)}+{kind}") for split in ("test", "valid")}
        said = capsys.readouterr().out
        assert ("  test: 4 held-out wells are in the bank, too" in said) == (bank == "all")
    pd.testing.assert_frame_equal(table["all"]["valid"], table["train"]["valid"])
    labels = [*TRAIN["RPE-02"].values(), *TRAIN["RPE-01"].values()]
    vectors = np.concatenate([embeddings(CODES["RPE-02"]), embeddings(CODES["RPE-01"])])
    for name, n_wells in (("train", 3), ("all", 7)):
        bank = Bank(vectors[:n_wells], np.array(labels[:n_wells]), np.full(n_wells, "RPE"), 4)
        cells = np.full(3, "RPE")
        asked = embeddings(TEST), cells, bank
        wanted = by_cell_type(*asked, {"RPE": 2}) if kind == "knn" else centres_by_cell_type(*asked)
        np.testing.assert_allclose(table[name]["test"], wanted, rtol=1e-6)


def test_a_bank_without_held_out_wells_is_told(with_bank, root, tmp_path, capsys):
    write_embedded(root, "train", CODES["RPE-02"], VECTORS[:3])
    write_embedded(root, "test", TEST, VECTORS[:3])
    neighbours(with_bank, root, tmp_path / "out", NeighbourSettings())
    assert "test: the bank lacks the held-out wells, as there is no emb_valid.npy" in capsys.readouterr().out


def test_what_was_in_the_bank_is_recorded_and_one_network_answers_for_both_splits(with_bank, root, tmp_path):
    write_folds(root, TEST)
    out, network = tmp_path / "out", {}
    for bank in ("all", "train"):
        neighbours(with_bank, root, out, NeighbourSettings(bank=bank))
        test, valid = (
            read_record(out / f"{FOLDER.format(0)}+knn" / f"pred_{split}.json", "prediction")
            for split in ("test", "valid")
        )
        assert test and valid and test.facts["network"] == valid.facts["network"]  # so a calibration holds for both
        network[bank] = test.facts["network"]
        used = {"emb_train": 3, "emb_valid": 4} if bank == "all" else {"emb_train": 3}
        assert test.facts["bank_wells"] == used and valid.facts["bank_wells"] == {"emb_train": 3}
        assert test.made_with["bank"] == bank
        assert set(test.made_from["embeddings"]) == {f"emb_{name}.npy" for name in ("train", "valid", "test")}
        assert "emb_test.npy" not in valid.made_from["embeddings"]
    assert network["all"] != network["train"]


def test_held_out_wells_that_changed_are_used_anew(with_bank, root, tmp_path, capsys):
    write_folds(root, TEST)
    neighbours(with_bank, root, tmp_path / "out", NeighbourSettings())
    before = scores(tmp_path / "out", "test")
    write_embedded(root, "valid", CODES["RPE-01"], -embeddings(CODES["RPE-01"]))
    neighbours(with_bank, root, tmp_path / "out", NeighbourSettings())
    assert capsys.readouterr().out.count("test: done already") == 1  # of the other fold
    assert not np.allclose(scores(tmp_path / "out", "test"), before)


def test_a_well_in_both_halves_of_the_bank_is_refused(with_bank, root, tmp_path):
    write_folds(root, TEST)
    write_embedded(root, "valid", CODES["RPE-02"], VECTORS[:3])
    with pytest.raises(UserError, match=r"emb_valid\.npy: RPE-02_1_B03 is also in emb_train\.npy"):
        neighbours(with_bank, root, tmp_path / "out", NeighbourSettings())


def test_votes_and_groups_reach_the_scores(with_bank, root, tmp_path):
    write_folds(root, TEST)
    groups = np.array([0, 1, 0, 1])  # 2, 10 | 3, 11
    vectors = np.concatenate([embeddings(CODES["RPE-02"]), embeddings(CODES["RPE-01"])])
    labels = np.array([*TRAIN["RPE-02"].values(), *TRAIN["RPE-01"].values()])
    for votes in ("balanced", "plain"):
        for within in ("all", "group"):
            settings = NeighbourSettings(k=("2",), centre="off", whiten="off", votes=votes, within=within)
            neighbours(with_bank, root, tmp_path / "out", settings)
            rule = Votes(votes == "balanced", groups if within == "group" else None)
            wanted = neighbour_scores(embeddings(TEST), vectors, labels, 4, 2, rule)
            np.testing.assert_allclose(scores(tmp_path / "out", "test"), wanted, rtol=1e-6)


def test_the_best_site_answers(with_bank, root, tmp_path):
    rng = np.random.default_rng(0)
    write_folds(root, TEST)
    sites = {}
    for split, codes in (("train", CODES["RPE-02"]), ("valid", CODES["RPE-01"]), ("test", TEST)):
        sites[split] = rng.standard_normal((len(codes), 2, 6)).astype(np.float32)
        np.save(root / FOLDER.format(0) / f"emb_{split}_sites.npy", sites[split])
        np.save(root / FOLDER.format(1) / f"emb_{split}_sites.npy", sites[split][: 7 - len(codes) or None][:3])
    labels = np.array([*TRAIN["RPE-02"].values(), *TRAIN["RPE-01"].values()])
    bank = Bank(np.concatenate([sites["train"], sites["valid"]]), labels, np.full(7, "RPE"), 4)
    wanted = best_site_scores(sites["test"], np.full(3, "RPE"), bank, {"RPE": 1})
    settings = NeighbourSettings(k=("1",), centre="off", whiten="off", sites="best")
    with pytest.raises(UserError, match=r"_sites\.npy: shape \(3, 2, 6\), but emb_train\.npy has 4 wells x 6"):
        neighbours(with_bank, root, tmp_path / "out", settings)  # of the second fold
    np.testing.assert_allclose(scores(tmp_path / "out", "test"), wanted, rtol=1e-6)
    sites["test"][0, 1, 2] = np.nan
    np.save(root / FOLDER.format(0) / "emb_test_sites.npy", sites["test"])
    with pytest.raises(UserError, match=r"emb_test_sites\.npy: NaN or infinity among the numbers of a site of RPE-03"):
        neighbours(with_bank, root, tmp_path / "again", settings)


# ---- embeddings of this version, with checksums


def write_sealed(root: Path, screen: Screen, classes: Sequence[str] = ("2", "3", "10", "11")) -> None:
    """Write a fold's bank and queries as `embed-all` does."""
    for split, codes in (("train", CODES["RPE-02"]), ("valid", CODES["RPE-01"])):
        made_from = {"checkpoint": "c", "classes": list(classes), "images": screen.identity.images((1, 2))}
        settings = {"sites": [1, 2], "tta": ["identity"]}
        record = Record("embedding", made_from, settings, facts={"network": network_id("c", [1, 2])})
        write_well_rows(
            embedding_files(root / FOLDER.format(0), split), {"embeddings": embeddings(codes)}, codes, record
        )


def test_the_origin_of_embeddings_is_that_of_their_scores(data, root, tmp_path):
    screen = read_screen(data)
    write_sealed(root, screen)
    neighbours(data, root, tmp_path / "out", NeighbourSettings())
    record = recorded(tmp_path / "out", "knn")
    assert record.made_from["checkpoint"] == "c" and record.made_from["images"] == screen.identity.images((1, 2))
    assert record.made_with["tta"] == ["identity"]
    (prediction,) = read_predictions(tmp_path / "out", screen.select("train", "treatment"), screen, "valid")
    assert prediction.network == record.facts["network"]


@pytest.mark.parametrize("name", ["emb_train.npy", "emb_train.csv", "emb_valid.npy", "emb_valid.csv"])
def test_a_file_of_other_embeddings_is_refused(data, root, tmp_path, name):
    write_sealed(root, read_screen(data))
    path = root / FOLDER.format(0) / name
    lines = path.read_bytes()
    path.write_bytes(lines[:-1] + bytes([lines[-1] ^ 1]))
    with pytest.raises(UserError, match=rf"/{name}: is damaged, or of another result than .* run .*embed-all again$"):
        neighbours(data, root, tmp_path / "out", NeighbourSettings())


def test_embeddings_of_other_classes_or_views_are_refused(data, root, tmp_path):
    screen = read_screen(data)
    write_sealed(root, screen, ("3", "2", "10", "11"))
    with pytest.raises(
        UserError, match=r"emb_train\.json: made for another screen .* classes number 0 \('3' then, '2' now"
    ):
        neighbours(data, root, tmp_path / "out", NeighbourSettings())
    write_sealed(root, screen)
    rewrite(root / FOLDER.format(0) / "emb_valid.json", facts={"network": "another"})
    with pytest.raises(UserError, match=r"emb_valid\.npy: made with another checkpoint, sites or views than emb_train"):
        neighbours(data, root, tmp_path / "out", NeighbourSettings())


@pytest.mark.parametrize("none", [False, True])
def test_what_is_there_stays_and_what_changed_is_made_anew(data, root, tmp_path, capsys, none):
    write_folds(root, none=none)
    out = tmp_path / "out"

    def made(*words: str) -> list[str]:
        """Return the folders of predictions that this call wrote."""
        before = {path: path.stat().st_ino for path in out.rglob("*.npy")}
        capsys.readouterr()
        neighbours(data, root, out, NeighbourSettings(k=words))
        changed = {path.parent.parent.name for path in out.rglob("*.npy") if path.stat().st_ino != before.get(path)}
        assert capsys.readouterr().out.count("valid: done already") == 2 - len(changed)
        return sorted(changed)

    assert made() == ["fold_0", "fold_1"]
    assert made() == []
    assert made("3") == ["fold_0", "fold_1"]
    write_embedded(root, "train", CODES["RPE-02"], -embeddings(CODES["RPE-02"]), none=none)
    assert made("3") == ["fold_0"]
    write_embedded(root, "valid", CODES["RPE-02"], -embeddings(CODES["RPE-02"]), FOLDER.format(1), none=none)
    assert made("3") == ["fold_1"]
    (out / (FOLDER.format(0) + "+knn") / "pred_valid.csv").unlink()
    assert made("3") == ["fold_0"]


def test_labels_of_the_bank_that_changed_are_used_anew(data, root, tmp_path, capsys):
    """The bank's wells vote for what the tables say of them now, whatever the tables said when they were embedded."""
    write_sealed(root, read_screen(data))
    out = tmp_path / "out"
    neighbours(data, root, out, NeighbourSettings(k=("1",)))
    before, network = scores(out, "valid"), recorded(out, "knn").facts["network"]
    exchanged = {"RPE-02,1,B03,3": "RPE-02,1,B03,11", "RPE-02,1,B04,11": "RPE-02,1,B04,3"}
    lines = KAGGLE["train.csv"].splitlines()
    for old, new in exchanged.items():
        lines = [line.replace(old, new) for line in lines]
    (data / "train.csv").write_text("\n".join(lines) + "\n")
    capsys.readouterr()
    neighbours(data, root, out, NeighbourSettings(k=("1",)))
    assert "done already" not in capsys.readouterr().out
    after = scores(out, "valid")
    assert np.allclose(after[[1, 3]], before[[3, 1]]) and not np.allclose(after, before)
    assert recorded(out, "knn").facts["network"] != network


def test_check_follows_scores_to_the_bank(data, root, tmp_path):
    screen, out = read_screen(data), tmp_path / "out"
    write_sealed(root, screen)
    neighbours(data, root, out, NeighbourSettings())

    def verdict() -> tuple[str, str]:
        (found,) = (one for one in check_results([out]) if one.result.path.name == "pred_valid.json")
        return found.state, found.why

    assert verdict() == ("sound", "")
    codes = CODES["RPE-02"]
    record = read_record(embedding_files(root / FOLDER.format(0), "train")["record"], "embedding")
    assert record is not None
    arrays = {"embeddings": embeddings(codes, seed=3)}
    write_well_rows(embedding_files(root / FOLDER.format(0), "train"), arrays, codes, record)
    assert verdict() == ("stale", f"{root / FOLDER.format(0)}/emb_train.json: was embedded again since")
    neighbours(data, root, out, NeighbourSettings())
    assert verdict() == ("sound", "")
    table = data / "train.csv"
    table.write_text(table.read_text().replace("RPE-02,1,B04,11", "RPE-02,1,B04,3"))
    assert verdict() == ("stale", "made from other wells RPE-02 (changed since)")


def test_embeddings_of_another_program_need_no_record(data, root, tmp_path):
    write_folds(root, none=True)
    neighbours(data, root, tmp_path / "out", NeighbourSettings())
    assert len(list((tmp_path / "out").rglob("pred_valid.npy"))) == 2


# ---- with the networks' own predictions


def test_they_blend_with_members_whose_sites_are_kept(data, root, tmp_path):
    write_folds(root)
    out = tmp_path / "out"
    for fold, (name, labels) in enumerate(TRAIN.items()):
        logits = (5 * np.eye(4)[list(labels.values())]).astype(np.float32)
        path = write_member(out, FOLDER.format(fold), logits, CODES[name], "valid")
        np.save(prediction_files(path.parent, "valid")["sites"], np.repeat(logits[:, None], 2, axis=1))
    neighbours(data, root, out, NeighbourSettings(k=("2",)))
    assert rungs(data, out, "tiny") == ["one site", "both sites", "group mask", "assignment"]
    assert rungs(data, out, "tiny+knn") == ["both sites", "group mask", "assignment"]
    assert rungs(data, out) == ["both sites", "models", "group mask", "assignment"]
    assert calibrate(data, out)[0].models == ("tiny", "tiny+knn")


def rungs(data: Path, out: Path, *models: str) -> list[str]:
    """Return the rungs of the ladder on held-out wells that these models can tell."""
    table = score(data, out, "valid", ensemble=EnsembleOptions(models)).ladder.table
    return table[(table["scope"] == "all") & table["accuracy"].notna()]["rung"].tolist()


# ---- the scripts


@pytest.fixture
def trained(small_screen: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Program:
    """Return the program, with two folds of a tiny network below ``logs`` on the small screen."""
    program = Program(capsys)
    data = f"--data_root={small_screen}"
    program.run("data.py", "folds", data, f"--out_dir={tmp_path}/csv", "--n_folds=2")
    (tmp_path / "tiny.yml").write_text(TINY.replace("FOLDS", f"{tmp_path}/csv").replace("epochs: 2", "epochs: 1"))
    for fold in (0, 1):
        words = (f"--config={tmp_path}/tiny.yml", data, f"--log_root={tmp_path}/logs", f"--fold={fold}")
        program.run("train.py", "run", *words, "--channels=1,2")
    return program


def test_from_networks_to_a_submission(trained, small_screen, tmp_path):
    data, where = f"--data_root={small_screen}", f"--predict_root={tmp_path}/out"
    models = (f"--model_root={tmp_path}/logs/full", "--model_name=tiny", f"--out_dir={tmp_path}/out")
    embed = ("embed-all", data, *models, "--tta=identity,hflip")
    assert "did you mean 'hflip'" in trained.refuse("inference.py", "embed-all", data, *models, "--tta=hflop")
    assert trained.refuse("inference.py", *embed, "--at_once=0") == "--at_once is 0, must be 1 or more"
    assert "train: 0 of 2 members are embedded already, 2 to go" in trained.run("inference.py", *embed)
    assert trained.run("inference.py", *embed).count("2 of 2 members are embedded already, 0 to go") == 4
    trained.run("inference.py", "predict-all", data, *models)
    find = ("neighbours", data, f"--embed_root={tmp_path}/out", f"--out_dir={tmp_path}/out")
    line = trained.refuse("inference.py", *find, "--k=HUVEK=3")
    assert re.fullmatch(r"--k: no cell type 'HUVEK' in the screen \(.*\); did you mean 'HUVEC'\?", line)
    trained.run("inference.py", *find, "--k=HUVEC=5,RPE=3")
    trained.run("inference.py", *find, "--kind=centres", "--centre=off", "--whiten=off", "--scale=20")
    assert {path.name for path in (tmp_path / "out/[1,2]/fold_1").iterdir()} == {"tiny", "tiny+knn", "tiny+centres"}
    assert check(small_screen, tmp_path / "out") == ["tiny", "tiny+centres", "tiny+knn"]
    said = trained.run("inference.py", "ensemble", data, where, f"--out_dir={tmp_path}/sub")
    assert "tiny+knn: 2 members" in said
    for split in ("test", "valid"):
        trained.run("inference.py", "score", data, where, f"--split={split}", *truth(small_screen, split))
    assert not left_over(tmp_path)


def check(data: Path, out: Path) -> list[str]:
    """Return the models below ``out``, whose predictions of neighbours are log-probabilities of all test wells."""
    screen: Screen = read_screen(data)
    wells = screen.select("test", "treatment")
    predictions = read_predictions(out, wells, screen)
    for prediction in predictions:
        assert prediction.logits.shape == (len(wells), screen.n_treatments)
        if prediction.member.model == "tiny+knn":
            np.testing.assert_allclose(np.exp(prediction.logits.astype(float)).sum(axis=1), 1, rtol=1e-5)
            assert prediction.tta
            assert prediction.sites is None
    return sorted({prediction.member.model for prediction in predictions})


def truth(data: Path, split: str) -> list[str]:
    return [f"--truth={data}/truth/test.csv"] if split == "test" else []
