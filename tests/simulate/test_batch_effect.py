from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rcic.screen.plate import cell_type_of
from rcic.simulate.batch_effect import BETWEEN, INTENSITY, OUTLIER, WITHIN, Batch, batches

CELL_TYPES = sorted(INTENSITY)


def spreads(plates: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return level, spread between and within experiments of plate means, each cell type x channel."""
    table = plates.assign(cell_type=plates["experiment"].map(cell_type_of), log=np.log(plates["mean"]))
    by = table.groupby(["cell_type", "channel", "experiment"])["log"]
    centre, within = by.mean().groupby(["cell_type", "channel"]), by.var().groupby(["cell_type", "channel"])
    return np.exp(centre.median()).unstack(), centre.std().unstack(), np.sqrt(within.mean()).unstack()


def test_constants_are_those_of_the_published_plates(shared_data: Path) -> None:
    real = spreads(pd.read_csv(shared_data / "plate_stats/plate_mean_std.csv"))
    for measured, constant, tolerance in zip(real, (INTENSITY, BETWEEN, WITHIN), (0.1, 0.01, 0.01), strict=True):
        np.testing.assert_allclose(measured, [constant[name] for name in CELL_TYPES], atol=tolerance)


def many(seed: int) -> dict[tuple[str, int], Batch]:
    names = [(f"{cell_type}-{number:02d}", cell_type) for cell_type in CELL_TYPES for number in range(40)]
    return batches(pd.DataFrame(names, columns=["experiment", "cell_type"]), 4, seed)


def test_drawn_batches_have_the_published_spread() -> None:
    plates = pd.DataFrame(
        [
            (experiment, channel + 1, (batch.gain + batch.background)[channel])
            for (experiment, _), batch in many(0).items()
            for channel in range(6)
        ],
        columns=["experiment", "channel", "mean"],
    )
    level, between, within = spreads(plates)
    np.testing.assert_allclose(level, [INTENSITY[name] for name in CELL_TYPES], rtol=0.35)
    np.testing.assert_allclose(between, [BETWEEN[name] for name in CELL_TYPES], rtol=0.25)
    np.testing.assert_allclose(within, [WITHIN[name] for name in CELL_TYPES], rtol=0.25)


def test_outlier_is_stained_as_the_published_one(shared_data: Path) -> None:
    plates = pd.read_csv(shared_data / "plate_stats/plate_mean_std.csv")
    plates = plates[plates["experiment"].map(cell_type_of) == "HUVEC"]
    log_means = np.log(plates["mean"]).groupby([plates["experiment"], plates["channel"]]).mean().unstack()
    np.testing.assert_allclose(log_means.loc["HUVEC-05"] - log_means.median(), OUTLIER, atol=0.01)


def test_an_outlier_changes_its_own_experiment_only() -> None:
    table = pd.DataFrame({"experiment": [f"RPE-{n:02d}" for n in range(6)], "cell_type": "RPE"})
    plain, found = batches(table, 4, 5), batches(table, 4, 5, ("RPE-03",))
    for place, batch in found.items():
        same = all(np.array_equal(value, getattr(plain[place], name)) for name, value in vars(batch).items())
        assert same == (place[0] != "RPE-03"), place
    total = np.mean([found["RPE-03", plate].gain + found["RPE-03", plate].background for plate in (1, 2, 3, 4)], axis=0)
    np.testing.assert_allclose(np.log(total / INTENSITY["RPE"]), OUTLIER, atol=0.25)
    assert (found["RPE-03", 1].blur > 1.2 * plain["RPE-03", 1].blur).all()


def test_channels_of_an_experiment_go_together() -> None:
    gains = pd.DataFrame({place: np.log(batch.gain) for place, batch in many(1).items() if place[1] == 1})
    by_type = [gains.loc[:, [name for name, _ in gains if name.startswith(kind)]] for kind in CELL_TYPES]
    correlations = [np.corrcoef(table)[np.triu_indices(6, 1)].mean() for table in by_type]
    assert 0.4 < np.mean(correlations) < 0.85  # published: 0.64


def test_plates_of_an_experiment_are_more_alike_than_experiments() -> None:
    found = many(2)
    same = np.mean([np.abs(found["RPE-00", 1].shift - found["RPE-00", plate].shift) for plate in (2, 3, 4)])
    other = np.mean([np.abs(found["RPE-00", 1].shift - found[f"RPE-{n:02d}", 1].shift) for n in range(1, 9)])
    assert same < 0.6 * other


def test_drawn_images_are_as_bright_and_as_scattered_as_the_published_ones(small_screen: Path) -> None:
    """Of a small screen only the pooled spreads are steady: 2 or 3 experiments a cell type."""
    images = pd.read_csv(small_screen / "pixel_stats.csv")
    plates = images.groupby(["experiment", "plate", "channel"], as_index=False)["mean"].mean()
    level, between, within = spreads(plates)
    real = [np.array([table[name] for name in level.index]) for table in (INTENSITY, BETWEEN, WITHIN)]
    assert np.abs(np.log(level / real[0]).to_numpy()).mean() < 0.35
    assert np.sqrt((between**2).to_numpy().mean()) == pytest.approx(np.sqrt((real[1] ** 2).mean()), rel=0.5)
    assert 0.7 < np.sqrt((within**2).to_numpy().mean() / (real[2] ** 2).mean()) < 2.5
    contrast = (images["std"] / images["mean"]).groupby(images["channel"]).median()
    assert contrast[1] == contrast.max() and contrast.between(0.3, 2.2).all()
