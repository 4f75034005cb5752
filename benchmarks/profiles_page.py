"""The page that `benchmarks/profiles.py` prints."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
from profiles_methods import AUTO, CENTRES, TODAY

from rcic.decide.intervals import Interval

if TYPE_CHECKING:
    from profiles import Results

PAGE = """# Normalisations of real profiles

BBBC021: {wells} wells of 103 treatments and {controls} of DMSO, {plates} plates, {weeks} weeks; {features}
CellProfiler features a well (Ljosa et al. 2013, means over cells), in units of their standard deviation over all DMSO
wells. The other packages get them as measured and by default see each plate's six DMSO wells ("standardize by all
wells": all of the plate); `feature_select` drops features by variance, correlation and outliers at its own
thresholds; Harmony gets the first 100 principal components of the scaled features, and the plates.

Made by `make bench-profiles` in {minutes:.0f} minutes on {cores} cores: {versions}; in an environment of their own
{peers}.

One well of each treatment is held out, in turn the one on its first, second and third plate: {held_out} wells. What
learns from labels learns from the other two. Numbers are % of held-out wells; `top-1`: the treatment with the highest
score; `one-to-one`: after different treatments were given to the held-out wells of each plate (Hungarian algorithm).
What uses no label (means of plates, covariance of DMSO wells, the other packages) sees the features of all wells.

Intervals hold 95 % and are of whole weeks drawn with replacement ({clusters} clusters; a bootstrap of that few is too
narrow: 91 % of such intervals hold the true value). A treatment is in one week, so they say how much the result hangs
on which weeks were measured. "Above" is the difference in points of top-1 from the first row on the same wells, so
much of what weeks have in common cancels.

## What follows

- Whitening is what counts. By class centres it gains, by replicates and controls pooled, with every centring about
  what LDA gains without it, for LDA whitens, too. Whitened profiles gain little from LDA, and logistic regression on
  them mostly stays behind class centres.
- A plate's mean is best taken over all its wells, DMSO included. Six DMSO wells alone are a noisy reference. To divide
  by their standard deviation or median deviation, as `standardize` and `mad_robustize` do plate by plate, loses much
  more; by the latter a feature that most of the six have alike is multiplied by up to 1e18.
- What names a replicate is not what finds a mechanism. Where a plate's mean is that of its treatments, taking it off
  costs NSC 21 to 42 points, since a plate holds few compounds and loses what they share; the mean of its DMSO wells,
  that of the week, or none, is better there. `auto` is for naming; for mechanisms choose `--centre=off` or
  `--centre=experiment`.
- For mechanisms across weeks (NSCB) whitening by replicates, alone or pooled with controls, gains most, with every
  centring.
- Differences of two or three points between the better rows are within what ten weeks can tell. The candidates of
  `auto` and the rule by which it chooses were settled with such tables in view, so its row is a little optimistic,
  though no held-out label enters a choice.

## Held-out replicates by class centres

{centres}

## Every normalisation with every classifier

Top-1 (interval) / one-to-one. Nearest well: the wells' nearest neighbour by cosine. LDA: scikit-learn's
`LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.5)`, equal priors. With `shrinkage="auto"` it names
{lda_auto:.1f} % after each plate's mean was taken off: it shrinks each class's covariance by itself, and Ledoit and
Wolf's formula gives a shrinkage of 0 for two wells. Logistic regression: scikit-learn's, features standardised, C = 1.

{classifiers}

## `auto`

It chooses among {n_candidates} normalisations by cross-validation on the wells that are not held out, with their
labels alone; the held-out wells have none then. What it chose when the first, second and third wells were held out,
and how that did:

{chosen}

| | top-1 | above the first row |
|---|---|---|
| auto | {auto} | {auto_above} |
| best single choice in hindsight (of the {n_candidates}): `{best_name}` | {best} | {best_above} |
| median of the {n_candidates} | {median:.1f} | |

## 12 mechanisms

NSC: nearest treatment of another compound, 103 treatments. NSCB: of another compound and another week, 92 treatments,
as two mechanisms have compounds of one week only. A treatment's profile is the median of its wells'. No mechanism is
used by any normalisation; whitening by replicates and `auto` use which wells are replicates.

{mechanisms}

Figures of others, on these 103 treatments. All but the first are of other features than ours, so they say where the
field is, and do not compare normalisations:

| | NSC | NSCB | source |
|---|---|---|---|
| means of DMSO-scaled CellProfiler features | 83 | | Ljosa et al. 2013, doi:10.1177/1087057113503553; second hand |
| factor analysis of single cells | 94 | 77 | NSC: the same, abstract; NSCB: page of BBBC021, second hand |
| TVN on embeddings of a network | 96 | 95 | Ando et al. 2017, doi:10.1101/161422; from memory, not looked up again |

"Second hand": read in others' repositories, not in the source itself.

{failed}
"""


def page(results: Results) -> str:
    """Return the page as Markdown."""
    best = max(results.candidates, key=lambda name: np.nanmean(results.candidates[name].top))
    today = results.named[TODAY, CENTRES].top
    rates = [100 * np.nanmean(named.top) for named in results.candidates.values()]
    return PAGE.format(
        **_numbers(results),
        centres=_centres(results),
        classifiers=_classifiers(results),
        chosen=_chosen(results),
        n_candidates=len(results.candidates),
        auto=_short(results.interval(results.named[AUTO, CENTRES].top)),
        auto_above=_short(results.above(AUTO), "+"),
        best_name=best,
        best=_short(results.interval(results.candidates[best].top)),
        best_above=_short(results.interval(results.candidates[best].top - today), "+"),
        median=np.median(rates),
        mechanisms=_mechanisms(results),
        lda_auto=results.lda_auto,
        failed=_failed(results),
    )


def _numbers(results: Results) -> dict[str, object]:
    profiles = results.profiles
    here = {
        "Python": platform.python_version(),
        **{name: version(name) for name in ("scikit-learn", "numpy", "pandas")},
    }
    return {
        "wells": int(profiles.treated.sum()),
        "controls": int((~profiles.treated).sum()),
        "plates": profiles.wells["plate"].nunique(),
        "weeks": profiles.wells["experiment"].nunique(),
        "features": len(profiles.names),
        "held_out": int(profiles.treated.sum()),
        "clusters": profiles.wells["experiment"].nunique(),
        "minutes": max(1, results.seconds / 60),
        "cores": os.cpu_count(),
        "versions": _listed(here),
        "peers": _listed(results.peers["versions"]),
    }


def _centres(results: Results) -> str:
    rows = ["| normalisation | top-1 | one-to-one | above |", "|---|---|---|---|"]
    for name, kind in results.named:
        if kind == CENTRES:
            named = results.named[name, kind]
            cells = [_short(results.interval(values)) for values in (named.top, named.one_to_one)]
            rows.append(f"| {_name(name)} | {' | '.join(cells)} | {_short(results.above(name), '+')} |")
    return "\n".join(rows)


def _classifiers(results: Results) -> str:
    kinds = list(dict.fromkeys(kind for _, kind in results.named))
    rows = [f"| normalisation | {' | '.join(kinds)} |", "|---" * (len(kinds) + 1) + "|"]
    for name in dict.fromkeys(name for name, _ in results.named):
        named = [results.named[name, kind] for kind in kinds]
        cells = [f"{_short(results.interval(n.top))} / {100 * np.nanmean(n.one_to_one):.1f}" for n in named]
        rows.append(f"| {_name(name)} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _chosen(results: Results) -> str:
    rows = [
        "| held out | chosen | top-1 in cross-validation | top-1 held out |",
        "|---|---|---|---|",
    ]
    top = results.named[AUTO, CENTRES].top
    for rank, table in enumerate(results.chosen):
        first, held_out = table.iloc[0], (results.profiles.wells["replicate"] == rank).to_numpy()
        inner = f"{first['accuracy']:.1f} of {first['n_wells']} wells"
        rows.append(f"| {rank + 1} | `{first['settings']}` | {inner} | {100 * top[held_out].mean():.1f} |")
    return "\n".join(rows)


def _mechanisms(results: Results) -> str:
    rows = ["| normalisation | NSC | NSCB |", "|---|---|---|"]
    for name, (nsc, nscb) in results.matched.items():
        rows.append(f"| {_name(name)} | {_short(nsc)} | {_short(nscb)} |")
    return "\n".join(rows)


def _failed(results: Results) -> str:
    return "\n".join(f"`{name}` fails: {message}" for name, message in results.peers["failed"].items())


def _name(name: str) -> str:
    """Return a normalisation's name, the flags of the product as code."""
    return f"`{name}`" if name.startswith("--") else name


def _short(interval: Interval, sign: str = "") -> str:
    """Return an interval as ``49.0 (41.2 to 57.0)``."""
    value = format(interval.value, f"{sign}.1f")
    return value if interval.no_interval else f"{value} ({interval.low:{sign}.1f} to {interval.high:{sign}.1f})"


def _listed(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in versions.items())
