"""Class scores from embedding files, written as prediction folders: the vote of neighbours, or class centres."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rcic.decide.knn import NEIGHBOURS, USUAL, Bank, by_cell_type, centres_by_cell_type
from rcic.errors import UserError, nearest
from rcic.files.names import prediction_files
from rcic.files.record import Record, is_written, network_id
from rcic.files.well_rows import write_well_rows
from rcic.profiles.embeddings import Embedded, check_pair, embedded_members, query_splits, read_embeddings
from rcic.screen.source import DataRoot
from rcic.screen.table import Screen, read_screen

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class NeighbourSettings:
    """Settings of the scores: the vote of nearest neighbours, or ``scale`` times the cosine to class centres.

    ``k`` is one number, or words like ``HUVEC=100``; the default is the 41st place's k by cell type. ``centred``
    subtracts each plate's mean from the embeddings of its wells, bank and queries alike.
    """

    kind: Literal["knn", "centres"] = "knn"
    k: tuple[str, ...] = ()
    centred: Literal["plate", "off"] = "plate"
    scale: float | None = None  # 30 if not given


def neighbours(
    data_root: DataRoot,
    embed_root: str | Path,
    out_dir: str | Path,
    settings: NeighbourSettings,
    models: Sequence[str] = (),
) -> None:
    """Write the scores of each member's test and held-out wells as predictions of a model ``MODEL+knn|+centres``.

    The bank holds the labelled train treatments that the member was trained on (no control, no pseudo-labelled well): a
    well is compared with those of its own cell type, embedded by the same network. Wells of a cell type without bank
    wells are left out with a message. Existing files are kept if they were made from the same embeddings with the same
    settings. Raises UserError for flags that do not fit, no embeddings (of ``models``, if given) or embeddings that do
    not fit the screen or the bank.
    """
    screen, root = read_screen(data_root), Path(embed_root)
    facts: dict[str, Any] = {"kind": settings.kind, "centred": settings.centred}
    facts |= _numbers(settings, sorted(screen.wells["cell_type"].unique()))
    for member in embedded_members(root, models):
        bank = read_embeddings(screen, root / member.folder, "train", settings.centred == "plate")
        folder = replace(member, model=f"{member.model}+{settings.kind}").folder
        _log.info(f"{folder}: {len(bank.wells):,} wells in the bank")
        for split in query_splits(root / member.folder):
            queries = read_embeddings(screen, root / member.folder, split, settings.centred == "plate")
            check_pair(queries, bank)
            record = _record(queries, bank, facts, screen)
            files = prediction_files(Path(out_dir) / folder, split)
            if is_written(files["record"], record):
                _log.info(f"  {split}: done already")
                continue
            scores = _scores(queries, bank, screen.n_treatments, facts)
            scored = _scored(queries, scores, split)
            codes = queries.wells["id_code"][scored]
            write_well_rows(files, {"logits": scores[scored].astype(np.float32)}, codes, record)


def _record(queries: Embedded, bank: Embedded, facts: dict[str, Any], screen: Screen) -> Record:
    """Return the record of the scores of some queries: what they were embedded from, the bank, and its wells' labels.

    The labels are those of the tables now, so the wells of the bank's and the queries' experiments are, too.
    """
    origin = {} if queries.record is None else queries.record.made_from
    made_with = {} if queries.record is None else queries.record.made_with
    experiments = {*bank.wells["experiment"], *queries.wells["experiment"]}
    made_from = {
        **origin,
        "classes": screen.identity.treatments,
        "wells": screen.identity.wells(experiments),
        "bank": bank.fingerprint(),
        "queries": queries.fingerprint(),
        "embeddings": {part.path.name: part.record.digest for part in (bank, queries) if part.record is not None},
    }
    labels = bank.wells["label"].tolist()
    network = network_id(queries.network, made_from["bank"], labels, facts)
    held_out = {} if queries.record is None else {k: v for k, v in queries.record.facts.items() if k == "held_out"}
    found = {"network": network, "embed_folder": str(bank.path.parent), **held_out, **screen.source_facts}
    return Record("prediction", made_from, {**made_with, **facts}, facts=found)


def _scores(queries: Embedded, bank: Embedded, n_classes: int, facts: dict[str, Any]) -> np.ndarray:
    """Return the scores (N, K) float64 of N queries, NaN for a cell type without bank wells."""
    labels, known = bank.wells["label"].to_numpy(), bank.wells["cell_type"].to_numpy()
    wells, cell_types = Bank(bank.vectors, labels, known, n_classes), queries.wells["cell_type"].to_numpy()
    if facts["kind"] == "knn":
        return by_cell_type(queries.vectors, cell_types, wells, facts["k"])
    return centres_by_cell_type(queries.vectors, cell_types, wells, facts["scale"])


def _numbers(settings: NeighbourSettings, cell_types: Sequence[str]) -> dict[str, Any]:
    """Return each cell type's ``k``, or the ``scale`` of cosines. Raises UserError for an invalid or unused setting."""
    if settings.kind == "centres":
        if settings.k:
            raise UserError("--k has no effect with --kind=centres; omit it")
        scale = 30.0 if settings.scale is None else settings.scale
        if not 0 < scale < np.inf:
            raise UserError(f"--scale is {scale:g}, must be a number above 0")
        return {"scale": scale}
    if settings.scale is not None:
        raise UserError("--scale has no effect with --kind=knn; omit it")
    return {"k": _neighbours(settings.k, cell_types)}


def _neighbours(words: Sequence[str], cell_types: Sequence[str]) -> dict[str, int]:
    """Return cell type -> k."""
    k = {name: NEIGHBOURS.get(name, USUAL) for name in cell_types}
    if len(words) == 1 and "=" not in words[0]:
        return dict.fromkeys(k, _whole(words[0]))
    names = [word.partition("=")[0].strip() for word in words]
    for name, word in zip(names, words, strict=True):
        if name not in k:
            known = ", ".join(cell_types)
            raise UserError(f"--k: no cell type {name!r} in the screen ({known}){nearest(name, cell_types)}")
        if names.count(name) > 1:
            raise UserError(f"--k: {name} is listed twice")
        k[name] = _whole(word.partition("=")[2])
    return k


def _whole(text: str) -> int:
    """Return the number of neighbours in a text."""
    if not text.strip().isdecimal() or int(text) < 1:
        raise UserError(f"--k: {text!r} neighbours, must be a whole number from 1 on (--k=30 or --k=HUVEC=100,RPE=30)")
    return int(text)


def _scored(queries: Embedded, scores: np.ndarray, split: str) -> np.ndarray:
    """Return the mask, (N,) bool, of wells with scores; log how many lack them. Raises UserError if none has."""
    scored = ~np.isnan(scores[:, 0])
    absent = queries.wells["cell_type"][~scored].value_counts()
    if not scored.any():
        raise UserError(f"{queries.path}: the bank has no wells of {', '.join(absent.index)}, so none can be scored")
    for name, count in absent.items():
        _log.info(f"  {split}: {count:,} wells of {name} are left out: the bank has no well of that cell type")
    return scored
