"""Plate groups: sets of treatments that share plates and their order over plates, learnt from the train wells.

Many teams of the Kaggle competition found that RxRx1's 1,108 siRNAs are divided into four fixed sets of 277, one per
plate (the "plate leak"). Nothing here is specific to RxRx1: any number and size of groups, any number of plates,
several wells of a treatment on a plate, or no groups at all are learnt in the same way.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse.csgraph import connected_components

from rcic.screen.orders import Order, admissible_orders, are_shifts, commonest_order, orders_of_length, shifts
from rcic.screen.repeats import RepeatedLayout, repeated_layouts
from rcic.screen.spec import ScreenSpec
from rcic.screen.table import Screen

SAME_GROUP = 0.5  # plates hold one group if they share more than this fraction of the smaller one's treatments
EXPLAINED = 0.9  # fraction of the train wells that groups must explain; with less, there are no groups

__all__ = [
    "Groups",
    "RepeatedLayout",
    "ShortPlate",
    "learn_groups",
    "orders_for",
    "plates_with_missing_wells",
    "repeated_layouts",
    "rotations",
]


@dataclass(frozen=True)
class Groups:
    """Sets of treatments that share plates: G groups of K treatments, and their order on an experiment's plates.

    Groups are numbered 0, 1, 2, ... in the commonest order of the train experiments. A plate map without groups is
    one group of all treatments.
    """

    of_class: np.ndarray  # (K,) int64, treatment class -> group 0..G-1
    sizes: tuple[int, ...]  # G numbers of classes
    orders: dict[str, Order]  # train experiment -> group of each plate, in plate order
    admissible: tuple[Order, ...]  # orders of new experiments with the usual number of plates
    cyclic: bool  # the observed orders are shifts of one another
    capacity: int  # most wells of one treatment on a plate: from the screen spec, or as on train plates (1 in RxRx1)
    mixed_plates: tuple[tuple[str, int], ...]  # train plates that hold treatments of several groups
    assigned: bool = True  # whether a plate's wells are assigned jointly; else each is classified by itself


@dataclass(frozen=True)
class ShortPlate:
    """A train plate with fewer treatment wells of its group than usual."""

    experiment: str
    plate: int
    group: int
    wells: int
    expected: int


def learn_groups(screen: Screen) -> Groups:
    """Learn the plate groups; tolerant of missing wells and of a few wells from another group.

    Plates that share most of their treatments are joined. Then each treatment moves to the group of most of its plates,
    and each plate to the group of most of its treatments, until nothing moves. A treatment on every plate still gets
    one group. If the screen spec has ``groups: none``, or no label is known yet, all treatments are one group.
    """
    plates, counts = _plate_counts(screen)
    if plates.empty:
        return _no_groups(screen)
    held = counts > 0  # (P, K) bool, P plates of K treatments
    of_plate, of_class = _move_to_majority(held, _joined(held))
    without_groups = screen.spec.groups == "none"
    if without_groups or held[of_plate[:, None] == of_class].sum() < EXPLAINED * held.sum():
        of_plate, of_class = np.zeros_like(of_plate), np.zeros_like(of_class)
    numbering = _numbering(_orders(plates, of_plate), of_class)
    of_plate, of_class = numbering[of_plate], numbering[of_class]
    orders = _orders(plates, of_plate)
    sizes = tuple(np.bincount(of_class).tolist())
    mixed = plates[(held & (of_plate[:, None] != of_class)).any(axis=1)]
    return Groups(
        of_class=of_class,
        sizes=sizes,
        orders=orders,
        admissible=admissible_orders(list(orders.values()), len(sizes)),
        cyclic=are_shifts(list(orders.values())),
        capacity=_capacity(screen.spec, int(counts.max())),
        mixed_plates=tuple((str(name), int(plate)) for name, plate in mixed.itertuples(index=False)),
        assigned=screen.spec.assignment != "none",
    )


def _no_groups(screen: Screen) -> Groups:
    """Return the groups of a screen without any labelled train well."""
    return Groups(
        of_class=np.zeros(screen.n_treatments, dtype=np.int64),
        sizes=(screen.n_treatments,),
        orders={},
        admissible=(),
        cyclic=False,
        capacity=_capacity(screen.spec, 1),
        mixed_plates=(),
        assigned=screen.spec.assignment != "none",
    )


def _capacity(spec: ScreenSpec, seen: int) -> int:
    """Return the most wells of one treatment on a plate; ``seen`` is the number on train plates."""
    return 1 if spec.assignment == "one-to-one" else spec.replicates or seen


def orders_for(groups: Groups, n_plates: int) -> tuple[Order, ...]:
    """Return the admissible orders of an experiment with ``n_plates`` plates.

    () means any group on any plate, in more than ``orders.MOST_ORDERS`` ways: match each plate separately.
    """
    return orders_of_length(groups.admissible, list(groups.orders.values()), len(groups.sizes), n_plates)


def rotations(groups: Groups) -> dict[int, int]:
    """Return shift -> number of train experiments, for the observed shifts; other orders are left out.

    Shift 0 is the commonest order; shift s starts with its group s.
    """
    if not groups.orders:
        return {}
    known = shifts(commonest_order(list(groups.orders.values())))
    seen = Counter(known.index(order) for order in groups.orders.values() if order in known)
    return dict(sorted(seen.items()))


def plates_with_missing_wells(screen: Screen, groups: Groups | None = None) -> list[ShortPlate]:
    """Return the train plates with fewer treatment wells than most plates of their group."""
    groups = groups or learn_groups(screen)
    plates, counts = _plate_counts(screen)
    if plates.empty:
        return []
    of_plate = np.concatenate([groups.orders[name] for name in plates["experiment"].unique()])
    short = []
    for group in range(len(groups.sizes)):
        wells = counts[np.ix_(of_plate == group, groups.of_class == group)]  # (plates, classes) of the group
        expected = int(np.quantile(wells, 0.5, axis=0, method="higher").sum())
        for row, found in zip(plates[of_plate == group].itertuples(index=False), wells.sum(axis=1), strict=True):
            if found < expected:
                short.append(ShortPlate(str(row[0]), int(row[1]), group, int(found), expected))
    return sorted(short, key=lambda plate: (plate.experiment, plate.plate))


def _plate_counts(screen: Screen) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the P train plates (experiment, plate), sorted, and their wells of each treatment (P, K)."""
    wells = screen.select("train", "treatment")
    wells = wells[wells["label"] >= 0]
    plates = wells[["experiment", "plate"]].drop_duplicates(ignore_index=True)
    row = wells.groupby(["experiment", "plate"], sort=False).ngroup().to_numpy()
    counts = np.zeros((len(plates), screen.n_treatments), dtype=np.int64)
    np.add.at(counts, (row, wells["label"].to_numpy()), 1)
    return plates, counts


def _joined(held: np.ndarray) -> np.ndarray:
    """Return the cluster (P,) of each plate; plates that share most treatments are joined."""
    shared = held.astype(np.float32) @ held.T.astype(np.float32)
    size = held.sum(axis=1)
    return connected_components(shared > SAME_GROUP * np.minimum(size[:, None], size), directed=False)[1]


def _move_to_majority(held: np.ndarray, of_plate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Move treatments and plates to their majority's group; return the groups of plates (P,) and classes (K,)."""
    for _ in range(len(of_plate)):
        of_class = (held.T @ np.eye(of_plate.max() + 1)[of_plate]).argmax(axis=1)
        moved = (held @ np.eye(of_plate.max() + 1)[of_class]).argmax(axis=1)
        if (moved == of_plate).all():
            break
        of_plate = moved
    return of_plate, of_class


def _orders(plates: pd.DataFrame, of_plate: np.ndarray) -> dict[str, Order]:
    """Return experiment -> group of each plate, in plate order."""
    by_experiment = pd.Series(of_plate).groupby(plates["experiment"].to_numpy())
    return {str(name): tuple(groups.tolist()) for name, groups in by_experiment}


def _numbering(orders: dict[str, Order], of_class: np.ndarray) -> np.ndarray:
    """Return old group -> new group: by the commonest order, then by the first treatment."""
    new = dict.fromkeys([*commonest_order(list(orders.values())), *of_class.tolist()])
    number = np.zeros(max(new) + 1, dtype=np.int64)
    number[list(new)] = np.arange(len(new))
    return number
