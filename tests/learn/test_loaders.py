import pytest

from rcic.errors import UserError
from rcic.learn.loaders import train_loader, usable_sites, valid_loader
from rcic.pixels.store import PngStore


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
    store, wells = PngStore(own_screen), wells_of(screen, 4)
    remove(own_screen, wells, 0, 2, 3)
    remove(own_screen, wells, 1, 1, 6)
    remove(own_screen, wells, 1, 2, 6)
    with pytest.raises(UserError, match=r"1 of 40 images are missing: .*_s2_w3.png; .*drop_incomplete"):
        usable_sites(store, wells, (1, 2), (1, 2, 3, 4, 5), drop=False)
    rows = usable_sites(store, wells, (1, 2), (1, 2, 3, 4, 5), drop=True)
    assert rows["site"].tolist() == [1, 1, 2, 1, 2, 1, 2]
    said = "channels [1, 2, 3, 4, 5]: left out 1 of 8 sites that lack a channel (0 wells have none left)\n"
    assert capsys.readouterr().out == said
    rows = usable_sites(store, wells, (1, 2), (3, 6), drop=True)
    assert rows["id_code"].nunique() == 3 and "left out 3 of 8 sites" in capsys.readouterr().out
    assert len(usable_sites(store, wells, (1, 2), (1, 2), drop=True)) == 8 and capsys.readouterr().out == ""


def test_a_small_last_batch_is_left_out_unless_it_is_the_only_one(screen, config):
    store = PngStore(screen.root)
    rows = usable_sites(store, wells_of(screen, 9), (1, 2), (1, 2, 3, 4, 5), drop=False)  # 18 sites
    sizes = {
        size: [len(b["row"]) for b in train_loader(config(train__batch_size=size), rows, store)] for size in (8, 99)
    }
    assert sizes == {8: [8, 8], 99: [18]}


def test_ranks_share_the_sites(screen, config, ranks):
    store, chosen = PngStore(screen.root), config(train__valid_batch_size=4)
    rows = usable_sites(store, wells_of(screen, 9), (1,), (1, 2, 3, 4, 5), drop=False)  # 9 sites
    seen = {"train": [], "valid": []}
    for rank in (0, 1):
        ranks(rank, 2)
        for name, make in (("train", train_loader), ("valid", valid_loader)):
            seen[name].append([int(row) for batch in make(chosen, rows, store) for row in batch["row"]])
    assert seen["valid"] == [[0, 2, 4, 6, 8], [1, 3, 5, 7]]
    assert [len(own) for own in seen["train"]] == [4, 4] and not set(seen["train"][0]) & set(seen["train"][1])


def test_too_few_sites_are_refused(screen, config, ranks):
    store = PngStore(screen.root)
    rows = usable_sites(store, wells_of(screen, 3), (1,), (1, 2, 3, 4, 5), drop=False)
    ranks(0, 4)
    with pytest.raises(UserError, match="3 training sites are too few for 4 processes"):
        train_loader(config(), rows, store)
    with pytest.raises(UserError, match="3 validation sites are too few for 4 processes"):
        valid_loader(config(), rows, store)


def test_validation_is_in_order_and_as_stored(screen, config):
    store = PngStore(screen.root)
    rows = usable_sites(store, wells_of(screen, 3), (1, 2), (6, 1), drop=False)
    (batch,) = valid_loader(config(data__channels=[6, 1]), rows, store)
    assert batch["row"].tolist() == list(range(6)) and batch["target"].tolist() == rows["label"].tolist()
    assert batch["image"].shape == (6, 2, 40, 40)


def test_a_cache_that_is_too_small_is_said(screen, config, monkeypatch, capsys):
    monkeypatch.setattr("rcic.pixels.dataset.SiteDataset.preload", lambda self: False)
    store = PngStore(screen.root)
    rows = usable_sites(store, wells_of(screen, 3), (1, 2), (1, 2, 3, 4, 5), drop=False)
    valid_loader(config(), rows, store)
    assert capsys.readouterr().out.startswith("data.cache: 6 sites do not fit in 1 GiB")
