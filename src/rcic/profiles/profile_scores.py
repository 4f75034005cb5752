"""What embeddings say of a screen's controls and replicates, network by network.

Embeddings of two networks cannot be compared, so everything is within one member (channel set, fold, model): of
held-out wells each fold's network sees its own. For replicates each plate's mean, over its treated and control wells,
is subtracted.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rcic.decide.control_quality import QUALITY
from rcic.ensemble.predictions import of_models
from rcic.ensemble.scoring import known_truth
from rcic.errors import UserError, plural
from rcic.files.kept import Kept, kept_or_made, kept_tables, table_of
from rcic.files.names import Member, embedding_files, find_members
from rcic.files.record import Record, write_result
from rcic.files.sealed_json import digest_of_values
from rcic.profiles.embedding_inputs import EmbeddingInputs
from rcic.profiles.member_profiles import read_profiles
from rcic.profiles.profile_tables import MEMBER_COLUMNS, MEMBER_TABLES, member_tables, placed
from rcic.profiles.replicate_retrieval import NULL_SEED, NULL_SIZE, THRESHOLD, copairs_version
from rcic.screen.source import DataRoot
from rcic.screen.table import Screen, as_screen

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class ProfileScores:
    """Tables that begin with model, channels and fold of the member."""

    controls: pd.DataFrame  # a row a plate: `rcic.decide.control_quality.plate_qualities`
    replicates: pd.DataFrame  # a row a cell type: cell_type, and the fields of `ReplicateCorrelation`
    retrieval: pd.DataFrame  # against, cell_type, treatment, RETRIEVAL; empty without copairs
    notes: tuple[str, ...]  # what could not be computed, and why
    origin: Record = field(default_factory=lambda: Record("retrieval"))

    @property
    def plate_reasons(self) -> dict[str, int]:
        """Reason -> number of plates whose controls no network scored for it; "": those that one did."""
        plates = self.controls.sort_values("reason").drop_duplicates(["experiment", "plate"])
        return {str(reason): int(count) for reason, count in plates["reason"].value_counts().items()}

    @property
    def retrieved(self) -> pd.DataFrame:
        """A row a member, comparison and cell type: numbers of treatments, mean mAP, shares retrieved (%)."""
        by = [*MEMBER_COLUMNS, "against", "cell_type"]
        groups = self.retrieval.groupby(by, sort=False, dropna=False)
        rows = [{**dict(zip(by, key, strict=True)), **_summary(rows)} for key, rows in groups]
        return pd.DataFrame(rows)

    def plain(self) -> dict[str, Any]:
        """Return all but the rows of single treatments as JSON values."""
        scored = self.controls[self.controls["reason"] == ""]
        return {
            "controls": {
                "n_plates": len(self.controls),
                "n_scored": len(scored),
                "median": {name: _plain(scored[name].median()) for name in QUALITY},
                "plates": _rows(self.controls),
            },
            "replicates": _rows(self.replicates),
            "retrieval": {
                "library": copairs_version(),
                "null_size": NULL_SIZE,
                "seed": NULL_SEED,
                "threshold": THRESHOLD,
                "groups": _rows(self.retrieved),
            },
            "profile_notes": list(self.notes),
        }


def profile_scores(
    data_root: DataRoot | Screen,
    embed_root: str | Path,
    split: str = "test",
    truth: str | Path | None = None,
    models: Sequence[str] = (),
    keep: bool = False,
) -> ProfileScores:
    """Return what the embeddings below ``embed_root`` say of held-out ("valid") or test wells, and of their plates.

    ``truth`` and ``models`` are those of `rcic.ensemble.scoring.score`. With ``keep`` a network's tables are kept
    beside its embeddings (`rcic.files.kept`) and made anew only if anything differs. Raises UserError for embeddings
    that are not there or do not fit the screen, or where no truth is known.
    """
    screen, root = as_screen(data_root), Path(embed_root)
    name = embedding_files(Path(), split)["embeddings"].name
    if not (members := find_members(root, name)):
        raise UserError(f"{root}: no {name} in folders like [1,2,3,4,5]/fold_0/MODEL; run embed-all first")
    labels, tables = _labels(screen, split, truth), []
    digests: dict[str, str] = {}
    notes: list[str] = []
    for member in of_models(members, models, f"{root}: no embeddings"):
        _log.info(f"profiles of {root / member.folder}")
        kept = _member_scores(screen, root, member, split, labels, keep)
        tables.append([placed(table_of(name, kept), member) for name in MEMBER_TABLES])
        digests |= kept.facts["digests"]
        notes += kept.facts["notes"]
    facts = {**screen.source_facts, "embed_root": str(root), "split": split}
    made_from = {"classes": screen.identity.treatments, "embeddings": digests}
    controls, replicates, retrieval = (_joined(parts) for parts in zip(*tables, strict=True))
    return ProfileScores(
        controls, replicates, retrieval, tuple(dict.fromkeys(notes)), Record("retrieval", made_from, facts=facts)
    )


def _member_scores(
    screen: Screen, root: Path, member: Member, split: str, labels: Mapping[str, int], keep: bool
) -> Kept:
    """Return a member's tables and, as facts, the digests of its embeddings and notes on what is lacking."""

    def make() -> Kept:
        profiles, notes = read_profiles(screen, root, member, split, labels), list[str]()
        tables = dict(zip(MEMBER_TABLES, member_tables(profiles, screen, notes), strict=True))
        return kept_tables(tables, {"digests": profiles.digests, "notes": notes})

    settings = {"library": copairs_version(), "labels": digest_of_values(dict(labels)), "null_size": NULL_SIZE}
    inputs = EmbeddingInputs(screen, root, member, (split, "controls"), settings)
    return kept_or_made(f"profiles_{split}", inputs, make)[0] if keep else make()


def profile_text(scores: ProfileScores) -> str:
    """Return the scores as lines; of several plates the median, the lowest and the highest."""
    scored = scores.controls[scores.controls["reason"] == ""]
    reasons = scores.plate_reasons
    n_plates = plural(sum(reasons.values()), "plate")
    lines = [f"Controls, along a direction fitted on other plates: {reasons.pop('', 0)} of {n_plates}"]
    for name, title in (("z_prime", "Z'  "), ("ssmd", "SSMD")) if len(scored) else ():
        low, middle, high = (scored[name].quantile(share) for share in (0, 0.5, 1))
        robust = scored[f"robust_{name}"].median()
        lines.append(f"  {title}  median {middle:.2f} ({low:.2f} to {high:.2f}), robust {robust:.2f}")
    lines += [f"  {plural(count, 'plate')} without: {reason}" for reason, count in reasons.items()]
    lines.append("Replicates, mean correlation of embeddings:")
    lines += [_correlation_line(row) for row in scores.replicates.to_dict("records")]
    lines += [_retrieval_line(row) for row in scores.retrieved.to_dict("records")]
    return "\n".join([*lines, *scores.notes])


def write_retrieval(scores: ProfileScores, path: Path) -> None:
    """Write the table of `ProfileScores.retrieval` as CSV, and its record beside it, ``retrieval.json``."""
    write = partial(scores.retrieval.to_csv, index=False, float_format="%.6g")
    write_result(path.with_suffix(".json"), scores.origin, {path.name: write})


def _labels(screen: Screen, split: str, truth: str | Path | None) -> Mapping[str, int]:
    """Return id_code -> class of the treated wells of a split, -1 where unknown."""
    wells = screen.select("test" if split == "test" else "train", "treatment")
    labels = known_truth(screen, wells, truth) if split == "test" else wells["label"].to_numpy()
    return dict(zip(wells["id_code"], labels.tolist(), strict=True))


def _joined(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)


def _summary(rows: pd.DataFrame) -> dict[str, Any]:
    """Return the summary of a group of treatments; mAP and shares are of those with replicates."""
    known = rows[rows["mean_average_precision"].notna()]
    return {
        "n_treatments": len(known),
        "n_alone": len(rows) - len(known),
        "mean_average_precision": known["mean_average_precision"].mean(),
        **{name: 100 * known[name].astype(float).mean() for name in ("retrieved", "retrieved_ties")},
    }


def _correlation_line(row: Mapping[str, Any]) -> str:
    if not row["n_treatments"]:
        return f"  {_named(row)}: none, each treatment has one well here"
    return (
        f"  {_named(row)}: {row['same']:.3f} within {plural(row['n_treatments'], 'treatment')}, "
        f"{row['others']:.3f} between; permuted {row['null_mean']:.3f} (p {row['p_value']:.3f})"
    )


def _retrieval_line(row: Mapping[str, Any]) -> str:
    if not row["n_treatments"]:
        return f"Retrieval against {row['against']}, {_named(row)}: none, each treatment has one well here"
    return (
        f"Retrieval against {row['against']}, {_named(row)}: mAP {row['mean_average_precision']:.3f}, "
        f"{row['retrieved']:.1f} % of {plural(row['n_treatments'], 'treatment')} at corrected p < {THRESHOLD:g} "
        f"({row['retrieved_ties']:.1f} % with ties counted)"
    )


def _named(row: Mapping[str, Any]) -> str:
    fold = "" if pd.isna(row["fold"]) else f" fold {row['fold']:.0f}"
    return f"{row['model']} {row['channels']}{fold} {row['cell_type']}"


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table as JSON values."""
    return [{str(name): _plain(value) for name, value in row.items()} for row in table.to_dict("records")]


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: numpy's numbers as Python's, None for NaN and infinity."""
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not np.isfinite(value) else value
