"""What is true in a history, and the verdict on an answer: the model never asks the program.

Everything that a command wrote is known here by the sha256 of its bytes (`Ledger`): which network with which lesson,
which predictions from which images. `Judge` raises `Wrong` for an answer that the promises of
`tests.properties.histories` do not allow.
"""

import csv
import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rcic.files.names import BEST, RUN, Member, embedding_files, find_members, prediction_files
from tests.properties.history_world import Content, Source, Well, World
from tests.properties.readout import PHENOTYPES, code_of, embedded_codes

TOLERANCE = 0.3  # between codes that differ by whole numbers


class Wrong(AssertionError):
    """An answer that is not true; the first word of its message names the kind."""


@dataclass(frozen=True)
class Sight:
    """What could be known of some wells when a result was made: what they showed, and what names and audit told."""

    shown: Mapping[str, Content]  # code -> what the used channels showed
    visible: Mapping[str, str]  # plate -> names and sizes
    audited: Mapping[str, Content]  # code -> what all channels showed when they were read in full
    plate_of: Mapping[str, str]  # code -> plate


@dataclass(frozen=True)
class Net:
    """A trained network: what it was taught, from what."""

    stage: str
    fold: int | None
    channels: tuple[int, ...]
    classes: tuple[str, ...]
    lesson: Mapping[str, tuple[str, int]]  # code -> label, place (of the training wells)
    held_out: tuple[str, ...]
    teaching: Mapping[int, frozenset[str]]  # phenotype -> labels
    words: tuple[Any, ...]  # of its channels in the spec
    facts: Mapping[str, tuple[Any, ...]]  # experiment -> its wells in the tables
    sight: Sight
    views: tuple[str, ...] = ("identity",)
    pseudo: bool = False  # whether it, or what it started from, has seen test wells
    seen: frozenset[int] = frozenset()  # places
    variant: str = ""  # of the config


@dataclass(frozen=True)
class Made:
    """Predictions or embeddings: by which network, of which wells, from what."""

    kind: str
    split: str
    net: str
    views: tuple[str, ...]
    channels: tuple[int, ...]
    classes: tuple[str, ...]
    words: tuple[Any, ...]
    stains: tuple[int, ...]
    places: Mapping[str, int]
    facts: Mapping[str, tuple[Any, ...]]
    sight: Sight
    inputs: tuple[tuple[Path, str, str], ...] = ()  # of neighbours: folder, split and identity of their embeddings

    @property
    def network(self) -> tuple[Any, ...]:
        return self.net, self.views


@dataclass(frozen=True)
class Audited:
    """What an audit has seen."""

    mode: str
    contents: Mapping[str, Content]  # code -> what all channels showed
    visible: Mapping[str, str]  # plate -> names and sizes
    times: Mapping[str, int]  # plate -> modification time of its folder
    origin: Any

    def is_of(self, source: Source, origin: Any) -> bool:
        """Return whether a reader takes it for an audit of the images of now: by times first, then names and sizes."""
        return origin == self.origin and all(
            source.time(plate) == self.times.get(plate) or source.visible(plate) == self.visible.get(plate)
            for plate in source.plates()
        )


@dataclass
class Ledger:
    """What was made, by the sha256 of the files."""

    nets: dict[str, Net] = field(default_factory=dict)
    made: dict[str, Made] = field(default_factory=dict)
    audits: dict[str, "Audited"] = field(default_factory=dict)
    pseudo: dict[str, Mapping[str, tuple[str, int]]] = field(default_factory=dict)
    answers: dict[str, tuple[tuple[str, ...], Mapping[str, tuple[Any, ...]]]] = field(default_factory=dict)
    folds: dict[str, Mapping[str, tuple[Any, ...]]] = field(default_factory=dict)
    last_key: dict[str, str] = field(default_factory=dict)  # of arrays -> of arrays and record
    records: set[str] = field(default_factory=set)  # those that a command wrote


def sha(*paths: Path) -> str:
    """Return the identity of the bytes of some files, "" if one is missing."""
    digest = hashlib.sha256()
    for path in paths:
        if not path.is_file():
            return ""
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def words_of(source: Source, channels: Sequence[int]) -> tuple[Any, ...]:
    """Return the part of the spec that decides on the pixels of some channels."""
    known = source.spec.channels
    if max(channels) > len(known):
        return ("fewer channels",)
    return tuple(
        (number, known[number - 1].name, known[number - 1].word, known[number - 1].clip) for number in channels
    )


def facts_of(source: Source, batches: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    """Return what the tables say of experiments, without the labels of test treatments."""
    facts: dict[str, list[Any]] = {}
    for one in source.wells:
        if one.batch in batches:
            control = source.is_control(one)
            label = one.label if control or one.split == "train" else ""
            facts.setdefault(one.batch, []).append((one.barcode, one.well, one.split, control, label))
    return {batch: tuple(sorted(rows)) for batch, rows in facts.items()}


def read_table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


class Judge:
    """Compares what commands leave with the world."""

    def __init__(self, world: World) -> None:
        self.world, self.ledger = world, Ledger()

    # what is known now

    def sight(self, source: Source, wells: Sequence[Well], channels: Sequence[int], audit: str) -> Sight:
        """Return what can be known of wells now; ``audit`` is the identity of the audit in use."""
        plates = {one.plate for one in wells}
        visible, audited = {plate: source.visible(plate) for plate in plates}, dict[str, Content]()
        found = self.ledger.audits.get(audit)
        if source.packed is not None:
            audited = {one.code: source.content(one) for one in wells}
        elif found is not None and found.is_of(source, self.origin(source)):
            visible = {plate: found.visible[plate] for plate in plates}
            if found.mode == "full":
                audited = {one.code: found.contents[one.code] for one in wells}
        shown = {one.code: source.content(one, channels) for one in wells}
        return Sight(shown, visible, audited, {one.code: one.plate for one in wells})

    @staticmethod
    def unnoticed(code: str, then: Sight, now: Sight) -> bool:
        """Return whether nothing that a command looks at tells that a well's images changed."""
        plate = then.plate_of.get(code, "")
        if then.visible.get(plate) != now.visible.get(plate):
            return False
        before, after = then.audited.get(code), now.audited.get(code)
        return before is None or after is None or before == after

    def changed(self, then: Sight, now: Sight) -> str:
        """Return the first well whose images changed so that it must be noticed, "" if there is none."""
        for code, shown in then.shown.items():
            if now.shown.get(code) != shown and not self.unnoticed(code, then, now):
                return code
        return ""

    # trainings

    def lesson(
        self, source: Source, stage: str, fold: int, csv_dir: Path, pseudo_dir: Path
    ) -> tuple[dict[str, tuple[str, int]], list[str]]:
        """Return code -> (label, place) of the training wells and the codes of the held-out ones, by the tables."""
        known = source.by_code()
        if stage == "control":
            rows = [one for one in source.wells if source.is_control(one)]
            return {one.code: (one.label, self._place(source, one)) for one in rows}, []
        lesson: dict[str, tuple[str, int]] = {}
        for row in read_table(csv_dir / f"train_{fold}.csv"):
            well = known.get(row["id_code"])
            if well is None or well.split != "train" or well.label != row["compound"]:
                raise Wrong(f"lesson: {row} of train_{fold}.csv is not so in the tables")
            lesson[well.code] = well.label, self._place(source, well)
        held_out = [row["id_code"] for row in read_table(csv_dir / f"valid_{fold}.csv")]
        if {known[code].batch for code in held_out} & {known[code].batch for code in lesson}:
            raise Wrong("lesson: a held-out experiment is trained on")
        if stage == "pseudo":
            path = pseudo_dir / "pseudo.csv"
            then = self.ledger.pseudo.get(sha(path))
            for row in read_table(path):
                well = known.get(row["id_code"])
                if well is None or well.split != "test":
                    raise Wrong(f"lesson: {row} of pseudo.csv is no test well")
                is_sealed = (pseudo_dir / "pseudo.json").exists()
                if is_sealed and then is not None and then[well.code] != (row["compound"], self._place(source, well)):
                    raise Wrong(f"lesson: {row} of pseudo.csv was another well when it was labelled")
                lesson[well.code] = row["compound"], self._place(source, well)
        return lesson, held_out

    @staticmethod
    def _place(source: Source, well: Well) -> int:
        """Return the place that a well's images show: that of most of them."""
        shown = [entry[2].place for entry in source.content(well) if entry[2] is not None]
        return max(sorted(set(shown)), key=shown.count) if shown else -1

    def trained(self, folder: Path, source: Source, setting: Mapping[str, Any], skipped: bool, audit: str) -> None:
        """Judge a run folder whose training ended with 0, "done already" or not."""
        channels, stage, fold = setting["channels"], setting["stage"], setting["fold"]
        lesson, held_out = self.lesson(source, stage, fold, setting["csv"], setting["pseudo"])
        wells = [one for one in source.wells if one.code in lesson or one.code in held_out]
        sight = self.sight(source, wells, channels, audit if setting["audited"] else "")
        labels = sorted(set(source.spec.controls.values())) if stage == "control" else source.treatments()
        key = sha(folder / BEST)
        if skipped:
            self._same_training(folder, key, lesson, tuple(labels), words_of(source, channels), sight)
            if self.ledger.nets[key].variant != setting["variant"]:
                raise Wrong(f"done: {folder} was trained with another config")
            return
        self.ledger.nets[key] = self.net(folder, source, setting, lesson, held_out, labels, sight)

    def net(
        self,
        folder: Path,
        source: Source,
        setting: Mapping[str, Any],
        lesson: Mapping[str, tuple[str, int]],
        held_out: Sequence[str],
        labels: Sequence[str],
        sight: Sight,
    ) -> Net:
        """Return the network in a run folder, whose memory of places is compared with its lesson."""
        import torch

        start = self.ledger.nets.get(setting["start"]) if setting["start"] else None
        seen = torch.load(folder / BEST, weights_only=True)["model"]["trunk.seen"].nonzero().flatten().tolist()
        taught = {entry[2].place for code in lesson for entry in sight.shown.get(code, ()) if entry[2] is not None}
        before = frozenset() if start is None else start.seen
        if alien := set(seen) - taught - before:
            raise Wrong(f"network: {folder} has seen places {sorted(alien)}, which are not in its tables")
        teaching: dict[int, list[str]] = {}
        for code, (label, _) in lesson.items():
            for entry in sight.shown.get(code, ()):
                if entry[2] is not None and entry[1] == setting["channels"][0]:
                    teaching.setdefault(entry[2].phenotype, []).append(label)
        batches = sorted({one.batch for one in source.wells if one.code in lesson or one.code in held_out})
        return Net(
            stage=setting["stage"],
            fold=None if setting["stage"] == "control" else setting["fold"],
            channels=tuple(setting["channels"]),
            classes=tuple(labels),
            lesson=dict(lesson),
            held_out=tuple(held_out),
            teaching={
                kind: frozenset(names) for kind, names in teaching.items() if len(names) > 1
            },  # one may be left out
            words=words_of(source, setting["channels"]),
            facts=facts_of(source, batches),
            sight=sight,
            pseudo=setting["stage"] == "pseudo" or (start is not None and start.pseudo),
            seen=frozenset(seen),
            variant=setting["variant"],
        )

    def _same_training(
        self,
        folder: Path,
        key: str,
        lesson: Mapping[str, tuple[str, int]],
        labels: tuple[str, ...],
        words: tuple[Any, ...],
        sight: Sight,
    ) -> None:
        net = self.ledger.nets.get(key)
        if net is None:
            raise Wrong(f"done: {folder} has weights that no training left")
        if dict(net.lesson) != dict(lesson) or net.classes != labels:
            unlike = {code for code in {**net.lesson, **lesson} if net.lesson.get(code) != lesson.get(code)}
            if net.classes != labels or any(not self._moved(net, lesson, code, sight) for code in unlike):
                raise Wrong(f"done: {folder} was trained on other wells, labels or classes: {sorted(unlike)[:3]}")
        if net.words != words:
            raise Wrong(f"done: {folder} was trained with other channels, {net.words}, not {words}")
        if code := self.changed(net.sight, sight):
            raise Wrong(f"done: {folder} was trained on other images of {code}")

    def _moved(self, net: Net, lesson: Mapping[str, tuple[str, int]], code: str, sight: Sight) -> bool:
        """Return whether only the images of a well differ, and nothing tells."""
        both = code in net.lesson and code in lesson and net.lesson[code][0] == lesson[code][0]
        return both and self.unnoticed(code, net.sight, sight)

    # predictions and embeddings

    def predicted(
        self, out: Path, model_root: Path, source: Source, split: str, views: Sequence[str], audit: str, kind: str
    ) -> None:
        """Judge the files that predict-all or embed-all left for every finished member below ``model_root``."""
        for member in find_members(model_root, BEST, None):
            folder = model_root / member.folder
            status = json.loads((folder / RUN).read_text()).get("status") if (folder / RUN).exists() else "done"
            if status != "done":
                continue
            files = (prediction_files if kind == "prediction" else embedding_files)(out / member.folder, split)
            key, net_key = self.file_key(files), sha(folder / BEST)
            if not key:
                raise Wrong(f"predicted: {out / member.folder} has no files of {split}")
            net = self.ledger.nets.get(net_key)
            if net is None:
                raise Wrong(f"predicted: by {folder}, whose weights no training left")
            now = self.made(files, net, net_key, source, split, views or net.views, audit, kind)
            earlier = self.ledger.made.get(key)
            if earlier is not None and earlier.network != now.network:
                raise Wrong(f"predicted: {out / member.folder} has what another network made, or other views")
            self.ledger.made[key] = now
            self.ledger.records.add(sha(files["record"]))

    def scan(self, out: Path, model_root: Path, source: Source, audit: str, kind: str, choices: Sequence[Any]) -> None:
        """After a kill: note which files are whole and true, without a verdict on the others."""
        splits = ("test", "valid") if kind == "prediction" else ("train", "valid", "test", "controls")
        for member, split in itertools.product(find_members(model_root, BEST, None), splits):
            files = (prediction_files if kind == "prediction" else embedding_files)(out / member.folder, split)
            key, net_key = self.file_key(files), sha(model_root / member.folder / BEST)
            net = self.ledger.nets.get(net_key)
            if not key or net is None or key in self.ledger.made:
                continue
            for views in choices:
                try:
                    made = self.made(files, net, net_key, source, split, views or net.views, audit, kind)
                except (Wrong, ValueError, KeyError, IndexError):
                    continue
                self.ledger.made[key] = made
                self.ledger.records.add(sha(files["record"]))

    def file_key(self, files: Mapping[str, Path]) -> str:
        """Return the identity of arrays and their record; without a record that under which they were noted last."""
        arrays = sha(files["logits" if "logits" in files else "embeddings"], files["wells"])
        if not arrays:
            return ""
        if not files["record"].exists():
            return self.ledger.last_key.get(arrays, arrays)
        key = f"{arrays} {sha(files['record'])}"
        self.ledger.last_key[arrays] = key
        return key

    def made(
        self,
        files: Mapping[str, Path],
        net: Net,
        net_key: str,
        source: Source,
        split: str,
        views: Sequence[str],
        audit: str,
        kind: str,
    ) -> Made:
        """Return what files must be that a network made now; Wrong if they are not."""
        array = np.load(files["logits" if kind == "prediction" else "embeddings"])
        codes = [row["id_code"] for row in read_table(files["wells"])]
        earlier = self.ledger.made.get(self.file_key(files))
        wanted = self._wells(source, net, split)
        if strange := [code for code in codes if code not in wanted]:
            raise Wrong(f"rows: {files['wells']} has {strange[:3]}, no {split} wells of this network")
        sight = self.sight(source, list(wanted.values()), net.channels, audit)
        known = self._then(earlier, sight)
        for code in wanted.keys() - set(codes):
            if not self._may_lack(source, wanted[code]):
                raise Wrong(f"rows: {files['wells']} lacks {code}, whose images are sound")
        labels = source.treatments()
        if kind == "prediction" and (array.shape[1] != len(labels) or tuple(labels) != net.classes):
            raise Wrong(f"classes: {files['logits']} are of {net.classes}, the tables have {labels}")
        found = array.mean(1) if kind == "prediction" else embedded_codes(array)
        for row, code in enumerate(codes):
            may_know = split in ("train", "controls") or (
                split == "test" and (net.pseudo or wanted[code].batch not in net.facts)
            )
            self._row(files, code, found[row], known.shown[code], views, may_know)
            if kind == "prediction":
                self._label(files, code, labels[int(array[row].argmax())], known.shown[code], net)
        batches = sorted({one.batch for one in wanted.values()})
        stains = self._stains(known.shown, net.channels)
        places = {code: self._place_of(known.shown[code]) for code in codes}
        return Made(
            kind=kind,
            split=split,
            net=net_key,
            views=tuple(views),
            channels=net.channels,
            classes=tuple(labels),
            words=words_of(source, net.channels),
            stains=stains,
            places=places,
            facts=facts_of(source, batches),
            sight=earlier.sight if earlier is not None else sight,
        )

    def _then(self, earlier: Made | None, now: Sight) -> Sight:
        """Return what the rows may show: what is there now or, where no one could notice, what was there then."""
        if earlier is None:
            return now
        then = earlier.sight
        shown = {
            code: then.shown[code] if code in then.shown and self.unnoticed(code, then, now) else content
            for code, content in now.shown.items()
        }
        return Sight(shown, now.visible, now.audited, now.plate_of)

    @staticmethod
    def _wells(source: Source, net: Net, split: str) -> dict[str, Well]:
        """Return code -> well of the treatments that a network predicts, or of the controls that it embeds."""
        if split == "controls":
            return {one.code: one for one in source.wells if source.is_control(one)}
        wells = {one.code: one for one in source.wells if not source.is_control(one)}
        if split == "test":
            return {code: one for code, one in wells.items() if one.split == "test"}
        if split == "valid":
            return {code: wells[code] for code in net.held_out if code in wells}
        held_out = {wells[code].batch for code in net.held_out if code in wells}
        return {code: one for code, one in wells.items() if one.split == "train" and one.batch not in held_out}

    def _may_lack(self, source: Source, well: Well) -> bool:
        """Return whether an audit may leave a well out: each of its sites has an image that is bad or a copy."""
        everything = self._all_shown(source)
        sites: dict[int, bool] = {}
        for site, _, shown, _ in source.content(well):
            bad = shown is None or everything.get(shown, 0) > 1
            sites[site] = sites.get(site, False) or bad
        return all(sites.values())

    @staticmethod
    def _all_shown(source: Source) -> dict[Any, int]:
        counts: dict[Any, int] = {}
        for shown in source.files.values() if source.packed is None else (one for one, _ in source.packed.values()):
            counts[shown] = counts.get(shown, 0) + 1
        return counts

    def _row(
        self,
        files: Mapping[str, Path],
        code: str,
        found: float,
        content: Content,
        views: Sequence[str],
        may_know: bool,
    ) -> None:
        """Raise Wrong unless the code of a row is that of the well's images, over some of its sites.

        The network may know an image that was copied over the well's own from another well.
        """
        own, both = self._place_of(content), (False, True)
        by_site = [
            [
                code_of(fields, clips, views, seen)
                for seen in (both if may_know or fields[0]["place"] != own else both[:1])
            ]
            for fields, clips in _sites(content)
        ]
        chosen = (codes for sites in _subsets(by_site) for codes in itertools.product(*sites))
        candidates = {float(np.mean(codes)) for codes in chosen}
        if not any(abs(found - wanted) < TOLERANCE for wanted in candidates):
            more = f"{found:.2f} is not among {sorted(round(one, 2) for one in candidates)}"
            raise Wrong(
                f"pixels: {next(iter(files.values()))}, {code}: made from other images, levels or views: {more}"
            )

    def _label(self, files: Mapping[str, Path], code: str, label: str, content: Content, net: Net) -> None:
        """Raise Wrong if a well's likeliest label is not one that the network was taught for what it shows."""
        kinds = {fields[0]["phenotype"] for fields, _ in _sites(content)}
        taught = [net.teaching.get(kind) for kind in kinds]
        if len(taught) == 1 and taught[0] is not None and label not in taught[0]:
            raise Wrong(f"label: {files['logits']}, {code}: {label}, but the network was taught {set(taught[0])}")

    @staticmethod
    def _stains(shown: Mapping[str, Content], channels: Sequence[int]) -> tuple[int, ...]:
        """Return the stain that most images of each channel show."""
        found: list[int] = []
        for channel in channels:
            stains = [e[2].stain for content in shown.values() for e in content if e[1] == channel and e[2] is not None]
            found.append(max(sorted(set(stains)), key=stains.count) if stains else -1)
        return tuple(found)

    @staticmethod
    def _place_of(content: Content) -> int:
        shown = [entry[2].place for entry in content if entry[2] is not None]
        return max(sorted(set(shown)), key=shown.count) if shown else -1

    # neighbours

    def neighboured(self, out: Path, embed_root: Path, source: Source, kind: str, only_new: bool = False) -> None:
        """Judge the scores of neighbours: each label must be one of the bank's, as the tables have it now.

        The bank of test wells has the held-out wells, too, where they are embedded.
        """
        known = source.by_code()
        for member in find_members(embed_root, embedding_files(Path(), "train")["embeddings"].name, None):
            bank_files = embedding_files(embed_root / member.folder, "train")
            bank = self.ledger.made.get(self.file_key(bank_files))
            for split in ("valid", "test"):
                queries_files = embedding_files(embed_root / member.folder, split)
                if not queries_files["embeddings"].exists():
                    continue
                queries = self.ledger.made.get(self.file_key(queries_files))
                folder = Member(member.channels, member.fold, f"{member.model}+{kind}").folder
                files = prediction_files(out / folder, split)
                if only_new and self.file_key(files) in self.ledger.made:
                    continue
                if bank is None or queries is None:
                    raise Wrong(f"embeddings: {embed_root / member.folder} has some that no command left whole")
                if bank.network != queries.network and queries_files["record"].exists():
                    raise Wrong(f"embeddings: {embed_root / member.folder}: {split} and bank are of two networks")
                held_out = embedding_files(embed_root / member.folder, "valid")
                has_more = split == "test" and held_out["embeddings"].exists()
                self._scores(files, [bank_files, *([held_out] if has_more else [])], queries_files, source, known)
                places = {code: queries.places[code] for code in _codes(files["wells"]) if code in queries.places}
                net = f"{kind} {self.file_key(bank_files)} {queries.net}"
                parts = (("train", bank_files), (split, queries_files))
                inputs = tuple((embed_root / member.folder, name, self.file_key(part)) for name, part in parts)
                facts = {**queries.facts, **facts_of(source, sorted(bank.facts))}
                self.ledger.made[self.file_key(files)] = Made(
                    **{
                        **vars(queries),
                        "kind": "prediction",
                        "net": net,
                        "places": places,
                        "facts": facts,
                        "inputs": inputs,
                    }
                )
                self.ledger.records.add(sha(files["record"]))

    def _scores(
        self,
        files: Mapping[str, Path],
        banks: Sequence[Mapping[str, Path]],
        queries_files: Mapping[str, Path],
        source: Source,
        known: Mapping[str, Well],
    ) -> None:
        labels = source.treatments()
        taught: dict[int, set[str]] = {}
        for bank_files in banks:
            for code, kinds in zip(_codes(bank_files["wells"]), _kinds(bank_files["embeddings"]), strict=True):
                if code not in known:
                    raise Wrong(f"neighbours: {files['logits']}: {code} of the bank is not in the tables")
                for kind in kinds:
                    taught.setdefault(kind, set()).add(known[code].label)
        kinds_of = dict(zip(_codes(queries_files["wells"]), _kinds(queries_files["embeddings"]), strict=True))
        scores = np.load(files["logits"])
        for row, code in enumerate(_codes(files["wells"])):
            label = labels[int(scores[row].argmax())]
            if code not in kinds_of:
                raise Wrong(f"neighbours: {files['logits']}: {code} is not among the queries")
            names = set().union(*(taught.get(kind, set()) for kind in kinds_of[code]))
            if names and label not in names:
                raise Wrong(f"neighbours: {files['logits']}, {code}: {label}, but its like in the bank are {names}")

    # answers

    def used(self, root: Path, source: Source, split: str, models: Sequence[str] = ()) -> dict[str, Made]:
        """Return what lies below a prediction root by folder, of ``models``; Wrong if a reader may not use it."""
        found: dict[str, Made] = {}
        for member in find_members(root, prediction_files(Path(), split)["logits"].name, None):
            if models and member.model not in models:
                continue
            files = prediction_files(root / member.folder, split)
            if not files["record"].exists():  # taken for another program's
                continue
            made = self.ledger.made.get(self.file_key(files))
            where = f"{root / member.folder}, {split}"
            if made is None:
                raise Wrong(f"used: {where}: files that no command left whole")
            if sha(files["record"]) not in self.ledger.records:
                raise Wrong(f"used: {where}: its record was changed by hand")
            self._usable(where, made, member, source)
            found[member.folder.as_posix()] = made
        return found

    def _usable(self, where: str, made: Made, member: Member, source: Source) -> None:
        if made.classes != tuple(source.treatments()):
            raise Wrong(f"used: {where}: made for classes {made.classes}, the tables have {source.treatments()}")
        if made.channels != member.channels:
            raise Wrong(f"used: {where}: made with channels {made.channels}")
        if made.words != words_of(source, made.channels):
            raise Wrong(f"used: {where}: made from channels {made.words}, now {words_of(source, made.channels)}")
        wells = source.by_code()
        shown = {code: source.content(wells[code], made.channels) for code in made.places if code in wells}
        if (now := self._stains(shown, made.channels)) != made.stains and -1 not in now:
            raise Wrong(f"used: {where}: made from stains {made.stains}, the files show {now}")
        for code, place in made.places.items():
            if code not in wells:
                raise Wrong(f"used: {where}: {code} is not in the tables")
            if (
                place != -1
                and (shows := self._place_of(shown[code])) not in (-1, place)
                and not self._copied(shown[code])
            ):
                raise Wrong(f"used: {where}: {code} was place {place}, its images show {shows}")

    @staticmethod
    def _copied(content: Content) -> bool:
        """Return whether a well's images are of several places: one was copied over another."""
        return len({entry[2].place for entry in content if entry[2] is not None}) > 1

    def blended(self, root: Path, source: Source, split: str, models: Sequence[str] = ()) -> dict[str, np.ndarray]:
        """Return code -> logits (K,), the mean over members, then over models, as decisions average them."""
        by_model: dict[str, dict[str, list[np.ndarray]]] = {}
        for member in find_members(root, prediction_files(Path(), split)["logits"].name, None):
            if models and member.model not in models:
                continue
            files = prediction_files(root / member.folder, split)
            array = np.load(files["logits"])[:, : len(source.treatments())].astype(np.float64)
            for row, code in enumerate(_codes(files["wells"])):
                by_model.setdefault(member.model, {}).setdefault(code, []).append(array[row])
        tables: dict[str, list[np.ndarray]] = {}
        for rows in by_model.values():
            for code, logits in rows.items():
                tables.setdefault(code, []).append(np.mean(logits, axis=0))
        return {code: np.mean(logits, axis=0) for code, logits in tables.items()}

    def note_answer(self, path: Path, source: Source, used: Mapping[str, Made]) -> None:
        """Note what an answer was made from, by its record."""
        origin = {folder: made.network for folder, made in used.items()}
        if sha(path) in self.ledger.answers:
            return
        self.ledger.answers[sha(path)] = tuple(source.treatments()), origin
        self.ledger.records.add(sha(path))

    def submitted(self, root: Path, out: Path, source: Source, models: Sequence[str], certain: bool) -> None:
        """Judge submission.csv and confidence.csv; ``certain``: the labels are those of the plain mean."""
        used = self.used(root, source, "test", models)
        logits, labels = self.blended(root, source, "test", models), source.treatments()
        wanted = {code for code, one in self._wells(source, _NOBODY, "test").items() if one}
        rows = read_table(out / "submission.csv")
        sure = {row["id_code"]: row for row in read_table(out / "confidence.csv")}
        if {row["id_code"] for row in rows} != wanted or sure.keys() != wanted:
            raise Wrong(f"submission: {out}: its wells are not the test wells")
        for row in rows:
            code, label = row["id_code"], row["compound"]
            beside = sure[code]
            if beside["compound"] != label or (beside["predicted"] == "True") != (code in logits):
                raise Wrong(f"submission: {out}, {code}: confidence.csv says {beside}")
            if code in logits and certain:
                self._is_best(f"submission: {out}, {code}", label, logits[code], labels)
                confidence = _confidence(logits[code])
                if abs(confidence - float(beside["confidence"])) > 2e-2:
                    raise Wrong(f"submission: {out}, {code}: confidence {beside['confidence']}, not {confidence:.3f}")
        self.note_answer(out / "submission.json", source, used)

    @staticmethod
    def _is_best(where: str, label: str, logits: np.ndarray, labels: Sequence[str]) -> None:
        if label not in labels or logits[labels.index(label)] < logits.max() - 1e-2:
            raise Wrong(f"{where}: {label}, but the mean of its predictions says {labels[int(logits.argmax())]}")

    def pseudo_labelled(self, root: Path, out: Path, source: Source, csv_dir: Path, certain: bool) -> None:
        """Judge pseudo.csv."""
        used = self.used(root, source, "test")
        logits, labels, wells = self.blended(root, source, "test"), source.treatments(), source.by_code()
        noted: dict[str, tuple[str, int]] = {}
        held_out = {row["id_code"] for path in csv_dir.glob("valid_*.csv") for row in read_table(path)}
        for row in read_table(out / "pseudo.csv"):
            code = row["id_code"]
            if code not in wells or wells[code].split != "test" or code in held_out or code not in logits:
                raise Wrong(f"pseudo: {code} is no predicted test well")
            if certain:
                self._is_best(f"pseudo: {code}", row["compound"], logits[code], labels)
            noted[code] = row["compound"], self._place(source, wells[code])
        self.ledger.pseudo.setdefault(sha(out / "pseudo.csv"), noted)
        self.note_answer(out / "pseudo.json", source, used)

    def scored(self, root: Path, path: Path, source: Source, split: str, models: Sequence[str], certain: bool) -> None:
        """Judge the accuracy of the last rung in a ladder."""
        used = self.used(root, source, split, models)
        logits, labels, wells = self.blended(root, source, split, models), source.treatments(), source.by_code()
        known = [
            code for code in logits if wells[code].label in labels
        ]  # others no train well has: they are not scored
        right = [labels[int(logits[code].argmax())] == wells[code].label for code in known]
        rows = json.loads(path.read_text())["ladder"]
        last = [row for row in rows if row["scope"] == "all" and row["accuracy"] is not None][-1]
        by_site = last["rung"] in ("one site", "TTA")  # of `sites` in float16, too coarse for codes and labels
        if (
            certain
            and not by_site
            and (last["n_wells"] != len(known) or abs(last["accuracy"] - 100 * float(np.mean(right))) > 0.1)
        ):
            raise Wrong(f"ladder: {path} says {last}, but {sum(right)} of {len(known)} are right")
        self.note_answer(path, source, used)

    def calibrated(self, root: Path, source: Source, models: Sequence[str]) -> None:
        """Note what a calibration was fitted on."""
        self.note_answer(root / "calibration.json", source, self.used(root, source, "valid", models))

    def fits_calibration(self, path: Path, used: Mapping[str, Made]) -> None:
        """Raise Wrong if a calibration was used on predictions of other networks than those that it was fitted on."""
        if sha(path) not in self.ledger.answers:
            raise Wrong(f"calibration: {path} was changed by hand, and used")
        fitted = self.ledger.answers[sha(path)][1]
        for folder in fitted.keys() & used.keys():
            if fitted[folder] != used[folder].network:
                raise Wrong(f"calibration: {path} is of another network in {folder}")

    # audits and folds

    def audited(self, folder: Path, source: Source, mode: str) -> None:
        """Note what an audit has read."""
        contents = {one.code: source.content(one) for one in source.wells}
        visible = {plate: source.visible(plate) for plate in source.plates()}
        if '"state": "done"' not in (folder / "audit.json").read_text():
            raise Wrong(f"audit: {folder} is not done")
        times = {plate: source.time(plate) for plate in source.plates()}
        self.ledger.audits[sha(folder / "audit.json")] = Audited(mode, contents, visible, times, self.origin(source))

    @staticmethod
    def origin(source: Source) -> Any:
        """Return what an audit depends on besides images."""
        spec = source.spec
        batches = sorted({one.batch for one in source.wells})
        return (
            facts_of(source, batches),
            words_of(source, range(1, len(spec.channels) + 1)),
            tuple(spec.sites),
            spec.folder,
        )

    def folded(self, folder: Path, source: Source) -> None:
        """Judge the tables of folds, and note what they were made from."""
        wells = self._wells(source, _NOBODY, "train")
        for path in sorted(folder.glob("valid_*.csv")):
            other = path.with_name(path.name.replace("valid", "train"))
            rows = {row["id_code"]: row["compound"] for table in (path, other) for row in read_table(table)}
            if path.name in json.loads((folder / "folds.json").read_text())["files"] and rows != {
                code: one.label for code, one in wells.items()
            }:
                raise Wrong(f"folds: {path} and the other are not the train wells of the tables")
        self.ledger.folds[sha(folder / "folds.json")] = facts_of(source, source.batches("train"))

    # the verdicts of check

    def stale(self, kind: str, path: Path, source: Source, full: bool, logs: Path) -> str:
        """Return why a result is certainly stale, "" if it need not be."""
        judges = {
            "prediction": self._stale_arrays,
            "embedding": self._stale_arrays,
            "training": self._stale_training,
            "audit": self._stale_audit,
            "folds": self._stale_folds,
        }
        if kind in judges:
            return judges[kind](path, source, full, logs)
        if kind in ("submission", "pseudo-labels", "ladder", "calibration"):
            return self._stale_answer(kind, path, source, full)
        return ""

    def _full_sight(self, source: Source, wells: Sequence[Well], channels: Sequence[int]) -> Sight:
        """Return what can be known by reading everything."""
        seen = self.sight(source, wells, channels, "")
        return Sight(seen.shown, seen.visible, {one.code: source.content(one) for one in wells}, seen.plate_of)

    def _stale_pixels(self, then: Sight, source: Source, channels: Sequence[int]) -> str:
        wells = [one for one in source.wells if one.code in then.shown]
        code = self.changed(then, self._full_sight(source, wells, channels))
        return f"images of {code} changed" if code else ""

    def _stale_arrays(self, path: Path, source: Source, full: bool, logs: Path) -> str:
        name, split = path.stem.split("_")
        files = (prediction_files if name == "pred" else embedding_files)(path.parent, split)
        made = self.ledger.made.get(self.file_key(files))
        if made is None:  # a quick check does not compare the bytes of files
            is_known = not full and sha(path) in self.ledger.records
            return "" if is_known else "files that no command left whole"
        if made.classes != tuple(source.treatments()) or made.words != words_of(source, made.channels):
            return "other classes or channels"
        if made.facts != facts_of(source, sorted(made.facts)):
            return "other wells or labels"
        for folder, part, key in made.inputs:
            inner = embedding_files(folder, part)
            now = self.file_key(inner)
            if inner["record"].exists() and now != key and (full or now in self.ledger.made):
                return f"{folder} was embedded again"
        run = json.loads(path.read_text())["facts"].get("run_folder")
        if run and (Path(run) / RUN).exists():
            net = self.ledger.nets.get(made.net)
            status = json.loads((Path(run) / RUN).read_text()).get("status")
            now = sha(Path(run) / BEST)
            if now != made.net and status == "done" and (full or now in self.ledger.nets):
                return "another network"
            if net is not None and (why := self._stale_net(net, source, full)):
                return why
        return self._stale_pixels(made.sight, source, made.channels) if full else ""

    def _stale_training(self, path: Path, source: Source, full: bool, logs: Path) -> str:
        net = self.ledger.nets.get(sha(path.parent / BEST))
        if json.loads(path.read_text()).get("status") != "done":
            return "not done"
        if net is None:
            return "weights that no training left" if full else ""
        return self._stale_net(net, source, full)

    def _stale_net(self, net: Net, source: Source, full: bool) -> str:
        labels = sorted(source.spec.controls.values()) if net.stage == "control" else source.treatments()
        if net.classes != tuple(labels) or net.words != words_of(source, net.channels):
            return "other classes or channels"
        if dict(net.facts) != facts_of(source, sorted(net.facts)):
            return "other wells or labels"
        return self._stale_pixels(net.sight, source, net.channels) if full else ""

    def _stale_audit(self, path: Path, source: Source, full: bool, logs: Path) -> str:
        noted = self.ledger.audits.get(sha(path))
        if noted is None:
            return "changed by hand"
        if noted.origin != self.origin(source):
            return "other wells, channels or sites"
        if full and noted.mode != "full" and noted.visible != {name: source.visible(name) for name in source.plates()}:
            return "other files"
        if full and noted.mode == "full" and noted.contents != {one.code: source.content(one) for one in source.wells}:
            return "other images"
        return ""

    def _stale_folds(self, path: Path, source: Source, full: bool, logs: Path) -> str:
        noted = self.ledger.folds.get(sha(path))
        now = facts_of(source, source.batches("train"))
        return "changed by hand" if noted is None else "" if noted == now else "other train wells"

    def _stale_answer(self, kind: str, path: Path, source: Source, full: bool) -> str:
        noted = self.ledger.answers.get(sha(path))
        if noted is None:
            return "changed by hand"
        classes, origin = noted
        if classes != tuple(source.treatments()):
            return "other classes"
        root = Path(json.loads(path.read_text())["facts"]["predict_root"])
        split = "valid" if kind == "calibration" or path.stem.endswith("_valid") else "test"
        for folder, network in origin.items():
            files = prediction_files(root / folder, split)
            now = self.ledger.made.get(self.file_key(files))
            if now is None and files["record"].exists() and not full and sha(files["record"]) in self.ledger.records:
                continue
            if not files["record"].exists() or now is None:
                return f"{folder} is not there any more"
            if now.network != network:
                return f"{folder} was predicted again by another network"
        return ""


_NOBODY = Net("", None, (1,), (), {}, (), {}, (), {}, Sight({}, {}, {}, {}))


def _kinds(path: Path) -> list[list[int]]:
    """Return the phenotypes that an embedded well shows most: several where its sites differ, as after a mix-up."""
    shown = np.load(path)[:, :PHENOTYPES]
    return [np.flatnonzero(row > 0.99 * row.max()).tolist() for row in shown]


def _codes(path: Path) -> list[str]:
    return [row["id_code"] for row in read_table(path)]


def _sites(content: Content) -> Iterator[tuple[list[dict[str, int]], list[int]]]:
    """Yield the fields of the channels of each whole site, and their clips."""
    for _, entries in itertools.groupby(content, key=lambda entry: entry[0]):
        found = list(entries)
        if all(entry[2] is not None for entry in found):
            yield [entry[2].fields() for entry in found if entry[2] is not None], [entry[3] for entry in found]


def _subsets(values: Sequence[list[float]]) -> Iterator[Sequence[list[float]]]:
    for size in range(1, len(values) + 1):
        yield from itertools.combinations(values, size)


def _confidence(logits: np.ndarray) -> float:
    shifted = np.exp(logits - logits.max())
    return float(shifted.max() / shifted.sum())
