"""Checkpoints: written atomically, read without executing code, loaded into networks that may differ in their head."""

import io
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rcic.errors import UserError
from rcic.files.atomic import whole
from rcic.files.decoding import decoding
from rcic.files.regular import is_there, open_regular

FORMAT = 2  # 2: the stored config has the sections of settings.py


@dataclass(frozen=True)
class Checkpoint:
    """Weights and their description (model, channels, classes, size, stage, epoch, metrics, config).

    ``extra`` is the further state that a training needs to resume.
    """

    weights: dict[str, Tensor]
    meta: dict[str, Any]
    path: Path
    extra: dict[str, Any] = field(default_factory=dict)


def save_checkpoint(
    path: Path,
    model: nn.Module,
    meta: Mapping[str, Any],
    extra: Mapping[str, Any] | None = None,
    earlier: Path | None = None,
) -> None:
    """Write ``model``'s weights with ``meta`` (plain values) and ``extra`` (optimiser state and the like).

    An existing file is kept as ``earlier``, if given; at any moment one of the two exists. Raises UserError if the file
    cannot be written. The content is serialised in memory first: torch's writer would report a full disk as a
    RuntimeError without the reason.
    """
    content = io.BytesIO()
    torch.save({"format": FORMAT, "meta": dict(meta), "model": model.state_dict(), **(extra or {})}, content)
    with whole(path) as temporary:
        temporary.write_bytes(content.getbuffer())
        if earlier is not None and is_there(path):
            path.replace(earlier)


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Return the checkpoint in a file; its weights are on the CPU and memory-mapped.

    Every byte is checked first: the file is a zip archive, whose records have checksums that torch does not verify.
    Raises UserError if the file is missing, damaged, foreign, or holds anything but tensors and plain values;
    CannotRead or Exhausted if it could not be read.
    """

    def damaged(error: Exception) -> UserError:
        reason = f"not a readable checkpoint ({type(error).__name__}); the file is damaged or incomplete"
        return UserError(f"{path}: {reason}")

    try:
        with decoding(path, damaged):
            with open_regular(path) as file:
                check_archive(file)
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except FileNotFoundError:
        raise UserError(f"{path}: no such checkpoint") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT or not {"model", "meta"} <= content.keys():
        raise UserError(f"{path}: not a checkpoint of this program (format {FORMAT})")
    extra = {key: value for key, value in content.items() if key not in ("format", "model", "meta")}
    return Checkpoint(content["model"], content["meta"], Path(path), extra)


def check_archive(file: io.FileIO) -> None:
    """Raise BadZipFile unless a file is a zip archive as torch writes them, each of whose records has its checksum.

    torch compresses nothing: records that are compressed, or larger than the file, could expand to any size.
    """
    with zipfile.ZipFile(file) as archive:
        records = archive.infolist()
        is_torch_s = all(record.compress_type == zipfile.ZIP_STORED for record in records)
        if not is_torch_s or sum(record.file_size for record in records) > os.fstat(file.fileno()).st_size:
            raise zipfile.BadZipFile("compressed records")
        if (damaged := archive.testzip()) is not None:
            raise zipfile.BadZipFile(damaged)


def load_matching(model: nn.Module, checkpoint: Checkpoint) -> list[str]:
    """Copy the checkpoint's weights into ``model``; return the names of the head's tensors that do not match.

    Only the head may differ (a 31-class model starts a 1,108-class one). Raises UserError if the trunk differs: another
    architecture or another number of channels.
    """
    target, weights = model.state_dict(), checkpoint.weights
    fitting = {key: value for key, value in weights.items() if key in target and value.shape == target[key].shape}
    differing = sorted((target.keys() | weights.keys()) - fitting.keys())
    if trunk := [key for key in differing if not key.startswith("head.")]:
        raise UserError(
            f"{checkpoint.path}: does not fit: it is {checkpoint.meta['model']} on channels "
            f"{list(checkpoint.meta['channels'])}; {len(trunk)} tensors of the trunk differ, first {trunk[0]!r}"
        )
    model.load_state_dict(fitting, strict=False)
    return differing


def trunk_of(checkpoint: Checkpoint) -> Checkpoint:
    """Return the checkpoint without the weights of its head."""
    weights = {name: tensor for name, tensor in checkpoint.weights.items() if not name.startswith("head.")}
    return replace(checkpoint, weights=weights)


def check_classes(checkpoint: Checkpoint, classes: tuple[str | int, ...], owner: str) -> None:
    """Raise UserError unless the checkpoint was trained on exactly these classes, in this order.

    ``owner`` names the source of ``classes`` in the message.
    """
    trained = tuple(checkpoint.meta["classes"])
    if len(trained) != len(classes):
        raise UserError(f"{checkpoint.path}: trained on {len(trained)} classes, but {owner} has {len(classes)}")
    differing = [str(was) != str(name) for was, name in zip(trained, classes, strict=True)]  # as text: 7 is "7"
    if any(differing):
        first = differing.index(True)
        raise UserError(
            f"{checkpoint.path}: trained on other classes than those of {owner}: class {first} is {trained[first]!r}, "
            f"not {classes[first]!r}"
        )
