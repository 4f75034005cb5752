import pytest

from rcic.learn.grid.cells import GridTables, cells_of
from rcic.learn.grid.grid_options import GridOptions
from rcic.learn.grid.plan import Remaining, cost_key, cost_text, count_text, plan_text, remaining_of, time_text
from rcic.learn.grid.probe import Cost, measure_cost
from rcic.learn.runs.folder import RunState
from tests.learn.grid.test_cells import configs, finish  # noqa: F401

COST = Cost(train=0.5, valid=0.25, at_the_end=4_000_000, at_most=8_000_000)


@pytest.fixture
def cells(configs, screen, tmp_path):  # noqa: F811
    return cells_of(GridOptions(configs[:2], (), (0, 1), "[1,2] [3]"), screen, tmp_path / "logs")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 seconds"),
        (119, "119 seconds"),
        (120, "2 minutes"),
        (7199, "120 minutes"),
        (7200, "2.0 hours"),
        (72 * 3600, "3.0 days"),
        (1e6, "11.6 days"),
    ],
)
def test_seconds_in_words(seconds, text):
    assert time_text(seconds) == text


def test_a_table_tells_how_far_each_training_is(cells):
    kinds = ["done", "partial", "missing", "running", "stale", "failed"]
    states = {cell.name: RunState(kind, 2) for cell, kind in zip(cells, kinds, strict=True)}
    states[cells[4].name] = RunState("stale", 2, "another train.seed")
    lines = plan_text(cells, states).splitlines()
    assert lines[0].split() == ["[1,2]", "[3]"]
    assert [line.split() for line in lines[2:5]] == [
        ["control", "tiny", "-", "done", "2/3"],
        ["full", "tiny", "0", "missing", "running"],
        ["full", "tiny", "1", "stale", "failed"],
    ]
    assert lines[6] == "  full [1,2] fold 1 tiny: stale, another train.seed"
    counts = "6 trainings: 1 done, 1 running, 1 partial, 1 missing, 1 failed, 1 stale"
    assert lines[7] == counts == count_text(states)


def test_what_is_left_of_a_training(cells, screen, tmp_path):
    tables = GridTables(screen, tmp_path / "logs")
    full, table = cells[2], tables.of(cells[2].config)[0]
    n_train = 2 * len(table.train) // full.config.train.batch_size * full.config.train.batch_size  # whole batches
    a_epoch = (n_train or 2 * len(table.train)) * 0.5 + 2 * len(table.valid) * 0.25
    assert remaining_of(full, RunState("missing"), tables, COST) == Remaining(3, 3 * a_epoch, 4_000_000)
    assert remaining_of(full, RunState("partial", 2), tables, COST) == Remaining(1, a_epoch, 4_000_000)
    assert (
        remaining_of(full, RunState("done", 3), tables, COST)
        == remaining_of(full, RunState("stale", 1), tables, COST)
        == Remaining(0)
    )
    assert remaining_of(full, RunState("missing"), tables, None) == Remaining(3)


def test_what_is_left_counts_what_plates_read_and_progressive_labels(configs, screen, tmp_path):  # noqa: F811
    def seconds(settings, done=0):
        (cell,) = cells_of(GridOptions(configs[1:2], (), (0,), "[1,2]", settings), screen, tmp_path / "logs")
        tables = GridTables(screen, tmp_path / "logs")
        return remaining_of(cell, RunState("partial", done), tables, Cost(0.0, 1.0, 1, 1)).seconds

    table = GridTables(screen, tmp_path / "logs").of(cells_of(GridOptions(configs[1:2]), screen, tmp_path)[0].config)[0]
    whole = screen.wells.merge(table.valid[["experiment", "plate"]].drop_duplicates())
    assert seconds("") == 3 * 2 * len(table.valid) < seconds("model.bn=plate") == 3 * 2 * len(whole)
    assert seconds("data.norm=plate") == 2 * len(table.train) + 3 * 2 * len(whole)
    n_test = len(screen.select("test", "treatment"))
    assert seconds("progressive.start=2") == 3 * 2 * len(table.valid) + 2 * 2 * n_test
    assert seconds("progressive.start=2", 1) == 2 * 2 * len(table.valid) + 2 * 2 * n_test


def test_the_costs_of_all(cells, tmp_path):
    left = {cell.name: Remaining(3, 3600.0, 4_000_000) for cell in cells}
    costs = {cost_key(cell): COST for cell in cells}
    lines = cost_text(cells, left, costs, tmp_path, 1).splitlines()
    assert lines[0] == "control tiny: 6 epochs, 2.0 hours (500.0 ms a site in training, 250.0 in validation)"
    assert lines[1].startswith("full tiny: 12 epochs, 4.0 hours (")
    assert lines[2].startswith("in all 6.0 hours; 28.0 MB of checkpoints (")
    assert "6.0 hours, 3.0 hours on 2 GPUs in parallel; 32.0 MB" in cost_text(cells, left, costs, tmp_path, 2)
    huge = {cell.name: Remaining(1, 1.0, 10**17) for cell in cells}
    assert cost_text(cells, huge, costs, tmp_path, 1).splitlines()[-1].startswith("warning: the disk of ")


@pytest.mark.parametrize("number", [0, 2])
def test_a_probe_measures_and_writes_nothing(cells, small_screen, tmp_path, number):
    before = sorted(tmp_path.rglob("*"))
    cost = measure_cost(cells[number].config, str(small_screen), tmp_path / "logs")
    assert 0 < cost.train < 5 and 0 < cost.valid < 5
    assert 0 < cost.at_the_end < cost.at_most
    assert sorted(tmp_path.rglob("*")) == before
