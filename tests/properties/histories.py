"""Random histories of a user's work: edits, commands, accidents; no command may give an answer that is not true.

``python -m tests.properties.histories --seed 7 --steps 2000`` walks one and prints its counts as Markdown;
``--shrink`` looks for a shorter history that fails in the same way, ``--replay FILE`` walks one that was printed.

**How truth is known.** Images say what they show, and a network reads it out (`tests.properties.readout`): each row of
logits or embeddings tells which place, which version of each image, which stain at which input, which grey levels and
views it was made from, whether the network had seen the place in a training, and by its likeliest label what it was
taught for the substance in the well. Commands, trainings, files and readers are the program's own; each command runs in
a process forked from this one. `tests.properties.history_world` has the tables and images as they really are,
`tests.properties.history_model` what was made from what, and the verdicts.

**What the program promises**, and the model demands where a command ends with 0:

===============  =====================================================================================================
command          promise
===============  =====================================================================================================
train            It is done, or "done already", with exactly the training wells, labels, classes, channels, config and
                 images of now. No place outside its tables is in its memory. Held-out experiments are not in it.
predict-all,     Every finished member has every well of the split, from the images, channels, levels, views and network
embed-all        of now. The labels' meaning is that of the network's training; names and order of classes are those of
                 now. No well to predict was taught to the network (test wells by pseudo-labels only).
neighbours       Labels are those of the bank's wells in the tables of now.
ensemble, score, Predictions are whole, of one command, by a known record, for the classes, channels and stains of now,
channels,        in a folder of their channels; the wells are those of the tables. Images may have been replaced and the
pseudo-label,    network trained again since: `check` says that. Labels, confidences and accuracies are those of the
calibrate        mean of these files. A calibration is of the networks and views that it is used with.
folds            The tables' train wells, experiments apart.
check            Nothing is "sound" whose tables, spec, network or inputs are others by now; with ``--mode=full`` also
                 whose images are others, if their names and sizes are, or a full audit or a packing had read them.
any              It ends with 0, or with one line and 2 or 75; never with a traceback.
after anything   "audit, folds, train --force, predict-all, ensemble" gives right answers again.
===============  =====================================================================================================

An experiment is known by its name: one that was renamed is another one, also to a network that was taught it. Files
without a record are another program's, and believed. What may go unnoticed until the next full audit or, after a full
audit, ``check --mode=full``: an image that was replaced by one of the same name and size, or overwritten in its place.
"""

import argparse
import contextlib
import importlib
import json
import os
import pkgutil
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from rcic.files.names import BEST, RETRAIN, RUN, Member, find_members, prediction_files
from tests.faults.killer import Told, carry_out
from tests.properties.history_model import Judge, Made, Wrong, sha
from tests.properties.history_world import Shown, Source, World, encoded, put

Step = tuple[str, int]  # name, seed of its choices
CONFIG = """stage: full
model: {{name: readout, pretrained: none}}
data: {{channels: [1, 2, 3], workers: 0, folds_dir: {root}/csv, pseudo_dir: {root}/pseudo, audit_dir: {root}/audit}}
augment: {{shear: 0, channel_dropout: 0}}
optim: {{name: adamw}}
schedule: {{frozen_epochs: 0, epochs: 1, warmup_epochs: 0, max_lr: 1.0, min_lr: 1.0}}
train: {{batch_size: 2, accumulate: 1, precision: fp32, channels_last: false}}
log: {{tensorboard: false}}
"""
CHANNEL_SETS = ((1, 2, 3), (1, 2), (1, 3), (2, 3))
VIEW_SETS: tuple[tuple[str, ...], ...] = ((), (), (), ("identity", "hflip"), ("identity", "rot90"))
ACCEPTED = (0, 2, 75)
RENEWAL = ("audit", "folds", "train_all", "predict", "embed", "neighbours", "calibrate", "ensemble", "pseudo", "score")


@dataclass(frozen=True)
class Failure:
    """A step that went wrong: its number, what it was, and why."""

    number: int
    step: Step
    reason: str

    @property
    def kind(self) -> str:
        return self.reason.partition(":")[0]


class Walker:
    """Carries out steps below ``root`` and judges what they leave."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root = root
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        (root / "config.yml").write_text(CONFIG.format(root=root))
        self.world = World(root, seed)
        self.judge = Judge(self.world)
        self.logs, self.preds, self.emb = root / "logs", root / "pred", root / "emb"
        self.csv, self.audit_dir, self.pseudo = root / "csv", root / "audit", root / "pseudo"
        self.n_moved, self.kill = 0, (0, False)
        self.counts: Counter[tuple[str, str]] = Counter()
        self.trace: list[str] = []
        self.told = Told(0, 0, "")

    @property
    def source(self) -> Source:
        return self.world.source

    @property
    def audit_key(self) -> str:
        return sha(self.audit_dir / "audit.json")

    def take(self, step: Step) -> None:
        """Carry out a step; raises Wrong."""
        name, seed = step
        outcome = getattr(self, f"do_{name}")(Random(seed))
        self.counts[name, outcome or "done"] += 1

    def say(self, line: str) -> None:
        """Keep a line of what happened, also in a file beside the folder."""
        self.trace.append(line)
        with self.root.with_suffix(".log").open("a") as file:
            file.write(line + "\n")

    # commands

    def run(self, words: Sequence[object], judge: Callable[[str], None], settle: Callable[[], None]) -> str:
        """Run a command and judge it; ``settle`` notes what is whole after a command that did not end with 0."""
        (at, after), self.kill = self.kill, (0, False)
        source = [f"--data_root={self.source.root}"]
        self.told = told = carry_out([*map(str, words), *source], at, after)
        self.say(f"{' '.join(map(str, words))} -> {told.code}")
        errors = [line for line in told.text.splitlines() if line.startswith("error: ")]
        killed = told.code == -signal.SIGKILL and at > 0
        if not killed and (told.code not in ACCEPTED or "Traceback" in told.text or len(errors) != (told.code != 0)):
            raise Wrong(f"exit: {told.code}, {len(errors)} error lines: {told.text[-1500:]}")
        if told.code == 0:
            _judged(judge, told.text)
            return "already" if "already" in told.text and " 0 to go" in told.text else "right"
        if not killed:
            self.say(f"    {errors[0][:300]}")
        with contextlib.suppress(Exception):  # no verdict on what a command left that did not end with 0
            settle()
        return "killed" if killed else "refused"

    def do_audit(self, random: Random) -> str:
        mode = random.choice(["full", "full", "quick"])
        on_bad = random.choice(["stop", "drop", "drop", "other-site"])
        words = ["data", "audit", f"--out_dir={self.audit_dir}", f"--mode={mode}", f"--on_bad={on_bad}", "--workers=1"]

        def judge(_: str = "") -> None:
            self.judge.audited(self.audit_dir, self.source, mode)

        before = self.audit_key
        return self.run(words, judge, lambda: judge() if self.audit_key != before else None)

    def do_folds(self, random: Random) -> str:
        words = [
            "data",
            "folds",
            f"--out_dir={self.csv}",
            "--by=experiment",
            "--n_folds=2",
            f"--seed={random.randrange(3)}",
        ]
        before = sha(self.csv / "folds.json")

        def judge(_: str = "") -> None:
            self.judge.folded(self.csv, self.source)

        return self.run(words, judge, lambda: judge() if sha(self.csv / "folds.json") != before else None)

    def do_train(self, random: Random) -> str:
        stage = random.choice(["full"] * 6 + ["control", "pseudo", "pseudo"])
        channels = random.choice([CHANNEL_SETS[0]] * 3 + list(CHANNEL_SETS[1:]))
        return self.train(
            stage,
            channels,
            fold=random.randrange(2),
            force=random.random() < 0.5,
            variant=random.choice(["", "", "", "optim.clip=1.0"]),
            audited=random.random() < 0.85,
            start=random.choice(["none", "none", "control" if stage == "full" else "full"]),
        )

    def train(
        self,
        stage: str,
        channels: Sequence[int],
        fold: int,
        force: bool,
        variant: str = "",
        audited: bool = True,
        start: str = "none",
    ) -> str:
        """Run one training."""
        member = Member(tuple(channels), None if stage == "control" else fold, "readout").folder
        folder, start = self.logs / stage / member, "none" if stage == "control" else start
        sets = [f"stage={stage}", f"init.stage={start}", *([variant] if variant else [])]
        sets += [] if audited else ["data.audit=off"]
        words = ["train", "run", f"--config={self.root}/config.yml", f"--log_root={self.logs}", f"--fold={fold}"]
        words += [f"--channels={list(channels)}".replace(" ", ""), f"--set={','.join(sets)}"]
        words += ["--force"] if force else []
        start_member = Member(tuple(channels), None if start == "control" else fold, "readout").folder
        start_key = sha(self.logs / start / start_member / BEST) if start != "none" else ""
        setting = {
            "stage": stage,
            "fold": fold,
            "channels": tuple(channels),
            "csv": self.csv,
            "pseudo": self.pseudo,
            "audited": audited,
            "variant": f"{variant} {start}",
            "start": start_key,
        }

        def judge(text: str) -> None:
            skipped = "done already, skipped" in text
            self.judge.trained(folder, self.source, setting, skipped, self.audit_key)

        def settle() -> None:
            for place in (folder, folder / RETRAIN):
                if (key := sha(place / BEST)) and key not in self.judge.ledger.nets:
                    self.judge.trained(place, self.source, setting, False, self.audit_key)

        outcome = self.run(words, judge, settle)
        return "already" if "done already, skipped" in self.told.text else outcome

    def do_train_all(self, random: Random) -> str:
        """Train all members of stage full again, from scratch or only those that are not done."""
        force, outcomes = random.random() < 0.7, []
        members = {member.channels for member in find_members(self.logs / "full", RUN, "readout")} | {(1, 2, 3)}
        for channels in sorted(members):
            outcomes += [self.train("full", channels, fold, force) for fold in (0, 1)]
        return "refused" if "refused" in outcomes else outcomes[-1]

    def do_predict(self, random: Random) -> str:
        return self.predict(random.choice(["full"] * 5 + ["pseudo"]), random.choice(VIEW_SETS), random.random() < 0.9)

    def predict(self, stage: str, views: Sequence[str], audited: bool = True) -> str:
        """Run predict-all."""
        words, audit = self._stage_words("predict-all", stage, self.preds, views, audited)

        def judge(_: str) -> None:
            for split in ("test", "valid"):
                self.judge.predicted(self.preds, self.logs / stage, self.source, split, views, audit, "prediction")

        def settle() -> None:
            self.judge.scan(self.preds, self.logs / stage, self.source, audit, "prediction", [views])

        return self.run(words, judge, settle)

    def _stage_words(
        self, command: str, stage: str, out: Path, views: Sequence[str], audited: bool
    ) -> tuple[list[object], str]:
        words: list[object] = [command, f"--model_root={self.logs / stage}", "--model_name=readout", f"--out_dir={out}"]
        words += [f"--tta={','.join(views)}"] if views else []
        audit = self.audit_dir if audited else self.root / "no_audit"
        return [*words, f"--audit_dir={audit}"], sha(audit / "audit.json")

    def do_embed(self, random: Random) -> str:
        views = random.choice(VIEW_SETS)
        words, audit = self._stage_words("embed-all", "full", self.emb, views, random.random() < 0.9)

        def judge(_: str) -> None:
            controls = [one for one in self.source.wells if self.source.is_control(one)]
            for split in ("train", "valid", "test", *(["controls"] if controls else [])):
                self.judge.predicted(self.emb, self.logs / "full", self.source, split, views, audit, "embedding")

        def settle() -> None:
            self.judge.scan(self.emb, self.logs / "full", self.source, audit, "embedding", [views])

        return self.run(words, judge, settle)

    def do_interleave(self, random: Random) -> str:
        """Two predict-all with other views write the same files at the same time."""
        sets = random.sample([("identity",), ("identity", "hflip"), ("identity", "rot90", "vflip")], 2)
        calls = [self._stage_words("predict-all", "full", self.preds, views, True) for views in sets]
        pids = [start([*map(str, words), f"--data_root={self.source.root}"], random.random()) for words, _ in calls]
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
        self.say(f"predict-all {sets} side by side -> {codes}")
        if not set(codes) <= set(ACCEPTED):
            raise Wrong(f"exit: two predict-all side by side ended with {codes}")
        self.judge.scan(self.preds, self.logs / "full", self.source, self.audit_key, "prediction", sets)
        return "right" if codes == [0, 0] else "refused"

    def do_neighbours(self, random: Random) -> str:
        kind = random.choice(["knn", "knn", "centres"])
        words: list[object] = ["neighbours", f"--embed_root={self.emb}", f"--out_dir={self.preds}", f"--kind={kind}"]
        words += ["--centre=off", "--whiten=off", *(["--k=1"] if kind == "knn" else [])]

        def judge(_: str = "", only_new: bool = False) -> None:
            self.judge.neighboured(self.preds, self.emb, self.source, kind, only_new)

        outcome = self.run(words, judge, lambda: judge(only_new=True))
        return "already" if "done already" in self.told.text else outcome

    def do_calibrate(self, random: Random) -> str:
        models, named = self._models(random)

        def judge(_: str = "") -> None:
            self.judge.calibrated(self.preds, self.source, models)

        return self.run(["calibrate", f"--predict_root={self.preds}", *named], judge, judge)

    def _models(self, random: Random) -> tuple[list[str], list[object]]:
        models = random.choice([[], [], ["readout"]])
        return models, [f"--model_names={','.join(models)}"] if models else []

    def _calibration(self, random: Random) -> list[object]:
        return [f"--calibration={self.preds / 'calibration.json'}"] if random.random() < 0.35 else []

    def do_ensemble(self, random: Random) -> str:
        models, named = self._models(random)
        return self.ensemble(models, named, self._calibration(random))

    def ensemble(self, models: Sequence[str], named: Sequence[object], calibration: Sequence[object]) -> str:
        """Run ensemble."""
        out = self.root / "answers"

        def judge(_: str = "") -> None:
            self._fits(calibration, models)
            self.judge.submitted(self.preds, out, self.source, models, not calibration)

        words = ["ensemble", f"--predict_root={self.preds}", f"--out_dir={out}", *named, *calibration]
        return self.run(words, judge, judge)

    def _fits(self, calibration: Sequence[object], models: Sequence[str], split: str = "test") -> None:
        if calibration:
            used: Mapping[str, Made] = self.judge.used(self.preds, self.source, split, models)
            self.judge.fits_calibration(self.preds / "calibration.json", used)

    def do_pseudo(self, random: Random) -> str:
        calibration = self._calibration(random)

        def judge(_: str = "") -> None:
            self._fits(calibration, [])
            self.judge.pseudo_labelled(self.preds, self.pseudo, self.source, self.csv, not calibration)

        words = ["pseudo-label", f"--predict_root={self.preds}", f"--out_dir={self.pseudo}", f"--folds_dir={self.csv}"]
        return self.run([*words, *calibration], judge, judge)

    def do_score(self, random: Random) -> str:
        (models, named), split = self._models(random), random.choice(["test", "valid"])
        calibration = self._calibration(random)
        path = self.preds / ("ladder.json" if split == "test" else "ladder_valid.json")

        def judge(_: str = "") -> None:
            self._fits(calibration, models, split)
            self.judge.scored(self.preds, path, self.source, split, models, not calibration)

        words = ["score", f"--predict_root={self.preds}", f"--split={split}", *named, *calibration]
        return self.run(words, judge, judge)

    def do_channels(self, random: Random) -> str:
        split = random.choice(["test", "valid"])

        def judge(_: str = "") -> None:
            self.judge.used(self.preds, self.source, split)

        return self.run(["channels", f"--predict_root={self.preds}", f"--split={split}"], judge, judge)

    def do_report(self, random: Random) -> str:
        out = self.root / "report.html"

        def judge(_: str = "") -> None:
            from rcic.files.page_record import read_page

            record = read_page(out)
            assert record is not None
            for place in record.made_from["predictions"]:
                folder = Path(place)
                if folder.is_relative_to(self.preds):
                    used = self.judge.used(self.preds, self.source, "test") | self.judge.used(
                        self.preds, self.source, "valid"
                    )
                    if folder.relative_to(self.preds).as_posix() not in used and self._sealed(folder):
                        raise Wrong(f"report: shows {folder}, which may not be used")

        words = ["report", f"--predict_root={self.preds}", f"--log_root={self.logs}", f"--out={out}"]
        words += [f"--audit_dir={self.audit_dir}", "--quality_images=0", "--map_wells=4"]
        if not self._acceptable():
            return self.run(words, lambda _: None, lambda: None)
        return self.run(words, judge, lambda: None)

    @staticmethod
    def _sealed(folder: Path) -> bool:
        return any(prediction_files(folder, split)["record"].exists() for split in ("test", "valid"))

    def _acceptable(self) -> bool:
        """Return whether all predictions may be used: a report leaves out those of a split that may not."""
        try:
            self.judge.used(self.preds, self.source, "test")
            self.judge.used(self.preds, self.source, "valid")
        except Wrong:
            return False
        return True

    def do_check(self, random: Random) -> str:
        full = random.random() < 0.5
        words = ["check", self.root, "--all", f"--mode={'full' if full else 'quick'}"]

        def judge(text: str = "") -> None:
            for line in self.told.text.splitlines():
                state, kind, place = line[:10].strip(), line[12:25].strip(), line[27:].partition(" (made from")[0]
                if state == "sound" and place.startswith(str(self.root)):
                    why = self.judge.stale(kind, Path(place), self.source, full, self.logs)
                    if why:
                        raise Wrong(
                            f"check: {'full' if full else 'quick'}: {kind} {place} is sound, it says; but: {why}"
                        )

        outcome = self.run(words, judge, lambda: None)
        judge()
        return "right" if outcome == "refused" and "results: " in self.told.text else outcome

    def do_pack(self, random: Random) -> str:
        out, source = self.root / "packed", self.world.files
        self.world.uses_packed = False
        if random.random() < 0.5:
            shutil.rmtree(out, ignore_errors=True)
            self.world.packed = None

        def judge(_: str = "") -> None:
            packed = self.world.packed_from(source, out)
            if self.world.packed is None:
                self.world.packed = packed
            elif self.world.packed.packed != packed.packed:
                self._packed_again(self.world.packed, packed)

        outcome = self.run(["data", "pack", f"--out_dir={out}", "--workers=1"], judge, lambda: None)
        if outcome == "killed":
            self.world.packed = None
            shutil.rmtree(out, ignore_errors=True) if random.random() < 0.5 else None
        return outcome

    def _packed_again(self, then: Source, now: Source) -> None:
        """Judge a pack that ended with 0 where a packed screen was: what it holds must be that of now."""
        assert then.packed is not None and now.packed is not None
        for key, shown in now.packed.items():
            noticed = then.packed_visible.get(key[0]) != now.packed_visible.get(key[0])
            if noticed and then.packed.get(key, shown) != shown:
                raise Wrong(f"pack: {key} was packed from another image, and pack says that it is done")
        then.packed = {**now.packed, **then.packed}  # plates that were there are left as they are
        then.packed_visible = {**now.packed_visible, **then.packed_visible}
        then.wells, then.spec = now.wells, now.spec

    # the screen changes

    def do_redraw(self, random: Random) -> str:
        self.world.redraw(random)
        return "edit"

    def _edited(self) -> str:
        self.source.write_tables()
        return "edit"

    def do_rename_label(self, random: Random) -> str:
        labels = self._treatments()
        free = [f"cmp{chr(number)}" for number in range(ord("a"), ord("z") + 1) if f"cmp{chr(number)}" not in labels]
        old, new = random.choice(labels), random.choice(free)
        for one in self.source.wells:
            one.label = new if one.label == old else one.label
        self.world.substances[new] = self.world.substances.pop(old, 0)
        return self._edited()

    def _treatments(self) -> list[str]:
        return sorted({one.label for one in self.source.wells if not self.source.is_control(one)})

    def do_swap_labels(self, random: Random) -> str:
        one, other = random.sample(self._treatments(), 2)
        swapped = {one: other, other: one}
        batches = random.choice([self.source.batches("train"), self.source.batches("train")[:1], ["b4"]])
        for well in self.source.wells:
            if well.batch in batches:
                well.label = swapped.get(well.label, well.label)
        return self._edited()

    def do_add_plate(self, random: Random) -> str:
        if self.source.packed is not None:
            return "nothing"
        batch = random.choice(sorted({one.batch for one in self.source.wells}))
        there = {one.barcode for one in self.source.wells if one.batch == batch}
        split = next(one.split for one in self.source.wells if one.batch == batch)
        if free := sorted({"P0", "P1", "P2", "P3", "P10", "X3"} - there):
            self.world.add_plate(self.source, batch, random.choice(free), split, random)
        return self._edited()

    def do_remove_plate(self, random: Random) -> str:
        plates = [name for name in self.source.plates() if self._n_plates(name.partition("/")[0]) > 1]
        if plates:
            plate = random.choice(sorted(plates))
            self.source.wells = [one for one in self.source.wells if one.plate != plate]
        return self._edited()

    def _n_plates(self, batch: str) -> int:
        return len({one.barcode for one in self.source.wells if one.batch == batch})

    def do_move_experiment(self, random: Random) -> str:
        split = random.choice(["train", "test"])
        batches, least = self.source.batches(split), 3 if split == "train" else 2
        if len(batches) >= least:
            batch = random.choice(batches)
            for one in self.source.wells:
                if one.batch == batch:
                    one.split = "test" if split == "train" else "train"
        return self._edited()

    def do_reorder(self, random: Random) -> str:
        random.shuffle(self.source.wells)
        return self._edited()

    def do_rename_experiment(self, random: Random) -> str:
        source = self.source
        old = random.choice(sorted({one.batch for one in source.wells}))
        new = f"b{random.randrange(5, 30)}"
        if source.packed is not None or new in {one.batch for one in source.wells}:
            return "nothing"
        for one in source.wells:
            one.batch = new if one.batch == old else one.batch
        folder = source.root / source.spec.folder
        shutil.rmtree(folder / new, ignore_errors=True)
        if (folder / old).exists():
            (folder / old).rename(folder / new)
        begin = f"{source.spec.folder}/{old}/"
        source.files = {
            name.replace(begin, f"{source.spec.folder}/{new}/", 1) if name.startswith(begin) else name: shown
            for name, shown in source.files.items()
            if not name.startswith(f"{source.spec.folder}/{new}/")
        }
        return self._edited()

    def do_rename_control(self, random: Random) -> str:
        kind = random.choice(sorted(self.source.spec.controls))
        old, new = self.source.spec.controls[kind], random.choice(["DMSO", "MOCK", "POS", "UBB", "PLK"])
        if new not in self.source.spec.controls.values():
            self.source.spec.controls[kind] = new
            for one in self.source.wells:
                one.label = new if one.label == old else one.label
            self.world.substances[new] = self.world.substances.pop(old, 1)
        return self._edited()

    def do_swap_channels(self, random: Random) -> str:
        one, other = random.sample(self.source.spec.channels, 2)
        one.word, other.word = other.word, one.word
        return self._edited()

    def do_rename_channel(self, random: Random) -> str:
        channel = random.choice(self.source.spec.channels)
        channel.name = random.choice([f"{channel.word} stain", channel.word, "nucleus", "actin", "golgi"])
        if len({one.name for one in self.source.spec.channels}) < len(self.source.spec.channels):
            channel.name = f"{channel.word} new"
        return self._edited()

    def do_levels(self, random: Random) -> str:
        random.choice(self.source.spec.channels).clip = random.randrange(4)
        return self._edited()

    def do_sites(self, random: Random) -> str:
        self.source.spec.sites = random.choice([[1], [2], [1, 2], [1, 2]])
        return self._edited()

    def do_pattern(self, random: Random) -> str:
        source = self.source
        if source.packed is not None:
            return "nothing"
        old, new = source.spec.folder, "pics" if source.spec.folder == "img" else "img"
        (source.root / old).rename(source.root / new)
        source.spec.folder = new
        source.files = {f"{new}{name.removeprefix(old)}": shown for name, shown in source.files.items()}
        return self._edited()

    def do_replace(self, random: Random) -> str:
        self.world.replace(random, in_place=random.random() < 0.5, other_size=random.random() < 0.6)
        return "edit"

    def do_copy_over(self, random: Random) -> str:
        """Copy an image over another one of its channel."""
        source = self.world.files
        names = sorted(name for name in source.files if (source.root / name).exists())
        name = random.choice(names)
        alike = [one for one in names if one.rpartition("_")[2] == name.rpartition("_")[2] and one != name]
        other = random.choice(alike)
        put(source.root / name, (source.root / other).read_bytes(), random.random() < 0.5)
        source.files[name] = source.files[other]
        return "edit"

    def do_damage(self, random: Random) -> str:
        """Delete an image, or cut it."""
        source = self.world.files
        name = random.choice(sorted(name for name, shown in source.files.items() if shown is not None))
        if random.random() < 0.5:
            (source.root / name).unlink()
            source.files.pop(name)
        else:
            put(source.root / name, (source.root / name).read_bytes()[:100], random.random() < 0.5)
            source.files[name] = None
        return "edit"

    def do_repair(self, random: Random) -> str:
        """Draw again what lacks or is damaged."""
        source = self.world.files
        for one in source.wells:
            place = self.judge._place(source, one)
            for site in (1, 2):
                for stain, channel in self.world._stains(source):
                    name = source.path(one, site, channel)
                    if source.files.get(name) is None and place >= 0:
                        kinds = [e[2].phenotype for e in source.content(one) if e[2] is not None]
                        shown = Shown(place, site, stain, 0, kinds[0])
                        put_new(source, name, encoded(shown, random.randrange(10**6), 0))
                        source.files[name] = shown
        return "edit"

    def do_touch(self, random: Random) -> str:
        now = time.time() - random.randrange(10**6)
        for path in [self.source.root, *self.source.root.rglob("*")]:
            os.utime(path, (now, now))
        return "edit"

    def do_copy_root(self, random: Random) -> str:
        source, self.world.n_roots = self.world.files, self.world.n_roots + 1
        new = self.root / f"data{self.world.n_roots}"
        shutil.copytree(source.root, new, copy_function=shutil.copy2 if random.random() < 0.5 else shutil.copyfile)
        shutil.rmtree(source.root)
        source.root = new
        return "edit"

    def do_use_packed(self, random: Random) -> str:
        self.world.uses_packed = self.world.packed is not None and not self.world.uses_packed
        return "edit"

    # accidents with results

    def do_move_logs(self, random: Random) -> str:
        return self._move("logs")

    def do_move_predictions(self, random: Random) -> str:
        return self._move("preds")

    def _move(self, name: str) -> str:
        old, self.n_moved = getattr(self, name), self.n_moved + 1
        new = self.root / f"{name}{self.n_moved}"
        if old.exists():
            old.rename(new)
            setattr(self, name, new)
        return "edit"

    def do_swap_folders(self, random: Random) -> str:
        """Exchange the run folders of two folds."""
        root = self.logs / "full" / "[1,2,3]"
        if (root / "fold_0").exists() and (root / "fold_1").exists():
            (root / "fold_0").rename(root / "other")
            (root / "fold_1").rename(root / "fold_0")
            (root / "other").rename(root / "fold_1")
        return "edit"

    def do_copy_predictions(self, random: Random) -> str:
        """Copy predictions, or some of their files, over those of another member."""
        members = find_members(self.preds, prediction_files(Path(), "test")["logits"].name)
        if len(members) < 2:
            return "nothing"
        one, other = random.sample(members, 2)
        for split in random.choice([("test",), ("valid",), ("test", "valid")]):
            a, b = (prediction_files(self.preds / member.folder, split) for member in (one, other))
            for name in a if random.random() < 0.5 else random.sample(sorted(a), 2):
                if a[name].exists():
                    shutil.copyfile(a[name], b[name])
        return "edit"

    def _records(self) -> list[Path]:
        roots = (self.csv, self.audit_dir, self.logs, self.preds, self.emb, self.pseudo, self.root / "answers")
        return sorted(path for root in roots if root.exists() for path in root.rglob("*.json"))

    def do_delete_record(self, random: Random) -> str:
        if records := self._records():
            random.choice(records).unlink()
        return "edit"

    def do_edit_record(self, random: Random) -> str:
        """Change a value of a record by hand."""
        if records := self._records():
            path = random.choice(records)
            content = json.loads(path.read_text())
            place, keys = content, []
            while isinstance(place, dict) and place:
                keys.append(random.choice(sorted(place)))
                place = place[keys[-1]]
            owner = content
            for key in keys[:-1]:
                owner = owner[key]
            owner[keys[-1]] = random.choice(["x", 3, ["identity"], "done"])
            if owner[keys[-1]] != place:
                path.write_text(json.dumps(content, indent=1))
        return "edit"

    def do_delete_best(self, random: Random) -> str:
        if found := sorted(self.logs.rglob("best.pth")):
            random.choice(found).unlink()
        return "edit"

    def do_damage_array(self, random: Random) -> str:
        """Change a byte of a result's array or table."""
        found = sorted([*self.preds.rglob("*.npy"), *self.emb.rglob("*.npy"), *self.preds.rglob("pred_*.csv")])
        found += sorted([*self.logs.rglob("*.pth"), *self.csv.glob("*_*.csv"), *self.pseudo.glob("*.csv")])
        if found:
            path = random.choice(found)
            data = bytearray(path.read_bytes())
            data[random.randrange(len(data))] ^= 1
            path.write_bytes(data)
        return "edit"

    def do_kill(self, random: Random) -> str:
        name = random.choice(sorted(COMMANDS))
        self.kill = (random.choice([1, 2, 3, 4, 5, 6, 8, 10, 14]), random.random() < 0.5)
        outcome = getattr(self, f"do_{name}")(random)
        self.kill = (0, False)
        return f"{outcome}"

    # the sequence that must always help

    def do_renew(self, random: Random) -> str:
        """Run the fixed sequence; each of its commands must end with 0, and its answers be right."""
        self.world.uses_packed = False
        self.do_repair(random)
        self._fixed("audit", self._fixed_audit())
        self._fixed("folds", self.do_folds(random))
        known = [(self.logs / "full", RUN), (self.logs / "full", BEST), (self.preds, "pred_test.npy")]
        members = {member.channels for root, name in known for member in find_members(root, name, "readout")}
        for channels in sorted({*members, (1, 2, 3)}):
            for fold in (0, 1):
                self._fixed("train --force", self.train("full", channels, fold, force=True))
        self._fixed("predict-all", self.predict("full", ()))
        self._fixed("ensemble", self.ensemble(["readout"], ["--model_names=readout"], []))
        return "right"

    def _fixed_audit(self) -> str:
        words = ["data", "audit", f"--out_dir={self.audit_dir}", "--on_bad=drop", "--workers=1"]
        return self.run(words, lambda _: self.judge.audited(self.audit_dir, self.source, "full"), lambda: None)

    def _fixed(self, name: str, outcome: str) -> None:
        if outcome not in ("right", "already"):
            raise Wrong(f"useless: {name}: {self.told.text[-600:]}")


COMMANDS = {
    "audit": 6,
    "folds": 4,
    "train": 12,
    "predict": 12,
    "embed": 6,
    "neighbours": 6,
    "calibrate": 4,
    "ensemble": 10,
    "pseudo": 5,
    "score": 5,
    "channels": 3,
    "report": 2,
    "check": 6,
    "pack": 2,
    "interleave": 2,
    "train_all": 2,
}
EDITS = {
    "redraw": 1,
    "rename_label": 2,
    "swap_labels": 3,
    "add_plate": 3,
    "remove_plate": 2,
    "move_experiment": 2,
    "reorder": 2,
    "rename_experiment": 1,
    "rename_control": 1,
    "swap_channels": 2,
    "rename_channel": 1,
    "levels": 2,
    "sites": 1,
    "pattern": 1,
    "replace": 6,
    "copy_over": 1,
    "damage": 1,
    "repair": 1,
    "touch": 1,
    "copy_root": 1,
    "use_packed": 2,
    "move_logs": 1,
    "move_predictions": 1,
    "swap_folders": 1,
    "copy_predictions": 4,
    "delete_record": 1,
    "edit_record": 2,
    "delete_best": 1,
    "damage_array": 3,
}
RENEW_EVERY = 50
ACCIDENTS = ("copy_predictions", "damage_array", "edit_record", "delete_best", "swap_folders", "delete_record")
MORE = ("pseudo", "train", "train", "train", "predict", "channels", "score")
READERS = ("ensemble", "score", "neighbours", "calibrate", "pseudo", "predict", "check")


def _judged(judge: Callable[[str], None], text: str) -> None:
    """Judge what a command left; files that the model cannot even read are wrong, too."""
    try:
        judge(text)
    except Wrong:
        raise
    except Exception as error:
        raise Wrong(f"judge: {type(error).__name__} {error}") from error


def put_new(source: Source, name: str, data: bytes) -> None:
    """Write an image file that was not there."""
    path = source.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    put(path, data, False)


def start(words: Sequence[str], jitter: float) -> int:
    """Start a command in a forked process whose renames take their time; return the process' id."""
    if (pid := os.fork()) == 0:
        slow, call = Random(jitter), os.replace
        code: Any = 70
        try:
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, 1)
            os.dup2(null, 2)

            def late(*arguments: Any, **named: Any) -> None:
                time.sleep(slow.random() * 0.02)
                call(*arguments, **named)

            os.replace = late  # type: ignore[assignment]
            sys.argv[:] = ["rcic", *words]
            from rcic.cli.main import main

            main("rcic")
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
        finally:
            os._exit(code)
    return pid


def plan(seed: int, n_steps: int) -> list[Step]:
    """Return the steps of a history: commands, edits, kills; after an edit often what a user would do next."""
    random = Random(seed)
    steps: list[Step] = [("renew", random.randrange(10**9))]
    queue: list[str] = []
    while len(steps) < n_steps:
        if len(steps) % RENEW_EVERY == 0:
            name = "renew"
            queue = [random.choice(ACCIDENTS), *random.sample(READERS, 2)] if random.random() < 0.5 else [*MORE]
        elif queue:
            name = queue.pop(0)
        else:
            share = random.random()
            name = _weighted(EDITS if share < 0.4 else COMMANDS, random) if share < 0.9 else "kill"
            if random.random() < (0.8 if name in ACCIDENTS else 0.4 if share < 0.4 else 0):
                queue = random.sample(READERS, 2)
            elif share < 0.4 and random.random() < 0.7:
                queue = [step for step in RENEWAL if random.random() < 0.8]
        steps.append((name, random.randrange(10**9)))
    return steps


def _weighted(weights: Mapping[str, int], random: Random) -> str:
    return random.choices(list(weights), list(weights.values()))[0]


def walk(steps: Sequence[Step], root: Path, seed: int, until: float = float("inf")) -> tuple[Walker, Failure | None]:
    """Carry out steps in an empty folder, until the first wrong answer or a time; return the walker and the failure."""
    walker = Walker(root, seed)
    for number, step in enumerate(steps):
        if time.monotonic() > until:
            break
        walker.say(f"{number} {step}")
        try:
            walker.take(step)
        except Wrong as wrong:
            return walker, Failure(number, step, str(wrong))
    return walker, None


def shrink(steps: Sequence[Step], root: Path, seed: int, failure: Failure, seconds: float) -> list[Step]:
    """Return fewer steps that fail in the same way; tries to drop parts, the largest first, for some seconds."""
    kept, end = list(steps[: failure.number + 1]), time.monotonic() + seconds
    size = len(kept) // 2
    while size:
        at = 0
        while at < len(kept) - 1 and time.monotonic() < end:
            fewer = [*kept[:at], *kept[min(at + size, len(kept) - 1) :]]
            found = walk(fewer, root, seed)[1]
            if found is not None and found.kind == failure.kind:
                kept = fewer[: found.number + 1]
            else:
                at += size
        size //= 2
    return kept


def prepare() -> None:
    """Import everything once, with one thread, so that forked processes start at once."""
    import cv2
    import torch

    import rcic
    from tests.properties import readout

    for module in pkgutil.walk_packages(rcic.__path__, "rcic."):
        if not module.name.startswith(("rcic.launch.on_", "rcic.__main__")):
            importlib.import_module(module.name)
    for name in ("torch._dynamo", "zarr", "sklearn", "scipy.optimize"):
        importlib.import_module(name)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    readout.install()


PLANTED: dict[str, tuple[str, str, Any]] = {  # faults that a walk must find: module, name, what is there instead
    "predictions count as done": ("rcic.learn.predict.predict_all", "is_predicted", lambda job: _has_record(job.files)),
    "trainings count as done": ("rcic.learn.runs.retraining", "is_done", lambda folder, *_: (folder / BEST).exists()),
    "other screens' arrays are read": ("rcic.ensemble.array_origin", "_other_screen", lambda *_: ""),
    "other networks' calibrations are used": ("rcic.ensemble.calibration", "_check_networks", lambda *_: None),
    "other files' arrays are read": ("rcic.ensemble.array_origin", "check_files", lambda *_: None),
    "learnt wells are predicted": ("rcic.learn.predict.jobs", "_check_unseen", lambda *_: None),
    "the bank's labels do not count": ("rcic.profiles.neighbours", "is_written", lambda path, _: path.exists()),
}


def _has_record(files: Mapping[str, Path]) -> bool:
    return files["record"].exists() and prediction_files(files["record"].parent, "test")["record"].exists()


def as_markdown(walker: Walker, seed: int, n_steps: int) -> str:
    """Return the counts by step and outcome as a table."""
    outcomes = ["right", "already", "refused", "killed", "edit", "nothing"]
    names = list(dict.fromkeys(name for name in ("renew", *COMMANDS, "kill", *EDITS)))
    lines = [
        f"Seed {seed}, {n_steps:,} steps.",
        "",
        f"| step | {' | '.join(outcomes)} |",
        "|---|" + "---:|" * len(outcomes),
    ]
    for name in names:
        counts = [walker.counts[name, outcome] for outcome in outcomes]
        if any(counts):
            lines.append(f"| {name} | {' | '.join(str(count or '') for count in counts)} |")
    total = [sum(walker.counts[name, outcome] for name in names) for outcome in outcomes]
    return "\n".join([*lines, f"| all | {' | '.join(map(str, total))} |"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--root", type=Path)
    parser.add_argument("--shrink", type=float, default=0.0, help="seconds to look for a shorter history")
    parser.add_argument("--replay", type=Path, help="a file of steps, as a failure prints them")
    parser.add_argument("--plant", choices=PLANTED, help="a fault to put into the program first")
    given = parser.parse_args()
    prepare()
    if given.plant:
        module, name, instead = PLANTED[given.plant]
        setattr(importlib.import_module(module), name, instead)
    steps = (
        [tuple(step) for step in json.loads(given.replay.read_text())]
        if given.replay
        else plan(given.seed, given.steps)
    )
    with tempfile.TemporaryDirectory() as folder:
        root = given.root or Path(folder) / "history"
        walker, failure = walk(steps, root, given.seed)
        if failure is None:
            print(as_markdown(walker, given.seed, len(steps)))
            return
        print("\n".join(walker.trace[-60:]))
        print(f"step {failure.number} {failure.step}: {failure.reason}")
        if given.shrink:
            steps = shrink(steps, root, given.seed, failure, given.shrink)
            walker, again = walk(steps, root, given.seed)
            print("\n".join(["shorter:", *walker.trace, "" if again is None else again.reason, json.dumps(steps)]))
        sys.exit(1)


if __name__ == "__main__":
    main()
