"""Calibration of logits: a temperature and a weight for each model, and a temperature for their blend.

Letters: N wells, K classes, M models; z logits, T temperatures, w weights that sum to 1. A well's probabilities are
softmax(z / T) (temperature scaling; Guo et al., "On Calibration of Modern Neural Networks", 2017), those of several
models softmax(sum over m of w[m] z[m] / T[m], divided by one more T).

**What transfers.** These numbers are fitted on held-out wells, which the members of one fold predicted, while all folds
predict a test well. Suppose that a class's logit is d where the class is true, plus noise of variance v; then the
posterior is softmax(z d / v), so the right temperature is v / d. Averaging folds leaves d unchanged and shrinks v.
`rcic.decide.prediction.fold_noise` is that shrinkage, v of the averaged folds over v of single ones, measured on the
test wells themselves without any label. Temperatures times it are those of the averaged folds. Weights are used
unchanged. The method cannot know how much harder a new experiment is than a held-out one.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize, minimize_scalar

from rcic.decide.blend import mean_known
from rcic.errors import UserError

SEARCH = (0.02, 50.0)  # temperatures tried, in units of the median well's top logit - mean logit
MAX_TEMPERATURE = 0.2  # of a model in a blend, same units: top logit - mean = 5 nats, which its weight can undo
PULL = 0.001  # nats a well, times M, for a squared distance of 1 between the weights and equal ones
_BLOCK = 1024  # wells at once


class Fitted(NamedTuple):
    """Fitted temperatures and weights that blend M models into one table of logits."""

    temperatures: np.ndarray  # (M,)
    weights: np.ndarray  # (M,), sum to 1
    temperature: float  # of the weighted mean

    def blend(self, tables: Sequence[np.ndarray]) -> np.ndarray:
        """Return the calibrated logits of M tables (N, K) as one, NaN where no model predicted a well."""
        scaled = (table / own for table, own in zip(tables, self.temperatures, strict=True))
        return mean_known(scaled, self.weights) / self.temperature


def mean_nll(
    logits: np.ndarray, labels: np.ndarray, allowed: np.ndarray | None = None, temperature: float = 1.0
) -> float:
    """Return the mean negative log-likelihood, nats a well, of logits (N, K) over the ``temperature``."""
    total = 0.0
    for rows in _blocks(len(labels)):
        log_probs = _log_probs(logits[rows] / temperature, None if allowed is None else allowed[rows])
        total -= log_probs[np.arange(len(log_probs)), labels[rows]].sum()
    return float(total / len(labels))


def temperature(logits: np.ndarray, labels: np.ndarray, allowed: np.ndarray | None = None) -> float:
    """Return the maximum-likelihood temperature of logits (N, K) for ``labels`` (N,) among ``allowed`` (N, K) bool.

    Wells with label -1 or NaN logits are ignored. The search is bounded (`SEARCH`): a model that is always right
    would have no smallest temperature. Raises UserError if no well is left or a label is not allowed.
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

    Each model gets its own temperature, then the weights (softmax parameters) and the blend's temperature are fitted
    together by L-BFGS: with a sum of 1 alone, complementary models could not sharpen the blend. Weights maximise the
    likelihood with a penalty on unequal ones, `PULL` * M * sum of (w - 1 / M)^2: copies of a model get equal weights,
    and it is too weak to keep a useless one. A useless model would have no largest temperature and a meaningless
    weight, so in a blend a temperature is at most `MAX_TEMPERATURE` times the model's median gap of top and mean logit.
    Raises UserError as `temperature` does.
    """
    temperatures = np.array([temperature(table, labels, allowed) for table in tables])
    known = _known(tables, labels, allowed)
    labels, allowed = labels[known], None if allowed is None else allowed[known]
    if len(tables) == 1:
        return Fitted(temperatures, np.ones(1), 1.0)
    spreads = [_spread(*_predicted(table[known], allowed)) for table in tables]
    temperatures = np.minimum(temperatures, MAX_TEMPERATURE * np.array(spreads))
    scaled = [(table[known] / own).astype(np.float32) for table, own in zip(tables, temperatures, strict=True)]
    powers, blend_temperature = _fit_blend(scaled, labels, allowed)
    return Fitted(temperatures, _softmax(powers), blend_temperature)


def cross_fitted(
    tables: Sequence[np.ndarray], labels: np.ndarray, allowed: np.ndarray | None, parts: np.ndarray
) -> np.ndarray:
    """Return logits (N, K) of all wells, each of ``parts`` (N,) calibrated by `blend_weights` on the others."""
    result = np.empty(tables[0].shape, np.float32)
    for part in np.unique(parts):
        inside = parts == part
        fitted = blend_weights(tables, np.where(inside, -1, labels), allowed)
        result[inside] = fitted.blend([table[inside] for table in tables])
    return result


def _fit_blend(
    tables: Sequence[np.ndarray], labels: np.ndarray, allowed: np.ndarray | None
) -> tuple[np.ndarray, float]:
    """Return the weights' softmax parameters (M,) and the blend's temperature with the least NLL and penalty."""
    n_models = len(tables)

    def cost(point: np.ndarray) -> tuple[float, np.ndarray]:
        weights, blend_temperature = _softmax(point[:-1]), np.exp(point[-1])
        total = np.zeros(n_models + 2)  # NLL, its slopes in the weights and in the logarithm of the blend's temperature
        for rows in _blocks(len(labels)):
            block = np.stack([table[rows] for table in tables]) / blend_temperature  # (M, n, K)
            total += _nll_and_slopes(weights, block, labels[rows], None if allowed is None else allowed[rows])
        nll, slope, heat = total[0] / len(labels), total[1:-1] / len(labels), total[-1:] / len(labels)
        excess = weights - 1 / n_models
        slope = slope + 2 * PULL * n_models * excess
        return nll + PULL * n_models * (excess**2).sum(), np.append(weights * (slope - weights @ slope), heat)

    bounds = [(-12.0, 12.0)] * n_models + [(np.log(0.5 / n_models), np.log(100.0))]
    found = minimize(cost, np.zeros(n_models + 1), jac=True, method="L-BFGS-B", bounds=bounds).x
    return found[:-1], float(np.exp(found[-1]))


def _nll_and_slopes(
    weights: np.ndarray, tables: np.ndarray, labels: np.ndarray, allowed: np.ndarray | None
) -> np.ndarray:
    """Return (M + 2,): the summed NLL of the blend of (M, n, K), its slopes in the weights and in the blend's log T."""
    known = ~np.isnan(tables[:, :, 0])  # (M, n)
    tables = np.where(known[..., None], tables, 0)
    total = weights @ known  # (n,)
    blend = np.einsum("m,mnk->nk", weights, tables) / total[:, None]
    log_probs, wells = _log_probs(blend, allowed), np.arange(len(labels))
    error = np.exp(log_probs)
    error[wells, labels] -= 1
    heat = (error * blend).sum(axis=1)
    pulls = np.einsum("nk,mnk->mn", error, tables) - heat  # of model m on well n
    return np.array([-log_probs[wells, labels].sum(), *(known * pulls / total).sum(axis=1), -heat.sum()])


def _predicted(logits: np.ndarray, allowed: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the rows of both arrays that the model predicted."""
    predicted = ~np.isnan(logits[:, 0])
    return logits[predicted], None if allowed is None else allowed[predicted]


def _log_probs(logits: np.ndarray, allowed: np.ndarray | None) -> np.ndarray:
    """Return log-probabilities (n, K) float64 among the allowed classes, -inf elsewhere."""
    possible = logits.astype(np.float64) if allowed is None else np.where(allowed, logits, -np.inf)
    possible = possible - possible.max(axis=1, keepdims=True)
    return possible - np.log(np.exp(possible).sum(axis=1, keepdims=True))


def _known(tables: Sequence[np.ndarray], labels: np.ndarray, allowed: np.ndarray | None) -> np.ndarray:
    """Return the mask, (N,) bool, of wells with a label and a prediction."""
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
