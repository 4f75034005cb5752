"""The choice among normalisations by cross-validation: experiments or plates are held out in turn.

What suits one screen hurts another: sphering on controls gives the best profiles of BBBC021 and the worst of a screen
with few controls. So the choice is made on labelled wells, and a candidate is judged on wells of a unit whose labels it
has not seen.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from rcic.decide.knn import Bank, centres_by_cell_type
from rcic.decide.whitening import Centre, Normalisation, Whiten, centred, reference_wells, whitenings
from rcic.errors import UserError

SHRINKS = (0.03, 0.3)
SCALES = (1.0, 300.0)  # between these the factor of cosines is searched
_HELD_OUT = 5  # parts of the units at most
_FEWEST = 20  # wells that a choice is made on, at least


@dataclass(frozen=True, eq=False)
class NormalisationChoice:
    """The candidates and how each did: a row each of ``table``, the chosen one first.

    Columns: settings (as flags), share (mean probability in % of a held-out well's own treatment), accuracy (% of the
    held-out wells), spread (of the share, standard deviation over the parts), scale, n_wells, n_parts.
    """

    settings: Normalisation
    scale: float
    table: pd.DataFrame


def normalisation_candidates(wells: pd.DataFrame, by_cell_type: bool = False) -> list[Normalisation]:
    """Return the normalisations that a screen allows: those with controls need two on some plate."""
    controls = wells[reference_wells(wells, "controls")]
    enough = bool(len(controls)) and bool(controls.groupby(["experiment", "plate"]).size().max() > 1)
    places: tuple[Centre, ...] = ("plate", "experiment", "off")
    centres = [Normalisation(place, by_cell_type=by_cell_type) for place in places]
    centres += [replace(centres[0], reference="controls")] * enough
    kinds: tuple[Whiten, ...] = ("replicates", "controls", "pooled", "tvn") if enough else ("replicates",)
    return [*centres, *(replace(c, whiten=w, shrink=s) for c in centres for w in kinds for s in SHRINKS)]


def choose_normalisation(
    vectors: np.ndarray, wells: pd.DataFrame, known: np.ndarray, held_out: np.ndarray, among: Sequence[Normalisation]
) -> NormalisationChoice:
    """Return the normalisation among ``among`` under which class centres name held-out wells best: see `judged`."""
    return best_of([judged(vectors, wells, known, held_out, among)], among)


def judged(
    vectors: np.ndarray, wells: pd.DataFrame, known: np.ndarray, held_out: np.ndarray, among: Sequence[Normalisation]
) -> pd.DataFrame:
    """Return a row for each candidate that can be fitted, with the columns of `NormalisationChoice`.

    ``vectors`` (N, D), ``wells`` N rows as for `rcic.decide.whitening.normalised`; ``known`` (N,) bool: wells whose
    labels may be used. ``held_out`` (N,) bool are those of them that may be judged: all, or where a network has
    learnt from the labels those that it has not seen. They are held out in at most five parts of whole units
    (`unit_numbers`); a well whose treatment no other known well of its cell type has is not judged. Raises UserError if
    fewer than 20 wells can be judged.
    """
    found = [(part, judgeable(wells, known, part)) for part in parts(wells, known, held_out)]
    found = [(part, queries) for part, queries in found if queries.any()]
    if sum(int(queries.sum()) for _, queries in found) < _FEWEST:
        raise UserError(f"fewer than {_FEWEST} labelled wells can be held out with others of their treatment left")
    rows = []
    for base in dict.fromkeys(replace(settings, shrink=0) for settings in among):
        shrinks = [settings.shrink for settings in among if replace(settings, shrink=0) == base]
        rows += _rows(vectors, wells, known, found, base, shrinks)
    return pd.DataFrame(rows)


def best_of(tables: Sequence[pd.DataFrame], among: Sequence[Normalisation]) -> NormalisationChoice:
    """Return the candidate with the highest share in the tables of `judged` together, their wells counted alike.

    The share scatters less with few wells than the accuracy does, and a well that is far off counts less than in the
    likelihood.
    """
    rows = pd.concat(tables)
    means = [name for name in ("share", "accuracy", "spread", "scale") if name in rows]
    rows[means] = rows[means].mul(rows["n_wells"], axis=0)
    table = rows.groupby("settings", sort=False).sum(min_count=1)
    table[means] = table[means].div(table["n_wells"], axis=0)
    table = table.sort_values("share", ascending=False, kind="stable").reset_index()
    best = next(settings for settings in among if str(settings) == table["settings"].iloc[0])
    return NormalisationChoice(best, float(table["scale"].iloc[0]), table)


def parts(wells: pd.DataFrame, known: np.ndarray, held_out: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the masks, (N,) bool, of the parts of held-out wells: whole units, dealt in turn within each cell type."""
    units = unit_numbers(wells, known)
    places = pd.DataFrame({"unit": units, "cell_type": wells["cell_type"].to_numpy()})[held_out].drop_duplicates("unit")
    part_of = dict(zip(places["unit"], places.groupby("cell_type").cumcount() % _HELD_OUT, strict=True))
    numbers = np.array([part_of.get(unit, -1) for unit in units])
    yield from (held_out & (numbers == number) for number in range(_HELD_OUT) if (held_out & (numbers == number)).any())


def unit_numbers(wells: pd.DataFrame, known: np.ndarray) -> np.ndarray:
    """Return the unit of each well, (N,) int: its experiment, or its plate if most treatments are in one experiment."""
    chosen = wells[known & (wells["label"] >= 0).to_numpy()]
    spread = chosen.groupby(["cell_type", "label"])["experiment"].nunique()
    by = ["experiment"] if len(spread) and (spread > 1).mean() > 0.5 else ["experiment", "plate"]
    return wells.groupby(by, sort=False).ngroup().to_numpy()


def judgeable(wells: pd.DataFrame, known: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Return the mask of wells of a part whose treatment is known of another well of their cell type."""
    keys = pd.MultiIndex.from_frame(wells[["cell_type", "label"]])
    treated = (wells["label"] >= 0).to_numpy() & reference_wells(wells, "treatments")
    return np.asarray(part & treated & keys.isin(keys[known & ~part & treated].unique()))


def _rows(
    vectors: np.ndarray,
    wells: pd.DataFrame,
    known: np.ndarray,
    found: Sequence[tuple[np.ndarray, np.ndarray]],
    base: Normalisation,
    shrinks: Sequence[float],
) -> list[dict[str, object]]:
    """Return the rows of one normalisation with several ridges; none if it cannot be fitted."""
    labels = wells["label"].to_numpy()
    cosines: list[list[np.ndarray]] = [[] for _ in shrinks]
    try:
        profiles = centred(vectors, wells, base)
        for part, queries in found:
            for number, done in enumerate(whitenings(profiles, wells, known & ~part, base, shrinks)):
                cosines[number].append(_cosines(done, wells, known & ~part, queries))
    except UserError:
        return []
    truth = [labels[queries] for _, queries in found]
    settings = [replace(base, shrink=shrink) for shrink in shrinks]
    return [{"settings": str(s), **_measures(c, truth)} for s, c in zip(settings, cosines, strict=True)]


def _measures(cosines: Sequence[np.ndarray], truth: Sequence[np.ndarray]) -> dict[str, float]:
    """Return the measures of a candidate from the cosines (Q, K) and labels (Q,) of each part."""
    scale, sizes = best_scale(np.concatenate(cosines), np.concatenate(truth)), [len(y) for y in truth]
    shares = [100 * own_share(scale * s, y) for s, y in zip(cosines, truth, strict=True)]
    right = [100 * np.mean(s.argmax(axis=1) == y) for s, y in zip(cosines, truth, strict=True)]
    means = {"share": np.average(shares, weights=sizes), "accuracy": np.average(right, weights=sizes)}
    spread = np.std(shares, ddof=1) if len(shares) > 1 else np.nan
    return {**means, "spread": spread, "scale": scale, "n_wells": sum(sizes), "n_parts": len(sizes)}


def _cosines(profiles: np.ndarray, wells: pd.DataFrame, known: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Return the cosines (Q, K) of the queries to the class centres of the known treatment wells."""
    labels, cell_types = wells["label"].to_numpy(), wells["cell_type"].to_numpy()
    rows = known & (labels >= 0) & reference_wells(wells, "treatments")
    bank = Bank(profiles[rows], labels[rows], cell_types[rows], int(labels.max()) + 1)
    return centres_by_cell_type(profiles[queries], cell_types[queries], bank, 1.0)


def own_share(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean softmax probability of labels (Q,) under logits (Q, K)."""
    return float(np.mean(np.exp(logits[np.arange(len(labels)), labels] - logsumexp(logits, axis=1))))


def best_scale(cosines: np.ndarray, labels: np.ndarray) -> float:
    """Return the factor of cosines (Q, K) with the lowest mean negative log-likelihood of labels (Q,)."""

    def loss(log_scale: float) -> float:
        logits = np.exp(log_scale) * cosines
        return float(np.mean(logsumexp(logits, axis=1) - logits[np.arange(len(labels)), labels]))

    return float(np.exp(minimize_scalar(loss, bounds=tuple(np.log(SCALES)), method="bounded").x))
