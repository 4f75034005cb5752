"""Class scores from embedding files, written as prediction folders: the vote of neighbours, or class centres."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rcic.decide.knn import NEIGHBOURS, USUAL, Bank, Votes, best_site_scores, by_cell_type, centres_by_cell_type
from rcic.errors import UserError, nearest
from rcic.files.names import embedding_files, prediction_files
from rcic.files.record import Record, is_written, network_id
from rcic.files.regular import is_there
from rcic.files.well_rows import write_well_rows
from rcic.profiles.embeddings import Embedded, check_pair, embedded_members, query_splits, read_embeddings
from rcic.profiles.neighbour_options import NeighbourSettings
from rcic.profiles.site_embeddings import read_sites
from rcic.screen.layout import Groups, learn_groups
from rcic.screen.source import DataRoot
from rcic.screen.table import Screen, read_screen

__all__ = ["NeighbourSettings", "neighbours"]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class _LabelledWells:
    """One member's labelled wells: those that it was trained on and, if they count, those that it held out."""

    train: Embedded
    held_out: Embedded | None

    def parts(self, split: str) -> list[Embedded]:
        """Return the embeddings of the bank for queries of a split: held-out wells answer for test wells only."""
        return [self.train, *([self.held_out] if split == "test" and self.held_out else [])]

    def network(self, facts: dict[str, Any]) -> str:
        """Return the identity of what makes the scores of both splits: the network, all labelled wells, the settings.

        It is one, so that a calibration on held-out wells holds for test wells.
        """
        parts = self.parts("test")
        known = [(part.fingerprint(), part.wells["label"].tolist()) for part in parts]
        return network_id(self.train.network, known, facts)


def neighbours(
    data_root: DataRoot,
    embed_root: str | Path,
    out_dir: str | Path,
    settings: NeighbourSettings,
    models: Sequence[str] = (),
) -> None:
    """Write the scores of each member's test and held-out wells as predictions of a model ``MODEL+knn|+centres``.

    The bank holds the labelled train treatments that the member was trained on (no control, no pseudo-labelled well)
    and, for test wells, those that it held out: a well is compared with those of its own cell type, embedded by the
    same network. Wells of a cell type without bank wells are left out with a message. Existing files are kept if they
    were made from the same embeddings with the same settings. Raises UserError for flags that do not fit, no embeddings
    (of ``models``, if given) or embeddings that do not fit the screen or the bank.
    """
    screen, root = read_screen(data_root), Path(embed_root)
    facts = _facts(settings, sorted(screen.wells["cell_type"].unique()))
    groups = _groups(screen, settings)
    for member in embedded_members(root, models):
        known = _labelled(screen, root / member.folder, settings)
        folder = replace(member, model=f"{member.model}+{settings.kind}").folder
        _log.info(f"{folder}: {len(known.train.wells):,} wells in the bank")
        for split in query_splits(root / member.folder):
            queries = known.held_out if split == "valid" else None
            queries = queries or _read(screen, root / member.folder, split, settings)
            bank = known.parts(split)
            for part in bank:
                check_pair(queries, part)
            if split == "test" and settings.bank == "all":
                _log.info(f"  test: {_held_out_words(known)}")
            record = _record(queries, bank, facts, screen, known.network(facts))
            files = prediction_files(Path(out_dir) / folder, split)
            if is_written(files["record"], record):
                _log.info(f"  {split}: done already")
                continue
            scores = _scores(screen, queries, bank, facts, groups)
            scored = _scored(queries, scores, split)
            codes = queries.wells["id_code"][scored]
            write_well_rows(files, {"logits": scores[scored].astype(np.float32)}, codes, record)


def _read(screen: Screen, folder: Path, split: str, settings: NeighbourSettings) -> Embedded:
    """Return a member's embeddings of a split as they are compared."""
    return read_embeddings(screen, folder, split, settings.centred == "plate")


def _labelled(screen: Screen, folder: Path, settings: NeighbourSettings) -> _LabelledWells:
    """Return a member's labelled wells. Raises UserError for a held-out well that it was trained on."""
    train = _read(screen, folder, "train", settings)
    if settings.bank == "train" or not is_there(embedding_files(folder, "valid")["embeddings"]):
        return _LabelledWells(train, None)
    held_out = _read(screen, folder, "valid", settings)
    check_pair(held_out, train)
    return _LabelledWells(train, held_out)


def _held_out_words(known: _LabelledWells) -> str:
    if known.held_out is None:
        name = embedding_files(Path(), "valid")["embeddings"].name
        return f"the bank lacks the held-out wells, as there is no {name}; embed-all --splits=valid makes it"
    return f"{len(known.held_out.wells):,} held-out wells are in the bank, too"


def _groups(screen: Screen, settings: NeighbourSettings) -> Groups | None:
    """Return the plate groups within which neighbours are sought, None for no groups."""
    if settings.within == "all":
        return None
    groups = learn_groups(screen)
    if len(groups.sizes) == 1:
        _log.info("the screen has no plate groups, so --within=group changes nothing")
    return groups


def _record(queries: Embedded, bank: Sequence[Embedded], facts: dict[str, Any], screen: Screen, network: str) -> Record:
    """Return the record of the scores of some queries: what they were embedded from, the bank, and its wells' labels.

    The labels are those of the tables now, so the wells of the bank's and the queries' experiments are, too.
    """
    origin = {} if queries.record is None else queries.record.made_from
    made_with = {} if queries.record is None else queries.record.made_with
    embedded = {part.path.name: part for part in (*bank, queries)}
    fingerprints = [part.fingerprint() for part in bank]
    made_from = {
        **origin,
        "classes": screen.identity.treatments,
        "wells": screen.identity.wells({name for part in embedded.values() for name in part.wells["experiment"]}),
        "bank": fingerprints[0] if len(bank) == 1 else fingerprints,
        "queries": queries.fingerprint(),
        "embeddings": {name: part.record.digest for name, part in embedded.items() if part.record is not None},
    }
    held_out = {} if queries.record is None else {k: v for k, v in queries.record.facts.items() if k == "held_out"}
    found = {
        "network": network,
        "embed_folder": str(queries.path.parent),
        "bank_wells": {part.path.stem: len(part.wells) for part in bank},
        **held_out,
        **screen.source_facts,
    }
    return Record("prediction", made_from, {**made_with, **facts}, facts=found)


def _scores(
    screen: Screen, queries: Embedded, bank: Sequence[Embedded], facts: dict[str, Any], groups: Groups | None
) -> np.ndarray:
    """Return the scores (N, K) float64 of N queries, NaN for a cell type without bank wells."""
    by_site, cell_types = facts.get("sites_compared") == "best", queries.wells["cell_type"].to_numpy()
    table = pd.concat([part.wells[["label", "cell_type"]] for part in bank], ignore_index=True)
    vectors = [read_sites(part) if by_site else part.vectors for part in bank]
    joined = vectors[0] if len(vectors) == 1 else np.concatenate(vectors)
    wells = Bank(joined, table["label"].to_numpy(), table["cell_type"].to_numpy(), screen.n_treatments)
    if facts["kind"] == "centres":
        return centres_by_cell_type(queries.vectors, cell_types, wells, facts["scale"])
    rule = Votes(facts["votes"] == "balanced", None if groups is None else groups.of_class)
    if by_site:
        return best_site_scores(read_sites(queries), cell_types, wells, facts["k"], rule=rule)
    return by_cell_type(queries.vectors, cell_types, wells, facts["k"], rule=rule)


def _facts(settings: NeighbourSettings, cell_types: Sequence[str]) -> dict[str, Any]:
    """Return the settings for the record, ``k`` by cell type. Raises UserError for an invalid or unused one."""
    shared = {"kind": settings.kind, "centred": settings.centred, "bank": settings.bank}
    if settings.kind == "centres":
        unused = {"votes": "balanced", "within": "all", "sites": "mean"}
        flags = ["k"] if settings.k else [name for name, value in unused.items() if getattr(settings, name) != value]
        if flags:
            raise UserError(f"--{flags[0]} has no effect with --kind=centres; omit it")
        scale = 30.0 if settings.scale is None else settings.scale
        if not 0 < scale < np.inf:
            raise UserError(f"--scale is {scale:g}, must be a number above 0")
        return {**shared, "scale": scale}
    if settings.scale is not None:
        raise UserError("--scale has no effect with --kind=knn; omit it")
    if settings.sites == "best" and settings.centred != "off":
        raise UserError("--sites=best compares single sites as they are embedded; add --centred=off")
    by_site = {"sites_compared": "best"} if settings.sites == "best" else {}
    voting = {"votes": settings.votes, "within": settings.within, **by_site}
    return {**shared, **voting, "k": _neighbours(settings.k, cell_types)}


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
