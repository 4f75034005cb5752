"""What the whole chain would take on a GPU: sites looked at, divided by an assumed rate. Nothing here is measured.

    PYTHONPATH=src python benchmarks/cost.py cost --data_root DIR

The rates are those of se_resnext50_32x4d at 512 x 512 pixels: for training on an RTX 3090 a published one, scaled by
pixels; the others are estimates, and so are the prices. `python src/train.py plan` measures your machine.
"""

import sys
from pathlib import Path
from typing import NamedTuple

from rcic.cli import main as cli
from rcic.learn.config.resolve import read_config
from rcic.learn.config.settings import Config
from rcic.screen.table import Screen, read_screen

CONFIGS = Path(__file__).parents[1] / "configs"
FOLDS, SETS = 5, 6


class Card(NamedTuple):
    """Sites a second of se_resnext50_32x4d, 512 px, and dollars an hour: assumptions, all three."""

    train: float
    predict: float
    dollars: float


CARDS = {"RTX 3090": Card(156, 500, 0.30), "H100": Card(450, 1600, 3.00)}


class Work(NamedTuple):
    """What one stage looks at: its trainings, and the sites of all of them that are learnt from and only looked at."""

    n_runs: int
    trained: int
    looked_at: int


def works(screen: Screen) -> dict[str, Work]:
    """Return the work of each stage and of the two predictions, for one model."""
    n_sites = len(screen.spec.sites)
    control, train, test = (
        n_sites * len(screen.select(split, kind))
        for split, kind in ((None, "control"), ("train", "treatment"), ("test", "treatment"))
    )
    held_out, learnt = train // FOLDS, train - train // FOLDS
    n_cell_types, n_experiments = (screen.wells[name].nunique() for name in ("cell_type", "experiment"))
    control_held_out = control * n_cell_types // n_experiments
    n_runs = FOLDS * SETS
    return {
        "I control": _work("control", SETS, n_sites, control - control_held_out, control_held_out),
        "II full": _work("full", n_runs, n_sites, learnt, held_out),
        "predict II": Work(n_runs, 0, n_runs * (test + held_out)),
        "III pseudo": _work("pseudo", n_runs, n_sites, learnt + test, held_out),
        "predict III": Work(n_runs, 0, n_runs * (test + held_out)),
    }


def _epochs(config: Config) -> int:
    return config.schedule.frozen_epochs + config.schedule.epochs


def _work(stage: str, n_runs: int, n_sites: int, learnt: int, held_out: int) -> Work:
    """Return a stage's work, of whose ``learnt`` sites an epoch sees all, or one of each well of ``n_sites``."""
    config = read_config(CONFIGS / f"{stage}.yml")
    sites, rounds = learnt // n_sites if config.data.sites_per_epoch == "one" else learnt, n_runs * _epochs(config)
    return Work(n_runs, rounds * sites, rounds * held_out)


def table(found: dict[str, Work]) -> str:
    """Return the work and what it would take, as a table in Markdown."""
    lines = ["| stage | trainings | sites learnt from | sites looked at |" + "".join(f" {c}, hours |" for c in CARDS)]
    lines.append("|---|---|---|---|" + "---|" * len(CARDS))
    total = dict.fromkeys(CARDS, 0.0)
    for name, work in found.items():
        hours = {card: (work.trained / of.train + work.looked_at / of.predict) / 3600 for card, of in CARDS.items()}
        total = {card: total[card] + hours[card] for card in CARDS}
        numbers = f"{work.n_runs} | {work.trained / 1e6:,.1f} M | {work.looked_at / 1e6:,.1f} M"
        lines.append(f"| {name} | {numbers} |" + "".join(f" {hours[card]:,.0f} |" for card in CARDS))
    lines.append("| all | | | |" + "".join(f" {total[card]:,.0f} |" for card in CARDS))
    prices = [f"{total[card] * of.dollars:,.0f} $ ({of.dollars:.2f} an hour)" for card, of in CARDS.items()]
    return "\n".join([*lines, "| cost | | | |" + "".join(f" {price} |" for price in prices)])


def cost(data_root: str) -> None:
    """Print what the chain would take on some cards.

    Args:
        data_root: the folder with the real tables.
    """
    print(table(works(read_screen(data_root))))


if __name__ == "__main__":
    cli.run("cost.py", sys.argv[1:], {"cost": cost})
