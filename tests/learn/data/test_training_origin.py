"""What a training is made from, and what its weights must not know: other wells, swapped stains, held-out labels."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rcic.errors import UserError
from rcic.files.names import BEST
from rcic.learn.data.stage_table import stage_table
from rcic.learn.data.training_origin import check_stains, check_unlearnt, learnt_wells, training_origin
from rcic.learn.runs.checkpoint import read_checkpoint
from rcic.learn.runs.origin import Origin
from rcic.learn.runs.run_record import read_run_record
from rcic.pixels.audit.pixel_states import pixel_states
from rcic.screen.spec import Channel
from tests.tables import write_wells


def learnt_experiments(*words: Any) -> list[str]:
    """Return the experiments that weights know, of training tables that divide none."""
    known = learnt_wells(*words)
    assert list(known) == ["learnt"]
    return known["learnt"]


@pytest.fixture(scope="module")
def states(screen):
    return pixel_states(screen)


@pytest.fixture
def origin_of(screen, states, config):
    """Return a function that returns the origin of a training of these settings."""

    def made(screen=screen, states=states, **settings) -> Origin:
        chosen = config(**settings)
        return training_origin(chosen, screen, stage_table(screen, chosen), states, None)

    return made


def record_of(origin: Origin) -> dict:
    return {"made_from": origin.values}


def swapped(folds_dir: Path, folder: Path) -> Path:
    """Write the fold tables with both folds exchanged, as tables of one's own."""
    folder.mkdir()
    for part in ("train", "valid"):
        for fold in (0, 1):
            shutil.copy(folds_dir / f"{part}_{fold}.csv", folder / f"{part}_{1 - fold}.csv")
    return folder


# ---- what it is made from


def test_it_is_made_from_what_it_reads(screen, origin_of):
    values = origin_of(data__channels=[1, 3]).values
    assert set(values["images"]["channels"]) == {"1", "3"}
    assert set(values["wells"]) == set(screen.select("train")["experiment"])
    assert {name.partition("/")[0] for name in values["pixels"]} == set(values["wells"])
    control = origin_of(stage="control").values
    assert set(control["wells"]) == set(screen.wells["experiment"])
    progressive = origin_of(progressive__start=1, model__bn="plate").values
    assert set(progressive["wells"]) == set(screen.wells["experiment"])


def test_the_same_is_the_same(origin_of):
    assert origin_of().difference(record_of(origin_of())) == ""


def test_another_well_image_or_table_is_another_origin(screen, states, origin_of):
    record = record_of(origin_of())
    name = screen.select("train")["experiment"][0]
    fewer = replace(screen, wells=screen.wells.drop(index=screen.select("train", "control").index[-1]))
    plate = next(iter(states))
    others = {plate: {"files": "0" * 16, "pixels": ""}}
    said = origin_of(states=states | others).difference(record)
    assert said == f"pixels {plate} (changed since)" and plate.startswith(name)
    assert origin_of(data__fold=1).difference(record) == "tables (changed since)"
    assert fewer.identity.wells() != screen.identity.wells()
    started = Origin({**origin_of().values, "start": "0" * 64})
    assert started.difference(record_of(Origin({**origin_of().values, "start": "1" * 64}))) == "start (changed since)"
    assert started.difference(record) == f"start (None then, '{'0' * 64}' now)"


def test_pixels_and_wells_that_are_not_read_do_not_count(screen, states, origin_of):
    record = record_of(origin_of(data__channels=[1, 3]))
    test = next(plate for plate in states if plate.partition("/")[0] in set(screen.select("test")["experiment"]))
    other = states | {test: {"files": "0" * 16, "pixels": ""}}
    assert origin_of(states=other, data__channels=[1, 3]).difference(record) == ""
    channels = (*screen.spec.channels[:1], Channel(name="other", file="x"), *screen.spec.channels[2:])
    renamed = replace(screen, spec=replace(screen.spec, channels=channels))
    assert origin_of(screen=renamed, data__channels=[1, 3]).difference(record) == ""
    assert (
        origin_of(screen=renamed, data__channels=[1, 2]).difference(record_of(origin_of(data__channels=[1, 2]))) != ""
    )


def test_records_of_earlier_versions_are_compared_by_their_fingerprints(screen, origin_of):
    origin = origin_of()
    assert origin.earlier()["screen"] == screen.fingerprint()
    assert origin.difference({**origin.earlier()}) == ""
    assert origin.difference({**origin.earlier(), "audit": "x"}) == "audit (the bad images, or their treatment)"
    assert origin.difference({**origin.earlier(), "screen": "x", "tables": "y"}) == (
        "wells, classes or grey levels, tables (wells or labels)"
    )


# ---- what the weights know


def test_weights_know_the_treatments_of_their_train_wells_and_of_their_start(screen, config, folds_dir, tmp_path):
    table = stage_table(screen, config())
    known = learnt_experiments(table, screen.n_treatments, {})
    assert known == sorted(set(table.train["experiment"])) and not set(known) & set(table.valid["experiment"])
    assert learnt_experiments(table, screen.n_treatments, {"learnt": ["X"]}) == sorted([*known, "X"])
    assert learnt_experiments(stage_table(screen, config(stage="control")), screen.n_treatments, {}) == []
    assert learnt_experiments(stage_table(screen, config(stage="control")), screen.n_treatments, {"learnt": ["X"]}) == [
        "X"
    ]
    with_controls = stage_table(screen, config(data__controls="classes"))
    assert learnt_experiments(with_controls, screen.n_treatments, {}) == known
    write_wells(tmp_path / "pseudo.csv", screen.select("test", "treatment").head(5).assign(label=range(5)), screen)
    pseudo = stage_table(screen, config(stage="pseudo", data__pseudo_dir=str(tmp_path)))
    assert learnt_experiments(pseudo, screen.n_treatments, {}) == known


def test_weights_that_know_what_is_held_out_are_refused(screen, config):
    table, other = stage_table(screen, config()), stage_table(screen, config(data__fold=1))
    meta = {"learnt": learnt_experiments(table, screen.n_treatments, {})}
    check_unlearnt(meta, table, "best.pth")
    check_unlearnt({}, other, "best.pth")  # of version 0.1
    check_unlearnt(meta, stage_table(screen, config(stage="control")), "best.pth")
    first = sorted(set(other.valid["experiment"]))[0]
    with pytest.raises(
        UserError, match=rf"^best\.pth: its weights have learnt the treatments of {first}, which is held"
    ):
        check_unlearnt(meta, other, "best.pth")


def test_a_chain_whose_folds_were_exchanged_is_refused(screen, trained, folds_dir, tmp_path):
    """Stage II's fold 0 held out other experiments than stage III's does, or the checkpoint is of another fold."""
    folder = trained()
    learnt = read_checkpoint(folder / BEST).meta["learnt"]
    assert learnt == sorted(set(stage_wells(folds_dir, "train_0.csv")))
    exchanged = swapped(folds_dir, tmp_path / "exchanged")
    write_wells(tmp_path / "pseudo.csv", screen.select("test", "treatment").head(5).assign(label=range(5)), screen)
    told = r"best\.pth: its weights have learnt the treatments of \S+, which is held out now"
    pseudo = {"stage": "pseudo", "data__pseudo_dir": str(tmp_path), "init__stage": "full"}
    with pytest.raises(UserError, match=told):
        trained(**pseudo, data__folds_dir=str(exchanged))
    with pytest.raises(UserError, match=told):
        trained(data__fold=1, init__checkpoint=str(folder / BEST))
    assert not list((tmp_path / "logs" / "pseudo").rglob("*.pth"))
    last = trained(**pseudo)
    assert read_checkpoint(last / BEST).meta["learnt"] == learnt
    assert "start" in read_run_record(last)["made_from"] and "start" not in read_run_record(folder)["made_from"]


def test_a_start_that_was_trained_again_makes_what_follows_another_training(trained, tmp_path):
    first = trained(stage="control")
    second = trained(init__stage="control")
    trained(stage="control", force=True, train__seed=1)
    with pytest.raises(UserError, match=r"finished with other start \(changed since\); choose another --log_root"):
        trained(init__stage="control")
    assert (first / BEST).exists() and (second / BEST).exists()


def stage_wells(folder: Path, name: str) -> list[str]:
    return [line.split(",")[1] for line in (folder / name).read_text().splitlines()[1:]]


# ---- what the channels mean


def meta_of(screen) -> dict:
    identity = screen.identity
    made_from = {"wells": identity.wells(), "images": identity.images((1, 2))}
    return {"channels": [1, 2], "stains": identity.stains((1, 2)), "made_from": made_from}


def with_channels(screen, *channels: Channel):
    return replace(screen, spec=replace(screen.spec, channels=(*channels, *screen.spec.channels[len(channels) :])))


def test_channels_must_mean_what_they_meant(screen):
    meta, (first, second) = meta_of(screen), screen.spec.channels[:2]
    check_stains(meta, screen, "best.pth")
    check_stains({"channels": [1, 2]}, with_channels(screen, second, first), "best.pth")  # of version 0.1
    told = r"best\.pth: trained on other images than those of \S+: "
    with pytest.raises(UserError, match=told + r"channel 1 \('.*' then, '.*' now\)"):
        check_stains(meta, with_channels(screen, second, first), "best.pth")
    same_names = with_channels(screen, replace(first, file="2"), replace(second, file="1"))
    with pytest.raises(UserError, match=told + r"images channels 1 file \('1' then, '2' now\)"):
        check_stains(meta, same_names, "best.pth")
    with pytest.raises(UserError, match=told + r"images channels 2 levels \(None then"):
        check_stains(meta, with_channels(screen, first, replace(second, levels=(0.0, 9.0))), "best.pth")


def test_files_of_another_screen_may_be_named_otherwise(screen):
    """A network may answer for a new screen whose files have other names, if the stains are the same."""
    meta, (first, second) = meta_of(screen), screen.spec.channels[:2]
    wells = screen.wells.assign(experiment="new-" + screen.wells["experiment"])
    new = replace(with_channels(screen, replace(first, file="dna"), second), wells=wells)
    check_stains(meta, new, "best.pth")
    with pytest.raises(UserError, match="channel 1"):
        check_stains(meta, with_channels(new, replace(first, name="another stain")), "best.pth")


def test_a_channel_that_is_not_there(screen):
    few = replace(screen, spec=replace(screen.spec, channels=screen.spec.channels[:1]))
    for meta in (meta_of(screen), {"channels": [1, 2]}):  # the second of version 0.1
        with pytest.raises(UserError, match=r"best\.pth: trained on channel 2, but the screen \S+ has 1 channel$"):
            check_stains(meta, few, "best.pth")
