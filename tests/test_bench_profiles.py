"""The benchmark of profiles without its minutes: nothing learns from a held-out well, the measures are right."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
MODULES = ("profiles_data", "profiles_protocol", "profiles_methods")


@pytest.fixture
def bench(monkeypatch):
    """Return profiles_data.py, profiles_protocol.py and profiles_methods.py as modules."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import profiles_data
    import profiles_methods
    import profiles_protocol

    yield profiles_data, profiles_protocol, profiles_methods
    for name in MODULES:
        sys.modules.pop(name)


@pytest.fixture
def small(bench):
    """Return 30 treatments on three plates each, in three weeks, and four controls a plate; the signal is strong."""
    rng, rows = np.random.default_rng(0), []
    for week in range(3):
        for plate in range(3):
            rows += [(week, plate, -1)] * 4 + [(week, plate, label) for label in range(10 * week, 10 * week + 10)]
    week, plate, label = np.array(rows).T
    signal = np.where(label[:, None] < 0, 0.0, 3 * rng.normal(size=(31, 12))[label])
    names = pd.Series(label).map(lambda number: "DMSO" if number < 0 else f"compound {number % 15}")
    wells = pd.DataFrame(
        {
            "experiment": [f"Week{number}" for number in week],
            "plate": [f"Week{a}_{b}" for a, b in zip(week, plate, strict=True)],
            "well": [f"A{number:02}" for number in range(len(rows))],
            "cell_type": "MCF7",
            "well_type": np.where(label < 0, "negative_control", "treatment"),
            "compound": names,
            "concentration": 1.0,
            "mechanism": [f"mechanism {number % 5}" for number in label],
            "label": label,
            "replicate": np.where(label < 0, -1, plate),
        }
    )
    return bench[0].Profiles(signal + rng.normal(size=signal.shape), [f"f{d}" for d in range(12)], wells)


def test_each_treatment_is_held_out_once_on_each_plate_and_never_in_its_own_bank(bench, small):
    held = np.zeros(len(small.wells), int)
    for held_out, bank in bench[1].folds(small):
        assert not (held_out & bank).any() and (held_out | bank).sum() == 90
        assert sorted(small.wells["label"][held_out]) == list(range(30))
        held += held_out
    assert (held == small.treated).all()


@pytest.mark.parametrize("kind", ["class centres", "nearest well", "LDA", "logistic regression"])
def test_what_is_held_out_has_no_label_anywhere(bench, small, kind, recwarn):
    _, protocol, methods = bench
    seen, classify = [], methods.classifiers(30)[kind]

    def transform(wells, bank):
        seen.append((wells, bank))
        return small.features

    def spied(bank_vectors, labels, queries):
        assert not (queries[:, None] == bank_vectors[None]).all(axis=2).any()
        return classify(bank_vectors, labels, queries)

    named = protocol.name_held_out(small, transform, {kind: spied})[kind]
    for (held_out, _), (wells, bank) in zip(protocol.folds(small), seen, strict=True):
        assert (wells["label"][held_out] == -1).all() and not bank[held_out].any()
        assert wells.loc[held_out, ["compound", "concentration", "mechanism"]].isna().all(axis=None)
        assert "replicate" not in wells and not wells.loc[bank].isna().any(axis=None)
    assert np.isnan(named.top[~small.treated]).all() and np.nanmean(named.top) > 0.8
    recwarn.clear()  # scikit-learn warns of two wells a class


def test_labels_of_held_out_wells_change_no_score(bench, small):
    _, protocol, methods = bench
    held_out, bank = next(protocol.folds(small))
    other = small.wells.copy()
    other.loc[held_out, "label"] = other.loc[held_out, "label"].to_numpy()[::-1]
    for make in (methods.Auto, methods.before):
        first, second = (make(small.scaled)(wells, bank) for wells in (small.wells, other))
        assert np.array_equal(first, second)


def test_no_treatment_twice_on_a_plate(bench):
    scores = np.array([[3.0, 2, 0], [4, 1, 0], [5, 0, 0]])
    assert bench[1].one_to_one(scores, np.array(["a", "a", "b"])).tolist() == [1, 0, 0]


def test_a_mechanism_is_matched_by_another_compound_and_another_week(bench, small):
    """Compound c is dosed in treatments c and c + 15, so its own other dose would be the nearest."""
    _, protocol, _ = bench
    kinds = np.eye(5)[small.wells["label"] % 5]
    near_same = np.concatenate([kinds, 9 * np.eye(15)[small.wells["label"] % 15]], axis=1)
    near_week = np.concatenate([kinds, 9 * np.eye(3)[pd.factorize(small.wells["experiment"])[0]]], axis=1)
    assert protocol.mechanisms(small, near_same)[1].mean() == 1
    treatments, nsc, nscb = protocol.mechanisms(small, near_week)
    assert len(treatments) == 30 and nsc.mean() == 1 and np.nanmean(nscb) == 1
    few = small.wells["mechanism"].replace("mechanism 0", protocol.SINGLE_WEEK[0])
    nscb = protocol.mechanisms(bench[0].Profiles(small.features, small.names, small.wells.assign(mechanism=few)), kinds)
    assert np.isnan(nscb[2]).sum() == 6


def test_the_real_profiles_are_those_of_the_literature(bench, shared_data):
    data, protocol, methods = bench
    folder = shared_data / "bbbc021"
    if not folder.is_dir():
        pytest.skip(f"the real profiles are not here: {folder} is absent")
    profiles = data.read(folder)
    assert profiles.features.shape == (632, 516) and profiles.wells["experiment"].nunique() == 10
    assert [int(held_out.sum()) for held_out, _ in protocol.folds(profiles)] == [103, 103, 96]
    classify = {methods.CENTRES: methods.classifiers(103)[methods.CENTRES]}
    named = protocol.name_held_out(profiles, methods.before(profiles.scaled), classify)[methods.CENTRES]
    assert [round(100 * np.nanmean(values), 1) for values in (named.top, named.one_to_one)] == [49.0, 53.0]
    _, nsc, nscb = protocol.mechanisms(profiles, profiles.scaled)
    assert len(nsc) == 103 and np.isfinite(nscb).sum() == 92
