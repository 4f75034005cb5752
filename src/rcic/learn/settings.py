"""The sections of an experiment's YAML as dataclasses: every key, its type and its default.

:mod:`rcic.learn.rules` says what values they may have, :mod:`rcic.learn.config` reads them.
"""

from dataclasses import dataclass, field
from typing import Literal

Where = Literal["cell_type", "plate_group", "experiment"]
View = Literal["identity", "hflip", "vflip", "rot180", "transpose", "rot90", "rot270", "transverse", "crops"]


@dataclass(frozen=True)
class Model:
    """Which network. ``weights_file`` (a state_dict of the 3-channel ImageNet network) replaces a download.

    ``stem``: how RGB filters become those of more channels. ``pool``: the mean of the feature map, or mean and maximum.
    ``head``: from pooled features to the embedding (nothing, BN-FC-ReLU-BN-FC-BN, or FC-BN-ReLU of ``width``).
    ``bn``: whose statistics BatchNorm uses; with ``plate`` or ``experiment`` a batch comes from one of them, too.
    ``bn_momentum``: how fast running averages follow (null: as the network has it).
    ``metadata``: what is joined to the features, one-hot or as learned vectors of ``metadata_width``;
    ``metadata_dropout`` is the chance that a training sample's is "unknown", which is what a new experiment's is.
    """

    name: str = "se_resnext50_32x4d"
    pretrained: Literal["imagenet", "none"] = "imagenet"
    weights_file: str | None = None
    dropout: float = 0.0
    stem: Literal["copy", "mean", "repeat"] = "copy"
    pool: Literal["mean", "concat"] = "mean"
    head: Literal["linear", "neck", "linear_bn"] = "linear"
    width: int = 512
    bn: Literal["running", "plate", "experiment"] = "running"
    bn_momentum: float | None = None
    metadata: tuple[Where, ...] = ()
    metadata_form: Literal["onehot", "learned"] = "onehot"
    metadata_width: int = 128
    metadata_dropout: float = 0.1


@dataclass(frozen=True)
class Loss:
    """``ce`` times cross entropy plus ``margin_weight`` times a margin loss on the angle between embedding and class.

    ``angle`` is ArcFace's margin in radians or CosFace's in cosine; AdaCos has none and finds its own ``scale``.
    Without cross entropy (``ce`` 0) the cosines times the scale are the logits. ``label_smoothing`` is cross entropy's
    alone: a margin loss has none. ``mixed`` says what a margin loss does
    with a sample of two labels (CutMix, mixup): refuse such a config, take the larger share's label, or weight both.
    """

    ce: float = 1.0
    label_smoothing: float = 0.1
    margin: Literal["none", "arcface", "cosface", "adacos"] = "none"
    margin_weight: float = 1.0
    scale: float = 30.0
    angle: float = 0.5
    mixed: Literal["refuse", "larger", "weighted"] = "refuse"


@dataclass(frozen=True)
class Init:
    """Weights laid over the network before training: a file, else a stage's best of the same model and channel set.

    A cell type's own model may start from the common one of its own stage.
    """

    stage: Literal["none", "control", "full", "pseudo"] = "none"
    checkpoint: str | None = None


@dataclass(frozen=True)
class Data:
    """Which wells and pixels. ``size`` null keeps the stored size; ``cache`` keeps decoded sites in memory;
    ``workers`` is the number of threads that read ahead (0: none).

    ``stack_sites`` makes one sample of both sites of a well (12 channels from 6). ``controls: classes`` adds control
    wells, train's and test's, as further classes (1,139 siRNAs); it has no meaning in stage I, whose classes they are.
    ``cell_types`` keeps those only: a model of their own, in a run folder ``MODEL@HUVEC``. ``norm``: over which pixels
    mean and variance of a channel become 0 and 1.

    ``audit``: learn only from images that ``src/data.py audit`` has looked at. It wrote into ``audit_dir``, and what is
    decided there replaces ``drop_incomplete``.
    """

    channels: tuple[int, ...] = (1, 2, 3, 4, 5)
    fold: int = 0
    sites: tuple[int, ...] = (1, 2)
    stack_sites: bool = False
    controls: Literal["apart", "classes"] = "apart"
    cell_types: tuple[str, ...] = ()
    size: int | None = None
    norm: Literal["image", "plate", "experiment", "cell_type", "global"] = "image"
    folds_dir: str = "csv"
    pseudo_dir: str = "csv/pseudo"
    audit: Literal["required", "off"] = "required"
    audit_dir: str = "csv/audit"
    drop_incomplete: bool = False
    cache: bool = False
    workers: int = 4


@dataclass(frozen=True)
class Augment:
    """Random views of a training sample, first on the CPU (:func:`rcic.pixels.augment.build`): ``d4`` to ``extra``.

    ``crop`` pixels square, grown over the epochs from ``crop_start``. Then of the normalised batch on its device
    (:mod:`rcic.pixels.batch`): ``scale_crop`` is the least side of a random square that is enlarged to the whole
    (0: off), ``gain`` and ``bias`` standard deviations for each image and channel, ``erase`` and ``channel_dropout``
    chances an image, ``cutmix`` and ``mixup`` chances a batch (shares drawn from Beta(``mix_alpha``, ``mix_alpha``)),
    off for the first part ``mix_from`` of the epochs.
    """

    d4: bool = True
    shear: float = 10.0
    scale: tuple[float, float] = (1.0, 1.0)
    crop: int | None = None
    crop_start: int | None = None
    extra: tuple[Literal["brightness", "gamma", "blur", "noise", "erase"], ...] = ()
    scale_crop: float = 0.0
    gain: float = 0.0
    bias: float = 0.0
    erase: float = 0.0
    channel_dropout: float = 0.5
    cutmix: float = 0.0
    mixup: float = 0.0
    mix_alpha: float = 1.0
    mix_from: float = 0.0


@dataclass(frozen=True)
class Optim:
    """The optimiser. ``clip`` bounds the gradient's norm over all parameters (null: no clipping).

    The head learns at the schedule's rate, the trunk at ``trunk_rate`` times it, the first convolution at
    ``stem_rate`` times it.
    """

    name: Literal["nadam", "adamw", "radam", "adam"] = "nadam"
    weight_decay: float = 0.0
    clip: float | None = None
    trunk_rate: float = 1.0
    stem_rate: float = 1.0


@dataclass(frozen=True)
class Schedule:
    """Epochs with a frozen trunk at a constant rate, then a cycle: up to ``max_lr``, down to ``min_lr``.

    ``steps`` replaces the cosine down: at these shares of the cycle the rate falls to a tenth, never below ``min_lr``.
    """

    frozen_epochs: int = 2
    frozen_lr: float = 1e-3
    epochs: int = 40
    warmup_epochs: float = 5
    max_lr: float = 5e-4
    min_lr: float = 1e-5
    momentum: tuple[float, float] = (0.85, 0.95)
    steps: tuple[float, ...] = ()


@dataclass(frozen=True)
class Train:
    """How a step is computed. One optimiser step sees ``batch_size * accumulate`` sites on each process.

    ``ema`` is the decay of a running average of the weights (0: off), ``swa_epochs`` the number of last epochs whose
    weights are averaged (0: off); the averaged weights are what is validated and kept.
    """

    batch_size: int = 64
    accumulate: int = 2
    valid_batch_size: int = 128
    precision: Literal["fp32", "bf16", "fp16"] = "bf16"
    channels_last: bool = True
    compile: bool = False
    device: Literal["auto", "cpu", "cuda"] = "auto"
    seed: int = 0
    monitor: Literal["map3", "top1", "top3"] = "map3"
    ema: float = 0.0
    swa_epochs: int = 0


@dataclass(frozen=True)
class Progressive:
    """Pseudo-labels chosen anew each epoch while training (recipe F), from epoch ``start`` (counted from 1; 0: never).

    The share of a plate's test wells that may be labelled grows from ``first`` to ``last`` at the last epoch.
    """

    start: int = 0
    first: float = 0.4
    last: float = 1.0
    min_margin: float = 0.0


@dataclass(frozen=True)
class Predict:
    """What predict-all averages: ``tta`` views; ``crops`` are the four corners and the middle of the training crop."""

    tta: tuple[View, ...] = ("identity",)


@dataclass(frozen=True)
class Log:
    """Where the metrics go besides ``metrics.csv`` and the console, whose bar shows the loss ``every`` n batches."""

    every: int = 50
    tensorboard: bool = True
    wandb: Literal["off", "offline", "online"] = "off"


@dataclass(frozen=True)
class Config:
    """One experiment: ``stage`` decides the table and the classes, the rest how it is learnt."""

    stage: Literal["control", "full", "pseudo"] = "full"
    model: Model = field(default_factory=Model)
    loss: Loss = field(default_factory=Loss)
    init: Init = field(default_factory=Init)
    data: Data = field(default_factory=Data)
    augment: Augment = field(default_factory=Augment)
    optim: Optim = field(default_factory=Optim)
    schedule: Schedule = field(default_factory=Schedule)
    train: Train = field(default_factory=Train)
    progressive: Progressive = field(default_factory=Progressive)
    predict: Predict = field(default_factory=Predict)
    log: Log = field(default_factory=Log)
