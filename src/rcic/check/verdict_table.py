"""The table of verdicts: what is not sound, a line each, then the number of results in each state by kind."""

from collections import Counter
from collections.abc import Sequence

from rcic.check.verdicts import State, Verdict
from rcic.errors import plural

STATES: tuple[State, ...] = ("sound", "stale", "damaged", "unfinished", "foreign")
_MOST = 200  # lines of results


def verdicts_text(verdicts: Sequence[Verdict], everything: bool = False) -> str:
    """Return the table; sound results are only counted unless ``everything`` is to be shown."""
    shown = [verdict for verdict in verdicts if everything or verdict.state != "sound"]
    lines = [line for verdict in shown[:_MOST] for line in _lines(verdict)]
    if len(shown) > _MOST:
        lines.append(f"and {len(shown) - _MOST:,} more")
    return "\n".join([*lines, *([""] if lines else []), *_counts(verdicts)])


def summary(verdicts: Sequence[Verdict]) -> str:
    """Return the number of results in each state as a sentence: ``40 results: 38 sound, 2 stale``."""
    counts = Counter(verdict.state for verdict in verdicts)
    return f"{plural(len(verdicts), 'result')}: " + ", ".join(f"{counts[s]:,} {s}" for s in STATES if counts[s])


def _lines(verdict: Verdict) -> list[str]:
    origin = f" (made from {verdict.made_from})" if verdict.made_from else ""
    lines = [f"{verdict.state:10}  {verdict.result.kind:13}  {verdict.result.path}{origin}"]
    if verdict.why:
        lines.append(f"{'':12}{verdict.why}")
    if verdict.mend:
        lines.append(f"{'':12}mend: {verdict.mend}")
    return lines


def _counts(verdicts: Sequence[Verdict]) -> list[str]:
    kinds = sorted({verdict.result.kind for verdict in verdicts})
    states = [state for state in STATES if any(verdict.state == state for verdict in verdicts)]
    counts = Counter((verdict.result.kind, verdict.state) for verdict in verdicts)
    width = max(map(len, kinds))
    rows = [f"{'':{width}}  " + "  ".join(f"{state:>10}" for state in states)]
    rows += [f"{kind:{width}}  " + "  ".join(f"{counts[kind, state] or '-':>10}" for state in states) for kind in kinds]
    return [*rows, summary(verdicts)]
