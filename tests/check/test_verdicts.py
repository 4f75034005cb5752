"""The verdicts on results: each state for each kind, quick and full, and what follows from an input that changed."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from rcic.check import known_sources
from rcic.check.verdicts import Verdict, check_results
from rcic.errors import UserError
from rcic.files import atomic
from rcic.pixels.audit import folder_state
from rcic.screen.source import ScreenSource
from tests.records import content_of, rewrite, tamper
from tests.workplace import SPEC, Workplace

RUN, PREDICTION, EMBEDDING = "logs/full/[1]/fold_0/tiny", "predictions/[1]/fold_0/tiny", "embeddings/[1]/fold_0/tiny"
RECORDS = {
    "training": f"{RUN}/run.json",
    "prediction": f"{PREDICTION}/pred_test.json",
    "embedding": f"{EMBEDDING}/emb_test.json",
    "audit": "csv/audit/audit.json",
    "folds": "csv/folds.json",
    "packed screen": "packed/packed.json",
    "calibration": "predictions/calibration.json",
    "pseudo-labels": "csv/pseudo/pseudo.json",
    "submission": "answers/submission.json",
    "channels": "predictions/channels_valid.json",
    "ladder": "predictions/ladder.json",
    "report": "report.html",
}
FILES = {  # one of the files that a record lists; calibration, ladder and report are one file
    "training": f"{RUN}/checkpoints/best.pth",
    "prediction": f"{PREDICTION}/pred_test_sites.npy",
    "embedding": f"{EMBEDDING}/emb_test.csv",
    "audit": "csv/audit/audit.csv",
    "folds": "csv/valid_1.csv",
    "packed screen": "packed/images.zarr/full/b1/PlateP1/zarr.json",
    "pseudo-labels": "csv/pseudo/pseudo.csv",
    "submission": "answers/groups.csv",
    "channels": "predictions/channels_valid.csv",
}
SEALED = [kind for kind in RECORDS if kind not in ("packed screen", "report")]
STALE: dict[str, tuple[Callable[[Workplace], object], str]] = {  # by a label renamed, but for pixels
    "training": (
        lambda p: p.spec(images={**SPEC["images"], "levels": [0, 99]}),
        "of another screen than screen is now",
    ),
    "prediction": (lambda p: renamed(p), "made from other classes number 0 ('w' then, 'q' now)"),
    "embedding": (lambda p: renamed(p), "made from other classes number 0 ('w' then, 'q' now)"),
    "audit": (lambda p: renamed(p), "made from other wells b1 (changed since)"),
    "folds": (lambda p: renamed(p), "made from other wells b1 (changed since)"),
    "packed screen": (
        lambda p: p.edit("packed/screen.yml", "4095", "2000"),
        "packed from other images channels 1 levels number 1 (4095.0 then, 2000.0 now)",
    ),
    "calibration": (lambda p: renamed(p), "made for other classes number 0 ('w' then, 'q' now)"),
    "pseudo-labels": (lambda p: again(p), f"{PREDICTION}/pred_test.json: was predicted again, by another network"),
    "submission": (lambda p: again(p), f"{PREDICTION}/pred_test.json: was predicted again, by another network"),
    "channels": (lambda p: shutil.rmtree("predictions/[1]"), "fold_0/tiny/pred_valid.json: is not there any more"),
    "ladder": (lambda p: renamed(p), "made for other classes number 0 ('w' then, 'q' now)"),
    "report": (lambda p: shutil.rmtree("predictions/[1]"), "fold_0/tiny/pred_test.json: is not there any more"),
}


def renamed(place: Workplace) -> None:
    place.edit("screen/wells.csv", ",x\n", ",q\n")


def again(place: Workplace) -> None:
    """Let the predictions of a member be another network's."""
    own(place, f"{PREDICTION}/pred_test.json")
    rewrite(Path(f"{PREDICTION}/pred_test.json"), facts={"network": "0" * 64})


def own(place: Workplace, name: str) -> Path:
    """Make a file no hard link any more."""
    place.write(name, (place.root / name).read_bytes())
    return Path(name)


def verdict_on(path: str | Path, full: bool = False) -> Verdict:
    """Return the one verdict on a file."""
    (verdict,) = check_results([path], full)
    return verdict


def states(verdicts: list[Verdict]) -> dict[str, set[str]]:
    """Return kind -> states."""
    found: dict[str, set[str]] = {}
    for verdict in verdicts:
        found.setdefault(verdict.result.kind, set()).add(verdict.state)
    return found


@pytest.mark.parametrize("full", [False, True])
def test_everything_is_sound_as_it_was_made(work, full):
    verdicts = check_results(["."], full)
    assert states(verdicts) == {kind: {"sound"} for kind in RECORDS} and len(verdicts) == 46
    assert all(verdict.made_from and not verdict.why and not verdict.mend for verdict in verdicts)


@pytest.mark.parametrize("kind", RECORDS)
def test_a_record_that_was_changed_by_hand_is_damaged(work, kind):
    path = own(work, RECORDS[kind])
    if kind in SEALED:
        tamper(path, state="done", more=1)
    else:
        path.write_text(path.read_text().replace("P1" if kind == "packed screen" else "predictions", "P9", 1))
    for full in (False, True):
        verdict = verdict_on(path, full)
        assert (verdict.state, verdict.result.kind) == ("damaged", kind)
        assert "changed" in verdict.why and str(path) not in verdict.why


@pytest.mark.parametrize("kind", [kind for kind in RECORDS if kind != "report"])
def test_a_record_that_was_cut_short_is_damaged(work, kind):
    path = own(work, RECORDS[kind])
    path.write_text(path.read_text()[:-40])
    assert {verdict_on(path, full).state for full in (False, True)} == {"damaged"}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_is_gone_is_seen_at_once(work, kind):
    Path(FILES[kind]).unlink()
    for full in (False, True):
        verdict = verdict_on(RECORDS[kind], full)
        assert (
            verdict.state == "damaged" and "is missing, but " in verdict.why and Path(FILES[kind]).name in verdict.why
        )


@pytest.mark.parametrize("kind", FILES)
def test_a_file_with_other_bytes_is_seen_by_the_full_check(work, kind):
    path = own(work, FILES[kind])
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 8
    path.write_bytes(content)
    verdict = verdict_on(RECORDS[kind], full=True)
    assert (verdict.state, verdict_on(RECORDS[kind]).state) == ("damaged", "sound")
    assert verdict.why.startswith(str(path.relative_to(Path(RECORDS[kind]).parent)))
    assert kind == "packed screen" or verdict.mend.startswith("python src/")


@pytest.mark.parametrize("kind", [kind for kind in SEALED if kind != "training"])
def test_a_record_of_files_that_are_being_written_is_unfinished(work, kind):
    rewrite(own(work, RECORDS[kind]), state="unfinished")
    verdict = verdict_on(RECORDS[kind])
    assert verdict.state == "unfinished" and "interrupted or is still at work" in verdict.why
    assert verdict.mend.startswith("python src/")


@pytest.mark.parametrize("status", ["running", "failed", "stopped", "being replaced"])
def test_a_training_that_is_not_done_is_unfinished(work, status):
    rewrite(own(work, RECORDS["training"]), status=status)
    verdict = verdict_on(RECORDS["training"])
    assert (verdict.state, verdict.why) == ("unfinished", f"the training is {status}")
    assert verdict.mend.endswith("--fold=0") and "--force" not in verdict.mend
    assert verdict_on(f"{PREDICTION}/pred_test.json").why == f"made from {RUN}/run.json, which is unfinished"


def test_a_pack_that_was_killed_and_temporary_files_are_unfinished(work):
    work.write("half/packing.txt", "{}")
    work.write(f"{RUN}/.run.json.0123abcd.tmp", "x")
    (work.root / "packed/images.zarr.half").mkdir()
    (work.root / "half/.Plate1.half").mkdir()
    found = {str(v.result.path): v for v in check_results(["."]) if v.state == "unfinished"}
    assert set(found) == {"half/packing.txt", f"{RUN}/.run.json.0123abcd.tmp", "half/.Plate1.half"}
    assert found["half/.Plate1.half"].mend == "rm -r half/.Plate1.half"
    assert "run the same pack command again" in found["half/packing.txt"].why


@pytest.mark.parametrize("kind", ["prediction", "embedding", "calibration", "pseudo-labels", "submission", "ladder"])
def test_another_programs_record_is_foreign(work, kind):
    own(work, RECORDS[kind]).write_text('{"made": "elsewhere"}')
    verdict = verdict_on(RECORDS[kind])
    assert (verdict.state, verdict.why, verdict.mend) == ("foreign", "not a record of this program", "")


@pytest.mark.parametrize(
    ("record", "file"),
    [
        (RECORDS["prediction"], f"{PREDICTION}/pred_test.npy"),
        (RECORDS["embedding"], f"{EMBEDDING}/emb_test.npy"),
        (RECORDS["submission"], "answers/submission.csv"),
        (RECORDS["pseudo-labels"], "csv/pseudo/pseudo.csv"),
        (RECORDS["training"], f"{RUN}/checkpoints/best.pth"),
    ],
)
def test_what_has_no_record_is_foreign(work, record, file):
    Path(record).unlink()
    for paths in ([file], [Path(file).parent]):
        found = {str(v.result.path): v.state for v in check_results(paths)}
        assert found[file] == "foreign"


def test_a_page_of_another_program_is_foreign(work):
    work.write("other.html", "<html>a page</html>")
    assert verdict_on("other.html").state == "foreign"


@pytest.mark.parametrize("kind", RECORDS)
def test_what_it_was_made_from_has_changed(work, kind):
    change, why = STALE[kind]
    change(work)
    for full in (False, True):
        verdict = verdict_on(RECORDS[kind], full)
        assert (verdict.state, verdict.result.kind) == ("stale", kind) and why in verdict.why
        assert kind == "packed screen" or verdict.mend.startswith("python src/")


@pytest.mark.parametrize(("kind", "other"), list(zip(SEALED, [*SEALED[1:], SEALED[0]], strict=True)))
def test_a_record_of_another_kind_is_damaged(work, kind, other):
    work.write(RECORDS[kind], Path(RECORDS[other]).read_bytes())
    verdict = verdict_on(RECORDS[kind])
    assert verdict.state in ("damaged", "foreign")


def test_files_of_two_members_exchanged_are_damaged(work):
    """Both are whole, and their numbers and wells fit: only the checksum tells."""
    path, other = f"{PREDICTION}/pred_test.npy", f"{PREDICTION.replace('fold_0', 'fold_1')}/pred_test.npy"
    work.write(path, Path(other).read_bytes())
    assert verdict_on(RECORDS["prediction"], full=True).why == (
        "pred_test.npy: is damaged, or of another result than pred_test.json beside it"
    )


# --- chains -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("other_size", [False, True])
def test_an_image_that_was_replaced_makes_stale_what_came_of_it(work, other_size):
    """The quick check sees another size, the full one other pixels; predictions of other plates are sound after all."""
    work.image("P3/A01_w1")
    if other_size:
        with (work.root / "screen/P3/A01_w1.tif").open("ab") as file:
            file.write(b"\0\0")
    quick, full = states(check_results(["."])), states(check_results(["."], full=True))
    for kind in ("audit", "training", "prediction", "embedding", "submission", "ladder", "calibration", "report"):
        assert full[kind] == {"stale"}, kind
        assert quick[kind] == ({"stale"} if other_size else {"sound"}), kind
    assert full["folds"] == full["packed screen"] == {"sound"}
    work.run("audit")
    verdicts = check_results(["."], full=True)
    stale = {
        str(v.result.path) for v in verdicts if v.state == "stale" and v.result.kind in ("prediction", "embedding")
    }
    assert stale and not [path for path in stale if not path.endswith(("_test.json", "_controls.json"))]
    after = states(verdicts)
    assert after["audit"] == after["calibration"] == after["channels"] == {"sound"}
    trainings = {str(v.result.path) for v in verdicts if v.state == "stale" and v.result.kind == "training"}
    assert trainings == {"logs/control/[1]/tiny/run.json"}  # which learns from the control wells of test plates
    assert after["submission"] == after["ladder"] == after["pseudo-labels"] == {"stale"}
    work.run("predict")
    assert states(check_results(["predictions"], full=True))["prediction"] == {"sound"}


def test_a_packed_image_that_was_replaced_is_seen_by_the_full_check(work):
    shard = next(path for path in (work.root / "packed").rglob("c/0/**/*") if path.is_file())
    content = bytearray(shard.read_bytes())
    content[8] ^= 255
    work.write(str(shard.relative_to(work.root)), bytes(content))
    assert verdict_on("packed/packed.json").state == "sound"
    assert verdict_on("packed/packed.json", full=True).state in ("stale", "damaged")


def test_a_network_that_was_trained_again_makes_its_predictions_and_answers_stale(work):
    work.run("train 1 0", "--force", "--set=train.seed=7")
    verdicts = check_results(["."])
    why = {str(v.result.path): v.why for v in verdicts if v.state == "stale"}
    assert why[f"{PREDICTION}/pred_test.json"] == f"{RUN}/run.json: the network was trained again since"
    assert why["answers/submission.json"] == f"made from {PREDICTION}/pred_test.json, which is stale"
    assert why["nearest/[1]/fold_0/tiny+knn/pred_test.json"].startswith("made from embeddings/")
    assert "predictions/[1]/fold_1/tiny/pred_test.json" not in why and f"{RUN}/run.json" not in why


def test_a_calibration_that_was_fitted_again_makes_calibrated_answers_stale(work):
    calibrated = "--calibration=predictions/calibration.json"
    work.run("ensemble", calibrated)
    assert verdict_on("answers/submission.json").state == "sound"
    work.run("calibrate", "--model_names=tiny")
    verdict = verdict_on("answers/submission.json")
    assert verdict.state == "stale" and verdict.why.startswith("predictions/calibration.json: was fitted again since")


def test_a_report_on_held_out_wells_alone_is_sound(work):
    for path in (work.root / "predictions").rglob("pred_test*"):
        path.unlink()
    work.run("report")
    assert verdict_on("report.html").state == "sound"


def test_a_screen_that_has_moved_can_be_named(work):
    (work.root / "screen").rename(work.root / "moved")
    assert verdict_on(RECORDS["folds"]).state == "stale"
    (verdict,) = check_results([RECORDS["folds"]], source=ScreenSource("moved"))
    assert verdict.state == "sound"


# --- paths ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "record"),
    [
        (f"{PREDICTION}/pred_test_sites.npy", RECORDS["prediction"]),
        (f"{PREDICTION}/pred_valid.csv", f"{PREDICTION}/pred_valid.json"),
        (f"{RUN}/checkpoints/best.pth", RECORDS["training"]),
        ("csv/train_0.csv", RECORDS["folds"]),
        ("csv/audit/audit.csv", RECORDS["audit"]),
        ("csv/pseudo/pseudo.csv", RECORDS["pseudo-labels"]),
        ("answers/confidence.csv", RECORDS["submission"]),
        ("answers/groups.csv", RECORDS["submission"]),
        ("predictions/channels_valid.csv", RECORDS["channels"]),
    ],
)
def test_a_file_stands_for_the_result_that_it_is_of(work, path, record):
    verdict = verdict_on(path)
    assert (str(verdict.result.path), verdict.state) == (record, "sound")


def test_a_result_that_is_named_twice_is_judged_once(work):
    names = [f"{PREDICTION}/pred_test.npy", f"{PREDICTION}/pred_test.csv", RECORDS["prediction"], PREDICTION]
    assert [v.result.path.name for v in check_results(names)] == ["pred_test.json", "pred_valid.json"]


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        (["nowhere"], "nowhere: no such file or folder"),
        (["answers", "nowhere"], "nowhere: no such file or folder"),
        (["screen/P1"], "screen/P1: no result of this program in it"),
    ],
)
def test_a_path_without_results_is_an_error(work, paths, said):
    with pytest.raises(UserError) as error:
        check_results(paths)
    assert str(error.value) == said


def test_thirty_members_read_each_source_once(work, monkeypatch):
    """What costs time in a quick check: screens, tables, audits and folders of images are read once, no file hashed."""
    for number in range(28):
        channels, fold = f"[{1 + number % 2}]", f"fold_{number // 2 + 2}"
        shutil.copytree(work.root / f"logs/full/{channels}/fold_0", work.root / f"logs/full/{channels}/{fold}")
        shutil.copytree(work.root / f"predictions/{channels}/fold_0", work.root / f"predictions/{channels}/{fold}")
    calls: dict[str, int] = {}

    def counted(module: object, name: str) -> None:
        original = getattr(module, name)

        def count(*words: object, **more: object) -> object:
            calls[name] = calls.get(name, 0) + 1
            return original(*words, **more)

        monkeypatch.setattr(module, name, count)

    for name in ("read_screen", "stage_table", "audit_of_training"):
        counted(known_sources, name)
    counted(folder_state, "state_of")
    counted(atomic, "_sha_of_state")
    verdicts = check_results(["logs", "predictions"])
    assert {v.state for v in verdicts} == {"sound"} and len(verdicts) == 5 + 28 + 8 + 56 + 3
    assert calls["read_screen"] == 1 and calls["audit_of_training"] == 1
    assert calls["stage_table"] == 3  # stage I and two folds
    assert calls.get("state_of", 0) == 0  # the folders' times are those of the audit
    assert calls["_sha_of_state"] == 5  # four fold tables and the table of the audit


def test_the_content_of_a_record_names_its_command(work):
    for kind in SEALED:
        content = content_of(Path(RECORDS[kind]))
        command = content.get("command") or content["facts"]["command"]
        assert command[-1].startswith("--") or kind, command
