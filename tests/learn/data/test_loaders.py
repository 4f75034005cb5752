import numpy as np
import pandas as pd
import pytest

from rcic.errors import UserError
from rcic.learn.data.loaders import add_plate_context, order_of, stacked, train_loader, usable_sites, valid_loader
from rcic.pixels.batches.sampler import EpochSampler, GroupBatches
from rcic.pixels.images.file_store import FileStore
from rcic.pixels.images.sites import STACKED, site_table


@pytest.fixture
def ranks(monkeypatch):
    """Return a function that makes this process one of torchrun's."""

    def be(rank, world):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", str(world))

    return be


def wells_of(screen, count):
    return screen.select("train", "treatment").head(count)


def remove(root, wells, index, site, channel):
    well = wells.iloc[index]
    (root / "train" / well["experiment"] / f"Plate{well['plate']}" / f"{well['well']}_s{site}_w{channel}.png").unlink()


def test_incomplete_sites_are_refused_or_left_out_aloud(screen, own_screen, capsys):
    store, wells = FileStore(own_screen), wells_of(screen, 4)
    remove(own_screen, wells, 0, 2, 3)
    remove(own_screen, wells, 1, 1, 6)
    remove(own_screen, wells, 1, 2, 6)
    with pytest.raises(UserError, match=r"1 of 40 images are missing: .*_s2_w3.png; .*drop_incomplete"):
        usable_sites(store, wells, (1, 2), (1, 2, 3, 4, 5), drop=False)
    rows = usable_sites(store, wells, (1, 2), (1, 2, 3, 4, 5), drop=True)
    assert rows["site"].tolist() == [1, 1, 2, 1, 2, 1, 2]
    said = "channels [1, 2, 3, 4, 5]: left out 1 of 8 sites that lack a channel (0 wells have no site left)\n"
    assert capsys.readouterr().out == said
    rows = usable_sites(store, wells, (1, 2), (3, 6), drop=True)
    assert rows["id_code"].nunique() == 3 and "left out 3 of 8 sites" in capsys.readouterr().out
    assert len(usable_sites(store, wells, (1, 2), (1, 2), drop=True)) == 8 and capsys.readouterr().out == ""


def test_a_small_last_batch_is_left_out_unless_it_is_the_only_one(screen, config):
    store = FileStore(screen.root)
    rows = usable_sites(store, wells_of(screen, 9), (1, 2), (1, 2, 3, 4, 5), drop=False)  # 18 sites
    sizes = {
        size: [len(b["row"]) for b in train_loader(config(train__batch_size=size), rows, store)] for size in (8, 99)
    }
    assert sizes == {8: [8, 8], 99: [18]}


def test_ranks_share_the_sites(screen, config, ranks):
    store, chosen = FileStore(screen.root), config(train__valid_batch_size=4)
    rows = usable_sites(store, wells_of(screen, 9), (1,), (1, 2, 3, 4, 5), drop=False)  # 9 sites
    seen = {"train": [], "valid": []}
    for rank in (0, 1):
        ranks(rank, 2)
        loaders = {"train": train_loader(chosen, rows, store), "valid": valid_loader(chosen, rows, store, None)}
        for name, loader in loaders.items():
            seen[name].append([int(row) for batch in loader for row in batch["row"]])
    assert seen["valid"] == [[0, 2, 4, 6, 8], [1, 3, 5, 7]]
    assert [len(own) for own in seen["train"]] == [4, 4] and not set(seen["train"][0]) & set(seen["train"][1])


def test_too_few_sites_are_refused(screen, config, ranks):
    store = FileStore(screen.root)
    rows = usable_sites(store, wells_of(screen, 3), (1,), (1, 2, 3, 4, 5), drop=False)
    ranks(0, 4)
    with pytest.raises(UserError, match="3 training sites are too few for 4 processes"):
        train_loader(config(), rows, store)
    with pytest.raises(UserError, match="3 validation sites are too few for 4 processes"):
        valid_loader(config(), rows, store, None)


def test_validation_is_in_order_and_as_stored(screen, config):
    store = FileStore(screen.root)
    rows = usable_sites(store, wells_of(screen, 3), (1, 2), (6, 1), drop=False)
    (batch,) = valid_loader(config(data__channels=[6, 1]), rows, store, None)
    assert batch["row"].tolist() == list(range(6)) and batch["target"].tolist() == rows["label"].tolist()
    assert batch["image"].shape == (6, 2, 40, 40)


def test_a_cache_that_is_too_small_is_said(screen, config, monkeypatch, capsys):
    monkeypatch.setattr("rcic.pixels.batches.dataset.SiteDataset.preload", lambda self: False)
    store = FileStore(screen.root)
    rows = usable_sites(store, wells_of(screen, 3), (1, 2), (1, 2, 3, 4, 5), drop=False)
    valid_loader(config(), rows, store, None)
    assert capsys.readouterr().out.startswith("data.cache: 6 sites do not fit in 1 GiB")


def plate_of(rows):
    return set(zip(rows["experiment"], rows["plate"], strict=True))


@pytest.mark.parametrize("unit", ["plate", "experiment"])
def test_company_is_the_rest_of_the_plate(screen, config, unit):
    wells = screen.select("train", "treatment").iloc[[30, 3]]  # two experiments, not in order
    rows = site_table(wells)
    both = add_plate_context(FileStore(screen.root), screen, rows, unit, config())
    wanted, company = both[both["wanted"]], both[~both["wanted"]]
    assert both["wanted"].dtype == bool and both.index.tolist() == list(range(len(both)))
    assert sorted(wanted["id_code"]) == sorted(rows["id_code"])
    assert dict(zip(wanted["id_code"], wanted["label"], strict=True)) == dict(
        zip(wells["id_code"], wells["label"], strict=True)
    )
    assert (company["label"] == -1).all() and {"treatment", "positive_control"} <= set(company["well_type"])
    theirs = screen.wells[screen.wells["experiment"].isin(wells["experiment"])]
    if unit == "plate":
        places = plate_of(wells)
        theirs = theirs[[place in places for place in zip(theirs["experiment"], theirs["plate"], strict=True)]]
    expected = theirs.sort_values(["experiment", "plate", "well"])["id_code"]
    assert both["id_code"].tolist() == expected.repeat(2).tolist()
    assert both["site"].tolist() == [1, 2] * len(theirs)


def test_without_a_unit_there_is_no_company(screen, config):
    rows = site_table(wells_of(screen, 3))
    alone = add_plate_context(FileStore(screen.root), screen, rows, None, config())
    assert alone["wanted"].all() and alone.drop(columns="wanted").equals(rows)


def test_company_that_lacks_an_image_is_left_out_aloud(screen, own_screen, config, capsys):
    store, wells = FileStore(own_screen), wells_of(screen, 2)
    rows = site_table(wells.head(1))
    remove(own_screen, wells, 1, 2, 3)
    both = add_plate_context(store, screen, rows, "plate", config())
    assert both[both["id_code"] == wells["id_code"][1]]["site"].tolist() == [1]
    chosen = config(data__stack_sites=True)
    lone = add_plate_context(store, screen, stacked(rows, (1, 2)), "plate", chosen)
    assert wells["id_code"][1] not in set(lone["id_code"])
    assert lone["id_code"].is_unique and set(lone["site"]) == {STACKED} and len(lone) == both["id_code"].nunique() - 1
    for path in (own_screen / "train" / wells["experiment"][0] / "Plate1").iterdir():
        if wells["well"][0] not in path.name:
            path.unlink()
    for settings in ({}, {"data__stack_sites": True}):  # nobody else is left
        chosen = config(**settings)
        alone = stacked(rows, (1, 2)) if settings else rows
        assert add_plate_context(store, screen, alone, "plate", chosen)["id_code"].tolist() == alone["id_code"].tolist()
        said = "plate statistics leave out 5 of 5 further wells, which lack an image\n"
        assert capsys.readouterr().out.endswith(said)


def test_only_the_sites_of_the_config_are_company(screen, config):
    rows = site_table(wells_of(screen, 1), (2,))
    both = add_plate_context(FileStore(screen.root), screen, rows, "plate", config(data__sites=[2]))
    assert set(both["site"]) == {2} and len(both) > 1


def test_a_well_that_lacks_a_site_is_not_stacked_aloud(screen, capsys):
    rows = site_table(wells_of(screen, 4))
    wells = stacked(rows.drop(index=[3]), (1, 2))
    assert wells["id_code"].tolist() == rows["id_code"].unique()[[0, 2, 3]].tolist() and set(wells["site"]) == {STACKED}
    said = f"left out 1 wells that lack a site of (1, 2), first {rows['id_code'][3]} site 2\n"
    assert capsys.readouterr().out == said.replace("(1, 2)", "[1, 2]")
    assert len(stacked(rows, (1, 2))) == 4 and capsys.readouterr().out == ""


@pytest.mark.parametrize("bn", ["plate", "experiment"])
def test_a_training_batch_is_of_one_plate(screen, config, bn):
    store, chosen = FileStore(screen.root), config(model__bn=bn, train__batch_size=3)
    rows = site_table(screen.select("train", "treatment").sample(30, random_state=0))
    loader = train_loader(chosen, rows, store)
    order = order_of(loader)
    assert isinstance(order, GroupBatches)
    order.epoch = 1
    batches = list(loader)
    keys = ["experiment"] if bn == "experiment" else ["experiment", "plate"]
    for batch in batches:
        assert len(rows.iloc[batch["row"].numpy()][keys].drop_duplicates()) == 1
    assert sorted(int(row) for batch in batches for row in batch["row"]) == list(range(60))


@pytest.mark.parametrize("bn", ["running", "plate"])
def test_sites_without_a_label_sit_out(screen, config, bn):
    rows = site_table(wells_of(screen, 8))
    rows.loc[rows.index[:6], "label"] = -1
    loader = train_loader(config(model__bn=bn, train__batch_size=4), rows, FileStore(screen.root))
    assert isinstance(order_of(loader), GroupBatches if bn == "plate" else EpochSampler)
    seen = [int(row) for batch in loader for row in batch["row"]]
    assert not set(seen) & set(range(6)) and len(seen) >= 8
    order_of(loader).rows = np.arange(16)  # as progressive pseudo-labels do
    assert len([int(row) for batch in loader for row in batch["row"]]) > len(seen)


@pytest.mark.parametrize("unit", ["plate", "experiment"])
def test_ranks_share_whole_plates(screen, config, ranks, unit):
    store, chosen = FileStore(screen.root), config(train__valid_batch_size=3)
    wells = screen.select("train", "treatment").iloc[[0, 3, 9, 30, 31]]
    rows = add_plate_context(store, screen, site_table(wells), unit, chosen)
    seen = []
    for rank in (0, 1):
        ranks(rank, 2)
        batches = [batch["row"].numpy() for batch in valid_loader(chosen, rows, store, unit)]
        keys = ["experiment"] if unit == "experiment" else ["experiment", "plate"]
        assert all(len(rows.iloc[batch][keys].drop_duplicates()) == 1 for batch in batches)
        seen.append(np.concatenate(batches))
    places = [set(map(tuple, rows.iloc[own][keys].to_numpy().tolist())) for own in seen]
    assert places[0] and places[1] and not places[0] & places[1]
    assert sorted(np.concatenate(seen)) == list(range(len(rows)))
    ranks(0, 9)
    with pytest.raises(
        UserError, match=rf"validation has \d {unit}s, too few for 9 processes, which need at least 1 each"
    ):
        valid_loader(chosen, rows, store, unit)


def test_plates_of_one_site_make_no_batch(screen, config):
    wells = screen.select("train", "treatment").drop_duplicates(["experiment", "plate"]).head(3)
    with pytest.raises(UserError, match=r"3 training sites are too few for batches from a single plate"):
        train_loader(config(model__bn="plate", data__sites=[1]), site_table(wells, (1,)), FileStore(screen.root))
    others = pd.concat([site_table(wells, (1,)), site_table(wells_of(screen, 9), (2,)).assign(label=-1)])
    with pytest.raises(UserError, match=r"^3 training sites are too few"):  # those without a label do not count
        train_loader(config(model__bn="plate"), others.reset_index(drop=True), FileStore(screen.root))
