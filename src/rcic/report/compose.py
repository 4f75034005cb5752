"""Composition of the page: every section that can be made, and a list of the others with the reasons."""

import logging
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rcic.check.verdict_table import summary
from rcic.ensemble.calibration import read_mix
from rcic.errors import UserError, plural, program
from rcic.files.record import Record
from rcic.report.audit_facts import read_facts
from rcic.report.page import LeftOut, Page, write_report
from rcic.report.sections import SECTIONS, NothingToShow
from rcic.report.sources import Given, ReportSources
from rcic.report.summary import main_facts, nothing_odd, report_warnings, unsound_results
from rcic.report.training_runs import Run

_log = logging.getLogger(__name__)


def report(given: Given, out: Path) -> Page:
    """Write the report atomically, log what was left out, and return the page.

    Raises UserError for incomplete tables, flags that do not fit, or a page that cannot be written. Anything else that
    is absent is left out.
    """
    if out.is_dir():
        raise UserError(f"{out}: is a folder; name a file to write, e.g. {out / 'report.html'}")
    read_mix(given.ensemble)
    left_out: list[LeftOut] = []
    sources = ReportSources(given, _log.info, lambda what, why: left_out.append(LeftOut(what, why)))
    screen = sources.screen
    page = _page(sources, left_out)
    write_report(page, out, _record(sources))
    for absent in left_out:
        _log.info(f"left out: {absent.what}: {absent.why}")
    size = out.stat().st_size / 2**20
    content = f"{plural(len(page.sections), 'section')}, {len(screen.wells):,} wells, {size:.1f} MB"
    _log.info(f"{out}: {content}; open it in a browser")
    return page


def _page(sources: ReportSources, left_out: list[LeftOut]) -> Page:
    """Return the page; add the sections that cannot be made to ``left_out``."""
    sections = []
    for entry in SECTIONS:
        try:
            sections.append(entry.make(sources))
        except UserError as error:
            programs = {name: program(name) for name in ("data", "train", "inference")}
            command = entry.command.format(root=shlex.quote(str(sources.given.data_root)), **programs)
            left_out.append(LeftOut(entry.what, str(error), "" if isinstance(error, NothingToShow) else command))
    runs, facts = (
        _or_none(lambda: sources.runs) or [],
        _or_none(lambda: read_facts(sources.audit_dir or Path())),
    )
    warnings = _warnings(sources, runs, facts)  # before the verdicts: what it keeps replaces what a killed report left
    return Page(
        title=f"Report on {sources.given.data_root}",
        subtitle=_subtitle(sources),
        facts=main_facts(sources.screen, sources.last, sources.answers, runs),
        odd=[*unsound_results(sources.verdicts), *warnings],
        sections=sections,
        left_out=left_out,
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        nothing_odd=nothing_odd(sources.last, runs, facts),
    )


def _warnings(sources: ReportSources, runs: Sequence[Run], facts: dict[str, Any] | None) -> list[str]:
    return report_warnings(sources.mixed_plates, sources.last, runs, facts, lambda: sources.calibration)


def _record(sources: ReportSources) -> Record:
    """Return the record of the page: the classes, and the predictions that it shows, by their folders."""
    screen = sources.screen
    origins = [scored.score.origin for scored in sources.scores]
    origins += [sources.decision.origin] if sources.decision is not None else []
    networks = {
        f"{origin.facts['predict_root']}/{folder}": network
        for origin in origins
        for folder, network in origin.made_from["predictions"].items()
    }
    made_from = {"classes": screen.identity.treatments, "predictions": networks}
    return Record("report", made_from, facts=screen.source_facts)


def _subtitle(sources: ReportSources) -> str:
    """Return the folders that were read, as text."""
    given = sources.given
    parts = [f"trainings {given.options.log_root}" if given.options.log_root else ""]
    parts += [f"predictions {', '.join(given.options.predict_root)}" if given.options.predict_root else ""]
    parts += [f"checked: {summary(sources.verdicts)}" if sources.verdicts else ""]
    return "; ".join(part for part in parts if part)


def _or_none(read: Any) -> Any:
    try:
        return read()
    except UserError:
        return None
