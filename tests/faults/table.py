"""Every planted fault in one table: what is done, the command that meets it, and the line that it prints."""

import os
import pickle
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from rcic.files.names import BEST, CONFIG, RUN
from rcic.screen.spec_files import OWN, SHIPPED
from tests.pixels.planted import PLANTS


@dataclass(frozen=True)
class Place:
    """The files of one test: a screen with its audit and folds, a config, a finished training, and where more goes."""

    root: Path
    screen: Path
    csv: Path
    config: Path
    logs: Path

    @property
    def run(self) -> Path:
        """The folder of the finished training: fold 0 of channels 1 and 2."""
        return self.logs / "full" / "[1,2]" / "fold_0" / "tiny"

    @property
    def image(self) -> Path:
        """An image that every training reads: channel 1 of the first train well."""
        well = (self.screen / "train.csv").read_text().splitlines()[1].split(",")
        return self.screen / "train" / well[1] / f"Plate{well[2]}" / f"{well[3]}_s1_w1.png"

    def words(self, command: str) -> list[str]:
        """Return the words of a command, its script first."""
        screen, logs = f"--data_root={self.screen}", f"--log_root={self.logs}"
        train = ["train.py", "run", f"--config={self.config}", screen, "--channels=[1,2]"]
        known = {
            "describe": ["data.py", "describe", screen],
            "folds": ["data.py", "folds", screen, f"--out_dir={self.root}/new"],
            "audit": ["data.py", "audit", screen, f"--out_dir={self.csv}/audit"],
            "pack": ["data.py", "pack", screen, f"--out_dir={self.root}/packed"],
            "train": [*train, f"--log_root={self.root}/new", "--fold=0"],
            "again": [*train, logs, "--fold=0"],
            "grid": [*train[:1], "run-grid", *train[2:4], logs, "--channel_sets=[1,2]"],
            "predict": ["inference.py", "predict-all", screen, f"--model_root={self.logs}/full", "--model_name=tiny"],
            "explain": ["train.py", "explain", f"--config={self.config}"],
        }
        more = [f"--out_dir={self.root}/new", f"--audit_dir={self.csv}/audit"] if command == "predict" else []
        return known[command] + more


@dataclass(frozen=True)
class Fault:
    """``plant`` damages something; ``command`` (with ``more`` words) then prints one line that matches ``line``."""

    plant: Callable[[Place], object]
    command: str
    line: str
    more: Sequence[str] = ()


def nothing(_: Place) -> None:
    """Plant nothing: the fault is in the command."""


def edit(name: str, change: Callable[[str], str]) -> Callable[[Place], object]:
    """Rewrite a text file below the test's root."""

    def plant(place: Place) -> None:
        path = place.root / name
        text = change(path.read_text())
        path.unlink()
        path.write_text(text)

    return plant


def set_config(text: str) -> Callable[[Place], object]:
    """Append lines to the config."""
    return edit("tiny.yml", lambda old: f"{old}{text}\n")


def line_of(number: int, change: Callable[[list[str]], list[str]]) -> Callable[[str], str]:
    """Change the fields of a CSV's line (from 1)."""

    def apply(text: str) -> str:
        lines = text.splitlines()
        lines[number - 1] = ",".join(change(lines[number - 1].split(",")))
        return "\n".join(lines) + "\n"

    return apply


def copy_line(source: str, target: str) -> Callable[[Place], object]:
    """Append the second line of one table to another, with the other's number of fields."""

    def plant(place: Place) -> None:
        line = (place.screen / source).read_text().splitlines()[1].split(",")
        path = place.screen / target
        text = path.read_text()
        width = text.splitlines()[0].count(",") + 1
        path.unlink()
        path.write_text(text + ",".join((line + ["7"] * width)[:width]) + "\n")

    return plant


def put(name: str, content: bytes) -> Callable[[Place], object]:
    """Write a file of the finished training anew."""

    def plant(place: Place) -> None:
        (place.run / name).unlink()
        (place.run / name).write_bytes(content)

    return plant


def change_checkpoint(change: Callable[[dict[str, Any]], object]) -> Callable[[Place], object]:
    """Change the content of the finished training's best checkpoint."""

    def plant(place: Place) -> None:
        content = torch.load(place.run / BEST, weights_only=True)
        change(content)
        torch.save(content, place.run / BEST)

    return plant


def flip(name: str) -> Callable[[Place], object]:
    """Flip a bit in the middle of a file of the finished training."""

    def plant(place: Place) -> None:
        content = bytearray((place.run / name).read_bytes())
        content[len(content) // 2] ^= 8
        (place.run / name).write_bytes(content)

    return plant


class Code:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch executed",)


def in_the_way(name: str) -> Callable[[Place], object]:
    """Put a file where a folder is wanted."""
    return lambda place: (place.root / name).write_text("")


def spec(old: str, new: str) -> Callable[[Place], object]:
    """Leave a form in the screen's folder: the competition's, ``old`` replaced by ``new``."""

    def plant(place: Place) -> None:
        text = (SHIPPED / "rcic.yml").read_text()
        assert old in text
        (place.screen / OWN).write_text(text.replace(old, new))

    return plant


IMAGE = r"{screen}: \d+ bad images? in \d+ sites?, listed in .*audit\.csv; repair them and audit again, or .*"
FAULTS: dict[str, Fault] = {
    **{
        f"image {name}": Fault(lambda p, plant=plant: plant(p.image), "audit", IMAGE)
        for name, (plant, *_) in PLANTS.items()
    },
    "images of two wells alike": Fault(
        lambda p: shutil.copy(p.image, p.image.with_name("P24_s1_w1.png")) and _double(p), "audit", IMAGE
    ),
    "a plate's folder gone": Fault(lambda p: shutil.rmtree(p.image.parent), "audit", IMAGE),
    "an image gone after the audit": Fault(lambda p: p.image.unlink(), "train", r".*changed since.*audit.*"),
    "a root that was never audited": Fault(
        lambda p: shutil.rmtree(p.csv / "audit"),
        "train",
        r".*audit\.json: not found, so the images of {screen} were not audited; run .*data\.py audit .*",
    ),
    "an audit of another screen": Fault(
        edit("csv/audit/audit.json", lambda text: re.sub(r'"screen": "\w+"', '"screen": "0"', text)),
        "train",
        ".*audit.*",
    ),
    "an audit that is not JSON": Fault(edit("csv/audit/audit.json", lambda text: text[:50]), "train", ".*audit.json.*"),
    "no such spec": Fault(nothing, "describe", r"gone\.yml: no such screen spec file", ["--screen=gone.yml"]),
    "a misspelt key of a spec": Fault(
        spec("plate: 384", "plates: 384"),
        "describe",
        r".*screen\.yml, line 5: unknown key 'plates'; did you mean 'plate'\?",
    ),
    "a form with another plate": Fault(
        spec("plate: 384", "plate: 96"), "train", r".*\.csv, line \d+: well '\S+' is not in A01-H12.*"
    ),
    "a form that names another table": Fault(
        spec("file: train.csv", "file: trains.csv"),
        "describe",
        r".*trains\.csv: the file is missing; did you mean 'train\.csv'\?",
    ),
    "a form that names another column": Fault(
        spec("label: sirna", "label: compound"),
        "predict",
        r".*train\.csv, line 1: no column 'compound' in the header.*",
    ),
    "a form whose pattern leads out of the screen": Fault(
        spec('"images/{exp', '"../{exp'),
        "pack",
        r".*screen\.yml, line \d+: images\.file '\.\./.*' must be a path below the data root.*",
    ),
    "16 bits without levels": Fault(
        spec("images:\n", "images:\n  bits: 16\n"),
        "audit",
        r".*screen\.yml, line \d+: images\.levels must be given for 16 bits.*data\.py levels measures them.*",
    ),
    "a well in two files": Fault(
        copy_line("train.csv", "test.csv"), "describe", r".*test\.csv, line \d+: well \S+ is listed twice.*"
    ),
    "a well twice in a file": Fault(
        edit("screen/train.csv", lambda t: t + t.splitlines()[1] + "\n"),
        "describe",
        r".*train\.csv, line \d+: well \S+ is listed twice.*",
    ),
    "a label that is no number": Fault(
        edit("screen/train.csv", line_of(2, lambda f: [*f[:4], "x"])),
        "describe",
        r".*train\.csv, line 2: label 'x' is not an integer.*",
    ),
    "a label out of range": Fault(
        edit("screen/train.csv", line_of(2, lambda f: [*f[:4], "99999"])),
        "describe",
        r".*train\.csv, line 2: .*99999.*",
    ),
    "a control among treatments": Fault(
        lambda p: _control_label(p), "describe", r".*label '\d+' is used for a .*, but in most wells it is a .*"
    ),
    "an experiment in train and test": Fault(
        lambda p: _both_splits(p), "describe", r".*experiment.*train.*test.*|.*test.*train.*"
    ),
    "a column gone": Fault(
        edit("screen/train.csv", lambda t: t.replace("plate", "plaet", 1)),
        "describe",
        r".*train\.csv, line 1: no column 'plate'.*",
    ),
    "a well off the plate": Fault(
        edit("screen/train.csv", line_of(2, lambda f: [f[0], *f[1:3], "Z99", f[4]])),
        "describe",
        r".*line 2: well 'Z99' is not in A01-P24.*",
    ),
    "a plate that is no number": Fault(
        edit("screen/train.csv", line_of(2, lambda f: [f[0], f[1], "one", *f[3:]])),
        "describe",
        r".*line 2: .*plate 'one'.*",
    ),
    "an experiment that leads out of the root": Fault(
        edit("screen/train.csv", line_of(2, lambda f: [f"../../x_{f[2]}_{f[3]}", "../../x", *f[2:]])),
        "describe",
        r".*line 2: .*'\.\./\.\./x'.*",
    ),
    "a cut row": Fault(
        edit("screen/train.csv", lambda t: t[: t.rindex(",")]), "describe", r".*train\.csv, line \d+: .*"
    ),
    "a table that is not text": Fault(
        lambda p: _replace(p.screen / "train.csv", b"\xff\xfe\x00id_code"), "describe", r".*train\.csv.*"
    ),
    "a table gone": Fault(
        lambda p: (p.screen / "test.csv").unlink(), "describe", r".*test\.csv: the file is missing.*"
    ),
    "no folder": Fault(lambda p: shutil.rmtree(p.screen), "describe", r"{screen}: the data root does not exist.*"),
    "folds gone": Fault(lambda p: (p.csv / "train_0.csv").unlink(), "train", r".*train_0\.csv: no table of fold 0 .*"),
    "folds that share an experiment": Fault(
        lambda p: _replace(p.csv / "valid_0.csv", (p.csv / "train_0.csv").read_bytes()),
        "train",
        r".*valid_0\.csv: experiment \S+ is also in .*",
    ),
    "a fold that is not there": Fault(nothing, "grid", r".*train_7\.csv: no table of fold 7 .*", ["--folds=0,7"]),
    "an unknown key": Fault(
        set_config("optm: {clip: 1}"), "train", r"{config}, line \d+: unknown key 'optm'; did you mean 'optim'\?"
    ),
    "a key twice": Fault(
        set_config("stage: control"), "train", r"{config}, line \d+: key 'stage' is listed twice, first in line 1.*"
    ),
    "a value of the wrong type": Fault(
        set_config("optim: {clip: yes}"), "train", r"{config}, line \d+: optim\.clip is True, must be a finite number"
    ),
    "a value that is not a number": Fault(
        set_config("optim: {clip: .nan}"), "train", r".*optim\.clip is nan, must be a finite number"
    ),
    "a channel twice": Fault(
        nothing, "explain", r"--channels: data\.channels is \[1, 1\], must be numbers .*", ["--channels=[1,1]"]
    ),
    "a site that the screen has not": Fault(
        nothing,
        "train",
        r"--set data\.sites: data\.sites is \[1, 3\], but RCIC has only 1, 2",
        ["--set=data.sites=[1,3]"],
    ),
    "an image size that the network cannot take": Fault(
        nothing, "train", r"--set data\.size: .*16.*densenet_small.*", ["--model=densenet_small", "--set=data.size=16"]
    ),
    "an alias in a config": Fault(
        set_config("a: &x [1]\nb: *x"), "train", r"{config}, line \d+: anchors and aliases .*"
    ),
    "code in a config": Fault(
        set_config('optim: {clip: !!python/object/apply:os.system ["touch executed"]}'),
        "train",
        r"{config}, line \d+: .*",
    ),
    "a config that is not YAML": Fault(set_config("]"), "train", r"{config}, line \d+: not valid YAML.*"),
    "a config that is not text": Fault(lambda p: _replace(p.config, b"\xff\xfe\x00"), "train", r"{config}.*"),
    "no config": Fault(lambda p: p.config.unlink(), "train", r"{config}: no such config file"),
    "a flag twice": Fault(nothing, "train", r"run: --fold is given twice .*", ["--fold=1"]),
    "a misspelt flag": Fault(
        nothing, "train", r"run: unknown flag --chanels; did you mean '--channels'\? .*", ["--chanels=1"]
    ),
    "an unknown network": Fault(
        nothing, "train", r".*densnet121.*did you mean 'densenet121'\?.*", ["--model=densnet121"]
    ),
    "weights that are not there": Fault(
        nothing,
        "train",
        r"--set init\.checkpoint: .*x\.pth', but there is no such file",
        ["--set=init.checkpoint=x.pth"],
    ),
    "an earlier stage that is not trained": Fault(
        nothing,
        "train",
        r".*best\.pth: the checkpoint of stage control does not exist; train that stage first .*",
        ["--set=init.stage=control"],
    ),
    "fp16 on a CPU": Fault(nothing, "train", r".*fp16 needs a GPU.*", ["--set=train.precision=fp16"]),
    "a GPU that is not there": Fault(nothing, "train", r".*torch sees no GPU.*", ["--device=cuda"]),
    "a checkpoint cut short": Fault(
        lambda p: _replace(p.run / BEST, (p.run / BEST).read_bytes()[:-300]),
        "predict",
        r".*best\.pth: not a readable checkpoint .*",
    ),
    "a bit of a checkpoint flipped": Fault(
        flip(BEST), "predict", r".*best\.pth: not a readable checkpoint \(BadZipFile\).*"
    ),
    "code in a checkpoint": Fault(
        put(BEST, pickle.dumps(Code())), "predict", r".*best\.pth: not a readable checkpoint .*"
    ),
    "a checkpoint of another program": Fault(
        lambda p: torch.save({"state_dict": {}}, p.run / BEST),
        "predict",
        r".*best\.pth: not a checkpoint of this program .*",
    ),
    "a checkpoint of other siRNAs": Fault(
        change_checkpoint(lambda c: c["meta"].update(classes=[f"x{n}" for n in c["meta"]["classes"]])),
        "predict",
        r".*best\.pth: trained on other classes .*",
    ),
    "a checkpoint that lacks a tensor": Fault(
        change_checkpoint(lambda c: c["model"].pop(next(iter(c["model"])))),
        "predict",
        r".*best\.pth: .*(lacks|does not fit).*",
    ),
    "a finished training of another config": Fault(
        nothing,
        "again",
        r".*finished with another optim\.clip; choose another --log_root, or retrain from scratch with --force",
        ["--set=optim.clip=2.0"],
    ),
    "a grid of trainings of another config": Fault(
        nothing, "grid", r"1 of 1 trainings are not done; .*", ["--folds=0", "--set=optim.clip=2.0"]
    ),
    "broken-off epochs of another config": Fault(
        edit("logs/full/[1,2]/fold_0/tiny/" + RUN, lambda t: t.replace('"done"', '"failed"')),
        "again",
        r".*: 2 epochs were trained with another optim\.clip; .*",
        ["--set=optim.clip=2.0"],
    ),
    "a loss that is not finite": Fault(
        nothing,
        "train",
        r"epoch 1.* the (training|validation) loss is (nan|inf), .*",
        ["--set=schedule.max_lr=1e30"],
    ),
    "a file where the log root should be": Fault(
        in_the_way("new"), "train", r".*not written, part of the path is a file, not a folder.*"
    ),
    "a file where predictions should go": Fault(
        in_the_way("new"), "predict", r".*part of the path is a file, not a folder.*"
    ),
    "a file where the packed screen should go": Fault(
        in_the_way("packed"), "pack", r".*packed: is a file; name a folder .*"
    ),
    "another thing where the packed screen should go": Fault(
        lambda p: (p.root / "packed").mkdir() or (p.root / "packed" / "x").touch(),
        "pack",
        r".*packed: is not empty and is not a packed screen.*",
    ),
}


def _replace(path: Path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)


def _double(place: Place) -> None:
    """Give a well's image the bytes of the next well's."""
    place.image.with_name("P24_s1_w1.png").unlink()
    others = [path for path in sorted(place.image.parent.glob("*_s1_w1.png")) if path != place.image]
    _replace(place.image, others[0].read_bytes())


def _control_label(place: Place) -> None:
    """Give a treatment well the label of a control."""
    label = (place.screen / "train_controls.csv").read_text().splitlines()[1].split(",")[4]
    edit("screen/train.csv", line_of(2, lambda fields: [*fields[:4], label]))(place)


def _both_splits(place: Place) -> None:
    """Put another well of a train experiment among the test wells."""
    _, experiment, plate, _ = (place.screen / "train.csv").read_text().splitlines()[1].split(",")[:4]
    edit("screen/test.csv", lambda text: f"{text}{experiment}_{plate}_P24,{experiment},{plate},P24\n")(place)


# what is survived: the command does its work as if nothing were there, and leaves nothing behind
SURVIVED: dict[str, tuple[Callable[[Place], object], str, str]] = {
    "a lock whose owner is dead": (
        lambda p: (p.run / "run.lock").write_text("process 1 on x\n"),
        "again",
        "done already",
    ),
    "temporary files of a killed writer": (
        lambda p: [_broken_off(p), (p.run / "checkpoints" / ".last.pth.1.tmp").write_text("x")],
        "again",
        "best map3",
    ),
    "a damaged last epoch": (lambda p: [_broken_off(p), flip("checkpoints/last.pth")(p)], "again", "best map3"),
    "a damaged best epoch": (lambda p: [_broken_off(p), flip(BEST)(p)], "again", "the training starts from scratch"),
    "a run.json cut short": (lambda p: (p.run / RUN).write_text('{"status": "do'), "again", "best map3"),
    "a config.yml of the run gone": (lambda p: [_broken_off(p), (p.run / CONFIG).unlink()], "again", "best map3"),
}


def _broken_off(place: Place) -> None:
    edit("logs/full/[1,2]/fold_0/tiny/" + RUN, lambda text: text.replace('"done"', '"running"'))(place)
