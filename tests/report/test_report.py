"""The whole report: every section where there is data, none where there is not, and the script that makes it."""

import json
import re
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import yaml

from rcic.ensemble.ensemble_options import EnsembleOptions
from rcic.ensemble.scoring import score, write_ladder
from rcic.errors import UserError
from rcic.files.record import Record, write_record
from rcic.files.sealed_json import sealed
from rcic.report.audit_facts import found_table, read_facts, verdict
from rcic.report.compose import report
from rcic.report.sections import SECTIONS
from tests.predicted import LOGITS, WELLS, write_held_out, write_member
from tests.program import Program
from tests.report.conftest import DECIDED, EARLIER, FOUND, shown_of
from tests.screen.tiny import KAGGLE, write_tables


def sections(text: str) -> list[str]:
    """Return the ids of the page's sections."""
    return re.findall(r'<section id="([^"]+)"', text)


def charts(out: Path) -> dict[str, dict[str, list]]:
    """Return the columns of the page's charts by name."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', out.read_text(), re.S)
    assert found is not None
    tables = json.loads(found[1])
    return {name: {c["name"]: c["values"] for c in chart["columns"]} for name, chart in tables.items()}


def test_with_everything_every_section_is_there(everything, tmp_path, capsys):
    page = report(everything, tmp_path / "out.html")
    text = (tmp_path / "out.html").read_text()
    assert sections(text) == ["summary", *(section.name for section in page.sections)]
    assert len(page.sections) == len(SECTIONS)
    assert page.left_out == []
    assert {fact.label for fact in page.facts} >= {"Answers right", "Wells", "Trainings done"}
    assert page.facts[0].value == "100.00\u00a0%"
    assert any("bad images: 2 zero, 1 missing" in line for line in page.odd)
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"{tmp_path / 'out.html'}: 13 sections, 17 wells")


def test_the_numbers_are_those_of_ladder_json(everything, root, tmp_path):
    report(everything, tmp_path / "out.html")
    shown = charts(tmp_path / "out.html")["ladder"]
    for split, name in (("test", "test wells"), ("valid", "held-out wells")):
        truth = everything.options.truth if split == "test" else None
        write_ladder(score(everything.data_root, root, split, truth), tmp_path / "ladder.json", {})
        content = json.loads((tmp_path / "ladder.json").read_text())
        wanted = {(r["scope"], r["value"], r["rung"]): r["accuracy"] for r in content["ladder"] if r["n_wells"]}
        rows = zip(*(shown[key] for key in ("predictions", "scope", "value", "rung", "accuracy")), strict=True)
        own = {row[1:4]: row[4] for row in rows if row[0] == f"out, {name}" and row[1] != "plate"}
        assert own == pytest.approx(wanted, abs=1e-9)


def test_tables_alone_are_enough(data, tmp_path, capsys):
    page = report(shown_of(data), tmp_path / "out.html")
    assert [section.name for section in page.sections] == ["screen"]
    absent = {entry.what: entry for entry in page.left_out}
    assert absent["The ladder"].why == "no predictions of wells with known truth"
    assert absent["The ladder"].command.startswith(f"rcic predict-all --data_root {data}")
    assert absent["Runs"].why == "no --log_root was given"
    assert absent["Image quality"].why.startswith("--quality_images is 0")
    assert "Left out" in (tmp_path / "out.html").read_text()
    assert "left out: Embeddings: no --embed_root was given" in capsys.readouterr().out


def test_what_a_killed_report_left_and_this_one_makes_anew_is_not_told(everything, root, tmp_path, monkeypatch):
    left = root / ".kept_calibration_valid.npz.0123abcd.tmp"
    left.touch()
    monkeypatch.setattr("rcic.files.atomic.remove_unfinished_once", lambda folder: None)
    monkeypatch.setattr("rcic.report.sources.calibrate_once", lambda *_: left.unlink())  # whose writes remove it
    report(everything, tmp_path / "out.html")
    header = (tmp_path / "out.html").read_text().partition("</header>")[0]
    assert not left.exists() and "checked: " in header and "unfinished" not in header


def test_a_real_screen_has_no_test_truth(data, root, tmp_path):
    write_member(root)
    write_held_out(root)
    page = report(shown_of(data, predict_root=(str(root),)), tmp_path / "out.html")
    names = [section.name for section in page.sections]
    assert {"ladder", "plates", "groups", "confidence"} <= set(names)
    absent = [entry.why for entry in page.left_out if entry.what == f"The ladder of {root} on test wells"]
    assert len(absent) == 1 and "give --truth FILE" in absent[0]
    shown = charts(tmp_path / "out.html")
    assert set(shown["ladder"]["predictions"]) == {"out, held-out wells"}
    assert set(shown["groups"]["predictions"]) == {"out, held-out wells", "out, test wells"}
    known = [
        answer
        for answer, split in zip(shown["plates"]["answer"], shown["plates"]["split"], strict=True)
        if split == "test"
    ]
    assert sorted(known) == ["", "", "10", "2", "3"]


def test_folders_that_are_not_there_yet(data, tmp_path):
    paths = {"log_root": "logs", "audit_dir": "audit", "embed_root": "emb"}
    given = shown_of(
        data, predict_root=(str(tmp_path / "p"),), **{name: str(tmp_path / path) for name, path in paths.items()}
    )
    page = report(given, tmp_path / "out.html")
    assert [section.name for section in page.sections] == ["screen"]
    whys = " ".join(entry.why for entry in page.left_out)
    for said in (
        "no run folder in it",
        "the images have not been audited",
        "no embeddings in folders",
        "no pred_valid.npy",
    ):
        assert said in whys


def test_several_predictions_are_compared_and_the_last_answers(data, tmp_path):
    for name, logits in (("full", -LOGITS), ("pseudo", LOGITS)):
        write_member(tmp_path / name, logits=logits)
    truth = tmp_path / "truth.csv"
    truth.write_text(f"id_code,sirna\n{WELLS[0]},10\n{WELLS[1]},2\n")
    roots = (str(tmp_path / "full"), str(tmp_path / "pseudo"))
    page = report(shown_of(data, predict_root=roots, truth=str(truth)), tmp_path / "out.html")
    assert page.facts[0].value == "100.00\u00a0%"
    shown = charts(tmp_path / "out.html")
    assert list(dict.fromkeys(shown["ladder"]["predictions"])) == ["pseudo, test wells", "full, test wells"]


def test_plates_have_the_shape_and_channels_of_their_form(data, tmp_path):
    spec = yaml.safe_load((Path(__file__).parents[2] / "configs" / "screens" / "rcic.yml").read_text())
    channels = [{"name": "dye A", "colour": "#ff0000"}, {"name": "dye B", "colour": "#00ff00"}]
    (data / "screen.yml").write_text(yaml.safe_dump(spec | {"plate": 96, "channels": channels}))
    (data / "pixel_stats.csv").write_text("id_code,channel,mean,std\nRPE-01_1_B03,1,10,2\nRPE-01_1_B03,2,11,3\n")
    report(shown_of(data), tmp_path / "out.html")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', (tmp_path / "out.html").read_text())
    options = json.loads(found[1])["plates"]["options"]
    assert (options["rows"], options["columns"], options["wells"][-1]) == (8, 12, "H12")
    means = [text for name, text in options["measures"].items() if name.startswith("mean")]
    assert means == ["1 dye A: mean grey level, 0 to 255", "2 dye B: mean grey level, 0 to 255"]


def test_hostile_names_in_tables(tmp_path, root):
    hostile = "RPE-<img src=x onerror=alert(1)>"
    tables = {name: text.replace("RPE-01", hostile) for name, text in KAGGLE.items()}
    (tmp_path / "data").mkdir()
    write_tables(tmp_path / "data", tables)
    write_member(root)
    page = report(shown_of(tmp_path / "data", predict_root=(str(root),)), tmp_path / "out.html")
    assert page.sections
    assert "<img src=x" not in (tmp_path / "out.html").read_text()


def test_mistakes_are_told_before_any_work(data, root, tmp_path):
    with pytest.raises(UserError, match="is a folder; name a file to write"):
        report(shown_of(data), tmp_path)
    for ensemble, said in (
        (EnsembleOptions(("a",), (1, 2)), "--weights"),
        (EnsembleOptions(calibration="none.json"), "no such file"),
    ):
        with pytest.raises(UserError, match=said):
            report(replace(shown_of(data, predict_root=(str(root),)), ensemble=ensemble), tmp_path / "out.html")
    with pytest.raises(UserError, match="nowhere: the data root does not exist"):
        report(shown_of(tmp_path / "nowhere"), tmp_path / "out.html")
    assert not (tmp_path / "out.html").exists()


def test_the_script(data, root, tmp_path, capsys):
    program = Program(capsys)
    write_member(root)
    flags = [f"--data_root={data}", f"--predict_root={root}", f"--out={tmp_path / 'out.html'}", "--quality_images=0"]
    assert "open it in a browser" in program.run("report.py", *flags)
    assert (tmp_path / "out.html").stat().st_size > 4_000_000  # plotly is in it
    assert program.refuse("report.py", "--data_roots=x").startswith("report: unknown flag --data_roots")
    assert program.refuse("report.py", "--out=x").startswith("report: --data_root is missing")
    assert program.refuse("report.py", *flags, "--map_wells=1") == "--map_wells is 1, must be 4 or more"


@pytest.mark.parametrize("earlier", [False, True])
def test_what_the_audit_found(tmp_path, earlier):
    path = tmp_path / "audit.json"
    if earlier:
        path.write_text(json.dumps(EARLIER))
    else:
        write_record(path, Record("audit", made_with=DECIDED, facts=FOUND))
    facts = read_facts(tmp_path)
    assert found_table(facts).to_numpy().tolist() == [
        ["train/RPE-01/Plate1", "zero", 2],
        ["train/RPE-01/Plate1", "missing", 1],
    ]
    assert "24 images of 4 sites were checked (full, 2026-01-01): 3 are bad" in verdict(facts)
    assert verdict(facts | {"by_kind": {}}).endswith("no bad images.")


AUDITS = {
    "no audit": ("{}", "is not the report of an audit, or a damaged one"),
    "cut short": ('{"mode": "fu', "cannot be read as JSON"),
    "facts missing": (json.dumps(EARLIER).replace('"when"', '"went"'), "lacks 'when', so it is damaged"),
    "changed": (
        sealed(asdict(Record("audit", made_with=DECIDED, facts=FOUND))).replace("24", "25"),
        "was changed by hand",
    ),
}


@pytest.mark.parametrize("case", AUDITS)
def test_what_is_no_audit(tmp_path, case):
    text, message = AUDITS[case]
    (tmp_path / "audit.json").write_text(text)
    with pytest.raises(UserError, match=rf"^{tmp_path}/audit\.json: .*{message}.*; run rcic data audit again$"):
        read_facts(tmp_path)
