"""The sites that the plan counts are those that a training reads, by its loaders, epoch by epoch."""

import pytest

from rcic.learn.data.stage_table import stage_table
from rcic.learn.grid.epoch_sites import epoch_sites
from rcic.learn.train.runner import WellRunner
from rcic.pixels.batches.dataset import SiteDataset

PLATE = {"model__bn": "plate", "schedule__epochs": 2}
EVERY = {"progressive__min_margin": -1e9, "progressive__first": 0.5}
RECIPES = {
    "random batches": {"schedule__epochs": 2, "train__batch_size": 7},
    "stage control": {"stage": "control"},
    "BatchNorm by plate": PLATE,
    "pixels by plate": {"data__norm": "plate", "schedule__epochs": 2},
    "pixels by experiment, wells of two sites": {"data__norm": "experiment", "data__stack_sites": True},
    "one pixel norm for all": {"data__norm": "global"},
    "fixed pixel norm": {"data__norm": "fixed", "data__norm_means": [20] * 6, "data__norm_stds": [9] * 6},
    "one site a well": {"data__sites_per_epoch": "one", "schedule__epochs": 2, "train__batch_size": 7},
    "one site a well, by plate": {**PLATE, "data__sites_per_epoch": "one"},
    "one site a well, labels while training": {
        **EVERY,
        "progressive__start": 2,
        "schedule__epochs": 3,
        "data__sites_per_epoch": "one",
    },
    "controls among the classes": {"data__controls": "classes"},
    "labels while training": {**EVERY, "progressive__start": 2, "schedule__epochs": 3},
    "labels while training, by plate": {**PLATE, **EVERY, "progressive__start": 1, "data__norm": "plate"},
}


class Reads:
    """Counts the images of sites that are read: before the first epoch, and in each epoch to learn and to predict."""

    def __init__(self, patch):
        self.once, self.train, self.valid, self.kind = 0, [], [], "once"
        for owner, name, note in (
            (SiteDataset, "image", lambda *_: self.count()),
            (WellRunner, "on_epoch_start", lambda *_: self.begin()),
            (WellRunner, "on_loader_start", lambda runner, *_: setattr(self, "kind", runner.loader_key)),
        ):
            patch.setattr(owner, name, self.before(getattr(owner, name), note))

    @staticmethod
    def before(function, note):
        def called(*words, **named):
            note(*words)
            return function(*words, **named)

        return called

    def begin(self):
        """An epoch begins, with the choice of pseudo-labels."""
        self.train.append(0)
        self.valid.append(0)
        self.kind = "valid"

    def count(self):
        if self.kind == "once":
            self.once += 1
        else:
            getattr(self, self.kind)[-1] += 1


@pytest.mark.parametrize("name", RECIPES)
def test_the_plan_counts_what_is_read(name, config, screen, trained, monkeypatch):
    settings = {"data__cache": False, **RECIPES[name]}
    chosen = config(**settings)
    planned = epoch_sites(chosen, screen, stage_table(screen, chosen), None)
    reads = Reads(monkeypatch)
    trained(**settings)
    assert (planned.train, planned.valid) == (tuple(reads.train), tuple(reads.valid))
    assert planned.once == reads.once


def test_context_and_test_wells_are_many(config, screen):
    """What was left out: validation by plate reads the further wells of each plate, a choice the test plates."""
    plain, plate, choice = (
        epoch_sites(config(**settings), screen, stage_table(screen, config(**settings)), None)
        for settings in (RECIPES["random batches"], PLATE, RECIPES["labels while training, by plate"])
    )
    table = stage_table(screen, config())
    assert plain.valid == (2 * len(table.valid),) * 2 and plate.valid[0] > plain.valid[0]
    assert choice.valid[0] > plate.valid[0] and choice.train[1] > choice.train[0] > plate.train[0]
