"""Print benchmarks/accuracy.md from what ``accuracy.py`` left in its work folder, as far as it is there."""

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median

import pandas as pd
from accuracy_rows import BLEND, CHAINS, SETS, TWO

RUNGS = ("one site", "both sites", "TTA", "channel sets", "models", "group mask", "assignment")
RAW = (
    "models",
    "channel sets",
    "TTA",
    "both sites",
)  # the last rung before the mask is the first of these that is there
CELLS = ("all", "HUVEC", "RPE")
TITLES = {chain.name: chain.title for chain in CHAINS}

ANSWER = "pseudo_centres_plate"  # best's: class centres on the embeddings of stage III
SCORES = {"a": "full", "best": ANSWER}  # whose confidences are calibrated

RECIPES = [
    ("A, baseline: control, full, running BN", "a", "full"),
    ("A with pseudo-labels (stage III)", "a", "pseudo"),
    ("B, common network, its head", "b", "full"),
    ("B, fine-tuned by cell type, its head", "b", "own"),
    ("B, fine-tuned, nearest wells", "b", "knn_off"),
    ("C, its head", "c", "full"),
    ("C, nearest wells", "c", "knn_off"),
    ("D", "d", "full"),
    ("E, blend of A, D and EfficientNet", "e", "blend"),
    ("F", "f", "full"),
    ("best, its head", "best", "pseudo"),
    ("best, class centres: its answer", "best", ANSWER),
    ("best without stage III, six channel sets (one seed)", "best_sets", "centres_plate"),
]
WITHOUT = [
    ("best (stages I, II and III)", "best", ANSWER),
    ("without stage III", "best", "centres_plate"),
    ("the head in place of class centres", "best", "full"),
    ("plates not centred", "best", "centres_off"),
    *((chain.title, chain.name, "centres_plate") for chain in CHAINS if chain.answer and chain.set),
]
NORMS = [
    ("A, running", "a", "full"),
    ("A, by plate", "a_plate", "full"),
    ("A, by experiment", "a_experiment", "full"),
    ("best without stage III, running", "best_running", "centres_plate"),
    ("best without stage III, by plate", "best", "centres_plate"),
]
STAGES = [
    ("A, full from random weights", "a_scratch", "full"),
    ("A, control, full", "a", "full"),
    ("A, and pseudo", "a", "pseudo"),
    ("best, full from random weights", "best_scratch", "centres_plate"),
    ("best, control, full", "best", "centres_plate"),
    ("best, and pseudo", "best", ANSWER),
]
LIKENESS = [
    (f"{TITLES[name].split(':')[0]}{which}, {title}", name, score)
    for name, which, before, head in (
        ("b", "", "", "own"),
        ("c", "", "", "full"),
        ("best", " without stage III", "", "full"),
        ("best", "", "pseudo_", "pseudo"),
    )
    for title, score in (
        ("head", head),
        ("nearest wells, plates centred", f"{before}knn_plate"),
        ("nearest wells", f"{before}knn_off"),
        ("class centres, plates centred", f"{before}centres_plate"),
        ("class centres", f"{before}centres_off"),
    )
]


ABOUT = """\
The simulated `bench` screen (seed 0): 96 siRNAs in four groups, HUVEC 5 + 2 and RPE 3 + 2 experiments, 128 px.
Accuracy in % of the treatment wells of the four test experiments. Each training learns from six train experiments
(fold 0 of 4), crops of 64 px of images brought to 96. Median (lowest - highest) of the trainings' seeds {seeds};
chance is 1.0. *Raw* is the last rung before the plate-group mask. Rates, epochs and what makes up `best` were
chosen on another draw of the screen (seed 1); that class centres answer was first seen here, in trainings of seed 0,
and confirmed there. `best` has no growing crop here, and a row has temperature or
Sinkhorn only where it says so. A training sees at most 30,000 views; recipe F at full size begins with 90 epochs of
about 71,000 sites. So the rows with margins, CutMix and random scales (C, D, F) say what these give at this budget,
not what they can give. Made by `make bench-accuracy`; its commands took {hours:.1f} hours of CPU time, two ran at a
time."""

BEST = """\
`best` answers by the cosine to class centres of embeddings less their plate's mean; its head is a row of its own. From
the second row on stages I and II alone: each row is like the second but for what it says. Rows that begin with "with"
add what other recipes have, in {two} seeds."""


class Results:
    """The ladders of all chains, seeds and scores below a work folder."""

    def __init__(self, work: Path):
        self.work = work

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
            for name in BLEND if score == "blend" else (chain,):
                place = f"chains/{name}/"
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


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def ladder_rows(results: Results, rows: Sequence[tuple[str, str, str]]) -> str:
    """Return accuracies by rung, and what the training cost."""
    body = []
    for title, chain, score in rows:
        cells = [spread(results.accuracies(chain, score, rung)) for rung in ("raw", *RUNGS)]
        body.append([title, *cells, spread(results.minutes(chain, score))])
    return table(["recipe", "raw", *RUNGS, "training, CPU minutes"], body)


def cell_type_rows(results: Results, rows: Sequence[tuple[str, str, str]]) -> str:
    """Return raw accuracies by cell type."""
    body = [[title, *(spread(results.accuracies(*row, "raw", where)) for where in CELLS)] for title, *row in rows]
    return table(["raw accuracy", *CELLS], body)


def calibration_rows(results: Results, chains: Sequence[str]) -> str:
    """Return the calibration error and the accuracies that are decided with each choice."""
    body = []
    for chain in chains:
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
                for where in CELLS
            ),
        ]
        for channel in sorted(lost.index.get_level_values("channel").unique())
    ]
    return table(["channel", *CELLS], body)


def report(results: Results) -> str:
    """Return the whole page."""
    seeds = {path.name for path in (results.work / "chains").glob("*/*")}
    hours = sum(facts["seconds"] for facts in results.marks()) / 3600
    parts = [
        "# Accuracy on experiments never seen",
        ABOUT.format(seeds=", ".join(sorted(seeds)), hours=hours),
        "## Recipes",
        ladder_rows(results, RECIPES),
        "## best, and what each ingredient is worth",
        BEST.format(two=len(TWO)),
        ladder_rows(results, WITHOUT),
        "## Whose statistics BatchNorm uses",
        cell_type_rows(results, NORMS),
        "## Stages",
        ladder_rows(results, STAGES),
        "## Head, neighbours, centres",
        ladder_rows(results, LIKENESS),
        "## Calibration and Sinkhorn",
        calibration_rows(results, ("a", "best")),
        "## Which channel matters",
        f"Points of accuracy lost when a channel is absent ({len(SETS)} sets of best without stage III, one seed, "
        "+- standard error over wells), and in brackets its part of what the simulated siRNAs change in single "
        "channels. The error does not tell what another seed of the trainings would change, which is as much.",
        channel_rows(results),
    ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    print(report(Results(Path(sys.argv[1]))), end="")
