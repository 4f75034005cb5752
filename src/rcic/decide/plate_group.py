"""The treatment group of each plate: likelihood over the admissible orders of an experiment's plates.

Letters: N wells, K classes, G groups; within one experiment P plates, O admissible orders, S settings.

A plate holds one group, so every well of it votes. If well n is on a plate of group g, its image is
``lift[n, g]`` times as likely as on a plate of unknown content, where

    lift[n, g] = (probability that n's class lies in g) / (share of the K classes that lie in g),

which is fair to small groups. The calibration of the probabilities is unknown: a network may be
overconfident, an average of thirty underconfident. So two numbers stay free, a sharpness u (logits are
multiplied by u) and a trust t (a share 1 - t of wells carries no evidence), and each order is scored by the
setting that favours it most:

    score[s, p, g] = sum over wells n of plate p of log(1 - t + t * lift_u[n, g])
    total[o]       = max over settings s of (sum over plates p of score[s, p, order[o, p]]).

No well can lower a score by more than -log(1 - t), and an order without any evidence has a total near 0.

Two other rules are those of public solutions. Both fill a table plates x groups and give each plate a group of its own
so that the sum of the chosen entries is largest (Hungarian method), whatever orders were seen in training:

    votes   the mean over the plate's wells of the largest probability of a class in the group (41st place, recipe B,
            whose probabilities are linear votes of neighbours within the group)
    shares  the share of the plate's wells whose most probable class lies in the group, each column divided by its sum
            (winner, recipe F, who tried all 24 permutations, which is the same)
"""

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from rcic.decide.blend import check_table
from rcic.decide.decision_rules import GroupMatch
from rcic.errors import UserError
from rcic.screen.layout import Groups, orders_for

# Sharpness, in units of 1 / (the median well's top logit - mean logit), each twice the one before.
SHARPNESS = 2.0 ** np.arange(1, 7)
TRUST = np.array([0.05, 0.1, 0.2, 0.4, 0.8, 0.95, 0.99])
UNSURE = 3.0  # nats: the chosen order is less than 20 times as likely as the next one


def match_groups(
    log_probs: np.ndarray, wells: pd.DataFrame, groups: Groups, rule: GroupMatch = "likelihood"
) -> pd.DataFrame:
    """Return one row a plate, sorted: experiment, plate, group (int64) and margin (float64, nats).

    ``log_probs`` is (N, K), log-probabilities or logits of any scale; ``wells`` has N rows with columns
    experiment and plate. The margin is the gap between the total of the chosen order and that of the best
    order that gives this plate another group: 0 means no evidence, inf that no other group is admissible
    (always so for G = 1). Each experiment is matched by its own wells only; where the admissible orders are
    too many to list, each plate is matched alone. With another ``rule`` (see the top) margins are in units of its
    table; more plates than groups share the groups as evenly as they can. Raises UserError if the shape is not (N, K)
    or an entry is not finite.
    """
    check_table(log_probs, (len(wells), len(groups.of_class)), "log-probabilities")
    experiments = wells.groupby("experiment").indices
    tables = [_match_experiment(log_probs, wells, groups, np.asarray(rows), rule) for rows in experiments.values()]
    columns = ["experiment", "plate", "group", "margin"]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


def group_mask(wells: pd.DataFrame, matched: pd.DataFrame, groups: Groups) -> np.ndarray:
    """Return the allowed classes of each well, (N, K) bool: those of the group that its plate was ``matched`` to.

    Raises UserError for a plate of ``wells`` that has no row in ``matched``.
    """
    of_well = wells[["experiment", "plate"]].merge(matched, how="left", on=["experiment", "plate"])["group"]
    if (missing := of_well.isna().to_numpy()).any():
        well = wells.iloc[missing.argmax()]
        raise UserError(f"{well['experiment']} plate {well['plate']}: its plate group is not known")
    return of_well.to_numpy(dtype=np.int64)[:, None] == groups.of_class  # (N, 1) == (K,)


def groups_text(plates: pd.DataFrame, rule: GroupMatch = "likelihood") -> str:
    """Return the table of `match_groups` as lines, one an experiment: its plates' groups and its smallest margin."""
    by_likelihood = rule == "likelihood"
    rows = [("experiment", "groups of its plates", f"margin ({'nats' if by_likelihood else rule})")]
    for name, of_experiment in plates.groupby("experiment"):
        margin = of_experiment["margin"].min()
        number = "no rival" if np.isinf(margin) else f"{margin:.{2 if margin < 1 else 1}f}"
        unsure = bool(by_likelihood and margin < UNSURE)
        rows.append((str(name), " ".join(map(str, of_experiment["group"])), number + "  unsure" * unsure))
    first, second = (max(len(row[column]) for row in rows) for column in (0, 1))
    return "\n".join(f"{name:{first}}  {order:{second}}  {margin}" for name, order, margin in rows)


def _match_experiment(
    log_probs: np.ndarray, wells: pd.DataFrame, groups: Groups, rows: np.ndarray, rule: GroupMatch
) -> pd.DataFrame:
    """Return `match_groups` for the wells ``rows`` of one experiment."""
    plates, plate_of = np.unique(wells["plate"].to_numpy()[rows], return_inverse=True)  # (P,), (n,)
    if rule != "likelihood":
        group, margin = best_permutation(match_table(log_probs[rows], plate_of, groups, rule))
    else:
        score = plate_scores(log_probs[rows], plate_of, groups)
        orders = orders_for(groups, len(plates))
        group, margin = best_order(score, np.array(orders)) if orders else best_alone(score)
    experiment = wells["experiment"].iloc[rows[0]]
    return pd.DataFrame({"experiment": experiment, "plate": plates, "group": group, "margin": margin})


def match_table(log_probs: np.ndarray, plate_of: np.ndarray, groups: Groups, rule: GroupMatch) -> np.ndarray:
    """Return the table (P, G) of an experiment's plates and groups by the rule votes or shares (see the top)."""
    best = np.stack([log_probs[:, groups.of_class == group].max(axis=1) for group in range(len(groups.sizes))], axis=1)
    by_well = np.exp(best) if rule == "votes" else (best == best.max(axis=1, keepdims=True)) * 1.0  # (n, G)
    on_plate = np.arange(plate_of.max() + 1)[:, None] == plate_of  # (P, n)
    table = on_plate @ by_well / on_plate.sum(axis=1, keepdims=True)
    return np.asarray(table if rule == "votes" else table / np.maximum(table.sum(axis=0), np.finfo(float).tiny))


def best_permutation(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return group and margin of each plate, (P,) both: groups of the largest sum of entries of ``table`` (P, G).

    Each group is taken once, or as often as needed where there are more plates. The margin is the gap to the largest
    sum that gives this plate another group, inf where there is none.
    """
    n_plates, n_groups = table.shape
    seats = np.tile(table, -(-n_plates // n_groups))  # (P, seats)
    group = linear_sum_assignment(seats, maximize=True)[1] % n_groups
    plate = np.arange(n_plates)
    total, margin = table[plate, group].sum(), np.full(n_plates, np.inf)
    for row in plate if n_groups > 1 else ():
        others = seats.copy()
        others[row, group[row] :: n_groups] = -n_plates  # below any gain, as entries are at most 1
        chosen = linear_sum_assignment(others, maximize=True)[1]
        margin[row] = total - table[plate, chosen % n_groups].sum()
    return group, margin


def best_order(score: np.ndarray, orders: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return group and margin of each plate, (P,) both, from scores (S, P, G) and allowed orders (O, P)."""
    plate = np.arange(orders.shape[1])
    total = np.max([setting[plate, orders].sum(axis=1) for setting in score], axis=0)  # (O,)
    best = total.argmax()
    rival = np.where(orders != orders[best], total[:, None], -np.inf).max(axis=0)  # (P,)
    return orders[best], total[best] - rival


def best_alone(score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return group and margin of each plate, as `best_order` does, where the plates may hold any groups."""
    setting = score[score.max(axis=2).sum(axis=1).argmax()]  # (P, G)
    group = setting.argmax(axis=1)
    rival = np.where(np.arange(setting.shape[1]) != group[:, None], setting, -np.inf).max(axis=1)
    return group, setting.max(axis=1) - rival


def plate_scores(log_probs: np.ndarray, plate_of: np.ndarray, groups: Groups) -> np.ndarray:
    """Return the evidence of an experiment's plates for each group in each setting, (S, P, G), in nats.

    ``log_probs`` (n, K) are its wells, ``plate_of`` (n,) their plates as 0..P-1. Sharpening is squaring,
    as exp(2u x) = exp(u x) ** 2. As u is in units of the logits' own spread, a factor on all logits
    changes nothing.
    """
    in_group = np.eye(len(groups.sizes), dtype=log_probs.dtype)[groups.of_class]  # (K, G)
    share = np.array(groups.sizes) / len(in_group)  # (G,) of the classes
    on_plate = np.arange(plate_of.max() + 1)[:, None] == plate_of  # (P, n)
    top = log_probs.max(axis=1, keepdims=True)
    gap = top - log_probs.mean(axis=1, keepdims=True)
    spread = np.median(gap[gap > 0]) if (gap > 0).any() else 1.0
    odds = np.exp((log_probs - top) * float(SHARPNESS[0] / spread))  # (n, K), the top class at 1
    scores = []
    for _ in SHARPNESS:
        inside = odds @ in_group  # (n, G)
        lift = inside / inside.sum(axis=1, keepdims=True) / share
        scores += [on_plate @ np.log(1 - trust + trust * lift) for trust in TRUST]
        odds *= odds
    return np.array(scores)
