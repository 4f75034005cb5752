"""The benchmarks without their hours: each command is one that the scripts take, the page is what the files say."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from rcic.learn.config.resolve import parse_overrides, read_config
from rcic.schema.convert import flat, to_plain
from rcic.simulate.presets import find_preset
from tests.program import read_call

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def modules(monkeypatch):
    """Return accuracy.py, accuracy_rows.py and accuracy_table.py as modules; accuracy_intervals.py is a fourth."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import accuracy
    import accuracy_rows
    import accuracy_table

    yield accuracy, accuracy_rows, accuracy_table
    for name in ("accuracy", "accuracy_intervals", "accuracy_rows", "accuracy_table"):
        sys.modules.pop(name)


def test_every_command_is_one_that_the_scripts_take(modules, tmp_path):
    accuracy, rows, _ = modules
    bench = accuracy.Bench(tmp_path)
    commands = list(accuracy.screen_commands(bench))
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


def test_every_command_on_bench_hard_is_one_that_the_scripts_take(modules, tmp_path):
    accuracy, rows, _ = modules
    kind = rows.SCREENS["bench-hard"]
    assert accuracy.work_dir(None, kind, 1).name == "bench_hard_draw1"
    assert accuracy.work_dir(None, rows.SCREENS["bench"], 0).name == "bench"
    bench = accuracy.Bench(tmp_path, kind, 1)
    commands = list(accuracy.screen_commands(bench))
    assert {"--preset=bench-hard", "--seed=1"} <= set(commands[0])
    for chain in rows.CHAINS:
        commands += accuracy.chain_commands(bench, chain, 1) if kind.has(chain.name) else []
    trainings = [values for name, values in map(read_call, commands) if name == "run"]
    assert len(trainings) > 10
    preset = find_preset(kind.preset)
    assert tuple(preset.cell_types) == kind.cell_types


def ladder_of(accuracies: dict[str, float]) -> dict:
    cells = [{"scope": "experiment", "value": name, "accuracy": one, "n_wells": 96} for name, one in accuracies.items()]
    return {"ladder": [{"rung": "TTA"} | cell for cell in cells]}


def test_intervals_over_experiments_and_seeds(modules):
    from accuracy_intervals import cells_of, difference, interval

    ladders = [ladder_of({"A": 40.0 + seed, "B": 60.0 + seed, "C": 80.0 + seed}) for seed in (0, 1, 2)]
    one = cells_of(ladders, ("both sites", "TTA"))
    assert one.mean == pytest.approx(61) and interval(one) == pytest.approx((41, 81), abs=3)
    better = cells_of([ladder_of({"A": 50.0, "B": 70.0, "C": 90.0})] * 3, ("TTA",))
    gain, low, high = difference(better, one)
    assert gain == pytest.approx(9) and 7.9 <= low < gain < high <= 10.1  # the experiments' spread is no part of it
    two = cells_of([ladder_of({"A": 50.0, "B": 70.0})], ("TTA",))
    assert interval(two) is None and difference(two, two) is None
    assert cells_of([ladder_of({})], ("TTA",)) is None and cells_of([], ("TTA",)) is None
    with pytest.raises(ValueError, match="other experiments"):
        difference(one, two)


def test_one_seed_without_an_experiment_does_not_count_it(modules):
    from accuracy_intervals import cells_of

    cells = cells_of([ladder_of({"A": 1.0, "B": 2.0}), ladder_of({"A": 3.0})], ("TTA",))
    assert cells.experiments == ("A",) and cells.mean == 2


def test_the_page_of_bench_hard_has_its_own_rows_intervals_and_ceiling(modules, tmp_path):
    _, _, table = modules
    (tmp_path / "screen/truth").mkdir(parents=True)
    (tmp_path / "screen/simulated.json").write_text('{"preset": "bench-hard", "seed": 7}')
    (tmp_path / "screen/truth/acts.csv").write_text("sirna,cell_type,acts\n0,RPE,1\n0,U2OS,0\n")
    (tmp_path / "screen/truth/test.csv").write_text("id_code,sirna\nRPE-05_1_B02,0\nU2OS-02_1_B02,0\n")
    for chain, more in (("best", 0.0), ("best_ema", 5.0)):
        for seed in (0, 1):
            ladder = ladder_of({"RPE-05": 50.0 + more, "RPE-06": 60.0 + more, "U2OS-02": 40.0 + more})
            ladder["ladder"].append({"rung": "TTA", "scope": "all", "value": "all", "accuracy": 50.0 + more})
            path = tmp_path / "chains" / chain / str(seed) / "score/centres/ladder.json"
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps(ladder))
    page = table.report(table.Results(tmp_path))
    assert "(seed 7)" in page and "would have 50.0" in page and "seeds 0, 1;" in page
    line = next(line for line in page.splitlines() if line.startswith("| without averaged weights"))
    assert "| 55.0 (55.0 - 55.0) [45.0, 65.0] |" in line and "| +5.0 [+5.0, +5.0] |" in line
    assert "CosFace" not in page and "channel is absent" not in page and "| U2OS |" in page


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


SPEED = {
    "loader": {
        "real": {
            "loaders": {
                "reference": {"1": 20.0, "2": 40.0},
                "png, device": {"1": 60.0, "2": 100.0},
                "packed, device": {"1": 400.0, "2": 700.0},
                "packed-lz4, device": {"1": 600.0, "2": 1100.0},
                "png, cpu": {"1": 40.0, "2": 80.0},
                "packed, cpu": {"1": 130.0, "2": 210.0},
                "packed-lz4, cpu": {"1": 140.0, "2": 230.0},
            },
            "parts": {
                "copy of the pixels": 0.04,
                "reading the bytes from the disk": 0.8,
                "reading the bytes": 0.5,
                "zstd alone": 1.5,
                "the whole loader": 2.0,
            },
        },
        "seconds": 60.0,
    },
    "store": {
        "real": {
            "packing": {"sites a second": 50.0, "size against PNG": 1.05, "n_sites": 144},
            "formats": {"PNG": {"size": 1.0, "read": 50.0}},
        },
        "flips": {"refused": 990, "harmless": 10, "wrong": 0},
        "kills": {"tried": 20, "killed": 18, "equal": 20},
        "seconds": 60.0,
    },
    "predict": {
        "predictions": {
            "pass": {"6": 4.0, "12": 7.0, "30": 16.0},
            "own": {"6": 3.0, "12": 6.0, "30": 13.0},
            "single": {"6": 6.0},
        },
        "steps": {"runner": 52.0, "loop": 50.0, "ratio": 1.04},
        "seconds": 60.0,
    },
    "pairs": {
        "rows": [
            {
                "network": "densenet_small",
                "side": 64,
                "sites": 50,
                "plates": 2,
                "bn": "plate",
                "tta": ["identity"],
                "seconds": {"base": 3.0, "this": 1.0, "this in fp32": 2.0, "this in bf16": 1.0},
                "equal": {"base": 1.0, "this": 0.995, "this in fp32": 1.0, "this in bf16": 0.995},
                "auto": ["bf16", ""],
                "openvino": None,
            }
        ],
        "seconds": 60.0,
    },
    "epochs": {
        "base": [{"validation": 2.0, "whole epoch": 5.0}, {"validation": 2.1, "whole epoch": 6.0}],
        "this": [{"validation": 1.0, "new": 9.0, "whole epoch": 4.0}, {"validation": 1.1, "whole epoch": 4.0}],
        "seconds": 60.0,
    },
    "scale": {
        "worker": {"sites": 125510.0, "beyond imports": 236.0, "batches": 120.0, "first batch": 3.0},
        "first batch": {"first batch": 1.9, "built": 1.7},
        "first of files": {"first batch": 3.9, "built": 3.7},
        "tables": [{"wells": 10.0, "read": 0.3, "groups": 0.1, "assignment": 1.0, "memory": 450.0}],
        "tables grow": {"read": 1.0, "groups": 0.9, "assignment": 1.1, "memory": 0.99},
        "ensemble": [{"seconds": 6.6, "memory": 1168.0}],
        "ensemble grows": {"seconds": 1.14, "memory": 0.98},
        "all models": {"models": 30, "wells": 19897, "seconds": 13.6, "memory": 3300.0, "in all": 3952.0},
        "seconds": 60.0,
    },
}


def test_the_page_on_speed_has_the_ratios(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from speed_table import report

    page = report(SPEED, "a processor")
    assert "in 6 minutes on a processor" in page
    assert "| validation | 2.00, 2.10 | 1.00, 1.10 |" in page and "| new |" not in page
    assert "An epoch is 1.25, 1.50 times as fast." in page
    assert "| 2 x 50 | plate | 1 | 30.00 | 10.00 (3.00x) [bf16] | 20.00 (1.50x) | 10.00 (3.00x) | - |" in page
    assert "on 99.5 % of wells or more" in page
    assert "| real | packed, (a) augmentation and normalisation on the device | 400 (20.0x) | 700 (17.5x) |" in page
    assert "takes 50 times as long as a copy" in page and "2.5 times as long as its bytes" in page
    assert "zstd is 75 % of it, reading from the page cache 25 %" in page
    assert "repaid after 2.3 epochs" in page  # (1 / 50) / (1 / 100 - 1 / 700)
    assert "1,000 bits flipped one at a time in a packed plate: 990 refused, 10 changed no pixel, 0 returned" in page
    assert "grows by 1.20 times" in page and "takes 1.50 times as long" in page
    assert "Packing" in page and "simulated |" not in page


LOSSES = {"fp32": [2.0] * 10 + [1.0] * 10, "bf16": [2.1] * 10 + [1.0] * 10, "seed": [2.5] * 10 + [1.5] * 10}
NETWORK = {"by flop": 0.01, "by bytes": 0.02, "by layer": 0.03, "gflop": 45.4, "batch": 64}
NETWORK |= {"train fp32": 250.0, "train bf16": 500.0, "train bf16, cudnn.benchmark": 510.0}
NETWORK |= {"predict strict fp32": 300.0, "predict fp32": 800.0, "predict bf16": 1600.0}
GPU = {
    "ceilings": {"where": "one card", "flop": 7.9e14, "bytes": 4.3e12},
    "network a": NETWORK,
    "compiled a": {"first": 12.0, "train": 800.0},
    "cold": {"a": 90.0},
    "curves a": {
        **{name: {"speed": 240.0, "losses": losses, "memory": 20.0} for name, losses in LOSSES.items()},
        "predict": 700.0,
        "logits": {"as the program predicts": [0.001, 1.0], "bf16": [0.01, 0.99]},
    },
    "loader": {"8": 1200.0, "16": None, "device": 5000.0, "cores": 8},
    "plate": {"speed": 400.0, "predict": 350.0, "sites": 20, "gap": 1e-5},
    "scaler": {"adam": {"speed": 450.0, "losses": [1.0] * 10, "scale": 65536.0}},
    "ranks 2": {
        "processes": 2,
        "backend": "gloo",
        "status": "done",
        "seconds": 20.0,
        "train_loss": 2.0,
        "valid_loss": 2.1,
    },
    "recipe went on": {"loss": 1.0, "gap": 1e-5, "weights": 0.0},
    "recipe syncs": {"places": {"answers.add": 3}},
}


def test_the_page_on_a_gpu_has_shares_and_gaps(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from gpu_table import NO_TIME, report

    page = report(GPU, {"ranks 1": "nccl said no", "recipe b": NO_TIME, "recipe c": NO_TIME}, 450)
    assert "in 7.5 minutes on one card" in page
    assert "| a | 250 | 500 | 510 | 300 | 800 | 1600 | 800 | 90 s |" in page
    assert "| a | 45.4 | 10.0 | 20.0 | 30.0 | 75 % | 70 % | 112 % |" in page  # 0.03 / 64 s an image; x 3 in training
    assert "| a | 2.000 | 1.000 | 1.000 | 1.500 | 0.050 | 0.500 |" in page
    assert "8 threads on 8 cores: 1200 sites a second, 5.0 times the fastest training" in page
    assert "16 threads: not measured" in page and "`answers.add` 3" in page
    assert "- ranks 1: nccl said no\n- no time was left for: recipe b, recipe c" in page


def test_a_page_of_nothing_says_why(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from gpu_table import report

    assert report({}, {"draw": "no room"}, 6).endswith("## What did not work\n\n- draw: no room\n")


def test_what_a_machine_lacks_is_named(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import gpu_needs

    assert gpu_needs.lacking() == []
    monkeypatch.setattr(gpu_needs, "is_there", lambda module: module != "cv2")
    monkeypatch.setattr(gpu_needs, "version", lambda package: "1.15.0")
    assert gpu_needs.lacking() == ["opencv-python-headless", "accelerate==0.34.2"]


@pytest.fixture
def baseline(monkeypatch):
    """Return sbs96_baseline.py as a module."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import sbs96_baseline

    yield sbs96_baseline
    sys.modules.pop("sbs96_baseline")


def test_a_palette_that_is_no_grey_ramp_is_not_read(baseline, tmp_path):
    image, ramp = np.arange(256, dtype=np.uint8).reshape(16, 16), np.tile(257 * np.arange(256, dtype=np.uint16), (3, 1))
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="palette", colormap=ramp)
    assert np.array_equal(baseline.read_grey(tmp_path / "a.tif"), image)
    tifffile.imwrite(tmp_path / "b.tif", image, photometric="palette", colormap=ramp[:, ::-1])
    with pytest.raises(ValueError, match=r"b\.tif: its palette is no grey ramp"):
        baseline.read_grey(tmp_path / "b.tif")


def test_a_threshold_lies_between_two_levels(baseline):
    image = np.array([[10] * 30 + [12] * 30 + [200] * 20], np.uint8)
    assert 12 <= baseline.threshold(image) < 200
    assert baseline.correlations(image, 255 - image)[0] == pytest.approx(-1)


def test_what_one_number_a_well_says_of_the_dose(baseline, shared_data):
    """Others reach 0.86 on the whole plate with such a correlation; half of it is here."""
    table = baseline.wells(shared_data / "sbs96")
    assert len(table) == 48 and table["dose"].nunique() == 11
    said = baseline.lines(table)
    assert said[1] == "GFP/DNA correlation of the whole image: Spearman 0.88 with the dose (rows 0.86 to 0.92)"
    assert said[2].startswith("GFP/DNA correlation of the pixels of cells: Spearman 0.89 with the dose")
