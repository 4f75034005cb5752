"""The whole chain as `make demo` runs it, with asserted numbers (minutes on two cores: `make test-slow`)."""

import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
RISING = ("both sites", "channel sets", "group mask", "assignment")
MEMBERS = [f"[1,2,3,4,{last}]/fold_{fold}/densenet_small" for last in (5, 6) for fold in (0, 1)]

pytestmark = pytest.mark.slow


def run_demo(folder: Path) -> str:
    """Return what the demo prints; its standard error is shown if it fails."""
    environment = os.environ | {"DEMO_ROOT": str(folder)}
    done = subprocess.run(["bash", "bin/demo.sh"], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("demo") / "demo"
    return folder, run_demo(folder)


def ladder(path: Path) -> Mapping[str, float]:
    """Return the accuracy over all wells, in per cent, by rung."""
    table = pd.DataFrame(json.loads(path.read_text())["ladder"])
    everyone = table[(table["scope"] == "all") & table["accuracy"].notna()]
    return dict(zip(everyone["rung"], everyone["accuracy"], strict=True))


@pytest.mark.parametrize("stage", ["full", "pseudo"])
@pytest.mark.parametrize("split", ["ladder", "ladder_valid"])
def test_the_ladder_rises(demo: tuple[Path, str], stage: str, split: str) -> None:
    rungs = ladder(demo[0] / "predictions" / stage / f"{split}.json")
    values = [rungs[name] for name in RISING]
    assert values == sorted(values), rungs
    assert values[0] > 4 * 100 / 24, "one model must be far above chance"
    assert values[-1] > 75


def test_every_plate_is_matched(demo: tuple[Path, str]) -> None:
    for stage in ("full", "pseudo"):
        plates = json.loads((demo[0] / "predictions" / stage / "ladder.json").read_text())["plates"]
        assert plates == {"matched": 16, "known": 16}


def test_stage_three_is_no_step_back(demo: tuple[Path, str]) -> None:
    full, pseudo = (ladder(demo[0] / "predictions" / stage / "ladder.json") for stage in ("full", "pseudo"))
    assert pseudo["both sites"] >= full["both sites"]


def test_the_submission_answers_every_test_well_once(demo: tuple[Path, str]) -> None:
    submission = pd.read_csv(demo[0] / "submission" / "submission.csv")
    wanted = pd.read_csv(demo[0] / "screen" / "sample_submission.csv")
    assert submission.columns.tolist() == ["id_code", "sirna"]
    assert submission["id_code"].tolist() == wanted["id_code"].tolist()
    plate = submission["id_code"].str.rsplit("_", n=1).str[0]
    assert not submission.assign(plate=plate).duplicated(["plate", "sirna"]).any()
    truth = pd.read_csv(demo[0] / "screen" / "truth" / "test.csv").set_index("id_code")["sirna"]
    right = (submission["sirna"] == submission["id_code"].map(truth)).mean()
    assert 100 * right == pytest.approx(ladder(demo[0] / "predictions" / "pseudo" / "ladder.json")["assignment"])


def test_the_report_shows_all_of_it(demo: tuple[Path, str]) -> None:
    page = (demo[0] / "report.html").read_text()
    names = set(re.findall(r'<section id="([^"]+)"', page))
    assert {"ladder", "parts", "plates", "groups", "confidence", "map", "curves", "runs", "audit"} <= names
    figure = ladder(demo[0] / "predictions" / "pseudo" / "ladder.json")["assignment"]
    assert f"<dd>{figure:.2f}\u00a0%</dd>" in page


def test_run_folders_hold_what_the_readme_says(demo: tuple[Path, str]) -> None:
    for stage in ("full", "pseudo"):
        for member in MEMBERS:
            folder = demo[0] / "logs" / stage / member
            names = ("checkpoints/best.pth", "checkpoints/last.pth", "config.yml", "metrics.csv", "run.json")
            assert all((folder / name).is_file() for name in names)
            assert json.loads((folder / "run.json").read_text())["status"] == "done"
            assert (demo[0] / "predictions" / stage / f"{member}+centres" / "pred_test.npy").is_file()


def test_no_validation_well_has_a_pseudo_label(demo: tuple[Path, str]) -> None:
    pseudo = set(pd.read_csv(demo[0] / "csv" / "pseudo" / "pseudo.csv")["id_code"])
    assert pseudo
    for fold in range(4):
        assert not pseudo & set(pd.read_csv(demo[0] / "csv" / f"valid_{fold}.csv")["id_code"])


def test_the_readme_shows_what_the_demo_prints(demo: tuple[Path, str]) -> None:
    """On another processor the figures differ in a few wells: each may be 12 points off, that is 11 of 92 wells."""
    shown = re.search(r"test experiments, stage III.*?\n\n(.*?)Plates", (ROOT / "README.md").read_text(), re.S)
    assert shown is not None
    figures = dict(re.findall(r"^(\w+ \w+|folds|assignment) +([\d.]+)", shown[1], re.M))
    printed = ladder(demo[0] / "predictions" / "pseudo" / "ladder.json")
    assert figures.keys() == printed.keys()
    for rung, figure in figures.items():
        assert printed[rung] == pytest.approx(float(figure), abs=12), rung


def test_a_second_run_skips_everything(demo: tuple[Path, str]) -> None:
    """Last in this file: it runs in the same folder."""
    before = {path: path.stat().st_mtime for path in demo[0].rglob("*.pth")}
    again = run_demo(demo[0])
    assert "epoch" not in again
    assert re.findall(r"^(\d+) trainings: (\d+) done$", again, re.M) == [("2", "2"), ("4", "4"), ("4", "4")]
    assert {path: path.stat().st_mtime for path in demo[0].rglob("*.pth")} == before
