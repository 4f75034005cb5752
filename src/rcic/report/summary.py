"""The summary: the main numbers and the warnings."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from rcic.check.verdicts import Verdict
from rcic.decide.plate_group import UNSURE
from rcic.errors import plural, program
from rcic.report.ladders import Scored
from rcic.report.page import Fact
from rcic.report.training_runs import Run
from rcic.screen.layout import Groups
from rcic.screen.table import Screen

FAR = 10.0  # points from which an experiment or a calibration error gets a warning
_FEW = 3  # names that a line lists


def main_facts(screen: Screen, scores: Sequence[Scored], answers: pd.DataFrame, runs: Sequence[Run]) -> list[Fact]:
    """Return the main numbers; ``scores`` are those of the predictions that give the answers."""
    facts = []
    for scored in scores:
        ladder = scored.score.ladder
        note = "test wells, truth known" if scored.split == "test" else "held-out wells of each fold"
        facts.append(
            Fact("Answers right", f"{scored.accuracy():.2f}\u00a0%", f"{note} (chance {ladder.chance:.2f}\u00a0%)")
        )
    treated = screen.wells[screen.wells["well_type"] == "treatment"]
    facts.append(Fact("Wells", f"{len(screen.wells):,}", f"{len(treated):,} treated, {len(answers):,} answered"))
    plates = screen.wells[["experiment", "plate"]].drop_duplicates()
    cells = screen.wells["cell_type"].nunique()
    note = f"{plural(plates['experiment'].nunique(), 'experiment')}, {plural(cells, 'cell type')}"
    facts.append(Fact("Plates", f"{len(plates):,}", note))
    if runs:
        done = sum(run.record.get("status") == "done" for run in runs)
        facts.append(Fact("Trainings done", f"{done} of {len(runs)}", ", ".join(dict.fromkeys(r.stage for r in runs))))
    for scored in scores[:1]:
        ladder = scored.score.ladder
        if ladder.plates_known:
            value = f"{ladder.plates_matched} of {ladder.plates_known}"
            facts.append(Fact("Plates matched to their group", value, scored.label))
    return facts


def report_warnings(
    groups: Groups, scores: Sequence[Scored], runs: Sequence[Run], facts: dict[str, Any] | None
) -> list[str]:
    """Return the warnings, a sentence each; ``facts`` are the audit's, None without an audit."""
    warnings = [*_odd_runs(runs), *_odd_images(facts)]
    for scored in scores:
        warnings += [f"{scored.label}: {note}." for note in [*scored.score.assumed, scored.score.proves] if note]
        warnings += [*_odd_experiments(scored), *_odd_plates(scored)]
    warnings += _odd_confidence(scores)
    if groups.mixed_plates:
        names = [f"{experiment} plate {plate}" for experiment, plate in groups.mixed_plates]
        hold = f"{plural(len(names), 'train plate')} {'holds' if len(names) == 1 else 'hold'}"
        warnings.append(f"{hold} treatments of several groups: {few(names)}.")
    return warnings


def few(names: Sequence[str]) -> str:
    """Return the first names and the number of the others."""
    more = f" and {len(names) - _FEW:,} more" if len(names) > _FEW else ""
    return ", ".join(names[:_FEW]) + more


def _odd_runs(runs: Sequence[Run]) -> list[str]:
    states: dict[str, list[str]] = {}
    for run in runs:
        states.setdefault(str(run.record.get("status", "not known")), []).append(run.keys["run"])
    return [
        f"{plural(len(names), 'training')} with status {state}: {few(names)}."
        for state, names in states.items()
        if state != "done"
    ]


def _odd_images(facts: dict[str, Any] | None) -> list[str]:
    if facts is None or not facts["by_kind"]:
        return []
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in facts["by_kind"].items())
    return [f"The audit found bad images: {kinds}."]


def unsound_results(verdicts: Sequence[Verdict]) -> list[str]:
    """Return a line on the results that are stale, damaged or unfinished; those of other programs are no fault."""
    wrong = [verdict for verdict in verdicts if verdict.state not in ("sound", "foreign")]
    if not wrong:
        return []
    named = few([f"{verdict.result.path} ({verdict.state})" for verdict in wrong])
    command = f"{program('check')} {'' if program('check').startswith('python') else 'check '}".strip()
    return [f"Not sound: {plural(len(wrong), 'result')}: {named}; {command} says why and what mends it."]


def _odd_experiments(scored: Scored) -> list[str]:
    """Return a line on experiments whose accuracy is far below that of the median experiment."""
    table = scored.score.ladder.table
    table = table[(table["scope"] == "experiment") & (table["rung"] == "assignment")].sort_values("accuracy")
    middle = table["accuracy"].median()
    far = table[table["accuracy"] < middle - FAR]
    if far.empty:
        return []
    names = [f"{row.value} ({row.accuracy:.1f}\u00a0%)" for row in far.itertuples()]
    return [
        f"{scored.label}: {plural(len(far), 'experiment')} {_is(names)} more than {FAR:.0f} points below the median "
        f"experiment's {middle:.1f}\u00a0%: {few(names)}."
    ]


def _odd_plates(scored: Scored) -> list[str]:
    plates = scored.score.ladder.plates
    names = plates["experiment"] + " plate " + plates["plate"].astype("str")
    wrong = plates["true_group"].notna() & (plates["true_group"] != plates["group"])
    unsure = plates["margin"] < UNSURE
    warnings = []
    if wrong.any():
        number = plural(int(wrong.sum()), "plate")
        warnings.append(f"{scored.label}: {number} matched to the wrong group: {few(list(names[wrong]))}.")
    if unsure.any():
        number = plural(int(unsure.sum()), "plate")
        warnings.append(
            f"{scored.label}: {number} matched with a margin below {UNSURE:g} nats: {few(list(names[unsure]))}."
        )
    return warnings


def _odd_confidence(scores: Sequence[Scored]) -> list[str]:
    """Return a line on predictions whose confidence is far from their accuracy."""
    errors = {scored.label: 100 * scored.score.ladder.calibration_error for scored in scores}
    errors_far = [f"{error:.1f}\u00a0% on {label}" for label, error in errors.items() if error > FAR]
    if not errors_far:
        return []
    errors_text = few(errors_far)
    return [
        f"The answers' confidence is off by {errors_text} on average; {program('inference')} calibrate corrects this."
    ]


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"
