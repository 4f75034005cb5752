"""Doses, controls and replicates in the report: the tables that its charts are made from."""

from types import SimpleNamespace

import numpy as np
import pandas as pd

from rcic.decide.dose_metrics import DoseScore
from rcic.decide.intervals import Interval
from rcic.profiles.profile_scores import ProfileScores
from rcic.report.ladders import Scored
from rcic.report.profile_charts import control_table, controls_lead, dose_table, with_networks

KEYS = {"model": "tiny", "channels": "[1,2]", "fold": 0}
NAN = float("nan")


def scores(notes=()):
    """Return scores of two plates, one without controls."""
    rows = [
        {**KEYS, "experiment": "A", "plate": 1, "n_positive": 3, "n_negative": 4, "z_prime": 0.6, "reason": ""},
        {**KEYS, "experiment": "A", "plate": 2, "n_positive": 0, "n_negative": 4, "z_prime": NAN, "reason": "too few"},
    ]
    table = pd.DataFrame(rows).assign(ssmd=2.0, robust_z_prime=0.5, robust_ssmd=2.1)
    return ProfileScores(table, pd.DataFrame(), pd.DataFrame(), tuple(notes))


def test_only_scored_plates_are_drawn_and_named():
    screen = SimpleNamespace(barcode=lambda experiment, plate: f"BR{plate}")
    table = control_table(screen, scores())
    assert table[["network", "plate", "z_prime"]].to_numpy().tolist() == [["tiny [1,2] fold 0", "BR1", 0.6]]


def test_why_plates_have_none_is_said():
    lead = controls_lead(scores(["No retrieval: copairs is not installed."]))
    assert lead.startswith("Controls were scored on 1 of 2 plates: too few (1). No retrieval")


def test_a_network_without_a_fold():
    assert with_networks(pd.DataFrame([{**KEYS, "fold": np.nan, "n": 1}]))["network"].tolist() == ["tiny [1,2]"]


def test_doses_beside_a_guess():
    def number(value, why=""):
        return Interval(value, NAN if why else value - 1, NAN if why else value + 1, "plate", 3, why)

    dose = DoseScore(40, 1, 10, 0.8, NAN, number(100.0), number(1.2), number(70.0, "one plate"), 3.3, 28.0)
    scored = [Scored("p", "valid", SimpleNamespace(dose=dose)), Scored("q", "test", SimpleNamespace(dose=None))]
    table = dose_table(scored).set_index("measure")
    assert "compound right, %" not in table.index and set(table["predictions"]) == {"p, held-out wells"}
    assert table.loc["mean error, dose steps", ["value", "a guess"]].tolist() == [1.2, 3.3]
    assert table.loc["within one step, %", "no interval"] == "one plate"
    several = [Scored("p", "valid", SimpleNamespace(dose=DoseScore(*[40, 2, *list(vars(dose).values())[2:]])))]
    assert "compound right, %" in dose_table(several)["measure"].tolist()
