"""The sections of a config as dataclasses: every key, its meaning, its type and its default.

:mod:`rcic.learn.config.rules` limits the values, :mod:`rcic.learn.config.resolve` reads them. ``rcic train
explain`` and docs/config.md quote the lines under ``Attributes``.
"""

from dataclasses import dataclass, field
from typing import Literal

MetadataName = Literal["cell_type", "plate_group", "experiment"]
Precision = Literal["auto", "bf16", "fp32"]
ViewName = Literal["identity", "hflip", "vflip", "rot180", "transpose", "rot90", "rot270", "transverse", "crops"]


@dataclass(frozen=True)
class Model:
    """The network.

    Attributes:
        name: the architecture: a registered name or any encoder of segmentation-models-pytorch.
        pretrained: the initial weights if there is no earlier training to start from.
        weights_file: a state_dict of the 3-channel ImageNet network, used instead of a download.
        dropout: the dropout rate of the embedding.
        stem: how the RGB filters of the first convolution are widened to more channels; random: new filters.
        stem_scale: keep the filters' response by the factor 3 / channels, or none: the filters as they are.
        trunk_end: the end of a DenseNet's trunk: whole, without its last ReLU, or without its last BN and ReLU.
        pool: the pooling of the feature map: mean, or mean and maximum concatenated.
        head: the layers from pooled features to the embedding: none, BN-FC-ReLU-BN-FC-BN, FC-BN-ReLU, or layers.
        width: the dimension of an embedding made by neck or linear_bn.
        layers: the head's layers in order, each bn, relu, "drop P", "fc N", "fc N no_bias", or metadata: where these
            are concatenated (if not named, after a leading bn, else in front).
        embedding: the numbers that are a site's embedding: the head's output, or that of its last linear layer (fc),
            before what follows; the classifier reads the head's output in any case.
        bn: whose statistics BatchNorm uses; with plate or experiment each batch comes from a single one.
        bn_momentum: the momentum of the running averages; null keeps the network's.
        metadata: the metadata of a well that are concatenated to the image features.
        metadata_form: the encoding of metadata: one-hot, or a learned vector.
        metadata_width: the dimension of a learned vector.
        metadata_dropout: the chance that a training sample's metadata are set to "unknown", as in a new experiment.
    """

    name: str = "se_resnext50_32x4d"
    pretrained: Literal["imagenet", "none"] = "imagenet"
    weights_file: str | None = None
    dropout: float = 0.0
    stem: Literal["copy", "mean", "repeat", "random"] = "copy"
    stem_scale: Literal["kept", "none"] = "kept"
    trunk_end: Literal["whole", "no_relu", "no_bn"] = "whole"
    pool: Literal["mean", "concat"] = "mean"
    head: Literal["linear", "neck", "linear_bn", "layers"] = "linear"
    width: int = 512
    layers: tuple[str, ...] = ()
    embedding: Literal["output", "fc"] = "output"
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
        form: cross entropy of the softmax, or binary: of each class by itself, the mean over batch and classes.
        label_smoothing: the label smoothing of cross entropy; a margin loss has none.
        margin: the margin loss; adacos has no margin and adapts its scale.
        margin_weight: the weight of the margin loss.
        scale: the factor of the cosines.
        angle: the margin, for arcface in radians, for cosface in cosine.
        cosine_ce: the weight of the cross entropy of the cosines, at scale 1 without margin, beside the margin loss.
        mixed: how a margin loss treats a mixed sample: refuse, take the label of the larger share, weight both losses,
            or soft: one loss against the mixed label, each class with its share of the margin.
    """

    ce: float = 1.0
    form: Literal["softmax", "binary"] = "softmax"
    label_smoothing: float = 0.1
    margin: Literal["none", "arcface", "cosface", "adacos"] = "none"
    margin_weight: float = 1.0
    scale: float = 30.0
    angle: float = 0.5
    cosine_ce: float = 0.0
    mixed: Literal["refuse", "larger", "weighted", "soft"] = "refuse"


@dataclass(frozen=True)
class Init:
    """Weights loaded into the network before training.

    Attributes:
        stage: start from the best checkpoint of this stage, with the same model and channel set.
        checkpoint: start from this file instead.
    """

    stage: Literal["none", "control", "full", "pseudo"] = "none"
    checkpoint: str | None = None


@dataclass(frozen=True)
class Data:
    """Which wells and pixels.

    Attributes:
        channels: the channels of an image that the network sees.
        fold: the held-out fold; ignored in stage control.
        sites: the sites of a well that are used; [] uses all sites of the screen.
        stack_sites: stack all sites of a well into one sample: two sites of 6 channels make 12 channels.
        controls: leave control wells to stage control, or add them as classes (1,139 in all for RxRx1).
        cell_types: train on these cell types only, in a run folder such as MODEL@HUVEC; [] uses all.
        sites_per_epoch: train in each epoch on all sites of a well, or on one, drawn at random in each epoch.
        size: the side in pixels that images are resized to; null keeps the stored size.
        norm: the pixels over which each channel is normalised to mean 0 and variance 1; fixed takes the constants of
            norm_means and norm_stds.
        norm_means: with norm fixed, the mean of each channel of the screen in grey levels (0 to 255), channel 1 first.
        norm_stds: with norm fixed, the standard deviation of each channel of the screen in grey levels.
        norm_of: with norm image, whose mean and variance become 0 and 1 - those of the augmented view, or those of the
            stored image, before augmentation.
        folds_dir: the folder of the tables written by data folds; auto is the screen's work folder.
        pseudo_dir: the folder of the tables written by pseudo-label; auto is pseudo in the screen's work folder.
        drop_incomplete: leave out sites that lack an image instead of stopping.
        cache: keep decoded sites in memory.
        workers: the number of threads that read ahead; 0 reads on demand.
        audit: train only on images that data audit has checked, or on any.
        audit_dir: the folder written by data audit; its decisions replace drop_incomplete. auto is audit in
            the screen's work folder.
    """

    channels: tuple[int, ...] = (1, 2, 3, 4, 5)
    fold: int = 0
    sites: tuple[int, ...] = ()
    stack_sites: bool = False
    controls: Literal["apart", "classes"] = "apart"
    cell_types: tuple[str, ...] = ()
    sites_per_epoch: Literal["all", "one"] = "all"
    size: int | None = None
    norm: Literal["image", "plate", "experiment", "cell_type", "global", "fixed"] = "image"
    norm_means: tuple[float, ...] = ()
    norm_stds: tuple[float, ...] = ()
    norm_of: Literal["view", "image"] = "view"
    folds_dir: str = "auto"
    pseudo_dir: str = "auto"
    audit: Literal["required", "off"] = "required"
    audit_dir: str = "auto"
    drop_incomplete: bool = False
    cache: bool = False
    workers: int = 4


@dataclass(frozen=True)
class Augment:
    """Random views of a training sample.

    The keys from d4 to extra apply to one sample (:func:`rcic.pixels.batches.augment.build_sample_transform`), those
    from lighting to colour_channels to the grey levels of a batch on its device (:mod:`rcic.pixels.batches.tone`), the
    others to the normalised batch (:mod:`rcic.pixels.batches.batch`).

    Attributes:
        d4: one of the eight flips and rotations.
        d4_draw: how d4 draws its view - the eight alike; a quarter turn of any number, a flip and a transposition with
            chance 0.5 each, one after the other; without the transposition; only a horizontal and a vertical flip; or
            only a horizontal flip.
        shear: the largest shear in degrees.
        shear_p: the chance of a shear.
        scale: the least and the largest zoom; above 1 magnifies.
        scale_p: the chance of a zoom.
        rotate: the largest angle in degrees of a rotation, either way; the image is mirrored at its edges.
        rotate_p: the chance of such a rotation.
        warp: the largest perspective warp, as a share of half a side by which the ends of a side move
            (symmetric_warp of fastai).
        warp_p: the chance of a warp.
        crop: the side in pixels of a random window; null is the whole image.
        crop_start: the window's side in the first epoch; it grows to crop.
        extra: transforms of pixel values by name, in this order.
        lighting: the largest change of brightness and contrast on the logit scale (max_lighting of fastai); 0 is off.
        lighting_p: the chance of a change of brightness, and that of a change of contrast.
        colour_gain: the largest relative change of a random factor for each image and channel, before normalisation.
        colour_bias: the largest random offset for each image and channel, as a share of the 255 grey levels.
        colour_channels: the channels that colour_gain and colour_bias change; [] is all.
        scale_crop: the least side, as a share of the image, of a random square that is enlarged to the image; 0 is off.
        scale_crop_norm: normalise before scale_crop cuts, or after it, by the square's own statistics with norm image.
        scale_crop_sampling: how the pixels of the enlarged square are computed.
        gain: the standard deviation of a random factor for each image and channel.
        bias: the standard deviation of a random offset for each image and channel.
        erase: the chance that a rectangle of an image is erased.
        erase_area: the least and the largest share of the image's area that is erased.
        channel_dropout: the chance that one channel of an image is dropped.
        cutmix: the chance that a batch is mixed by rectangles.
        mixup: the chance that a batch is mixed by blending.
        mix_alpha: the alpha of Beta(alpha, alpha), from which the shares of a mix are drawn.
        mix_share: an image's own share in a mix - any, or the larger of the drawn share and its complement.
        mix_from: the share of epochs, from the first on, without mixing.
    """

    d4: bool = True
    d4_draw: Literal["uniform", "turns_flips_transpose", "turns_flips", "flips", "hflip"] = "uniform"
    shear: float = 10.0
    shear_p: float = 1.0
    scale: tuple[float, float] = (1.0, 1.0)
    scale_p: float = 1.0
    rotate: float = 0.0
    rotate_p: float = 1.0
    warp: float = 0.0
    warp_p: float = 1.0
    crop: int | None = None
    crop_start: int | None = None
    extra: tuple[Literal["brightness", "gamma", "blur", "noise", "erase"], ...] = ()
    lighting: float = 0.0
    lighting_p: float = 1.0
    colour_gain: float = 0.0
    colour_bias: float = 0.0
    colour_channels: tuple[int, ...] = ()
    scale_crop: float = 0.0
    scale_crop_norm: Literal["before", "after"] = "before"
    scale_crop_sampling: Literal["bilinear", "nearest"] = "bilinear"
    gain: float = 0.0
    bias: float = 0.0
    erase: float = 0.0
    erase_area: tuple[float, float] = (0.02, 0.2)
    channel_dropout: float = 0.5
    cutmix: float = 0.0
    mixup: float = 0.0
    mix_alpha: float = 1.0
    mix_share: Literal["any", "larger"] = "any"
    mix_from: float = 0.0


@dataclass(frozen=True)
class Optim:
    """The optimiser. The head learns at the schedule's rate.

    Attributes:
        name: the optimiser.
        beta2: the decay of the mean squared gradient; the schedule sets beta 1.
        weight_decay: the weight decay.
        clip: the largest norm of the gradient over all parameters; null is no clipping.
        trunk_rate: the trunk's learning rate as a multiple of the head's.
        stem_rate: the first convolution's learning rate as a multiple of the head's.
    """

    name: Literal["nadam", "adamw", "radam", "adam"] = "nadam"
    beta2: float = 0.999
    weight_decay: float = 0.0
    clip: float | None = None
    trunk_rate: float = 1.0
    stem_rate: float = 1.0


@dataclass(frozen=True)
class Schedule:
    """Epochs with a frozen trunk at a constant learning rate, then one cycle: up to the highest rate and down.

    Attributes:
        frozen_epochs: epochs in which only the head learns.
        frozen_lr: the learning rate of the frozen epochs.
        epochs: epochs of the cycle.
        curve: the form of rise and fall, of rate and momentum; constant rises, then stays at the highest rate, with
            the higher momentum throughout.
        warmup_epochs: epochs of the cycle in which the rate rises.
        start_lr: the rate at the start of the rise; null is a 25th of the highest.
        max_lr: the highest rate.
        min_lr: the rate at the end.
        momentum: the momentum (beta 1) at the highest and at the lowest rate.
        start_momentum: the momentum of the frozen epochs and at the start of a cycle; null is that at the lowest rate.
        restarts: the numbers of epochs of the cycle (without frozen ones) after which another cycle begins, if
            epochs has as many. Each rises in the first one's share of its length, and from the first one's share of its
            highest rate.
        restart_lrs: the highest rate of each cycle after the first.
        planned_epochs: the number of epochs after which the last cycle would end; training stops earlier, after epochs.
            Null is epochs.
        steps: shares of the cycle at which the rate falls to a tenth, instead of a cosine; never below min_lr.
    """

    frozen_epochs: int = 2
    frozen_lr: float = 1e-3
    epochs: int = 40
    curve: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_epochs: float = 5
    start_lr: float | None = None
    max_lr: float = 5e-4
    min_lr: float = 1e-5
    momentum: tuple[float, float] = (0.85, 0.95)
    start_momentum: float | None = None
    restarts: tuple[int, ...] = ()
    restart_lrs: tuple[float, ...] = ()
    planned_epochs: int | None = None
    steps: tuple[float, ...] = ()


@dataclass(frozen=True)
class Train:
    """The computation of a step, and the choice of the weights to keep.

    Attributes:
        batch_size: sites (or stacked wells) a batch on each process.
        accumulate: batches an optimiser step, over which the gradients are averaged (not summed).
        valid_batch_size: sites a batch in validation.
        validate_every: epochs from one validation to the next; the last epoch is always validated. Weights of epochs
            that are not validated cannot be the best.
        precision: the floating-point format of the arithmetic.
        channels_last: use the channels-last memory format, which GPUs prefer.
        compile: compile the network with torch.compile.
        device: the device; auto takes a GPU if there is one.
        seed: the seed of initial weights, sample order and augmentation.
        monitor: the validation metric by which the best epoch is chosen; last: none, the last epoch is kept, so that
            the accuracy on few held-out wells is not that of the epoch that suited them best.
        ema: the decay of a running average of the weights, which is then validated and kept; 0 is off.
        swa_epochs: the number of last epochs whose mean weights are validated and kept; 0 is off.
    """

    batch_size: int = 64
    accumulate: int = 2
    valid_batch_size: int = 128
    validate_every: int = 1
    precision: Literal["fp32", "bf16", "fp16"] = "bf16"
    channels_last: bool = True
    compile: bool = False
    device: Literal["auto", "cpu", "cuda"] = "auto"
    seed: int = 0
    monitor: Literal["map3", "top1", "top3", "last"] = "map3"
    ema: float = 0.0
    swa_epochs: int = 0


@dataclass(frozen=True)
class Progressive:
    """Pseudo-labels chosen from scratch in each epoch of the training (recipe F).

    Attributes:
        start: the first epoch with pseudo-labels, counted from 1; 0 is never.
        first: the share of a plate's test wells that may be labelled in that epoch.
        last: the share in the last epoch.
        min_margin: the least margin of a label in nats.
        quota: whether the shares are counted on each plate, or over the whole screen, where sure plates come first.
    """

    start: int = 0
    first: float = 0.4
    last: float = 1.0
    min_margin: float = 0.0
    quota: Literal["plate", "screen"] = "plate"


@dataclass(frozen=True)
class Predict:
    """Views, statistics and arithmetic of predict-all and embed-all, which read them from the trained network.

    Attributes:
        bn: whose statistics BatchNorm uses in predictions (not in validation): as trained, or those of the plate or
            experiment for a network trained with running averages.
        tta: the averaged views of an image; crops are its four corners and centre, of the training crop's side.
        precision: the trunk's floating-point format (the head's is fp32); auto: bf16 on a GPU that has it, and on a CPU
            that has it if much is to be predicted and a probe of this network shows that it is faster.
    """

    bn: Literal["trained", "plate", "experiment"] = "trained"
    tta: tuple[ViewName, ...] = ("identity",)
    precision: Precision = "auto"


@dataclass(frozen=True)
class Log:
    """Destinations of the metrics besides metrics.csv and the console.

    Attributes:
        every: the number of batches between two updates of the loss on the console's progress bar.
        tensorboard: write TensorBoard event files.
        wandb: log to Weights & Biases.
    """

    every: int = 50
    tensorboard: bool = True
    wandb: Literal["off", "offline", "online"] = "off"


@dataclass(frozen=True)
class Config:
    """The config of one training.

    Attributes:
        stage: the training stage, which sets the training wells and the classes.
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
        """The number of epochs, frozen ones and those of the cycle."""
        return self.schedule.frozen_epochs + self.schedule.epochs

    @property
    def in_channels(self) -> int:
        """The number of input channels of the network, over all sites if they are stacked."""
        return len(self.data.channels) * (len(self.data.sites) if self.data.stack_sites else 1)

    @property
    def statistics_unit(self) -> str | None:
        """The unit whose sites the network must read together: ``"plate"``, ``"experiment"`` or None."""
        return largest_unit(self.model.bn, self.data.norm)

    @property
    def prediction_bn(self) -> str:
        """Whose statistics BatchNorm uses in predictions: ``"running"``, ``"plate"`` or ``"experiment"``."""
        return self.model.bn if self.predict.bn == "trained" else self.predict.bn

    @property
    def prediction_unit(self) -> str | None:
        """The unit whose sites predictions must read together; as :attr:`statistics_unit`."""
        return largest_unit(self.prediction_bn, self.data.norm)


def largest_unit(*units: str) -> str | None:
    """Return the largest unit of ``units``, ``"experiment"`` before ``"plate"``; None without either."""
    return next((unit for unit in ("experiment", "plate") if unit in units), None)
