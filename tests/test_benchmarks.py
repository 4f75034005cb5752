"""The benchmarks without their hours: each command is one that the scripts take, the page is what the files say."""

import json
import sys
from pathlib import Path

import pytest

from rcic.learn.config import parse_overrides, read_config
from rcic.learn.schema import flat, to_plain
from tests.program import read_call

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def modules(monkeypatch):
    """Return accuracy.py, accuracy_rows.py and accuracy_table.py as modules."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import accuracy
    import accuracy_rows
    import accuracy_table

    yield accuracy, accuracy_rows, accuracy_table
    for name in ("accuracy", "accuracy_rows", "accuracy_table"):
        sys.modules.pop(name)


def test_every_command_is_one_that_the_scripts_take(modules, tmp_path):
    accuracy, rows, _ = modules
    bench = accuracy.Bench(tmp_path)
    commands = [*accuracy.screen_commands(bench), *accuracy.blended(bench, 0)]
    for chain in rows.CHAINS:
        commands += accuracy.chain_commands(bench, chain, 1)
    names = [read_call(command) for command in commands]
    assert len(names) > 100
    trainings = [values for name, values in names if name == "run"]
    for values in trainings:
        config = read_config(BENCHMARKS.parent / values["config"], parse_overrides(values["set"]))
        assert config.model.pretrained == "none" and config.train.precision == "fp32"
    different = {tuple(str(values[key]) for key in ("log_root", "config", "set", "channels")) for values in trainings}
    assert len(different) == len(trainings)


def test_an_ingredient_left_out_is_the_only_difference(modules):
    _, rows, _ = modules
    for chain in rows.CHAINS:
        changed = set()
        for file in chain.configs:
            path, given = (
                BENCHMARKS.parent / "configs/recipes/bench" / file,
                parse_overrides(",".join(chain.given(file))),
            )
            before, after = (flat(to_plain(read_config(path, overrides))) for overrides in (None, given))
            changed |= {key for key in before if before[key] != after[key]}
        assert changed == parse_overrides(",".join(chain.set)).keys(), chain.name


def test_a_finished_command_is_not_run_again_and_a_failed_one_is_told(modules, tmp_path, capfd):
    accuracy, _, _ = modules
    bench, missing = accuracy.Bench(tmp_path), ["src/data.py", "describe", f"--data_root={tmp_path}/nothing"]
    assert accuracy.run(bench, [["src/data.py", "--help"]], "help")
    assert not accuracy.run(bench, [missing], "describe")
    assert "FAILED" in (said := capfd.readouterr().out) and "nothing" in said
    assert accuracy.run(bench, [["src/data.py", "--help"]], "help") and capfd.readouterr().out == ""


def test_the_page_has_medians_and_spreads(modules, tmp_path):
    _, _, table = modules
    for seed, raw in ((0, 10.0), (1, 30.0), (2, 14.0)):
        cells = [("both sites", "all", raw), ("both sites", "HUVEC", raw + 1), ("assignment", "all", 2 * raw)]
        ladder = [{"rung": rung, "value": value, "accuracy": accuracy} for rung, value, accuracy in cells]
        path = tmp_path / "chains/a" / str(seed) / "score/full/ladder.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"ladder": ladder, "calibration_error": {"before": 0.25, "after": None}}))
    page = table.report(table.Results(tmp_path))
    line = next(line for line in page.splitlines() if line.startswith("| A, baseline"))
    assert line.split(" | ")[1:4] == ["14.0 (10.0 - 30.0)", "-", "14.0 (10.0 - 30.0)"]
    assert "28.0 (20.0 - 60.0)" in line
    assert "| A, running | 14.0 (10.0 - 30.0) | 15.0 (11.0 - 31.0) | - |" in page
    assert "| A, plain | 25.0 (25.0 - 25.0) |" in page
