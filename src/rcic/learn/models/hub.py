"""ImageNet weights of timm networks and segmentation-models-pytorch encoders, from the Hugging Face hub."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from torch import Tensor, nn

from rcic.errors import UserError
from rcic.files.atomic import write_error
from rcic.files.decoding import causes, no_memory

_PATIENCE = 5.0  # seconds to wait for the hub's first answer


def encoder_from_hub(name: str) -> dict[str, Tensor]:
    """Return the ImageNet state_dict of the 3-channel encoder ``name``, from the hub's cache or the hub.

    Raises UserError if there are none, or without network; the message then names the file to fetch.
    """
    from segmentation_models_pytorch.encoders import get_encoder

    return _fetch(name, _repository(name), lambda: get_encoder(name, in_channels=3, depth=5, weights="imagenet"))


def timm_from_hub(name: str) -> dict[str, Tensor]:
    """Return the ImageNet state_dict of timm's network ``name``. Raises UserError like :func:`encoder_from_hub`."""
    import timm

    return _fetch(name, _repository(f"tu-{name}"), lambda: timm.create_model(name, pretrained=True))


def local_error(path: Path, error: BaseException) -> Exception | None:
    """Return the error of this machine that made a download to ``path`` fail, its disk or memory; None for another."""
    for one in causes(error):
        if isinstance(one, OSError) and one.errno is not None and write_error(path, one) is not one:
            return write_error(path, one)
    return no_memory(str(path), error)


def _fetch(name: str, repository: str | None, make: Callable[[], nn.Module]) -> dict[str, Tensor]:
    """Return the state_dict of the network that ``make`` downloads. Raises UserError without repository or network."""
    from huggingface_hub import constants

    if repository is None:
        raise UserError(f"model {name!r} has no ImageNet weights: set model.pretrained to none")
    try:
        with warnings.catch_warnings(), _quick_hub():
            warnings.simplefilter("ignore")  # about the spelling of `weights` for timm encoders
            return make().state_dict()
    except Exception as error:  # the hub's client raises many exceptions without network
        if told := local_error(Path(constants.HF_HUB_CACHE), error):
            raise told from error
        raise UserError(
            f"model {name!r}: ImageNet weights cannot be downloaded (no network?). Fetch model.safetensors of "
            f"{constants.ENDPOINT}/{repository} and name it with --set=model.weights_file=FILE, or start without: "
            "--set=model.pretrained=none"
        ) from error


def _repository(name: str) -> str | None:
    """Return the hub's name of an encoder's ImageNet weights, None if there are none."""
    if name.startswith("tu-"):
        from timm.models import get_pretrained_cfg

        settings = get_pretrained_cfg(name[3:])
        return settings.hf_hub_id if settings else None
    from segmentation_models_pytorch.encoders import encoders

    return encoders[name]["pretrained_settings"].get("imagenet", {}).get("repo_id")


@contextmanager
def _quick_hub() -> Iterator[None]:
    """Make the hub's client use only its cache if the hub is out of reach; it would retry for half a minute."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or not _answers(constants.ENDPOINT)
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _answers(url: str) -> bool:
    try:
        with urlopen(Request(url, method="HEAD"), timeout=_PATIENCE):  # nosec B310 # the hub's own address
            return True
    except HTTPError:
        return True  # the hub responds, though with an error
    except OSError:
        return False
