"""Which group of siRNAs a plate holds, by likelihood over the admissible orders of groups on an experiment's plates.

Letters: N wells, K classes, G groups; within one experiment P plates, O admissible orders, S settings.

A plate holds one group, so every well of it votes. If well n is on a plate of group g, its picture is ``lift[n, g]``
times as likely as on a plate of unknown content, where

    lift[n, g] = (probability that n's class lies in g) / (share of the K classes that lie in g),

which is fair to small groups. Nobody knows how far to believe the probabilities: a network may be over-confident, or an
average of thirty too modest. So two numbers stay free, a sharpness u (logits are multiplied by u) and a trust t (a
share 1 - t of wells says nothing), and each order is scored by the setting that speaks best for it:

    score[s, p, g] = sum over wells n of plate p of log(1 - t + t * lift_u[n, g])
    total[o]       = max over settings s of (sum over plates p of score[s, p, order[o, p]]).

No well can cost more than log(1 - t), and an order without any evidence for it has a total near 0.
"""

import numpy as np
import pandas as pd

from rcic.decide.blend import check_table
from rcic.errors import UserError
from rcic.screen.layout import Groups, orders_for

SHARPNESS = 2.0 ** np.arange(1, 7)  # each twice the one before; in units of 1 / (typical top logit - mean logit)
TRUST = np.array([0.05, 0.1, 0.2, 0.4, 0.8, 0.95, 0.99])


def match_groups(log_probs: np.ndarray, wells: pd.DataFrame, groups: Groups) -> pd.DataFrame:
    """Return one row a plate, sorted: experiment, plate, group (int64) and margin (float64, nats).

    ``log_probs`` is (N, K), log-probabilities or logits of any scale; ``wells`` has N rows with columns experiment and
    plate. The margin is the gap between the total of the chosen order and that of the best order that gives this plate
    another group: 0 means no evidence, inf that no other group is admissible (always so for G = 1). Each experiment is
    judged by its own wells only. Raises UserError if the shape is not (N, K) or an entry is not finite.
    """
    check_table(log_probs, (len(wells), len(groups.of_class)), "log-probabilities")
    tables = [_match_experiment(log_probs, wells, groups, rows) for _, rows in _parts(wells, ["experiment"])]
    columns = ["experiment", "plate", "group", "margin"]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


def group_mask(wells: pd.DataFrame, matched: pd.DataFrame, groups: Groups) -> np.ndarray:
    """Return what a well may be, (N, K) bool: the classes of the group that its plate was ``matched`` to.

    Raises UserError for a plate of ``wells`` that has no row in ``matched``.
    """
    group_of = dict(zip(zip(matched["experiment"], matched["plate"]), matched["group"]))
    plates = list(zip(wells["experiment"], wells["plate"]))
    if missing := sorted(set(plates) - set(group_of)):
        raise UserError(f"{missing[0][0]} plate {missing[0][1]}: no plate group is known for it")
    of_well = np.array([group_of[plate] for plate in plates], dtype=np.int64)  # (N,)
    return of_well[:, None] == groups.of_class[None, :]


def _match_experiment(log_probs: np.ndarray, wells: pd.DataFrame, groups: Groups, rows: np.ndarray) -> pd.DataFrame:
    """Return `match_groups` for the wells of one experiment, those in ``rows``."""
    plates, plate_of = np.unique(wells["plate"].to_numpy()[rows], return_inverse=True)  # (P,), (n,)
    orders = np.array(orders_for(groups, len(plates)))  # (O, P)
    score = plate_scores(log_probs[rows], plate_of, groups)  # (S, P, G)
    total = score[:, np.arange(len(plates)), orders].sum(axis=2).max(axis=0)  # (S, O, P) -> (O,)
    best = total.argmax()
    rival = np.where(orders != orders[best], total[:, None], -np.inf).max(axis=0)  # (P,)
    table = {"experiment": wells["experiment"].iloc[rows[0]], "plate": plates}
    return pd.DataFrame(table | {"group": orders[best], "margin": total[best] - rival})


def plate_scores(log_probs: np.ndarray, plate_of: np.ndarray, groups: Groups) -> np.ndarray:
    """Return the evidence of one experiment's plates for each group in each setting, (S, P, G) float64, in nats.

    ``log_probs`` (n, K) are its wells, ``plate_of`` (n,) their plates as 0..P-1. Sharpening is squaring: p ** 2u is
    (p ** u) ** 2, so one `exp` serves every sharpness, and a common factor of all logits changes nothing.
    """
    in_group = np.eye(len(groups.sizes), dtype=log_probs.dtype)[groups.of_class]  # (K, G)
    on_plate = np.arange(plate_of.max() + 1)[:, None] == plate_of  # (P, n)
    top = log_probs.max(axis=1, keepdims=True)
    spread = (top - log_probs.mean(axis=1, keepdims=True)).mean() or 1.0
    odds = np.exp((log_probs - top) * float(SHARPNESS[0] / spread))  # (n, K), the top class at 1
    scores = []
    for _ in SHARPNESS:
        inside = odds @ in_group  # (n, G)
        lift = inside / inside.sum(axis=1, keepdims=True) / in_group.mean(axis=0)
        scores += [on_plate @ np.log(1 - trust + trust * lift) for trust in TRUST]
        odds *= odds
    return np.array(scores)
