"""Every planted fault in one table: what is done, the command that meets it, and the line that it prints."""

import os
import pickle
import re
import shutil
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import torch

from rcic.files.atomic import sha256_of
from rcic.files.names import BEST, CONFIG, HELD_OUT, LOCK, METRICS, RETRAIN, RUN
from rcic.pixels.audit.audit_screen import SEEN
from rcic.pixels.packed.pack_plates import PACKING
from rcic.pixels.packed.pack_screen import BEGUN_FILE
from rcic.pixels.packed.packed_store import ARRAY, IMAGES, SHARD
from rcic.screen.spec_files import OWN, SHIPPED
from rcic.screen.table import read_screen
from tests.hindered import NO_FILES, UNREAD, fresh
from tests.pixels.own import write_form, write_images
from tests.pixels.planted import PLANTS
from tests.records import rewrite


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
            "simulate": ["data.py", "simulate", "--preset=test", f"--out_dir={self.root}/new"],
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


def status(word: str) -> Callable[[Place], object]:
    """Give the finished training another status, as a killed process leaves it."""
    return lambda place: rewrite(place.run / RUN, status=word)


def known(plant: Callable[[Place], object]) -> Callable[[Place], object]:
    """Plant a fault in the best checkpoint, and let run.json know its checksum: the reader itself must see it."""

    def apply(place: Place) -> None:
        plant(place)
        rewrite(place.run / RUN, files={BEST: sha256_of(place.run / BEST)})

    return apply


def change_checkpoint(change: Callable[[dict[str, Any]], object]) -> Callable[[Place], object]:
    """Change the content of the finished training's best checkpoint."""

    def plant(place: Place) -> None:
        content = torch.load(place.run / BEST, weights_only=True)
        change(content)
        torch.save(content, place.run / BEST)

    return known(plant)


def unlisted(plant: Callable[[Place], object]) -> Callable[[Place], object]:
    """Damage files of a finished training that lists no checksums, as those of versions 0.1 and 0.2."""
    return lambda place: [rewrite(place.run / RUN, files=None), plant(place)]


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


def own_screen(pattern: str, names: str, damage: Callable[[Path], object] = nothing) -> Callable[[Place], object]:
    """Put a user's small screen of 16-bit TIFFs in the screen's place, then do ``damage`` to its folder."""

    def plant(place: Place) -> None:
        shutil.rmtree(place.screen)
        damage(write_images(write_form(place.screen, pattern), names))

    return plant


MINE = """name: mine
plate: PLATE
channels: [{name: DNA}]
images: {file: ["{plate}/{well}.png"]}
tables: [{file: mine.csv}]
columns: {experiment: batch, label: drug, COLUMNS}
cell_type: {name: U2OS}
"""


def mine(*rows: str, spec: str = "", columns: str = "", head: str = "", plate: int = 384) -> Callable[[Place], object]:
    """Leave an own screen in the screen's folder: rows of its table, and lines of its form."""

    def plant(place: Place) -> None:
        head_line = head or "batch,plate,well,drug"
        (place.screen / "mine.csv").write_text("\n".join([head_line, *rows, ""]), encoding="utf-8")
        form = MINE.replace("COLUMNS", columns).replace("PLATE", str(plate))
        (place.screen / OWN).write_text(f"{form}{spec}\n", encoding="utf-8")

    return plant


def stacks(**words: object) -> Callable[[Place], object]:
    """Put a screen of one file a well there, its two pages written as tifffile is told to."""

    def damage(root: Path) -> None:
        for path in root.rglob("*_w1.tif"):
            pages = np.stack([tifffile.imread(path.with_name(path.name.replace("_w1", f"_w{c}"))) for c in (1, 2)])
            tifffile.imwrite(path.with_name(path.name.replace("_w1", "")), pages, photometric="minisblack", **words)

    return own_screen("{plate}/{well}.tif", "{plate}/{well}_w{c}.tif", damage)


def rename(old: str, new: str) -> Callable[[Path], object]:
    """Rename what matches a pattern below a folder."""
    return lambda root: [path.rename(path.with_name(path.name.replace(old, new))) for path in root.rglob(f"*{old}*")]


DRUGS = ("b1,1,A1,x", "b1,1,A2,DMSO", "b2,1,A1,x", "b2,1,A2,DMSO")
LISTS = r"{screen}: \w+\.\w+ of the screen spec lists "
ALIKE = r"{screen}/mine\.csv, line 6: "


NO_LOCK = r".*run\.lock: is not a regular file, so the folder cannot be locked; remove it"
IMAGE = r"{screen}: \d+ bad images? in \d+ sites?, listed in .*audit\.csv; repair them and audit again, or .*"
FAULTS: dict[str, Fault] = {
    **{
        f"image {name}": Fault(lambda p, plant=plant: plant(_alone(p.image)), "audit", IMAGE)
        for name, (plant, *_) in PLANTS.items()
    },
    "images of two wells alike": Fault(
        lambda p: shutil.copy(p.image, p.image.with_name("P24_s1_w1.png")) and _double(p), "audit", IMAGE
    ),
    "an image that is a link to another": Fault(
        lambda p: (p.image.unlink(), p.image.symlink_to(p.image.with_name(p.image.name.replace("_w1", "_w2")))),
        "audit",
        IMAGE,
    ),
    "a plate whose name begins another's, its folder gone": Fault(
        own_screen("{plate}*/{well}_w{channel}.tif", "{plate}_x/{well}_w{c}.tif", rename("P1_x", "P10_x")),
        "audit",
        IMAGE,
    ),
    "a plate whose name begins another's with a letter": Fault(
        own_screen("{plate}*/{well}_w{channel}.tif", "{plate}_x/{well}_w{c}.tif", rename("P1_x", "P1B_x")),
        "audit",
        IMAGE,
        ["--mode=quick"],
    ),
    "a site whose number begins another's": Fault(
        own_screen(
            "{plate}/{well}_s{site}*w{channel}.tif", "{plate}/{well}_s1_w{c}.tif", rename("A01_s1_", "A01_s11_")
        ),
        "audit",
        IMAGE,
    ),
    "a site whose number ends another's": Fault(
        own_screen("{plate}/{well}*{site}_w{channel}.tif", "{plate}/{well}_s1_w{c}.tif", rename("A01_s1_", "A01_s21_")),
        "audit",
        IMAGE,
    ),
    "a channel whose number begins another's": Fault(
        own_screen("{plate}/{well}_w{channel}*.tif", "{plate}/{well}_w{c}.tif", rename("A01_w1", "A01_w12")),
        "audit",
        IMAGE,
    ),
    "only the thumbnail of an image": Fault(
        own_screen("{plate}/{well}_w{channel}*.tif", "{plate}/{well}_w{c}.tif", rename("A01_w1", "A01_w1_thumb")),
        "audit",
        IMAGE,
    ),
    "two folders of a plate": Fault(
        own_screen(
            "{plate}*/{well}_w{channel}.tif",
            "{plate}_x/{well}_w{c}.tif",
            lambda root: shutil.copytree(root / "P1_x", root / "P1_y"),
        ),
        "audit",
        IMAGE,
    ),
    "z planes for channels": Fault(stacks(metadata={"axes": "ZYX"}), "audit", IMAGE),
    "time points for channels": Fault(stacks(imagej=True, metadata={"axes": "TYX"}), "audit", IMAGE, ["--mode=quick"]),
    "z planes for channels, to be packed": Fault(
        stacks(metadata={"axes": "ZYX"}),
        "pack",
        r".*none of 6 sampled images can be used, the first is .*P1/A01\.tif: its 2 pages are z planes, .*",
    ),
    "one page that stands for two": Fault(stacks(truncate=True), "audit", IMAGE),
    "a file for two plates": Fault(
        own_screen("{well}_w{channel}.tif", "{well}_w{c}.tif"),
        "audit",
        r".*A01_w1\.tif: by images\.file .* this is the image of b1 plate P1 well A01 .* and of b2 plate P2 .*; "
        r"the pattern lacks .experiment. and .plate.",
    ),
    "a pattern without the experiment": Fault(
        spec("{split}/{experiment}/", "{split}/"),
        "pack",
        r".*Plate1/\w+\.png: by images\.file .* and of .*; the pattern lacks .experiment.",
    ),
    "a pattern without the plate": Fault(
        spec("Plate{plate}/", "Plate1/"),
        "train",
        r".*Plate1/\w+\.png: by images\.file .* and of .*; the pattern lacks .plate.",
        ["--set=data.audit=off"],
    ),
    "a pattern for folders of any depth": Fault(
        spec("{split}/{experiment}/", "{split}/**/"),
        "audit",
        r".*screen\.yml, line \d+: images\.file .* must not have \*\*.*",
    ),
    **{
        f"a pattern that no file fits: {command}": Fault(
            spec("_w{channel}.png", "_c{channel}.png"),
            command,
            r"{screen}: no file fits images\.file .*: .* would be .*_c1\.png; the nearest file is .*_w1\.png; .*",
            more,
        )
        for command, more in {"audit": [], "pack": [], "train": ["--set=data.audit=off"]}.items()
    },
    "a pattern of other files for a network": Fault(
        spec("_w{channel}.png", "_c{channel}.png"),
        "predict",
        r".*best\.pth: trained on other images than those of {screen}: images files .*_w.* then, .*_c.* now\)",
    ),
    "a plate's folder gone": Fault(lambda p: shutil.rmtree(p.image.parent), "audit", IMAGE),
    "an image gone after the audit": Fault(lambda p: p.image.unlink(), "train", r".*changed since.*audit.*"),
    "a root that was never audited": Fault(
        lambda p: shutil.rmtree(p.csv / "audit"),
        "train",
        r".*audit\.json: not found, so the images of {screen} were not audited; run .*data\.py audit .*",
    ),
    "an audit of another screen": Fault(
        lambda p: rewrite(p.csv / "audit" / "audit.json", made_from={"wells": {"HUVEC-01": "0" * 16}}),
        "train",
        r".*audit\.json: of another screen than {screen} is now, with other wells HUVEC-01 \(changed since\); run .*",
    ),
    "an audit that was changed by hand": Fault(
        edit("csv/audit/audit.json", lambda text: text.replace('"stop"', '"drop"')),
        "train",
        r".*audit\.json: is damaged, or was changed by hand: its checksum is another one; run .*data\.py audit .*",
    ),
    "a fold table that was changed": Fault(
        edit("csv/train_0.csv", lambda text: "\n".join(text.splitlines()[:-1]) + "\n"),
        "train",
        r".*train_0\.csv: is damaged, or of another result than folds\.json beside it; run .*data\.py folds .*",
    ),
    "an audit that is not JSON": Fault(edit("csv/audit/audit.json", lambda text: text[:50]), "train", ".*audit.json.*"),
    "a test experiment in other case": Fault(
        mine(*DRUGS, spec="split: {test_experiments: [B2]}"),
        "describe",
        LISTS + r"'B2', which no row of mine\.csv has; did you mean 'b2'\?",
    ),
    "a test experiment that is not there": Fault(
        mine(*DRUGS, spec="split: {test_experiments: [b2, September]}"),
        "describe",
        LISTS + r"'September', which no row of mine\.csv has; correct it or take it out",
    ),
    "a control that the table writes otherwise": Fault(
        mine(*DRUGS, spec="well_types: {negative_control: [dmso]}"),
        "describe",
        LISTS + r"'dmso', which no row of mine\.csv has; did you mean 'DMSO'\?",
    ),
    "wells to leave out that the table writes otherwise": Fault(
        mine(*DRUGS, "b1,1,A3,Empty", spec="well_types: {skip: [empty]}"),
        "describe",
        LISTS + r"'empty', which no row of mine\.csv has; did you mean 'Empty'\?",
    ),
    "a split in other case": Fault(
        mine("b1,1,A1,x,Train", spec="split: {column: use}", head="batch,plate,well,drug,use"),
        "describe",
        r".*mine\.csv, line 2: use 'Train' is none of train, test; did you mean 'train'\?",
    ),
    **{
        f"a label {label} for unknown": Fault(
            mine(*DRUGS, f"b2,1,A3,{label}"),
            "describe",
            ALIKE
            + rf"drug '{re.escape(label)}' usually means that nothing is known: .*columns\.unknown.*skip.*known.*",
        )
        for label in ("NA", "#N/A", "null", "-", "Empty")
    },
    "an experiment called NA": Fault(
        mine(*DRUGS, "NA,1,A1,x"), "describe", ALIKE + r"batch 'NA' usually means that nothing is known; .*"
    ),
    "a label in other case": Fault(
        mine(*DRUGS, "b1,1,A3,Dmso"), "describe", ALIKE + r"drug 'Dmso' looks like 'DMSO' in line 3, but differs .*"
    ),
    "two letters mu": Fault(
        mine("b1,1,A1,10 \u00b5M", *DRUGS[:3], "b1,1,A3,10 \u03bcM"),
        "describe",
        ALIKE + r"drug '10 \\u03bcM' looks like '10 \\xb5M' in line 2, but .*",
    ),
    "a character that nobody sees": Fault(
        mine(*DRUGS, "b1,1,A3,DM\u200bSO"), "describe", ALIKE + r"drug 'DM\\u200bSO' looks like 'DMSO' in line 3, .*"
    ),
    "an experiment with another dash": Fault(
        mine("b-1,1,A1,x", *DRUGS[:3], "b\u20131,1,A3,x"),
        "describe",
        ALIKE + r"batch 'b\\u20131' looks like 'b-1' in line 2, but differs from it; write both in one way",
    ),
    "plates 1 and 01": Fault(
        mine(*DRUGS, "b2,01,A3,x"), "describe", ALIKE + r"plate '01' looks like '1' in line 4, but differs from it; .*"
    ),
    "cell types in two cases": Fault(
        lambda p: [
            mine("b1,1,A1,x,HeLa", "b2,1,A1,x,HELA", head="batch,plate,well,drug,cells")(p),
            edit("screen/screen.yml", lambda text: text.replace("{name: U2OS}", "{column: cells}"))(p),
        ],
        "describe",
        r".*mine\.csv, line 3: cells 'HELA' looks like 'HeLa' in line 2, but .*",
    ),
    "a row that is a well": Fault(
        mine("b1,1,A1,2,x", head="batch,plate,r,c,drug", columns="well: null, row: r, column: c"),
        "describe",
        r".*mine\.csv, line 2: r 'A1', c '2' is not in A01-P24",
    ),
    "a row of a large and a small letter": Fault(
        mine("b1,1,Aa01,x", plate=1536),
        "describe",
        r".*mine\.csv, line 2: well 'Aa01' is not in A01-AF48; write both letters of a row alike",
    ),
    "a site twice, its well in two spellings": Fault(
        mine("b1,1,A1,1,x", "b1,1,a01,1,x", head="batch,plate,well,site,drug", columns="site: site"),
        "describe",
        r".*mine\.csv, line 3: site 1 of its well is listed twice",
    ),
    "a field as long as a book": Fault(
        mine(*DRUGS, f"b1,1,{5_000_000 * 'A'},x"),
        "describe",
        r".*mine\.csv, line 6: well 'A+\.\.\.A+' is not in A01-P24(?<=.{{100}})(?<!.{{600}})",
    ),
    "a cell type in other case": Fault(
        nothing,
        "train",
        r"--set data\.cell_types: data\.cell_types: no 'huvec ' in the screen .*; did you mean 'HUVEC'\?",
        ["--set=data.cell_types=['huvec ']"],
    ),
    "a folder of folds in brackets": Fault(
        nothing, "train", r"\(c\) #1, \[2\]/train_0\.csv: no table of fold 0 .*", ["--set=data.folds_dir=(c) #1, [2]"]
    ),
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
        lambda p: [
            (p.csv / "folds.json").unlink(),
            _replace(p.csv / "valid_0.csv", (p.csv / "train_0.csv").read_bytes()),
        ],
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
        unlisted(lambda p: _replace(p.run / BEST, (p.run / BEST).read_bytes()[:-300])),
        "predict",
        r".*best\.pth: not a readable checkpoint .*",
    ),
    "a bit of a checkpoint flipped": Fault(
        unlisted(flip(BEST)), "predict", r".*best\.pth: not a readable checkpoint \(BadZipFile\).*"
    ),
    "a bit of a checkpoint flipped that is listed": Fault(
        flip(BEST),
        "predict",
        r".*best\.pth: is damaged, or of another result than run\.json beside it; train it again with --force",
    ),
    "held-out wells that were changed": Fault(
        lambda p: _replace(p.run / HELD_OUT, (p.run / HELD_OUT).read_bytes()[:-9]),
        "predict",
        r".*valid\.csv: is damaged, or of another result than run\.json beside it; train it again with --force",
        ["--splits=valid"],
    ),
    "a finished training with a changed file": Fault(
        flip(METRICS),
        "again",
        r".*metrics\.csv: is damaged, or of another result .*; retrain from scratch with --force",
    ),
    "a run.json cut short": Fault(
        lambda p: _replace(p.run / RUN, b'{"status": "do'),
        "again",
        r".*run\.json: cannot be read as JSON \(.*\); train it again with --force",
    ),
    "a run.json that was changed by hand": Fault(
        edit("logs/full/[1,2]/fold_0/tiny/" + RUN, lambda text: text.replace('"done"', '"failed"')),
        "predict",
        r".*run\.json: is damaged, or was changed by hand: its checksum is another one; train it again with --force",
    ),
    "code in a checkpoint": Fault(
        unlisted(put(BEST, pickle.dumps(Code()))), "predict", r".*best\.pth: not a readable checkpoint .*"
    ),
    "a checkpoint of another program": Fault(
        unlisted(lambda p: torch.save({"state_dict": {}}, p.run / BEST)),
        "predict",
        r".*best\.pth: not a checkpoint of this program .*",
    ),
    "a checkpoint of other siRNAs": Fault(
        unlisted(change_checkpoint(lambda c: c["meta"].update(classes=[f"x{n}" for n in c["meta"]["classes"]]))),
        "predict",
        r".*best\.pth: trained on other classes .*",
    ),
    "a checkpoint that lacks a tensor": Fault(
        unlisted(change_checkpoint(lambda c: c["model"].pop(next(iter(c["model"]))))),
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
        lambda p: rewrite(p.run / RUN, status="failed"),
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
    **{
        f"{thing} for a table": Fault(
            lambda p, make=make: make(p.screen / "train.csv"),
            "describe",
            rf"{{screen}}/train\.csv: {re.escape(told)}.*",
        )
        for thing, (make, told) in (NO_FILES | UNREAD).items()
    },
    "a table without end": Fault(
        lambda p: _replace(p.screen / "test.csv", b"id_code,experiment,plate,well\n" + b"\n" * 10_000_001),
        "describe",
        r".*test\.csv: has 10,000,002 lines, too many for a table .*",
    ),
    "a pipe for a spec": Fault(
        lambda p: os.mkfifo(p.screen / OWN), "describe", r"{screen}/screen\.yml: is a named pipe, not a regular file"
    ),
    "a spec on a disk that is gone": Fault(
        lambda p: (p.screen / OWN).symlink_to("/nowhere/screen.yml"),
        "describe",
        r"{screen}/screen\.yml: is a link to /nowhere/screen\.yml, which does not exist",
    ),
    "a pipe for a config": Fault(
        lambda p: os.mkfifo(fresh(p.config)), "train", r"{config}: is a named pipe, not a regular file"
    ),
    "a config of a thousand levels": Fault(
        set_config("a: " + "[" * 1000), "train", r"{config}, line \d+: more than 10 levels .*"
    ),
    "a pipe for an audit": Fault(
        lambda p: os.mkfifo(fresh(p.csv / "audit/audit.json")),
        "train",
        r".*audit\.json: is a named pipe, not a regular file",
    ),
    "an audit on a disk that fails": Fault(
        lambda p: fresh(p.csv / "audit/audit.json").symlink_to("/proc/self/mem"),
        "predict",
        r".*audit\.json: cannot be read: Input/output error",
    ),
    "a pipe for a checkpoint": Fault(
        lambda p: os.mkfifo(fresh(p.run / BEST)), "predict", r".*best\.pth: is a named pipe, not a regular file"
    ),
    "a checkpoint on a disk that is gone": Fault(
        lambda p: fresh(p.run / BEST).symlink_to("/nowhere/best.pth"),
        "predict",
        r".*best\.pth: is a link to /nowhere/best\.pth, which does not exist",
    ),
    "a checkpoint that would expand": Fault(
        known(lambda p: _compress(p.run / BEST)), "predict", r".*best\.pth: not a readable checkpoint \(BadZipFile\).*"
    ),
    "a last epoch on a disk that is gone": Fault(
        lambda p: [_broken_off(p), fresh(p.run / "checkpoints/last.pth").symlink_to("/nowhere/last.pth")],
        "again",
        r".*last\.pth: is a link to /nowhere/last\.pth, which does not exist",
    ),
    "a pipe for a training's record": Fault(
        lambda p: os.mkfifo(fresh(p.run / RUN)), "again", r".*run\.json: is a named pipe, not a regular file"
    ),
    "a folder for weights": Fault(
        nothing,
        "train",
        r"--set init\.checkpoint: init\.checkpoint is '/', which is a folder, not a regular file",
        ["--set=init.checkpoint=/"],
    ),
    "a device for weights": Fault(
        nothing,
        "train",
        r"--set init\.checkpoint: init\.checkpoint is '/dev/zero', which is a device, not a regular file",
        ["--set=init.checkpoint=/dev/zero"],
    ),
    **{
        f"an image that cannot be read, {word}": Fault(
            lambda p: fresh(p.image).symlink_to("/proc/self/mem"),
            "audit",
            r"{screen}: 1 image could not be read, which is no reason to leave a site out, the first .*_s1_w1\.png: .*",
            [f"--on_bad={word}"],
        )
        for word in ("drop", "other-site")
    },
    "an image that cannot be packed for the moment": Fault(
        lambda p: fresh(p.image).symlink_to("/proc/self/mem"),
        "pack",
        r".*_s1_w1\.png: the image cannot be read: Input/output error; .*Plate\d was not packed, run the same .*",
    ),
    "a pipe for the list of a packed screen": Fault(
        lambda p: os.mkfifo(p.screen / "packed.json"), "audit", r".*packed\.json: is a named pipe, not a regular file"
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
    "a FIFO where the lock should be": Fault(lambda p: os.mkfifo(p.run / LOCK), "again", NO_LOCK),
    "a folder where the lock should be": Fault(lambda p: (p.run / LOCK).mkdir(), "again", NO_LOCK),
    "a link where the lock should be": Fault(
        lambda p: (p.run / LOCK).symlink_to(p.root / "elsewhere"), "again", NO_LOCK, ["--force"]
    ),
    "a training of which half is replaced": Fault(
        status("being replaced"),
        "predict",
        r".*logs/full: no training of tiny is finished",
    ),
    "a retraining of another config that was killed at its end": Fault(
        lambda p: _retrain(p, lambda text: text.replace("clip: null", "clip: 2.0")),
        "again",
        r".*tiny: finished with another optim\.clip; choose another --log_root, or .*",
    ),
    "a file where a retraining should go": Fault(
        in_the_way("logs/full/[1,2]/fold_0/tiny/retrain"),
        "again",
        r".*retrain/run\.json: not written, part of the path is a file, not a folder; .*",
        ["--force"],
    ),
    "a retraining that fails in its first epoch": Fault(
        nothing, "again", r"epoch 1.* the (training|validation) loss is .*", ["--force", "--set=schedule.max_lr=1e30"]
    ),
}


def _alone(path: Path) -> Path:
    """Give a file that is a link to another test's one of its own; return its path."""
    _replace(path, path.read_bytes())
    return path


def _replace(path: Path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)


def _compress(path: Path) -> None:
    """Write a checkpoint's archive anew, with compressed records, of which one is zeros."""
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
        archive.writestr("archive/data/zeros", bytes(10_000_000))


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
        lambda p: [_broken_off(p), (p.run / "checkpoints" / ".last.pth.0123abcd.tmp").write_text("x")],
        "again",
        "best map3",
    ),
    "blanks around names in tables": (
        lambda p: [(p.csv / "folds.json").unlink(), _blanks(p.screen / "train.csv"), _blanks(p.csv / "train_0.csv")],
        "again",
        "done already",
    ),
    "a damaged last epoch": (lambda p: [_broken_off(p), flip("checkpoints/last.pth")(p)], "again", "best map3"),
    "a damaged best epoch": (lambda p: [_broken_off(p), flip(BEST)(p)], "again", "the training starts from scratch"),
    "a config.yml of the run gone": (lambda p: [_broken_off(p), (p.run / CONFIG).unlink()], "again", "best map3"),
    "a temporary file beside a finished training": (lambda p: half_written(p.run / RUN), "again", "done already"),
    "a temporary table of a killed folds": (
        lambda p: half_written(p.root / "new" / "train_0.csv"),
        "folds",
        "train_K.csv and valid_K.csv",
    ),
    "a prediction of a killed predict-all": (
        lambda p: half_written(p.root / "new" / "[1,2]" / "fold_0" / "tiny" / "pred_test.npy"),
        "predict",
        "test: 0 of 1 members are predicted already, 1 to go",
    ),
    "a screen whose drawing was killed at its first file": (
        lambda p: half_written(p.root / "new" / ".simulating.json"),
        "simulate",
        "",
    ),
    "a pack killed at its first file": (
        lambda p: half_written(p.root / "packed" / BEGUN_FILE),
        "pack",
        "1,932 of 1,932 images packed",
    ),
    "locks, half a plate and a temporary file of a killed pack": (lambda p: _packing(p), "pack", "images packed"),
    "scan results of a killed audit": (
        lambda p: [half_written(p.csv / "audit" / SEEN / "x.npz"), (p.csv / "audit" / SEEN / "HUVEC-01.npz").touch()],
        "audit",
        "no bad images",
    ),
    "a retraining killed before its first file": (
        lambda p: half_written(p.run / RETRAIN / RUN),
        "again",
        "done already",
    ),
    "a retraining of an unknown config": (
        lambda p: [(p.run / RETRAIN).mkdir(), (p.run / RETRAIN / RUN).write_text('{"status": "running"}')],
        "again",
        "done already",
    ),
    "a retraining killed while its files were moved": (
        lambda p: [
            _retrain(p, lambda text: text),
            (p.run / RETRAIN / CONFIG).unlink(),
            status("being replaced")(p),
        ],
        "again",
        "the retraining has taken the place of the earlier training",
    ),
}


def _blanks(path: Path) -> None:
    """Put blanks of several kinds around the fields of a table."""
    lines = (",".join(f" {field}\u00a0" for field in line.split(",")) for line in path.read_text().splitlines())
    _replace(path, "\n".join(lines).encode())


def half_written(path: Path) -> None:
    """Leave what a killed writer of a file leaves."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_name(f".{path.name}.0123abcd.tmp").write_text("half")


def _retrain(place: Place, change: Callable[[str], str]) -> None:
    """Put a finished retraining beside the files that it is to replace; its config is another one, if changed."""
    shutil.copytree(place.run, place.run / RETRAIN)
    config = place.run / RETRAIN / CONFIG
    config.write_text(change(config.read_text()))


def _packing(place: Place) -> None:
    """Leave what a killed pack leaves of its first plate."""
    out, (experiment, plate) = place.root / "packed", place.image.parent.parts[-2:]
    half = out / IMAGES / "full" / experiment / f".{plate}.half"
    for folder in ((half / SHARD).parent, out / PACKING / experiment / plate):
        folder.mkdir(parents=True)
    (half / SHARD).write_bytes(b"half")
    (out / PACKING / experiment / plate / LOCK).write_text("process 1 on x\n")
    (out / BEGUN_FILE).write_text(read_screen(place.screen).fingerprint() + "\n")
    half_written(out / IMAGES / "full" / ARRAY)


def _broken_off(place: Place) -> None:
    rewrite(place.run / RUN, status="running")
