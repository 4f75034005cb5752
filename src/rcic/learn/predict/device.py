"""The device that a network runs on."""

from typing import Literal

import torch

from rcic.errors import UserError


def pick_device(wanted: str) -> Literal["cpu", "cuda"]:
    """Return ``"cuda"`` or ``"cpu"``; ``auto`` takes a GPU if there is one.

    Raises UserError for another name, or for ``cuda`` if torch sees no GPU.
    """
    if wanted not in ("auto", "cpu", "cuda"):
        raise UserError(f"device is {wanted!r}, must be auto, cpu or cuda")
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UserError("device is cuda, but torch sees no GPU; use --device auto or cpu")
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return "cuda" if wanted == "cuda" else "cpu"
