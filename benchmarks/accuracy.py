"""Train, predict and score every recipe on a bench screen, side by side: ``python benchmarks/accuracy.py --help``.

Resumable: each command that succeeded leaves a mark in the work folder and is not run again. Two chains run at a time,
one thread each. When all is done, or as far as it is, ``accuracy_table.py`` writes the page. Choose on another draw of
the screen than the one that you report.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import yaml
from accuracy_rows import CHAINS, CHANNELS, LIKENESS, SCREENS, BenchScreen, Chain

ROOT = Path(__file__).resolve().parents[1]
RECIPES = Path("configs/recipes/bench")
Command = list[str]


@dataclass(frozen=True)
class Bench:
    """The work folder and what is in it; ``draw`` is the seed of the simulated screen."""

    work: Path
    kind: BenchScreen = SCREENS["bench"]
    draw: int = 0

    @property
    def screen(self) -> str:
        """The simulated screen."""
        return str(self.work / "screen")

    @property
    def folds(self) -> str:
        """The folds by experiment."""
        return str(self.work / "csv")

    @property
    def audit(self) -> str:
        """What is known of its images."""
        return str(self.work / "audit")

    def place(self, chain: Chain, seed: int) -> Path:
        """Where a chain's runs and predictions of one seed are."""
        return self.work / "chains" / chain.name / str(seed)


def screen_commands(bench: Bench) -> list[Command]:
    """Return what must be done once: the screen, the audit of its images and its folds."""
    seed = f"--seed={bench.draw}"
    return [
        ["src/data.py", "simulate", f"--preset={bench.kind.preset}", f"--out_dir={bench.screen}", seed, "--workers=2"],
        ["src/data.py", "audit", f"--data_root={bench.screen}", f"--out_dir={bench.audit}"],
        ["src/data.py", "folds", f"--data_root={bench.screen}", f"--out_dir={bench.folds}", "--n_folds=4"],
    ]


def chain_commands(bench: Bench, chain: Chain, seed: int) -> Iterator[Command]:
    """Yield the commands of a chain in order: every stage is trained, then predicted and scored."""
    place, answer = bench.place(chain, seed), ""
    for file in chain.configs:
        stage, model = stage_and_model(file)
        if stage == "pseudo":
            where = [f"--predict_root={place}/pred/{answer}", f"--out_dir={place}/pseudo", f"--folds_dir={bench.folds}"]
            yield ["src/inference.py", "pseudo-label", f"--data_root={bench.screen}", *where]
        for channels in chain.sets:
            for cell_type in bench.kind.cell_types if chain.by_cell_type else ("",):
                yield train(bench, chain, seed, file, channels, cell_type)
        if stage != "control":
            yield from answered(bench, chain, seed, stage, model)
            answer = near(stage, chain.answer) if chain.answer else stage
    if len(chain.sets) > 1:
        where = [f"--predict_root={place}/pred/{answer}", f"--truth={bench.screen}/truth/test.csv"]
        yield ["src/inference.py", "channels", f"--data_root={bench.screen}", *where]
    if chain.head:
        yield from calibrated(bench, place, answer)


def answered(bench: Bench, chain: Chain, seed: int, stage: str, model: str) -> Iterator[Command]:
    """Yield what asks a stage's networks: their heads, those fine-tuned by cell type, their embeddings."""
    place = bench.place(chain, seed)
    if chain.head:
        yield predict(bench, place, stage, model + "@" * chain.by_cell_type, stage)
        yield score(bench, place, stage)
    if chain.finetune:
        for cell_type in bench.kind.cell_types:
            yield train(bench, chain, seed, chain.finetune, CHANNELS, cell_type)
        yield predict(bench, place, stage, f"{model}@", "own")
        yield score(bench, place, "own")
    if chain.likeness:
        yield from likeness(bench, place, stage, model + "@" * bool(chain.finetune), chain.likeness)


def stage_and_model(file: str) -> tuple[str, str]:
    """Return the stage and the network's name of a recipe's bench form."""
    config = yaml.safe_load((ROOT / RECIPES / file).read_text(encoding="utf-8"))
    return config["stage"], config["model"]["name"]


def train(bench: Bench, chain: Chain, seed: int, file: str, channels: str, cell_type: str = "") -> Command:
    """Return one training's command, of one cell type alone if it is named."""
    place = bench.place(chain, seed)
    settings = [f"data.folds_dir={bench.folds}", f"data.pseudo_dir={place}/pseudo"]
    settings += [f"data.audit_dir={bench.audit}", *chain.given(file)]
    settings += [f"data.cell_types=[{cell_type}]"] if cell_type else []
    where = [f"--config={RECIPES / file}", f"--data_root={bench.screen}", f"--log_root={place}/logs"]
    what = ["--fold=0", f"--channels={channels}", f"--seed={seed}", f"--set={','.join(settings)}", "--force=True"]
    return ["src/train.py", "run", *where, *what]


def predict(bench: Bench, place: Path, stage: str, model: str, out: str) -> Command:
    """Return the prediction of a stage's test and held-out wells."""
    where = [f"--model_root={place}/logs/{stage}", f"--model_name={model}", f"--out_dir={place}/pred/{out}"]
    return ["src/inference.py", "predict-all", f"--data_root={bench.screen}", *where]


def score(bench: Bench, place: Path, out: str, name: str = "", *flags: str) -> Command:
    """Return the scoring of predictions on the test wells, into score/NAME/ladder.json."""
    truth = f"--truth={bench.screen}/truth/test.csv"
    where = [f"--predict_root={place}/pred/{out}", f"--out_dir={place}/score/{name or out}"]
    return ["src/inference.py", "score", f"--data_root={bench.screen}", truth, *where, *flags]


def near(stage: str, kind: str) -> str:
    """Return the folder's name of what is made of a stage's embeddings."""
    return kind if stage == "full" else f"{stage}_{kind}"


def likeness(bench: Bench, place: Path, stage: str, model: str, kinds: Sequence[str]) -> Iterator[Command]:
    """Yield embeddings, and the scores of what ``kinds`` of `LIKENESS` make of them."""
    embedded = place / near(stage, "embeddings")
    where = [f"--model_root={place}/logs/{stage}", f"--model_name={model}", f"--out_dir={embedded}"]
    yield ["src/inference.py", "embed-all", f"--data_root={bench.screen}", *where]
    for name in kinds:
        out = near(stage, name)
        flags = [*LIKENESS[name], f"--out_dir={place}/pred/{out}"]
        yield ["src/inference.py", "neighbours", f"--data_root={bench.screen}", f"--embed_root={embedded}", *flags]
        yield score(bench, place, out)


def calibrated(bench: Bench, place: Path, answer: str) -> Iterator[Command]:
    """Yield the calibration on held-out wells and the scores with it, with Sinkhorn, and with both."""
    yield ["src/inference.py", "calibrate", f"--data_root={bench.screen}", f"--predict_root={place}/pred/{answer}"]
    file = f"--calibration={place}/pred/{answer}/calibration.json"
    yield score(bench, place, answer, "calibrated", file)
    yield score(bench, place, answer, "sinkhorn", "--sinkhorn=True")
    yield score(bench, place, answer, "both", file, "--sinkhorn=True")


def run(bench: Bench, commands: Iterator[Command] | Sequence[Command], title: str, configs: Sequence[str] = ()) -> bool:
    """Run commands one after the other; return whether all succeeded. The first failure ends them.

    A command leaves a mark: itself, its CPU seconds (other work on the machine does not count) and the hash of
    ``configs``, the recipe's files. If it succeeded before with the same files it is left out. Where the audit lies is
    no part of the mark: trainings from before there were audits are the same.
    """
    texts = b"".join((ROOT / RECIPES / name).read_bytes() for name in configs)
    made_with = hashlib.sha256(texts).hexdigest()
    for command in commands:
        words = " ".join(command).replace(f",data.audit_dir={bench.audit}", "")
        mark = bench.work / "done" / f"{hashlib.sha256(words.encode()).hexdigest()[:16]}.json"
        if mark.exists() and json.loads(mark.read_text(encoding="utf-8"))["configs"] == made_with:
            continue
        seconds = timed(command, title)
        if seconds is None:
            return False
        mark.parent.mkdir(parents=True, exist_ok=True)
        facts = {"seconds": round(seconds, 1), "configs": made_with, "command": " ".join(command)}
        mark.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return True


def timed(command: Command, title: str) -> float | None:
    """Run one command on one thread, say how it went, and return its CPU seconds, None if it failed."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    words = ["bash", "-c", 'TIMEFORMAT="%U %S"; time "$@"', "bash", sys.executable, *command]
    result = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    *said, times = result.stderr.splitlines()
    seconds = sum(map(float, times.split()))
    name = " ".join(command[:2]) + next((f" {word}" for word in command if word.startswith("--config")), "")
    print(f"{title}: {name}: {seconds:.0f} s" + ("" if result.returncode == 0 else " FAILED"), flush=True)
    if result.returncode:
        print("\n".join([*result.stdout.splitlines(), *said][-15:]), " ".join(command), flush=True)
        return None
    return seconds


def work_dir(given: Path | None, kind: BenchScreen, draw: int) -> Path:
    """Return the work folder: the given one, ``bench`` for draw 0 of bench, else one named by screen and draw."""
    named = kind.preset.replace("-", "_") + (f"_draw{draw}" if draw else "")
    return (given or Path(named)).resolve()


def main() -> None:
    """Read the command line and run what is not done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--screen", choices=SCREENS, default="bench", help="which simulated screen (bench)")
    parser.add_argument("--draw", type=int, default=0, help="seed of the screen; 0 is reported, choose on others (0)")
    parser.add_argument(
        "--work_dir", type=Path, help="everything goes there (bench; with a name of its own for others)"
    )
    parser.add_argument("--only", default="", help="chains to run, by name, parted by commas (all)")
    parser.add_argument("--seeds", default="0,1,2", help="seeds of the trainings (0,1,2)")
    parser.add_argument("--jobs", type=int, default=2, help="chains at a time (2)")
    options = parser.parse_args()
    kind, seeds = SCREENS[options.screen], [int(seed) for seed in options.seeds.split(",")]
    bench = Bench(work_dir(options.work_dir, kind, options.draw), kind, options.draw)
    wanted = options.only.split(",") if options.only else [chain.name for chain in CHAINS if kind.has(chain.name)]
    if unknown := set(wanted) - {chain.name for chain in CHAINS}:
        parser.error(
            f"--only: no chain {sorted(unknown)[0]!r} (there are: {', '.join(chain.name for chain in CHAINS)})"
        )
    chosen = [chain for chain in CHAINS if chain.name in wanted]
    work = [(chain, seed) for seed in seeds for chain in chosen if chain.seeds is None or seed in chain.seeds]

    def run_chain(chain: Chain, seed: int) -> bool:
        files = (*chain.configs, chain.finetune) if chain.finetune else chain.configs
        return run(bench, chain_commands(bench, chain, seed), f"{chain.name} seed {seed}", files)

    done = run(bench, screen_commands(bench), "screen")
    with ThreadPoolExecutor(options.jobs) as pool:
        done = done and all(list(pool.map(lambda one: run_chain(*one), work)))
    sys.exit(0 if done else 1)


if __name__ == "__main__":
    main()
