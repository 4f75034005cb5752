"""A summary of a screen, as data and as text."""

from collections import Counter
from dataclasses import asdict
from typing import Any

import pandas as pd

from rcic.screen.design_checks import design_warnings, position_guesses
from rcic.screen.layout import Groups, learn_groups, plates_with_missing_wells, repeated_layouts, rotations
from rcic.screen.table import Screen
from rcic.screen.well_notes import flagged_wells

MOST_LINES = 30  # longer lists are cut in the text


def describe(screen: Screen) -> dict[str, Any]:
    """Summarise a screen as plain JSON values.

    Wells are treatment wells unless called control wells; ``controls`` and ``treatments`` count labels;
    ``rotations`` maps a shift, as text for JSON, to its number of train experiments.
    """
    groups = learn_groups(screen)
    short = plates_with_missing_wells(screen, groups)
    guesses = position_guesses(screen)
    train, test = _counts(screen, "train"), _counts(screen, "test")
    positive = screen.wells.loc[screen.wells["well_type"] == "positive_control", "label"].nunique()
    return {
        **{f"train_{key}": value for key, value in train.items()},
        **{f"test_{key}": value for key, value in test.items()},
        "cell_types": _cell_types(screen),
        "treatments": screen.n_treatments,
        "controls": len(screen.classes) - screen.n_treatments,
        "positive_controls": int(positive),
        "group_sizes": list(groups.sizes),
        "single_group_plates": train["plates"] - len(groups.mixed_plates),
        "wells_of_one_treatment_on_a_plate": groups.capacity,
        "rotations": {str(shift): count for shift, count in rotations(groups).items()},
        "orders": _orders(groups),
        "cyclic": groups.cyclic,
        "repeated_layouts": [
            asdict(pair) | {"experiments": list(pair.experiments)} for pair in repeated_layouts(screen)
        ],
        "plates_with_missing_wells": len(short),
        "missing_wells": [asdict(plate) for plate in short],
        "test_labels_known": screen.truth is not None,
        "plate_names": _plate_names(screen),
        "label_by_position": {
            guess.position: {"right": round(guess.right, 4), "chance": round(guess.chance, 4)} for guess in guesses
        },
        "warnings": design_warnings(screen, guesses),
        "doses": _doses(screen),
        "flagged_wells": len(flagged_wells(screen.root, screen.spec)),
        "has_images": not screen.spec.images.none,
    }


def describe_text(facts: dict[str, Any]) -> str:
    """Format the summary of `describe` as a page of text."""
    parts = {
        "Wells": _wells_text(facts),
        "Treatments": _treatment_text(facts),
        "Plate groups": _group_text(facts),
        "Repeated layouts": _repeat_text(facts["repeated_layouts"]),
        "Missing wells": _missing_text(facts),
    }
    if facts["warnings"]:
        parts["Warnings"] = facts["warnings"]
    if facts["plate_names"]:
        parts["Plates by number"] = _names_text(facts["plate_names"])
    return "\n\n".join("\n".join([title, *(f"  {line}".rstrip() for line in lines)]) for title, lines in parts.items())


def _counts(screen: Screen, split: str) -> dict[str, int]:
    """Return the numbers of experiments, plates, treatment wells and control wells of a split."""
    wells = screen.select(split)
    return {
        "experiments": int(wells["experiment"].nunique()),
        "plates": len(wells[["experiment", "plate"]].drop_duplicates()),
        "wells": int((wells["well_type"] == "treatment").sum()),
        "control_wells": int((wells["well_type"] != "treatment").sum()),
    }


def _cell_types(screen: Screen) -> dict[str, dict[str, int]]:
    """Return cell type -> numbers of train and of test experiments."""
    experiments = screen.wells[["cell_type", "split", "experiment"]].drop_duplicates()
    seen = Counter(zip(experiments["cell_type"], experiments["split"], strict=True))
    names = sorted(experiments["cell_type"].unique())
    return {name: {split: seen[name, split] for split in ("train", "test")} for name in names}


def _plate_names(screen: Screen) -> dict[str, dict[str, str]]:
    """Return experiment -> plate number, as text for JSON -> plate name, of plates that have a name."""
    names: dict[str, dict[str, str]] = {}
    for (experiment, plate), name in sorted(screen.barcodes.items()):
        names.setdefault(experiment, {})[str(plate)] = name
    return names


def _doses(screen: Screen) -> dict[str, list[float]]:
    """Return compound -> its doses, in order; {} unless the labels are doses."""
    if screen.doses is None:
        return {}
    table = pd.DataFrame({"compound": screen.doses.compound, "dose": screen.doses.dose})
    by_compound = table.groupby("compound")["dose"]
    return {screen.doses.compounds[int(str(code))]: sorted(set(doses)) for code, doses in by_compound}


def _orders(groups: Groups) -> list[dict[str, Any]]:
    """Return each order of groups over plates, observed or only admissible, with its number of experiments."""
    seen = Counter(groups.orders.values())
    unseen = [order for order in groups.admissible if order not in seen] if groups.cyclic else []
    return [{"groups": list(order), "experiments": seen[order]} for order in [*sorted(seen), *unseen]]


def _wells_text(facts: dict[str, Any]) -> list[str]:
    """Return the tables of splits and of cell types."""
    widths = {"experiments": 12, "plates": 8, "wells": 17, "control_wells": 15}
    titles = ("experiments", "plates", "treatment wells", "control wells")
    lines = [" " * 5 + "".join(f"{title:>{w}}" for title, w in zip(titles, widths.values(), strict=True))]
    for split in ("train", "test"):
        numbers = "".join(f"{facts[f'{split}_{key}']:>{width},}" for key, width in widths.items())
        lines.append(f"{split:5}{numbers}")
    width = max(len(name) for name in facts["cell_types"])
    lines += ["", "experiments by cell type, train + test"]
    lines += [f"  {name:{width}} {n['train']:>3} + {n['test']}" for name, n in facts["cell_types"].items()]
    flagged, further = facts["flagged_wells"], list[str]()
    further += [f"{_number(flagged, 'flagged well')} left out"] if flagged else []
    further += [] if facts["has_images"] else ["no images: profiles of another program only"]
    return [*lines, "", *further] if further else lines


def _treatment_text(facts: dict[str, Any]) -> list[str]:
    """Return the lines on treatments and controls."""
    positive, most = facts["positive_controls"], facts["wells_of_one_treatment_on_a_plate"]
    known = "known" if facts["test_labels_known"] else "not known"
    return [
        f"{_number(facts['treatments'], 'treatment')}, each in at most {_number(most, 'well')} of a plate",
        f"{_number(facts['controls'], 'control')}: {positive:,} positive, {facts['controls'] - positive:,} negative",
        f"labels of the test wells: {known}",
        *_dose_lines(facts["doses"]),
    ]


def _dose_lines(doses: dict[str, list[float]]) -> list[str]:
    """Return a line for each compound with its doses."""
    lines = []
    for name, series in doses.items():
        shown = ", ".join(f"{dose:g}" for dose in series)
        lines.append(f"{_number(len(series), 'dose')}{f' of {name}' if name else ''}: {shown}")
    return _cut(lines)


def _group_text(facts: dict[str, Any]) -> list[str]:
    """Return the lines on plate groups and their orders."""
    sizes = facts["group_sizes"]
    if len(sizes) == 1:
        return ["none: no sets of treatments that share plates"]
    size = f"{sizes[0]:,} treatments each" if len(set(sizes)) == 1 else f"{', '.join(map(str, sizes))} treatments"
    orders = []
    for order in facts["orders"]:
        seen = _number(order["experiments"], "train experiment")
        note = seen if order["experiments"] else "no train experiment, but possible in test"
        orders.append(f"  {' '.join(map(str, order['groups']))}   {note}")
    rule = "rotations of one order" if facts["cyclic"] else "no rotations of one order: a new one is possible"
    return [
        f"{len(sizes)} sets of treatments that do not share plates, of {size}",
        f"{facts['single_group_plates']:,} of {facts['train_plates']:,} train plates hold exactly one set",
        f"set on each plate of an experiment, in plate order; these are {rule}",
        *_cut(orders),
    ]


def _repeat_text(repeats: list[dict[str, Any]]) -> list[str]:
    """Return a line for each pair of train experiments with the same layout."""
    lines = []
    for pair in repeats:
        wells = f"{pair['matching_wells']:,} of {pair['common_wells']:,} wells hold the same treatment"
        first, second = pair["experiments"]
        turn = f"; {first} plate 1 is {second} plate {pair['plate_shift'] + 1}" if pair["plate_shift"] else ""
        lines.append(f"{first} = {second}: {wells}{turn}")
    return _cut(lines) or ["none: no two train experiments have the same treatments in the same wells"]


def _names_text(names: dict[str, dict[str, str]]) -> list[str]:
    """Return a line for each experiment with named plates."""
    width = max(map(len, names))
    lines = [
        f"{name:{width}}  {', '.join(f'{n} {plate}' for n, plate in plates.items())}" for name, plates in names.items()
    ]
    return _cut(lines)


def _missing_text(facts: dict[str, Any]) -> list[str]:
    """Return a line for each train experiment with missing treatment wells."""
    lost: dict[str, list[tuple[int, int]]] = {}
    for plate in facts["missing_wells"]:
        lost.setdefault(plate["experiment"], []).append((plate["plate"], plate["expected"] - plate["wells"]))
    if not lost:
        return ["none: every train plate has all treatments of its set"]
    width = max(len(name) for name in lost)
    lines = []
    for name, plates in lost.items():
        lacking = ", ".join(f"plate {plate} lacks {count}" for plate, count in plates)
        lines.append(f"  {name:{width}}  {lacking}")
    count = facts["plates_with_missing_wells"]
    return [f"{count:,} of {facts['train_plates']:,} train plates lack treatment wells", *_cut(lines)]


def _number(count: int, noun: str) -> str:
    """Return ``"1 well"`` or ``"1,107 wells"``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _cut(lines: list[str]) -> list[str]:
    """Limit the lines to MOST_LINES; a last line counts the rest."""
    return (
        lines if len(lines) <= MOST_LINES else [*lines[: MOST_LINES - 1], f"and {len(lines) - MOST_LINES + 1:,} more"]
    )
