"""Reports on screens unlike RxRx1: no test wells, no assignment, one plate, other words, other plates."""

import json
import re

import numpy as np
import pytest

from rcic.report.compose import report
from rcic.report.ladders import Scored
from rcic.screen.plate import wells_of
from rcic.screen.table import read_screen
from tests.predicted import write_held_out, write_member
from tests.report.conftest import shown_of
from tests.screen.one_plate import PLATE, write_images, write_plate

TWO_ROWS = wells_of(96)[:24]


def held_out(root, wells, folder, right=0.8):
    """Write what three folds say of the treatments of a plate: mostly the truth."""
    screen, random = read_screen(root), np.random.default_rng(0)
    treated = screen.select("train", "treatment")
    for fold in range(3):
        own = treated.iloc[fold::3]
        label = np.where(random.random(len(own)) < right, own["label"], (own["label"] + 1) % screen.n_treatments)
        logits = 3 * np.eye(screen.n_treatments, dtype=np.float32)[label]
        write_member(folder, f"[1,2]/fold_{fold}/tiny", logits, own["id_code"].tolist(), "valid")


def visible(out) -> str:
    """Return the words of a page: neither its scripts nor its styles."""
    text = re.sub(r"<script(?! type).*?</script>|<style.*?</style>", "", out.read_text(), flags=re.S)
    return text.replace("&#39;", "'")


def charts(out) -> dict:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', out.read_text(), re.S)
    return json.loads(found[1])


@pytest.fixture
def shown(tmp_path):
    """Return a function that reports on a plate, and what its page says."""

    def make(wells=TWO_ROWS, predicted=True, images=False, **more):
        root = write_plate(tmp_path / "screen", wells, **more)
        if images:
            write_images(root, wells, channels=len(more.get("channels", "12")))
        if predicted:
            held_out(root, wells, tmp_path / "out")
        roots = (str(tmp_path / "out"),) if predicted else ()
        page = report(shown_of(root, predict_root=roots, quality_images=10_000 * images), tmp_path / "out.html")
        text = visible(tmp_path / "out.html")
        assert not re.search(r"\bnan\b|siRNA|sirna(?!_)", text.replace("id_code,sirna", ""), flags=re.IGNORECASE)
        return page, text, charts(tmp_path / "out.html")

    return make


@pytest.mark.parametrize("controls", [False, True])
def test_one_plate_all_labelled(shown, controls):
    page, text, drawn = shown(controls=controls)
    headline, facts = page.facts[0], {fact.label: fact for fact in page.facts}
    assert 50 < float(headline.value.removesuffix("\u00a0%")) < 100
    assert headline.note.startswith("held-out wells of each fold, as the screen has no test wells; ")
    assert (facts["Compound"].value, "no controls" in facts["Compound"].note) == ("4", not controls)
    sections = {section.name: section for section in page.sections}
    assert {"ladder", "plates", "confidence", "confusions", "screen"} <= set(sections) and "parts" not in sections
    assert sections["plates"].title == "The plate" and [chart.kind for chart in sections["plates"].charts] == [
        "plates",
        "edges",
    ]
    assert "assignment" not in sections["ladder"].lead and "assignment" not in sections["confusions"].charts[0].caption
    assert "Wells of one compound (row)" in text and "group" not in sections["confusions"].charts[0].caption
    assert set(drawn["plates"]["columns"][2]["values"]) == {PLATE}
    assert drawn["confusions"]["options"]["label"] == "compound"
    splits = drawn["wells"]["columns"][0]["values"]
    assert splits == ["train"]


def test_nothing_is_predicted_yet(shown):
    page, text, _ = shown(predicted=False)
    assert page.facts[0].label == "Wells" and page.facts[0].note == "24 treated, 0 answered"
    assert "Nothing was looked at yet" in text and "as expected" not in text


def test_a_strip_is_drawn_as_one(shown):
    _, _, drawn = shown(wells=wells_of(96)[24:36])
    options = drawn["plates"]["options"]
    assert (options["rows"], options["columns"], options["wells"][0], options["wells"][-1]) == (1, 12, "C01", "C12")


@pytest.mark.parametrize("plate", [96, 384, 1536])
def test_every_size_of_plate(shown, plate):
    _, _, drawn = shown(wells=wells_of(plate), plate=plate)
    assert len(drawn["plates"]["options"]["wells"]) == plate == drawn["plates"]["rows"]


@pytest.mark.parametrize("count", [1, 16])
def test_one_to_sixteen_channels(shown, count):
    channels = [{"name": f"dye {n}", "colour": "#00ff00"} for n in range(1, count + 1)]
    _, _, drawn = shown(wells=wells_of(96)[:12], predicted=False, images=True, channels=channels)
    measures = drawn["plates"]["options"]["measures"]
    assert len(measures) == 4 * count and measures[f"mean {count} dye {count}"].startswith(f"{count} dye {count}: ")


def test_plates_are_called_by_their_names(tmp_path):
    lines = [f"b{n % 2},BR{n % 4},{well},cpd {n // 8}" for n, well in enumerate(wells_of(96)[:32])]
    root = write_plate(tmp_path / "screen")
    (root / "wells.csv").write_text("\n".join(["batch,barcode,well,compound", *lines]) + "\n")
    held_out(root, None, tmp_path / "out")
    page = report(shown_of(root, predict_root=(str(tmp_path / "out"),)), tmp_path / "out.html")
    drawn = charts(tmp_path / "out.html")
    parts = drawn["parts"]["options"]
    assert parts["plates"]["b0 plate BR2"] == ["b0", "BR2"] and set(parts["levels"]) == {"experiment", "plate"}
    assert {section.name: section.charts[0].title for section in page.sections}["parts"] == "By experiments and plates"
    assert set(drawn["plates"]["columns"][2]["values"]) == {"BR0", "BR1", "BR2", "BR3"}


def test_the_headline_is_the_last_rung_that_exists(data, root):
    from rcic.ensemble.scoring import score

    write_held_out(root, scale=5.0)
    result = Scored("out", "valid", score(data, root, "valid"))
    assert result.last_rung == "assignment"
    table = result.score.ladder.table
    table.loc[table["rung"] == "assignment", ["accuracy", "n_wells"]] = np.nan, 0
    assert result.last_rung == "group mask" and result.accuracy() == result.accuracy("group mask")


def test_doses_are_shown_where_labels_are_doses(tmp_path):
    lines = [f"b{n % 4},BR{n % 4},{well},{n // 4 % 6}" for n, well in enumerate(wells_of(96)[:48])]
    root = write_plate(tmp_path / "screen", labels={"kind": "dose"})
    (root / "wells.csv").write_text("\n".join(["batch,barcode,well,compound", *lines]) + "\n")
    held_out(root, None, tmp_path / "out")
    page = report(shown_of(root, predict_root=(str(tmp_path / "out"),)), tmp_path / "out.html")
    facts = {fact.label: fact for fact in page.facts}
    assert (
        0.5 < float(facts["Spearman with the dose"].value) <= 1
        and "dose steps off" in facts["Spearman with the dose"].note
    )
    assert "% interval" in facts["Answers right"].note and "(4 experiments)" in facts["Answers right"].note
    drawn = charts(tmp_path / "out.html")
    assert drawn["doses"]["columns"][1]["values"][-1] == "within one step, %"
    columns = {column["name"]: column["values"] for column in drawn["ladder"]["columns"]}
    overall = [n for n, scope in enumerate(columns["scope"]) if scope == "all"]
    assert all(columns["low"][n] <= columns["accuracy"][n] <= columns["high"][n] for n in overall)
