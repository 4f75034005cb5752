"""The shipped recipes: every file is a config, its story's commands can be typed, and its network trains."""

import dataclasses
import json
import math
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pandas as pd
import pytest
import torch
import yaml

from rcic.cli.signature import flat_command
from rcic.files.names import METRICS, PSEUDO, RUN
from rcic.learn.config.resolve import read_config, resolve
from rcic.learn.config.rules import STAGES
from rcic.learn.config.settings import Config
from rcic.learn.grid.cells import cells_of
from rcic.learn.grid.grid_options import GridOptions
from rcic.learn.train.run import train
from rcic.schema.convert import flat, to_plain
from rcic.screen.folds import write_folds
from rcic.screen.spec_files import shipped_spec
from rcic.screen.table import Screen, read_screen
from tests.learn.tiny import forget_accelerate
from tests.program import command, read_call

ROOT = Path(__file__).parents[1]
RECIPES = ROOT / "configs" / "recipes"
FULL, BENCH = sorted(RECIPES.glob("*.yml")), sorted((RECIPES / "bench").glob("*.yml"))
SIZES = {
    "schedule.epochs": 1,
    "schedule.frozen_epochs": 0,
    "schedule.warmup_epochs": 0,
    "data.workers": 0,
    "data.audit": "off",
}
SIZES |= {"train.precision": "fp32", "train.device": "cpu", "log.tensorboard": False}
OF_A_BENCH = r"(model\.(name|pretrained|width|dropout|bn_momentum)|data\.(channels|size|workers|cache)|augment\.crop.*)"
OF_A_BENCH += r"|(optim|schedule|train|log)\..*|progressive\.start"
KEY = re.compile(r"\b(?:model|loss|init|data|augment|optim|schedule|train|progressive|predict)\.[a-z0-9_]+")
STUB = '#!/usr/bin/env bash\nprintf "%s\\t" "$@" >> "$CALLS"\nprintf "\\n" >> "$CALLS"\n'


def chain(files: Sequence[Path]) -> dict[str, list[Path]]:
    """Return the files by recipe (the name up to the first dot), each after those that it may start from."""

    def place(path: Path) -> tuple[int, bool]:
        config = read_config(path)
        return STAGES.index(config.stage), config.init.stage != "none"

    found: dict[str, list[Path]] = {}
    for path in sorted(files, key=place):
        found.setdefault(path.name.partition(".")[0], []).append(path)
    return found


def named(path: Path) -> str:
    return path.relative_to(RECIPES).as_posix()


def story(path: Path) -> dict[str, list[str]]:
    """Return the lines of each part of the comment on top."""
    parts: dict[str, list[str]] = {"": []}
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            break
        if label := re.match(r"# ([A-Z][a-z]+)(  |$)", line):
            parts[label[1]] = last = [line[2 + len(label[1]) :].strip()]
        elif line.startswith("#  "):
            last.append(line[4:])
    return parts


# --- what the files say ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*FULL, *BENCH], ids=named)
def test_every_recipe_is_a_config_with_its_story(path):
    told = story(path)
    assert {"Source", "Changed", "Run", "Cost", "Feeds"} <= told.keys()
    if path.parent == RECIPES:
        assert "Expect" in told
        assert "Not run at full size by this project" in " ".join(" ".join(told["Cost"]).split())
    assert all(len(line) <= 120 for line in path.read_text().splitlines())
    read_config(path)


@pytest.mark.parametrize("name", [path.name for path in FULL])
def test_a_bench_form_is_the_same_recipe(name):
    """But for network, image size, optimiser and epochs, and for the keys that it names as its own."""
    one, other = (flat(to_plain(read_config(folder / name))) for folder in (RECIPES, RECIPES / "bench"))
    own = [key for key in one if one[key] != other[key] and not re.fullmatch(OF_A_BENCH, key)]
    assert sorted(own) == sorted(KEY.findall(" ".join(story(RECIPES / "bench" / name)["Changed"])))
    assert other["model.pretrained"] == "none"
    assert bool(one["progressive.start"]) == bool(other["progressive.start"])


def test_every_recipe_has_a_bench_form_and_a_line_in_the_documents():
    assert [path.name for path in FULL] == [path.name for path in BENCH]
    table = (ROOT / "docs" / "recipes.md").read_text()
    assert [path.name for path in FULL if f"`{path.name}`" not in table] == []


@pytest.mark.parametrize("stage", STAGES)
def test_recipe_a_is_what_the_stages_do_by_default(stage):
    assert read_config(RECIPES / f"a_control_full_pseudo.{stage}.yml") == read_config(ROOT / f"configs/{stage}.yml")


# --- the table of facts ---------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Fact:
    """A row of docs/recipes.md: a fact of a recipe's source, what the files do, and their values and flags."""

    recipe: str
    source: str
    here: str
    cells: tuple[str, ...]

    def values(self, part: str) -> list[tuple[str, Any]]:
        """Return key and value of each cell for the file ``part``: full of a.full.yml, main of b.yml."""
        return [(key, plainly(value)) for parts, key, value in self._read() if part in (parts or (part,)) and key]

    def flags(self, part: str) -> list[str]:
        """Return the flags of the commands of the file ``part``."""
        return [text for parts, key, text in self._read() if part in (parts or (part,)) and not key]

    def _read(self) -> list[tuple[list[str], str, str]]:
        found = []
        for cell in self.cells:
            parts, key, value = re.fullmatch(r"(?:([\w,]+): )?(?:([a-z]+\.\w+) )?(.+)", cell).groups()  # type: ignore[union-attr]
            assert key or value.startswith("--"), cell
            found.append((parts.split(",") if parts else [], key or "", value))
        return found


def plainly(value: str) -> Any:
    """Return what a value means in YAML, and 1e-4 as a number: YAML 1.1 wants a dot in it."""
    return yaml.safe_load(re.sub(r"(?<![\w.])(\d+)e", r"\1.0e", value))


def facts() -> list[Fact]:
    pages = (ROOT / "docs" / "recipes.md").read_text().partition("## Fact by fact")[2]
    found = []
    for title, table in re.findall(r"^### ([A-F]), .*?\n(.*?)(?=^### |\Z)", pages, re.M | re.S):
        for line in re.findall(r"^\| (?!the source |---)(.*) \|", table, re.M):
            source, here, cells = (cell.strip() for cell in f"{line} ".split(" | "))
            found.append(Fact(title.lower(), source, here, tuple(re.findall(r"`([^`]+)`", cells))))
    return found


def facts_of(path: Path) -> tuple[list[Fact], str]:
    """Return the facts of a file's recipe, and which of its files it is."""
    part = path.name.removesuffix(".yml").partition(".")[2]
    return [fact for fact in facts() if fact.recipe == path.name[0]], part or "main"


@pytest.mark.parametrize("path", [path for path in FULL if path.name[:4] != "best"], ids=named)
def test_a_recipe_is_what_the_table_of_facts_says(path):
    """Each value and flag of the table is the file's, and each value of the file is in the table."""
    own, told = flat(to_plain(read_config(path))), " ".join(" ".join(story(path)["Run"]).replace("\\", " ").split())
    found, part = facts_of(path)
    values = [pair for fact in found for pair in fact.values(part)]
    assert [(key, value, own[key]) for key, value in values if own[key] != value] == []
    assert [flag for fact in found for flag in fact.flags(part) if flag not in told] == []
    written = flat(yaml.safe_load(path.read_text()))
    assert sorted(written.keys() - {key for key, _ in values} - {"stage", "data.workers"}) == []


def test_every_fact_is_the_same_changed_or_not_possible():
    assert {fact.recipe for fact in facts()} == set("abcdef")
    for fact in facts():
        verdict, _, reason = fact.here.partition(": ")
        assert verdict.partition(" (")[0] in ("same", "changed", "not possible"), fact
        assert bool(fact.cells) if verdict.startswith("same") else reason, fact


def test_the_key_that_gives_the_original_can_be_set():
    """Each ``key=value`` that a row names is accepted on top of a file of its recipe."""
    for path in [path for path in FULL if path.name[:4] != "best"]:
        for fact in facts_of(path)[0]:
            for settings in re.findall(r"(?:[a-z]+\.\w+|stage)=[^\s;|)]+", f"{fact.source} {fact.here}"):
                resolve(str(path), settings.rstrip(",.:").replace("fixed", "global"))


# --- the commands of a story ----------------------------------------------------------------------------------------


def calls_of(path: Path, tmp_path: Path) -> list[list[str]]:
    """Return the words of every call of Python when bash runs a story's commands with a Python that takes notes."""
    stub, notes = tmp_path / "python", tmp_path / "calls"
    stub.write_text(STUB)
    stub.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHON": str(stub), "CALLS": str(notes)}
    commands = "\n".join(["set -euo pipefail", *story(path)["Run"]])
    done = subprocess.run(["bash", "-c", commands], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = notes.read_text().splitlines()
    notes.unlink()
    return [line.rstrip("\t").split("\t") for line in lines]


@pytest.mark.parametrize("files", [*chain(FULL).values(), *chain(BENCH).values()], ids=lambda files: named(files[-1]))
def test_the_commands_of_a_story_fit_each_other(files, tmp_path, monkeypatch):
    """Every flag is read, every training resolved; what a command reads an earlier one has written."""
    trained: dict[str, set[str]] = {}
    written: set[str] = set()

    screen = cast(
        Screen, SimpleNamespace(spec=shipped_spec("rcic"), classes=range(5), n_treatments=4, given_work_dir=None)
    )

    def note(config: Config, log_root: str) -> None:
        assert config.init.stage == "none" or f"{log_root}/{config.init.stage}" in trained
        trained.setdefault(f"{log_root}/{config.stage}", set()).add(config.model.name)
        resolved.append(config)

    def train(config: Config, data_root: str, log_root: str, force: bool) -> None:
        note(config, log_root)

    def carry_out(choice: GridOptions, data_root: str, log_root: str, *rest: object) -> None:
        for cell in cells_of(choice, screen, Path(log_root)):
            note(cell.config, log_root)

    monkeypatch.setattr("rcic.learn.train.run.train", train)
    monkeypatch.setattr("rcic.learn.grid.run_grid.run_grid", carry_out)
    for path in files:
        resolved: list[Config] = []
        for words in calls_of(path, tmp_path):
            name, values = read_call(words)
            if name in ("run", "run-grid"):
                flat_command(command("train.py", name))(**values)
            if root := values.get("model_root"):
                assert {name.removesuffix("@") for name in values["model_name"]} <= trained[root]
            sources = {values[key] for key in ("predict_root", "embed_root") if key in values}
            assert sources <= written
            written |= {values["out_dir"]} if "out_dir" in values else set()
        own = read_config(path)
        assert own in [unmoved(config, own) for config in resolved]


def unmoved(config: Config, own: Config) -> Config:
    """Return the config with the fold, channels, cell types, sites and folders of ``own``, which commands resolve."""
    data, there = config.data, own.data
    data = dataclasses.replace(data, fold=there.fold, channels=there.channels, cell_types=there.cell_types)
    data = dataclasses.replace(data, sites=there.sites, folds_dir=there.folds_dir)
    data = dataclasses.replace(data, pseudo_dir=there.pseudo_dir, audit_dir=there.audit_dir)
    return dataclasses.replace(config, data=data)


# --- a training of each ---------------------------------------------------------------------------------------------


def part_of(small_screen: Path, folder: Path, plates: int, wells: int, controls: int) -> Path:
    """Return a screen of two train experiments a cell type and one test experiment each.

    It has the first plates, wells and control wells only. Beside it, in ``csv``, are its folds and ``pseudo.csv``, two
    pseudo-labels.
    """
    folder.mkdir()
    for split in ("train", "test"):
        (folder / split).symlink_to(small_screen / split)
        for name, most in ((f"{split}.csv", wells), (f"{split}_controls.csv", controls)):
            table = pd.read_csv(small_screen / name)
            table = table[(table["experiment"] != "HUVEC-03") & (table["plate"] <= plates)]
            table.groupby(["experiment", "plate"]).head(most).to_csv(folder / name, index=False)
    screen = read_screen(folder)
    write_folds(screen, folder.parent / "csv", n_folds=2, seed=0)
    labels = pd.read_csv(folder / "train.csv")["sirna"].unique()[:2]
    some = screen.select("test", "treatment")["id_code"].iloc[:2]
    pd.DataFrame({"id_code": some, "sirna": labels}).to_csv(folder.parent / "csv" / "pseudo.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def root(small_screen, tmp_path_factory) -> Path:
    return part_of(small_screen, tmp_path_factory.mktemp("recipes") / "screen", plates=4, wells=2, controls=2)


@pytest.fixture(scope="module")
def few(small_screen, tmp_path_factory) -> Path:
    return part_of(small_screen, tmp_path_factory.mktemp("few") / "screen", plates=2, wells=1, controls=1)


def small(path: Path, root: Path, side: int | None, **more: Any) -> Config:
    """Return a recipe's config, everything of it switched on from the first epoch; ``side`` None: its own pixels."""
    own = read_config(path)
    side = side or own.data.size or 512
    sizes = SIZES | {"data.size": side, "data.folds_dir": str(root.parent / "csv"), "model.pretrained": "none"}
    sizes |= {"data.pseudo_dir": str(root.parent / "csv"), "augment.mix_from": 0.0}
    sizes |= {"augment.crop": side, "augment.crop_start": side // 2} if own.augment.crop else {}
    sizes |= {"progressive.start": 1} if own.progressive.start else {}
    return read_config(path, sizes | more)


def train_chain(files: Sequence[Path], root: Path, tmp_path: Path, side: int | None, **more: Any) -> None:
    torch.set_num_threads(1)
    for path in files:
        forget_accelerate()
        config = small(path, root, side, **more)
        folder = train(config, root, tmp_path, force=True)
        assert json.loads((folder / RUN).read_text())["status"] == "done"
        assert math.isfinite(pd.read_csv(folder / METRICS)["train_loss"].iloc[-1])
        assert (folder / PSEUDO / "epoch_001.csv").exists() == bool(config.progressive.start)
    forget_accelerate()


@pytest.mark.parametrize("files", chain(BENCH).values(), ids=lambda files: named(files[-1]))
def test_a_bench_form_trains_an_epoch(files, root, tmp_path):
    train_chain(files, root, tmp_path, side=32)


@pytest.mark.slow
@pytest.mark.parametrize("files", chain(FULL).values(), ids=lambda files: named(files[-1]))
def test_a_recipe_at_full_size_trains_a_step(files, few, tmp_path):
    """Its own network, pixels and channels, from random weights; batches of 4, for memory."""
    train_chain(files, few, tmp_path, side=None, **{"train.batch_size": 4})
