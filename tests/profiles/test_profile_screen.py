"""A screen without images, made from the metadata of profiles; what needs no pixels works on it."""

import json
from pathlib import Path

import pandas as pd
import pytest
from starlette.testclient import TestClient

from rcic.browse.app import build_app
from rcic.browse.browse_options import BrowseOptions
from rcic.browse.serve import BrowserSources, gather
from rcic.ensemble.ensemble_options import EnsembleOptions
from rcic.ensemble.scoring import score
from rcic.errors import UserError
from rcic.profiles.neighbours import NeighbourSettings, neighbours
from rcic.profiles.profile_import import ImportedModel, import_profiles
from rcic.profiles.profile_options import FeatureOptions, ProfileColumns, ScreenColumns
from rcic.profiles.profile_screen import make_profile_screen
from rcic.screen.folds import write_folds
from rcic.screen.table import Screen, read_screen
from tests.program import Program

PLATES = ("P1", "P2", "P3")


def table_of(**changes) -> pd.DataFrame:
    """Return profiles of three plates with three treatments at two doses and a control."""
    rows = []
    for number, plate in enumerate(PLATES):
        for well, (name, dose) in enumerate([("DMSO", 0), ("a", 0.5), ("a", 1), ("b", 1.0), ("c", 3)]):
            features = {f"Cells_{n}": float((well * (n + 1)) % 7 + 0.1 * number) for n in range(4)}
            place = {"Metadata_Plate": plate, "Metadata_Well": f"A{well + 1}", "Metadata_Replicate": number + 1}
            rows.append({**place, "Metadata_Compound": name, "Metadata_Concentration": dose, **features})
    return pd.DataFrame(rows).assign(**changes)


def made(tmp_path: Path, table: pd.DataFrame, columns: ScreenColumns | None = None) -> Screen:
    table.to_csv(tmp_path / "p.csv", index=False)
    paths = [str(tmp_path / "p.csv")]
    return make_profile_screen(paths, tmp_path / "s", "mine", ProfileColumns(), columns or ScreenColumns())


def test_treatments_are_compounds_with_doses_and_dmso_is_a_control(tmp_path):
    screen = made(tmp_path, table_of())
    assert screen.classes == ("a@0.5", "a@1", "b@1", "c@3", "DMSO") and screen.n_treatments == 4
    assert screen.spec.images.none and screen.spec.plate == 96
    assert set(screen.wells["split"]) == {"train"} and set(screen.wells["experiment"]) == set(PLATES)
    assert screen.wells["well"].iloc[0] == "A01"


def test_one_dose_is_no_part_of_the_name(tmp_path):
    table = table_of(Metadata_Concentration=1.0)
    table = table.drop(table.index[table["Metadata_Well"] == "A3"])
    assert made(tmp_path, table).classes == ("a", "b", "c", "DMSO")


def test_test_wells_are_whole_plates(tmp_path):
    screen = made(tmp_path, table_of(), ScreenColumns(test=("Metadata_Replicate=3",)))
    tested = screen.wells[screen.wells["split"] == "test"]
    assert set(tested["experiment"]) == {"P3"} and len(screen.truth) == 4


def test_a_batch_that_is_divided_gives_way_to_plates(tmp_path):
    screen = made(tmp_path, table_of(Metadata_Batch="b"), ScreenColumns(test=("Replicate=3",)))
    assert set(screen.wells["experiment"]) == {"b_P1", "b_P2", "b_P3"}
    assert set(made(tmp_path, table_of(Metadata_Batch="b")).wells["experiment"]) == {"b"}


def test_control_types_are_read(tmp_path):
    kinds = ["negcon", "trt", "trt", "trt", "poscon"] * 3
    screen = made(tmp_path, table_of(Metadata_pert_type=kinds))
    counts = screen.wells["well_type"].value_counts().to_dict()
    assert counts == {"treatment": 9, "negative_control": 3, "positive_control": 3}


def test_a_table_of_wells_is_joined(tmp_path):
    table = table_of()
    facts = table[["Metadata_Plate", "Metadata_Well", "Metadata_Compound", "Metadata_Concentration"]]
    facts = facts.assign(Metadata_Well=[f"{well[0]}0{well[1]}" for well in facts["Metadata_Well"]])
    pd.concat([facts, facts]).assign(Metadata_Site=[1] * 15 + [2] * 15).to_csv(tmp_path / "w.csv.gz", index=False)
    bare = table.drop(columns=["Metadata_Compound", "Metadata_Concentration"])
    assert made(tmp_path, bare, ScreenColumns(wells=str(tmp_path / "w.csv.gz"))).n_treatments == 4


@pytest.mark.parametrize(
    ("changes", "columns", "message"),
    [
        ({}, ScreenColumns(test=("Metadata_Replicate=4",)), "no well has '4' in Metadata_Replicate"),
        ({}, ScreenColumns(test=("Metadata_Compound=a",)), "divides plate P1; test wells must be whole plates"),
        ({}, ScreenColumns(test=("Metadata_Replicate=1", "2", "3")), "--test takes all wells"),
        ({}, ScreenColumns(test=("Metadata_Replicate",)), "must be COLUMN=VALUE"),
        ({}, ScreenColumns(negative=("DMS0",)), "no well has 'DMS0'"),
        ({}, ScreenColumns(treatment=("Compund",)), "no column 'Compund'"),
        ({"Metadata_pert_type": "ctl"}, ScreenColumns(), "a treatment or a control"),
        ({"Metadata_Well": "Z99"}, ScreenColumns(), "several values|is on no plate"),
        ({"Metadata_Compound": ""}, ScreenColumns(treatment=("Metadata_Compound",)), "no well has a treatment"),
    ],
)
def test_what_does_not_make_a_screen_is_one_line_and_leaves_nothing(tmp_path, changes, columns, message):
    with pytest.raises(UserError, match=message) as error:
        made(tmp_path, table_of(**changes), columns)
    assert "\n" not in str(error.value) and not (tmp_path / "s").exists()


def test_two_treatments_of_one_well_are_refused(tmp_path):
    table = table_of()
    with pytest.raises(UserError, match="Metadata_Compound has several values in the rows of well P1 A02"):
        made(tmp_path, pd.concat([table, table.iloc[1:2].assign(Metadata_Compound="z")]))


def test_another_screen_is_not_overwritten(tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s/screen.yml").write_text("name: other\n")
    with pytest.raises(UserError, match="there is a screen already"):
        made(tmp_path, table_of())


@pytest.fixture
def answered(tmp_path: Path) -> Path:
    """Return a folder with a screen of profiles, its folds, embeddings and scores of held-out wells."""
    screen = made(tmp_path, table_of())
    write_folds(screen, tmp_path / "folds", 3, 0, "experiment")
    model = ImportedModel("cp", tmp_path / "emb", str(tmp_path / "folds"))
    import_profiles(screen.root, [str(tmp_path / "p.csv")], model, ProfileColumns(), FeatureOptions())
    neighbours(screen.root, tmp_path / "emb", tmp_path / "pred", NeighbourSettings(kind="centres", whiten="off"))
    return tmp_path


def test_held_out_plates_get_answers(answered):
    result = score(answered / "s", answered / "pred", "valid", None, EnsembleOptions())
    assert result.ladder.interval().value == 100


def test_the_browser_shows_nearest_wells_and_no_pixels(answered):
    options = BrowseOptions(predict_root=str(answered / "pred"), embed_root=str(answered / "emb"))
    client = TestClient(build_app(gather(BrowserSources(answered / "s", options)), ["testserver"]))
    place = "experiment=P1&plate=1&well=A02"
    assert len(client.get(f"/api/nearest?{place}").json()["wells"]) > 2
    assert client.get(f"/thumb?{place}&site=1&size=32").headers["Absent-Channels"] == "1"
    missing = client.get(f"/image?{place}&site=1&channel=1")
    assert (missing.status_code, missing.json()["kind"]) == (404, "missing")
    assert client.get("/api/contrast?experiment=P1&plate=1").json() == {"limits": {}}


def test_commands_that_need_pixels_say_so(answered, capsys):
    program = Program(capsys)
    told = "the screen has profiles but no images"
    root, out = f"--data_root={answered / 's'}", f"--out_dir={answered / 'out'}"
    for words in (["audit", root, out], ["pack", root, out, "--sizes=32"], ["levels", root]):
        assert told in program.refuse("data.py", *words)
    assert json.loads(program.run("data.py", "describe", root, "--json"))["has_images"] is False
    assert "no images: profiles" in program.run("data.py", "describe", root)


def test_real_profiles_of_bbbc021(shared_data, tmp_path):
    root = shared_data / "bbbc021"
    if not root.is_dir():
        pytest.skip(f"{root} is absent")
    profiles = [str(root / "ljosa_jbiomolscreen_2013_per_well_mean.csv.gz")]
    columns = ScreenColumns(wells=str(root / "BBBC021_v1_image.csv.gz"), test=("Replicate=3",))
    screen = make_profile_screen(profiles, tmp_path / "s", "bbbc021", ProfileColumns(), columns)
    assert (screen.n_treatments, len(screen.wells), len(screen.truth)) == (103, 632, 101)
    import_profiles(
        screen.root, profiles, ImportedModel("cp", tmp_path / "emb", str(tmp_path)), ProfileColumns(), FeatureOptions()
    )
    neighbours(screen.root, tmp_path / "emb", tmp_path / "pred", NeighbourSettings(kind="centres", whiten="off"))
    result = score(screen.root, tmp_path / "pred", "test", None, EnsembleOptions())
    assert result.ladder.interval().value > 45
    assert read_screen(screen.root).spec.images.none
