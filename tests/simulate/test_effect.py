from dataclasses import replace

import numpy as np
import pytest

from rcic.simulate.batch_effect import batches
from rcic.simulate.cell import CELL_TYPES, TRAIT, TRAITS, base_traits, grow
from rcic.simulate.effect import action_table, acts, effect_table, effects
from rcic.simulate.plate_plan import experiments
from rcic.simulate.presets import find_preset
from rcic.simulate.site import draw_site, unit_light
from rcic.simulate.stream import stream

DEMO = find_preset("demo")


def test_negative_control_has_no_effect_and_the_others_have_one_of_varied_strength() -> None:
    size = np.abs(effects(DEMO, 0)).sum(axis=(1, 2))
    assert size[-1] == 0 and (size[:-1] > 0).all()
    assert size[:-1].max() > 2 * size[:-1].min()
    treatments, positives = size[: DEMO.n_treatments], size[DEMO.n_treatments : -1]
    assert 0.5 < positives.mean() / treatments.mean() < 2


def test_effect_is_partly_shared_by_cell_types() -> None:
    def likeness(specific: float) -> float:
        changes = effects(replace(DEMO, specific=specific), 0)[:-1]
        pairs = [np.corrcoef(change[0], change[1])[0, 1] for change in changes]
        return float(np.mean(pairs))

    assert likeness(0.0) == pytest.approx(1.0)
    assert 0.3 < likeness(DEMO.specific) < 0.95
    assert abs(likeness(1.0)) < 0.4


def test_a_share_of_the_treatments_acts_in_one_cell_type_only() -> None:
    preset = replace(find_preset("bench"), one_type=0.25)
    before, after, where = effects(replace(preset, one_type=0.0), 3), effects(preset, 3), acts(preset, 3)
    alone = where.sum(axis=1) == 1
    assert alone.sum() == 24 == alone[: preset.n_treatments].sum() and where[~alone][:-1].all() and not where[-1].any()
    assert (where[alone].sum(axis=0) == 12).all()
    assert not after[~where].any() and np.array_equal(after[where], before[where])
    table = action_table(preset, 3).pivot(index="sirna", columns="cell_type", values="acts")
    assert list(table) == preset.cell_types and np.array_equal(table.to_numpy(bool), where)
    assert not np.array_equal(where, acts(preset, 4))


def test_effect_grows_with_the_dial() -> None:
    weak, strong = (np.abs(effects(replace(DEMO, effect=size), 0)).mean() for size in (0.5, 2.0))
    assert 2 < strong / weak < 4.1


def test_table_tells_every_trait_of_every_sirna() -> None:
    changes = effects(DEMO, 0)
    table = effect_table(DEMO, changes)
    assert len(table) == DEMO.n_classes * 4 * len(TRAITS)
    row = table[(table["sirna"] == 5) & (table["cell_type"] == "RPE") & (table["trait"] == "golgi_spread")]
    change = changes[5, DEMO.cell_types.index("RPE"), TRAIT["golgi_spread"]]
    assert row["channel"].item() == 6 and row["factor"].item() == pytest.approx(np.exp(change))
    assert (table.loc[table["sirna"] == DEMO.n_classes - 1, "factor"] == 1).all()


@pytest.mark.parametrize("cell_type", CELL_TYPES)
def test_cells_fill_a_field_without_two_nuclei_in_one_place(cell_type: str) -> None:
    none = np.zeros(len(TRAITS))
    cells = grow(cell_type, none, none, 190.0, stream(0, cell_type))
    inside = (cells.x > 0) & (cells.x < 190) & (cells.y > 0) & (cells.y < 190)
    assert 6 <= inside.sum() <= 60
    distance = np.hypot(cells.x[:, None] - cells.x, cells.y[:, None] - cells.y) + 1e9 * np.eye(len(cells))
    assert distance.min() > base_traits(cell_type)[TRAIT["nucleus_size"]]


@pytest.mark.parametrize(
    ("trait", "channel"),
    [(t.name, t.channel) for t in TRAITS if t.name.endswith("_intensity") or "count" in t.name],
)
def test_a_trait_shows_most_in_its_channel(trait: str, channel: int) -> None:
    small = find_preset("test")
    batch = batches(experiments(small, 0), 4, 0)["HUVEC-01", 1]
    unit, effect = unit_light(small, "HUVEC"), np.zeros(len(TRAITS))
    batch = replace(batch, gain=np.full(6, 40.0), background=np.zeros(6))
    changed = effect.copy()
    changed[TRAIT[trait]] = 0.8

    def light(change: np.ndarray) -> np.ndarray:
        sites = [draw_site(small, "HUVEC", batch, change, unit, (0, "HUVEC-01", 1, "D05", n)) for n in range(12)]
        return np.mean(sites, axis=(0, 2, 3))

    ratio = light(changed) / light(effect)
    assert ratio.argmax() == channel - 1 and ratio[channel - 1] > 1.03
