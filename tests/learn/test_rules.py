from pathlib import Path

import pytest

from rcic.errors import UserError
from tests.learn.tiny import tiny_config


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("model__name", "../tiny", "model.name is '../tiny', must be a name, not a path"),
        ("model__dropout", 1.0, "must lie in"),
        ("init__stage", "full", "init.stage is 'full', must be an earlier stage"),
        ("data__channels", [], "must be some of"),
        ("data__channels", [1, 1], "each once"),
        ("data__channels", [1, 7], "data.channels is [1, 7], must be some of [1, 2, 3, 4, 5, 6], each once"),
        ("data__sites", [3], "data.sites"),
        ("data__fold", -1, "data.fold"),
        ("data__size", 8, "data.size"),
        ("data__workers", -1, "data.workers"),
        ("augment__shear", 90, "augment.shear"),
        ("augment__scale", [2, 1], "low <= high"),
        ("augment__crop", 0, "augment.crop"),
        ("augment__channel_dropout", 1.5, "augment.channel_dropout"),
        ("optim__weight_decay", -1, "optim.weight_decay"),
        ("optim__clip", 0, "optim.clip"),
        ("schedule__frozen_epochs", -1, "schedule.frozen_epochs"),
        ("schedule__epochs", 0, "schedule.epochs"),
        ("schedule__warmup_epochs", 1, "below schedule.epochs"),
        ("schedule__frozen_lr", 0, "schedule.frozen_lr"),
        ("schedule__max_lr", 0, "schedule.max_lr"),
        ("schedule__min_lr", 1, "at most schedule.max_lr"),
        ("schedule__momentum", [0.9, 1.0], "schedule.momentum"),
        ("train__batch_size", 1, "train.batch_size"),
        ("train__accumulate", 0, "train.accumulate"),
        ("train__valid_batch_size", 0, "train.valid_batch_size"),
        ("loss__label_smoothing", 1.0, "loss.label_smoothing"),
        ("train__seed", -1, "train.seed"),
    ],
)
def test_a_value_out_of_range_is_refused(setting, value, message):
    with pytest.raises(UserError) as error:
        tiny_config(Path("csv"), **{setting: value})
    assert message in str(error.value) and str(error.value).startswith("test: ")


def test_only_earlier_stages_can_start_a_stage():
    assert tiny_config(Path("csv"), stage="pseudo", init__stage="full").init.stage == "full"
    assert tiny_config(Path("csv"), stage="full", init__stage="control").init.stage == "control"
    with pytest.raises(UserError, match=r"init.stage is 'control'"):
        tiny_config(Path("csv"), stage="control", init__stage="control")


def test_frozen_epochs_alone_are_a_schedule():
    assert tiny_config(Path("csv"), schedule__frozen_epochs=1, schedule__epochs=0).schedule.epochs == 0
