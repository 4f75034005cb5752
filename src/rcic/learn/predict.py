"""Predict test wells and held-out wells with every trained member, and leave the answers as plain files."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rcic.errors import UserError
from rcic.files import BEST, HELD_OUT, Member, find_members, prediction_files, whole, write_array
from rcic.learn.checkpoint import Checkpoint, check_classes, lay_over, read_checkpoint
from rcic.learn.infer import predict_sites
from rcic.learn.loaders import usable_sites
from rcic.learn.models import WellClassifier, build_model
from rcic.learn.wells import stack_sites
from rcic.pixels.store import PngStore
from rcic.screen.table import Screen, read_screen


@dataclass(frozen=True)
class Options:
    """How to predict: the device, sites at once, loader processes, networks in memory at once, incomplete sites."""

    device: str = "cpu"
    batch_size: int = 64
    workers: int = 0
    at_once: int = 6
    drop_incomplete: bool = False
    sites: tuple[int, ...] = (1, 2)


def predict_all(
    data_root: str | Path,
    model_root: str | Path,
    model_name: str,
    out_dir: str | Path,
    splits: tuple[str, ...],
    options: Options,
) -> None:
    """Write the predictions of every member of ``model_name`` below ``model_root`` that are not there yet.

    Members that read the same wells at the same size share one pass, ``at_once`` at a time, and their files are written
    after each pass: a killed run goes on where it was. Raises UserError if there is no member, or a checkpoint or an
    image cannot be used.
    """
    screen, root, out = read_screen(data_root), Path(model_root), Path(out_dir)
    members = find_members(root, BEST, model_name)
    if not members:
        there = sorted({member.model for member in find_members(root, BEST)})
        raise UserError(
            f"{root}: no trained {model_name!r} (folders [1,2,...]/fold_K/MODEL/{BEST}); there: {there or 'none'}"
        )
    for split in splits:
        todo = [member for member in members if not _is_there(root, out, member, split)]
        print(f"{split}: {len(members) - len(todo)} of {len(members)} members are predicted already, {len(todo)} to go")
        for group in _passes(root, todo, split, options.at_once):
            _predict_pass(screen, root, out, group, split, options)


def _is_there(root: Path, out: Path, member: Member, split: str) -> bool:
    """Return whether a member's files are complete and were made from its present checkpoint."""
    files = prediction_files(out / member.folder, split)
    if not all(path.exists() for path in files.values()):
        return False
    record = json.loads(files["record"].read_text(encoding="utf-8"))
    return record.get("checkpoint_sha256") == _digest(root / member.folder / BEST)


def _passes(root: Path, members: list[Member], split: str, at_once: int) -> list[tuple[Member, ...]]:
    """Return the members grouped by what they read: the image size and, for held-out wells, the fold."""
    groups: dict[tuple[Any, ...], list[Member]] = {}
    for member in members:
        size = read_checkpoint(root / member.folder / BEST).meta["size"]
        groups.setdefault((size, member.fold if split == "valid" else None), []).append(member)
    return [
        tuple(group[start : start + at_once]) for group in groups.values() for start in range(0, len(group), at_once)
    ]


def _predict_pass(
    screen: Screen, root: Path, out: Path, members: tuple[Member, ...], split: str, options: Options
) -> None:
    checkpoints = [read_checkpoint(root / member.folder / BEST) for member in members]
    networks = [(_network(checkpoint, screen), checkpoint.meta["channels"]) for checkpoint in checkpoints]
    wells = screen.select("test", "treatment") if split == "test" else _held_out(root / members[0].folder, screen)
    store = PngStore(screen.root)
    union = sorted({channel for _, channels in networks for channel in channels})
    rows = usable_sites(store, wells, options.sites, union, options.drop_incomplete)
    logits = predict_sites(
        networks,
        rows,
        store,
        checkpoints[0].meta["size"],
        options.device,
        options.batch_size,
        options.workers,
        f"{split} x {len(members)} models",
    )
    for member, checkpoint, own in zip(members, checkpoints, logits, strict=True):
        _write(out / member.folder, split, own, rows, checkpoint)


def _network(checkpoint: Checkpoint, screen: Screen) -> WellClassifier:
    check_classes(checkpoint, screen.classes[: screen.n_treatments], f"the screen {screen.root}")
    meta = checkpoint.meta
    network = build_model(meta["model"], len(meta["channels"]), len(meta["classes"]))
    if fresh := lay_over(network, checkpoint):
        raise UserError(f"{checkpoint.path}: lacks {fresh[0]}")
    return network


def _held_out(folder: Path, screen: Screen) -> pd.DataFrame:
    """Return the wells that a run was validated on, as its folder says."""
    path = folder / HELD_OUT
    if not path.exists():
        raise UserError(f"{path}: not there, so the held-out wells are unknown; use --splits=test")
    codes = pd.read_csv(path, dtype={"id_code": str})["id_code"]
    wells = screen.wells[screen.wells["id_code"].isin(codes)].reset_index(drop=True)
    if len(wells) != len(codes):
        raise UserError(f"{path}: {len(codes) - len(wells)} of its wells are not in the screen {screen.root}")
    return wells


def _write(folder: Path, split: str, logits: np.ndarray, rows: pd.DataFrame, checkpoint: Checkpoint) -> None:
    """Write one member's files, the record last: it marks the others as complete."""
    by_site, wells = stack_sites(logits, rows)  # (N, S, K)
    files = prediction_files(folder, split)
    record = {
        "checkpoint": BEST,
        "checkpoint_sha256": _digest(checkpoint.path),
        "epoch": checkpoint.meta["epoch"],
        "screen": checkpoint.meta["screen"],
    }
    files["record"].unlink(missing_ok=True)
    write_array(files["sites"], by_site.astype(np.float16))
    write_array(files["logits"], np.nanmean(by_site, axis=1, dtype=np.float64).astype(np.float32))
    with whole(files["wells"]) as temporary:
        wells[["id_code"]].to_csv(temporary, index=False)
    with whole(files["record"]) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
