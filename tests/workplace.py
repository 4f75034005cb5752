"""A small own screen with everything that the commands make of it, for tests of results that no longer belong to it.

All paths are relative to the working folder, so that a copy is as good as the original.
"""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from _pytest.capture import CaptureResult

from tests.learn.tiny import forget_accelerate
from tests.pixels.own import FORM, write_tiff
from tests.program import TINY, Program

PLATES = (("b1", "P1"), ("b2", "P2"), ("b3", "P3"))  # b3 is the test experiment
LABELS = ("x", "y", "z", "w", "DMSO", "PLK1")  # of the wells A01 to A06 of every plate; the last two are controls
SPEC = {
    **FORM,
    "images": {"file": ["{plate}/{well}_{channel}.tif"], "bits": 16, "levels": [0, 4095]},
    "channels": [{"name": "nucleus", "file": "w1"}, {"name": "actin", "file": "w2"}],
    "well_types": {"negative_control": ["DMSO"], "positive_control": ["PLK1"]},
}
HEAD = "batch,barcode,well,compound\n"
SCREEN, ROOT = "--data_root=screen", "--predict_root=predictions"
TRAIN = ("train.py", "run", "--config=tiny.yml", SCREEN, "--log_root=logs")
MODELS = (SCREEN, "--model_root=logs/full", "--model_name=tiny")
TRUTH = "--truth=truth.csv"
COMMANDS: dict[str, Sequence[str]] = {
    "folds": ("data.py", "folds", SCREEN, "--out_dir=csv", "--n_folds=2"),
    "audit": ("data.py", "audit", SCREEN, "--out_dir=csv/audit"),
    "pack": ("data.py", "pack", SCREEN, "--out_dir=packed"),
    "control": (*TRAIN, "--set=stage=control", "--channels=[1]"),
    **{
        f"train {channels} {fold}": (*TRAIN, f"--channels=[{channels}]", f"--fold={fold}")
        for channels in (1, 2)
        for fold in (0, 1)
    },
    "predict": ("inference.py", "predict-all", *MODELS, "--out_dir=predictions", "--audit_dir=csv/audit"),
    "embed": ("inference.py", "embed-all", *MODELS, "--out_dir=embeddings", "--audit_dir=csv/audit"),
    "neighbours": ("inference.py", "neighbours", SCREEN, "--embed_root=embeddings", "--out_dir=nearest"),
    "calibrate": ("inference.py", "calibrate", SCREEN, ROOT),
    "ensemble": ("inference.py", "ensemble", SCREEN, ROOT, "--out_dir=answers"),
    "pseudo-label": ("inference.py", "pseudo-label", SCREEN, ROOT, "--out_dir=csv/pseudo", "--folds_dir=csv"),
    "score": ("inference.py", "score", SCREEN, ROOT, TRUTH),
    "channels": ("inference.py", "channels", SCREEN, ROOT, "--split=valid"),
    "report": (
        *("report.py", SCREEN, ROOT, "--log_root=logs", "--audit_dir=csv/audit", "--quality_images=0"),
        "--out=report.html",
    ),
    "browse": ("browse.py", SCREEN, ROOT, "--port=0", "--audit_dir=csv/audit"),
    "check": ("check.py", "."),
    "grid": ("train.py", "run-grid", *TRAIN[2:], "--channel_sets=[1]", "--folds=0"),
    "plan": ("train.py", "plan", *TRAIN[2:], "--channel_sets=[1]", "--folds=0", "--probe=false"),
}
BUILT = (
    *("folds", "audit", "pack", "control", "train 1 0", "train 1 1", "train 2 0", "train 2 1", "predict", "embed"),
    *("neighbours", "calibrate", "ensemble", "pseudo-label", "score", "channels", "report"),
)
DECIDED = ("ensemble", "score", "pseudo-label")  # what takes a calibration


@dataclass(frozen=True)
class Workplace:
    """The folder in which the commands run, which is the working folder."""

    root: Path
    program: Program

    def run(self, name: str, *more: str) -> str:
        """Return what a command prints; SystemExit if it fails. A flag in ``more`` takes the place of the usual one."""
        forget_accelerate()
        return self.program.run(*words_of(name, more))

    def refuse(self, name: str, *more: str) -> str:
        """Return the one line of a command that ends with code 2."""
        forget_accelerate()
        return self.program.refuse(*words_of(name, more))

    def write(self, name: str, content: str | bytes) -> None:
        """Write a file anew, as the present one may be a hard link to the original's."""
        path = self.root / name
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def edit(self, name: str, old: str, new: str, count: int = -1) -> None:
        """Replace a part of a text file, which must have it."""
        text = (self.root / name).read_text(encoding="utf-8")
        assert old in text, f"{name} lacks {old}"
        self.write(name, text.replace(old, new, count))

    def spec(self, **over: object) -> None:
        """Write the screen spec with other values."""
        self.write("screen/screen.yml", yaml.safe_dump(SPEC | over, sort_keys=False))

    def image(self, name: str, seed: int = 999) -> None:
        """Replace an image, ``P3/A01_w1``, by other pixels in a file of the same size."""
        path = self.root / "screen" / f"{name}.tif"
        path.unlink()
        write_tiff(path, seed)


def words_of(name: str, more: Sequence[str] = ()) -> list[str]:
    """Return the words of a command; a flag in ``more`` takes the place of the usual one."""
    given = {word.partition("=")[0] for word in more if word.startswith("--")}
    return [*(word for word in COMMANDS[name] if word.partition("=")[0] not in given), *more]


def write_screen(root: Path, plates: Sequence[tuple[str, str]] = PLATES) -> None:
    """Write screen spec, table and images; the labels of the last experiment are hidden."""
    root.mkdir()
    (root / "screen.yml").write_text(yaml.safe_dump(SPEC, sort_keys=False))
    (root / "wells.csv").write_text(HEAD + "".join(rows(plates)))
    for number, plate in enumerate(plate for _, plate in plates):
        for index in range(len(LABELS)):
            for channel in (1, 2):
                write_tiff(root / plate / f"A0{index + 1}_w{channel}.tif", 100 * number + 10 * index + channel)


def rows(plates: Sequence[tuple[str, str]], labels: Sequence[str] = LABELS) -> list[str]:
    """Return the lines of a table of wells."""
    return [
        f"{batch},{plate},A0{number},{'' if batch == 'b3' and number <= 4 else label}\n"
        for batch, plate in plates
        for number, label in enumerate(labels, 1)
    ]


def build(root: Path, program: Program) -> None:
    """Run all commands in ``root``, which must be the working folder."""
    write_screen(root / "screen")
    config = TINY.replace("audit: off", "audit_dir: csv/audit").replace("FOLDS", "csv, pseudo_dir: csv/pseudo")
    (root / "tiny.yml").write_text(config)
    codes = [f"b3_P3_A0{number}" for number in range(1, 5)]
    (root / "truth.csv").write_text(
        "id_code,sirna\n" + "".join(f"{c},{s}\n" for c, s in zip(codes, LABELS, strict=False))
    )
    place = Workplace(root, program)
    for name in BUILT:
        place.run(name)


def copy_of(source: Path, target: Path) -> Path:
    """Return a copy of a workplace, its files hard links."""
    return shutil.copytree(source, target, copy_function=os.link)


def no_gpu(patch: pytest.MonkeyPatch, root: Path) -> None:
    """Let commands run in ``root`` on the CPU."""
    patch.chdir(root)
    patch.setenv("CUDA_VISIBLE_DEVICES", "")


class Unheard:
    """A capture of nothing, for commands in fixtures that outlive a test."""

    def readouterr(self) -> "CaptureResult[str]":
        """Return empty texts."""
        return CaptureResult("", "")
