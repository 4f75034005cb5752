"""The sections of an experiment's YAML as dataclasses: every key, its meaning, its type and its default.

:mod:`rcic.learn.config.rules` says what values they may have, :mod:`rcic.learn.config.resolve` reads them. The lines
under ``Attributes`` are what ``python src/train.py explain`` and docs/config.md say of a key.
"""

from dataclasses import dataclass, field
from typing import Literal

MetadataName = Literal["cell_type", "plate_group", "experiment"]
ViewName = Literal["identity", "hflip", "vflip", "rot180", "transpose", "rot90", "rot270", "transverse", "crops"]


@dataclass(frozen=True)
class Model:
    """Which network.

    Attributes:
        name: the network: a registered name or any encoder of segmentation-models-pytorch.
        pretrained: the weights to start from where no earlier training is.
        weights_file: a state_dict of the 3-channel ImageNet network, used instead of a download.
        dropout: the share of the embedding's numbers that are dropped in training.
        stem: how the filters of RGB become those of more channels.
        pool: what is kept of the feature map: its mean, or mean and maximum.
        head: from pooled features to the embedding: nothing, BN-FC-ReLU-BN-FC-BN, or FC-BN-ReLU.
        width: the numbers of an embedding made by neck or linear_bn.
        bn: whose statistics BatchNorm uses; with plate or experiment a batch comes from one of them, too.
        bn_momentum: how fast running averages follow; null is as the network has it.
        metadata: what is told to the network besides the image, joined to its features.
        metadata_form: told as one number for each known value, or as a learned vector.
        metadata_width: the numbers of a learned vector.
        metadata_dropout: the chance that a training sample's is "unknown", which is what a new experiment's is.
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
    metadata: tuple[MetadataName, ...] = ()
    metadata_form: Literal["onehot", "learned"] = "onehot"
    metadata_width: int = 128
    metadata_dropout: float = 0.1


@dataclass(frozen=True)
class Loss:
    """Cross entropy plus a margin loss on the angle between embedding and class.

    Attributes:
        ce: the weight of cross entropy; at 0 the cosines times the scale are the logits.
        label_smoothing: of cross entropy alone, a margin loss has none.
        margin: the margin loss; adacos has no margin and finds its own scale.
        margin_weight: the weight of the margin loss.
        scale: what cosines are multiplied by.
        angle: the margin of arcface in radians, of cosface in cosine.
        mixed: what a margin loss does with a sample of two labels: refuse, take the larger share's, or weight both.
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
    """Weights laid over the network before training.

    Attributes:
        stage: start from this stage's best of the same model and channel set.
        checkpoint: start from this file instead.
    """

    stage: Literal["none", "control", "full", "pseudo"] = "none"
    checkpoint: str | None = None


@dataclass(frozen=True)
class Data:
    """Which wells and pixels.

    Attributes:
        channels: the channels of an image that the network sees.
        fold: the fold that is held out; without meaning in stage control.
        sites: the sites of a well that are used; [] is all that the screen has.
        stack_sites: make one sample of all sites of a well, 12 channels of 6 with two.
        controls: leave control wells to stage control, or learn them as further classes (1,139 siRNAs).
        cell_types: keep these alone, for a model of their own in a run folder MODEL@HUVEC; [] keeps all.
        size: the side in pixels that images are resized to; null keeps the stored size.
        norm: the pixels over which mean and variance of a channel become 0 and 1.
        folds_dir: the folder of the tables that data.py folds wrote.
        pseudo_dir: the folder of the tables that inference.py pseudo-label wrote.
        drop_incomplete: leave out a site that lacks an image instead of stopping.
        cache: keep decoded sites in memory.
        workers: the number of threads that read ahead; 0 reads when it is needed.
        audit: learn only from images that data.py audit has looked at, or from any.
        audit_dir: the folder that data.py audit wrote into; what is decided there replaces drop_incomplete.
    """

    channels: tuple[int, ...] = (1, 2, 3, 4, 5)
    fold: int = 0
    sites: tuple[int, ...] = ()
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
    """Random views of a training sample.

    The keys from d4 to extra are of one sample (:func:`rcic.pixels.batches.augment.build`), the others of the
    normalised batch on its device (:mod:`rcic.pixels.batches.batch`).

    Attributes:
        d4: one of the eight flips and turns.
        shear: the largest shear in degrees.
        scale: the least and the largest zoom; above 1 magnifies.
        crop: the side in pixels of a random window; null is the whole image.
        crop_start: the window's side in the first epoch, from where it grows to crop.
        extra: transforms of pixel values by name, in this order.
        scale_crop: the least side, as a share, of a random square that is enlarged to the whole; 0 is off.
        gain: the standard deviation of a factor for each image and channel.
        bias: the standard deviation of a number added to each image and channel.
        erase: the chance that a rectangle of an image is erased.
        channel_dropout: the chance that an image loses a channel.
        cutmix: the chance that a batch is mixed by rectangles.
        mixup: the chance that a batch is mixed by blending.
        mix_alpha: the shares of a mix are drawn from Beta(mix_alpha, mix_alpha).
        mix_from: the first part of the epochs in which nothing is mixed.
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
    """The optimiser. The head learns at the schedule's rate.

    Attributes:
        name: the optimiser.
        weight_decay: its weight decay.
        clip: the largest norm of the gradient over all parameters; null is no clipping.
        trunk_rate: the trunk's rate as a multiple of the head's.
        stem_rate: the first convolution's rate as a multiple of the head's.
    """

    name: Literal["nadam", "adamw", "radam", "adam"] = "nadam"
    weight_decay: float = 0.0
    clip: float | None = None
    trunk_rate: float = 1.0
    stem_rate: float = 1.0


@dataclass(frozen=True)
class Schedule:
    """Epochs with a frozen trunk at a constant rate, then a cycle: up to the highest rate and down.

    Attributes:
        frozen_epochs: epochs in which the head alone learns.
        frozen_lr: their learning rate.
        epochs: epochs of the cycle.
        warmup_epochs: epochs of the cycle in which the rate rises.
        max_lr: the highest rate.
        min_lr: the rate at the end.
        momentum: the momentum (beta 1) at the highest and at the lowest rate.
        steps: shares of the cycle at which the rate falls to a tenth, instead of a cosine; never below min_lr.
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
    """How a step is computed, and which weights are kept.

    Attributes:
        batch_size: sites (or stacked wells) of a batch on each process.
        accumulate: batches of an optimiser step.
        valid_batch_size: sites of a batch in validation.
        precision: of the arithmetic.
        channels_last: lay images out with the channels last, which GPUs prefer.
        compile: compile the network with torch.
        device: where it is computed; auto takes a GPU if there is one.
        seed: of weights, order and augmentation.
        monitor: the validation metric by which the best epoch is chosen.
        ema: the decay of a running average of the weights, which is then validated and kept; 0 is off.
        swa_epochs: the number of last epochs whose mean weights are validated and kept; 0 is off.
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
    """Pseudo-labels chosen anew each epoch while training (recipe F).

    Attributes:
        start: the first epoch with pseudo-labels, counted from 1; 0 is never.
        first: the share of a plate's test wells that may be labelled in that epoch.
        last: the share in the last epoch.
        min_margin: the least margin of a label in nats.
    """

    start: int = 0
    first: float = 0.4
    last: float = 1.0
    min_margin: float = 0.0


@dataclass(frozen=True)
class Predict:
    """What predict-all averages.

    Attributes:
        tta: views of an image; crops are the four corners and the middle, of the training crop's side.
    """

    tta: tuple[ViewName, ...] = ("identity",)


@dataclass(frozen=True)
class Log:
    """Where the metrics go besides metrics.csv and the console.

    Attributes:
        every: the bar on the console shows the loss every so many batches.
        tensorboard: write TensorBoard's files.
        wandb: log to Weights & Biases.
    """

    every: int = 50
    tensorboard: bool = True
    wandb: Literal["off", "offline", "online"] = "off"


@dataclass(frozen=True)
class Config:
    """One experiment.

    Attributes:
        stage: which table is learnt, and which classes.
    """

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

    @property
    def n_epochs(self) -> int:
        """All epochs of a training: the frozen ones and those of the cycle."""
        return self.schedule.frozen_epochs + self.schedule.epochs

    @property
    def in_channels(self) -> int:
        """The number of the network's input channels: with stacked sites, those of all."""
        return len(self.data.channels) * (len(self.data.sites) if self.data.stack_sites else 1)

    @property
    def statistics_unit(self) -> str | None:
        """Whose sites the network must read together: ``"plate"``, ``"experiment"``, None if each site is its own."""
        return largest_unit(self.model.bn, self.data.norm)


def largest_unit(*units: str) -> str | None:
    """Return the larger of the units whose statistics are taken, an experiment or a plate; None if neither is."""
    return next((unit for unit in ("experiment", "plate") if unit in units), None)
