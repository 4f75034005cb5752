import shutil
from dataclasses import replace

import pandas as pd
import pytest

from rcic.errors import UserError
from rcic.files.record import Record, write_result
from rcic.learn.data.stage_table import _check_apart, stage_table
from rcic.learn.data.training_origin import check_unlearnt, learnt_among, learnt_wells
from rcic.screen.folds import write_folds
from rcic.screen.table import read_wells
from tests.tables import write_wells


@pytest.fixture
def pseudo_dir(screen, tmp_path):
    wells = screen.select("test", "treatment").head(5)
    write_wells(tmp_path / "pseudo.csv", wells.assign(label=range(5)), screen)
    return tmp_path


def edit(path, change):
    table = pd.read_csv(path, dtype=str)
    change(table).to_csv(path, index=False)


def test_control_holds_out_one_experiment_of_every_cell_type(screen, config):
    table = stage_table(screen, config(stage="control"))
    held_out = table.valid.drop_duplicates("experiment")
    assert not set(table.train["experiment"]) & set(table.valid["experiment"])
    assert sorted(held_out["cell_type"]) == sorted(screen.wells["cell_type"].unique())
    assert len(table.train) + len(table.valid) == len(screen.select(kind="control"))
    assert set(table.train["split"]) | set(table.valid["split"]) == {"train", "test"}
    assert table.classes == screen.classes[screen.n_treatments :]
    for wells in (table.train, table.valid):
        assert wells["label"].between(0, len(table.classes) - 1).all()
        named = screen.wells.set_index("id_code")["label"][wells["id_code"]]
        assert [table.classes[label] for label in wells["label"]] == screen.decode(named)


def test_the_seed_chooses_what_control_holds_out(screen, config):
    chosen = {tuple(stage_table(screen, config(stage="control", train__seed=s)).valid["experiment"]) for s in range(9)}
    assert len(chosen) > 1
    again = [stage_table(screen, config(stage="control")).fingerprint() for _ in range(2)]
    assert again[0] == again[1]


def test_control_needs_controls_and_a_second_experiment(screen, config):
    few = replace(screen, wells=screen.wells[screen.wells["well_type"] == "treatment"])
    with pytest.raises(UserError, match="no control wells"):
        stage_table(few, config(stage="control"))
    single = screen.wells[screen.wells["well_type"] != "treatment"].drop_duplicates("label")
    lone = single.assign(experiment="HUVEC-01", cell_type="HUVEC", plate=1)
    with pytest.raises(UserError, match="no control has a second well, so none can be held out"):
        stage_table(replace(screen, wells=lone), config(stage="control"))


def test_control_holds_out_plates_where_no_cell_type_has_two_experiments(screen, config):
    one = replace(screen, wells=screen.wells[screen.wells["experiment"].isin(["HUVEC-01", "RPE-01"])])
    table = stage_table(one, config(stage="control"))
    plates = [set(zip(wells["experiment"], wells["plate"], strict=True)) for wells in (table.train, table.valid)]
    assert not plates[0] & plates[1] and {name for name, _ in plates[1]} == {"HUVEC-01", "RPE-01"}
    assert len(table.train) + len(table.valid) == len(one.select(kind="control"))


def test_control_of_a_single_plate_holds_out_a_well_of_each(screen, config):
    wells = screen.wells[(screen.wells["experiment"] == "HUVEC-01") & (screen.wells["plate"] == 1)]
    repeated = [wells, wells.assign(id_code=wells["id_code"] + "x")]
    table = stage_table(replace(screen, wells=pd.concat(repeated, ignore_index=True)), config(stage="control"))
    assert not set(table.train["id_code"]) & set(table.valid["id_code"])
    assert set(table.valid["label"]) == set(table.train["label"]) and table.valid["label"].is_unique


@pytest.mark.parametrize("by", ["plate", "replicate", "row", "well"])
def test_folds_of_smaller_units_share_no_well_and_no_unit(screen, config, tmp_path, by):
    write_folds(screen, tmp_path, 2, 0, by)
    table = stage_table(screen, config(data__folds_dir=str(tmp_path)))
    assert set(table.train["experiment"]) & set(table.valid["experiment"])
    assert not set(table.train["id_code"]) & set(table.valid["id_code"])
    known = learnt_wells(table, screen.n_treatments, {})
    assert set(known["learnt_wells"]) | set(known["learnt"]) and not learnt_among(known, table.valid)
    assert learnt_among(known, table.train) and not set(known["learnt"]) & set(table.valid["experiment"])
    other = stage_table(screen, config(data__folds_dir=str(tmp_path), data__fold=1))
    with pytest.raises(UserError, match=r"its weights have learnt the treatments of .*, which is held out now"):
        check_unlearnt(known, other, "best.pth")
    check_unlearnt(known, table, "best.pth")


def test_weights_of_whole_experiments_know_their_wells(screen, config, folds_dir, tmp_path):
    whole = learnt_wells(stage_table(screen, config()), screen.n_treatments, {})
    assert set(whole) == {"learnt"}  # as of earlier versions
    write_folds(screen, tmp_path, 2, 0, "well")
    divided = stage_table(screen, config(data__folds_dir=str(tmp_path)))
    with pytest.raises(UserError, match="have learnt the treatments of"):
        check_unlearnt(whole, divided, "best.pth")
    after = learnt_wells(divided, screen.n_treatments, whole)
    assert after["learnt"] == whole["learnt"] and len(after["learnt_wells"]) == len(divided.train)
    with pytest.raises(UserError, match="have learnt the treatments of"):
        check_unlearnt({"learnt_wells": after["learnt_wells"]}, stage_table(screen, config()), "best.pth")


def test_a_well_on_both_sides_is_refused_by_any_unit(screen, config, tmp_path):
    write_folds(screen, tmp_path, 2, 0, "well")
    for name in ("train_0.csv", "valid_0.csv"):
        (tmp_path / name).write_text((tmp_path / "valid_0.csv").read_text())
    (tmp_path / "folds.json").unlink()
    with pytest.raises(UserError, match=r"experiment .* is also in train_0.csv; the tables must not share experiments"):
        stage_table(screen, config(data__folds_dir=str(tmp_path)))
    table = read_wells(tmp_path / "valid_0.csv", screen)
    for by, shared in (("plate", "plate"), ("well", "well"), ("row", "well"), ("replicate", "well")):
        with pytest.raises(UserError, match=f"the tables must not share {shared}s"):
            _check_apart(table, table.tail(3), by, [tmp_path / "train_0.csv", tmp_path / "valid_0.csv"])


def test_full_is_the_fold_as_written(screen, config, folds_dir):
    for fold in (0, 1):
        table = stage_table(screen, config(data__fold=fold))
        assert table.valid["id_code"].tolist() == pd.read_csv(folds_dir / f"valid_{fold}.csv")["id_code"].tolist()
        assert not set(table.train["experiment"]) & set(table.valid["experiment"])
        assert table.classes == screen.classes[: screen.n_treatments]
        assert len(table.train) + len(table.valid) == len(screen.select("train", "treatment"))


def test_a_missing_fold_says_which_are_there_and_how_to_make_it(screen, config, folds_dir):
    with pytest.raises(UserError) as error:
        stage_table(screen, config(data__fold=7))
    message = str(error.value)
    assert message.startswith(f"{folds_dir}/train_7.csv: no table of fold 7 (existing folds: [0, 1])")
    assert f"rcic data folds --data_root {screen.root} --out_dir {folds_dir}" in message


def test_a_fold_that_shares_an_experiment_is_refused(screen, config, folds_dir, tmp_path):
    for path in folds_dir.glob("*_0.csv"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    stolen = pd.read_csv(tmp_path / "train_0.csv", dtype=str).iloc[:1]
    edit(tmp_path / "valid_0.csv", lambda table: pd.concat([table, stolen]))
    with pytest.raises(UserError, match=f"experiment {stolen['experiment'][0]} is also in train_0.csv"):
        stage_table(screen, config(data__folds_dir=str(tmp_path)))


def test_a_fold_holds_labelled_train_treatments_only(screen, config, folds_dir, tmp_path):
    for path in folds_dir.glob("*_0.csv"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    chosen = config(data__folds_dir=str(tmp_path))
    test_well = screen.select("test", "treatment")["id_code"][0]
    control = screen.select("train", "control")["id_code"][0]
    original = (tmp_path / "valid_0.csv").read_bytes()
    for code in (test_well, control):
        (tmp_path / "valid_0.csv").write_text(f"id_code\n{code}\n")
        with pytest.raises(UserError, match=f"{code} is not a train treatment well"):
            stage_table(screen, chosen)
    (tmp_path / "valid_0.csv").write_bytes(original)
    assert stage_table(screen, chosen).fingerprint() == stage_table(screen, config()).fingerprint()


def test_pseudo_adds_test_wells_to_training_alone(screen, config, pseudo_dir):
    full = stage_table(screen, config())
    table = stage_table(screen, config(stage="pseudo", data__pseudo_dir=str(pseudo_dir)))
    assert table.valid.equals(full.valid) and table.classes == full.classes
    assert len(table.train) == len(full.train) + 5
    assert (table.train["split"] == "test").sum() == 5 and table.train["label"].tolist()[-5:] == [0, 1, 2, 3, 4]
    assert table.fingerprint() != full.fingerprint()


@pytest.mark.parametrize("part", ["train", "valid"])
def test_a_well_of_the_fold_never_gets_a_pseudo_label(screen, config, folds_dir, pseudo_dir, part):
    stolen = pd.read_csv(folds_dir / f"{part}_0.csv", dtype=str).iloc[:1]
    edit(pseudo_dir / "pseudo.csv", lambda table: pd.concat([table, stolen]))
    with pytest.raises(UserError, match=f"{stolen['id_code'][0]} is not a test treatment well; .*never gets a pseudo"):
        stage_table(screen, config(stage="pseudo", data__pseudo_dir=str(pseudo_dir)))


def test_a_pseudo_label_is_a_treatment(screen, config, pseudo_dir):
    chosen = config(stage="pseudo", data__pseudo_dir=str(pseudo_dir))
    control = str(screen.classes[-1])
    edit(pseudo_dir / "pseudo.csv", lambda table: table.assign(sirna=control))
    with pytest.raises(UserError, match="has no treatment label"):
        stage_table(screen, chosen)
    edit(pseudo_dir / "pseudo.csv", lambda table: table.drop(columns="sirna"))
    with pytest.raises(UserError, match="has no treatment label"):
        stage_table(screen, chosen)
    (pseudo_dir / "pseudo.csv").unlink()
    with pytest.raises(UserError, match=r"pseudo.csv: no pseudo-labels; write them with rcic pseudo-label"):
        stage_table(screen, chosen)


def test_controls_are_further_classes_of_training_alone(screen, config):
    full, table = stage_table(screen, config()), stage_table(screen, config(data__controls="classes"))
    assert table.classes == screen.classes and len(table.classes) > full.n_answers == table.n_answers
    assert table.valid.equals(full.valid) and (table.valid["label"] < table.n_answers).all()
    controls = table.train[table.train["label"] >= table.n_answers]
    assert sorted(controls["id_code"]) == sorted(screen.select(kind="control")["id_code"])
    assert table.train[table.train["label"] < table.n_answers]["id_code"].tolist() == full.train["id_code"].tolist()
    named = [table.classes[label] for label in controls["label"]]
    assert named == screen.decode(screen.wells.set_index("id_code")["label"][controls["id_code"]])
    assert set(controls["split"]) == {"train", "test"} and set(table.valid["experiment"]) & set(controls["experiment"])
    assert table.fingerprint() != full.fingerprint()


def test_controls_as_classes_need_controls(screen, config, tmp_path):
    few = replace(screen, wells=screen.wells[screen.wells["well_type"] == "treatment"])
    write_folds(few, tmp_path, 2, 0)
    with pytest.raises(UserError, match=r"no control wells, but data.controls is classes; set it to apart"):
        stage_table(few, config(data__controls="classes", data__folds_dir=str(tmp_path)))


def test_folds_that_were_changed_or_are_of_other_wells_are_refused(screen, config, folds_dir, tmp_path):
    folder = shutil.copytree(folds_dir, tmp_path / "csv")
    chosen = config(data__folds_dir=str(folder))
    edit(folder / "valid_0.csv", lambda table: table.iloc[:-1])
    with pytest.raises(
        UserError, match=r"valid_0\.csv: is damaged, or of another result than folds\.json .*; run rcic data"
    ):
        stage_table(screen, chosen)
    (folder / "folds.json").unlink()  # a table of one's own
    assert len(stage_table(screen, chosen).valid) == len(stage_table(screen, config()).valid) - 1
    fewer = replace(screen, wells=screen.wells.drop(index=screen.select("train", "treatment").index[0]))
    with pytest.raises(
        UserError, match=r"folds\.json: made from other wells \S+ \(changed since\) than .*; run rcic data"
    ):
        stage_table(fewer, config())


def test_pseudo_labels_that_were_changed_are_refused(screen, config, pseudo_dir):
    chosen = config(stage="pseudo", data__pseudo_dir=str(pseudo_dir))
    text = (pseudo_dir / "pseudo.csv").read_text()
    write_result(
        pseudo_dir / "pseudo.json", Record("pseudo-labels"), {"pseudo.csv": lambda path: path.write_text(text)}
    )
    assert len(stage_table(screen, chosen).train)
    edit(pseudo_dir / "pseudo.csv", lambda table: table.iloc[:-1])
    with pytest.raises(
        UserError, match=r"pseudo\.csv: is damaged, or of another result than pseudo\.json .* pseudo-label"
    ):
        stage_table(screen, chosen)


def test_stage_one_has_its_classes_whatever_controls_says(screen, config):
    apart, classes = (stage_table(screen, config(stage="control", data__controls=how)) for how in ("apart", "classes"))
    assert apart.fingerprint() == classes.fingerprint()


def test_absent_classes_are_those_that_nothing_is_learnt_of(screen, config):
    table = stage_table(screen, config())
    labels = table.train["label"]
    assert table.absent(labels) == []
    assert table.absent([-1, *labels[~labels.isin([2, 5])]]) == [table.classes[2], table.classes[5]]


def test_a_cell_types_own_tables(screen, config):
    full = stage_table(screen, config())
    for names in (["HUVEC"], ["RPE"], ["RPE", "HUVEC"]):
        own = stage_table(screen, config(data__cell_types=names))
        for part in ("train", "valid"):
            wells = getattr(full, part)
            expected = wells[wells["cell_type"].isin(names)]["id_code"].tolist()
            assert getattr(own, part)["id_code"].tolist() == expected and expected
        assert own.classes == full.classes
    pseudo = stage_table(screen, config(data__controls="classes", data__cell_types=["RPE"]))
    assert set(pseudo.train["cell_type"]) == {"RPE"} and pseudo.classes == screen.classes


def test_a_cell_type_that_is_not_there_or_not_in_the_fold(screen, config, folds_dir, tmp_path):
    with pytest.raises(
        UserError, match=r"data.cell_types: no 'HUVAC' in the screen \(HUVEC, RPE\); did you mean 'HUVEC'"
    ):
        stage_table(screen, config(data__cell_types=["HUVAC"]))
    for path in folds_dir.glob("*_0.csv"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    for part, verb in (("valid", "holds out"), ("train", "trains on")):
        edit(tmp_path / f"{part}_0.csv", lambda table: table[~table["experiment"].str.startswith("RPE")])
        with pytest.raises(UserError, match=f"data.cell_types: fold 0 {verb} no well of RPE; choose another fold"):
            stage_table(screen, config(data__cell_types=["RPE"], data__folds_dir=str(tmp_path)))
