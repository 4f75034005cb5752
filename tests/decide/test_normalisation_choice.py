"""The choice among normalisations on held-out units."""

import numpy as np
import pytest

from rcic.decide.normalisation_choice import (
    best_scale,
    choose_normalisation,
    normalisation_candidates,
    parts,
    unit_numbers,
)
from rcic.decide.whitening import Normalisation
from rcic.errors import UserError
from tests.decide.test_whitening import screen


def test_whitening_is_chosen_where_replicates_differ_along_one_direction():
    vectors, wells = screen(n_features=20)
    known = (wells["label"] >= 0).to_numpy()
    choice = choose_normalisation(vectors, wells, known, known, normalisation_candidates(wells))
    assert choice.settings.whiten != "off"
    assert choice.settings.centre == "plate"
    assert choice.table["share"].is_monotonic_decreasing
    row = choice.table.set_index("settings")["accuracy"]
    assert row[str(choice.settings)] > row[str(Normalisation())] + 20


def test_labels_that_are_not_known_change_nothing():
    vectors, wells = screen()
    known = (wells["label"] >= 0).to_numpy() & (wells["experiment"] != "E2").to_numpy()
    other = wells.assign(label=wells["label"].where(known, -1))
    few = [Normalisation(), Normalisation(whiten="replicates")]
    first = choose_normalisation(vectors, wells, known, known, few)
    assert first.table.equals(choose_normalisation(vectors, other, known, known, few).table)


def test_whole_experiments_are_held_out():
    _, wells = screen()
    known = (wells["label"] >= 0).to_numpy()
    found = list(parts(wells, known, known))
    assert [sorted(set(wells["experiment"][part])) for part in found] == [["E0"], ["E1"], ["E2"]]
    assert np.array_equal(np.sum(found, axis=0), known)


def test_plates_are_held_out_where_each_experiment_has_treatments_of_its_own():
    _, wells = screen()
    wells["label"] += 30 * wells["experiment"].str[1].astype(int)
    units = unit_numbers(wells, (wells["well_type"] == "treatment").to_numpy())
    assert len(set(units)) == 6


def test_scale_is_the_most_likely_one():
    rng = np.random.default_rng(0)
    cosines = rng.uniform(-1, 1, size=(4000, 5))
    p = np.exp(12 * cosines)
    labels = np.array([rng.choice(5, p=row / row.sum()) for row in p])
    assert best_scale(cosines, labels) == pytest.approx(12, rel=0.1)


def test_without_replicates_nothing_is_chosen():
    vectors, wells = screen()
    known = (wells["experiment"] == "E0").to_numpy() & (wells["plate"] == 1).to_numpy() & (wells["label"] >= 0)
    with pytest.raises(UserError, match="fewer than 20 labelled wells can be held out"):
        choose_normalisation(vectors, wells, known.to_numpy(), known.to_numpy(), [Normalisation()])


def test_without_controls_none_are_asked_for():
    _, wells = screen()
    few = normalisation_candidates(wells[wells["label"] >= 0])
    assert {c.whiten for c in few} == {"off", "replicates"}
    assert {c.whiten for c in normalisation_candidates(wells)} == {"off", "replicates", "controls", "pooled", "tvn"}
