"""`rcic neighbours --whiten=auto`: chosen on held-out wells, written down, and never by labels of queries."""

import numpy as np
import pandas as pd
import pytest

from rcic.errors import UserError
from rcic.files.names import Member
from rcic.profiles.chosen_normalisation import choose_for_model, write_choice
from rcic.profiles.embeddings import Embedded
from rcic.profiles.member_wells import MemberWells
from rcic.profiles.neighbour_options import NeighbourSettings
from tests.decide.test_whitening import screen

MEMBER = Member((1, 2), 0, "tiny")


@pytest.fixture
def embedded(monkeypatch):
    """Let a member's wells be those of six simulated plates; the last experiment is held out. Return its wells."""
    vectors, wells = screen(n_features=20)
    treated = (wells["well_type"] == "treatment").to_numpy()
    split = np.where(~treated, "controls", np.where(wells["experiment"] == "E2", "valid", "train"))
    wells = wells.assign(split=split, id_code=[f"w{number}" for number in range(len(wells))])
    parts = {name: Embedded(None, vectors[split == name], wells[split == name], None) for name in np.unique(split)}
    found = MemberWells(MEMBER, parts, vectors, wells)
    monkeypatch.setattr("rcic.profiles.chosen_normalisation.read_member", lambda *_: found)
    return found


def test_whitening_is_chosen_and_written_down(embedded, tmp_path, capsys):
    chosen = choose_for_model(None, None, [MEMBER], NeighbourSettings("centres"))
    assert chosen.settings.whiten in ("replicates", "pooled")
    assert chosen.table["n_wells"].tolist() == [60] * len(chosen.table)  # the held-out experiment's, not learnt from
    assert f"tiny: {chosen.settings} of {len(chosen.table)} candidates on 60 held-out wells" in capsys.readouterr().out
    assert chosen.facts(NeighbourSettings("centres")) == {"normalisation": str(chosen.settings), "scale": chosen.scale}
    assert chosen.facts(NeighbourSettings("centres", scale=7))["scale"] == 7
    write_choice(chosen, tmp_path, "tiny+centres")
    table = pd.read_csv(tmp_path / "normalisation_tiny+centres.csv")
    assert table["settings"].iloc[0] == str(chosen.settings) and {"share", "spread", "accuracy"} <= set(table)
    assert (tmp_path / "normalisation_tiny+centres.json").exists()


def test_flags_limit_the_choice(embedded):
    options = NeighbourSettings("centres", centre="experiment", shrink=0.5, by="cell_type")
    table = choose_for_model(None, None, [MEMBER], options).table
    whitened = table[~table["settings"].str.contains("--whiten=off")]["settings"]
    assert table["settings"].str.startswith("--centre=experiment --reference=all").all()
    assert whitened.str.endswith("--shrink=0.5 --by=cell_type").all() and len(whitened) == 4


def test_without_held_out_wells_it_is_the_plates_mean(embedded, monkeypatch, capsys):
    learnt = MemberWells(MEMBER, embedded.parts, embedded.vectors, embedded.wells.assign(split="train"))
    monkeypatch.setattr("rcic.profiles.chosen_normalisation.read_member", lambda *_: learnt)
    chosen = choose_for_model(None, None, [MEMBER], NeighbourSettings())
    assert str(chosen.settings) == "--centre=plate --reference=all --whiten=off" and chosen.table is None
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
def test_flags_that_do_not_fit_are_one_line(flags, message):
    with pytest.raises(UserError, match=message):
        choose_for_model(None, None, [MEMBER], NeighbourSettings(**flags))
