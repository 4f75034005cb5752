"""``rcic check``: what it prints, and how it ends."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from rcic.check.found_results import FoundResult
from rcic.check.verdict_table import summary, verdicts_text
from rcic.check.verdicts import Verdict
from tests.program import SRC
from tests.workplace import Workplace

GONE = """\
damaged     prediction     predictions/[1]/fold_0/tiny/pred_test.json \
(made from network, classes, images, wells, pixels)
            pred_test.npy is missing, but pred_test.json lists it
            mend: python src/inference.py predict-all --data_root=screen --model_root=logs/full --model_name=tiny \
--out_dir=predictions --audit_dir=csv/audit
stale       submission     answers/submission.json (made from classes, predictions)
            made from predictions/[1]/fold_0/tiny/pred_test.json, which is damaged
            mend: python src/inference.py ensemble --data_root=screen --predict_root=predictions --out_dir=answers

                 sound       stale     damaged
prediction           1           -           1
submission           -           1           -
3 results: 1 sound, 1 stale, 1 damaged
"""


def check(place: Workplace, *words: object) -> tuple[str, str]:
    """Return what a check prints that finds something, and its error."""
    with pytest.raises(SystemExit) as stop:
        place.program.run("check.py", *words)
    assert stop.value.code == 2
    return place.program.capture.readouterr()


def test_what_is_sound_is_counted_and_listed_if_wanted(work):
    told = work.run("check")
    assert told.splitlines()[0].split() == ["sound"] and told.endswith("46 results: 46 sound\n")
    listed = work.run("check", "--all")
    assert len(re.findall(r"^sound  ", listed, re.M)) == 46 and listed.endswith("46 results: 46 sound\n")
    assert work.run("check", "--mode=full") == told


def test_what_is_not_sound_is_told_with_the_command_that_mends_it(work):
    Path("predictions/[1]/fold_0/tiny/pred_test.npy").unlink()
    told, error = check(work, "answers", "predictions/[1]/fold_0/tiny")
    lines = GONE.splitlines(keepends=True)
    assert told == "".join([*lines[3:6], *lines[:3], *lines[6:]])  # by path
    assert told in (SRC.parent / "docs" / "check.md").read_text()
    assert error == "error: not everything is sound: 3 results: 1 sound, 1 stale, 1 damaged\n"


def test_the_command_that_it_names_mends_it(work):
    Path("predictions/[1]/fold_0/tiny/pred_test.npy").unlink()
    told, _ = check(work, "predictions")
    (mend,) = re.findall(r"mend: python src/(inference\.py predict-all.*)", told)
    assert "3 of 4 members are predicted already, 1 to go" in work.program.run(*mend.split())
    work.run("check", "predictions")


def test_many_paths_before_and_after_the_flags(work):
    for words in (["answers", "csv", "--mode=quick"], ["--mode=quick", "answers", "csv"], ["check", "answers", "csv"]):
        assert work.program.run("check.py", *words).endswith("4 results: 4 sound\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "nowhere: no such file or folder"),
        ([], "check: no path is given (--help lists the flags)"),
        (["answers", "--mode=slow"], "check: --mode is 'slow', must be quick or full"),
        (["answers", "--data_root=nowhere"], None),
        (["screen"], "screen: no result of this program in it"),
    ],
)
def test_a_mistake_is_one_line(work, words, said):
    if said is None:
        assert "data root does not exist" in check(work, *words)[0]
        return
    told = work.program.refuse("check.py", *(words or ["--mode=quick"]))
    assert told == said


def test_it_runs_as_a_command_of_rcic(work):
    """In a process of its own: exit code 0, and 2 with one line on stderr."""
    run = [sys.executable, "-m", "rcic", "check", "answers"]
    environment = {"PYTHONPATH": str(SRC), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(run, capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.endswith("1 result: 1 sound\n")
    Path("answers/groups.csv").unlink()
    done = subprocess.run(run, capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (2, "error: not everything is sound: 1 result: 1 damaged\n")


def test_the_first_two_hundred_are_listed():
    verdicts = [Verdict(FoundResult(Path(f"{n}.json"), "ladder"), "stale", "why") for n in range(1203)]
    lines = verdicts_text(verdicts).splitlines()
    assert lines[399:402] == ["            why", "and 1,003 more", ""]
    assert lines[-1] == summary(verdicts) == "1,203 results: 1,203 stale"
