"""Print benchmarks/accuracy.md, or accuracy_hard.md, from what ``accuracy.py`` left in its work folder."""

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median

import pandas as pd
from accuracy_intervals import Cells, cells_of, difference, interval
from accuracy_rows import CHAINS, SCREENS, SETS, TWO, BenchScreen

RUNGS = ("one site", "both sites", "TTA", "channel sets", "models", "group mask", "assignment")
RAW = (
    "models",
    "channel sets",
    "TTA",
    "both sites",
)  # the last rung before the mask is the first of these that is there
TITLES = {chain.name: chain.title for chain in CHAINS}

Row = tuple[str, str, str]  # title, chain, score
ANSWER = "pseudo_centres"  # best's: class centres on the embeddings of stage III
SCORES = {"a": "full", "best": ANSWER}  # whose confidences are calibrated

RECIPES = [
    ("A, baseline: control, full, running BN", "a", "full"),
    ("A with pseudo-labels (stage III)", "a", "pseudo"),
    ("B, common network, its head", "b", "full"),
    ("B, fine-tuned by cell type, its head", "b", "own"),
    ("B, fine-tuned, nearest wells", "b", "knn_plain"),
    ("best, its head", "best", "pseudo"),
    ("best, class centres: its answer", "best", ANSWER),
    ("best of version 0.2", "best_v02", "pseudo_centres_v02"),
    ("best without stage III, six channel sets (one seed)", "best_sets", "centres"),
]
WITHOUT = [
    ("best (stages I, II and III)", "best", ANSWER),
    ("without stage III", "best", "centres"),
    ("the head in place of class centres", "best", "full"),
    ("embeddings less their plate's mean, not whitened", "best", "centres_plain"),
    ("held-out wells not in the bank", "best", "centres_train"),
    ("neither, as version 0.2", "best", "centres_v02"),
    *(
        (chain.title, chain.name, "centres")
        for chain in CHAINS
        if chain.answer and chain.set and "short" not in chain.name
    ),
    ("best of version 0.2 (stages I, II and III)", "best_v02", "pseudo_centres_v02"),
]
NORMS = [
    ("A, running", "a", "full"),
    ("A, by plate", "a_plate", "full"),
    ("A, by experiment", "a_experiment", "full"),
    ("best without stage III, running", "best_running", "centres"),
    ("best without stage III, by plate", "best", "centres"),
]
STAGES = [
    ("A, full from random weights", "a_scratch", "full"),
    ("A, control, full", "a", "full"),
    ("A, and pseudo", "a", "pseudo"),
    ("best, full from random weights", "best_scratch", "centres"),
    ("best, control, full", "best", "centres"),
    ("best, and pseudo", "best", ANSWER),
]
LIKENESS = [
    (f"{TITLES[name].split(':')[0]}{which}, {title}", name, score)
    for name, which, before, head in (
        ("b", "", "", "own"),
        ("best", " without stage III", "", "full"),
        ("best", "", "pseudo_", "pseudo"),
    )
    for title, score in (
        ("head", head),
        ("nearest wells", f"{before}knn"),
        ("nearest wells, embeddings as stored", f"{before}knn_plain"),
        ("class centres", f"{before}centres"),
        ("class centres, plates centred", f"{before}centres_plain"),
    )
]


INTERVAL = """\
The 95 % interval after it is that of the mean over test experiments and seeds, both drawn with replacement
(`accuracy_intervals.py`); with so few experiments it is too narrow rather than too wide."""

BEST = """\
`best` answers by the cosine to class centres of embeddings, normalised as `neighbours --whiten=auto` chooses on the
held-out wells of train experiments; its head is a row of its own. From the second row on stages I and II alone: each
row is like the second but for what it says. Rows that begin with "with" add what other recipes have, in {two} seeds.
The last row is what version 0.2 did: plates' means subtracted, the bank without held-out wells."""


class Results:
    """The ladders of all chains, seeds and scores below a work folder."""

    def __init__(self, work: Path):
        self.work = work
        state = work / "screen/simulated.json"
        facts = json.loads(state.read_text(encoding="utf-8")) if state.is_file() else {"preset": "bench", "seed": 0}
        self.kind: BenchScreen = SCREENS[facts["preset"]]
        self.draw = int(facts["seed"])

    @property
    def scopes(self) -> tuple[str, ...]:
        """All wells, and the cell types."""
        return ("all", *self.kind.cell_types)

    def rows(self, rows: Sequence[Row]) -> list[Row]:
        """Return the rows whose chain runs on this screen and was scored."""
        return [row for row in rows if self.kind.has(row[1]) and self.ladders(*row[1:])]

    def cells(self, chain: str, score: str) -> Cells | None:
        """Return the raw accuracies of a row by seed and test experiment."""
        return cells_of(self.ladders(chain, score), RAW)

    def ladders(self, chain: str, score: str) -> list[dict]:
        """Return a score's ladder of each seed that has it."""
        paths = sorted((self.work / "chains" / chain).glob(f"*/score/{score}/ladder.json"))
        return [json.loads(path.read_text(encoding="utf-8")) for path in paths]

    def accuracies(self, chain: str, score: str, rung: str, where: str = "all") -> list[float]:
        """Return the accuracy (%) of a rung for each seed; ``raw`` is the last rung before the mask."""
        rungs = RAW if rung == "raw" else (rung,)
        found = []
        for ladder in self.ladders(chain, score):
            cells = {row["rung"]: row["accuracy"] for row in ladder["ladder"] if row["value"] == where}
            values = [cells[name] for name in rungs if cells.get(name) is not None]
            found += values[:1]
        return found

    def minutes(self, chain: str, score: str) -> list[float]:
        """Return the CPU minutes of the trainings behind a score, summed over stages, for each seed."""
        total: dict[str, float] = {}
        for facts in self.marks():
            command = str(facts["command"])
            place = f"chains/{chain}/"
            needless = (".pseudo.yml" in command and "pseudo" not in score) or (
                ".finetune.yml" in command and score == "full"
            )
            if place in command and command.startswith("src/train.py") and not needless:
                seed = command.partition(place)[2].partition("/")[0]
                total[seed] = total.get(seed, 0) + float(facts["seconds"]) / 60
        return list(total.values())

    def marks(self) -> list[dict]:
        """Return what each finished command left."""
        return [json.loads(mark.read_text(encoding="utf-8")) for mark in sorted((self.work / "done").glob("*.json"))]


def spread(values: Sequence[float]) -> str:
    """Return ``median (lowest - highest)``, or a dash."""
    if not values:
        return "-"
    if len(values) == 1:
        return f"{values[0]:.1f}"
    return f"{median(values):.1f} ({min(values):.1f} - {max(values):.1f})"


def spread_with_interval(results: Results, chain: str, score: str) -> str:
    """Return a row's raw accuracy as `spread` with the interval of its mean: ``60.1 (58.0 - 61.2) [49.7, 68.0]``."""
    values, cells = spread(results.accuracies(chain, score, "raw")), results.cells(chain, score)
    found = interval(cells) if cells else None
    return f"{values} [{found[0]:.1f}, {found[1]:.1f}]" if found else values


def gain(results: Results, row: Row, reference: Row) -> str:
    """Return the mean raw accuracy of a row less that of another with its interval, or a dash."""
    one, other = results.cells(*row[1:]), results.cells(*reference[1:])
    if row == reference or not one or not other or not (found := difference(one, other)):
        return "-"
    return f"{found[0]:+.1f} [{found[1]:+.1f}, {found[2]:+.1f}]"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def ladder_rows(results: Results, rows: Sequence[Row], reference: Row | None = None) -> str:
    """Return accuracies by rung, what the raw one gains over that of ``reference``, and what the training cost."""
    body = []
    for row in results.rows(rows):
        title, chain, score = row
        cells = [spread(results.accuracies(chain, score, rung)) for rung in RUNGS]
        cells += [gain(results, row, reference)] if reference else []
        raw = spread_with_interval(results, chain, score)
        body.append([title, raw, *cells, spread(results.minutes(chain, score))])
    gained = [f"raw, less {reference[0]}"] if reference else []
    return table(["recipe", "raw", *RUNGS, *gained, "training, CPU minutes"], body)


def cell_type_rows(results: Results, rows: Sequence[Row]) -> str:
    """Return raw accuracies of all wells, with their interval, and by cell type."""
    body = []
    for title, chain, score in results.rows(rows):
        by_type = [spread(results.accuracies(chain, score, "raw", where)) for where in results.kind.cell_types]
        body.append([title, spread_with_interval(results, chain, score), *by_type])
    return table(["raw accuracy", *results.scopes], body)


def calibration_rows(results: Results, chains: Sequence[str]) -> str:
    """Return the calibration error and the accuracies that are decided with each choice."""
    body = []
    for chain in (name for name in chains if results.ladders(name, SCORES[name])):
        for title, score in (
            ("plain", SCORES[chain]),
            ("temperature", "calibrated"),
            ("Sinkhorn", "sinkhorn"),
            ("both", "both"),
        ):
            ladders = results.ladders(chain, score)
            errors = [
                100 * (one["calibration_error"]["after"] or one["calibration_error"]["before"]) for one in ladders
            ]
            decided = [spread(results.accuracies(chain, score, rung)) for rung in ("group mask", "assignment")]
            body.append([f"{TITLES[chain].split(':')[0]}, {title}", spread(errors), *decided])
    return table(["", "expected calibration error", "group mask", "assignment"], body)


def channel_rows(results: Results) -> str:
    """Return the accuracy lost without each channel beside the part of the simulated change that is in it."""
    paths = sorted((results.work / "chains/best_sets").glob("*/pred/*/channels.csv"))
    if not paths:
        return "Not there yet."
    lost = pd.concat(map(pd.read_csv, paths)).groupby(["cell_type", "channel"])[["lost", "spread"]].mean()
    effects = pd.read_csv(results.work / "screen/truth/effects.csv")
    n_treatments = pd.read_csv(results.work / "screen/train.csv")["sirna"].nunique()
    effects = effects[(effects["sirna"] < n_treatments) & (effects["channel"] > 0)]
    effects = pd.concat([effects, effects.assign(cell_type="all")])
    power = (effects["units"] ** 2).groupby([effects["cell_type"], effects["channel"]]).sum()
    share = 100 * power / power.groupby(level=0).transform("sum")
    body = [
        [
            str(channel),
            *(
                f"{lost.loc[(where, channel), 'lost']:.1f} +- {lost.loc[(where, channel), 'spread']:.1f} "
                f"({share.loc[(where, channel)]:.0f} %)"
                for where in results.scopes
            ),
        ]
        for channel in sorted(lost.index.get_level_values("channel").unique())
    ]
    return table(["channel", *results.scopes], body)


def report(results: Results) -> str:
    """Return the whole page."""
    parts = [
        "# Accuracy on experiments never seen",
        about(results),
        "## Recipes",
        ladder_rows(results, RECIPES),
        "## best, and what each ingredient is worth",
        BEST.format(two=len(TWO)),
        ladder_rows(results, WITHOUT, WITHOUT[1]),
        "## Whose statistics BatchNorm uses",
        cell_type_rows(results, NORMS),
        "## Stages",
        ladder_rows(results, STAGES),
        "## Head, neighbours, centres",
        ladder_rows(results, LIKENESS),
        "## Calibration and Sinkhorn",
        calibration_rows(results, ("a", "best")),
    ]
    return "\n\n".join(parts + (channels(results) if results.kind.has("best_sets") else [])) + "\n"


def channels(results: Results) -> list[str]:
    """Return the part on channels."""
    return [
        "## Which channel matters",
        f"Points of accuracy lost when a channel is absent ({len(SETS)} sets of best without stage III, one seed, "
        "+- standard error over wells), and in brackets its part of what the simulated siRNAs change in single "
        "channels. The error does not tell what another seed of the trainings would change, which is as much.",
        channel_rows(results),
    ]


def about(results: Results) -> str:
    """Return what the page says of the screen, the seeds, the intervals and the time."""
    seeds = sorted({path.name for path in (results.work / "chains").glob("*/*")})
    hours = sum(facts["seconds"] for facts in results.marks()) / 3600
    facts = {"draw": results.draw, "seeds": ", ".join(seeds), "hours": hours, "interval": INTERVAL}
    return results.kind.about.format(**facts, ceiling=ceiling(results.work / "screen/truth"))


def ceiling(truth: Path) -> float:
    """Return the accuracy (%) of one who knows each test well whose siRNA acts in its cell type, and guesses others."""
    if not (truth / "acts.csv").is_file():
        return 100.0
    acts, wells = pd.read_csv(truth / "acts.csv"), pd.read_csv(truth / "test.csv")
    wells = wells.assign(cell_type=wells["id_code"].str.split("-").str[0])
    return 100 * float(wells.merge(acts, on=["sirna", "cell_type"])["acts"].mean())


if __name__ == "__main__":
    print(report(Results(Path(sys.argv[1]))), end="")
