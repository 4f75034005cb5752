"""Every fault of the table is told in one line before the first epoch, or survived; nothing half-written is left."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from rcic.learn.runs.run_record import read_run_record
from tests.faults.result_faults import RESULT_FAULTS
from tests.faults.table import FAULTS, SURVIVED, Place
from tests.hindered import in_time
from tests.learn.tiny import forget_accelerate
from tests.program import TINY, Program, left_over


@pytest.fixture(scope="module")
def sound(small_screen: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with everything as it should be: screen, audit, folds, a config and a finished training."""
    root = tmp_path_factory.mktemp("sound")
    shutil.copytree(small_screen, root / "screen", copy_function=os.link)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUDA_VISIBLE_DEVICES", "")
        prepare(at(root))
    return root


def at(root: Path) -> Place:
    return Place(root, root / "screen", root / "csv", root / "tiny.yml", root / "logs")


def prepare(place: Place) -> None:
    """Make folds, audit and config, and train."""
    from rcic.learn.config.resolve import read_config
    from rcic.learn.train.run import train
    from rcic.pixels.audit.audit_screen import audit
    from rcic.screen.folds import write_folds
    from rcic.screen.table import read_screen

    write_folds(read_screen(place.screen), place.csv, 2, 0)
    audit(place.screen, place.csv / "audit", "full", "stop", 2)
    place.config.write_text(config_text(place))
    forget_accelerate()
    train(read_config(place.config, {"data.channels": [1, 2]}), place.screen, place.logs)


def config_text(place: Place) -> str:
    return TINY.replace("audit: off", f"audit_dir: {place.csv}/audit").replace("FOLDS", str(place.csv))


def linked_image(source: str, target: str) -> None:
    """Copy a file, or link to it if it is an image."""
    (os.link if source.endswith(".png") else shutil.copy2)(source, target)


def looks(root: Path) -> dict[Path, tuple[int, int]]:
    """Return the size and the time of change of each image."""
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in root.rglob("*.png")}


@pytest.fixture(scope="module")
def untouched(sound: Path) -> dict[Path, tuple[int, int]]:
    """Return how the images of the sound folder look before the first test."""
    return looks(sound)


@pytest.fixture
def place(
    sound: Path, untouched: dict[Path, tuple[int, int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    """Return a copy of the sound folder that may be damaged. Its images are links: to be replaced, never written to."""
    own = at(tmp_path / "own")
    shutil.copytree(sound, own.root, copy_function=linked_image)
    own.config.write_text(config_text(own))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    forget_accelerate()
    yield own
    assert looks(sound) == untouched, "a fault wrote through a link, into what all tests share"


def test_without_a_fault_everything_works(place, capsys):
    program = Program(capsys)
    assert "no bad images" in program.run(*place.words("audit"))
    assert "done already, skipped" in program.run(*place.words("again"))
    assert "1 of 1 trainings are done" in program.run(*place.words("grid"), "--folds=0")
    assert "best map3" in program.run(*place.words("train"))
    program.run(*place.words("predict"))
    assert list((place.root / "new").rglob("pred_test.npy"))


@pytest.mark.parametrize("name", FAULTS)
def test_it_is_told_in_one_line(place, capsys, name):
    fault = FAULTS[name]
    fault.plant(place)
    with in_time(120):
        told = Program(capsys).refuse(*place.words(fault.command), *fault.more)
    wanted = fault.line.format(screen=re.escape(str(place.screen)), config=re.escape(str(place.config)))
    assert re.fullmatch(wanted, told), told
    assert not list(place.root.rglob("new/**/*.pth")) and not list(place.root.rglob("new/**/*.npy"))
    assert left_over(place.root) == [] and not [path for path in place.root.rglob("run.lock") if path.is_file()]
    assert not list(place.root.parent.rglob("executed")) and not list(place.root.rglob("elsewhere"))


@pytest.mark.parametrize("name", [name for name in FAULTS if name.startswith("image ")])
def test_a_bad_image_stops_a_training_before_its_first_epoch(place, capsys, name):
    """With the audit that found it, and without any when the image is opened."""
    FAULTS[name].plant(place)
    Program(capsys).refuse(*place.words("audit"))
    told = Program(capsys).refuse(*place.words("train"))
    assert re.fullmatch(r".*: \d+ bad images? in \d+ sites?, listed in .*", told), told
    assert not list(place.root.rglob("new/**/*.pth"))


@pytest.mark.parametrize("name", SURVIVED)
def test_it_is_survived(place, capsys, name):
    plant, command, told = SURVIVED[name]
    plant(place)
    assert told in Program(capsys).run(*place.words(command))
    assert read_run_record(place.run)["status"] == "done" and not list(place.root.rglob(".packing"))
    assert left_over(place.root) == [] and not list(place.root.rglob("run.lock"))


def test_there_are_enough_of_them():
    assert len(FAULTS) + len(RESULT_FAULTS) + len(SURVIVED) >= 150 and len(RESULT_FAULTS) >= 25
    assert {fault.command for fault in FAULTS.values()} >= {
        "audit",
        "describe",
        "train",
        "again",
        "grid",
        "predict",
        "pack",
    }


@pytest.mark.parametrize("name", RESULT_FAULTS)
def test_a_result_that_does_not_belong_is_told_in_one_line(work, name):
    fault = RESULT_FAULTS[name]
    fault.plant(work)
    before = {path: path.stat().st_mtime_ns for path in work.root.rglob("*") if path.is_file()}
    told = work.refuse(fault.command, *fault.more)
    assert re.search(fault.line, told), told
    after = {path: path.stat().st_mtime_ns for path in work.root.rglob("*") if path.is_file()}
    assert after == before and left_over(work.root) == []
