"""From prediction folders to files: the answers by hand, and what is said where something is missing."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rcic.decide.plate_group import groups_text
from rcic.ensemble import decision as answer
from rcic.ensemble.decision import decide_predictions
from rcic.ensemble.ensemble_options import EnsembleOptions
from rcic.ensemble.scoring import score
from rcic.ensemble.submission import write_pseudo, write_submission
from rcic.errors import UserError
from rcic.files.record import read_record
from rcic.screen.table import read_screen
from tests.disk import nearly_full
from tests.predicted import ASSUMED, LOGITS, WELLS, write_held_out, write_member
from tests.screen.tiny import KAGGLE, METADATA, write_tables


@pytest.fixture
def folds(tmp_path) -> Path:
    (tmp_path / "csv").mkdir()
    (tmp_path / "csv" / "valid_0.csv").write_text("id_code\nRPE-01_1_B03\n")
    return tmp_path / "csv"


def submitted(data: Path, root: Path, **options) -> dict[str, int]:
    path = write_submission(decide_predictions(data, root, EnsembleOptions(**options)), root / "sub")
    return pd.read_csv(path).set_index("id_code")["sirna"].to_dict()


ANSWER = dict(zip(WELLS, [10, 2, 3], strict=True))


def test_the_submission_by_hand(data, root):
    write_member(root)
    assert submitted(data, root) == ANSWER
    assert (root / "sub" / "submission.csv").read_text().startswith("id_code,sirna\nU2OS-01_1_B03,10\n")
    groups = pd.read_csv(root / "sub" / "groups.csv")
    assert groups.columns.tolist() == ["experiment", "plate", "group", "margin", "barcode"]
    assert (groups["group"].tolist(), groups["plate"].tolist()) == ([0, 1], [1, 2])
    sure = pd.read_csv(root / "sub" / "confidence.csv").set_index("id_code")
    assert sure.columns.tolist() == ["sirna", "confidence", "margin", "predicted", "barcode"]
    assert sure["predicted"].all() and sure["barcode"].tolist() == [1, 1, 2] and groups["barcode"].tolist() == [1, 2]
    odds = np.exp(LOGITS[0, 2] - LOGITS[0, 0])  # 10 against 2, the only other siRNA of the plate's group
    assert sure.loc[WELLS[0], "confidence"] == pytest.approx(odds / (1 + odds), rel=1e-5)
    assert sure.loc[WELLS[1], "margin"] == pytest.approx(LOGITS[1, 0] - LOGITS[1, 2], rel=1e-5)  # overruled


def test_order_type_and_further_classes_of_the_files_change_nothing(data, root):
    order = [1, 2, 0]
    wide = np.hstack([LOGITS, np.full((3, 3), 50)])[order]  # float64, all seven siRNAs
    write_member(root, logits=wide, codes=[WELLS[i] for i in order])
    assert submitted(data, root) == ANSWER


def test_blocks_of_wells_change_nothing(data, root, monkeypatch):
    write_member(root, "[1]/fold_0/a")
    write_member(root, "[1]/fold_1/a", LOGITS[::-1], WELLS[::-1])
    whole = decide_predictions(data, root).answers
    monkeypatch.setattr(answer, "_BLOCK", 2)
    pd.testing.assert_frame_equal(decide_predictions(data, root).answers, whole)


def test_models_count_by_their_weights(data, root):
    swap = LOGITS[:, [2, 1, 0, 3]]  # 2 and 10 exchanged
    write_member(root, "[1]/fold_0/a")
    write_member(root, "[1]/fold_0/b", swap)
    write_member(root, "[1]/fold_1/b", swap)
    swapped = dict(zip(WELLS, [2, 10, 3], strict=True))
    assert submitted(data, root, model_names=("a", "b"), weights=(3, 1)) == ANSWER
    assert submitted(data, root, model_names=("b", "a"), weights=(3, 1)) == swapped
    assert submitted(data, root, model_names=("b",)) == swapped
    assert decide_predictions(data, root, EnsembleOptions(("a", "b"), (3, 1))).notes[-1] == "weights: a 3, b 1"


def test_what_is_missing_is_said_and_guessed(data, root):
    write_member(root, "[1]/fold_0/a", LOGITS[:1], WELLS[:1])
    write_member(root, "[1]/fold_2/a", LOGITS[:2], WELLS[:2])
    decision = decide_predictions(data, root)
    assert decision.notes == [
        "a: 2 members, channels [1], folds 0 2",
        "  absent: fold 1",
        ASSUMED,
        "  [1]/fold_0/a: 2 of 3 wells are not predicted",
        "  [1]/fold_2/a: 1 of 3 wells are not predicted",
        "1 wells have no prediction and are guessed, first U2OS-01_2_B03",
    ]
    assert decision.answers["label"].tolist()[:2] == [2, 0]
    assert decision.answers["label"][2] in (1, 3)  # what the other plate's group leaves
    assert decision.answers["confidence"][2] == pytest.approx(0.5)


def test_a_crowded_plate_is_said(tmp_path, root):
    tables = dict(KAGGLE)
    tables["test.csv"] += "U2OS-01_2_B05,U2OS-01,2,B05\nU2OS-01_2_B06,U2OS-01,2,B06\n"
    (tmp_path / "data").mkdir()
    data = write_tables(tmp_path / "data", tables)
    write_member(root, logits=LOGITS[[0, 1, 2, 2, 2]], codes=[*WELLS, "U2OS-01_2_B05", "U2OS-01_2_B06"])
    assert decide_predictions(data, root).notes[-1] == "U2OS-01 plate 2: 3 wells for 2 treatments, so some repeat"


def test_a_screen_without_test_wells(tmp_path, root):
    (tmp_path / "data").mkdir()
    rows = [line for line in METADATA.splitlines() if not line.startswith("U2OS")]
    data = write_tables(tmp_path / "data", {"metadata.csv": "\n".join(rows) + "\n"})
    with pytest.raises(UserError, match=r"no pred_valid.npy in folders"):
        decide_predictions(data, root)


def test_the_groups_as_a_table():
    rows = [("HEPG2-08", 1, 0, 31.26), ("HEPG2-08", 2, 1, 30.0), ("U2OS-04", 1, 1, 2.5), ("U2OS-04", 2, 0, 2.5)]
    rows += [("RPE", 1, 0, np.inf)]
    table = pd.DataFrame(rows, columns=["experiment", "plate", "group", "margin"])
    assert groups_text(table).splitlines() == [
        "experiment  groups of its plates  margin (nats)",
        "HEPG2-08    0 1                   30.0",
        "RPE         0                     no rival",
        "U2OS-04     1 0                   2.5  unsure",
    ]


def test_a_full_disk_leaves_the_earlier_submission(data, root):
    write_member(root)
    decision, out = decide_predictions(data, root), root / "sub"
    write_submission(decision, out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    longest = max(len(content) for content in before.values())  # of the record
    for room in (0, 60, 100, longest - 1):  # no table fits, then only the smaller ones, then all but the record
        name = "json" if room > 100 else "csv"
        with nearly_full(room), pytest.raises(UserError, match=rf"{name}: not written, the file would exceed"):
            write_submission(decision, out)
        assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_pseudo_labels_and_their_audit(data, root, folds):
    write_member(root)
    audit = write_pseudo(decide_predictions(data, root), root / "pseudo", folds, 2.0, 1.0)
    assert audit["kept"].tolist() == [True, False, True]
    table = pd.read_csv(root / "pseudo" / "pseudo.csv")
    assert table.columns.tolist() == ["id_code", "experiment", "plate", "well", "sirna"]
    assert table["sirna"].tolist() == [10, 3]
    written = pd.read_csv(root / "pseudo" / "audit.csv")
    assert written["id_code"].tolist() == WELLS
    assert written["reason"].tolist() == audit["reason"].tolist()
    assert written["sirna"].tolist() == [10, 2, 3]


def test_pseudo_labels_that_must_not_be(data, root, folds):
    write_member(root)
    decision = decide_predictions(data, root)
    (root / "pseudo").mkdir()
    (root / "pseudo" / "pseudo.csv").write_text("old")
    with pytest.raises(UserError, match="no answer is kept: none has a margin of 99 nats; lower --min_margin"):
        write_pseudo(decision, root / "pseudo", folds, 99, 1.0)
    with pytest.raises(UserError, match=r"nowhere: no valid_\*\.csv, which is needed to check"):
        write_pseudo(decision, root / "pseudo", "nowhere", 0, 1.0)
    with pytest.raises(UserError, match=r"share 0\.0"):
        write_pseudo(decision, root / "pseudo", folds, 0, 0.0)
    with nearly_full(0), pytest.raises(UserError, match="not written"):
        write_pseudo(decision, root / "pseudo", folds, 0, 1.0)
    (folds / "valid_3.csv").write_text(f"id_code\n{WELLS[2]}\n")
    with pytest.raises(UserError, match=f"1 wells to pseudo-label lie in a validation fold, first {WELLS[2]}"):
        write_pseudo(decision, root / "pseudo", folds, 0, 1.0)
    assert {path.name: path.read_text() for path in (root / "pseudo").iterdir()} == {"pseudo.csv": "old"}


def test_held_out_wells_are_decided_alike(data, root):
    write_held_out(root, scale=50)
    decision = decide_predictions(data, root, split="valid")
    labels = read_screen(data).wells.set_index("id_code")["label"]
    told = decision.answers
    assert len(told) == 7 and (told["label"].to_numpy() == labels[told["id_code"]].to_numpy()).all()
    assert decision.resolved.log_probs.shape == (7, 4) and decision.resolved.allowed.sum(axis=1).tolist() == [2] * 7
    assert decision.notes[-1] == "  7 of 8 train wells are held out by one of them"


# ---- other rules than the default


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0.0}, "--temperature is 0, must be a number above 0"),
        ({"temperature": float("nan")}, "--temperature is nan"),
        ({"temperature": 2.0, "calibration": "c.json"}, "--temperature and --calibration"),
        ({"combine": "majority", "weights": (1.0,), "model_names": ("a",)}, "--combine=majority: every member has one"),
        ({"combine": "majority", "temperature": 3.0}, "--combine=majority: every member has one vote"),
        ({"columns": True, "sinkhorn": True}, "--sinkhorn and --columns"),
        ({"assign_on": "off", "columns": True}, "--columns prepares an assignment"),
    ],
)
def test_options_that_exclude_each_other(options, message):
    with pytest.raises(UserError, match=message):
        EnsembleOptions(**options)


def test_a_temperature_by_hand_divides_the_mean_of_logits(data, root):
    write_member(root)
    decision = decide_predictions(data, root, EnsembleOptions(temperature=2.0))
    odds = np.exp((LOGITS[0, 2] - LOGITS[0, 0]) / 2)
    assert decision.answers["confidence"][0] == pytest.approx(odds / (1 + odds))
    assert decision.notes[-1] == "temperature 2"


def test_without_an_assignment_answers_repeat(data, root):
    write_member(root)
    assert submitted(data, root, assign_on="off") == ANSWER | {WELLS[1]: 10}


def test_members_vote_on_wells_that_they_predicted(data, root):
    write_member(root, "[1]/fold_0/a", 9 * LOGITS)
    for fold in (1, 2):
        write_member(root, f"[1]/fold_{fold}/a", LOGITS[:, [2, 1, 0, 3]][:2], WELLS[:2])
    assert submitted(data, root, combine="majority", assign_on="off") == {WELLS[0]: 2, WELLS[1]: 2, WELLS[2]: 3}
    assert submitted(data, root, assign_on="off") == {WELLS[0]: 10, WELLS[1]: 10, WELLS[2]: 3}


def test_what_differs_from_the_default_is_recorded(data, root, folds):
    write_member(root)
    made = {}
    for name, options in (("plain", {}), ("a", {"columns": True, "assign_on": "prob", "temperature": 4.0})):
        decision = decide_predictions(data, root, EnsembleOptions(**options))
        write_submission(decision, root / name)
        write_pseudo(decision, root / name, folds, 0.0, 1.0, *(["screen"] if options else []))
        for kind, file in (("submission", "submission.json"), ("pseudo-labels", "pseudo.json")):
            record = read_record(root / name / file, kind)
            assert record
            made[name, file] = dict(record.made_with)
    assert made["plain", "submission.json"] == {}
    assert made["a", "submission.json"] == {"columns": True, "assign_on": "prob", "temperature": 4.0}
    assert made["a", "pseudo.json"] == made["a", "submission.json"] | {
        "min_margin": 0.0,
        "share": 1.0,
        "quota": "screen",
    }


def test_the_ladder_follows_the_same_rules(data, root):
    write_held_out(root, scale=2.0)
    for options in ({"assign_on": "off"}, {"combine": "majority", "assign_on": "off"}, {"match": "votes"}):
        scored, decided = (
            score(data, root, "valid", ensemble=EnsembleOptions(**options)),
            decide_predictions(data, root, EnsembleOptions(**options), "valid"),
        )
        answers = decided.answers.set_index("id_code")["label"]
        assert scored.wells["answer"].tolist() == answers[scored.wells["id_code"]].tolist()
        rungs = set(scored.ladder.table["rung"][scored.ladder.table["n_wells"] > 0])
        assert ("assignment" in rungs) == (options.get("assign_on") != "off")
