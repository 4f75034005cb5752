"""Z' and SSMD by hand; the direction comes from other plates, so chance does not separate controls."""

import numpy as np
import pandas as pd
import pytest

from rcic.decide.control_quality import control_difference, control_direction, plate_qualities, ssmd, z_prime

POSITIVE, NEGATIVE = np.array([9, 10, 11.0]), np.array([0, 1, 2, 1.0])  # 10, s 1; 1, s^2 2/3


def controls(
    plates: dict[tuple[str, int], tuple[int, int]],
    seed: int = 0,
    d: int = 200,
    shift: float = 0.0,
    cell_type: str = "A",
) -> tuple[np.ndarray, pd.DataFrame]:
    """Return noise for (positive, negative) controls on plates, the positives moved by ``shift`` in one dimension."""
    kinds = ("positive_control", "negative_control")
    rows = [
        (experiment, plate, cell_type, kind)
        for (experiment, plate), counts in plates.items()
        for kind, count in zip(kinds, counts, strict=True)
        for _ in range(count)
    ]
    wells = pd.DataFrame(rows, columns=["experiment", "plate", "cell_type", "well_type"])
    vectors = np.random.default_rng(seed).standard_normal((len(wells), d))
    vectors[:, 0] += shift * (wells["well_type"] == kinds[0])
    return vectors, wells


def test_by_hand() -> None:
    assert z_prime(POSITIVE, NEGATIVE) == pytest.approx(1 - 3 * (1 + np.sqrt(2 / 3)) / 9)
    assert ssmd(POSITIVE, NEGATIVE) == pytest.approx(9 / np.sqrt(1 + 2 / 3))
    assert ssmd(NEGATIVE, POSITIVE) == -ssmd(POSITIVE, NEGATIVE)
    assert z_prime(NEGATIVE, POSITIVE) == z_prime(POSITIVE, NEGATIVE)


def test_robust_versions_do_not_mind_one_odd_well() -> None:
    odd = np.append(POSITIVE, [10, -50.0])
    assert z_prime(odd, NEGATIVE) < 0 < z_prime(odd, NEGATIVE, robust=True)
    assert z_prime(odd, NEGATIVE, robust=True) == pytest.approx(1 - 3 * 1.4826 * (1 + 0.5) / 9)
    assert ssmd(odd, NEGATIVE, robust=True) == pytest.approx(9 / (1.4826 * np.hypot(1, 0.5)))


def test_what_is_not_defined_is_nan() -> None:
    for positive, negative in ((POSITIVE[:1], NEGATIVE), (POSITIVE, NEGATIVE[:0]), (np.ones(3), np.ones(3))):
        assert np.isnan(z_prime(positive, negative)) and np.isnan(ssmd(positive, negative))
    assert z_prime(np.ones(2), np.zeros(2)) == 1 and np.isnan(ssmd(np.ones(2), np.zeros(2)))


def test_scale_and_origin_change_nothing() -> None:
    vectors, wells = controls({("E", 1): (4, 4), ("E", 2): (4, 4), ("E", 3): (3, 5)}, shift=8.0)
    places = wells[["experiment", "plate", "cell_type"]].drop_duplicates()
    first, second = (plate_qualities(changed, wells, places) for changed in (vectors, 5 * vectors + 3))
    pd.testing.assert_frame_equal(first, second)
    assert (first["z_prime"] > 0).all() and (first["ssmd"] > 3).all() and (first["reason"] == "").all()
    assert first[["n_positive", "n_negative"]].to_numpy().tolist() == [[4, 4], [4, 4], [3, 5]]


def direction_of(vectors: np.ndarray, positive: np.ndarray, plates: np.ndarray) -> np.ndarray:
    found = [control_difference(vectors[plates == plate], positive[plates == plate]) for plate in np.unique(plates)]
    return control_direction([one for one in found if one is not None], vectors.shape[1])


def test_noise_in_many_dimensions_is_not_separated() -> None:
    """Fitted on the plate itself, 200 dimensions separate eight wells of noise: SSMD above 5, Z' above 0."""
    vectors, wells = controls({("E", plate): (4, 4) for plate in range(1, 41)})
    positive = (wells["well_type"] == "positive_control").to_numpy()
    found = plate_qualities(vectors, wells, wells[["experiment", "plate", "cell_type"]].drop_duplicates())
    assert abs(found["ssmd"].mean()) < 0.3 and found["z_prime"].median() < -2
    own = wells["plate"].to_numpy() == 1
    cheated = vectors[own] @ direction_of(vectors[own], positive[own], np.ones(8, int))
    assert ssmd(cheated[positive[own]], cheated[~positive[own]]) > 5


def test_the_direction_is_the_mean_of_the_plates_differences() -> None:
    vectors, wells = controls({("E", 1): (3, 3), ("E", 2): (2, 4), ("E", 3): (5, 0)}, d=5, shift=3.0)
    plates, positive = wells["plate"].to_numpy(), (wells["well_type"] == "positive_control").to_numpy()
    means = [[vectors[(plates == n) & (positive == kind)].mean(axis=0) for kind in (True, False)] for n in (1, 2)]
    direction = (means[0][0] - means[0][1] + means[1][0] - means[1][1]) / 2
    found = direction_of(vectors, positive, plates)
    assert found == pytest.approx(direction / (direction @ direction))
    moved = vectors + 100.0 * np.arange(4)[plates][:, None]  # what a plate has in common
    assert direction_of(moved, positive, plates) == pytest.approx(found)
    assert np.isnan(direction_of(vectors[:3], positive[:3], plates[:3])).all()


def test_a_plate_without_numbers_says_why() -> None:
    vectors, wells = controls({("E", 1): (4, 1), ("E", 2): (0, 4), ("E", 3): (4, 4)})
    other, alone = controls({("F", 1): (4, 4)}, cell_type="B")
    wells, vectors = pd.concat([wells, alone], ignore_index=True), np.concatenate([vectors, other])
    places = pd.DataFrame({"experiment": [*"EEEFG"], "plate": [1, 2, 3, 1, 9], "cell_type": [*"AAABB"]})
    found = plate_qualities(vectors, wells, places)
    assert found["reason"].tolist() == [
        "1 negative control on the plate, 2 are needed",
        "0 positive controls on the plate, 2 are needed",
        "",
        "no other plate of the cell type has controls of both kinds that differ, to fit a direction on",
        "0 positive controls on the plate, 2 are needed",
    ]
    assert found["z_prime"].isna().tolist() == [True, True, False, True, True]
    same = plate_qualities(np.ones_like(vectors), wells, places.iloc[2:3])
    assert same["reason"].tolist() == [found["reason"][3]]
