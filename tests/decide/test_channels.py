import numpy as np
import pandas as pd
import pytest

from rcic.decide.channels import COLUMNS, channel_importance, importance_text
from rcic.errors import UserError

TYPES = pd.DataFrame({"cell_type": ["RPE", "RPE", "HUVEC", "HUVEC"]})
NAMES = {2: "endoplasmic reticulum", 3: "actin"}
RIGHT = {  # three channels; without channel 2 nothing works in RPE
    (1, 2): np.array([1.0, 1, 1, 0]),
    (1, 3): np.array([0.0, 0, 1, 1]),
    (2, 3): np.array([1.0, 0.5, 0, 0]),
}


def random_family(n_channels: int, n_wells: int = 30) -> tuple[dict[tuple[int, ...], np.ndarray], pd.DataFrame]:
    rng = np.random.default_rng(n_channels)
    channels = range(1, n_channels + 1)
    sets = [tuple(c for c in channels if c != absent) for absent in channels]
    wells = pd.DataFrame({"cell_type": rng.choice(["A", "B", "C"], n_wells)})
    return {chosen: rng.integers(0, 3, n_wells) / 2 for chosen in sets}, wells


def test_wrong_input() -> None:
    with pytest.raises(UserError, match="none was predicted; "):
        channel_importance({}, TYPES)
    with pytest.raises(UserError, match=r"only \[1,2,3\] was predicted; .* at least two channel sets"):
        channel_importance({(1, 2, 3): np.ones(4)}, TYPES)
    with pytest.raises(UserError, match="at least two channel sets"):
        channel_importance({(1, 2, 3): np.ones(4), (1, 2): np.ones(4), (3,): np.ones(4)}, TYPES)
    with pytest.raises(UserError, match=r"channels \[2,1\]: the set is listed twice"):
        channel_importance({**RIGHT, (2, 1): RIGHT[1, 2]}, TYPES)
    with pytest.raises(UserError, match=r"channels \[1,3\]: expected a share of right answers"):
        channel_importance({**RIGHT, (1, 3): np.ones(3)}, TYPES)
    with pytest.raises(UserError, match=r"channels \[1,3\]: expected a share of right answers"):
        channel_importance({**RIGHT, (1, 3): np.full(4, 100.0)}, TYPES)
    with pytest.raises(UserError, match="no well was predicted by all channel sets"):
        channel_importance({**RIGHT, (1, 3): np.full(4, np.nan)}, TYPES)


def test_three_channels_by_hand() -> None:
    table = channel_importance(RIGHT, TYPES)
    assert table.columns.tolist() == COLUMNS
    assert list(zip(table["cell_type"], table["channel"], strict=True)) == [
        (name, channel) for name in ("all", "HUVEC", "RPE") for channel in (1, 2, 3)
    ]
    second = table[table["channel"] == 2].set_index("cell_type")
    assert second["accuracy_without"].tolist() == [50, 100, 0]
    assert second["accuracy_with"].tolist() == [56.25, 25, 87.5]  # wells: 1, 0.75, 0.5, 0
    assert second["lost"].tolist() == [6.25, -75, 87.5]
    assert second["n_wells"].tolist() == [4, 2, 2]
    gaps = np.array([1, 0.75, -0.5, -1])
    np.testing.assert_allclose(second["spread"], [50 * gaps.std(ddof=1), 25, 12.5])


@pytest.mark.parametrize("n_channels", [2, 3, 6])
def test_losses_of_a_family_cancel(n_channels: int) -> None:
    right, wells = random_family(n_channels)
    table = channel_importance(right, wells)
    np.testing.assert_allclose(table.groupby("cell_type")["lost"].sum(), 0, atol=1e-9)
    np.testing.assert_allclose(table["accuracy_with"] - table["accuracy_without"], table["lost"])
    mean = np.mean(list(right.values())) * 100
    everyone = table[table["cell_type"] == "all"]
    np.testing.assert_allclose(
        (everyone["accuracy_without"] + (n_channels - 1) * everyone["accuracy_with"]) / n_channels, mean
    )
    more = channel_importance({**right, tuple(range(1, n_channels + 1)): np.ones(len(wells))}, wells)
    pd.testing.assert_frame_equal(more, table)  # a model of all channels is not of the family


def test_equal_sets_lose_nothing() -> None:
    table = channel_importance(dict.fromkeys(RIGHT, np.array([1.0, 0, 1, 0])), TYPES)
    assert (table["lost"] == 0).all()
    assert (table["spread"] == 0).all()


def test_only_wells_that_all_sets_know() -> None:
    right, wells = random_family(6)
    unknown = np.arange(30) % 5 == 0
    patchy = {chosen: np.where(unknown & (2 in chosen), np.nan, table) for chosen, table in right.items()}
    expected = channel_importance({chosen: table[~unknown] for chosen, table in right.items()}, wells[~unknown])
    pd.testing.assert_frame_equal(channel_importance(patchy, wells), expected)


def test_a_missing_set_leaves_its_channel_out() -> None:
    right, wells = random_family(6)
    del right[1, 2, 4, 5, 6]
    table = channel_importance(right, wells, NAMES)
    third = table[table["channel"] == 3]
    assert third[["accuracy_without", "accuracy_with", "lost", "spread"]].isna().all(axis=None)
    assert (third["n_wells"] == 0).all()
    assert table.loc[table["channel"] != 3, "lost"].notna().all()
    assert importance_text(table).splitlines()[-1].startswith("3 actin: left out")


def test_one_well_has_no_spread() -> None:
    table = channel_importance({chosen: right[:1] for chosen, right in RIGHT.items()}, TYPES[:1])
    assert table["spread"].isna().all()
    assert "+-" not in importance_text(table).splitlines()[3]


def test_the_text_is_aligned() -> None:
    lines = importance_text(channel_importance(RIGHT, TYPES, NAMES)).splitlines()
    assert lines[2].split() == ["all", "HUVEC", "RPE"]
    assert lines[3].split() == ["wells", "4", "2", "2"]
    assert lines[5].startswith("2 endoplasmic reticulum  ")
    assert lines[5].endswith("-75.00 +- 25.00  +87.50 +- 12.50")
    assert len({len(line) for line in lines[2:]}) == 1
