"""Planted faults among results: records, files of other members, results of other screens; none is silent."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rcic.files.names import BEST, CONFIG, HELD_OUT, LAST, RUN
from tests.records import rewrite, tamper
from tests.workplace import SPEC, Workplace

FOLD_0, FOLD_1, CONTROL = "logs/full/[1]/fold_0/tiny", "logs/full/[1]/fold_1/tiny", "logs/control/[1]/tiny"
PREDICTED, EMBEDDED = "predictions/[1]/fold_0/tiny", "embeddings/[1]/fold_0/tiny"
CALIBRATION = "predictions/calibration.json"
CALIBRATED = (f"--calibration={CALIBRATION}",)
STAGE_3 = ("--set=stage=pseudo",)
WITHOUT_AUDIT = ("--set=data.audit=off",)
HAND, OTHER = r"is damaged, or was changed by hand", r"is damaged, or of another result than"
PREDICT_AGAIN = r"; run python src/inference\.py predict-all again"


@dataclass(frozen=True)
class ResultFault:
    """``plant`` changes something in a workplace; ``command`` then prints one line that ``line`` is found in."""

    plant: Callable[[Workplace], object]
    command: str
    line: str
    more: Sequence[str] = ()


def by_hand(name: str, **values: object) -> Callable[[Workplace], object]:
    """Change values of a sealed file without its seal."""
    return lambda place: (own(place, name), tamper(Path(name), **values))


def sealed_anew(name: str, **values: object) -> Callable[[Workplace], object]:
    """Change values of a sealed file, as a result of another origin has them."""
    return lambda place: (own(place, name), rewrite(Path(name), **values))


def exchanged(name: str, other: str) -> Callable[[Workplace], object]:
    """Put the bytes of another file into a file."""
    return lambda place: place.write(name, Path(other).read_bytes())


def gone(name: str) -> Callable[[Workplace], object]:
    """Remove a file."""
    return lambda place: Path(name).unlink()


def cut(name: str) -> Callable[[Workplace], object]:
    """Cut off the end of a file."""
    return lambda place: place.write(name, Path(name).read_bytes()[:-7])


def own(place: Workplace, name: str) -> None:
    """Make a file no hard link any more."""
    place.write(name, Path(name).read_bytes())


def label(new: str) -> Callable[[Workplace], object]:
    """Rename the label x in the table."""
    return lambda place: place.edit("screen/wells.csv", ",x\n", f",{new}\n")


def packed_elsewhere(place: Workplace) -> None:
    """Put the manifest of a packed screen with other levels into another one's folder."""
    place.spec(images={**SPEC["images"], "levels": [0, 99]})
    place.run("pack", "--out_dir=other")
    place.spec()
    place.write("packed/packed.json", Path("other/packed.json").read_bytes())


def retrained(place: Workplace) -> None:
    """Train a network again to other weights, and predict with it."""
    place.run("train 1 0", "--force", "--set=train.seed=7")
    place.run("predict")


def embedded_again(place: Workplace) -> None:
    """Train a network again, and embed the test wells only."""
    place.run("train 1 0", "--force", "--set=train.seed=7")
    place.run("embed", "--splits=test")


RESULT_FAULTS: dict[str, ResultFault] = {
    # records of predictions and embeddings
    "a record of predictions edited": ResultFault(
        by_hand(f"{PREDICTED}/pred_test.json", made_with={"sites": [2]}), "ensemble", rf"pred_test\.json: {HAND}.*again"
    ),
    "a record of predictions cut short": ResultFault(
        cut(f"{PREDICTED}/pred_valid.json"), "calibrate", r"pred_valid\.json: cannot be read as JSON .*again"
    ),
    "predictions that are being written": ResultFault(
        sealed_anew(f"{PREDICTED}/pred_test.json", state="unfinished"),
        "ensemble",
        rf"pred_test\.json: is unfinished, since a command was interrupted or is still at work{PREDICT_AGAIN}",
    ),
    "a record of embeddings for one of predictions": ResultFault(
        exchanged(f"{PREDICTED}/pred_test.json", f"{EMBEDDED}/emb_test.json"),
        "ensemble",
        r"pred_test\.json: is the record of another kind of result \(embedding, not prediction\)",
    ),
    "the logits of another member": ResultFault(
        exchanged(f"{PREDICTED}/pred_test.npy", "predictions/[1]/fold_1/tiny/pred_test.npy"),
        "ensemble",
        rf"pred_test\.npy: {OTHER} pred_test\.json beside it{PREDICT_AGAIN}",
    ),
    "the wells of another member": ResultFault(
        exchanged(f"{PREDICTED}/pred_valid.csv", "predictions/[1]/fold_1/tiny/pred_valid.csv"),
        "calibrate",
        rf"pred_valid\.csv: {OTHER} pred_valid\.json",
    ),
    "the sites' logits of another member": ResultFault(
        exchanged(f"{PREDICTED}/pred_test_sites.npy", "predictions/[2]/fold_0/tiny/pred_test_sites.npy"),
        "score",
        rf"pred_test_sites\.npy: {OTHER} pred_test\.json",
    ),
    "a list of wells sorted by hand": ResultFault(
        lambda p: p.write(
            f"{PREDICTED}/pred_test.csv",
            "id_code\n" + "".join(sorted(Path(f"{PREDICTED}/pred_test.csv").read_text().splitlines(True)[1:])[::-1]),
        ),
        "pseudo-label",
        rf"pred_test\.csv: {OTHER} pred_test\.json",
    ),
    "logits gone, their record there": ResultFault(
        lambda p: Path(f"{PREDICTED}/pred_test.csv").unlink(), "ensemble", r"pred_test\.csv: is missing, but pred_test"
    ),
    "the record of another member": ResultFault(
        exchanged(f"{PREDICTED}/pred_test.json", "predictions/[1]/fold_1/tiny/pred_test.json"),
        "ensemble",
        rf"pred_test\.npy: {OTHER} pred_test\.json",
    ),
    "embeddings of another member": ResultFault(
        exchanged(f"{EMBEDDED}/emb_train.npy", "embeddings/[1]/fold_1/tiny/emb_train.npy"),
        "neighbours",
        rf"emb_train\.npy: {OTHER} emb_train\.json beside it; run python src/inference\.py embed-all again",
    ),
    "embeddings of two networks": ResultFault(
        embedded_again, "neighbours", r"emb_test\.npy: made with another checkpoint, sites or views than emb_train\.npy"
    ),
    "a label renamed, and predictions": ResultFault(
        label("q"), "ensemble", rf"pred_test\.json: made for another screen .*classes number 0.*{PREDICT_AGAIN}"
    ),
    "a label renamed, and embeddings": ResultFault(
        label("q"), "neighbours", r"emb_train\.json: made for another screen .*classes number 0.*embed-all again"
    ),
    "a label renamed, and a network": ResultFault(label("q"), "predict", r"best\.pth: trained on other classes than"),
    "predictions of channels that are no more": ResultFault(
        lambda p: p.spec(channels=SPEC["channels"][:1]),
        "ensemble",
        r"\[2\]/fold_0/tiny/pred_test\.json: made for another screen .* other channels \(2 then, not now\)",
    ),
    "another word for a channel, and predictions": ResultFault(
        lambda p: p.spec(channels=[SPEC["channels"][0] | {"file": "w2"}, SPEC["channels"][1] | {"file": "w1"}]),
        "browse",
        r"pred_test\.json: made for another screen .* images channels 1 file \('w1' then, 'w2' now\)",
    ),
    # calibrations
    "a calibration edited": ResultFault(
        by_hand(CALIBRATION, temperature=9.0),
        "ensemble",
        rf"calibration\.json: {HAND}.*; .*calibrate writes it anew",
        CALIBRATED,
    ),
    "a calibration of another network": ResultFault(
        retrained,
        "pseudo-label",
        r"--calibration was fitted on predictions of another network in \[1\]/fold_0",
        CALIBRATED,
    ),
    "a calibration of another screen": ResultFault(
        sealed_anew(CALIBRATION, made_from={"classes": ["a", "b"]}),
        "score",
        r"--calibration was fitted on another screen than screen is now, with other classes \(2 then, 4 now; .*",
        CALIBRATED,
    ),
    "a calibration of another root": ResultFault(
        lambda p: (shutil.copytree("predictions", "others/predictions"), _to_folds("predictions", (8, 9))),
        "ensemble",
        r"--calibration was fitted on other members \(\[1\]/fold_0/tiny, \.\.\.\): calibrate again",
        ("--calibration=others/predictions/calibration.json",),
    ),
    "a ladder for a calibration": ResultFault(
        exchanged(CALIBRATION, "predictions/ladder.json"),
        "ensemble",
        r"calibration\.json: is the record of another kind of result \(ladder, not calibration\)",
        CALIBRATED,
    ),
    # trainings
    "run.json edited": ResultFault(
        by_hand(f"{FOLD_0}/{RUN}", status="done", n_classes=9), "predict", rf"run\.json: {HAND}"
    ),
    "the best checkpoint of another fold": ResultFault(
        exchanged(f"{FOLD_0}/{BEST}", f"{FOLD_1}/{BEST}"), "predict", rf"best\.pth: {OTHER} run\.json.*train it again"
    ),
    "a finished training without its best checkpoint": ResultFault(
        gone(f"{FOLD_0}/{BEST}"), "predict", r"best\.pth: is missing, although the training is finished; train it again"
    ),
    "a finished training without its last checkpoint": ResultFault(
        gone(f"{FOLD_0}/{LAST}"), "train 1 0", r"last\.pth: is missing, but run\.json lists it; retrain from scratch"
    ),
    "the held-out wells of another fold": ResultFault(
        exchanged(f"{FOLD_0}/{HELD_OUT}", f"{FOLD_1}/{HELD_OUT}"), "predict", rf"valid\.csv: {OTHER} run\.json"
    ),
    "a config that was edited afterwards": ResultFault(
        lambda p: p.edit(f"{FOLD_0}/{CONFIG}", "seed: ", "seed: 1"), "train 1 0", r"finished with another train\.seed"
    ),
    "a training of other wells": ResultFault(
        lambda p: (p.edit("screen/wells.csv", "b1,P1,A04,w", "b1,P1,A04,z"), p.run("folds")),
        "train 1 0",
        r"finished with other wells b1 \(changed since\)",
        WITHOUT_AUDIT,
    ),
    "stage I with another network's weights": ResultFault(
        exchanged(f"{CONTROL}/{BEST}", f"{CONTROL}/{LAST}"),
        "train 2 1",
        rf"best\.pth: {OTHER} run\.json",
        ("--set=init.stage=control", "--channels=[1]", "--log_root=logs", "--force"),
    ),
    "weights that know the held-out experiment": ResultFault(
        lambda p: None,
        "train 1 0",
        r"best\.pth: its weights have learnt the treatments of b\d, which is held out now",
        (f"--set=init.checkpoint={FOLD_1}/{BEST}", "--log_root=new"),
    ),
    # tables
    "a fold table edited": ResultFault(
        lambda p: p.edit("csv/train_0.csv", "A01", "A02", 1), "train 1 0", rf"train_0\.csv: {OTHER} folds\.json.*remove"
    ),
    "the folds' record edited": ResultFault(
        by_hand("csv/folds.json", made_with={"seed": 1}), "train 1 0", rf"folds\.json: {HAND}.*; run .*folds"
    ),
    "folds of other wells": ResultFault(
        lambda p: p.edit("screen/wells.csv", "b2,P2,A06,PLK1\n", ""),
        "train 1 0",
        r"folds\.json: made from other wells b2 \(changed since\) than screen has; run .*data\.py folds",
        WITHOUT_AUDIT,
    ),
    "pseudo-labels edited": ResultFault(
        lambda p: p.edit("csv/pseudo/pseudo.csv", "A01", "A02", 1),
        "train 1 0",
        rf"pseudo\.csv: {OTHER} pseudo\.json.*pseudo-label again, or remove pseudo\.json",
        STAGE_3,
    ),
    "pseudo-labels that are being written": ResultFault(
        sealed_anew("csv/pseudo/pseudo.json", state="unfinished"), "train 1 0", r"pseudo\.json: is unfinished", STAGE_3
    ),
    # audits
    "an audit's record edited": ResultFault(
        by_hand("csv/audit/audit.json", made_with={"on_bad": "drop"}),
        "train 1 0",
        rf"audit\.json: {HAND}.*; run .*audit",
    ),
    "an audit's findings edited": ResultFault(
        lambda p: p.write("csv/audit/audit.csv", Path("csv/audit/audit.csv").read_bytes() + b"b1_P1_A01,1,1,x,zero,\n"),
        "train 1 0",
        rf"audit\.csv: {OTHER} audit\.json",
    ),
    "an audit of another spec": ResultFault(
        lambda p: p.spec(images={**SPEC["images"], "levels": [0, 99]}),
        "train 1 0",
        r"audit\.json: of another screen than screen is now, with other images channels 1 levels number 1",
    ),
    "an audit of fewer wells": ResultFault(
        lambda p: p.edit("screen/wells.csv", "b1,P1,A05", "b1,P1,A07,v\nb1,P1,A05"),
        "train 1 0",
        r"audit\.json: of another screen than screen is now, with other wells b1",
    ),
    # packed screens
    "a manifest edited": ResultFault(
        lambda p: p.edit("packed/packed.json", "P1", "P9", 1),
        "predict",
        r"packed\.json: the file is damaged or was changed",
        ("--data_root=packed", "--audit_dir=none"),
    ),
    "the manifest of another screen": ResultFault(
        packed_elsewhere, "pack", r"packed: contains another packed screen, from other images channels 1 levels"
    ),
    "a packed screen with another spec": ResultFault(
        lambda p: p.edit("packed/screen.yml", "4095", "2000"),
        "predict",
        r"packed",
        ("--data_root=packed", "--audit_dir=none"),
    ),
}


def _to_folds(root: str, numbers: Sequence[int]) -> None:
    """Move the predictions of folds 0 and 1 to other folds."""
    for folder in sorted(Path(root).glob("[[]*[]]")):
        for fold, number in enumerate(numbers):
            (folder / f"fold_{fold}").rename(folder / f"fold_{number}")
