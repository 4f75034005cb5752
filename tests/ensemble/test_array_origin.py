"""Whose arrays these are: columns by their names, other screens by what differs, records of every version."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rcic.ensemble.array_origin import read_origin
from rcic.ensemble.decision import decide_predictions
from rcic.ensemble.ensemble_options import EnsembleOptions
from rcic.ensemble.predictions import read_predictions
from rcic.ensemble.submission import write_submission
from rcic.errors import UserError
from rcic.files.names import prediction_files
from rcic.files.record import Record, network_id, read_record
from rcic.files.well_rows import write_well_rows
from rcic.screen.table import Screen, read_screen
from tests.predicted import ASSUMED, LOGITS, WELLS, write_member
from tests.program import Program
from tests.records import flat, rewrite, tamper
from tests.screen.tiny import KAGGLE, write_tables

FOLDER = "[1,2,3,4,5]/fold_0/tiny"
TREATMENTS = ["2", "3", "10", "11"]


@pytest.fixture
def screen(data) -> Screen:
    return read_screen(data)


def predict(root: Path, screen: Screen, logits: np.ndarray = LOGITS, checkpoint: str = "c") -> Path:
    """Write a member's predictions as `predict-all` does; return the record."""
    files = prediction_files(root / FOLDER, "test")
    made_from = {"checkpoint": checkpoint, "classes": TREATMENTS, "images": screen.identity.images((1, 2, 3, 4, 5))}
    made_with = {"sites": [1, 2], "tta": ["identity", "hflip"]}
    record = Record("prediction", made_from, made_with, facts={"network": network_id(checkpoint)})
    write_well_rows(files, {"logits": logits, "sites": np.stack([logits, logits], axis=1)}, WELLS, record)
    return files["record"]


def read(root: Path, screen: Screen, **options):
    (prediction,) = read_predictions(root, screen.select("test", "treatment"), screen, **options)
    return prediction


def refusal(root: Path, screen: Screen, **options) -> str:
    with pytest.raises(UserError) as caught:
        read(root, screen, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def name_columns(folder: Path, *labels: str) -> None:
    (folder / "classes.csv").write_text("\n".join(["label", *labels]) + "\n")


@pytest.mark.parametrize(("folder", "refused"), [("[1,2,3,4,6]/fold_0/tiny", True), ("[5,4,3,2,1]/fold_1/tiny", False)])
def test_arrays_of_another_channel_set_than_their_folder_names(root, screen, folder, refused):
    path = predict(root, screen)
    (root / folder).parent.mkdir(parents=True)
    path.parent.rename(root / folder)
    if not refused:
        assert read(root, screen).member.channels == (5, 4, 3, 2, 1)
        return
    reason = "made with channels [1,2,3,4,5], so it belongs into another folder; run "
    assert refusal(root, screen).startswith(f"{root / folder / path.name}: {reason}")


def test_scores_of_neighbours_are_made_again_by_neighbours(root, screen):
    rewrite(predict(root, screen), made_from={"bank": "b", "classes": ["3", "2", "10", "11"]})
    assert re.search(
        r"with other classes number 0 .*; run .*inference\.py neighbours again$|; run rcic neighbours again$",
        refusal(root, screen),
    )


# ---- the columns of another program


@pytest.mark.parametrize("place", [FOLDER, ""])
def test_columns_go_by_their_names(root, screen, place):
    order = [3, 0, 2, 1]
    path = write_member(root, logits=LOGITS[:, order])
    np.save(prediction_files(path.parent, "test")["sites"], np.stack([LOGITS[:, order]] * 2, axis=1))
    name_columns(root / place, *(TREATMENTS[number] for number in order))
    prediction = read(root, screen, by_site=True)
    assert np.array_equal(prediction.logits, LOGITS) and prediction.note == ""
    assert np.array_equal(prediction.sites[:, 0], LOGITS)
    answers = decide_predictions(screen.root, root, EnsembleOptions())
    assert screen.decode(answers.answers["label"]) == [10, 2, 3] and ASSUMED not in answers.notes


def test_columns_of_controls_are_left_out_wherever_they_are(root, screen):
    wide = np.hstack([np.full((3, 2), 99, np.float32), LOGITS[:, ::-1], np.full((3, 1), 99, np.float32)])
    write_member(root, logits=wide)
    name_columns(root / FOLDER, "40", "30", *TREATMENTS[::-1], "29")
    assert np.array_equal(read(root, screen).logits, LOGITS)


def test_a_members_own_names_come_before_those_of_the_root(root, screen):
    write_member(root, logits=LOGITS[:, ::-1])
    name_columns(root, *TREATMENTS)
    name_columns(root / FOLDER, *TREATMENTS[::-1])
    assert np.array_equal(read(root, screen).logits, LOGITS)


def test_columns_without_names_are_said_to_be_in_the_order_of_the_screen(root, screen, data, capsys):
    write_member(root)
    assert f"  {read(root, screen).note}" == ASSUMED
    said = Program(capsys).run(
        "inference.py", "ensemble", "--data_root", data, "--predict_root", root, f"--out_dir={root}"
    )
    assert ASSUMED in said.splitlines()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["2", "3", "10", "12"], "line 5: '12' is not a label of the screen"),
        (["2", "3", "10", "10"], "line 5: '10' is listed twice"),
        (["2", "3", "10"], "3 labels, but the logits in {folder} have 4 columns"),
        (["2", "3", "10", "11", "40"], "5 labels, but the logits in {folder} have 4 columns"),
        (["2", "3", "10", "40"], "the treatment '11' of the screen is not in it"),
        ([], "the table has a header but no rows"),
    ],
)
def test_names_that_do_not_fit_are_refused(root, screen, labels, message):
    write_member(root)
    name_columns(root / FOLDER, *labels)
    said = refusal(root, screen)
    assert said.startswith(f"{root / FOLDER}/classes.csv") and message.format(folder=root / FOLDER) in said


def test_names_beside_a_record_are_not_asked(root, screen):
    predict(root, screen)
    name_columns(root / FOLDER, *TREATMENTS[::-1])
    assert np.array_equal(read(root, screen).logits, LOGITS)


# ---- predictions of this version


def test_the_record_tells_the_network_and_the_views(root, screen):
    predict(root, screen)
    prediction = read(root, screen)
    assert (prediction.network, prediction.tta, prediction.note) == (network_id("c"), True, "")
    write_submission(decide_predictions(screen.root, root), root / "sub")
    record = read_record(root / "sub" / "submission.json", "submission")
    assert record.made_from == {"classes": TREATMENTS, "predictions": {FOLDER: network_id("c")}}
    assert set(record.files) == {"submission.csv", "confidence.csv", "groups.csv"}


@pytest.mark.parametrize("name", ["pred_test.npy", "pred_test.csv", "pred_test_sites.npy"])
def test_a_file_of_other_predictions_is_refused(root, screen, name):
    path = predict(root, screen).with_name(name)
    content = path.read_bytes()
    path.write_bytes(content[:-2] + bytes([content[-2] ^ 1]) + content[-1:])
    said = refusal(root, screen, by_site=True)
    assert said.startswith(f"{path}: is damaged, or of another result than pred_test.json beside it; ")
    assert said.endswith("again")
    if name == "pred_test_sites.npy":
        read(root, screen)  # which does not need them


def test_sites_that_a_record_does_not_list_are_of_another_result(root, screen):
    path = predict(root, screen)
    rewrite(path, files={"pred_test_sites.npy": None})
    assert read(root, screen, by_site=True).sites is None


OTHERS = {
    "a treatment more": ({"classes": [*TREATMENTS, "12"]}, "classes (5 then, 4 now; '12' is not in both)"),
    "treatments in another order": ({"classes": ["3", "2", "10", "11"]}, "classes number 0 ('3' then, '2' now)"),
    "another file of a channel": (
        {"images": {"channels": {"2": {"file": "w7"}}}},
        "images channels 2 file ('w7' then, '2' now)",
    ),
    "another stain": ({"images": {"channels": {"2": {"name": "RNA"}}}}, "images channels 2 name ('RNA' then, "),
    "other levels": (
        {"images": {"channels": {"2": {"levels": [0, 9]}}}},
        "images channels 2 levels ([0, 9] then, None now)",
    ),
    "a channel that is not there now": ({"images": {"channels": {"9": {}}}}, "channels (9 then, not now)"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_predictions_of_another_screen_are_refused(root, screen, case):
    changes, message = OTHERS[case]
    path = predict(root, screen)
    rewrite(path, made_from=changes)
    said = refusal(root, screen)
    assert said.startswith(f"{path}: made for another screen than {screen.root} is now, with other {message}")
    assert re.search(r"; run .*predict-all again$", said)


def test_an_experiment_more_or_a_table_in_another_order_leaves_predictions_valid(root, screen, data):
    predict(root, screen)
    lines = KAGGLE["train.csv"].splitlines()
    more = [line.replace("RPE-02", "RPE-03") for line in lines[1:5]]
    write_tables(data, {"train.csv": "\n".join([lines[0], *lines[:0:-1], *more]) + "\n"})
    assert np.array_equal(read(root, read_screen(data)).logits, LOGITS)


def test_a_record_that_was_changed_by_hand_is_refused(root, screen):
    path = predict(root, screen)
    tamper(path, made_from={"classes": TREATMENTS[::-1]})
    assert refusal(root, screen).startswith(f"{path}: is damaged, or was changed by hand")


def test_unfinished_predictions_and_those_of_another_kind_are_refused(root, screen):
    path = predict(root, screen)
    rewrite(path, state="unfinished")
    assert refusal(root, screen).startswith(f"{path}: is unfinished, since a command was interrupted")
    predict(root, screen)
    rewrite(path, kind="embedding")
    assert "pred_test.json: is the record of another kind of result (embedding, not prediction); run" in refusal(
        root, screen
    )


# ---- versions 0.1 and 0.2


def test_records_of_earlier_versions_are_read(root, screen):
    write_member(root)
    files = prediction_files(root / FOLDER, "test")
    flat(files["record"], screen, tta=["identity", "hflip"], checkpoint_sha256="cc")
    prediction = read(root, screen)
    assert np.array_equal(prediction.logits, LOGITS) and (prediction.tta, prediction.note) == (True, "")
    assert prediction.network == network_id("cc", [1, 2], ["identity", "hflip"])
    record = read_origin(files, "prediction", screen, ("logits", "wells"))
    assert record.made_from == {"checkpoint": "cc", "fingerprint": screen.fingerprint()} and not record.files


def test_records_of_earlier_versions_for_another_screen_are_refused(root, screen):
    path = write_member(root).with_suffix(".json")
    flat(path, replace(screen, classes=screen.classes[::-1]))
    said = refusal(root, screen)
    assert said.startswith(
        f"{path}: made for another screen than {screen.root} is now, with other wells, classes or grey"
    )
    assert re.search(r"; run .*predict-all again$", said)
