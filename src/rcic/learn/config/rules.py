"""Rules on the values of a config, checked before any file is opened."""

from typing import TYPE_CHECKING

from rcic.errors import UserError, brief
from rcic.learn.config.head_layers import cancels_metadata, head_layers, parse_layer, tap
from rcic.schema.convert import Places, flat, place_of, to_plain
from rcic.screen.plate import is_folder_name

if TYPE_CHECKING:
    from rcic.learn.config.settings import Augment, Config, Data, Loss, Model, Optim, Progressive, Schedule

ConfigRule = tuple[str, str, bool]  # key, requirement, whether it holds

VIEWS = "must begin with identity (whose logits by site are kept) and name each view once"
STAGES = ("control", "full", "pseudo")  # each can start the later ones


def check(config: "Config", source: str, places: Places | None = None) -> None:
    """Raise the UserError of the first rule that ``config`` breaks.

    It begins with the key's place, or with ``source`` where the key has its default or ``places`` is not given.
    """
    for key, wanted, holds in rules(config):
        if not holds:
            value = flat(to_plain(config))[key]
            by_default = " by default" if places is not None and key not in places else ""
            raise UserError(f"{place_of(key, source, places)}: {key} is {brief(value)}{by_default}, {wanted}")


def rules(config: "Config") -> list[ConfigRule]:
    """Return every rule on the values of a config; a key may have several."""
    return [
        *_init(config),
        *_together(config),
        *_model(config.model),
        *_loss(config.loss),
        *_data(config.data),
        *_norm(config.data),
        *_augment(config),
        *_geometry(config.augment),
        *_tone(config.augment),
        *_mixing(config),
        *_optim(config.optim),
        *_schedule(config.schedule),
        *_train(config),
        ("log.every", "must be at least 1", config.log.every >= 1),
        *_progressive(config),
    ]


def _init(config: "Config") -> list[ConfigRule]:
    """Rule on the stage to start from."""
    earlier = STAGES[: STAGES.index(config.stage)]
    same = (config.stage,) if config.data.cell_types else ()  # a cell type's model starts from the common one
    wanted = "must be an earlier stage or none (or, with data.cell_types, the same stage)"
    return [("init.stage", wanted, config.init.stage in ("none", *earlier, *same))]


def _together(config: "Config") -> list[ConfigRule]:
    """Rules on keys of different sections."""
    model, crops = config.model, "crops" in config.predict.tta
    by_unit = config.prediction_bn != "running"
    cancelled = by_unit and model.metadata and model.head != "neck" and cancels_metadata(head_layers(model))
    tiled = model.stem != "repeat" or len(config.data.channels) % 3 == 0
    return [
        ("model.stem", "repeat needs a multiple of three channels: whole sets of RGB filters", tiled),
        (
            "model.metadata",
            "must be empty with model.head linear_bn and BatchNorm by plate or experiment, which cancel it (as does "
            "any BN behind metadata without a relu between); use neck",
            not cancelled,
        ),
        (
            "predict.bn",
            "must be trained with model.bn plate or experiment",
            model.bn == "running" or config.predict.bn == "trained",
        ),
        ("predict.tta", VIEWS, are_views(config.predict.tta)),
        ("predict.tta", "crops needs augment.crop", not crops or config.augment.crop is not None),
    ]


def _model(model: "Model") -> list[ConfigRule]:
    momentum = model.bn_momentum
    scaled = model.stem_scale == "kept" or model.stem in ("copy", "mean")
    cut = model.trunk_end == "whole" or model.name.startswith("densenet")
    return [
        *_head(model),
        ("model.stem_scale", "must be kept with model.stem repeat or random, which are not scaled", scaled),
        ("model.trunk_end", "must be whole except for DenseNets", cut),
        ("model.name", "must be a name, not a path, without @ and +", _is_name(model.name)),
        ("model.dropout", "must lie in [0, 1)", 0 <= model.dropout < 1),
        ("model.width", "must be at least 2", model.width >= 2),
        ("model.bn_momentum", "must lie in (0, 1], or be null", momentum is None or 0 < momentum <= 1),
        ("model.metadata", "must name each kind once", len(set(model.metadata)) == len(model.metadata)),
        ("model.metadata_width", "must be at least 1", model.metadata_width >= 1),
        ("model.metadata_dropout", "must lie in [0, 1]", 0 <= model.metadata_dropout <= 1),
    ]


def _head(model: "Model") -> list[ConfigRule]:
    """Rules on the layers of the head."""
    layers = [parse_layer(text) for text in model.layers]
    kinds = [layer.kind for layer in layers if layer is not None]
    late = "metadata" in kinds and "fc" in kinds[: kinds.index("metadata")]
    from_fc = model.embedding == "output" or tap(head_layers(model), "fc") > 0
    return [
        (
            "model.layers",
            'must be bn, relu, metadata, "drop P" (P below 1), "fc N" or "fc N no_bias"',
            None not in layers,
        ),
        (
            "model.layers",
            "must be given with, and only with, model.head layers",
            bool(layers) == (model.head == "layers"),
        ),
        ("model.layers", "must name metadata at most once, before each fc", kinds.count("metadata") < 2 and not late),
        (
            "model.layers",
            "must not name metadata without model.metadata",
            "metadata" not in kinds or bool(model.metadata),
        ),
        ("model.embedding", "must be output for a head without a linear layer (fc)", from_fc),
    ]


def _loss(loss: "Loss") -> list[ConfigRule]:
    return [
        (
            "loss.label_smoothing",
            "must be 0 with loss.form binary",
            loss.form == "softmax" or loss.label_smoothing == 0,
        ),
        (
            "loss.form",
            "must be softmax with loss.ce 0, which leaves cross entropy out",
            loss.form == "softmax" or loss.ce > 0,
        ),
        (
            "loss.cosine_ce",
            "must be at least 0, and 0 without loss.margin",
            loss.cosine_ce == 0 or (loss.cosine_ce > 0 and loss.margin != "none"),
        ),
        ("loss.ce", "must be at least 0, and above 0 without loss.margin", loss.ce > 0 or _is_margin_only(loss)),
        ("loss.label_smoothing", "must lie in [0, 1)", 0 <= loss.label_smoothing < 1),
        ("loss.margin_weight", "must be above 0", loss.margin_weight > 0),
        ("loss.scale", "must be above 0", loss.scale > 0),
        ("loss.angle", "must lie in [0, 1.5]", 0 <= loss.angle <= 1.5),
    ]


def _is_margin_only(loss: "Loss") -> bool:
    return loss.ce == 0 and loss.margin != "none"


def _data(data: "Data") -> list[ConfigRule]:
    return [
        (
            "data.channels",
            "must be numbers from 1 on, each once, at least one",
            bool(data.channels) and _are_numbers(data.channels),
        ),
        ("data.sites", "must be numbers from 0 on, each once", _are_numbers(data.sites, first=0)),
        (
            "data.sites_per_epoch",
            "must be all with data.stack_sites, whose samples are whole wells",
            data.sites_per_epoch == "all" or not data.stack_sites,
        ),
        ("data.stack_sites", "true needs at least two data.sites", not data.stack_sites or len(data.sites) != 1),
        ("data.fold", "must be at least 0", data.fold >= 0),
        ("data.cell_types", "must name each once", len(set(data.cell_types)) == len(data.cell_types)),
        ("data.cell_types", "must be names, without /, @ and +", all(map(_is_name, data.cell_types))),
        ("data.size", "must be at least 16, or null", data.size is None or data.size >= 16),
        ("data.workers", "must be at least 0", data.workers >= 0),
    ]


def _norm(data: "Data") -> list[ConfigRule]:
    fixed, n_least = data.norm == "fixed", max(data.channels, default=0)
    wanted = "must have one number for each channel of the screen with data.norm fixed, and none without"

    def fits(constants: tuple[float, ...]) -> bool:
        return len(constants) >= n_least if fixed else not constants

    return [
        ("data.norm_means", wanted, fits(data.norm_means)),
        ("data.norm_means", "must lie in [0, 255]", all(0 <= mean <= 255 for mean in data.norm_means)),
        ("data.norm_stds", wanted, fits(data.norm_stds)),
        ("data.norm_stds", "must be above 0", all(std > 0 for std in data.norm_stds)),
        ("data.norm_stds", "must have as many numbers as data.norm_means", len(data.norm_stds) == len(data.norm_means)),
        ("data.norm_of", "must be view unless data.norm is image", data.norm_of == "view" or data.norm == "image"),
    ]


def _augment(config: "Config") -> list[ConfigRule]:
    augment, size = config.augment, config.data.size
    start, crop = augment.crop_start, augment.crop
    grows = start is None or (crop is not None and 16 <= start <= crop)
    return [
        ("augment.crop", "must be at least 16, or null", crop is None or crop >= 16),
        ("augment.crop", "must be at most data.size", crop is None or size is None or crop <= size),
        ("augment.crop_start", "must be at least 16 and at most augment.crop, or null", grows),
        ("augment.scale_crop", "must be 0 (off) or lie in (0, 1]", 0 <= augment.scale_crop <= 1),
        *_squares(augment),
        ("augment.gain", "must be at least 0", augment.gain >= 0),
        ("augment.bias", "must be at least 0", augment.bias >= 0),
        ("augment.erase", "must lie in [0, 1]", 0 <= augment.erase <= 1),
        ("augment.erase_area", "must be [low, high] with 0 < low <= high < 1", _is_range(augment.erase_area, 1)),
        ("augment.channel_dropout", "must lie in [0, 1]", 0 <= augment.channel_dropout <= 1),
    ]


def _squares(augment: "Augment") -> list[ConfigRule]:
    used = augment.scale_crop > 0
    before, bilinear = augment.scale_crop_norm == "before", augment.scale_crop_sampling == "bilinear"
    return [
        ("augment.scale_crop_norm", "must be before without augment.scale_crop", used or before),
        ("augment.scale_crop_sampling", "must be bilinear without augment.scale_crop", used or bilinear),
    ]


def _geometry(augment: "Augment") -> list[ConfigRule]:
    chances = {name: getattr(augment, name) for name in ("shear_p", "scale_p", "rotate_p", "warp_p")}
    return [
        ("augment.d4_draw", "must be uniform without augment.d4", augment.d4 or augment.d4_draw == "uniform"),
        ("augment.shear", "must lie in [0, 45] degrees", 0 <= augment.shear <= 45),
        ("augment.scale", "must be [low, high] with 0 < low <= high", _is_range(augment.scale)),
        ("augment.rotate", "must lie in [0, 180] degrees", 0 <= augment.rotate <= 180),
        ("augment.warp", "must lie in [0, 0.5]", 0 <= augment.warp <= 0.5),
        *((f"augment.{name}", "must lie in [0, 1]", 0 <= chance <= 1) for name, chance in chances.items()),
    ]


def _tone(augment: "Augment") -> list[ConfigRule]:
    channels, used = augment.colour_channels, augment.colour_gain + augment.colour_bias > 0
    return [
        ("augment.lighting", "must lie in [0, 1)", 0 <= augment.lighting < 1),
        ("augment.lighting_p", "must lie in [0, 1]", 0 <= augment.lighting_p <= 1),
        ("augment.colour_gain", "must lie in [0, 1]", 0 <= augment.colour_gain <= 1),
        ("augment.colour_bias", "must lie in [0, 1]", 0 <= augment.colour_bias <= 1),
        ("augment.colour_channels", "must be numbers from 1 on, each once", _are_numbers(channels)),
        (
            "augment.colour_channels",
            "must be [] without augment.colour_gain and augment.colour_bias",
            used or not channels,
        ),
    ]


def _mixing(config: "Config") -> list[ConfigRule]:
    augment, loss = config.augment, config.loss
    mixup = augment.mixup
    compatible = loss.margin == "none" or loss.mixed != "refuse" or augment.cutmix + mixup == 0
    needs_mixed = "must be larger, weighted or soft with a margin loss and CutMix or mixup (two labels a sample)"
    return [
        ("augment.cutmix", "must lie in [0, 1]", 0 <= augment.cutmix <= 1),
        ("augment.mixup", "must be at least 0 and, with augment.cutmix, at most 1", 0 <= mixup <= 1 - augment.cutmix),
        ("augment.mix_alpha", "must be above 0", augment.mix_alpha > 0),
        ("augment.mix_from", "must lie in [0, 1)", 0 <= augment.mix_from < 1),
        ("loss.mixed", needs_mixed, compatible),
    ]


def _optim(optim: "Optim") -> list[ConfigRule]:
    return [
        ("optim.beta2", "must lie in [0, 1)", 0 <= optim.beta2 < 1),
        ("optim.weight_decay", "must be at least 0", optim.weight_decay >= 0),
        ("optim.clip", "must be above 0, or null", optim.clip is None or optim.clip > 0),
        ("optim.trunk_rate", "must be above 0", optim.trunk_rate > 0),
        ("optim.stem_rate", "must be above 0", optim.stem_rate > 0),
    ]


def _schedule(schedule: "Schedule") -> list[ConfigRule]:
    any_epoch = schedule.epochs + schedule.frozen_epochs > 0
    first = min(schedule.epochs, *schedule.restarts) if schedule.restarts else schedule.epochs
    warm = schedule.epochs == 0 or 0 <= schedule.warmup_epochs < first
    momentum = all(0 <= value < 1 for value in schedule.momentum)
    steps = list(schedule.steps) == sorted(schedule.steps) and all(0 < share < 1 for share in schedule.steps)
    late = not schedule.steps or schedule.epochs == 0 or schedule.steps[0] * schedule.epochs >= schedule.warmup_epochs
    return [
        *_curve(schedule),
        *_restarts(schedule),
        ("schedule.frozen_epochs", "must be at least 0", schedule.frozen_epochs >= 0),
        (
            "schedule.epochs",
            "must be at least 0, and at least 1 without frozen_epochs",
            schedule.epochs >= 0 and any_epoch,
        ),
        ("schedule.warmup_epochs", "must be at least 0 and below schedule.epochs and restarts", warm),
        ("schedule.frozen_lr", "must be above 0", schedule.frozen_lr > 0),
        ("schedule.max_lr", "must be above 0", schedule.max_lr > 0),
        ("schedule.min_lr", "must be at least 0 and at most schedule.max_lr", 0 <= schedule.min_lr <= schedule.max_lr),
        ("schedule.momentum", "must lie in [0, 1)", momentum),
        ("schedule.steps", "must be ascending shares of the cycle between 0 and 1", steps),
        ("schedule.steps", "must come after schedule.warmup_epochs", not steps or late),
    ]


def _curve(schedule: "Schedule") -> list[ConfigRule]:
    """Rules on the form of the cycle and its beginning."""
    start, momentum = schedule.start_lr, schedule.start_momentum
    flat = schedule.curve == "constant" or bool(schedule.steps)
    return [
        ("schedule.curve", "must be cosine with schedule.steps", schedule.curve == "cosine" or not schedule.steps),
        (
            "schedule.start_lr",
            "must be above 0 and at most schedule.max_lr, or null",
            _is_start(start, schedule.max_lr),
        ),
        ("schedule.start_momentum", "must lie in [0, 1), or be null", momentum is None or 0 <= momentum < 1),
        ("schedule.start_momentum", "must be null with steps or curve constant", momentum is None or not flat),
    ]


def _is_start(start: float | None, max_lr: float) -> bool:
    return start is None or 0 < start <= max_lr


def _restarts(schedule: "Schedule") -> list[ConfigRule]:
    """Rules on further cycles and the length of the last."""
    at, rates, planned = schedule.restarts, schedule.restart_lrs, schedule.planned_epochs
    inside = list(at) == sorted(set(at)) and min(at, default=1) > 0
    falls = planned is None or (schedule.curve != "constant" and not schedule.steps)
    return [
        ("schedule.restarts", "must be ascending numbers of epochs above 0", inside),
        ("schedule.restarts", "must be [] with schedule.steps", not at or not schedule.steps),
        ("schedule.restart_lrs", "must be as many as schedule.restarts", len(rates) == len(at)),
        (
            "schedule.restart_lrs",
            "must be above 0 and at least schedule.min_lr",
            all(rate > 0 and rate >= schedule.min_lr for rate in rates),
        ),
        (
            "schedule.planned_epochs",
            "must be at least schedule.epochs, or null",
            planned is None or planned >= schedule.epochs,
        ),
        ("schedule.planned_epochs", "must be null with steps or curve constant", falls),
    ]


def _train(config: "Config") -> list[ConfigRule]:
    train, n_epochs = config.train, config.n_epochs
    swa = train.swa_epochs == 0 or (0 < train.swa_epochs <= n_epochs and train.ema == 0)
    return [
        ("train.batch_size", "must be at least 2 (BatchNorm)", train.batch_size >= 2),
        ("train.accumulate", "must be at least 1", train.accumulate >= 1),
        ("train.valid_batch_size", "must be at least 1", train.valid_batch_size >= 1),
        ("train.validate_every", "must be at least 1", train.validate_every >= 1),
        ("train.seed", "must lie in 0..2147483647", 0 <= train.seed < 2**31),
        ("train.ema", "must lie in [0, 1)", 0 <= train.ema < 1),
        ("train.precision", "must be bf16 or fp32 on a CPU", (train.precision, train.device) != ("fp16", "cpu")),
        ("train.swa_epochs", "must lie in 0..all epochs, and be 0 with train.ema", swa),
    ]


def _progressive(config: "Config") -> list[ConfigRule]:
    progressive: Progressive = config.progressive
    never = progressive.start == 0
    once = "must be 0 in stage pseudo, whose labels are chosen once"
    return [
        ("progressive.start", "must lie in 0..all epochs", 0 <= progressive.start <= config.n_epochs),
        ("progressive.start", "must be 0 in stage control", never or config.stage != "control"),
        ("progressive.start", once, never or config.stage != "pseudo"),
        ("progressive.first", "must lie in (0, progressive.last]", 0 < progressive.first <= progressive.last),
        ("progressive.last", "must lie in (0, 1]", 0 < progressive.last <= 1),
    ]


def are_views(names: tuple[str, ...]) -> bool:
    """Return whether predictions can be averaged over these views: identity first, each view once."""
    return names[:1] == ("identity",) and len(set(names)) == len(names)


def _is_name(name: str) -> bool:
    """Return whether a name can be part of a run folder's name, ``MODEL@HUVEC+RPE``."""
    return is_folder_name(name) and not set("@+") & set(name)


def _is_range(limits: tuple[float, float], end: float = float("inf")) -> bool:
    """Return whether limits are [low, high] with 0 < low <= high < ``end``."""
    return 0 < limits[0] <= limits[1] < end


def _are_numbers(chosen: tuple[int, ...], first: int = 1) -> bool:
    return len(chosen) == len(set(chosen)) and min(chosen, default=first) >= first
