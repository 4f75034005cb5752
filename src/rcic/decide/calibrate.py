"""How far to believe logits: a temperature for each model, its weight, and a temperature for the whole.

Letters: N wells, K classes, M models; z logits, T temperatures, w weights that sum to 1. A well's probabilities are
softmax(z / T) (temperature scaling; Guo et al., "On Calibration of Modern Neural Networks", 2017), those of several
models softmax(sum over m of w[m] z[m] / T[m], divided by one more T).

**What transfers.** These numbers are fitted on held-out wells, which one fold's members predicted, while K folds speak
of a test well. Suppose that a class's logit is d where the class is true, plus noise of variance v; then the posterior
is softmax(z d / v), so the right temperature is v / d. Averaging folds leaves d as it is and shrinks v.
`rcic.decide.prediction.fold_noise` is that shrinkage, v of the averaged folds over v of single ones, measured on the
test wells themselves without any label; temperatures times it are those of the averaged folds. Weights are taken over
as they are. What it cannot know: how much harder a new experiment is than a held-out one.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize, minimize_scalar

from rcic.decide.blend import mean_known
from rcic.errors import UserError

SEARCH = (0.02, 50.0)  # temperatures tried, in units of the median well's top logit - mean logit
HOTTEST = 0.2  # of a model in a blend, in the same units: its top logit stands 5 nats out, which its weight can undo
PULL = 0.001  # nats a well, times M, for a squared distance of 1 between the weights and equal ones
_BLOCK = 1024  # wells at once


class Fitted(NamedTuple):
    """How M models become one table of log-probabilities."""

    temperatures: np.ndarray  # (M,)
    weights: np.ndarray  # (M,), they sum to 1
    temperature: float  # of the weighted mean

    def blend(self, tables: Sequence[np.ndarray]) -> np.ndarray:
        """Return the calibrated logits of M tables (N, K) as one, NaN where no model predicted a well."""
        cooled = (table / own for table, own in zip(tables, self.temperatures, strict=True))
        return mean_known(cooled, self.weights) / self.temperature


def mean_nll(logits: np.ndarray, labels: np.ndarray, allowed: np.ndarray | None = None, cold: float = 1.0) -> float:
    """Return the mean negative log-likelihood, nats a well, of logits (N, K) over the temperature ``cold``."""
    total = 0.0
    for rows in _blocks(len(labels)):
        log_probs = _log_probs(logits[rows] / cold, None if allowed is None else allowed[rows])
        total -= log_probs[np.arange(len(log_probs)), labels[rows]].sum()
    return float(total / len(labels))


def temperature(logits: np.ndarray, labels: np.ndarray, allowed: np.ndarray | None = None) -> float:
    """Return the temperature that makes logits (N, K) likeliest to give ``labels`` (N,) among ``allowed`` (N, K) bool.

    Wells with label -1 or NaN logits are left out. The search is bounded (`SEARCH`): classes that are always right
    would cool without end. Raises UserError if no well is left or a label is not allowed.
    """
    known = _known([logits], labels, allowed)
    logits, labels, allowed = logits[known], labels[known], None if allowed is None else allowed[known]
    spread = _spread(logits, allowed)
    found = minimize_scalar(
        lambda power: mean_nll(logits, labels, allowed, spread * np.exp(power)),
        bounds=np.log(SEARCH),
        method="bounded",
        options={"xatol": 1e-4},
    )
    return float(spread * np.exp(found.x))


def blend_weights(tables: Sequence[np.ndarray], labels: np.ndarray, allowed: np.ndarray | None = None) -> Fitted:
    """Return temperatures and weights of M models from their tables (N, K); NaN rows: a model did not predict the well.

    Each model gets its own temperature, then the weights (softmax parameters) and the whole's temperature are fitted
    together by L-BFGS: with a sum of 1 alone, models that add to each other could not sharpen the whole. Weights are
    the likeliest but for a pull towards equal ones, `PULL` * M * sum of (w - 1 / M)^2: copies of a model share alike,
    and it is too weak to keep a useless one in. A useless model would be hot without end and its weight mean nothing,
    so in a blend a temperature is at most `HOTTEST` times the model's median gap of top and mean logit. Raises
    UserError as `temperature`.
    """
    own = np.array([temperature(table, labels, allowed) for table in tables])
    known = _known(tables, labels, allowed)
    labels, allowed = labels[known], None if allowed is None else allowed[known]
    if len(tables) == 1:
        return Fitted(own, np.ones(1), 1.0)
    own = np.minimum(own, [HOTTEST * _spread(*_heard(table[known], allowed)) for table in tables])
    cooled = [(table[known] / cold).astype(np.float32) for table, cold in zip(tables, own, strict=True)]
    powers, whole = _likeliest(cooled, labels, allowed)
    return Fitted(own, _softmax(powers), whole)


def cross_fitted(
    tables: Sequence[np.ndarray], labels: np.ndarray, allowed: np.ndarray | None, parts: np.ndarray
) -> np.ndarray:
    """Return logits (N, K) of every well, calibrated by `blend_weights` on the wells of all other ``parts`` (N,)."""
    result = np.empty(tables[0].shape, np.float32)
    for part in np.unique(parts):
        inside = parts == part
        fitted = blend_weights(tables, np.where(inside, -1, labels), allowed)
        result[inside] = fitted.blend([table[inside] for table in tables])
    return result


def _likeliest(
    tables: Sequence[np.ndarray], labels: np.ndarray, allowed: np.ndarray | None
) -> tuple[np.ndarray, float]:
    """Return the softmax parameters (M,) of the weights, and the whole's temperature, with the least NLL and pull."""
    n_models = len(tables)

    def cost(point: np.ndarray) -> tuple[float, np.ndarray]:
        weights, cold = _softmax(point[:-1]), np.exp(point[-1])
        total = np.zeros(n_models + 2)  # NLL, its slope in the weights, in the logarithm of the whole's temperature
        for rows in _blocks(len(labels)):
            part = np.stack([table[rows] for table in tables]) / cold  # (M, n, K)
            total += _nll_and_slopes(weights, part, labels[rows], None if allowed is None else allowed[rows])
        nll, slope, heat = total[0] / len(labels), total[1:-1] / len(labels), total[-1:] / len(labels)
        off = weights - 1 / n_models
        slope = slope + 2 * PULL * n_models * off
        return nll + PULL * n_models * (off**2).sum(), np.append(weights * (slope - weights @ slope), heat)

    bounds = [(-12.0, 12.0)] * n_models + [(np.log(0.5 / n_models), np.log(100.0))]
    found = minimize(cost, np.zeros(n_models + 1), jac=True, method="L-BFGS-B", bounds=bounds).x
    return found[:-1], float(np.exp(found[-1]))


def _nll_and_slopes(
    weights: np.ndarray, tables: np.ndarray, labels: np.ndarray, allowed: np.ndarray | None
) -> np.ndarray:
    """Return (M + 2,): the summed NLL of blended tables (M, n, K), its slopes in the weights and in log T of all."""
    said = ~np.isnan(tables[:, :, 0])  # (M, n)
    tables = np.where(said[..., None], tables, 0)
    total = weights @ said  # (n,)
    blend = np.einsum("m,mnk->nk", weights, tables) / total[:, None]
    log_probs, wells = _log_probs(blend, allowed), np.arange(len(labels))
    error = np.exp(log_probs)
    error[wells, labels] -= 1
    heat = (error * blend).sum(axis=1)
    pulls = np.einsum("nk,mnk->mn", error, tables) - heat  # of model m on well n
    return np.array([-log_probs[wells, labels].sum(), *(said * pulls / total).sum(axis=1), -heat.sum()])


def _heard(logits: np.ndarray, allowed: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the rows of both that the model predicted."""
    heard = ~np.isnan(logits[:, 0])
    return logits[heard], None if allowed is None else allowed[heard]


def _log_probs(logits: np.ndarray, allowed: np.ndarray | None) -> np.ndarray:
    """Return log-probabilities (n, K) float64 among the allowed classes, -inf elsewhere."""
    possible = logits.astype(np.float64) if allowed is None else np.where(allowed, logits, -np.inf)
    possible = possible - possible.max(axis=1, keepdims=True)
    return possible - np.log(np.exp(possible).sum(axis=1, keepdims=True))


def _known(tables: Sequence[np.ndarray], labels: np.ndarray, allowed: np.ndarray | None) -> np.ndarray:
    """Return which wells, (N,) bool, have a label and a prediction."""
    known = (labels >= 0) & ~np.all([np.isnan(table[:, 0]) for table in tables], axis=0)
    if not known.any():
        raise UserError("calibration: no well has both a known label and a prediction")
    if allowed is not None and not allowed[known, labels[known]].all():
        raise UserError("calibration: a well's label is not among its allowed classes")
    return known


def _spread(logits: np.ndarray, allowed: np.ndarray | None) -> float:
    """Return the median over wells of the top logit minus the mean one, 1 if there is no difference."""
    inside = True if allowed is None else allowed
    gap = logits.max(axis=1, where=inside, initial=-np.inf) - logits.mean(axis=1, where=inside, dtype=np.float64)
    return float(np.median(gap[gap > 0])) if (gap > 0).any() else 1.0


def _softmax(powers: np.ndarray) -> np.ndarray:
    odds = np.exp(powers - powers.max())
    return odds / odds.sum()


def _blocks(n_rows: int) -> Iterator[slice]:
    return (slice(start, start + _BLOCK) for start in range(0, n_rows, _BLOCK))
