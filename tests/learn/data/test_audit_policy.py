"""Trainings and predictions go by the audit: which sites are read, from where, and what another decision makes anew."""

import numpy as np
import pandas as pd
import pytest

from rcic.errors import UserError
from rcic.files.names import RUN
from rcic.learn.data.audit_policy import audit_of_prediction
from rcic.learn.data.loaders import add_plate_context, stacked, usable_sites
from rcic.learn.data.stage_table import stage_table
from rcic.learn.predict.predict_all import predict_all
from rcic.learn.predict.prediction_options import PredictionOptions
from rcic.learn.train.build import build_training, find_sites
from rcic.learn.train.progressive_labels import test_sites as sites_of_test_wells
from rcic.learn.train.run import train
from rcic.pixels.audit.audit_screen import audit
from rcic.pixels.audit.findings import read_audit
from rcic.pixels.images.file_store import FileStore
from rcic.pixels.images.sites import ITS_OWN, SUBSTITUTE_SITE, site_table
from rcic.screen.table import read_screen
from tests.learn.tiny import forget_accelerate, tiny_config
from tests.records import content_of

FIVE = (1, 2, 3, 4, 5)


def path_of(root, well, site, channel):
    folder = root / well["split"] / well["experiment"] / f"Plate{well['plate']}"
    return folder / f"{well['well']}_s{site}_w{channel}.png"


@pytest.fixture
def audited(own_screen, tmp_path):
    """Return a function that audits the own screen and returns what the audit says; the report is in ``audit``."""

    def look(on_bad):
        audit(own_screen, tmp_path / "audit", "full", on_bad, 2)
        return read_audit(tmp_path / "audit", read_screen(own_screen))

    return look


@pytest.fixture
def wells(screen):
    """Return four train wells of one plate."""
    return screen.select("train", "treatment").head(4)


@pytest.fixture
def damaged(own_screen, wells):
    """Damage sites of `wells`: a copied image (0, 1), a cut one of channel 6 (1), both sites (2)."""
    paths = [path_of(own_screen, wells.iloc[row], 2, 3) for row in (0, 1)]
    paths[0].write_bytes(paths[1].read_bytes())
    sixth = path_of(own_screen, wells.iloc[1], 1, 6)
    sixth.write_bytes(sixth.read_bytes()[:99])
    for site in (1, 2):
        path_of(own_screen, wells.iloc[2], site, 1).unlink()
    return own_screen


def test_dropped_sites_are_no_training_sites(damaged, wells, audited, capsys):
    store, found = FileStore(damaged), audited("drop")
    capsys.readouterr()
    rows = usable_sites(store, wells, (1, 2), FIVE, False, found)
    told = list(zip(rows["id_code"], rows["site"], strict=True))
    codes = wells["id_code"].tolist()
    assert told == [(codes[0], 1), (codes[1], 1), (codes[3], 1), (codes[3], 2)] and SUBSTITUTE_SITE not in rows
    said = "channels [1, 2, 3, 4, 5]: left out 4 of 8 sites with a bad image (1 wells have no site left)\n"
    assert capsys.readouterr().out == said
    assert len(usable_sites(store, wells, (1, 2), (4, 5), False, found)) == 8 and capsys.readouterr().out == ""
    assert len(usable_sites(store, wells, (1, 2), (6,), False, found)) == 7
    with pytest.raises(UserError, match=r"none of 2 sites has sound images of channels \[1\]"):
        usable_sites(store, wells[2:3], (1, 2), (1,), False, found)


def test_the_other_site_takes_a_bad_ones_place(damaged, wells, audited, capsys):
    found = audited("other-site")
    capsys.readouterr()
    rows = usable_sites(FileStore(damaged), wells, (1, 2), FIVE, False, found)
    assert rows["site"].tolist() == [1, 2] * 3
    assert rows[SUBSTITUTE_SITE].tolist() == [ITS_OWN, 1, ITS_OWN, 1, ITS_OWN, ITS_OWN]
    assert capsys.readouterr().out.splitlines() == [
        "channels [1, 2, 3, 4, 5]: left out 2 of 8 sites with a bad image (1 wells have no site left)",
        "channels [1, 2, 3, 4, 5]: 2 of 8 sites use images of another site of their well",
    ]
    six = usable_sites(FileStore(damaged), wells, (1, 2), (3, 6), False, found)  # well 1 has no sound site left
    assert six["id_code"].unique().tolist() == wells["id_code"].iloc[[0, 2, 3]].tolist()


@pytest.mark.parametrize("on_bad", ["drop", "other-site"])
def test_bad_company_is_left_out(damaged, screen, wells, audited, config, on_bad, capsys):
    store, found = FileStore(damaged), audited(on_bad)
    rows = usable_sites(store, wells[3:], (1, 2), FIVE, False, found)
    both = add_plate_context(store, screen, rows, "experiment", config(), found)
    company = both[~both["wanted"]]
    there = set(zip(company["id_code"], company["site"], strict=True))
    codes = wells["id_code"].tolist()
    assert {pair for pair in there if pair[0] in codes} == {(codes[0], 1), (codes[1], 1)}
    assert len(both) == 2 * (len(company["id_code"].unique()) + 1) - 2
    assert (SUBSTITUTE_SITE in both) == (on_bad == "other-site") and both.isna().sum().sum() == 0
    said = f"leave out 1 of {company['id_code'].nunique() + 1} further wells, which lack a sound image\n"
    assert capsys.readouterr().out.endswith(said)
    own = stacked(rows, (1, 2))
    pairs = add_plate_context(store, screen, own, "experiment", config(data__stack_sites=True), found)
    assert not set(pairs["id_code"]) & set(codes[:3]) and codes[3] in set(pairs["id_code"])


def test_the_tables_of_a_training_follow(damaged, screen, wells, audited, config):
    chosen = config(data__fold=0)
    table = stage_table(screen, chosen)
    if wells["experiment"].iloc[0] in set(table.valid["experiment"]):
        chosen = config(data__fold=1)
        table = stage_table(screen, chosen)
    store = FileStore(damaged)
    n_sites = 2 * len(table.train)
    for on_bad, n_lost in (("drop", 4), ("other-site", 2)):
        sites, _ = find_sites(chosen, screen, table, store, None, audited(on_bad))
        assert len(sites.train) == n_sites - n_lost and len(sites.valid) == 2 * len(table.valid)
        assert set(table.train["id_code"]) - set(sites.train["id_code"]) == {wells["id_code"].iloc[2]}


def test_test_wells_of_progressive_labels_follow(own_screen, screen, audited, config, tmp_path):
    well = screen.select("test", "treatment").iloc[3]
    path = path_of(own_screen, well, 1, 2)
    path.write_bytes(path.read_bytes()[:200])
    chosen, screen = config(progressive__start=1, model__bn="plate"), read_screen(own_screen)
    found, n_wells = audited("drop"), len(screen.select("test", "treatment"))
    assert len(sites_of_test_wells(chosen, screen, FileStore(own_screen), found)) == 2 * n_wells - 1
    table = stage_table(screen, chosen)
    runner, _ = build_training(chosen, screen, table, tmp_path, tmp_path / "run", found)
    rows = runner.given_callbacks["progressive"].rows
    assert rows[rows["id_code"] == well["id_code"]]["site"].tolist() == [2]


@pytest.mark.parametrize("settings", [{}, {"data__stack_sites": True, "data__channels": [1, 2, 3]}])
def test_a_training_goes_round_bad_images(damaged, audited, trained, tmp_path, settings):
    """Fold 0 learns from or is validated on the damaged wells: to read one of their images would end the run."""
    wanted = {"data__audit": "required", "data__audit_dir": str(tmp_path / "audit"), "root": damaged} | settings
    counts = {}
    for on_bad in ("drop", "other-site"):
        audited(on_bad)
        record = content_of(trained(on_bad, **wanted) / RUN)
        assert record["status"] == "done" and len(record["made_from"]["audit"]) == 64
        counts[on_bad] = record["n_train_sites"] + record["n_valid_sites"]
    assert counts["other-site"] - counts["drop"] == 2


def test_another_decision_is_another_training(damaged, audited, trained, tmp_path, capsys):
    wanted = {"data__audit": "required", "data__audit_dir": str(tmp_path / "audit"), "root": damaged}
    audited("drop")
    trained(**wanted)
    sound = trained("four", data__channels=[4, 5], **wanted)
    audited("drop")  # once more, with the same result
    trained(**wanted)
    assert capsys.readouterr().out.count("done already, skipped") == 1
    audited("other-site")
    with pytest.raises(UserError, match=r"finished with other audit \(changed since\); choose another --log_root"):
        trained(**wanted)
    assert trained("four", data__channels=[4, 5], **wanted) == sound  # these channels have no bad image
    assert trained("four", root=damaged, data__channels=[4, 5]) == sound  # and so it is without an audit


def test_a_finished_training_without_an_audit_is_not_one_with_bad_sites_left_out(
    own_screen, audited, trained, tmp_path
):
    trained(root=own_screen)
    well = read_screen(own_screen).select("train", "treatment").iloc[0]
    path_of(own_screen, well, 1, 1).unlink()
    audited("drop")
    with pytest.raises(
        UserError, match=r"finished with other audit \(none then, some now\); choose another --log_root"
    ):
        trained(root=own_screen, data__audit="required", data__audit_dir=str(tmp_path / "audit"))


SETS = (FIVE, (1, 2, 3, 4, 6))


@pytest.fixture(scope="module")
def members(screen, folds_dir, tmp_path_factory):
    """Return the root of two channel sets of a tiny network. Read only."""
    root = tmp_path_factory.mktemp("members")
    for channels in SETS:
        forget_accelerate()
        train(tiny_config(folds_dir, data__channels=channels), screen.root, root)
    return root / "full"


@pytest.fixture
def predict(members, own_screen, tmp_path):
    """Return a function that predicts the test wells of the own screen: their id_codes, logits and those by site."""

    def run(**options):
        given = PredictionOptions(audit_dir=str(tmp_path / "audit"), **options)
        predict_all(own_screen, members, ["tiny"], tmp_path / "out", ("test",), given)
        found = {}
        for channels in SETS:
            folder = tmp_path / "out" / str(list(channels)).replace(" ", "") / "fold_0/tiny"
            codes = pd.read_csv(folder / "pred_test.csv")["id_code"].tolist()
            found[channels] = codes, np.load(folder / "pred_test.npy"), np.load(folder / "pred_test_sites.npy")
        return found

    return run


def test_predictions_follow_and_are_made_anew(predict, audited, own_screen, screen, capsys):
    """Site 1 of a well lacks channel 5, which one of two networks reads, and another well lacks channel 1 of both."""
    audited("stop")
    before = predict()
    wells = screen.select("test", "treatment")
    path_of(own_screen, wells.iloc[3], 1, 5).unlink()
    for site in (1, 2):
        path_of(own_screen, wells.iloc[5], site, 1).unlink()
    others = [row for row in range(len(wells)) if row not in (3, 5)]
    left = [row for row in range(len(wells)) if row != 5]
    for on_bad in ("drop", "other-site"):
        audited(on_bad)
        capsys.readouterr()
        now = predict()
        assert "test: 0 of 2 members are predicted already" in capsys.readouterr().out
        predict()
        assert "test: 2 of 2 members are predicted already" in capsys.readouterr().out
        for channels in SETS:
            codes, logits, sites = now[channels]
            assert codes == wells["id_code"].iloc[left].tolist() and np.isfinite(logits).all()
            rows = [left.index(row) for row in others]
            np.testing.assert_allclose(logits[rows], before[channels][1][others], atol=1e-5)
            own = sites[3].astype(np.float32)
            if channels == SETS[1]:
                np.testing.assert_allclose(logits[3], before[channels][1][3], atol=1e-5)
                assert not np.array_equal(own[0], own[1])
            elif on_bad == "drop":
                assert np.isnan(own[0]).all() and np.allclose(own[1], logits[3], atol=2e-3)
            else:
                assert np.array_equal(own[0], own[1]) and np.allclose(own[1], logits[3], atol=2e-3)


def test_nobody_asks_for_an_audit_without_a_folder(screen, tmp_path, capsys):
    assert audit_of_prediction(None, screen) is None and capsys.readouterr().out == ""
    assert audit_of_prediction(tmp_path, screen) is None and capsys.readouterr().out.startswith("warning: ")


def test_an_audit_that_found_nothing_changes_no_prediction(predict, audited, screen, own_screen, tmp_path, capsys):
    predict()
    assert capsys.readouterr().out.startswith("warning: ")
    audited("other-site")
    predict()
    assert "test: 2 of 2 members are predicted already" in capsys.readouterr().out
    rows = site_table(screen.select("test", "treatment"))
    left = usable_sites(FileStore(own_screen), screen.select("test", "treatment"), (1, 2), FIVE, False, audited("drop"))
    assert left.equals(rows)
