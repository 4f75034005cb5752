"""Profiles of other programs become a model of a screen; the model's embeddings go out as profiles, and come back."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rcic.check.verdicts import check_results
from rcic.ensemble.ensemble_options import EnsembleOptions
from rcic.ensemble.scoring import score
from rcic.errors import UserError
from rcic.files.names import embedding_files
from rcic.files.record import Record
from rcic.files.well_rows import write_well_rows
from rcic.profiles.embeddings import read_embeddings
from rcic.profiles.neighbours import NeighbourSettings, neighbours
from rcic.profiles.profile_export import ExportOptions, export_profiles
from rcic.profiles.profile_file import read_profile_file
from rcic.profiles.profile_import import ImportedModel, import_profiles
from rcic.profiles.profile_options import FeatureOptions, ProfileColumns
from rcic.profiles.well_matching import padded_well
from rcic.screen.folds import write_folds
from rcic.screen.table import read_screen
from tests.screen.tiny import KAGGLE, write_tables

OFF = FeatureOptions(scale="off")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return write_tables(tmp_path / "data", KAGGLE)


def profiles_of(data: Path, path: Path, change=lambda table: table) -> pd.DataFrame:
    """Write a CSV of three features of every well of the screen, shuffled; return the table."""
    wells = read_screen(data).wells
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "Metadata_Experiment": wells["experiment"],
            "Metadata_Plate": wells["plate"],
            "Metadata_Well": wells["well"],
            "Metadata_Count": np.arange(len(wells)),
            **{f"Cells_{name}": rng.normal(size=len(wells)).astype(np.float32) for name in "abc"},
        }
    )
    table = change(table.sample(frac=1, random_state=0))
    table.to_csv(path, index=False)
    return table


def imported(data: Path, path: Path, options: FeatureOptions = OFF, columns=None, **model) -> Path:
    """Import a table as the model cp, and return the folder of the only member."""
    out = path.parent / "emb"
    target = ImportedModel("cp", out, **{"folds_dir": str(path.parent / "folds"), **model})
    return import_profiles(data, [str(path)], target, columns or ProfileColumns(), options)[0]


def vectors_by_well(screen, folder: Path, split: str) -> dict[str, list[float]]:
    found = read_embeddings(screen, folder, split)
    return dict(zip(found.wells["id_code"], found.vectors.tolist(), strict=True))


def test_every_split_gets_its_wells_own_features(data, tmp_path):
    profiles_of(data, tmp_path / "p.csv")
    folder, screen = imported(data, tmp_path / "p.csv"), read_screen(data)
    assert folder == tmp_path / "emb/[1,2,3,4,5,6]/cp"
    expected, found = arrays_of(tmp_path / "p.csv"), {}
    for split in ("train", "test", "controls"):
        found |= vectors_by_well(screen, folder, split)
    assert {code: pytest.approx(row) for code, row in expected.items()} == found
    assert not embedding_files(folder, "valid")["embeddings"].exists()


def test_folds_divide_train_wells_and_the_model_is_one_like_any_other(data, tmp_path):
    write_tables(data, {name: text.replace("U2OS-01", "RPE-03") for name, text in KAGGLE.items()})
    profiles_of(data, tmp_path / "p.csv")
    screen = read_screen(data)
    write_folds(screen, tmp_path / "folds", 2, 0, "experiment")
    imported(data, tmp_path / "p.csv")
    for fold in (0, 1):
        folder = tmp_path / f"emb/[1,2,3,4,5,6]/fold_{fold}/cp"
        parts = [vectors_by_well(screen, folder, split) for split in ("train", "valid")]
        assert [len(part) for part in parts] == [4, 4] and not set(parts[0]) & set(parts[1])
    neighbours(data, tmp_path / "emb", tmp_path / "pred", NeighbourSettings(kind="centres", whiten="off"))
    result = score(data, tmp_path / "pred", "valid", None, EnsembleOptions())
    assert len(result.ladder.table) and result.split == "valid"
    assert {verdict.state for verdict in check_results([tmp_path / "emb", tmp_path / "pred"])} == {"sound"}


def test_new_folds_divide_anew_and_what_is_left_is_named(data, tmp_path, caplog):
    profiles_of(data, tmp_path / "p.csv")
    screen, sets = read_screen(data), []
    imported(data, tmp_path / "p.csv")
    for seed in range(4):
        write_folds(screen, tmp_path / "folds", 2, seed, "well")
        with caplog.at_level(logging.INFO):
            folder = imported(data, tmp_path / "p.csv")
        held_out = set((tmp_path / "folds/valid_0.csv").read_text().split()[1:])
        sets.append(set(vectors_by_well(screen, folder, "valid")))
        assert sets[-1] == {line.partition(",")[0] for line in held_out}
    assert len(set(map(frozenset, sets))) > 1
    assert "still contains [1,2,3,4,5,6]/cp, of an earlier import" in caplog.text


def test_a_table_that_changed_makes_what_was_imported_stale(data, tmp_path):
    profiles_of(data, tmp_path / "p.csv")
    folder = imported(data, tmp_path / "p.csv")
    before = embedding_files(folder, "train")["record"].stat().st_mtime_ns
    imported(data, tmp_path / "p.csv")
    assert embedding_files(folder, "train")["record"].stat().st_mtime_ns == before
    profiles_of(data, tmp_path / "p.csv", lambda table: table.assign(Cells_a=table["Cells_a"] + 1))
    verdicts = check_results([folder])
    assert {verdict.state for verdict in verdicts} == {"stale"}
    imported(data, tmp_path / "p.csv")
    assert {verdict.state for verdict in check_results([folder])} == {"sound"}


def test_wells_are_known_in_any_padding_and_plates_by_full_names(data, tmp_path):
    def change(table):
        table = table.assign(Metadata_Well=table["Metadata_Well"].str.replace("0", "").str.lower())
        table["Metadata_Plate"] = table["Metadata_Experiment"] + "_" + table["Metadata_Plate"].astype(str)
        return table.drop(columns="Metadata_Experiment")

    profiles_of(data, tmp_path / "p.csv", change)
    assert len(vectors_by_well(read_screen(data), imported(data, tmp_path / "p.csv"), "train")) == 8


def test_plates_of_the_same_name_need_the_experiment(data, tmp_path):
    profiles_of(data, tmp_path / "p.csv", lambda table: table.drop(columns="Metadata_Experiment"))
    with pytest.raises(UserError, match=r"plate '1' is in several experiments .* --experiment"):
        imported(data, tmp_path / "p.csv")
    assert not (tmp_path / "emb").exists()


def test_unmatched_missing_and_repeated_wells_are_told(data, tmp_path, caplog):
    def change(table):
        extra = table.iloc[:1].assign(Metadata_Well="P24")
        return pd.concat([table.iloc[1:], table.iloc[1:2], extra])

    profiles_of(data, tmp_path / "p.csv", change)
    with caplog.at_level(logging.INFO):
        imported(data, tmp_path / "p.csv")
    assert "1 row of no well of the screen" in caplog.text
    assert "1 well of the screen without a profile" in caplog.text
    assert "rows of 16 wells, 2 at most: their mean is taken" in caplog.text


def test_a_table_of_another_screen_is_refused_with_examples(data, tmp_path):
    profiles_of(data, tmp_path / "p.csv", lambda table: table.assign(Metadata_Experiment="X"))
    with pytest.raises(UserError, match=r"no row is of a well of .*; here plate '.', well .*, there plate '1'"):
        imported(data, tmp_path / "p.csv")


@pytest.mark.parametrize("name", ["a/b", "a@b", "a+knn", ""])
def test_a_model_s_name_is_a_folder_s(data, tmp_path, name):
    profiles_of(data, tmp_path / "p.csv")
    with pytest.raises(UserError, match="--model is"):
        import_profiles(data, [str(tmp_path / "p.csv")], ImportedModel(name, tmp_path), ProfileColumns(), OFF)


def test_damaged_imports_name_the_command(data, tmp_path):
    profiles_of(data, tmp_path / "p.csv")
    folder = imported(data, tmp_path / "p.csv")
    embedding_files(folder, "train")["wells"].write_text("id_code\n")
    with pytest.raises(UserError, match="profiles import again"):
        read_embeddings(read_screen(data), folder, "train")


@pytest.mark.parametrize(
    ("name", "tidy"), [("A1", "A01"), ("a01", "A01"), ("p_24", "P24"), ("AF-48", "AF48"), ("X", "X")]
)
def test_well_names(name, tidy):
    assert padded_well(name) == tidy


def test_what_goes_out_comes_back(data, tmp_path):
    profiles_of(data, tmp_path / "p.csv")
    folder, screen = imported(data, tmp_path / "p.csv"), read_screen(data)
    out = tmp_path / "out/e.csv.gz"
    export_profiles(data, tmp_path / "emb", out, ExportOptions())
    table = read_profile_file(out)
    assert list(table)[:2] == ["Metadata_Plate", "Metadata_Well"] and list(table)[-1] == "Cells_c"
    assert not table[["Metadata_Plate", "Metadata_Well"]].duplicated().any() and len(table) == len(screen.wells)
    assert table["Metadata_pert_type"].value_counts().to_dict() == {"trt": 11, "negcon": 3, "poscon": 3}
    test = table[table["Metadata_Split"] == "test"]
    assert (test["Metadata_pert_iname"][test["Metadata_pert_type"] == "trt"] == "").all()
    assert {verdict.state for verdict in check_results([out])} == {"sound"}
    other = import_profiles(data, [str(out)], ImportedModel("back", tmp_path / "emb"), ProfileColumns(), OFF)[0]
    for split in ("train", "test", "controls"):
        assert vectors_by_well(screen, other, split) == vectors_by_well(screen, folder, split)


def test_known_test_labels_go_out_and_names_of_features(data, tmp_path):
    profiles_of(data, tmp_path / "p.csv")
    imported(data, tmp_path / "p.csv")
    (tmp_path / "t.csv").write_text("id_code,sirna\nU2OS-01_1_B03,10\n")
    options = ExportOptions(prefix="net", truth=str(tmp_path / "t.csv"))
    export_profiles(data, tmp_path / "emb", tmp_path / "e.csv", options)
    table = read_profile_file(tmp_path / "e.csv").set_index(["Metadata_Plate", "Metadata_Well"])
    assert table.loc[("U2OS-01_1", "B03"), "Metadata_pert_iname"] == "10"
    assert table.loc[("U2OS-01_1", "B04"), "Metadata_pert_iname"] == "" and list(table)[-3:] == [
        "net_0",
        "net_1",
        "net_2",
    ]
    with pytest.raises(UserError, match="taken for metadata"):
        export_profiles(data, tmp_path / "emb", tmp_path / "f.csv", ExportOptions(prefix="Metadata_x"))
    with pytest.raises(UserError, match="no embeddings in 'x'"):
        export_profiles(data, tmp_path / "emb", tmp_path / "f.csv", ExportOptions(member="x"))
    assert not (tmp_path / "f.csv").exists()


def test_sites_go_out_as_rows_and_come_back_as_wells(data, tmp_path):
    profiles_of(data, tmp_path / "p.csv")
    folder, screen = imported(data, tmp_path / "p.csv"), read_screen(data)
    with pytest.raises(UserError, match="embed-all --by_site"):
        export_profiles(data, tmp_path / "emb", tmp_path / "e.csv", ExportOptions(by_site=True))
    for split in ("train", "test", "controls"):
        found = read_embeddings(screen, folder, split)
        sites = np.stack([found.vectors - 1, found.vectors + 1], axis=1)
        sites[0, 1] = np.nan
        record = Record("embedding", found.record.made_from, {"sites": [1, 2]})
        arrays = {"embeddings": np.array(found.vectors), "sites": sites.astype(np.float32)}
        write_well_rows(embedding_files(folder, split, by_site=True), arrays, found.wells["id_code"], record)
    export_profiles(data, tmp_path / "emb", tmp_path / "e.csv", ExportOptions(by_site=True))
    table = read_profile_file(tmp_path / "e.csv")
    assert list(table)[2] == "Metadata_Site" and table["Metadata_Site"].value_counts().to_dict() == {"1": 17, "2": 14}
    imported(data, tmp_path / "e.csv")
    back, codes = vectors_by_well(screen, folder, "train"), read_embeddings(screen, folder, "train").wells["id_code"]
    for code in codes[1:]:
        np.testing.assert_allclose(back[code], arrays_of(tmp_path / "p.csv")[code], atol=1e-6)


def arrays_of(path: Path) -> dict[str, list[float]]:
    """Return the features of a table of `profiles_of` by well."""
    table = pd.read_csv(path)
    place = table["Metadata_Experiment"] + "_" + table["Metadata_Plate"].astype(str) + "_" + table["Metadata_Well"]
    return dict(zip(place, table[["Cells_a", "Cells_b", "Cells_c"]].to_numpy().tolist(), strict=True))
