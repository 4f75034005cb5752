"""Predictions belong to the classes, wells and plates that they were made for: with every command that reads them."""

import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rcic.screen.table import read_screen
from tests.learn.tiny import forget_accelerate
from tests.predicted import write_member
from tests.program import TINY, Program
from tests.workplace import LABELS, Workplace, no_gpu

READERS = ("ensemble", "score", "calibrate", "pseudo-label", "channels", "neighbours", "report", "browse")
ORDER = ("z", "w", "y", "x")  # of another program's columns; those of the screen are w, x, y, z
ASSUMED = "no classes.csv: its columns are taken for the treatments in the order of the screen"
TREATED = {"test": ("b3_P3",), "valid": ("b1_P1", "b2_P2")}

TABLES: dict[str, Callable[[Workplace], object]] = {
    "one label renamed": lambda p: p.edit("screen/wells.csv", ",x\n", ",q\n"),
    "a label in other case": lambda p: p.edit("screen/wells.csv", ",w\n", ",W\n"),
    "a label more": lambda p: p.edit("screen/wells.csv", "b1,P1,A05,", "b1,P1,A07,v\nb1,P1,A05,"),
    "a label less": lambda p: p.edit("screen/wells.csv", "A04,w", "A04,z"),
    "a treatment that is a control now": lambda p: p.spec(
        well_types={"negative_control": ["DMSO", "w"], "positive_control": ["PLK1"]}
    ),
    "a control that is a treatment now": lambda p: [
        p.spec(well_types={"negative_control": ["DMSO"]}),
        p.edit("screen/wells.csv", "b3,P3,A06,PLK1\n", ""),
    ],
}


def refusal(place: Workplace, command: str, *more: str) -> str:
    """Return why a command does not take the predictions: its only line, or what the report leaves out."""
    if command == "report":
        lines = place.run(command, *more).splitlines()
        return "\n".join(line for line in lines if line.startswith("left out: The ladder"))
    return place.refuse(command, *more)


def theirs(root: Path, order: Sequence[str], listed: Sequence[str] | None) -> None:
    """Write another program's predictions of two channel sets, always right; ``listed`` goes into classes.csv."""
    truth = dict(zip(("A01", "A02", "A03", "A04"), LABELS[:4], strict=True))
    for channels in ("[1]", "[2]"):
        for split, plates in TREATED.items():
            codes = [f"{plate}_{well}" for plate in plates for well in truth]
            logits = np.array([[9.0 * (truth[code[-3:]] == label) for label in order] for code in codes])
            path = write_member(root, f"{channels}/fold_0/net", logits, codes, split)
        if listed is not None:
            (path.parent / "classes.csv").write_text("\n".join(["label", *listed, ""]))


@pytest.mark.parametrize("change", TABLES)
def test_predictions_of_other_classes_are_refused_by_every_reader(work, change):
    TABLES[change](work)
    work.write("truth.csv", "id_code,sirna\nb3_P3_A03,z\n")
    for command in READERS if change == "one label renamed" else ("ensemble", "neighbours"):
        again = "embed-all" if command == "neighbours" else "predict-all"
        line = (
            rf".*(pred|emb)_\w+\.json: made for another screen than screen is now, with other classes .*{again} again"
        )
        assert re.search(line, refusal(work, command)), command
    assert re.fullmatch(r".*best\.pth: trained on (other classes than|4 classes, but) .*", work.refuse("predict"))


def test_anothers_columns_go_by_the_names_in_classes_csv(work):
    theirs(work.root / "theirs", ORDER, ORDER)
    root = "--predict_root=theirs"
    assert re.search(r"channel sets +100\.00", work.run("score", root))
    assert re.search(r"cross-fitted .* 100\.00", work.run("calibrate", root))
    work.run("ensemble", root)
    assert pd.read_csv("answers/submission.csv")["compound"].tolist() == list(LABELS[:4])
    assert ASSUMED not in work.run("channels", root)


def test_without_it_every_reader_says_what_was_assumed(work):
    theirs(work.root / "theirs", ORDER, None)
    root = "--predict_root=theirs"
    for command in ("ensemble", "score", "calibrate", "pseudo-label", "channels"):
        assert ASSUMED in work.run(command, root), command
    assert re.search(r"channel sets +25\.00", work.run("score", root))  # what the line is for
    work.run("report", root, "--truth=truth.csv")
    assert ASSUMED in (work.root / "report.html").read_text()


@pytest.mark.parametrize(
    ("listed", "line"),
    {
        "a label that the screen has not": (("z", "w", "y", "q"), r"line 5: 'q' is not a label of the screen"),
        "a label in other case": (
            ("Z", "w", "y", "x"),
            r"line 2: 'Z' is not a label of the screen; did you mean 'z'\?",
        ),
        "a label twice": (("z", "w", "y", "y"), r"line 5: 'y' is listed twice"),
        "a label less than columns": (("z", "w", "y"), r" 3 labels, but the logits in \S+ have 4 columns"),
        "a control instead of a treatment": (("z", "w", "y", "DMSO"), r" the treatment 'x' of the screen is not in it"),
        "another column": (None, r"line 1: no column 'label' in the header.*"),
    }.values(),
)
def test_a_classes_csv_of_another_screen_is_refused(work, listed, line):
    theirs(work.root / "theirs", ORDER, listed or ())
    if listed is None:
        for path in (work.root / "theirs").rglob("classes.csv"):
            path.write_text("name\nx\n")
    for command in ("ensemble", "score", "calibrate", "pseudo-label", "channels", "report", "browse"):
        assert re.search(rf"classes\.csv[:,] ?{line}", refusal(work, command, "--predict_root=theirs")), command


@pytest.fixture(scope="module")
def kaggle(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> dict[str, Path]:
    """Return predictions of the held-out wells of HUVEC-01 and RPE-01, 99 % right, for each release of the tables."""
    roots = {}
    for year in ("2019", "2023"):
        roots[year] = tmp_path_factory.mktemp(year)
        screen = read_screen(shared_data / f"kaggle_{year}")
        wells = screen.select("train", "treatment")
        wells = wells[wells["experiment"].isin(["HUVEC-01", "RPE-01"])]
        order = np.random.default_rng(0).permutation(screen.n_treatments)
        guesses = np.where(np.arange(len(wells)) % 100 == 0, (wells["label"] + 1) % screen.n_treatments, wells["label"])
        logits = np.zeros((len(wells), screen.n_treatments), np.float32)
        logits[np.arange(len(wells)), np.argsort(order)[guesses]] = 20
        path = write_member(roots[year], "[1]/fold_0/net", logits, wells["id_code"], "valid")
        names = np.asarray(screen.decode(pd.Series(order)))
        (path.parent / "classes.csv").write_text("\n".join(["label", *map(str, names), ""]))
    return roots


@pytest.mark.parametrize(("year", "other"), [("2019", "2023"), ("2023", "2019")])
def test_predictions_for_the_other_release_of_the_real_tables(kaggle, shared_data, tmp_path, capsys, year, other):
    program, root = Program(capsys), f"--predict_root={kaggle[year]}"
    words = ("inference.py", "score", root, "--split=valid", f"--out_dir={tmp_path}")
    told = program.run(*words, f"--data_root={shared_data}/kaggle_{year}")
    assert re.search(r"^both sites +9[89]\.\d\d ", told, re.M)
    told = program.refuse(*words, f"--data_root={shared_data}/kaggle_{other}")
    assert re.fullmatch(r".*classes\.csv, line 2: '\w+' is not a label of the screen.*", told)


@pytest.mark.parametrize(
    ("change", "line"),
    {
        "a barcode that was renamed": (("b3,P3,", "b3,P9,"), r"pred_test\.csv, line 2: 'b3_P3_A01' is not a test well"),
        "a test experiment renamed": (("b3,", "b4,"), r"pred_test\.csv, line 2: 'b3_P3_A01' is not a test well"),
        "a well that is left out now": (
            ("b3,P3,A02,\n", ""),
            r"pred_test\.csv, line 3: 'b3_P3_A02' is not a test well",
        ),
        "wells that have the labels of a control now": (
            ("A01,\n", "A01,DMSO\n"),
            r"pred_test\.csv, line 2: 'b3_P3_A01' is not a test well",
        ),
    }.values(),
)
def test_predictions_of_wells_that_are_not_there_are_refused(work, change, line):
    work.edit("screen/wells.csv", *change)
    for command in ("ensemble", "pseudo-label", "browse"):
        assert re.search(line, work.refuse(command)), command


@pytest.fixture
def late(case, tmp_path: Path, monkeypatch, capsys) -> tuple[Path, Program]:
    """Return the folder of a screen without its plate BR31, whose other test plates were predicted and answered."""
    root, program = case("late_plate"), Program(capsys)
    no_gpu(monkeypatch, root.parent)
    forget_accelerate()
    Path("tiny.yml").write_text(TINY.replace("FOLDS", "csv"))
    data = f"--data_root={root.name}"
    program.run("data.py", "folds", data, "--out_dir=csv", "--n_folds=2")
    program.run("data.py", "audit", data, "--out_dir=audit")
    program.run("train.py", "run", "--config=tiny.yml", data, "--log_root=logs", "--channels=[1,2]", "--fold=0")
    program.run(*PREDICT, data)
    program.run("inference.py", "ensemble", data, "--predict_root=out", "--out_dir=answers")
    return root, program


PREDICT = ("inference.py", "predict-all", "--model_root=logs/full", "--model_name=tiny", "--out_dir=out")
PREDICT += ("--splits=test", "--audit_dir=audit")


def test_a_plate_that_comes_late_takes_no_other_plates_answers(late):
    root, program = late
    data, answer = f"--data_root={root.name}", ("inference.py", "ensemble", f"--data_root={root.name}")
    answer += ("--predict_root=out", "--out_dir=answers")
    before = pd.read_csv("answers/confidence.csv", index_col="id_code")
    shutil.copyfile(root / "later.csv", root / "wells.csv")
    told = program.run(*answer)
    assert "[1,2]/fold_0/tiny: 4 of 12 wells are not predicted" in told
    assert "4 wells have no prediction and are guessed, first b3_BR31_A01" in told
    after = pd.read_csv("answers/confidence.csv", index_col="id_code")
    pd.testing.assert_frame_equal(after.loc[before.index], before)
    assert set(before["barcode"]) == {"BR32", "BR33"} and set(after["barcode"]) == {"BR31", "BR32", "BR33"}
    assert after["predicted"].tolist() == (after["barcode"] != "BR31").tolist()
    pseudo = ("inference.py", "pseudo-label", data, "--predict_root=out", "--folds_dir=csv", "--out_dir=pseudo")
    assert "4 wells: not predicted by any model" in program.run(*pseudo, "--min_margin=-9")
    assert {code.split("_")[1] for code in pd.read_csv("pseudo/pseudo.csv")["id_code"]} == {"BR32", "BR33"}
    own_answers(late, answer, before)


def own_answers(late: tuple[Path, Program], answer: Sequence[str], before: pd.DataFrame) -> None:
    """After a new audit the training is still done, and predict-all predicts the plate, too."""
    root, program = late
    data = f"--data_root={root.name}"
    program.run("data.py", "audit", data, "--out_dir=audit")
    train = ("train.py", "run", "--config=tiny.yml", data, "--log_root=logs", "--channels=[1,2]", "--fold=0")
    assert "done already" in program.run(*train)
    assert "test: 0 of 1 members are predicted already, 1 to go" in program.run(*PREDICT, data)
    assert "guessed" not in program.run(*answer)
    after = pd.read_csv("answers/confidence.csv", index_col="id_code")
    assert after["predicted"].all()
    assert after.loc[before.index, "compound"].tolist() == before["compound"].tolist()


@pytest.mark.parametrize("gone", ["BR32", "BR33"])
def test_a_plate_that_was_taken_out_is_told(late, gone):
    root, program = late
    lines = (root / "wells.csv").read_text().splitlines(keepends=True)
    (root / "wells.csv").write_text("".join(line for line in lines if f",{gone}," not in line))
    answer = ("inference.py", "ensemble", f"--data_root={root.name}", "--predict_root=out", "--out_dir=answers")
    assert re.search(rf"pred_test\.csv, line \d: 'b3_{gone}_A01' is not a test well", program.refuse(*answer))


# --- wells that no model predicted ------------------------------------------------------------------------------------


@pytest.mark.parametrize("margin", ["-1e9", "0", "1e-9"])
def test_a_well_that_no_model_predicted_is_never_a_pseudo_label(work, margin):
    """Neither its margin, which is 0, nor the treatment that is left for it makes it a label."""
    for number, codes in enumerate((TREATED["test"][0] + "_A01", TREATED["test"][0] + "_A02")):
        write_member(work.root / "part", f"[{number + 1}]/fold_0/net", np.eye(4)[[number + 1]] * 9, [codes])
    told = work.run("pseudo-label", "--predict_root=part", f"--min_margin={margin}")
    assert "2 wells: not predicted by any model" in told and "2 of 4 test wells" in told
    assert pd.read_csv("csv/pseudo/pseudo.csv")["well"].tolist() == ["A01", "A02"]
    audit = pd.read_csv("csv/pseudo/audit.csv").set_index("well")
    assert audit["kept"].to_dict() == {"A01": True, "A02": True, "A03": False, "A04": False}


@pytest.mark.parametrize("more", [(), ("--sinkhorn",)])
def test_the_answers_say_which_wells_were_not_predicted(work, more):
    work.spec(assignment="one-to-one")
    write_member(work.root / "part", "[1]/fold_0/net", np.eye(4)[[1, 2]] * 9, ["b3_P3_A02", "b3_P3_A04"])
    assert "2 wells have no prediction and are guessed, first b3_P3_A01" in work.run(
        "ensemble", "--predict_root=part", *more
    )
    table = pd.read_csv("answers/confidence.csv")
    assert table.set_index("id_code")["predicted"].tolist() == [False, True, False, True]
    work.run("pseudo-label", "--predict_root=part", "--min_margin=-9", *more)
    assert pd.read_csv("csv/pseudo/pseudo.csv")["well"].tolist() == ["A02", "A04"]


def test_predictions_of_no_test_well_label_nothing(work):
    write_member(work.root / "none", "[1]/fold_0/net", np.zeros((0, 4)), [])
    told = work.refuse("pseudo-label", "--predict_root=none", "--min_margin=-9")
    assert told.endswith("pred_test.csv: the table has a header but no rows")


# --- the report on several folders ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        (("runA/predictions", "runB/predictions"), ("runA/predictions", "runB/predictions")),
        (("a/run/predictions", "b/run/predictions"), ("a/run/predictions", "b/run/predictions")),
        (("predictions", "runB/predictions"), ("place/predictions", "runB/predictions")),
        (("full", "pseudo"), ("full", "pseudo")),
    ],
)
def test_folders_of_one_name_are_told_apart_in_the_report(work, folders, names):
    for folder, order in zip(folders, (ORDER, ORDER[::-1]), strict=True):  # the second ones are always wrong
        shutil.rmtree(folder, ignore_errors=True)
        theirs(Path(folder), order, ORDER)
    work.run("report", f"--predict_root={','.join(folders)}", "--truth=truth.csv", "--log_root=none")
    page = (work.root / "report.html").read_text()
    for name in names:
        assert f"{name}, test wells" in page and f"{name}, held-out wells" in page
    assert len(set(re.findall(r"[\w/]*(?:predictions|full|pseudo), test wells", page))) == 2


def test_a_folder_that_is_named_twice_is_shown_once(work):
    told = work.run("report", "--predict_root=predictions,./predictions", "--truth=truth.csv", "--log_root=none")
    assert told.count("scores of") == 2
