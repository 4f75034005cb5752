"""Whitening and centring of profiles: formulas, fallbacks, errors."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from rcic.decide.whitening import Axes, Normalisation, centred, normalised, whitened_by_few, whitening_axes
from rcic.errors import UserError


def screen(n_plates=6, per_plate=30, n_controls=8, n_features=5, seed=0):
    """Return profiles and wells of plates that are shifted, with noise along the first feature ten times the rest."""
    rng = np.random.default_rng(seed)
    size = per_plate + n_controls
    wells = pd.DataFrame(
        {
            "experiment": np.repeat([f"E{p // 2}" for p in range(n_plates)], size),
            "plate": np.repeat([p % 2 + 1 for p in range(n_plates)], size),
            "cell_type": "HUVEC",
            "well_type": np.tile(["treatment"] * per_plate + ["negative_control"] * n_controls, n_plates),
            "label": np.tile([*range(per_plate), *[-1] * n_controls], n_plates),
        }
    )
    effects = np.vstack([rng.normal(size=(per_plate, n_features)), np.zeros((1, n_features))])
    noise = rng.normal(size=(len(wells), n_features)) * np.array([10, *[1] * (n_features - 1)])
    shifts = np.repeat(rng.normal(size=(n_plates, n_features)) * 50, size, axis=0)
    return effects[wells["label"]] + noise + shifts, wells


def within(vectors, wells):
    """Return the covariance of treatment wells around their treatment's mean."""
    frame = pd.DataFrame(vectors)[(wells["label"] >= 0).to_numpy()]
    labels = wells["label"][wells["label"] >= 0].to_numpy()
    residuals = frame - frame.groupby(labels).transform("mean")
    return (residuals.T @ residuals).to_numpy() / (len(frame) - len(set(labels)))


def test_replicates_scatter_as_the_identity():
    vectors, wells = screen()
    done = normalised(vectors, wells, np.ones(len(wells), bool), Normalisation(whiten="replicates", shrink=0))
    assert np.abs(within(done, wells) - np.eye(5)).max() < 1e-3


def test_controls_scatter_as_the_identity_around_their_plates_mean():
    vectors, wells = screen()
    done = normalised(vectors, wells, np.zeros(len(wells), bool), Normalisation(whiten="controls", shrink=0))
    negative = (wells["well_type"] == "negative_control").to_numpy()
    frame, plates = pd.DataFrame(done[negative]), wells[negative].groupby(["experiment", "plate"]).ngroup().to_numpy()
    residuals = frame - frame.groupby(plates).transform("mean")
    assert np.abs((residuals.T @ residuals).to_numpy() / (len(frame) - 6) - np.eye(5)).max() < 1e-3


def test_pooled_is_the_mean_of_both_by_degrees_of_freedom():
    vectors, wells = screen()
    known, covariances = np.ones(len(wells), bool), {}
    for kind in ("replicates", "controls", "pooled"):
        axes = whitening_axes(vectors, wells, known, Normalisation(whiten=kind))
        covariances[kind] = (axes.axes * axes.variances) @ axes.axes.T
    expected = (150 * covariances["replicates"] + 42 * covariances["controls"]) / 192
    np.testing.assert_allclose(covariances["pooled"], expected, rtol=1e-5, atol=1e-4)


def test_tvn_gives_every_plates_controls_one_covariance():
    vectors, wells = screen(n_controls=40)
    vectors[:70] *= np.array([1, 4, 1, 1, 1])  # one plate varies more
    known = np.zeros(len(wells), bool)
    settings = Normalisation(reference="controls", whiten="tvn", shrink=0)
    done, plain = (normalised(vectors, wells, known, replace(settings, whiten=w)) for w in ("tvn", "controls"))
    negative = (wells["well_type"] == "negative_control").to_numpy()

    def spread(profiles):
        plates = wells[negative].groupby(["experiment", "plate"]).indices.values()
        return np.ptp([np.var(profiles[negative][rows][:, 1]) for rows in plates])

    assert spread(done) < 1e-3 < 0.5 < spread(plain)


@pytest.mark.parametrize("whiten", ["replicates", "pooled"])
def test_labels_of_queries_are_not_used(whiten):
    vectors, wells = screen()
    known = (wells["experiment"] != "E2").to_numpy()
    other = wells.assign(label=wells["label"].where(known, (wells["label"] + 7) % 30))
    settings = Normalisation(whiten=whiten)
    assert np.array_equal(normalised(vectors, wells, known, settings), normalised(vectors, other, known, settings))


def test_a_plate_with_one_well_takes_its_experiments_mean():
    vectors, wells = screen()
    alone = wells["plate"].where(np.arange(len(wells)) != 3, 9)
    done = centred(vectors, wells.assign(plate=alone), Normalisation())
    experiment = vectors[(wells["experiment"] == "E0").to_numpy()].mean(axis=0)
    np.testing.assert_allclose(done[3], vectors[3] - experiment, rtol=1e-4)


def test_a_plate_without_controls_is_not_centred_by_nothing():
    vectors, wells = screen()
    lost = (wells["experiment"] == "E1") & (wells["well_type"] != "treatment")
    kept = ~lost.to_numpy()
    done = centred(vectors[kept], wells[kept], Normalisation(reference="controls"))
    negative = (wells["well_type"] == "negative_control").to_numpy() & kept
    here = (wells["experiment"] == "E1").to_numpy()
    np.testing.assert_allclose(done[here[kept]], vectors[here & kept] - vectors[negative].mean(axis=0), rtol=1e-4)


def test_cell_types_have_covariances_of_their_own():
    vectors, wells = screen()
    wells["cell_type"] = np.where(wells["experiment"] == "E0", "RPE", "HUVEC")
    vectors[(wells["cell_type"] == "RPE").to_numpy()] *= 3
    settings = Normalisation(whiten="replicates", shrink=0, by_cell_type=True)
    done = normalised(vectors, wells, np.ones(len(wells), bool), settings)
    for name in ("RPE", "HUVEC"):
        rows = (wells["cell_type"] == name).to_numpy()
        assert np.abs(within(done[rows], wells[rows].reset_index(drop=True)) - np.eye(5)).max() < 1e-3


@pytest.mark.parametrize(
    ("settings", "change", "words"),
    [
        (Normalisation(whiten="replicates"), {"label": -1}, "--whiten=replicates: no treatment has two labelled wells"),
        (Normalisation(whiten="controls"), {"well_type": "treatment"}, "no batch has two negative controls"),
        (Normalisation(reference="controls"), {"well_type": "treatment"}, "no control of HUVEC is embedded; use --ref"),
        (Normalisation(whiten="controls", shrink=0), {}, "--shrink=0: the covariance of 500 features has directions"),
    ],
)
def test_what_cannot_be_fitted_is_one_line(settings, change, words):
    vectors, wells = screen(n_features=500)
    with pytest.raises(UserError, match=words):
        normalised(vectors, wells.assign(**change), np.ones(len(wells), bool), settings)


def test_the_order_of_wells_changes_nothing():
    vectors, wells = screen()
    order = np.random.default_rng(1).permutation(len(wells))
    settings, known = Normalisation(whiten="tvn"), np.ones(len(wells), bool)
    whole = normalised(vectors, wells, known, settings)
    mixed = normalised(vectors[order], wells.iloc[order].reset_index(drop=True), known, settings)
    np.testing.assert_allclose(mixed, whole[order], atol=1e-3)


@pytest.mark.parametrize("n_few", [4, 12])
def test_a_few_vectors_whiten_as_their_whole_covariance_does(n_few):
    rng = np.random.default_rng(0)
    vectors, few = rng.normal(size=(7, 9)), rng.normal(size=(n_few, 9)) * np.arange(1, 10)
    variances, axes = np.linalg.eigh(np.cov(few.T))
    expected = vectors @ Axes(variances.clip(0), axes).root(0.05)
    assert np.allclose(whitened_by_few(vectors, few, 0.05), expected)


def test_a_few_vectors_need_a_ridge():
    with pytest.raises(UserError, match="--shrink=0: the covariance of 9 features"):
        whitened_by_few(np.ones((2, 9)), np.random.default_rng(0).normal(size=(4, 9)), 0)


def test_every_plate_has_mean_zero_whatever_shifts_it():
    vectors, wells = screen()
    done = centred(vectors, wells, Normalisation())
    assert (
        np.abs(pd.DataFrame(done).groupby(wells.groupby(["experiment", "plate"]).ngroup().to_numpy()).mean())
        .max()
        .max()
        < 1e-4
    )
    shifted = vectors + 7.0 * wells["plate"].to_numpy()[:, None]
    np.testing.assert_allclose(centred(shifted, wells, Normalisation()), done, atol=1e-3)


@pytest.mark.parametrize("centre", ["plate", "experiment", "off"])
def test_the_given_profiles_stay_as_they_are(centre):
    vectors, wells = screen()
    before = vectors.copy()
    normalised(vectors, wells, np.ones(len(wells), bool), Normalisation(centre, whiten="pooled"))
    assert np.array_equal(vectors, before)
