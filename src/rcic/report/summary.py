"""The summary: the main numbers and the warnings."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from rcic.check.verdicts import Verdict
from rcic.decide.dose_metrics import DoseScore
from rcic.decide.intervals import CONFIDENCE_LEVEL
from rcic.decide.plate_group import UNSURE
from rcic.ensemble.calibration import Calibration
from rcic.errors import plural, program
from rcic.report.ladders import Scored, plate_titles
from rcic.report.page import Fact
from rcic.report.training_runs import Run
from rcic.screen.table import Screen

FAR = 10.0  # points from which an experiment or a calibration error gets a warning
_FEW = 3  # names that a line lists


def main_facts(screen: Screen, scores: Sequence[Scored], answers: pd.DataFrame, runs: Sequence[Run]) -> list[Fact]:
    """Return the main numbers; ``scores`` are those of the predictions that give the answers."""
    facts = [_headline(screen, scored) for scored in scores]
    treated = screen.wells[screen.wells["well_type"] == "treatment"]
    facts.append(Fact("Wells", f"{len(screen.wells):,}", f"{len(treated):,} treated, {len(answers):,} answered"))
    plates = screen.wells[["experiment", "plate"]].drop_duplicates()
    cells = screen.wells["cell_type"].nunique()
    note = f"{plural(plates['experiment'].nunique(), 'experiment')}, {plural(cells, 'cell type')}"
    facts.append(Fact("Plates", f"{len(plates):,}", note))
    facts.append(_classes(screen))
    facts += [_dose_fact(scored.label, scored.score.dose) for scored in scores[:1] if scored.score.dose]
    if runs:
        done = sum(run.record.get("status") == "done" for run in runs)
        facts.append(Fact("Trainings done", f"{done} of {len(runs)}", ", ".join(dict.fromkeys(r.stage for r in runs))))
    for scored in scores[:1]:
        ladder = scored.score.ladder
        if ladder.plates_known:
            value = f"{ladder.plates_matched} of {ladder.plates_known}"
            facts.append(Fact("Plates matched to their group", value, scored.label))
    return facts


def _headline(screen: Screen, scored: Scored) -> Fact:
    """Return the accuracy of the last rung that exists: what it is called, and on which wells it was measured."""
    where = "test wells, truth known"
    if scored.split != "test":
        tests = bool((screen.wells["split"] == "test").any())
        where = "held-out wells of each fold" + ("" if tests else ", as the screen has no test wells")
    chance = f"chance {scored.score.ladder.chance:.3g}\u00a0%"
    note = f"{where}; {scored.last_rung}; {_interval_words(scored)}; {chance}"
    return Fact("Answers right", f"{scored.accuracy():.2f}\u00a0%", note, wide=True)


def _interval_words(scored: Scored) -> str:
    """Return the interval of the last rung's accuracy, or why there is none."""
    found = scored.score.ladder.interval()
    if found.no_interval:
        return f"no interval: {found.no_interval}"
    level, clusters = f"{100 * CONFIDENCE_LEVEL:.0f}\u00a0%", plural(found.clusters, found.unit)
    return f"{level} interval {found.low:.1f} to {found.high:.1f} ({clusters})"


def _classes(screen: Screen) -> Fact:
    """Return the number of classes, under the name that the tables have for them."""
    controls = len(screen.classes) - screen.n_treatments
    title = screen.spec.label_title
    return Fact(
        f"{title[:1].upper()}{title[1:]}" if title.islower() else title,
        f"{screen.n_treatments:,}",
        f"classes; {plural(controls, 'control') if controls else 'no controls'}",
    )


def _dose_fact(label: str, dose: DoseScore) -> Fact:
    """Return how far answers are off where labels are doses."""
    error = f"{dose.mean_error.value:.2f} dose steps off on average, a guess {dose.guess_mean_error:.2f}"
    rho = "not defined" if np.isnan(dose.spearman_expected) else f"{dose.spearman_expected:.2f}"
    return Fact("Spearman with the dose", rho, f"{error}; {label}", wide=True)


def report_warnings(
    mixed_plates: Sequence[str],
    scores: Sequence[Scored],
    runs: Sequence[Run],
    facts: dict[str, Any] | None,
    calibration: Callable[[], Calibration | None] = lambda: None,
) -> list[str]:
    """Return the warnings, a sentence each.

    ``mixed_plates`` are the names of train plates with several groups; ``facts`` are the audit's, None without one.

    ``calibration`` is called where the confidence is far off, to see whether `calibrate` helps.
    """
    warnings = [*_odd_runs(runs), *_odd_images(facts)]
    for scored in scores:
        warnings += [f"{scored.label}: {note}." for note in [*scored.score.assumed, scored.score.proves] if note]
        warnings += [*_odd_experiments(scored), *_odd_plates(scored)]
    warnings += _odd_confidence(scores, calibration)
    if mixed_plates:
        hold = f"{plural(len(mixed_plates), 'train plate')} {'holds' if len(mixed_plates) == 1 else 'hold'}"
        warnings.append(f"{hold} treatments of several groups: {few(mixed_plates)}.")
    return warnings


def nothing_odd(scores: Sequence[Scored], runs: Sequence[Run], facts: dict[str, Any] | None) -> str:
    """Return what the page says where there is no warning: what was looked at, and nothing else."""
    looked = ["trainings"] if runs else []
    looked += ["images"] if facts is not None else []
    looked += ["experiments", "confidence"] if scores else []
    if not looked:
        return "Nothing was looked at yet: there are no trainings, no audit and no scores."
    listed = looked[0] if len(looked) == 1 else f"{', '.join(looked[:-1])} and {looked[-1]}"
    return f"Nothing stands out: {listed} are as expected."


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
    table = table[(table["scope"] == "experiment") & (table["rung"] == scored.last_rung)].sort_values("accuracy")
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
    names = plate_titles(plates)
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


def _odd_confidence(scores: Sequence[Scored], calibration: Callable[[], Calibration | None]) -> list[str]:
    """Return a line on predictions whose confidence is far from their accuracy, and on what would mend it."""
    errors = {scored.label: 100 * scored.score.ladder.calibration_error for scored in scores}
    errors_far = [f"{error:.1f}\u00a0% on {label}" for label, error in errors.items() if error > FAR]
    if not errors_far:
        return []
    errors_text = few(errors_far)
    return [f"The answers' confidence is off by {errors_text} on average{_remedy(calibration())}."]


def _remedy(calibration: Calibration | None) -> str:
    """Return what `calibrate` makes of the calibration error, measured on held-out wells that it was not fitted on."""
    if calibration is None:
        return ""
    before, after = (100 * quality["calibration_error"] for quality in (calibration.before, calibration.after))
    numbers = f"from {before:.1f} to {after:.1f}\u00a0% on held-out wells, before any assignment"
    if after < before:
        return f"; {program('inference')} calibrate brings it {numbers}"
    return f"; {program('inference')} calibrate would not help ({numbers})"


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"
