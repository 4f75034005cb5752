"""The initial network of a training: built from the config, with the weights of an earlier training if configured."""

from pathlib import Path

from rcic.errors import UserError
from rcic.learn.config.settings import Config
from rcic.learn.data.metadata import Known
from rcic.learn.models import WellClassifier, build_model
from rcic.learn.runs.checkpoint import Checkpoint, load_matching, read_checkpoint, trunk_of
from rcic.learn.runs.folder import init_path, lacks_start


def starting_checkpoint(config: Config, log_root: Path) -> Checkpoint | None:
    """Return the initial checkpoint: the file named in the config, else an earlier stage's best, else None.

    Raises UserError if it does not exist or was trained on other channels.
    """
    path = init_path(config, log_root)
    if path is None:
        return None
    if lacks := lacks_start(config, log_root):
        remedy = "train that stage first with the same --log_root, --channels and --model, or --set init.stage=none"
        raise UserError(lacks if config.init.checkpoint else f"{lacks}; {remedy}")
    checkpoint = read_checkpoint(path)
    if tuple(checkpoint.meta["channels"]) != config.data.channels:
        raise UserError(f"{path}: trained on channels {checkpoint.meta['channels']}, not {list(config.data.channels)}")
    return checkpoint


def same_metadata(config: Config, checkpoint: Checkpoint) -> bool:
    """Return whether the checkpoint's network has the same kinds of metadata in the same order."""
    return tuple(checkpoint.meta["metadata"]) == config.model.metadata


def align_metadata(known: Known, config: Config, initial: Checkpoint | None) -> dict[str, list[str]]:
    """Return the known metadata values, each at its index in the initial weights.

    ``known`` are the values in this training's table. A value that the weights lack stays unknown. An index of the
    weights whose value this training lacks (other cell types, an experiment held out here) gets "", which is no value's
    name. Without initial weights, or with other kinds of metadata, the result is ``known``.
    """
    if initial is None or not same_metadata(config, initial):
        return {name: list(values) for name, values in known.items()}
    indexed = initial.meta["metadata"]
    return {name: [value if value in known[name] else "" for value in indexed[name]] for name in known}


def build_network(
    config: Config, n_classes: int, n_values: list[int], initial: Checkpoint | None
) -> tuple[WellClassifier, str]:
    """Return the network and a description of the origin of its weights.

    The order: ``initial``, else a weight file, else ImageNet, else random. ``n_values`` are the numbers of known
    metadata values; if ``initial`` has other kinds of metadata, the head is a new one. Raises UserError if weights are
    not available or do not fit.
    """
    model = config.model
    network = build_model(model, config.in_channels, n_classes, config.loss, n_values, load=initial is None)
    if initial is None:
        return network, model.weights_file or ("ImageNet" if model.pretrained == "imagenet" else "random weights")
    fresh = load_matching(network, initial if same_metadata(config, initial) else trunk_of(initial))
    return network, f"{initial.path}" + (" (with a new head)" if fresh else "")
