"""The lines of a discovered screen spec on its table, labels and controls."""

import re

from rcic.discover.screen_facts import (
    label_roles,
    replicate_structure,
    split_of,
    table_sentence,
)
from rcic.discover.spec_parts import SpecParts
from rcic.discover.spec_text import SpecText, cut, flow
from rcic.errors import plural


def add_table(text: SpecText, parts: SpecParts) -> None:
    """Add the table, its columns, and what its labels and roles say."""
    fit, columns = parts.fit, parts.fit.columns
    text.head("")
    text.raw("tables:")
    why = "fill in its labels" if parts.is_template else table_sentence(fit, parts.n_imaged)
    text.item({"file": fit.file}, why)
    if columns is None:
        return
    text.raw("columns:")
    named = columns.parts
    for part in ("experiment", "plate"):
        if part in named:
            text.raw(f"  {part}: {flow(named[part])}", columns.reasons[part])
        else:
            one = "the screen is one experiment" if part == "experiment" else "an experiment is one plate"
            text.raw(f"  {part}: null", f"no column: {one}")
    if "well" in named:
        text.raw(f"  well: {flow(named['well'])}", columns.reasons["well"])
    else:
        text.raw("  well: null", "row and column are separate")
        for part in ("row", "column"):
            text.raw(f"  {part}: {flow(named[part])}", columns.reasons[part])
    if (
        "site" in named
        and columns.rows.duplicated(
            [named[p] for p in ("experiment", "plate", "well", "row", "column") if p in named]
        ).any()
    ):
        text.raw(f"  site: {flow(named['site'])}", "one row per site")
    if "label" in named:
        values = [value for value in columns.values("label") if value]
        shown = f"{columns.reasons['label']}: {cut(values, 5)}" if values else "empty as yet"
        text.raw(f"  label: {flow(named['label'])}", shown)
    _add_wells(text, parts)


def _add_wells(text: SpecText, parts: SpecParts) -> None:
    """Add what labels and roles say: controls, splits, cell types, assignment."""
    columns, fit = parts.fit.columns, parts.fit
    if columns is None:
        return
    named = columns.parts
    kinds, why = label_roles(columns) if "label" in named or "role" in named else ({}, "")
    if kinds.get("unknown"):
        text.raw(f"  unknown: {flow(kinds['unknown'])}", "labels that usually mean that nothing is known")
    train, test = split_of(columns)
    if train or test:
        text.line("split", {"column": named["split"], "train": train, "test": test}, "by its title and values")
    elif not parts.is_template:
        text.head("split: no column says which wells are test wells: experiments without labels are")
    if "cell_type" in named:
        text.line("cell_type", {"column": named["cell_type"]}, columns.reasons["cell_type"])
    _add_doses(text, parts, kinds)
    _add_well_types(text, parts, kinds, why)
    text.line("groups", "none", "no sets of labels that share plates are looked for")
    controls = [*kinds.get("negative_control", []), *kinds.get("positive_control", []), *kinds.get("skip", [])]
    if "label" in named and not parts.is_template:
        assignment, replicates, why = replicate_structure(columns, fit, controls)
        text.line("assignment", assignment, why)
        if replicates is not None and assignment == "capacity":
            text.line("replicates", replicates, why)
    else:
        text.line("assignment", "none", "nothing is known of how labels are laid out on a plate")


def _add_doses(text: SpecText, parts: SpecParts, kinds: dict[str, list[str]]) -> None:
    """Add that labels are doses, if their column says so and all of them are numbers."""
    columns = parts.fit.columns
    if columns is None or not re.search(r"dose|conc", columns.parts.get("label", ""), re.IGNORECASE):
        return
    others = {value for kind, values in kinds.items() if kind != "treatment" for value in values}
    doses = [value for value in columns.values("label") if value and value not in others]
    if len(doses) > 2 and all(re.fullmatch(r"\d+(?:\.\d*)?(?:[eE][-+]?\d+)?", value) for value in doses):
        text.line("labels", {"kind": "dose"}, "the labels are numbers, and their column's title says dose")


def _add_well_types(text: SpecText, parts: SpecParts, kinds: dict[str, list[str]], why: str) -> None:
    columns = parts.fit.columns
    entry: dict[str, object] = {}
    if columns is not None and "role" in columns.parts:
        entry["column"] = columns.parts["role"]
        entry["treatment"] = kinds.get("treatment", [])
    for kind in ("positive_control", "negative_control", "skip"):
        if kinds.get(kind):
            entry[kind] = kinds[kind]
    if parts.skip_file:
        entry["skip_file"] = parts.skip_file
        why = f"{why}; {plural(len(parts.fit.missing), 'row')} without images are left out"
    if entry:
        text.line("well_types", entry, why.removeprefix("; "))
    elif columns is not None and not parts.is_template:
        text.unknown("controls: no label is a word for one, such as DMSO; list them under well_types")
