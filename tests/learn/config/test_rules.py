import re
from pathlib import Path

import pytest

from rcic.errors import UserError
from rcic.learn.config.rules import check, rules
from rcic.learn.config.settings import Config
from rcic.schema.convert import flat, from_plain, to_plain
from tests.learn.tiny import tiny_config

FIXED = {"data__norm": "fixed", "data__norm_means": [20] * 5, "data__norm_stds": [9] * 5}


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("model__name", "../tiny", "model.name is '../tiny', must be a name, not a path"),
        ("model__dropout", 1.0, "must lie in"),
        ("init__stage", "full", "init.stage is 'full', must be an earlier stage"),
        ("data__channels", [], "must be numbers from 1 on, each once, at least one"),
        ("data__channels", [1, 1], "each once"),
        ("data__channels", [1, 0], "data.channels is [1, 0], must be numbers from 1 on, each once"),
        ("data__sites", [1, 1], "data.sites is [1, 1], must be numbers from 0 on, each once"),
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
        ("model__name", "tiny@RPE", "model.name is 'tiny@RPE', must be a name, not a path, without @ and +"),
        ("model__width", 1, "model.width is 1, must be at least 2"),
        ("model__bn_momentum", 0, "model.bn_momentum"),
        ("model__metadata", ["cell_type", "cell_type"], "model.metadata"),
        ("model__metadata_width", 0, "model.metadata_width"),
        ("model__metadata_dropout", 1.1, "model.metadata_dropout"),
        ("loss__ce", 0, "loss.ce is 0.0, must be at least 0, and above 0 without loss.margin"),
        ("loss__margin_weight", 0, "loss.margin_weight"),
        ("loss__scale", 0, "loss.scale"),
        ("loss__angle", 1.6, "loss.angle"),
        ("data__cell_types", ["RPE", "RPE"], "data.cell_types"),
        ("data__cell_types", ["../RPE"], "data.cell_types is ['../RPE'], must be names, without /, @ and +"),
        ("data__cell_types", ["A+B"], "must be names, without"),
        ("data__cell_types", [""], "must be names, without"),
        ("model__name", "", "model.name is '', must be a name"),
        ("model__name", ".hidden", "must be a name"),
        ("model__name", "x" * 101, "must be a name"),
        ("train__swa_epochs", 2, "train.swa_epochs is 2, must lie in 0..all epochs"),
        ("log__every", 0, "log.every is 0, must be at least 1"),
        ("augment__crop_start", 32, "augment.crop_start is 32, must be at least 16 and at most augment.crop"),
        ("augment__scale_crop", 1.5, "augment.scale_crop"),
        ("augment__gain", -0.1, "augment.gain"),
        ("augment__bias", -0.1, "augment.bias"),
        ("augment__erase", 1.1, "augment.erase"),
        ("augment__cutmix", 1.1, "augment.cutmix"),
        ("augment__mixup", -0.1, "augment.mixup"),
        ("augment__mix_alpha", 0, "augment.mix_alpha"),
        ("augment__mix_from", 1.0, "augment.mix_from is 1.0, must lie in [0, 1)"),
        ("augment__shear_p", 1.1, "augment.shear_p is 1.1, must lie in [0, 1]"),
        ("augment__scale_p", -0.1, "augment.scale_p is -0.1, must lie in [0, 1]"),
        ("augment__rotate", 181, "augment.rotate is 181.0, must lie in [0, 180] degrees"),
        ("augment__rotate_p", 2, "augment.rotate_p"),
        ("augment__warp", 0.6, "augment.warp is 0.6, must lie in [0, 0.5]"),
        ("augment__warp_p", 2, "augment.warp_p"),
        ("augment__lighting", 1.0, "augment.lighting is 1.0, must lie in [0, 1)"),
        ("augment__lighting_p", -1, "augment.lighting_p"),
        ("augment__colour_gain", 1.5, "augment.colour_gain"),
        ("augment__colour_bias", -0.1, "augment.colour_bias"),
        ("augment__colour_channels", [1, 1], "augment.colour_channels is [1, 1], must be numbers from 1 on"),
        ("augment__colour_channels", [1], "augment.colour_channels is [1], must be [] without augment"),
        ("augment__erase_area", [0.3, 0.2], "augment.erase_area is [0.3, 0.2], must be [low, high]"),
        ("augment__erase_area", [0.3, 1.0], "with 0 < low <= high < 1"),
        ("augment__scale_crop_norm", "after", "augment.scale_crop_norm is 'after', must be before without"),
        ("augment__scale_crop_sampling", "nearest", "augment.scale_crop_sampling is 'nearest', must be bilinear"),
        ("data__norm", "fixed", "data.norm_means is [], must have one number for each channel of the screen"),
        ("data__norm_means", [3.0], "data.norm_means is [3.0], must have one number for each channel of the"),
        ("data__norm_stds", [3.0], "data.norm_stds is [3.0], must have one number"),
        ("optim__trunk_rate", 0, "optim.trunk_rate"),
        ("optim__stem_rate", 0, "optim.stem_rate"),
        ("schedule__steps", [0.8, 0.5], "schedule.steps"),
        ("schedule__steps", [1.0], "schedule.steps"),
        ("train__ema", 1.0, "train.ema"),
        ("train__swa_epochs", -1, "train.swa_epochs"),
        ("progressive__start", 2, "progressive.start is 2, must lie in 0..all epochs"),
        ("progressive__first", 0, "progressive.first"),
        ("progressive__last", 1.1, "progressive.last"),
        ("predict__tta", ["identity", "crops"], "predict.tta is ['identity', 'crops'], crops needs augment.crop"),
        ("predict__tta", [], "predict.tta is [], must begin with identity"),
        ("predict__tta", ["hflip"], "predict.tta is ['hflip'], must begin with identity"),
        ("predict__tta", ["hflip", "identity"], "must begin with identity (whose logits by site are kept)"),
        ("predict__tta", ["identity", "hflip", "hflip"], "and name each view once"),
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


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"data__stack_sites": True, "data__sites": [1]},
            "data.stack_sites is True, true needs at least two data.sites",
        ),
        ({"augment__cutmix": 0.6, "augment__mixup": 0.5}, "augment.mixup is 0.5, must be at least 0 and, with augment"),
        ({"augment__crop": 32, "augment__crop_start": 48}, "augment.crop_start is 48, must be at least 16 and at most"),
        ({"augment__crop": 64, "data__size": 48}, "augment.crop is 64, must be at most data.size"),
        (
            {"train__precision": "fp16", "train__device": "cpu"},
            "train.precision is 'fp16', must be bf16 or fp32 on a CPU",
        ),
        (
            {"schedule__epochs": 10, "schedule__warmup_epochs": 5, "schedule__steps": [0.4, 0.8]},
            "schedule.steps is [0.4, 0.8], must come after schedule.warmup_epochs",
        ),
        (
            {"train__ema": 0.9, "train__swa_epochs": 1},
            "train.swa_epochs is 1, must lie in 0..all epochs, and be 0 with",
        ),
        ({"progressive__first": 0.8, "progressive__last": 0.5}, "progressive.first is 0.8, must lie in (0, prog"),
        ({"stage": "control", "progressive__start": 1}, "progressive.start is 1, must be 0 in stage control"),
        (
            {"stage": "pseudo", "progressive__start": 1},
            "progressive.start is 1, must be 0 in stage pseudo, whose labels",
        ),
        (
            {"data__sites_per_epoch": "one", "data__stack_sites": True},
            "data.sites_per_epoch is 'one', must be all with data.stack_sites",
        ),
        (
            {"augment__d4": False, "augment__d4_draw": "flips"},
            "augment.d4_draw is 'flips', must be uniform without augment.d4",
        ),
        (
            {"data__norm": "plate", "data__norm_of": "image"},
            "data.norm_of is 'image', must be view unless data.norm is image",
        ),
        ({**FIXED, "data__norm_stds": [1, 1, 0, 1, 1]}, "data.norm_stds is [1.0, 1.0, 0.0, 1.0, 1.0], must be above 0"),
        (
            {**FIXED, "data__norm_means": [300] * 5},
            "data.norm_means is [300.0, 300.0, 300.0, 300.0, 300.0], must lie in [0, 255]",
        ),
        ({**FIXED, "data__norm_means": [3] * 4}, "data.norm_means is [3.0, 3.0, 3.0, 3.0], must have one number"),
        ({**FIXED, "data__norm_means": [3] * 6}, "data.norm_stds is [9.0, 9.0, 9.0, 9.0, 9.0], must have as many"),
        ({"model__stem": "repeat"}, "model.stem is 'repeat', repeat needs a multiple of three channels"),
        (
            {"model__metadata": ["cell_type"], "model__head": "linear_bn", "model__bn": "plate"},
            "model.metadata is ['cell_type'], must be empty with model.head linear_bn",
        ),
    ],
)
def test_values_that_do_not_go_together_are_refused(settings, message):
    with pytest.raises(UserError) as error:
        tiny_config(Path("csv"), **settings)
    assert str(error.value).startswith(f"test: {message}") and "\n" not in str(error.value)


@pytest.mark.parametrize("mixing", [{"augment__cutmix": 0.5}, {"augment__mixup": 0.5}])
@pytest.mark.parametrize("margin", ["arcface", "cosface", "adacos"])
def test_a_margin_refuses_mixed_labels_unless_told_how(margin, mixing):
    with pytest.raises(UserError, match=r"loss.mixed is 'refuse', must be larger, weighted or soft with a margin loss"):
        tiny_config(Path("csv"), loss__margin=margin, **mixing)
    for how in ("larger", "weighted", "soft"):
        assert tiny_config(Path("csv"), loss__margin=margin, loss__mixed=how, **mixing).loss.mixed == how
    assert tiny_config(Path("csv"), loss__margin=margin).loss.mixed == "refuse"
    assert tiny_config(Path("csv"), **mixing).loss.margin == "none"


def test_a_cell_types_own_model_starts_from_the_same_stage():
    own = tiny_config(Path("csv"), init__stage="full", data__cell_types=["HUVEC"])
    assert own.init.stage == "full"
    with pytest.raises(UserError, match=r"init.stage is 'full', must be an earlier stage or none"):
        tiny_config(Path("csv"), stage="control", init__stage="full", data__cell_types=["HUVEC"])


def test_every_rule_is_of_a_key_and_says_what_it_must_be():
    told = rules(Config())
    assert {key for key, _, _ in told} <= set(flat(to_plain(Config())))
    assert all(re.match("must |(repeat|true|crops) needs ", words) and holds for _, words, holds in told)


def test_a_rule_names_the_place_of_its_key_or_says_that_it_is_the_default():
    config = from_plain(Config, {"schedule": {"epochs": 3}}, "f.yml")
    with pytest.raises(UserError, match=r"^f\.yml: schedule\.warmup_epochs is 5 by default, must be at least 0 and"):
        check(config, "f.yml", {"schedule.epochs": "f.yml, line 2"})
    with pytest.raises(UserError, match=r"^--set a: schedule\.warmup_epochs is 5, must be at least 0 and below"):
        check(config, "f.yml", {"schedule.warmup_epochs": "--set a"})


LAYERS = {"model__head": "layers"}
STEPS = {"schedule__epochs": 10, "schedule__steps": [0.5]}
MARGIN = {"loss__margin": "cosface"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model__stem_scale": "none", "model__stem": "random"}, "model.stem_scale is 'none', must be kept with"),
        ({"model__trunk_end": "no_bn"}, "model.trunk_end is 'no_bn', must be whole except for DenseNets"),
        (LAYERS, "model.layers is [], must be given with, and only with, model.head layers"),
        ({"model__layers": ["bn"]}, "model.layers is ['bn'], must be given with, and only with"),
        ({**LAYERS, "model__layers": ["fc"]}, "model.layers is ['fc'], must be bn, relu, metadata,"),
        ({**LAYERS, "model__layers": ["bn", "drop 1.5"]}, "model.layers is ['bn', 'drop 1.5'], must be bn, relu,"),
        ({**LAYERS, "model__layers": ["metadata", "bn"]}, "model.layers is ['metadata', 'bn'], must not name metadata"),
        (
            {**LAYERS, "model__layers": ["fc 8", "metadata"], "model__metadata": ["cell_type"]},
            "model.layers is ['fc 8', 'metadata'], must name metadata at most once, before each fc",
        ),
        (
            {**LAYERS, "model__layers": ["metadata", "bn", "fc 8"], "model__metadata": ["cell_type"]}
            | {"predict__bn": "plate"},
            "model.metadata is ['cell_type'], must be empty with model.head linear_bn and BatchNorm by plate or",
        ),
        ({"model__embedding": "fc"}, "model.embedding is 'fc', must be output for a head without a linear layer"),
        ({"model__embedding": "fc", **LAYERS, "model__layers": ["bn"]}, "model.embedding is 'fc', must be output"),
        ({"loss__form": "binary"}, "loss.label_smoothing is 0.1, must be 0 with loss.form binary"),
        (
            {"loss__form": "binary", "loss__label_smoothing": 0, "loss__ce": 0, **MARGIN},
            "loss.form is 'binary', must be softmax with loss.ce 0",
        ),
        ({"loss__cosine_ce": 0.5}, "loss.cosine_ce is 0.5, must be at least 0, and 0 without loss.margin"),
        ({"loss__cosine_ce": -0.5, **MARGIN}, "loss.cosine_ce is -0.5, must be at least 0"),
        ({"optim__beta2": 1.0}, "optim.beta2 is 1.0, must lie in [0, 1)"),
        ({**STEPS, "schedule__curve": "linear"}, "schedule.curve is 'linear', must be cosine with schedule.steps"),
        ({"schedule__start_lr": 0.0}, "schedule.start_lr is 0.0, must be above 0 and at most schedule.max_lr"),
        ({"schedule__start_lr": 0.1}, "schedule.start_lr is 0.1, must be above 0 and at most schedule.max_lr"),
        ({"schedule__start_momentum": 1.0}, "schedule.start_momentum is 1.0, must lie in [0, 1), or be null"),
        ({**STEPS, "schedule__start_momentum": 0.9}, "schedule.start_momentum is 0.9, must be null with steps or"),
        ({"schedule__restarts": [2, 2], "schedule__restart_lrs": [1, 1]}, "schedule.restarts is [2, 2], must be asc"),
        ({"schedule__restarts": [0], "schedule__restart_lrs": [1]}, "schedule.restarts is [0], must be ascending"),
        ({**STEPS, "schedule__restarts": [5]}, "schedule.restarts is [5], must be [] with schedule.steps"),
        ({"schedule__restarts": [5]}, "schedule.restart_lrs is [], must be as many as schedule.restarts"),
        ({"schedule__restarts": [5], "schedule__restart_lrs": [0]}, "schedule.restart_lrs is [0.0], must be above 0"),
        ({"schedule__planned_epochs": 0}, "schedule.planned_epochs is 0, must be at least schedule.epochs, or null"),
        ({**STEPS, "schedule__planned_epochs": 12}, "schedule.planned_epochs is 12, must be null with steps or curve"),
        ({"predict__bn": "plate", "model__bn": "plate"}, "predict.bn is 'plate', must be trained with model.bn plate"),
    ],
)
def test_keys_for_the_recipes_refuse_what_cannot_be(settings, message):
    with pytest.raises(UserError) as error:
        tiny_config(Path("csv"), **settings)
    assert str(error.value).startswith(f"test: {message}") and "\n" not in str(error.value)


def test_predictions_may_need_whole_plates_where_training_does_not():
    own = tiny_config(Path("csv"), predict__bn="experiment")
    assert (own.statistics_unit, own.prediction_bn, own.prediction_unit) == (None, "experiment", "experiment")
    trained = tiny_config(Path("csv"), model__bn="plate")
    assert (trained.statistics_unit, trained.prediction_bn, trained.prediction_unit) == ("plate", "plate", "plate")
    by_pixels = tiny_config(Path("csv"), predict__bn="plate", data__norm="experiment")
    assert (by_pixels.prediction_bn, by_pixels.prediction_unit) == ("plate", "experiment")
