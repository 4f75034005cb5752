"""What the browser says of a well is what `ensemble` and `score` decide."""

import numpy as np
import pytest

from rcic.browse.decisions import TOP, read_decisions
from rcic.ensemble.decision import decide_predictions
from rcic.ensemble.ensemble_options import EnsembleOptions
from rcic.errors import UserError
from rcic.screen.table import read_screen
from tests.predicted import LOGITS, WELLS, write_held_out, write_member


def rows_of(screen, codes) -> list[int]:
    own = screen.wells["id_code"].tolist()
    return [own.index(code) for code in codes]


def test_the_answers_are_those_of_ensemble(data, root):
    write_member(root)
    screen, answers = read_screen(data), read_decisions(read_screen(data), read_screen(data), root, EnsembleOptions())
    decided = decide_predictions(data, root).answers
    rows = rows_of(screen, decided["id_code"])
    for name in ("label", "confidence", "margin"):
        np.testing.assert_array_equal(getattr(answers, name)[rows], decided[name])
    others = np.setdiff1d(np.arange(len(screen.wells)), rows)
    assert (answers.label[others] == -1).all() and np.isnan(answers.margin[others]).all()
    assert answers.groups["U2OS-01", 1][0] == 0 and answers.groups["U2OS-01", 2][0] == 1


def test_the_likeliest_are_of_the_plate_s_group(data, root):
    write_member(root)
    screen = read_screen(data)
    answers = read_decisions(screen, screen, root, EnsembleOptions())
    row = rows_of(screen, WELLS)[0]
    odds = np.exp(LOGITS[0, 2] - LOGITS[0, 0])  # 10 against 2, the only other siRNA of the group {2, 10}
    assert answers.top[row].tolist() == [2, 0, -1, -1, -1] and len(answers.top[row]) == TOP
    assert answers.chances[row] == pytest.approx([odds / (1 + odds), 1 / (1 + odds), 0, 0, 0])
    second = rows_of(screen, WELLS)[1]  # overruled: its answer is not its likeliest
    assert answers.top[second, 0] == 2 and answers.label[second] == 0 and answers.margin[second] < 0


def test_held_out_wells_are_answered_and_absent_test_wells_are_said(data, root, capsys):
    write_held_out(root, scale=50)
    screen = read_screen(data)
    answers = read_decisions(screen, screen, root, EnsembleOptions())
    said = answers.label >= 0
    treatments = screen.select("train", "treatment")
    assert said.sum() == 7 and (answers.label[said] == screen.wells["label"][said]).all()
    assert len(treatments) == 8  # RPE-02_2_B04 was predicted by nobody
    assert f"no predictions of test wells in {root}" in capsys.readouterr().out


def test_a_folder_without_predictions_is_refused(data, root):
    root.mkdir()
    with pytest.raises(UserError, match=r"no pred_test\.npy in folders like"):
        read_decisions(read_screen(data), read_screen(data), root, EnsembleOptions())
