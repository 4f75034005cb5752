"""Controls and replicates by embeddings, through `rcic score`: what is in the JSON, in the table and in words."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from rcic.check.verdicts import check_results
from rcic.errors import UserError
from rcic.files.names import embedding_files
from rcic.files.record import Record, check_files, read_record
from rcic.files.well_rows import write_well_rows
from rcic.profiles import replicate_retrieval
from rcic.profiles.profile_scores import profile_scores, profile_text
from rcic.profiles.replicate_retrieval import RETRIEVAL
from rcic.screen.spec_files import OWN
from rcic.screen.table import Screen, read_screen
from tests.pixels.own import FORM
from tests.predicted import write_member
from tests.program import Program

COMPOUNDS = [f"c{number}" for number in range(6)]
CONTROLS = ["PLK1"] * 3 + ["DMSO"] * 3
FOLDS = (("b1", "b2"), ("b3", "b4"))
FOLDER = "[1,2]/fold_{}/tiny"
HAS_COPAIRS = replicate_retrieval.copairs_version() is not None


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a screen of four batches with two plates, each with six compounds and six controls."""
    folder = tmp_path / "data"
    folder.mkdir()
    types = {"positive_control": ["PLK1"], "negative_control": ["DMSO"]}
    spec = {**FORM, "images": {"file": ["{plate}/{well}_{channel}.png"]}, "well_types": types}
    (folder / OWN).write_text(yaml.safe_dump(spec))
    lines = [
        f"b{batch},P{batch}{plate},A{column:02},{label}\n"
        for batch in (1, 2, 3, 4)
        for plate in "xy"
        for column, label in enumerate([*COMPOUNDS, *CONTROLS], 1)
    ]
    (folder / "wells.csv").write_text("batch,barcode,well,compound\n" + "".join(lines))
    return folder


def write_embedded(
    root: Path, screen: Screen, effect: float = 3.0, splits: tuple[str, ...] = ("valid", "controls")
) -> None:
    """Write embeddings of two folds: each class its own direction, each plate its own shift."""
    rng = np.random.default_rng(0)
    classes, plates = rng.standard_normal((len(screen.classes), 12)), rng.standard_normal((8, 12)) * 5
    number = screen.wells.groupby(["experiment", "plate"]).ngroup().to_numpy()
    noise = rng.standard_normal((len(screen.wells), 12))
    vectors = (effect * classes[screen.wells["label"]] + plates[number] + noise).astype(np.float32)
    is_control = (screen.wells["well_type"] != "treatment").to_numpy()
    for fold, experiments in enumerate(FOLDS):
        held_out = screen.wells["experiment"].isin(experiments).to_numpy() & ~is_control
        for split, rows in {"valid": held_out, "controls": is_control}.items():
            if split in splits:
                record = Record("embedding", {"classes": screen.identity.treatments}, facts={"network": f"n{fold}"})
                files = embedding_files(root / FOLDER.format(fold), split)
                write_well_rows(files, {"embeddings": vectors[rows]}, screen.wells["id_code"][rows], record)


def write_predicted(root: Path, screen: Screen) -> None:
    wells = screen.select("train", "treatment")
    logits = np.eye(6, dtype=np.float32)[wells["label"]]
    for fold, experiments in enumerate(FOLDS):
        rows = wells["experiment"].isin(experiments).to_numpy()
        write_member(root, FOLDER.format(fold), logits[rows], list(wells["id_code"][rows]), "valid")


def test_embeddings_that_cannot_be_scored(data, tmp_path):
    screen = read_screen(data)
    with pytest.raises(UserError, match=r"emb: no emb_valid\.npy in folders like .*; run embed-all first"):
        profile_scores(data, tmp_path / "emb", "valid")
    write_embedded(tmp_path / "emb", screen)
    with pytest.raises(UserError, match=r"no embeddings of 'tinny' .*did you mean 'tiny'"):
        profile_scores(data, tmp_path / "emb", "valid", models=["tinny"])
    write_embedded(tmp_path / "other", screen)
    record = tmp_path / "emb" / FOLDER.format(0) / "emb_controls"
    for end in (".npy", ".csv", ".json"):
        record.with_suffix(end).write_bytes((tmp_path / "emb" / FOLDER.format(1) / f"emb_controls{end}").read_bytes())
    with pytest.raises(
        UserError, match=r"emb_controls\.npy: made by another network than emb_valid\.npy; run embed-all"
    ):
        profile_scores(data, tmp_path / "emb", "valid")


def test_controls_and_replicates_of_each_network(data, tmp_path):
    screen = read_screen(data)
    write_embedded(tmp_path / "emb", screen)
    found = profile_scores(data, tmp_path / "emb", "valid")
    controls, replicates = found.controls, found.replicates
    assert controls[["fold", "experiment", "plate"]].to_numpy().tolist() == [
        [fold, experiment, plate] for fold, names in enumerate(FOLDS) for experiment in names for plate in (1, 2)
    ]
    assert (controls["reason"] == "").all() and (controls["ssmd"] > 3).all() and (controls["n_negative"] == 3).all()
    assert replicates[["fold", "cell_type", "n_wells", "n_treatments"]].to_numpy().tolist() == [
        [0, "U2OS", 24, 6],
        [1, "U2OS", 24, 6],
    ]
    assert (
        (replicates["same"] > 0.5).all() and (replicates["others"] < 0.1).all() and (replicates["p_value"] < 0.01).all()
    )


def test_noise_has_neither(data, tmp_path):
    write_embedded(tmp_path / "emb", read_screen(data), effect=0.0)
    found = profile_scores(data, tmp_path / "emb", "valid")
    assert (found.controls["z_prime"] < 0).all() and abs(found.controls["ssmd"].median()) < 1.5
    assert (found.replicates["same"].abs() < 0.1).all()
    assert found.retrieved.empty or (found.retrieved["retrieved"] < 40).all()


def test_without_controls_it_is_said(data, tmp_path):
    write_embedded(tmp_path / "emb", read_screen(data), splits=("valid",))
    found = profile_scores(data, tmp_path / "emb", "valid")
    assert set(found.controls["reason"]) == {"0 positive controls on the plate, 2 are needed"}
    assert {row["fold"] for row in found.controls.to_dict("records")} == {0, 1}
    twice = replace(found, controls=pd.concat([found.controls, found.controls.assign(fold=2)]))
    assert twice.plate_reasons == found.plate_reasons == {"0 positive controls on the plate, 2 are needed": 8}
    better = replace(found, controls=pd.concat([found.controls, found.controls.assign(fold=2, reason="").iloc[:3]]))
    assert better.plate_reasons[""] == 3 and sum(better.plate_reasons.values()) == 8
    line = "No embeddings of controls: run embed-all again (--splits=controls)."
    assert line in found.notes
    assert (found.replicates["p_value"] < 0.05).all()


def run_score(program: Program, data: Path, root: Path, *more: str) -> str:
    words = [f"--data_root={data}", f"--predict_root={root / 'out'}", "--split=valid", *more]
    return program.run("inference.py", "score", *words)


def test_score_writes_what_it_says(data, tmp_path, capsys):
    program, screen = Program(capsys), read_screen(data)
    write_predicted(tmp_path / "out", screen)
    write_embedded(tmp_path / "emb", screen)
    plain = run_score(program, data, tmp_path)
    assert "Controls" not in plain
    before = json.loads((tmp_path / "out" / "ladder_valid.json").read_text())
    assert not {"controls", "replicates", "retrieval"} & before.keys() and before["embed_root"] is None
    out = run_score(program, data, tmp_path, f"--embed_root={tmp_path / 'emb'}")
    content = json.loads((tmp_path / "out" / "ladder_valid.json").read_text())
    controls = content["controls"]
    assert (controls["n_plates"], controls["n_scored"], len(controls["plates"])) == (8, 8, 8)
    assert f"SSMD  median {controls['median']['ssmd']:.2f}" in out and "Controls, along a direction fitted on" in out
    assert [row["fold"] for row in content["replicates"]] == [0, 1] and content["ladder"] == before["ladder"]
    embeddings = content["made_from"]["embeddings"]
    assert set(embeddings) == {f"{FOLDER.format(f)}/emb_{split}.npy" for f in (0, 1) for split in ("valid", "controls")}
    table = tmp_path / "out" / "retrieval_valid.csv"
    assert table.exists() == HAS_COPAIRS
    if not HAS_COPAIRS:
        assert "No retrieval: mean average precision needs copairs, which is not" in out


@pytest.mark.skipif(not HAS_COPAIRS, reason="copairs is not installed (pip install copairs)")
def test_retrieval_is_a_table_with_a_record(data, tmp_path, capsys):
    program, screen = Program(capsys), read_screen(data)
    write_predicted(tmp_path / "out", screen)
    write_embedded(tmp_path / "emb", screen)
    out = run_score(program, data, tmp_path, f"--embed_root={tmp_path / 'emb'}")
    table = pd.read_csv(tmp_path / "out" / "retrieval_valid.csv")
    assert list(table) == ["model", "channels", "fold", "against", "cell_type", "treatment", *RETRIEVAL]
    assert len(table) == 2 * 2 * 6 and set(table["treatment"]) == set(COMPOUNDS)
    content = json.loads((tmp_path / "out" / "ladder_valid.json").read_text())["retrieval"]
    assert content["library"].startswith("copairs ") and content["null_size"] == 10_000
    for group in content["groups"]:
        rows = table[(table["fold"] == group["fold"]) & (table["against"] == group["against"])]
        assert group["retrieved"] == pytest.approx(100 * rows["retrieved"].mean()) and group["n_treatments"] == 6
        assert group["mean_average_precision"] == pytest.approx(rows["mean_average_precision"].mean(), abs=1e-5)
    assert "Retrieval against controls, tiny [1,2] fold 0 U2OS: mAP" in out
    record = read_record(tmp_path / "out" / "retrieval_valid.json", "retrieval")
    check_files(tmp_path / "out" / "retrieval_valid.json", record)
    verdicts = {verdict.result.kind: verdict for verdict in check_results([tmp_path / "out"])}
    assert (verdicts["retrieval"].state, verdicts["ladder"].state) == ("sound", "sound")
    write_embedded(tmp_path / "emb", screen, effect=1.0)
    verdicts = {verdict.result.kind: verdict for verdict in check_results([tmp_path / "out"])}
    assert (verdicts["retrieval"].state, verdicts["ladder"].state) == ("stale", "stale")
    assert verdicts["ladder"].why.endswith("emb_valid.json: was embedded again since")


def test_treatments_of_one_well_each_are_told_in_words(data, tmp_path):
    write_embedded(tmp_path / "emb", read_screen(data))
    scores = profile_scores(data, tmp_path / "emb", "valid")
    nothing = {"same": np.nan, "others": 0.0, "n_treatments": 0}
    told = profile_text(replace(scores, replicates=scores.replicates.assign(**nothing)))
    assert "nan" not in told and ": none, each treatment has one well here" in told


def test_kept_scores_of_profiles_are_the_scores(data, tmp_path, monkeypatch):
    screen, root = read_screen(data), tmp_path / "emb"
    write_embedded(root, screen)
    wanted = profile_scores(data, root, "valid")
    assert not list(root.rglob("kept_*"))
    profile_scores(data, root, "valid", keep=True)
    with monkeypatch.context() as patch:
        patch.setattr("rcic.profiles.profile_scores.read_profiles", None)
        found = profile_scores(screen, root, "valid", keep=True)
    for name in ("controls", "replicates", "retrieval"):
        pd.testing.assert_frame_equal(getattr(found, name), getattr(wanted, name))
    assert (found.notes, found.origin) == (wanted.notes, wanted.origin)
    write_embedded(root, screen, effect=0.1)
    other = profile_scores(data, root, "valid", keep=True)
    pd.testing.assert_frame_equal(other.replicates, profile_scores(data, root, "valid").replicates)
    assert not other.replicates.equals(wanted.replicates)
