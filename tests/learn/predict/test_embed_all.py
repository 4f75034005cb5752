import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from rcic.errors import UserError
from rcic.files.names import BEST, HELD_OUT, RUN, embedding_files
from rcic.learn.predict import passes
from rcic.learn.predict.embed_all import embed_all
from rcic.learn.predict.predict_all import predict_all
from rcic.learn.predict.prediction_options import PredictionOptions
from rcic.learn.runs.checkpoint import load_matching, read_checkpoint
from rcic.learn.train.run import train
from rcic.pixels.batches.batch import normalize
from rcic.pixels.images.file_store import FileStore
from rcic.pixels.images.sites import Site
from rcic.profiles.embeddings import read_embeddings
from rcic.profiles.site_embeddings import read_sites
from tests.learn.tiny import forget_accelerate, take_weights, tiny_config, tiny_network
from tests.records import rewrite

CHANNELS = (1, 2, 3)
FOLDER = "[1,2,3]/fold_{}/tiny"
SPLITS = ("train", "valid", "test")


@pytest.fixture(scope="module")
def trained_once(screen, folds_dir, tmp_path_factory):
    """Return the root of two folds of a tiny network. Read only."""
    root = tmp_path_factory.mktemp("members")
    for fold in (0, 1):
        forget_accelerate()
        train(tiny_config(folds_dir, data__channels=CHANNELS, data__fold=fold), screen.root, root)
    return root / "full"


@pytest.fixture
def members(trained_once, tmp_path):
    """Return a copy of the trained networks that a test may change."""
    return shutil.copytree(trained_once, tmp_path / "logs" / "full")


@pytest.fixture
def embed(screen, members, tmp_path):
    """Return a function that embeds all and returns the folder of embeddings."""

    def run(out="out", splits=SPLITS, **options):
        embed_all(screen.root, members, ["tiny"], tmp_path / out, splits, PredictionOptions(**options))
        return tmp_path / out

    return run


def read(folder, split):
    files = embedding_files(folder, split)
    return np.load(files["embeddings"]), pd.read_csv(files["wells"])["id_code"].tolist()


def test_what_cannot_be_embedded_is_told(embed, members, screen):
    folder = members / FOLDER.format(0)
    (folder / HELD_OUT).unlink()
    with pytest.raises(UserError, match=r"valid.csv: no such file, so the held-out wells are unknown"):
        embed(splits=("train",))
    (folder / BEST).write_bytes((folder / BEST).read_bytes()[:2000])
    with pytest.raises(UserError, match=r"best.pth: is damaged, or of another result than run.json .* with --force$"):
        embed(splits=("test",))
    rewrite(folder / RUN, files=None)  # as version 0.1 left it
    with pytest.raises(UserError, match=r"best.pth: not a readable checkpoint"):
        embed(splits=("test",))
    with pytest.raises(UserError, match="no trained 'tinny'; did you mean 'tiny'"):
        embed_all(screen.root, members, ["tinny"], "out", SPLITS, PredictionOptions())


def test_every_member_embeds_what_it_learnt_from_and_what_it_did_not(embed, screen):
    out = embed()
    treatments, wells = set(screen.select("train", "treatment")["id_code"]), screen.wells.set_index("id_code")
    for fold in (0, 1):
        folder = out / FOLDER.format(fold)
        assert {path.name for path in folder.iterdir()} == {
            f"emb_{split}{end}" for split in SPLITS for end in (".npy", ".csv", ".json")
        }
        codes = {}
        for split in SPLITS:
            embeddings, codes[split] = read(folder, split)
            assert embeddings.dtype == np.float32
            assert len(embeddings) == len(codes[split]) == len(set(codes[split]))
            assert np.isfinite(embeddings).all()
        assert codes["test"] == screen.select("test", "treatment")["id_code"].tolist()
        assert set(codes["train"]) | set(codes["valid"]) == treatments
        experiments = {split: set(wells.loc[codes[split], "experiment"]) for split in SPLITS}
        assert not experiments["train"] & experiments["valid"]


def test_controls_of_all_plates_are_embedded_also_by_a_network_of_treatments_only(embed, screen, members):
    out = embed(splits=("controls", "test"))
    controls = screen.select(kind="control")
    assert len(controls) and set(controls["split"]) == {"train", "test"}
    for fold in (0, 1):
        vectors, codes = read(out / FOLDER.format(fold), "controls")
        assert codes == controls["id_code"].tolist() and np.isfinite(vectors).all()
        found = read_embeddings(screen, out / FOLDER.format(fold), "controls")
        assert found.wells["well_type"].isin(["positive_control", "negative_control"]).all()
    (out / FOLDER.format(0) / "emb_controls.csv").write_bytes((out / FOLDER.format(0) / "emb_test.csv").read_bytes())
    (out / FOLDER.format(0) / "emb_controls.json").unlink()
    with pytest.raises(
        UserError, match=rf"emb_controls\.csv, line 2: '{read(out / FOLDER.format(0), 'test')[1][0]}' is not a co"
    ):
        read_embeddings(screen, out / FOLDER.format(0), "controls")


@pytest.mark.parametrize("views", [("identity",), ("identity", "hflip")])
def test_an_embedding_is_the_mean_over_sites_and_views(embed, members, screen, views):
    embeddings, codes = read(embed(splits=("test",), tta=views) / FOLDER.format(0), "test")
    network = tiny_network(len(CHANNELS), screen.n_treatments)
    assert load_matching(network, read_checkpoint(members / FOLDER.format(0) / BEST)) == []
    wells, store = screen.wells.set_index("id_code"), FileStore(screen.root)
    for row in (0, 7, len(codes) - 1):
        well = wells.loc[codes[row]]
        sites = [Site("test", well["experiment"], int(well["plate"]), well["well"], site) for site in (1, 2)]
        x = normalize(torch.from_numpy(np.stack([store.read(site, CHANNELS) for site in sites])))
        with torch.no_grad():
            said = [network.eval()(x.flip(-1) if view == "hflip" else x).embedding for view in views]
        np.testing.assert_allclose(embeddings[row], torch.cat(said).mean(0), atol=1e-5)


def test_neither_batch_nor_company_changes_an_embedding(embed):
    together, single = embed("together"), embed("single", at_once=1, batch_size=3)
    for path in together.rglob("emb_*.npy"):
        other = np.load(single / path.relative_to(together))
        np.testing.assert_allclose(np.load(path), other, atol=1e-5)


def test_all_splits_of_all_folds_share_one_pass(embed, monkeypatch):
    real, read_sites_of = passes.predict_sites, []

    def counted(members, plan, *arguments, **options):
        read_sites_of.append(plan.rows["wanted"].sum())
        return real(members, plan, *arguments, **options)

    monkeypatch.setattr(passes, "predict_sites", counted)
    together = embed("together", splits=(*SPLITS, "controls"))
    assert len(read_sites_of) == 1
    for split in (*SPLITS, "controls"):
        embed("apart", splits=(split,))
    assert len(read_sites_of) > 4
    for path in together.rglob("emb_*.csv"):
        other = path.parents[4] / "apart" / path.relative_to(together)
        ours, theirs = (pd.read_csv(file)["id_code"].tolist() for file in (path, other))
        assert sorted(ours) == sorted(theirs)
        one, two = (np.load(file.with_suffix(".npy")) for file in (path, other))
        np.testing.assert_allclose(one, two[[theirs.index(code) for code in ours]], atol=1e-5)


def test_pseudo_labelled_wells_and_controls_are_not_in_the_bank(screen, folds_dir, tmp_path):
    pseudo = screen.select("test", "treatment").iloc[:6][["id_code"]].assign(sirna=screen.decode(range(6)))
    (tmp_path / "pseudo").mkdir()
    pseudo.to_csv(tmp_path / "pseudo" / "pseudo.csv", index=False)
    settings = {"data__channels": CHANNELS, "data__pseudo_dir": str(tmp_path / "pseudo"), "data__controls": "classes"}
    folder = train(tiny_config(folds_dir, stage="pseudo", **settings), screen.root, tmp_path / "logs")
    embed_all(screen.root, tmp_path / "logs" / "pseudo", ["tiny"], tmp_path / "out", ("train",), PredictionOptions())
    wells = screen.wells.set_index("id_code").loc[read(tmp_path / "out" / FOLDER.format(0), "train")[1]]
    assert set(wells["split"]) == {"train"}
    assert set(wells["well_type"]) == {"treatment"}
    assert json.loads((folder / "run.json").read_text())["n_train_sites"] > 2 * len(wells)


def test_what_is_there_is_skipped_and_what_changed_is_made_anew(embed, members, capsys):
    out = embed()
    before = {path: path.stat().st_mtime_ns for path in out.rglob("emb_*")}
    capsys.readouterr()
    embed()
    said = capsys.readouterr().out
    assert [f"{split}: 2 of 2 members are embedded already, 0 to go" in said for split in SPLITS] == [True] * 3
    assert {path: path.stat().st_mtime_ns for path in before} == before
    take_weights(members / FOLDER.format(1), members / FOLDER.format(0))
    embed(splits=("test",))
    changed = {path for path in before if path.stat().st_mtime_ns != before[path]}
    assert changed == set(embedding_files(out / FOLDER.format(0), "test").values())
    embed(tta=("identity", "hflip"))
    assert capsys.readouterr().out.count("0 of 2 members are embedded already, 2 to go") == 3


def test_a_killed_run_goes_on_where_it_was(embed, monkeypatch, capsys):
    real, calls = passes.predict_sites, []

    def fail_on_second(*arguments, **options):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    monkeypatch.setattr(passes, "predict_sites", fail_on_second)
    with pytest.raises(KeyboardInterrupt):
        embed(at_once=1)
    capsys.readouterr()
    embed(at_once=1)
    said = capsys.readouterr().out
    for split in SPLITS:
        assert f"{split}: 1 of 2 members are embedded already" in said


def test_predictions_in_the_same_folder_stay(embed, screen, members, tmp_path):
    predict_all(screen.root, members, ["tiny"], tmp_path / "out", ("test",), PredictionOptions())
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("pred_*")}
    out = embed(splits=("test",))
    assert {path: path.read_bytes() for path in out.rglob("pred_*")} == before


def test_sites_are_kept_if_wanted_and_their_mean_is_the_wells(embed, screen):
    out = embed(splits=("test",))
    folder = out / FOLDER.format(0)
    before = (folder / "emb_test.npy").stat().st_ino
    embed(splits=("test",), by_site=True)
    assert (folder / "emb_test.npy").stat().st_ino != before  # the sites were not there
    sites, wells = np.load(folder / "emb_test_sites.npy"), np.load(folder / "emb_test.npy")
    assert sites.shape == (len(wells), 2, wells.shape[1]) and sites.dtype == np.float32
    np.testing.assert_allclose(sites.mean(axis=1), wells, rtol=1e-5, atol=1e-6)
    embedded = read_embeddings(screen, folder, "test")
    np.testing.assert_array_equal(read_sites(embedded), sites)
    before = (folder / "emb_test.npy").stat().st_ino
    embed(splits=("test",))  # sites that are kept beyond what is wanted do no harm
    embed(splits=("test",), by_site=True)
    assert (folder / "emb_test.npy").stat().st_ino == before
    np.save(folder / "emb_test_sites.npy", sites + 1)
    with pytest.raises(
        UserError, match=r"emb_test_sites.npy: is damaged, or of another result than .* --by_site again"
    ):
        read_sites(embedded)
