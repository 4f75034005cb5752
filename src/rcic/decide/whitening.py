"""Normalisation of profiles: what a plate or experiment shifts is subtracted, what varies without meaning is shrunk.

Letters: N wells, D features, x a well's profile (D,), b its batch (a plate or an experiment). In this order:

* *Centring*: x - m(b), with m(b) the mean of the batch's reference wells (all, the treatments, or the negative
  controls). A batch with fewer than `FEWEST_REFERENCES` of them takes the mean of its experiment's, an experiment with
  fewer that of its cell type's: a plate with a single well would else become a zero vector.
* *Whitening* with a covariance S, whose variances are raised by a share ``shrink`` of their mean (ridge):
  W = (S + shrink * tr(S) / D * I) ** (-1/2), x -> W x, the symmetric root, which turns the axes least (ZCA: Kessy,
  Lewin, Strimmer 2018).

  - ``replicates``: S is the scatter of wells of one treatment around its mean, within a cell type, pooled over
    treatments. That is the within-class covariance of Fisher's discriminant analysis and of speaker recognition (WCCN:
    Hatch, Kajarekar, Stolcke 2006); directions in which replicates on several plates differ count less.
  - ``controls``: S is the covariance of negative controls around their batch's mean ("sphering", as pycytominer's
    ``spherize``).
  - ``pooled``: both scatters as one, weighted by their degrees of freedom.
  - ``tvn``: typical variation normalisation (Ando, McLean, Berndl 2017): whitened by negative controls as above, then
    each batch's controls are given the covariance of all controls (CORAL: Sun, Feng, Saenko 2016):
    x -> C ** (1/2) C_b ** (-1/2) x, both with the same ridge.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from rcic.errors import UserError

FEWEST_REFERENCES = 4  # reference wells that a batch's own mean needs
_BLOCK = 4_096  # wells in float64 at a time

Centre = Literal["plate", "experiment", "off"]
Reference = Literal["all", "treatments", "controls"]
Whiten = Literal["off", "replicates", "controls", "pooled", "tvn"]


@dataclass(frozen=True)
class Normalisation:
    """What is done to profiles: see the top of this module.

    ``shrink`` is the ridge as a share of the mean variance; ``by_cell_type`` fits S on each cell type's wells alone
    instead of pooling them.
    """

    centre: Centre = "plate"
    reference: Reference = "all"
    whiten: Whiten = "off"
    shrink: float = 0.1
    by_cell_type: bool = False

    def __str__(self) -> str:
        """The settings as flags of `rcic neighbours`."""
        words = [f"--centre={self.centre}"] + [f"--reference={self.reference}"] * (self.centre != "off")
        words += [f"--whiten={self.whiten}"] + [f"--shrink={self.shrink:g}"] * (self.whiten != "off")
        return " ".join([*words, *(["--by=cell_type"] if self.by_cell_type and self.whiten != "off" else [])])


def normalised(vectors: np.ndarray, wells: pd.DataFrame, known: np.ndarray, settings: Normalisation) -> np.ndarray:
    """Return the normalised profiles, (N, D) float32.

    ``vectors`` (N, D) float; ``wells`` N rows with the columns experiment, plate, cell_type, well_type and label;
    ``known`` (N,) bool are the wells whose labels may be used: no query is among them. Raises UserError if there are no
    replicates, or too few controls, to fit a covariance on.
    """
    return whitened(centred(vectors, wells, settings), wells, known, settings)


def centred(vectors: np.ndarray, wells: pd.DataFrame, settings: Normalisation) -> np.ndarray:
    """Return the profiles, (N, D) float32, less the mean of their batch's reference wells; errors as `batch_means`."""
    if settings.centre == "off":
        return vectors.astype(np.float32)
    means, row = batch_means(vectors, wells, settings)
    out = np.empty(vectors.shape, np.float32)
    for number, rows in _rows_of(row, len(means)):
        out[rows] = vectors[rows] - means[number]
    return out


def batch_means(vectors: np.ndarray, wells: pd.DataFrame, settings: Normalisation) -> tuple[np.ndarray, np.ndarray]:
    """Return the means (M, D) float64 of batches' reference wells, and which of them is subtracted from each well.

    Raises UserError for a cell type without any.
    """
    units = ["experiment", "plate"] if settings.centre == "plate" else ["experiment"]
    chosen = np.flatnonzero(reference_wells(wells, settings.reference))
    means, row, total = [], np.full(len(wells), -1), 0
    for by, fewest in ((units, FEWEST_REFERENCES), (["experiment"], FEWEST_REFERENCES), (["cell_type"], 1)):
        if (row >= 0).all():
            break
        groups = wells.groupby(by, sort=False).ngroup().to_numpy()
        sums, counts = group_sums(vectors, groups, groups.max() + 1, chosen)
        enough = (row < 0) & (counts[groups] >= fewest)
        row[enough] = total + groups[enough]
        means.append(sums / np.maximum(counts, 1)[:, None])
        total += len(means[-1])
    if (row < 0).any():
        name, kind = wells["cell_type"].iloc[int((row < 0).argmax())], settings.reference.removesuffix("s")
        raise UserError(f"--reference={settings.reference}: no {kind} of {name} is embedded; use --reference=all")
    return np.concatenate(means), row


def reference_wells(wells: pd.DataFrame, reference: Reference) -> np.ndarray:
    """Return the mask, (N,) bool, of the wells whose mean is a batch's."""
    if reference == "all":
        return np.ones(len(wells), dtype=bool)
    kind = {"treatments": "treatment", "controls": "negative_control"}[reference]
    return (wells["well_type"] == kind).to_numpy()


def whitened(vectors: np.ndarray, wells: pd.DataFrame, known: np.ndarray, settings: Normalisation) -> np.ndarray:
    """Return centred profiles whitened, (N, D) float32; arguments and errors as `normalised`."""
    return next(whitenings(vectors, wells, known, settings, [settings.shrink]))


def whitenings(
    vectors: np.ndarray, wells: pd.DataFrame, known: np.ndarray, settings: Normalisation, shrinks: Sequence[float]
) -> Iterator[np.ndarray]:
    """Yield what `whitened` returns for each of ``shrinks``; the axes are found once."""
    if settings.whiten == "off":
        yield from (vectors for _ in shrinks)
        return
    rows_of = _parts(wells, settings.by_cell_type)
    axes_of = [whitening_axes(vectors[rows], wells.iloc[rows], known[rows], settings) for rows in rows_of]
    for shrink in shrinks:
        out = np.empty(vectors.shape, np.float32)
        for rows, axes in zip(rows_of, axes_of, strict=True):
            out[rows] = times(vectors[rows], axes.root(shrink))
            if settings.whiten == "tvn":
                out[rows] = _aligned(out[rows], wells.iloc[rows], replace(settings, shrink=shrink))
        yield out


@dataclass(frozen=True, eq=False)
class Axes:
    """A covariance as its principal axes: variances (D,) and axes (D, D) in columns, float64."""

    variances: np.ndarray
    axes: np.ndarray

    def root(self, shrink: float, power: float = -0.5) -> np.ndarray:
        """Return (S + shrink * mean variance * I) ** power, (D, D) float64, symmetric."""
        return (self.axes * self.scales(shrink, power)) @ self.axes.T

    def scales(self, shrink: float, power: float = -0.5) -> np.ndarray:
        """Return the factor of each axis, (D,) float64; raises UserError as `axis_scales`."""
        return axis_scales(self.variances, shrink, power)


def axis_scales(variances: np.ndarray, shrink: float, power: float = -0.5) -> np.ndarray:
    """Return (variances (D,) + shrink * their mean) ** power. Raises UserError if one is 0 and none is added."""
    raised = variances + shrink * variances.mean()
    if raised.min() <= 1e-9 * raised.max():
        raise UserError(
            f"--shrink={shrink:g}: the covariance of {len(raised)} features has directions without variance; "
            "use --shrink=0.01 or more"
        )
    return np.asarray(raised**power)


def whitening_axes(vectors: np.ndarray, wells: pd.DataFrame, known: np.ndarray, settings: Normalisation) -> Axes:
    """Return the axes of the covariance to whiten with, pooled over the groups of wells that should be equal.

    Groups are the known wells of a treatment and cell type, the negative controls of a batch (of a plate unless
    centring is by experiment), or both. Raises UserError if no group has two wells.
    """
    groups = np.full(len(wells), -1)
    if settings.whiten in ("replicates", "pooled"):
        treated = known & (wells["label"] >= 0).to_numpy() & reference_wells(wells, "treatments")
        groups[treated] = wells[treated].groupby(["cell_type", "label"]).ngroup()
    if settings.whiten != "replicates":
        controls = reference_wells(wells, "controls")
        groups[controls] = groups.max() + 1 + wells[controls].groupby(_batch(settings)).ngroup()
    rows = np.flatnonzero(groups >= 0)
    return _axes(vectors[rows], groups[rows], settings.whiten)


def _batch(settings: Normalisation) -> list[str]:
    return ["experiment"] if settings.centre == "experiment" else ["experiment", "plate"]


def _axes(vectors: np.ndarray, groups: np.ndarray, whiten: Whiten) -> Axes:
    """Return the axes of the pooled covariance of vectors around their group's mean. Raises UserError without any."""
    sums, counts = group_sums(vectors, groups, int(groups.max(initial=-1)) + 1)
    freedom = int((counts - 1).clip(0).sum())
    if freedom == 0:
        lacking = {"replicates": "treatment has two labelled wells of one cell type"}
        which = lacking.get(whiten, "batch has two negative controls")
        raise UserError(f"--whiten={whiten}: no {which}; use --whiten=off")
    residuals = (vectors - (sums / np.maximum(counts, 1)[:, None])[groups]).astype(np.float32)
    variances, axes = np.linalg.eigh(_products(residuals) / freedom)
    return Axes(variances.clip(0), axes)


def _aligned(vectors: np.ndarray, wells: pd.DataFrame, settings: Normalisation) -> np.ndarray:
    """Return whitened profiles whose batches' controls have one covariance (CORAL); batches of few stay."""
    controls, out = reference_wells(wells, "controls"), vectors.copy()
    whole = whitening_axes(vectors, wells, controls, settings).root(settings.shrink, 0.5)
    for rows in wells.groupby(_batch(settings)).indices.values():
        own = rows[controls[rows]]
        if len(own) >= FEWEST_REFERENCES:
            out[rows] = times(whitened_by_few(vectors[rows], vectors[own], settings.shrink), whole)
    return out


def whitened_by_few(vectors: np.ndarray, few: np.ndarray, shrink: float) -> np.ndarray:
    """Return W x of each vector, (N, D) float64, with W from the covariance of a few vectors (M, D), as `Axes.root`.

    With U (M, D) the axes in which the few differ, f (M,) their factors and b that of all other directions, W x is
    b x + U.T (f - b) U x: no matrix (D, D) for each of many plates. Raises UserError as `axis_scales`.
    """
    exact = few.astype(np.float64)
    _, lengths, axes = np.linalg.svd(exact - exact.mean(axis=0), full_matrices=False)
    variances = np.zeros(few.shape[1])
    variances[: len(lengths)] = lengths**2 / (len(few) - 1)
    factors = axis_scales(variances, shrink)
    inside = (vectors.astype(np.float64) @ axes.T) * (factors[: len(lengths)] - factors[-1])
    return np.asarray(factors[-1] * vectors + inside @ axes)


def group_sums(
    vectors: np.ndarray, groups: np.ndarray, n_groups: int, rows: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the sums (G, D) float64 of vectors by group (N,) int in 0..G-1, and the groups' sizes (G,).

    ``rows`` (R,) int are the wells that count, all if None.
    """
    rows = np.arange(len(vectors)) if rows is None else rows
    sums = np.zeros((n_groups, vectors.shape[1]))
    for number, own in _rows_of(groups[rows], n_groups):
        sums[number] += vectors[rows[own]].sum(axis=0, dtype=np.float64)
    return sums, np.bincount(groups[rows], minlength=n_groups)


def _rows_of(groups: np.ndarray, n_groups: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each group of (N,) int in 0..n_groups-1 with its rows in order, of a large group some at a time."""
    order = np.argsort(groups, kind="stable")
    for number, rows in enumerate(np.split(order, np.cumsum(np.bincount(groups, minlength=n_groups))[:-1])):
        yield from ((number, rows[block]) for block in _blocks(len(rows)))


def times(vectors: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return the matrix (D, D) times each vector, (N, D) float32, computed in float64."""
    out = np.empty((len(vectors), len(matrix)), np.float32)
    for block in _blocks(len(vectors)):
        out[block] = vectors[block].astype(np.float64) @ matrix.T
    return out


def _products(vectors: np.ndarray) -> np.ndarray:
    total = np.zeros((vectors.shape[1], vectors.shape[1]))
    for block in _blocks(len(vectors)):
        exact = vectors[block].astype(np.float64)
        total += exact.T @ exact
    return total


def _blocks(n: int) -> Iterator[slice]:
    return (slice(start, start + _BLOCK) for start in range(0, n, _BLOCK))


def _parts(wells: pd.DataFrame, by_cell_type: bool) -> list[np.ndarray]:
    return list(wells.groupby("cell_type").indices.values()) if by_cell_type else [np.arange(len(wells))]
