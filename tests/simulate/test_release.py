"""One seed in three layouts: the same wells, the same labels, the same pictures."""

from pathlib import Path

import numpy as np
import pytest

from rcic.errors import UserError
from rcic.pixels.images.complete import missing_images
from rcic.pixels.images.sites import site_table, sites_of
from rcic.pixels.packed.open_store import open_store
from rcic.screen.layout import learn_groups
from rcic.screen.source import ScreenSource
from rcic.screen.spec_files import SHIPPED
from rcic.screen.table import Screen, read_screen, read_wells
from rcic.simulate.release import LAYOUTS, find_layout
from rcic.simulate.simulation import simulate_screen

SAME = ["experiment", "cell_type", "plate", "split", "well_type", "label"]


@pytest.fixture(scope="module")
def screens(small_screen: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Screen]:
    folder = tmp_path_factory.mktemp("layouts")
    screens = {"rcic": read_screen(small_screen)}
    for layout, workers in (("rxrx1", 1), ("plate96", 2)):
        simulate_screen("test", folder / layout, seed=0, workers=workers, progress=False, layout=layout)
        screens[layout] = read_screen(ScreenSource(str(folder / layout), str(SHIPPED / f"{layout}.yml")))
    return screens


@pytest.mark.parametrize("layout", ["rxrx1", "plate96"])
def test_the_tables_are_the_same(screens, layout):
    ours, theirs = screens["rcic"], screens[layout]
    assert theirs.wells[SAME].equals(ours.wells[SAME])
    assert (theirs.n_treatments, len(theirs.classes)) == (ours.n_treatments, len(ours.classes))
    groups, others = learn_groups(ours), learn_groups(theirs)
    assert groups.orders == others.orders and np.array_equal(groups.of_class, others.of_class)
    assert set(theirs.wells["well"]) <= set(theirs.spec.wells)


@pytest.mark.parametrize("layout", ["rxrx1", "plate96"])
def test_the_pixels_are_the_same(screens, layout):
    ours, theirs = screens["rcic"], screens[layout]
    stores = open_store(ours), open_store(theirs)
    assert missing_images(stores[1], theirs.wells) == []
    pairs = zip(*(sites_of(site_table(screen.wells)) for screen in (ours, theirs)), strict=True)
    for one, other in list(pairs)[::17]:
        first, second = stores[0].read(one, [1, 2, 3, 4, 5, 6]), stores[1].read(other, [1, 2, 3, 4, 5, 6])
        assert np.abs(first.astype(int) - second).max() <= 1, (one, other)


def test_the_example_s_files_are_of_16_bits(screens):
    store = open_store(screens["plate96"])
    raw = store.raw(sites_of(site_table(screens["plate96"].wells))[0], 1)
    assert raw.dtype == np.uint16 and raw.min() >= 100 and raw.max() > 255


def test_the_truth_is_in_the_layout_s_own_words(screens):
    truths = {}
    for name, screen in screens.items():
        wells = read_wells(screen.root / "truth" / "test.csv", screen)
        truths[name] = wells.sort_values(["experiment", "plate", "well"])["label"].tolist()
    assert truths["rcic"] == truths["rxrx1"] == truths["plate96"]
    assert screens["rxrx1"].truth is not None  # the release tells it, the others do not
    assert screens["rcic"].truth is None and screens["plate96"].truth is None


def test_another_layout_in_the_folder_is_refused(screens):
    with pytest.raises(UserError, match="another screen is there"):
        simulate_screen("test", screens["plate96"].root, seed=0, progress=False, layout="rxrx1")
    with pytest.raises(
        UserError, match=r"layout 'plate95' is unknown \(known: rcic, rxrx1, plate96\); did you mean 'plate96'\?"
    ):
        find_layout("plate95")
    assert list(LAYOUTS) == ["rcic", "rxrx1", "plate96"]
