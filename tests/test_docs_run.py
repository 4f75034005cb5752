"""The documents' commands, run: each page's blocks without a mark in order, on the small simulated screen."""

import re
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from rcic.cli.main import rcic
from rcic.files.names import Member
from rcic.screen.folds import write_folds
from rcic.screen.table import read_screen
from tests.documents import DOCS, PAGES, blocks, calls_of, program_words
from tests.learn.tiny import forget_accelerate
from tests.program import save_untrained

FROM_NOTHING = {"quick-start.md", "own-screen.md"}  # pages that draw their screen themselves
PLACEHOLDERS = {
    "DATA": "screen",
    "PACKED": "packed",
    "PACKED_QUICK": "packed_quick",
    "PACKED_SMALL": "packed_small",
    "TRUTH": "screen/truth/test.csv",
}
WRITTEN = {  # what must be there after the commands of a page
    "quick-start.md": ("answers/submission.csv", "report.html", "predictions/ladder.json"),
    "own-screen.md": ("packed/packed.json", "answers/confidence.csv", "predictions/ladder_valid.json"),
    "audit.md": ("csv/audit/audit.json", "csv/audit/audit.csv", "quick/audit.json"),
    "packing.md": ("packed/packed.json", "packed_small/packed.json"),
    "prediction.md": (
        "predictions/tta/[1,2,3,4,5]/fold_0/tiny/pred_test.npy",
        "predictions/full/calibration.json",
        "predictions/full/channels_valid.csv",
        "predictions/neighbours/[1,2,3,4,5]/fold_0/tiny+centres/pred_test.npy",
        "submission/groups.csv",
        "csv/pseudo/pseudo.csv",
    ),
    "report.md": ("report.html",),
}
RUN = [page for page in PAGES if any(not block.mark for block in blocks(page, "bash"))]


def run(words: list[str]) -> None:
    """Run a call of ``rcic`` in this process; fail with what it says if it is refused."""
    words = [re.sub(r"\b[A-Z_]+\b", lambda word: PLACEHOLDERS.get(word[0], word[0]), word) for word in words]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", words)
        try:
            rcic()
        except SystemExit as stop:
            assert not stop.code, f"{' '.join(words)}: exit code {stop.code}"
        finally:
            forget_accelerate()


@pytest.fixture(scope="module")
def prepared(small_screen, tmp_path_factory) -> Path:
    """Return a folder as stage II leaves it: screen, folds, audit, untrained members and their predictions."""
    folder = tmp_path_factory.mktemp("documents")
    (folder / "screen").symlink_to(small_screen)
    screen = read_screen(folder / "screen")
    write_folds(screen, folder / "csv", n_folds=2, seed=0)
    for fold in (0, 1):
        held_out = pd.read_csv(folder / "csv" / f"valid_{fold}.csv")["id_code"].tolist()
        for last in (5, 6):
            save_untrained(
                folder / "logs" / "full", screen, Member((1, 2, 3, 4, last), fold, "tiny"), held_out=held_out
            )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run(["rcic", "data", "audit", "--data_root=DATA"])
        models = ["--model_root=logs/full", "--model_name=tiny", "--out_dir=predictions/full"]
        run(["rcic", "predict-all", "--data_root=DATA", *models])
    return folder


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder in which commands are run, with one thread."""
    torch.set_num_threads(1)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@pytest.mark.parametrize("page", RUN, ids=lambda page: page.name)
def test_the_commands_of_a_page_run(page, request, work, tmp_path, capsys):
    if page.name not in FROM_NOTHING:
        shutil.copytree(request.getfixturevalue("prepared"), work, symlinks=True, dirs_exist_ok=True)
    for place, block in enumerate(blocks(page, "bash")):
        if not block.mark:
            folder = tmp_path / f"clone_{place}"
            folder.mkdir()
            calls = calls_of(block, folder)
            assert all(call[0] == "rcic" and program_words(call) for call in calls), f"{block} is not rcic's alone"
            for call in calls:
                run(call)
    assert capsys.readouterr().out
    assert [name for name in WRITTEN.get(page.name, ()) if not (work / name).exists()] == []


def test_the_examples_of_the_api_page_run_after_the_quick_start(work, tmp_path, capsys):
    for block in blocks(DOCS / "quick-start.md", "bash"):
        for call in [] if block.mark else calls_of(block, tmp_path):
            run(call)
    code = "\n".join(block.text for block in blocks(DOCS / "api.md", "python"))
    exec(compile(code, "docs/api.md", "exec"), {})
    assert "8 treatments" in capsys.readouterr().out
    assert pd.read_csv("answers.csv")["id_code"].tolist() == wells_of(work / "screen")


def wells_of(root: Path) -> list[str]:
    return read_screen(root).select("test", "treatment")["id_code"].tolist()
