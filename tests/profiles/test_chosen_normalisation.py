"""`rcic neighbours --whiten=auto`: chosen on held-out wells, written down, and never by labels of queries."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from rcic.errors import UserError
from rcic.files.names import Member
from rcic.profiles.chosen_normalisation import choose_for_model
from rcic.profiles.embeddings import Embedded
from rcic.profiles.member_wells import MemberWells
from rcic.profiles.neighbour_options import NeighbourSettings
from tests.decide.test_whitening import screen

MEMBER = Member((1, 2), 0, "tiny")


@pytest.fixture
def data():
    """Return a screen's identity; its tables are not read."""
    return SimpleNamespace(identity=SimpleNamespace(treatments=["0", "1"]))


@pytest.fixture
def embedded(monkeypatch):
    """Let a member's wells be those of six simulated plates; the last experiment is held out. Return its wells."""
    vectors, wells = screen(n_features=20)
    treated = (wells["well_type"] == "treatment").to_numpy()
    split = np.where(~treated, "controls", np.where(wells["experiment"] == "E2", "valid", "train"))
    wells = wells.assign(split=split, id_code=[f"w{number}" for number in range(len(wells))])
    parts = {
        name: Embedded(Path(f"emb_{name}.npy"), vectors[split == name], wells[split == name], None)
        for name in np.unique(split)
    }
    found = MemberWells(MEMBER, parts, vectors, wells)
    monkeypatch.setattr("rcic.profiles.chosen_normalisation.read_member", lambda *_: found)
    return found


def table(folder):
    """Return what was tried, the chosen one first."""
    return pd.read_csv(folder / "normalisation_tiny+centres.csv")


def test_whitening_is_chosen_and_written_down(data, embedded, tmp_path, capsys):
    chosen = choose_for_model(data, None, [MEMBER], NeighbourSettings("centres"), tmp_path)
    tried = table(tmp_path)
    assert chosen.settings.whiten in ("replicates", "pooled") and tried["settings"].iloc[0] == str(chosen.settings)
    assert tried["n_wells"].tolist() == [60] * len(tried)  # the held-out experiment's, not learnt from
    assert {"share", "spread", "accuracy"} <= set(tried) and tried["share"].is_monotonic_decreasing
    assert f"tiny: {chosen.settings} of {len(tried)} candidates on 60 held-out wells" in capsys.readouterr().out
    assert chosen.facts(NeighbourSettings("centres")) == {"normalisation": str(chosen.settings), "scale": chosen.scale}
    assert chosen.facts(NeighbourSettings("centres", scale=7))["scale"] == 7


def test_a_choice_is_kept_until_something_changes(data, embedded, tmp_path, monkeypatch, capsys):
    options = NeighbourSettings("centres")
    chosen = choose_for_model(data, None, [MEMBER], options, tmp_path)
    capsys.readouterr()
    assert choose_for_model(data, None, [MEMBER], options, tmp_path) == chosen
    assert f"tiny: {chosen.settings}, as chosen before" in capsys.readouterr().out
    choose_for_model(data, None, [MEMBER], NeighbourSettings("centres", shrink=0.2), tmp_path)
    assert "candidates on" in capsys.readouterr().out
    changed = embedded.wells.assign(label=embedded.wells["label"].where(embedded.wells["label"] != 3, 4))
    other = MemberWells(MEMBER, embedded.parts, embedded.vectors, changed)
    monkeypatch.setattr("rcic.profiles.chosen_normalisation.read_member", lambda *_: other)
    choose_for_model(data, None, [MEMBER], NeighbourSettings("centres", shrink=0.2), tmp_path)
    assert "candidates on" in capsys.readouterr().out


def test_flags_limit_the_choice(data, embedded, tmp_path):
    options = NeighbourSettings("centres", centre="experiment", shrink=0.5, by="cell_type")
    choose_for_model(data, None, [MEMBER], options, tmp_path)
    tried = table(tmp_path)["settings"]
    whitened = tried[~tried.str.contains("--whiten=off")]
    assert tried.str.startswith("--centre=experiment --reference=all").all()
    assert whitened.str.endswith("--shrink=0.5 --by=cell_type").all() and len(whitened) == 4


def test_without_held_out_wells_it_is_the_plates_mean(data, embedded, tmp_path, monkeypatch, capsys):
    learnt = MemberWells(MEMBER, embedded.parts, embedded.vectors, embedded.wells.assign(split="train"))
    monkeypatch.setattr("rcic.profiles.chosen_normalisation.read_member", lambda *_: learnt)
    chosen = choose_for_model(data, None, [MEMBER], NeighbourSettings(), tmp_path)
    assert str(chosen.settings) == "--centre=plate --reference=all --whiten=off" and not any(tmp_path.iterdir())
    said = capsys.readouterr().out
    assert "--whiten=auto: fewer than 20 labelled wells can be held out" in said and "--whiten=off instead" in said


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"shrink": -1.0}, "--shrink is -1, must be a number from 0 on"),
        ({"shrink": 1.0, "whiten": "off"}, "--shrink has no effect with --whiten=off"),
        ({"by": "cell_type", "whiten": "off"}, "--by has no effect with --whiten=off"),
        ({"centre": "off", "reference": "controls"}, "--reference has no effect with --centre=off"),
    ],
)
def test_flags_that_do_not_fit_are_one_line(data, tmp_path, flags, message):
    with pytest.raises(UserError, match=message):
        choose_for_model(data, None, [MEMBER], NeighbourSettings(**flags), tmp_path)
