"""Which trainings a grid has, how far they are, and that each of them is done once."""

import json
import time
from collections import Counter
from dataclasses import replace

import pytest

from rcic.errors import UserError
from rcic.files.atomic import sha256_of
from rcic.files.held import held
from rcic.files.lock import locked
from rcic.files.names import BEST, CONFIG, LAST, METRICS, RETRAIN, RUN
from rcic.files.sealed_json import sealed
from rcic.learn.config.for_screen import channel_sets
from rcic.learn.config.resolve import write_config
from rcic.learn.grid.cells import GridTables, cells_of
from rcic.learn.grid.grid_options import GridOptions
from rcic.learn.grid.scheduler import GridScheduler
from tests.records import rewrite
from tests.tables import write_wells

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
    (cell.folder / LAST).touch()
    (cell.folder / METRICS).write_text("\n".join(["epoch", *map(str, range(1, epochs + 1))]))
    write_config(cell.config, cell.folder / CONFIG)
    record = {"status": status, "reason": reason, "made_from": dict(tables.origin(cell.config).values)}
    if status == "done":
        record["files"] = {name: sha256_of(cell.folder / name) for name in (CONFIG, METRICS, BEST, LAST)}
    (cell.folder / RUN).write_text(sealed(record))


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
    there = cells_of(GridOptions(configs, ("tiny",)), screen, tmp_path)
    assert {cell.config.data.fold for cell in there[6:]} == {0, 1}  # the folds whose tables there are
    cells = cells_of(GridOptions(configs, ("tiny", "resnet18"), (0, 1, 2, 3, 4)), screen, tmp_path)
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


class Forced(Pretended):
    """A launcher whose first try of a training is killed: before it has begun anything, or after an epoch of it."""

    def __init__(self, cells, tables, has_begun):
        super().__init__(cells, tables)
        self.has_begun = has_begun

    def ended(self):
        codes = {}
        for name in list(self.running):
            del self.running[name]
            folder = self.by_name[name].folder
            killed = self.started.count(name) == 1
            if killed and self.has_begun:
                finish(replace(self.by_name[name], folder=folder / RETRAIN), self.tables, 1, "running")
            codes[name] = -9 if killed else 0
        return codes


@pytest.mark.parametrize("has_begun", [True, False])
@pytest.mark.parametrize("settings", ["", "optim.clip=5.0"])
def test_the_second_try_of_a_forced_training_resumes_it_or_is_forced_too(grid, has_begun, settings):
    """Without --force it would be "done already", or refused as one of another config."""
    for cell in grid(n_configs=1)[0]:
        finish(cell, grid(n_configs=1)[1])
    cells, tables = grid(n_configs=1, settings=settings)
    launcher, tries = Forced(cells, tables, has_begun), []
    work = GridScheduler(cells, tables, launcher, lambda cell, again: tries.append(again) or cell.flags, force=True)
    outcome = work.run(pause=0.001)
    assert sorted(outcome.done) == sorted(cell.name for cell in cells) and outcome.failed == {}
    assert tries == [False, False, has_begun, has_begun]


def test_a_log_root_that_is_moved_ends_the_grid(grid, tmp_path):
    """The next training would make it anew."""
    cells, tables = grid(n_configs=1)
    launcher = Pretended(cells, tables, slots=1)
    ended = launcher.ended

    def move():
        codes = ended()
        if codes:
            tables.log_root.rename(tmp_path / "moved")
        return codes

    launcher.ended = move
    with held(tables.log_root), pytest.raises(UserError, match=r"logs: was moved or removed while"):
        tables.log_root.mkdir()
        GridScheduler(cells, tables, launcher, lambda cell, again: cell.flags).run(pause=0.001)
    assert launcher.stopped and launcher.started == [cells[0].name]


def test_what_was_refused_at_its_start_is_not_tried_again_and_what_needs_it_not_begun(grid, tmp_path):
    cells, tables = grid()
    outcome, launcher = carry_out(cells, tables, codes={"control [1,2] tiny": [2]})
    assert launcher.started.count("control [1,2] tiny") == 1 and len(outcome.done) == 3
    assert outcome.failed["control [1,2] tiny"] == "ended with code 2, see its line above"
    best = tmp_path / "logs" / "control" / "[1,2]" / "tiny" / BEST
    for fold in (0, 1):
        reason = outcome.failed[f"full [1,2] fold {fold} tiny"]
        assert reason == "not started: it starts from control [1,2] tiny, which is not done"
    assert not best.exists()


def test_what_was_trained_otherwise_is_not_touched(grid):
    cells, tables = grid(n_configs=1)
    finish(cells[0], tables)
    others, tables = grid(n_configs=1, settings="optim.clip=5.0")
    outcome, launcher = carry_out(others, tables)
    assert outcome.failed == {cells[0].name: "was trained with another optim.clip; use --force to retrain from scratch"}
    assert launcher.started == [cells[1].name]


def test_trainings_of_version_0_1_are_done_if_their_fingerprints_fit(grid):
    cells, tables = grid(n_configs=1)
    for cell in cells:
        finish(cell, tables)
        (cell.folder / RUN).write_text(json.dumps({"status": "done", **tables.origin(cell.config).earlier()}))
    assert [tables.state(cell).kind for cell in cells] == ["done", "done"]
    (cells[0].folder / RUN).write_text(json.dumps({"status": "done", "screen": "0", "tables": "0"}))
    outcome, launcher = carry_out(cells, tables)
    said = "was trained with other wells, classes or grey levels, tables (wells or labels); use --force to retrain"
    assert outcome.failed[cells[0].name].startswith(said) and launcher.started == []
    (cells[1].folder / BEST).unlink()
    assert tables.state(cells[1]).words.endswith("best.pth: is missing, although the training is finished")


def test_a_training_whose_start_was_trained_again_is_another_one(grid):
    cells, tables = grid(folds=(0,))
    outcome, _ = carry_out(cells, tables)
    assert len(outcome.done) == 4
    (cells[0].folder / BEST).write_text("other weights")
    assert tables.lacks(cells[2]).endswith("best.pth: is damaged, or of another result than run.json beside it")
    rewrite(cells[0].folder / RUN, files={BEST: sha256_of(cells[0].folder / BEST)})
    outcome, launcher = carry_out(cells, tables)
    assert launcher.started == [] and list(outcome.failed) == ["full [1,2] fold 0 tiny"]
    assert outcome.failed["full [1,2] fold 0 tiny"] == (
        "was trained with other start (changed since); use --force to retrain from scratch"
    )


@pytest.mark.parametrize("name", [BEST, LAST, CONFIG, METRICS])
def test_a_finished_training_whose_file_was_changed_is_not_done(grid, name):
    cells, tables = grid(n_configs=1)
    finish(cells[0], tables)
    assert tables.state(cells[0]).kind == "done"
    with (cells[0].folder / name).open("a") as file:
        file.write("\n")
    state = tables.state(cells[0])
    assert state.kind == "stale" and f"/{name}: is damaged, or of another result than run.json beside it" in state.words


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
