"""Calibration through files: what is written, what it does to answers and scores, and what does not fit."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rcic.decide.blend import Mix
from rcic.decide.calibrate import temperature
from rcic.ensemble.calibration import (
    calibrate,
    calibrate_once,
    calibration_text,
    for_folds,
    read_mix,
    write_calibration,
)
from rcic.ensemble.decision import decide_predictions
from rcic.ensemble.ensemble_options import EnsembleOptions
from rcic.ensemble.scoring import score, score_text
from rcic.errors import UserError
from rcic.screen.table import read_screen
from tests.predicted import LOGITS, TRAIN, WELLS, write_held_out, write_member
from tests.program import Program

GOOD = {"temperature": 1.0, "temperatures": {"tiny": 2.0}, "weights": {"tiny": 1.0}}


def written(path: Path, **changes: object) -> EnsembleOptions:
    path.write_text(json.dumps(GOOD | changes))
    return EnsembleOptions(calibration=path)


def test_wells_are_judged_within_their_group(data, root):
    """Classes 0 and 2 share plates, 1 and 3: what a model says of the others is no matter."""
    write_held_out(root, scale=1.0)
    result, notes = calibrate(data, root)
    logits, labels = [], []
    for fold, known in enumerate(TRAIN.values()):
        table = np.load(root / f"[1]/fold_{fold}/tiny/pred_valid.npy")
        logits += [row[[label % 2, label % 2 + 2]] for row, label in zip(table, known.values(), strict=True)]
        labels += [label // 2 for label in known.values()]
    assert result.fitted.temperatures[0] == pytest.approx(temperature(np.array(logits), np.array(labels)), rel=1e-3)
    assert result.before["accuracy"] == pytest.approx(100 * np.mean(np.argmax(logits, axis=1) == labels))
    assert (result.n_wells, result.n_experiments, result.models) == (7, 2, ("tiny",))
    assert notes[-1] == "  7 of 8 train wells are held out by one of them"


def test_channel_sets_are_averaged_and_models_apart(data, root):
    for model, scale in (("a", 2.0), ("b", 1.0)):
        for seed, channels in enumerate(("[1]", "[2]")):
            write_held_out(root, model, scale, seed, channels)
    result, _ = calibrate(data, root)
    assert result.models == ("a", "b")
    assert result.fitted.weights.sum() == pytest.approx(1)
    assert calibrate(data, root, ("b",))[0].models == ("b",)


def test_a_kept_calibration_is_the_calibration(data, root, monkeypatch):
    write_held_out(root, "a", 2.0)
    write_held_out(root, "b", 1.0, seed=1)
    screen = read_screen(data)
    for models in ((), ("b",)):
        wanted = calibrate(data, root, models)[0]
        calibrate_once(screen, root, models)
        with monkeypatch.context() as patch:
            patch.setattr("rcic.ensemble.calibration.calibrate", None)
            found = calibrate_once(screen, root, models)
        for name in ("models", "before", "after", "n_wells", "n_experiments", "unit", "origin"):
            assert getattr(found, name) == getattr(wanted, name), name
        for one, other in zip(found.fitted, wanted.fitted, strict=True):
            np.testing.assert_array_equal(one, other)
    write_held_out(root, "b", 3.0, seed=2)
    np.testing.assert_array_equal(calibrate_once(screen, root).fitted[0], calibrate(data, root)[0].fitted[0])


def test_the_file_is_read_as_it_was_written(data, root, tmp_path):
    write_held_out(root, "a", 2.0)
    write_held_out(root, "b", 1.0, seed=1)
    result, _ = calibrate(data, root)
    write_calibration(result, tmp_path / "calibration.json")
    content = json.loads((tmp_path / "calibration.json").read_text())
    assert set(content["after"]) == {"nll", "calibration_error", "accuracy"}
    mix = read_mix(EnsembleOptions(calibration=tmp_path / "calibration.json"))
    assert list(mix.temperatures.values()) == result.fitted.temperatures.tolist()
    assert list(mix.weights.values()) == result.fitted.weights.tolist()
    assert mix.temperature == result.fitted.temperature
    assert "cross-fitted" in calibration_text(result)


def test_a_calibration_makes_confidence_modest_and_changes_no_answer(data, root, tmp_path):
    write_member(root)
    plain, cooled = decide_predictions(data, root), decide_predictions(data, root, written(tmp_path / "c.json"))
    assert cooled.answers["label"].tolist() == plain.answers["label"].tolist()
    odds = np.exp((LOGITS[0, 2] - LOGITS[0, 0]) / 2)
    assert cooled.answers["confidence"][0] == pytest.approx(odds / (1 + odds))
    assert cooled.notes[-1] == "calibrated (temperatures of the averaged folds): tiny temperature 2 weight 1, all 1"


def test_balanced_answers(data, root):
    write_member(root)
    plain, balanced = decide_predictions(data, root), decide_predictions(data, root, EnsembleOptions(sinkhorn=True))
    assert balanced.answers["label"].tolist() == plain.answers["label"].tolist()
    assert balanced.answers["confidence"][0] == pytest.approx(balanced.answers["confidence"][1], rel=1e-3)


def test_averaged_folds_are_cooler(data, root):
    rng = np.random.default_rng(0)
    for fold in range(4):
        write_member(root, f"[1]/fold_{fold}/tiny", rng.standard_normal((3, 4)).astype(np.float32))
    decision = decide_predictions(data, root, written(root / "c.json"))
    note = decision.notes[-1].split("tiny temperature ")[1]
    assert 0.1 < float(note.split()[0]) < 1.2
    assert for_folds(Mix(), [], 3, read_screen(data)) == Mix()


def test_the_calibration_error_before_and_after(data, root, tmp_path):
    write_member(root)
    (tmp_path / "truth.csv").write_text(f"id_code,sirna\n{WELLS[0]},10\n{WELLS[1]},2\n{WELLS[2]},11\n")
    plain = score(data, root, truth=tmp_path / "truth.csv")
    assert plain.calibrated_error is None
    told = score(data, root, truth=tmp_path / "truth.csv", ensemble=written(tmp_path / "c.json"))
    assert told.calibration_error == plain.calibration_error
    assert told.calibrated_error == told.ladder.calibration_error != plain.calibration_error
    assert score_text(told).endswith(f"uncalibrated, {100 * told.calibrated_error:.2f} % calibrated")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"c\.json: no such file; rcic calibrate writes it$"),
        ("{", r"c\.json: cannot be read as JSON \(.*\); rcic calibrate writes it anew$"),
        ("[]", r"c\.json: is not a JSON object, but \[\]; rcic calibrate writes it anew$"),
        ("{}", r"c\.json: not a calibration.*'weights'"),
        (json.dumps(GOOD | {"weights": {"tiny": 0}}), r"c\.json: not a calibration.*0 of 'tiny' is not above 0"),
        (json.dumps(GOOD | {"temperature": -1}), r"c\.json: not a calibration: expected a temperature above 0"),
        (
            json.dumps(GOOD | {"weights": {"a": 1}}),
            r"c\.json: not a calibration: .* a weight and a temperature for each",
        ),
        (json.dumps(GOOD), r"--calibration was fitted on tiny, the predictions are of other: calibrate again"),
    ],
)
def test_a_file_that_is_no_calibration(data, root, tmp_path, text, message):
    write_member(root, "[1]/fold_0/other")
    if text is not None:
        (tmp_path / "c.json").write_text(text)
    with pytest.raises(UserError, match=message):
        decide_predictions(data, root, EnsembleOptions(calibration=tmp_path / "c.json"))


def test_weights_twice(data, root, tmp_path):
    with pytest.raises(UserError, match="--weights and --calibration"):
        decide_predictions(data, root, EnsembleOptions(("tiny",), (1,), tmp_path / "c.json"))


def test_one_experiment_is_too_few(data, root):
    write_member(root, "[1]/fold_0/a", LOGITS[:2], ["RPE-01_1_B03", "RPE-01_1_B04"], "valid")
    with pytest.raises(UserError, match="held-out wells of 1 experiment; calibrate needs at least two"):
        calibrate(data, root)


def test_calibrate_score_and_channels_by_the_script(data, root, tmp_path, capsys):
    program = Program(capsys)
    for seed, channels in enumerate(("[1,2]", "[1,3]", "[2,3]")):
        write_held_out(root, scale=seed, seed=seed, channels=channels)
        write_member(root, f"{channels}/fold_0/tiny")
    where = (f"--data_root={data}", f"--predict_root={root}")
    assert "7 held-out wells of 2 experiments" in program.run("inference.py", "calibrate", *where)
    flags = (f"--calibration={root}/calibration.json", "--sinkhorn")
    assert "calibrated (" in program.run("inference.py", "ensemble", *where, f"--out_dir={tmp_path}/sub", *flags)
    out = program.run("inference.py", "score", *where, "--split=valid", *flags)
    assert out.splitlines()[-1].startswith("Expected calibration error of the answers' confidence: ")
    content = json.loads((root / "ladder_valid.json").read_text())
    assert 0 <= content["calibration_error"]["after"] <= 1
    assert len(content["reliability"]) == 15
    assert "Accuracy lost without a channel" in program.run("inference.py", "channels", *where, "--split=valid")
    table = pd.read_csv(root / "channels_valid.csv")
    assert table["cell_type"].unique().tolist() == ["all", "RPE"]
    assert table["channel"].unique().tolist() == [1, 2, 3]
    (tmp_path / "csv").mkdir()
    (tmp_path / "csv" / "valid_0.csv").write_text("id_code\nRPE-01_1_B03\n")
    pseudo = (f"--folds_dir={tmp_path}/csv", f"--out_dir={tmp_path}/pseudo", "--min_margin=-99")
    assert "of 3 test wells" in program.run("inference.py", "pseudo-label", *where, *pseudo, *flags)


def test_mistakes_by_the_script(data, root, tmp_path, capsys):
    program, where = Program(capsys), (f"--data_root={data}", f"--predict_root={root}")
    assert "no pred_valid.npy" in program.refuse("inference.py", "calibrate", *where)
    assert "unknown flag --truht" in program.refuse("inference.py", "channels", *where, "--truht=a")
    write_member(root)
    assert "its tables lack the test labels" in program.refuse("inference.py", "channels", *where)
    nowhere = f"--calibration={tmp_path}/nowhere.json"
    assert "no such file" in program.refuse("inference.py", "ensemble", *where, f"--out_dir={root}", nowhere)
    (tmp_path / "truth.csv").write_text(f"id_code,sirna\n{WELLS[0]},10\n")
    told = program.refuse("inference.py", "channels", *where, f"--truth={tmp_path}/truth.csv")
    assert "channel importance needs at least two channel sets" in told
