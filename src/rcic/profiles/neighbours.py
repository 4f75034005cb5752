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
from rcic.files.well_rows import write_well_rows
from rcic.profiles.chosen_normalisation import ChosenNormalisation, choose_for_model
from rcic.profiles.embeddings import QUERIES, Embedded, embedded_members
from rcic.profiles.member_wells import MemberWells, read_member
from rcic.profiles.neighbour_options import NeighbourSettings
from rcic.profiles.site_embeddings import read_sites
from rcic.screen.layout import Groups, learn_groups
from rcic.screen.source import DataRoot
from rcic.screen.table import Screen, read_screen

__all__ = ["NeighbourSettings", "neighbours"]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class _Search:
    """How queries of one model are scored."""

    settings: NeighbourSettings
    chosen: ChosenNormalisation
    facts: dict[str, Any]  # for the record
    groups: Groups | None

    def bank(self, wells: MemberWells, split: str) -> list[str]:
        """Return the splits of the bank for queries of a split: held-out wells answer for test wells only."""
        both = split == "test" and self.settings.bank == "all" and "valid" in wells.parts
        return ["train", "valid"] if both else ["train"]

    def network(self, wells: MemberWells) -> str:
        """Return the identity of what makes the scores of both splits: the network, all labelled wells, the settings.

        It is one, so that a calibration on held-out wells holds for test wells.
        """
        parts = [wells.parts[split] for split in self.bank(wells, "test")]
        known = [(part.fingerprint(), part.wells["label"].tolist()) for part in parts]
        around = wells.fingerprint(wells.around("valid")) if self.chosen.looks_around else ""
        return network_id(wells.parts["train"].network, known, self.facts, around)


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
    same network and normalised as `rcic.decide.whitening` says. Of ``--whiten=auto`` what was tried is written beside
    the predictions, ``normalisation_MODEL+KIND.csv``. Wells of a cell type without bank wells are left out with a
    message. Existing files are kept if they were made from the same embeddings with the same settings. Raises UserError
    for flags that do not fit, no embeddings (of ``models``, if given) or embeddings that do not fit the screen or the
    bank.
    """
    screen, root, out = read_screen(data_root), Path(embed_root), Path(out_dir)
    facts = _facts(settings, sorted(screen.wells["cell_type"].unique()))
    groups, members = _groups(screen, settings), embedded_members(root, models)
    for model in dict.fromkeys(member.model for member in members):
        of_model = [member for member in members if member.model == model]
        chosen = choose_for_model(screen, root, of_model, settings, out)
        search = _Search(settings, chosen, {**facts, **chosen.facts(settings)}, groups)
        for member in of_model:
            _write_member(screen, read_member(screen, root, member), search, out)


def _write_member(screen: Screen, wells: MemberWells, search: _Search, out: Path) -> None:
    """Write the scores of one member's queries that are not there yet."""
    folder = replace(wells.member, model=f"{wells.member.model}+{search.settings.kind}").folder
    _log.info(f"{folder}: {len(wells.parts['train'].wells):,} wells in the bank")
    for split in (split for split in QUERIES if split in wells.parts):
        if split == "test" and search.settings.bank == "all":
            _log.info(f"  test: {_held_out_words(wells)}")
        record = _record(screen, wells, split, search)
        files = prediction_files(out / folder, split)
        if is_written(files["record"], record):
            _log.info(f"  {split}: done already")
            continue
        scores = _scores(screen, wells, split, search)
        scored = _scored(wells.parts[split], scores, split)
        codes = wells.parts[split].wells["id_code"][scored]
        write_well_rows(files, {"logits": scores[scored].astype(np.float32)}, codes, record)


def _held_out_words(wells: MemberWells) -> str:
    if "valid" not in wells.parts:
        name = embedding_files(Path(), "valid")["embeddings"].name
        return f"the bank lacks the held-out wells, as there is no {name}; embed-all --splits=valid makes it"
    return f"{len(wells.parts['valid'].wells):,} held-out wells are in the bank, too"


def _groups(screen: Screen, settings: NeighbourSettings) -> Groups | None:
    """Return the plate groups within which neighbours are sought, None for no groups."""
    if settings.within == "all":
        return None
    groups = learn_groups(screen)
    if len(groups.sizes) == 1:
        _log.info("the screen has no plate groups, so --within=group changes nothing")
    return groups


def _record(screen: Screen, wells: MemberWells, split: str, search: _Search) -> Record:
    """Return the record of the scores of a split: what they were embedded from, the bank, and its wells' labels.

    The labels are those of the tables now, so the wells of the bank's and the queries' experiments are, too.
    """
    queries, bank = wells.parts[split], [wells.parts[part] for part in search.bank(wells, split)]
    origin = {} if queries.record is None else queries.record.made_from
    made_with = {} if queries.record is None else queries.record.made_with
    compared = {name: wells.parts[name] for name in (split, *search.bank(wells, split))}
    used = wells.parts if search.chosen.looks_around and split == "test" else compared
    known = {name for part in (*bank, queries) for name in part.wells["experiment"]}
    prints = [part.fingerprint() for part in bank]
    made_from = {
        **origin,
        "classes": screen.identity.treatments,
        "wells": screen.identity.wells(known),
        "bank": prints[0] if len(prints) == 1 else prints,
        "queries": queries.fingerprint(),
        "embeddings": {part.path.name: part.record.digest for part in used.values() if part.record is not None},
        **({"normalised_with": wells.fingerprint(wells.around(split))} if search.chosen.looks_around else {}),
    }
    held_out = {} if queries.record is None else {k: v for k, v in queries.record.facts.items() if k == "held_out"}
    found = {
        "network": search.network(wells),
        "embed_folder": str(queries.path.parent),
        "bank_wells": {part.path.stem: len(part.wells) for part in bank},
        **held_out,
        **screen.source_facts,
    }
    return Record("prediction", made_from, {**made_with, **search.facts}, facts=found)


def _scores(screen: Screen, wells: MemberWells, split: str, search: _Search) -> np.ndarray:
    """Return the scores (N, K) float64 of the N wells of a split, NaN for a cell type without bank wells."""
    facts, splits = search.facts, search.bank(wells, split)
    by_site, cell_types = facts.get("sites_compared") == "best", wells.parts[split].wells["cell_type"].to_numpy()
    table = pd.concat([wells.parts[part].wells[["label", "cell_type"]] for part in splits], ignore_index=True)
    profiles = (
        {part: read_sites(wells.parts[part]) for part in (*splits, split)}
        if by_site
        else wells.normalised(search.chosen.settings, split, splits)
    )
    joined = np.concatenate([profiles[part] for part in splits])
    bank = Bank(joined, table["label"].to_numpy(), table["cell_type"].to_numpy(), screen.n_treatments)
    if facts["kind"] == "centres":
        return centres_by_cell_type(profiles[split], cell_types, bank, facts["scale"])
    rule = Votes(facts["votes"] == "balanced", None if search.groups is None else search.groups.of_class)
    if by_site:
        return best_site_scores(profiles[split], cell_types, bank, facts["k"], rule=rule)
    return by_cell_type(profiles[split], cell_types, bank, facts["k"], rule=rule)


def _facts(settings: NeighbourSettings, cell_types: Sequence[str]) -> dict[str, Any]:
    """Return the settings for the record, ``k`` by cell type. Raises UserError for an invalid or unused one."""
    shared = {"kind": settings.kind, "bank": settings.bank}
    if settings.kind == "centres":
        unused = {"votes": "balanced", "within": "all", "sites": "mean"}
        flags = ["k"] if settings.k else [name for name, value in unused.items() if getattr(settings, name) != value]
        if flags:
            raise UserError(f"--{flags[0]} has no effect with --kind=centres; omit it")
        if settings.scale is not None and not 0 < settings.scale < np.inf:
            raise UserError(f"--scale is {settings.scale:g}, must be a number above 0")
        return shared
    if settings.scale is not None:
        raise UserError("--scale has no effect with --kind=knn; omit it")
    if settings.sites == "best" and (settings.centre, settings.whiten) != ("off", "off"):
        raise UserError("--sites=best compares single sites as they are embedded; add --centre=off --whiten=off")
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
