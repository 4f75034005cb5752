"""Print benchmarks/cost_to_accuracy.md and draw its chart: what accuracy costs, from what ``accuracy.py`` left.

``python benchmarks/cost_to_accuracy.py bench docs/images/cost_to_accuracy.svg > benchmarks/cost_to_accuracy.md``
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from statistics import median

from accuracy_rows import SHORT
from accuracy_table import ANSWER, Results, table

TARGETS = (20, 40, 60, 80, 90, 95)  # % raw
LINES = {
    "A": [("a_short", "full"), ("a", "full"), ("a", "pseudo")],
    "best": [*((f"best_short_{n}", "centres") for n in SHORT), ("best", "centres"), ("best", ANSWER)],
    "best of version 0.2": [("best_v02", "centres_v02"), ("best_v02", "pseudo_centres_v02")],
}
COLOURS = {"A": "#6b7280", "best": "#2563eb", "best of version 0.2": "#d97706"}
PAGE = """\
# What accuracy costs

The bench screen of [accuracy.md](accuracy.md), its test experiments, medians of the trainings' seeds where there are
several. A point is a recipe trained to the end of its schedule: A's second stage alone for 10 epochs (where measured),
A's stages I and II, and III; `best`'s second stage alone for {short} epochs and *quick*,
its stages I and II, and III. *Quick*: 7 epochs at 1.5 times the rate, with a shorter average of the weights, validated
after the last one only; chosen on another draw of the screen (seed 1). Minutes are CPU minutes of training on one core.

![Raw accuracy and accuracy after the assignment against CPU minutes of training](../docs/images/{chart})

{points}

## Minutes to a raw accuracy

The shortest of the measured trainings that reaches it; a dash: none does.

{reached}

{answer}
"""


@dataclass(frozen=True)
class Point:
    """A training: CPU minutes, and accuracies in %, medians over seeds."""

    minutes: float
    raw: float
    assignment: float


def points(results: Results, rows: Sequence[tuple[str, str]]) -> list[Point]:
    """Return the points of one line that are measured, in order of minutes."""
    found = []
    for chain, score in rows:
        values = [results.accuracies(chain, score, rung) for rung in ("raw", "assignment")]
        if all(values):
            found.append(Point(median(results.minutes(chain, score)), *map(median, values)))
    return sorted(found, key=lambda point: point.minutes)


def first(line: Sequence[Point], least: float, what: str = "raw") -> float | None:
    """Return the minutes of the shortest training of a line with at least this accuracy."""
    return next((point.minutes for point in line if getattr(point, what) >= least), None)


def fifth(lines: dict[str, list[Point]]) -> str:
    """Return the sentence that compares best with A's final accuracy."""
    goal = lines["A"][-1]
    reached = first(lines["best"], goal.assignment, "assignment")
    if reached is None:
        return f"`best` does not reach A's final accuracy after the assignment, {goal.assignment:.1f} %."
    return (
        f"A ends at {goal.assignment:.1f} % after the assignment, in {goal.minutes:.1f} minutes. The shortest training "
        f"of `best` that reaches it takes {reached:.2f} minutes, {goal.minutes / reached:.1f} times less."
    )


def chart(lines: dict[str, list[Point]]) -> str:
    """Return the chart as SVG: raw (solid) and after the assignment (dashed) against minutes."""
    most = 1.05 * max(point.minutes for line in lines.values() for point in line)

    def place(minutes: float, accuracy: float) -> str:
        return f"{60 + 600 * minutes / most:.1f},{330 - 3 * accuracy:.1f}"

    parts = ['<rect width="860" height="390" fill="#ffffff"/>']
    for accuracy in range(0, 101, 20):
        y = 330 - 3 * accuracy
        parts.append(f'<line x1="60" x2="660" y1="{y}" y2="{y}" stroke="#e5e7eb"/>')
        parts.append(f'<text x="52" y="{y + 4}" text-anchor="end">{accuracy}</text>')
    for minutes in range(int(most) + 1):
        x = 60 + 600 * minutes / most
        parts.append(f'<text x="{x:.1f}" y="350" text-anchor="middle">{minutes}</text>')
    for name, line in lines.items():
        for what, dash in (("raw", ""), ("assignment", ' stroke-dasharray="5 4"')):
            spots = [place(point.minutes, getattr(point, what)) for point in line]
            drawn = f'fill="none" stroke="{COLOURS[name]}" stroke-width="2"{dash}'
            parts.append(f'<polyline points="{" ".join(spots)}" {drawn}/>')
            parts += [
                f'<circle cx="{spot.split(",")[0]}" cy="{spot.split(",")[1]}" r="3.5" fill="{COLOURS[name]}"/>'
                for spot in spots
            ]
    for number, name in enumerate(lines):
        y = 250 + 20 * number
        parts.append(f'<rect x="690" y="{y - 9}" width="12" height="12" fill="{COLOURS[name]}"/>')
        parts.append(f'<text x="710" y="{y + 2}">{escape(name)}</text>')
    parts.append('<text x="360" y="375" text-anchor="middle">CPU minutes of training</text>')
    parts.append('<text x="60" y="20">accuracy in %: raw (solid), after the assignment (dashed)</text>')
    style = 'font-family="system-ui, sans-serif" font-size="13" fill="#374151"'
    body = "\n".join(parts)
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 860 390" {style}>\n{body}\n</svg>\n'


def page(results: Results, name: str) -> tuple[str, str]:
    """Return the page, and its chart."""
    lines = {title: found for title, rows in LINES.items() if (found := points(results, rows))}
    body = [
        [title, f"{point.minutes:.2f}", f"{point.raw:.1f}", f"{point.assignment:.1f}"]
        for title, line in lines.items()
        for point in line
    ]
    reached = []
    for goal in TARGETS:
        minutes = [first(line, goal) for line in lines.values()]
        reached.append([f"{goal} %", *("-" if found is None else f"{found:.2f}" for found in minutes)])
    text = PAGE.format(
        short=", ".join(name for name in SHORT if name != "quick"),
        chart=name,
        points=table(["recipe", "minutes", "raw", "assignment"], body),
        reached=table(["raw", *lines], reached),
        answer=fifth(lines),
    )
    return text, chart(lines)


if __name__ == "__main__":
    written, drawn = page(Results(Path(sys.argv[1])), Path(sys.argv[2]).name)
    Path(sys.argv[2]).write_text(drawn, encoding="utf-8")
    print(written, end="")
