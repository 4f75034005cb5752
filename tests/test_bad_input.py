"""What a user can get wrong, through the real scripts: one clear line, exit code 2, nothing half-written left."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from rcic.files.names import Member
from rcic.screen.table import read_screen
from tests.disk import nearly_full
from tests.predicted import WELLS, write_member
from tests.program import SRC, TINY, Program, left_over, save_untrained
from tests.screen.tiny import KAGGLE, write_tables

TRAIN = ["--channels=[1,2]", "--fold=0"]


@pytest.fixture
def program(capsys: pytest.CaptureFixture[str]) -> Program:
    return Program(capsys)


@pytest.fixture
def screen(small_screen: Path, tmp_path: Path) -> Path:
    """Return a copy of the small screen whose files may be replaced (not changed: they are hard links)."""
    return shutil.copytree(small_screen, tmp_path / "screen", copy_function=os.link)


@pytest.fixture(scope="module")
def folds(small_screen: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from rcic.screen.folds import write_folds

    folder = tmp_path_factory.mktemp("folds")
    write_folds(read_screen(small_screen), folder, 2, 0)
    return folder


@pytest.fixture
def config(tmp_path: Path, folds: Path) -> Path:
    path = tmp_path / "tiny.yml"
    path.write_text(TINY.replace("FOLDS", str(folds)))
    return path


@pytest.fixture
def models(tmp_path: Path, small_screen: Path) -> Path:
    """Return run folders with one untrained network."""
    save_untrained(tmp_path / "models", read_screen(small_screen), Member((1, 2), 0, "tiny"))
    return tmp_path / "models"


# --- tables -----------------------------------------------------------------------------------------------------------


def swap(text: str) -> str:
    """Exchange the values of experiment and well in a table's third line."""
    lines = text.split("\n")
    code, experiment, plate, well, *rest = lines[2].split(",")
    return "\n".join([*lines[:2], ",".join([code, well, plate, experiment, *rest]), *lines[3:]])


TABLES: dict[str, tuple[Callable[[Path], object], str]] = {
    "an empty folder": (
        lambda root: [path.unlink() for path in root.iterdir()],
        r"{root}: the data root is empty; it must contain train\.csv, .* or metadata\.csv .*--screen\)",
    ),
    "no folder": (lambda root: shutil.rmtree(root), r"{root}: the data root does not exist"),
    "a missing CSV": (
        lambda root: (root / "test_controls.csv").unlink(),
        r"{root}/test_controls\.csv: the file is missing",
    ),
    "a swapped column": (
        lambda root: (root / "train.csv").write_text(swap(KAGGLE["train.csv"])),
        r"{root}/train\.csv, line 3: well 'RPE-02' is not in A01-P24; "
        r"are the values of 'experiment' and 'well' swapped\?",
    ),
    "a swapped header": (
        lambda root: (root / "test.csv").write_text(KAGGLE["test.csv"].replace("plate,well", "well,plate", 1)),
        r"{root}/test\.csv, line 2: well '1' is not in A01-P24; are the values of 'plate' and 'well' swapped\?",
    ),
    "a cut row": (
        lambda root: (root / "test.csv").write_text(KAGGLE["test.csv"][:-5]),
        r"{root}/test\.csv, line 4: .*",
    ),
}


@pytest.mark.parametrize("case", TABLES)
def test_bad_tables(program, tmp_path, case):
    (tmp_path / "data").mkdir()
    root = write_tables(tmp_path / "data", KAGGLE)
    spoil, message = TABLES[case]
    spoil(root)
    line = program.refuse("data.py", "folds", "--data_root", root, "--out_dir", tmp_path / "csv")
    assert re.fullmatch(message.replace("{root}", re.escape(str(root))), line), line
    assert not (tmp_path / "csv").exists()


def test_bad_tables_in_a_process_of_their_own(tmp_path):
    """The exit code and the one line as the shell sees them."""
    (tmp_path / "empty").mkdir()
    command = [sys.executable, str(SRC / "data.py"), "describe", "--data_root", str(tmp_path / "empty")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"error: {tmp_path}/empty: the data root is empty")


@pytest.mark.parametrize("spoil", ["empty", "no images"])
def test_a_training_without_data(program, config, screen, tmp_path, spoil):
    root = tmp_path / "root"
    root.mkdir()
    if spoil == "no images":
        for path in screen.glob("*.csv"):
            shutil.copy(path, root)
    line = program.refuse("train.py", "run", f"--config={config}", "--data_root", root, "--log_root", tmp_path / "logs")
    assert line.startswith(f"{root}: {'the data root is empty' if spoil == 'empty' else 'neither train/, test/'}")
    assert not (tmp_path / "logs").exists()


# --- images -----------------------------------------------------------------------------------------------------------


def png(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()


GREY = np.full((64, 64), 9, np.uint8)
IMAGES = {
    "truncated": (png(GREY)[:-20], r"the PNG is cut off after \d+ bytes; copy or download it again"),
    "16-bit": (
        png(GREY.astype(np.uint16)),
        r"the PNG has 16 bits per pixel; an image must have 8 \(rescale it to 0-255\)",
    ),
    "3-channel": (png(np.dstack([GREY] * 3)), r"the PNG has 3 channels \(RGB\); an image must be one grey channel"),
    "empty": (b"", "the file is empty; copy or download it again"),
    "another size": (png(GREY[:32]), r"(the image is|) ?32 (x|by) 64 pixels.*"),
}


def spoil_image(root: Path, split: str, content: bytes) -> Path:
    """Replace the last treatment well's image of site 2, channel 2 and return its path."""
    screen = read_screen(root)
    well = screen.select(split, "treatment").iloc[-1]
    path = root / split / well["experiment"] / f"Plate{well['plate']}" / f"{well['well']}_s2_w2.png"
    path.unlink()
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(("kind", "workers"), [*((kind, 0) for kind in IMAGES), ("truncated", 1)])
def test_a_bad_image_stops_a_prediction(program, screen, models, tmp_path, kind, workers):
    content, message = IMAGES[kind]
    path = spoil_image(screen, "test", content)
    line = program.refuse(
        *("inference.py", "predict-all", "--data_root", screen, "--model_root", models, "--model_name=tiny"),
        *("--out_dir", tmp_path / "out", "--splits=test", f"--workers={workers}"),
    )
    assert re.fullmatch(f"{re.escape(str(path))}: {message}", line), line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["truncated", "16-bit", "3-channel"])
def test_a_bad_image_stops_a_training(program, screen, config, tmp_path, kind):
    content, message = IMAGES[kind]
    path = spoil_image(screen, "train", content)
    line = program.refuse(
        *("train.py", "run", f"--config={config}", "--data_root", screen, "--log_root", tmp_path / "logs", *TRAIN)
    )
    assert re.fullmatch(f"{re.escape(str(path))}: {message}", line), line
    (run,) = (tmp_path / "logs").rglob("run.json")
    assert '"status": "failed"' in run.read_text()
    assert not list((tmp_path / "logs").rglob("*.pth"))


def test_a_missing_image_is_named(program, screen, config, models, tmp_path):
    path = spoil_image(screen, "train", b"")
    path.unlink()
    line = program.refuse(
        *("train.py", "run", f"--config={config}", "--data_root", screen, "--log_root", tmp_path / "logs", *TRAIN)
    )
    name = path.relative_to(screen)
    assert re.fullmatch(rf"{screen}: 1 of \d+ images are missing: {name}; add them, or .*drop_incomplete", line)
    assert not (tmp_path / "logs").exists()


# --- configs and checkpoints ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words", "message"),
    [
        ("trian: {seed: 3}", [], r"{config}, line 1: unknown key 'trian'; did you mean 'train'\?"),
        (
            "train: {batchsize: 3}",
            [],
            r"{config}, line 1: unknown key 'train\.batchsize'; did you mean 'train\.batch_size'\?",
        ),
        ("train: {batch_size: many}", [], r"{config}, line 1: train\.batch_size is 'many', must be a whole number"),
        (
            "train: {precision: fp8}",
            [],
            r"{config}, line 1: train\.precision is 'fp8', must be one of fp32, bf16, fp16.*",
        ),
        ("train: [", [], r"{config}, line \d: not valid YAML: .*"),
        ("", ["--set=train.sead=3"], r"--set train.sead: unknown key 'train\.sead'; did you mean 'train\.seed'\?"),
        ("", ["--set=a b=1"], r"--set: 'a b=1' is not of the form key=value"),
        ("", ["--set=train.seed"], r"--set: 'train\.seed' is not of the form key=value"),
        (
            "",
            ["--channels=1,1"],
            r"--channels: data\.channels is \[1, 1\], must be numbers from 1 on, each once, at least one",
        ),
        ("train:\n  seed: 1\n  seed: 2", [], r"{config}, line 3: key 'seed' is listed twice, first in line 2"),
        ("a: &x 1\nb: *x", [], r"{config}, line 1: anchors and aliases .*"),
        ("", ["--set=data.fold=0,data.fold=1"], r"--set data\.fold: is given twice, as 0 and as '1'"),
        ("", ["--fold=0", "--set=data.fold=1"], r"--set data\.fold: also set by --fold; give one of them"),
        (
            "",
            ["--set=model.weights_file=x.pth"],
            r"--set model\.weights_file: .* is 'x\.pth', but there is no such file",
        ),
        ("", ["--set=init.checkpoint=x.pth"], r"--set init\.checkpoint: .* is 'x\.pth', but there is no such file"),
        ("", ["--set=data.cell_types=[X]"], r"--set data\.cell_types: data\.cell_types: no 'X' in the screen .*"),
        (
            "",
            ["--model=densenet_small", "--set=data.size=16"],
            r"--set data\.size: data\.size is 16, but densenet_small .*",
        ),
        ("", ["--channels=1,x"], r"run: --channels is '1,x', of which 'x' must be a whole number"),
        ("", ["--model=tinny"], r"--model: model\.name is 'tinny', which is unknown; did you mean 'tiny'.*"),
        ("", ["--fold=9"], r".*/train_9\.csv: no table of fold 9 \(existing folds: \[0, 1\]\); write them with .*"),
        ("", ["--seed=x"], r"run: --seed is 'x', must be a whole number"),
        ("", ["--seed=-1"], r"--seed: train\.seed is -1, must lie in 0\.\.2147483647"),
        ("", ["--set=data.workers=-1"], r"--set data.workers: data\.workers is -1, must be at least 0"),
        (
            "",
            ["--set=train.valid_batch_size=0"],
            r"--set train.valid_batch_size: train\.valid_batch_size is 0, must be at least 1",
        ),
        ("", ["--set=schedule.max_lr=-1"], r"--set schedule.max_lr: schedule\.max_lr is -1\.0, must be above 0"),
        (
            "",
            ["--set=schedule.min_lr=.nan"],
            r"--set schedule.min_lr: schedule\.min_lr is nan, must be a finite number",
        ),
        (
            "",
            ["--set=optim.weight_decay=-1"],
            r"--set optim.weight_decay: optim\.weight_decay is -1\.0, must be at least 0",
        ),
        ("", ["--set=optim.clip=0"], r"--set optim.clip: optim\.clip is 0\.0, must be above 0, or null"),
        ("", ["--channels=[1,7]"], r"--channels: data\.channels is \[1, 7\], but RCIC has only 1, 2, 3, 4, 5, 6"),
    ],
)
def test_a_bad_config(program, config, small_screen, tmp_path, text, words, message):
    config.write_text(text or config.read_text())
    line = program.refuse(
        "train.py", "run", f"--config={config}", "--data_root", small_screen, "--log_root", tmp_path / "logs", *words
    )
    assert re.fullmatch(message.replace("{config}", re.escape(str(config))), line), line
    assert not (tmp_path / "logs").exists()


def test_a_config_that_is_not_there(program, tmp_path):
    line = program.refuse("train.py", "run", f"--config={tmp_path}/full.yml", "--data_root", tmp_path)
    assert line == f"{tmp_path}/full.yml: no such config file"


CHECKPOINTS = {
    "another class count": (range(5), r"trained on 5 classes, but the screen {root} has 8"),
    "other siRNAs": (
        [0, 1, 2, 3, 4, 5, 6, 99],
        r"trained on other classes than those of the screen {root}: class 7 is 99, not 7",
    ),
}


@pytest.mark.parametrize("case", CHECKPOINTS)
def test_a_checkpoint_of_another_screen(program, small_screen, tmp_path, case):
    classes, message = CHECKPOINTS[case]
    folder = save_untrained(tmp_path / "models", read_screen(small_screen), Member((1, 2), 0, "tiny"), classes)
    line = program.refuse(
        *("inference.py", "predict-all", "--data_root", small_screen, "--model_root", tmp_path / "models"),
        *("--model_name=tiny", "--out_dir", tmp_path / "out"),
    )
    assert line == f"{folder}/checkpoints/best.pth: {message.format(root=small_screen)}"
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_cut_short(program, small_screen, models, tmp_path):
    path = models / "[1,2]/fold_0/tiny/checkpoints/best.pth"
    path.write_bytes(path.read_bytes()[:-500])
    words = ["--data_root", small_screen, "--model_root", models, "--model_name=tiny", "--out_dir", tmp_path / "out"]
    line = program.refuse("inference.py", "predict-all", *words)
    assert re.fullmatch(
        rf"{re.escape(str(path))}: not a readable checkpoint \(\w+\); the file is damaged or incomplete", line
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [("x\n1\n", "line 1: no column 'id_code' in the header 'x'"), ("id_code\nX\n", "line 2: well 'X'")],
)
def test_a_list_of_held_out_wells_that_is_broken(program, small_screen, models, tmp_path, text, message):
    path = models / "[1,2]/fold_0/tiny/valid.csv"
    path.write_text(text)
    words = ["--data_root", small_screen, "--model_root", models, "--model_name=tiny", "--out_dir", tmp_path / "out"]
    assert program.refuse("inference.py", "predict-all", *words, "--splits=valid").startswith(f"{path}, {message}")
    assert not (tmp_path / "out").exists()


def test_no_such_model(program, small_screen, models, tmp_path):
    words = ["--data_root", small_screen, "--model_root", models, "--out_dir", tmp_path / "out"]
    line = program.refuse("inference.py", "predict-all", *words, "--model_name=tinny")
    assert re.fullmatch(rf"{models}: no trained 'tinny'; did you mean 'tiny'\? \(.*; models found: tiny\)", line), line


# --- names that nearly meet, and text as it was typed -----------------------------------------------------------------


def test_names_of_models_in_other_case(program, small_screen, models, tmp_path):
    words = ["--data_root", small_screen, "--model_root", models, "--out_dir", tmp_path / "out", "--model_name=TINY"]
    line = program.refuse("inference.py", "predict-all", *words)
    assert line.startswith(f"{models}: no trained 'TINY'; did you mean 'tiny'?")


@pytest.fixture
def answered(tmp_path: Path) -> list[str]:
    """Return the flags of the tiny screen's predictions of another program, whose list of wells has blanks."""
    (tmp_path / "data").mkdir()
    write_tables(tmp_path / "data", KAGGLE)
    codes = [f" {code}\u00a0" for code in WELLS]
    write_member(tmp_path / "out", codes=codes)
    return [f"--data_root={tmp_path}/data", f"--predict_root={tmp_path}/out"]


def test_blanks_in_a_list_of_predicted_wells_and_in_a_truth(program, answered, tmp_path):
    shown = []
    for truth in ("id_code,sirna\nU2OS-01_1_B03,10\n", " id_code , sirna\n U2OS-01_1_B03\t,\u200b10 \n"):
        (tmp_path / "truth.csv").write_text(truth, encoding="utf-8")
        shown.append(program.run("inference.py", "score", *answered, f"--truth={tmp_path}/truth.csv"))
    assert shown[0] == shown[1]
    program.run("inference.py", "ensemble", *answered, f"--out_dir={tmp_path}/sub", "--model_names= tiny ")
    assert "U2OS-01_1_B03,10" in (tmp_path / "sub" / "submission.csv").read_text().splitlines()


@pytest.mark.parametrize(
    ("truth", "words", "message"),
    [
        ("U2OS-01_1_B03,NA", [], r"{truth}, line 2: sirna 'NA' is not in the screen"),
        ("U2OS-01_1_B03,010", [], r"{truth}, line 2: sirna '010' is not in the screen; did you mean '10'\?"),
        ("u2os-01_1_B03,10", [], r"{truth}, line 2: well 'u2os-01_1_B03' is not in the screen .*"),
        ("U2OS-01_1_B03,10", ["--model_names=Tiny"], r".* no predictions of 'Tiny' .*; did you mean 'tiny'\?"),
    ],
)
def test_what_nearly_meets_a_name_is_told(program, answered, tmp_path, truth, words, message):
    (tmp_path / "truth.csv").write_text(f"id_code,sirna\n{truth}\n")
    line = program.refuse("inference.py", "score", *answered, f"--truth={tmp_path}/truth.csv", *words)
    assert re.fullmatch(message.replace("{truth}", re.escape(f"{tmp_path}/truth.csv")), line), line


ODD = ["(c)", "[1]", "a,b #c", "it's", "1e5", "0x10", "007", "None", "True", "a [b] {c}"]


@pytest.mark.parametrize("name", ODD)
def test_a_path_of_any_name_arrives(program, config, small_screen, tmp_path, monkeypatch, name):
    """As a scalar flag, in a list and in --set: as a name of its own and as a folder's."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir()
    shutil.copy(config, tmp_path / name / "tiny.yml")
    typed = f"'{name}/tiny.yml'" if "," in name else f"{name}/tiny.yml"  # a comma in a list
    assert f"{name}/tiny.yml" in program.run("train.py", "explain", f"--config={name}/tiny.yml")
    grid = ["--data_root", small_screen, f"--log_root={name}", "--channel_sets=[1,2]", "--folds=0", "--probe=False"]
    assert "1 trainings: 1 missing" in program.run("train.py", "plan", "--config", typed, *grid)
    line = program.refuse("train.py", "plan", "--config", typed.replace("tiny", "gone"), *grid)
    assert line == f"{name}/gone.yml: no such config file"
    line = program.refuse("train.py", "plan", "--config", typed, *grid, f"--set=data.folds_dir={name}")
    assert line.startswith(f"{name}/train_0.csv: no table of fold 0")
    program.run("data.py", "folds", "--data_root", small_screen, "--out_dir", name, "--n_folds=2")
    assert (tmp_path / name / "train_0.csv").is_file()


def test_a_message_does_not_repeat_what_is_long_or_hides_itself(program, small_screen, tmp_path):
    words = ["folds", "--data_root", small_screen, "--out_dir", tmp_path / "out", "--n_folds"]
    line = program.refuse("data.py", *words, "9" * 50_000 + "x")
    assert len(line) < 300 and line.endswith("must be a whole number")
    line = program.refuse("data.py", "describe", "--data_root", f"a\x1b[2J\u200b{'b' * 5000}")
    assert len(line) <= 2000 and line.startswith("a\\x1b[2J\\u200bbbb") and line.endswith("File name too long")


# --- a full disk ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_while_drawing(program, small_screen, tmp_path, workers):
    """Some images fit and one does not: what is there are whole plates, from which the same command goes on."""
    folder = tmp_path / "screen"
    with nearly_full(1000):
        line = program.refuse("data.py", "simulate", "--preset=test", "--out_dir", folder, f"--workers={workers}")
    assert line.startswith(f"{folder}: not written, the file would exceed the size limit")
    assert not left_over(folder)
    for plate in folder.rglob("Plate*"):
        assert len(list(plate.iterdir())) == len(list((small_screen / plate.relative_to(folder)).iterdir()))


def test_a_full_disk_while_writing_folds(program, small_screen, tmp_path):
    words = ["folds", "--data_root", small_screen, "--out_dir", tmp_path / "csv", "--n_folds=2"]
    program.run("data.py", *words)
    before = {path.name: path.read_bytes() for path in (tmp_path / "csv").iterdir()}
    with nearly_full(100):
        line = program.refuse("data.py", *words)
    assert line.startswith(f"{tmp_path}/csv/train_0.csv: not written, ")
    assert {path.name: path.read_bytes() for path in (tmp_path / "csv").iterdir()} == before


@pytest.mark.parametrize(
    ("room", "name"), [(300, "run.json"), (20_000, "checkpoints/best.pth"), (60_000, "checkpoints/last.pth")]
)
def test_a_full_disk_while_training(program, config, small_screen, tmp_path, room, name):
    """The record does not fit, then the first checkpoint, then the one with the optimiser's state."""
    words = ["run", f"--config={config}", "--data_root", small_screen, "--log_root", tmp_path / "logs", *TRAIN]
    with nearly_full(room):
        line = program.refuse("train.py", *words)
    folder = tmp_path / "logs/full/[1,2]/fold_0/tiny"
    assert line.startswith(f"{folder}/{name}: not written, ")
    assert not left_over(tmp_path)
    assert not (folder / name).exists()


def test_a_full_disk_while_predicting(program, small_screen, models, tmp_path):
    words = ["--data_root", small_screen, "--model_root", models, "--model_name=tiny", "--out_dir", tmp_path / "out"]
    for room, name in ((150, "csv"), (400, "npy"), (1500, "json")):
        with nearly_full(room):
            line = program.refuse("inference.py", "predict-all", *words, "--splits=test")
        assert re.match(
            rf"{re.escape(str(tmp_path))}/out/\[1,2\]/fold_0/tiny/pred_test\S*\.{name}: not written, the file", line
        )
        assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    program.run("inference.py", "predict-all", *words, "--splits=test")
    assert "1 of 1 members are predicted already" in program.run("inference.py", "predict-all", *words, "--splits=test")


def test_a_full_disk_while_answering(program, tmp_path):
    (tmp_path / "data").mkdir()
    root = write_tables(tmp_path / "data", KAGGLE)
    write_member(tmp_path / "out")
    words = ["--data_root", root, "--predict_root", tmp_path / "out"]
    (tmp_path / "truth.csv").write_text("id_code,sirna\nU2OS-01_1_B03,10\n")
    with nearly_full(10):
        line = program.refuse("inference.py", "ensemble", *words, "--out_dir", tmp_path / "sub")
        assert line.startswith(f"{tmp_path}/sub/submission.csv: not written, ")
        line = program.refuse("inference.py", "score", *words, "--truth", tmp_path / "truth.csv")
        assert line.startswith(f"{tmp_path}/out/ladder.json: not written, ")
    assert not (tmp_path / "sub").exists()
    assert not left_over(tmp_path)


# --- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "words", "message"),
    [
        ("data.py", ["folds", "--n_folds=abc"], "folds: --n_folds is 'abc', must be a whole number"),
        ("data.py", ["folds", "--n_folds=1"], "n_folds is 1: at least 2 folds are needed"),
        ("data.py", ["folds", "--n_folds=-3"], "n_folds is -3: at least 2 folds are needed"),
        ("data.py", ["folds", "--n_folds=99"], "n_folds is 99, but the train table has only 5 experiments"),
        ("data.py", ["folds", "--seed=-1"], "seed is -1: it must be 0 or more"),
        ("data.py", ["simulate", "--seed=x"], "simulate: --seed is 'x', must be a whole number"),
        ("data.py", ["simulate", "--seed=-1"], "seed -1: must be 0 or larger"),
        ("data.py", ["simulate", "--preset=dmeo"], "preset 'dmeo'"),
        ("data.py", ["simulate", "--workers=0"], "--workers is 0, must be 1 or more"),
        ("inference.py", ["predict-all", "--batch_size=0"], "--batch_size is 0, must be 1 or more"),
        ("inference.py", ["predict-all", "--workers=-1"], "--workers is -1, must be 0 or more"),
        ("inference.py", ["predict-all", "--at_once=0"], "--at_once is 0, must be 1 or more"),
        (
            "inference.py",
            ["predict-all", "--device=gpu"],
            "predict-all: --device is 'gpu', must be auto or cpu or cuda",
        ),
        ("inference.py", ["predict-all", "--splits=tset"], "predict-all: --splits is 'tset', of which 'tset' must be"),
        (
            "inference.py",
            ["ensemble", "--weights=1,2"],
            "--weights has 2 values but --model_names lists 0 models; give",
        ),
        (
            "inference.py",
            ["ensemble", "--model_names=a", "--weights=-1"],
            "--weights -1: each must be a number above 0",
        ),
        ("inference.py", ["pseudo-label", "--share=half"], "pseudo-label: --share is 'half', must be a number"),
        ("inference.py", ["score", "--split=all"], "score: --split is 'all', must be test or valid"),
    ],
)
def test_a_number_that_makes_no_sense(program, small_screen, tmp_path, script, words, message):
    given = {"data_root": small_screen, "out_dir": tmp_path / "out"}
    if words[0] == "simulate":
        del given["data_root"]
    if script == "inference.py":
        given |= {"model_root": "m", "model_name": "n"} if words[0] == "predict-all" else {"predict_root": "p"}
    line = program.refuse(script, *words, *(f"--{key}={value}" for key, value in given.items()))
    assert line.startswith(message), line
    assert not (tmp_path / "out").exists()
