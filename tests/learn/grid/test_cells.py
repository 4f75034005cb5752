"""Which trainings a grid has, how far they are, and that each of them is done once."""

import json
import time
from collections import Counter

import pytest

from rcic.errors import UserError
from rcic.files.lock import locked
from rcic.files.names import BEST, CONFIG, METRICS, RUN
from rcic.learn.config.for_screen import channel_sets
from rcic.learn.config.resolve import write_config
from rcic.learn.grid.cells import GridTables, cells_of
from rcic.learn.grid.grid_options import GridOptions
from rcic.learn.grid.scheduler import GridScheduler
from rcic.screen.table import write_wells

TINY = """stage: {stage}
model: {{name: tiny, pretrained: none}}
init: {{stage: {init}}}
data: {{workers: 0, audit: off, folds_dir: {folds}, pseudo_dir: {pseudo}}}
schedule: {{frozen_epochs: 0, epochs: 3, warmup_epochs: 0}}
train: {{precision: fp32}}
"""
SETS = "[1,2] [3]"


@pytest.fixture
def configs(folds_dir, tmp_path):
    """Return the config files of the three stages, each but the first of which starts from the one before it."""
    paths = []
    for stage, init in (("control", "none"), ("full", "control"), ("pseudo", "full")):
        path = tmp_path / f"{stage}.yml"
        path.write_text(TINY.format(stage=stage, init=init, folds=folds_dir, pseudo=tmp_path / "pseudo"))
        paths.append(str(path))
    return tuple(paths)


@pytest.fixture
def grid(configs, screen, tmp_path):
    """Return a function that makes the cells of some configs, and their tables."""

    def make(n_configs=2, folds=(0, 1), settings=""):
        choice = GridOptions(configs[:n_configs], (), folds, SETS, settings)
        return cells_of(choice, screen, tmp_path / "logs"), GridTables(screen, tmp_path / "logs")

    return make


def finish(cell, tables, epochs=3, status="done", reason=None):
    """Leave what a training leaves."""
    (cell.folder / BEST).parent.mkdir(parents=True, exist_ok=True)
    (cell.folder / BEST).touch()
    (cell.folder / "checkpoints" / "last.pth").touch()
    (cell.folder / METRICS).write_text("\n".join(["epoch", *map(str, range(1, epochs + 1))]))
    write_config(cell.config, cell.folder / CONFIG)
    data = {"screen": tables.fingerprint, "tables": tables.of(cell.config)[1]}
    (cell.folder / RUN).write_text(json.dumps({"status": status, "reason": reason} | data))


class Pretended:
    """A launcher whose trainings end at the second look, as ``codes`` say: name -> codes of its tries."""

    def __init__(self, cells, tables, slots=2, codes=None):
        self.by_name, self.tables, self.slots = {cell.name: cell for cell in cells}, tables, slots
        self.codes = {name: list(own) for name, own in (codes or {}).items()}
        self.running, self.started, self.side_by_side = {}, [], 0

    @property
    def free(self):
        return len(self.running) < self.slots

    def start(self, name, command):
        self.started.append(name)
        self.running[name] = command
        self.side_by_side = max(self.side_by_side, len(self.running))

    def ended(self):
        codes = {}
        for name in list(self.running):
            del self.running[name]
            code = self.codes[name].pop(0) if self.codes.get(name) else 0
            if code == 0:
                finish(self.by_name[name], self.tables)
            elif code != 2:
                finish(self.by_name[name], self.tables, 1, "failed", "no memory")
            codes[name] = code
        return codes

    def last_message(self, name):
        return ""

    def stop(self):
        self.stopped = True


def carry_out(cells, tables, **words):
    launcher = Pretended(cells, tables, **words)
    return GridScheduler(cells, tables, launcher, lambda cell, again: cell.flags).run(pause=0.001), launcher


def test_every_stage_model_fold_and_channel_set_once(configs, screen, tmp_path):
    cells = cells_of(GridOptions(configs, ("tiny", "resnet18")), screen, tmp_path)
    assert Counter(cell.config.stage for cell in cells) == {"control": 12, "full": 60, "pseudo": 60}
    assert len({cell.folder for cell in cells}) == 132
    sets = channel_sets(screen.spec)
    assert len(sets) == 6 and sets[0] == (1, 2, 3, 4, 5) and sets[-1] == (2, 3, 4, 5, 6)
    assert [cell.config.stage for cell in cells] == ["control"] * 12 + ["full"] * 60 + ["pseudo"] * 60
    assert cells[12].name == "full [1,2,3,4,5] fold 0 tiny"
    assert cells[12].flags == ("--model=tiny", "--channels=[1,2,3,4,5]", "--fold=0")
    assert cells[0].flags == ("--model=tiny", "--channels=[1,2,3,4,5]")


def test_a_training_that_stands_twice_is_refused(configs, screen, tmp_path):
    with pytest.raises(UserError, match=r"full \[1,2\] fold 0 tiny is listed twice in the grid"):
        cells_of(GridOptions(configs[1:2], (), (0, 0), SETS), screen, tmp_path)
    with pytest.raises(UserError, match=r"--channels: data.channels is \[7\], but RCIC has only 1, 2, 3, 4, 5, 6"):
        cells_of(GridOptions(configs[1:2], (), (0,), "[7]"), screen, tmp_path)


def test_stages_follow_one_another_and_all_are_done_once(grid):
    cells, tables = grid()
    outcome, launcher = carry_out(cells, tables)
    assert sorted(launcher.started) == sorted(cell.name for cell in cells) == sorted(outcome.done)
    assert outcome.failed == {} and launcher.side_by_side == 2
    firsts = {cell.name: launcher.started.index(cell.name) for cell in cells}
    assert all(
        firsts[f"full {c} fold {f} tiny"] > firsts[f"control {c} tiny"] for c in ("[1,2]", "[3]") for f in (0, 1)
    )
    again, launcher = carry_out(cells, tables)
    assert launcher.started == [] and sorted(again.done) == sorted(outcome.done)


def test_a_failure_is_tried_once_more_and_the_rest_goes_on(grid, capsys):
    cells, tables = grid()
    codes = {"control [1,2] tiny": [1], "full [3] fold 0 tiny": [-9, 1]}
    outcome, launcher = carry_out(cells, tables, codes=codes)
    assert Counter(launcher.started).most_common(3)[:2] == [("control [1,2] tiny", 2), ("full [3] fold 0 tiny", 2)]
    assert outcome.failed == {"full [3] fold 0 tiny": "no memory"} and len(outcome.done) == 5
    assert outcome.text(6) == "5 of 6 trainings are done\n  full [3] fold 0 tiny: no memory"
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "control [1,2] tiny: no memory; it will be tried once more"
    assert said[1].startswith("full [3] fold 0 tiny: killed by signal 9 after 1 whole epochs; it will be tried")


def test_what_was_refused_at_its_start_is_not_tried_again_and_what_needs_it_not_begun(grid, tmp_path):
    cells, tables = grid()
    outcome, launcher = carry_out(cells, tables, codes={"control [1,2] tiny": [2]})
    assert launcher.started.count("control [1,2] tiny") == 1 and len(outcome.done) == 3
    assert outcome.failed["control [1,2] tiny"] == "ended with code 2, see its line above"
    best = tmp_path / "logs" / "control" / "[1,2]" / "tiny" / BEST
    for fold in (0, 1):
        reason = outcome.failed[f"full [1,2] fold {fold} tiny"]
        assert reason == f"not started: {best}: the checkpoint of stage control does not exist"


def test_what_was_trained_otherwise_is_not_touched(grid):
    cells, tables = grid(n_configs=1)
    finish(cells[0], tables)
    others, tables = grid(n_configs=1, settings="optim.clip=5.0")
    outcome, launcher = carry_out(others, tables)
    assert outcome.failed == {cells[0].name: "was trained with another optim.clip; use --force to retrain from scratch"}
    assert launcher.started == [cells[1].name]


def test_what_another_process_trains_is_waited_for(grid):
    cells, tables = grid(n_configs=1)
    launcher = Pretended(cells, tables)
    work = GridScheduler(cells, tables, launcher, lambda cell, again: cell.flags)
    with locked(cells[0].folder):
        work._begin()
        assert launcher.started == [cells[1].name] and work._trained_elsewhere()
        finish(cells[0], tables)
    outcome = work.run(pause=0.001)
    assert sorted(outcome.done) == sorted(cell.name for cell in cells) and launcher.started == [cells[1].name]
    assert not work._trained_elsewhere()


def test_a_folder_that_was_taken_in_the_meantime_is_no_failure(grid):
    cells, tables = grid(n_configs=1)
    outcome, launcher = carry_out(cells, tables, codes={cells[0].name: [75, 75, 75]})
    assert launcher.started.count(cells[0].name) == 4 and outcome.failed == {}


def test_without_pseudo_labels_stage_three_waits(grid, screen, tmp_path):
    cells, tables = grid(n_configs=3, folds=(0,))
    outcome, _ = carry_out(cells, tables)
    assert len(outcome.done) == 4 and set(outcome.failed) == {f"pseudo {c} fold 0 tiny" for c in ("[1,2]", "[3]")}
    assert all("pseudo.csv: no pseudo-labels (predict-all, pseudo-label)" in text for text in outcome.failed.values())
    wells = screen.select("test", "treatment").head(4)
    write_wells(tmp_path / "pseudo" / "pseudo.csv", wells.assign(label=[0, 1, 2, 3]), screen)
    outcome, launcher = carry_out(*grid(n_configs=3, folds=(0,)))
    assert len(outcome.done) == 6 and len(launcher.started) == 2


def test_an_interruption_ends_those_that_run(grid):
    cells, tables = grid(n_configs=1)
    launcher = Pretended(cells, tables)

    def interrupt():
        if launcher.started:
            raise KeyboardInterrupt
        return {}

    launcher.ended = interrupt
    with pytest.raises(KeyboardInterrupt):
        GridScheduler(cells, tables, launcher, lambda cell, again: cell.flags).run(pause=0.001)
    assert launcher.stopped


def test_a_start_that_is_still_trained_is_no_start(grid):
    cells, tables = grid()
    finish(cells[0], tables, 2, "running")
    full = next(cell for cell in cells if cell.name == "full [1,2] fold 0 tiny")
    assert tables.lacks(full).endswith("the training of stage control is running, not done")
    assert tables.state(cells[0]).kind == "partial"
    finish(cells[0], tables)
    assert tables.lacks(full) == ""


def test_time_is_not_spent_on_tables_twice(grid):
    cells, tables = grid(folds=(0, 1))
    began = time.perf_counter()
    tables.state(cells[0])
    first = time.perf_counter() - began
    assert len(tables.made) == 1 and first < 5
    for cell in cells:
        tables.state(cell)
    assert len(tables.made) == 3  # control's and two folds'
