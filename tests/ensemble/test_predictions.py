"""Prediction folders are read as they lie, also from another program, and what does not fit is named."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rcic.ensemble.predictions import inventory, model_weights, read_predictions
from rcic.errors import UserError
from rcic.files.names import prediction_files
from rcic.screen.table import Screen, read_screen
from tests.predicted import ASSUMED, LOGITS, WELLS, write_member
from tests.records import flat
from tests.screen.tiny import KAGGLE, write_tables


@pytest.fixture
def screen(tmp_path) -> Screen:
    (tmp_path / "data").mkdir()
    return read_screen(write_tables(tmp_path / "data", KAGGLE))


@pytest.fixture
def root(tmp_path) -> Path:
    return tmp_path / "out"


def read(root: Path, screen: Screen, **options):
    return read_predictions(root, screen.select("test", "treatment"), screen, **options)


def test_rows_are_matched_to_the_wells_whatever_their_order(root, screen):
    order = [2, 0, 1]
    write_member(root, logits=LOGITS[order], codes=[WELLS[i] for i in order])
    (prediction,) = read(root, screen)
    assert isinstance(prediction.logits, np.memmap)
    assert prediction.rows.tolist() == order
    assert np.array_equal(prediction.read(prediction.logits, np.arange(3), 3), LOGITS)


@pytest.mark.parametrize("dtype", ["<f8", ">f4", "<f2", "<i8"])
def test_numbers_of_any_kind(root, screen, dtype):
    write_member(root, logits=LOGITS.astype(dtype))
    (prediction,) = read(root, screen)
    assert np.array_equal(prediction.logits, LOGITS)


def test_logits_of_the_controls_are_cut_off(root, screen):
    path = write_member(root, logits=np.hstack([LOGITS, np.full((3, 3), 99, np.float32)]))
    np.save(prediction_files(path.parent, "test")["sites"], np.zeros((3, 2, 7), np.float16))
    (prediction,) = read(root, screen, by_site=True)
    assert np.array_equal(prediction.logits, LOGITS)
    assert prediction.sites.shape == (3, 2, 4)
    assert read(root, screen)[0].sites is None  # which nobody wanted


def test_only_the_named_models(root, screen):
    for model in ("a", "b", "c"):
        write_member(root, f"[1,2]/fold_0/{model}")
    assert [p.member.model for p in read(root, screen, models=("c", "a"))] == ["a", "c"]
    assert len(read(root, screen)) == 3


def test_held_out_wells_lie_in_their_own_files(root, screen):
    held_out = ["RPE-01_1_B03", "RPE-01_1_B04"]
    write_member(root, logits=LOGITS[:2], codes=held_out, split="valid")
    wells = screen.select("train", "treatment")
    (prediction,) = read_predictions(root, wells, screen, "valid")
    assert wells["id_code"].iloc[prediction.rows].tolist() == held_out


def test_the_record_tells_of_views(root, screen):
    views = {"a": ["identity"], "b": ["identity", "hflip"], "c": []}
    for model, tta in views.items():
        flat(write_member(root, f"[1]/fold_0/{model}").with_suffix(".json"), screen, tta=tta)
    write_member(root, "[1]/fold_0/d")
    write_member(root, "[1]/fold_0/e").with_suffix(".json").write_text("{}")
    assert [prediction.tta for prediction in read(root, screen)] == [False, True, False, False, False]


def test_the_networks_of_cell_types_are_named_together_or_alone(root, screen):
    for model in ("a", "a@RPE", "a@HUVEC+RPE", "a@RPE+knn"):
        write_member(root, f"[1]/fold_0/{model}")
    assert [p.member.model for p in read(root, screen, models=("a@",))] == ["a@HUVEC+RPE", "a@RPE"]
    assert [p.member.model for p in read(root, screen, models=("a@RPE", "a@+knn"))] == ["a@RPE", "a@RPE+knn"]
    assert model_weights(("a@", "a"), (2, 1)) == {"a@": 2, "a": 1}
    assert model_weights(("a@RPE", "a"), (2, 1)) == {"a@": 2, "a": 1}


def test_the_inventory_takes_the_networks_of_cell_types_together(root, screen):
    write_member(root, "[1]/fold_0/a@U2OS", LOGITS[:2], WELLS[:2])
    write_member(root, "[1]/fold_0/a@RPE", LOGITS[1:2], WELLS[1:2])
    assert inventory(read(root, screen), 3) == [
        "a@: 2 members, channels [1], fold 0",
        ASSUMED,
        "  [1]/fold_0/a@: 1 of 3 wells are not predicted",
    ]


BROKEN = {
    "an unknown well": (
        lambda root: write_member(root, codes=[*WELLS[:2], "X"]),
        r"pred_test\.csv, line 4: 'X' is not a test well",
    ),
    "a well of the other split": (
        lambda root: write_member(root, codes=[*WELLS[:2], "RPE-01_1_B03"]),
        r"line 4: 'RPE-01_1_B03' is not a test well",
    ),
    "a well twice": (
        lambda root: write_member(root, codes=[*WELLS[:2], WELLS[0]]),
        r"pred_test\.csv, line 4: 'U2OS-01_1_B03' is listed twice",
    ),
    "no list of wells": (
        lambda root: write_member(root, codes=None),
        r"pred_test\.csv: no such file, so the rows of the \.npy beside it are unknown",
    ),
    "a list without its column": (
        lambda root: write_member(root).with_suffix(".csv").write_text("well\nB03\n"),
        r"pred_test\.csv, line 1: no column 'id_code' in the header",
    ),
    "fewer rows than wells": (
        lambda root: write_member(root, logits=LOGITS[:2]),
        r"pred_test\.npy: 2 rows, but pred_test\.csv beside it has 3",
    ),
    "another number of classes": (
        lambda root: write_member(root, logits=LOGITS[:, :3]),
        r"pred_test\.npy: 3 classes, but the screen \S+ has 4 treatments \(7 classes with the controls\)",
    ),
    "one dimension": (
        lambda root: write_member(root, logits=LOGITS[0]),
        r"pred_test\.npy: float32 of shape \(4,\), expected numbers in 2 dimensions",
    ),
    "text": (
        lambda root: write_member(root, logits=LOGITS.astype(str)),
        r"pred_test\.npy: <U32 of shape \(3, 4\), expected numbers in 2 dimensions",
    ),
    "Python objects": (
        lambda root: write_member(root, logits=LOGITS.astype(object)),
        r"pred_test\.npy: not a complete \.npy array of numbers: .*Python objects",
    ),
    "a file cut short": (
        lambda root: (path := write_member(root)).write_bytes(path.read_bytes()[:-8]),
        r"pred_test\.npy: not a complete \.npy array of numbers: mmap length",
    ),
    "an empty file": (
        lambda root: write_member(root).write_bytes(b""),
        r"pred_test\.npy: not a complete \.npy array of numbers: ",
    ),
    "another kind of file": (
        lambda root: pd.DataFrame(LOGITS).to_csv(write_member(root)),
        r"pred_test\.npy: not a complete \.npy array of numbers: ",
    ),
    "NaN": (
        lambda root: write_member(root, logits=np.where(np.eye(3, 4, -1), np.nan, LOGITS)),
        r"pred_test\.npy, row 1 \(well U2OS-01_1_B04\): NaN or infinity among the logits",
    ),
    "sites of other wells": (
        lambda root: np.save(write_member(root).with_name("pred_test_sites.npy"), np.zeros((2, 2, 4))),
        r"pred_test_sites\.npy: shape \(2, 2, 4\) does not fit pred_test\.npy, \(3, 4\)",
    ),
    "a broken record": (
        lambda root: write_member(root).with_suffix(".json").write_text("{"),
        r"pred_test\.json: cannot be read as JSON \(.*\); run .*predict-all again, or remove it if another program .*",
    ),
    "a record that is a list": (
        lambda root: write_member(root).with_suffix(".json").write_text("[1]"),
        r"pred_test\.json: is not a JSON object, but \[1\]; run .*predict-all again, or remove it if another program",
    ),
    "nothing": (lambda root: None, r"out: no pred_test\.npy in folders like .*; run predict-all first"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_does_not_fit_is_named(root, screen, case):
    write, message = BROKEN[case]
    write(root)
    with pytest.raises(UserError, match=rf"^{re.escape(str(root.parent))}/[^\n]*{message}[^\n]*$"):
        read(root, screen, by_site=True)


def test_a_misspelt_model(root, screen):
    write_member(root, "[1,2]/fold_0/densenet121")
    with pytest.raises(UserError, match=r"no predictions of 'densenet112' \(there: densenet121\); did you mean"):
        read(root, screen, models=("densenet112",))


def test_the_inventory_says_what_is_absent(root, screen):
    for folder in ("[1,2]/fold_0/a", "[1,2]/fold_1/a", "[3]/fold_0/a", "[3]/fold_3/a", "[3]/b"):
        write_member(root, folder)
    write_member(root, "[1,2]/fold_3/a", LOGITS[1:], WELLS[1:])
    assert inventory(read(root, screen), 3) == [
        "a: 5 members, channels [1,2] [3], folds 0 1 3",
        "  absent: [3] fold 1, fold 2",
        ASSUMED,
        "  [1,2]/fold_3/a: 1 of 3 wells are not predicted",
        "b: 1 member, channels [3], no folds",
        ASSUMED,
    ]


def test_the_inventory_of_held_out_wells_counts_them(root, screen):
    write_member(root, "[1]/fold_0/a", LOGITS[:2], ["RPE-01_1_B03", "RPE-01_1_B04"], "valid")
    write_member(root, "[1]/fold_1/a", LOGITS[:1], ["RPE-02_1_B03"], "valid")
    found = read_predictions(root, screen.select("train", "treatment"), screen, "valid")
    assert inventory(found, 8, "valid") == [
        "a: 2 members, channels [1], folds 0 1",
        ASSUMED,
        "  3 of 8 train wells are held out by one of them",
    ]


@pytest.mark.parametrize(
    ("models", "weights", "message"),
    [
        ((), (1, 2), r"^--weights has 2 values but --model_names lists 0 models; give one weight per model$"),
        (("a",), (1, 2), r"^--weights has 2 values but --model_names lists 1 model; give"),
        (("a", "b"), (1, 0), r"^--weights 1,0: each must be a number above 0$"),
        (("a", "b"), (1, float("nan")), r"^--weights 1,nan: each must be"),
        (("a", "a"), (), r"^--model_names a,a: a model is listed twice$"),
        (("a@RPE", "a@U2OS"), (1, 2), r"^--weights: a@RPE,a@U2OS are networks of one model; name it NAME@"),
    ],
)
def test_weights_that_are_none(models, weights, message):
    with pytest.raises(UserError, match=message):
        model_weights(models, weights)
