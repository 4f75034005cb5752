import re
import shutil
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml
from torch import nn

from rcic.errors import UserError
from rcic.files.atomic import sha256_of
from rcic.files.names import BEST, HELD_OUT, RUN, prediction_files
from rcic.files.record import check_files, read_record
from rcic.learn.predict import passes
from rcic.learn.predict.passes import EMBEDDED, PREDICTED, together
from rcic.learn.predict.predict_all import predict_all
from rcic.learn.predict.prediction_options import PredictionOptions
from rcic.learn.predict.trained_member import load_member
from rcic.learn.train.run import train
from rcic.schema.convert import to_plain
from rcic.screen.source import ScreenSource
from rcic.screen.table import read_screen
from tests.learn.tiny import forget_accelerate, take_weights, tiny_config
from tests.records import rewrite

SETS = ((1, 2, 3, 4, 5), (1, 2, 3, 4, 6))
SPLITS = ("test", "valid")


@pytest.fixture(scope="module")
def trained_once(screen, folds_dir, tmp_path_factory):
    """Return the root of two channel sets x two folds of tiny networks. Read only."""
    root = tmp_path_factory.mktemp("members")
    for channels in SETS:
        for fold in (0, 1):
            forget_accelerate()
            train(tiny_config(folds_dir, data__channels=channels, data__fold=fold), screen.root, root)
    return root / "full"


@pytest.fixture
def members(trained_once, tmp_path):
    """Return a copy of the trained networks that a test may change."""
    return shutil.copytree(trained_once, tmp_path / "logs" / "full")


@pytest.fixture
def predict(screen, members, tmp_path):
    """Return a function that predicts all and returns the folder of predictions."""

    def run(out="out", splits=SPLITS, root=screen.root, model_root=members, **options):
        predict_all(root, model_root, ["tiny"], tmp_path / out, splits, PredictionOptions(**options))
        return tmp_path / out

    return run


def logits_below(folder):
    return {path.relative_to(folder).as_posix(): np.load(path) for path in sorted(folder.rglob("pred_*.npy"))}


def test_every_member_gets_its_files(predict, screen):
    out = predict()
    wells = screen.select("test", "treatment")["id_code"].tolist()
    for channels in SETS:
        for fold in (0, 1):
            folder = out / str(list(channels)).replace(" ", "") / f"fold_{fold}" / "tiny"
            assert {path.name for path in folder.iterdir()} == {
                f"pred_{split}{end}" for split in SPLITS for end in (".npy", ".csv", ".json", "_sites.npy")
            }
            logits, sites = np.load(folder / "pred_test.npy"), np.load(folder / "pred_test_sites.npy")
            assert logits.dtype == np.float32 and logits.shape == (len(wells), screen.n_treatments)
            assert sites.dtype == np.float16 and sites.shape == (len(wells), 2, screen.n_treatments)
            np.testing.assert_allclose(logits, sites.astype(np.float32).mean(1), atol=2e-3)
            assert pd.read_csv(folder / "pred_test.csv")["id_code"].tolist() == wells


def test_held_out_wells_are_each_members_own(predict, folds_dir):
    out = predict(splits=("valid",))
    for fold in (0, 1):
        predicted = pd.read_csv(out / "[1,2,3,4,5]" / f"fold_{fold}" / "tiny" / "pred_valid.csv")["id_code"]
        assert predicted.tolist() == pd.read_csv(folds_dir / f"valid_{fold}.csv")["id_code"].tolist()
    assert not list(out.rglob("pred_test*"))


def test_neither_batch_nor_company_changes_a_prediction(predict):
    together = logits_below(predict("together"))
    for name, options in {"single": {"at_once": 1}, "batches": {"batch_size": 3}, "pairs": {"at_once": 2}}.items():
        other = logits_below(predict(name, **options))
        assert other.keys() == together.keys() and len(other) == 16
        for file, logits in together.items():
            np.testing.assert_allclose(other[file], logits, atol=2e-3 if "sites" in file else 1e-5, rtol=0)


def test_networks_of_several_names_share_a_pass(screen, members, tmp_path, monkeypatch):
    shutil.copytree(members / "[1,2,3,4,5]/fold_0/tiny", members / "[1,2,3,4,5]/fold_0/other")
    real, asked = passes.predict_sites, []

    def note(some, *arguments):
        asked.append(len(some))
        return real(some, *arguments)

    monkeypatch.setattr(passes, "predict_sites", note)
    predict_all(screen.root, members, ["tiny", "other"], tmp_path / "out", ("test",), PredictionOptions())
    assert asked == [5]  # all folds, channel sets and names at once
    same = [np.load(tmp_path / f"out/[1,2,3,4,5]/fold_0/{name}/pred_test.npy") for name in ("tiny", "other")]
    np.testing.assert_array_equal(*same)


def test_a_site_that_the_screen_has_no_longer_is_not_read(predict, screen, members, tmp_path):
    spec = to_plain(screen.spec) | {"sites": [1]}
    spec_file = tmp_path / "one_site.yml"
    spec_file.write_text(yaml.safe_dump(spec))
    source = ScreenSource(str(screen.root), str(spec_file))
    path = members / "[1,2,3,4,5]" / "fold_0" / "tiny" / BEST
    reason = f"{path}: trained on sites [1, 2] of a well, but {screen.spec.name} has no site 2 (only 1); train it again"
    with pytest.raises(UserError, match=re.escape(reason)):
        predict(root=source)
    with pytest.raises(UserError, match=re.escape(reason)):
        load_member(path.parents[1]).predict(read_screen(source))


@pytest.mark.parametrize(
    ("free", "at_once", "keep", "sizes"),
    [
        (10**12, None, PREDICTED, [7]),
        (10**12, 3, PREDICTED, [3, 3, 1]),
        (0, None, PREDICTED, [1] * 7),
        (3 * (2 * 500 + 2 * 100 * 6 * 8), None, PREDICTED, [2, 2, 2, 1]),
        (3 * 2 * 100 * 6 * 8, None, EMBEDDED, [1] * 7),
    ],
)
def test_as_many_networks_are_in_memory_as_fit(tmp_path, monkeypatch, free, at_once, keep, sizes):
    """A checkpoint of 500 bytes, 8 classes, 100 sites."""
    path = tmp_path / "best.pth"
    path.write_bytes(bytes(500))
    job = SimpleNamespace(checkpoint=SimpleNamespace(path=path, meta={"classes": list(range(8))}))
    monkeypatch.setattr(passes, "free_memory", lambda _: free)
    groups = list(together([job] * 7, 100, PredictionOptions(at_once=at_once), keep))
    assert [len(group) for group in groups] == sizes


def test_what_is_there_is_skipped_and_what_changed_is_made_anew(predict, members, capsys, monkeypatch):
    out = predict()
    before = {path: path.stat().st_mtime_ns for path in out.rglob("pred_*")}
    (out / "[1,2,3,4,6]/fold_0/tiny/run.lock").touch()  # of a predict-all that was killed when all was done
    predict()
    assert "test: 4 of 4 members are predicted already, 0 to go" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in out.rglob("pred_*")} == before
    assert not list(out.rglob("run.lock"))
    take_weights(members / "[1,2,3,4,5]/fold_1/tiny", members / "[1,2,3,4,5]/fold_0/tiny")
    (out / "[1,2,3,4,6]/fold_0/tiny/pred_test.csv").unlink()
    predict()
    changed = {path for path in before if path.stat().st_mtime_ns != before[path]}
    assert {path.parent.relative_to(out).as_posix() for path in changed} == {
        "[1,2,3,4,5]/fold_0/tiny",
        "[1,2,3,4,6]/fold_0/tiny",
    }
    np.testing.assert_array_equal(
        np.load(out / "[1,2,3,4,5]/fold_0/tiny/pred_test.npy"), np.load(out / "[1,2,3,4,5]/fold_1/tiny/pred_test.npy")
    )
    (out / "[1,2,3,4,5]/fold_0/tiny/pred_test.json").write_text("{")
    predict(splits=("test",))
    assert "test: 3 of 4 members" in capsys.readouterr().out


def test_what_predictions_are_made_from(predict, members, screen):
    folder = predict(splits=("test",)) / "[1,2,3,4,5]/fold_0/tiny"
    record = read_record(folder / "pred_test.json", "prediction")
    check_files(folder / "pred_test.json", record)
    assert set(record.files) == {"pred_test.npy", "pred_test_sites.npy", "pred_test.csv"}
    wells = screen.select("test", "treatment")
    assert record.made_from["checkpoint"] == sha256_of(members / "[1,2,3,4,5]/fold_0/tiny" / BEST)
    assert record.made_from["wells"] == screen.identity.wells(set(wells["experiment"]))
    assert record.made_from["classes"] == screen.identity.treatments
    assert {plate.partition("/")[0] for plate in record.made_from["pixels"]} == set(wells["experiment"])


def test_a_network_that_has_learnt_the_held_out_wells_does_not_answer_for_them(predict, members):
    """The checkpoint of another fold in a run folder, listed or not as in version 0.1."""
    one, other = (members / f"[1,2,3,4,5]/fold_{fold}/tiny" for fold in (0, 1))
    shutil.copy(other / BEST, one / BEST)
    rewrite(one / RUN, files=None)
    with pytest.raises(
        UserError, match=r"best\.pth: has learnt the labels of \S+, which is among the wells to predict"
    ):
        predict(splits=("valid",))


def test_images_that_were_replaced_are_predicted_again(predict, own_screen, screen, capsys):
    predict(splits=("test",), root=own_screen)
    predict(splits=("test",), root=own_screen)
    assert "test: 4 of 4 members are predicted already, 0 to go" in capsys.readouterr().out
    well = screen.select("test", "treatment").iloc[0]
    folder = own_screen / "test" / well["experiment"] / f"Plate{well['plate']}"
    image = folder / f"{well['well']}_s1_w1.png"
    image.write_bytes(image.read_bytes() + b"longer")
    predict(splits=("test",), root=own_screen)
    assert "test: 0 of 4 members are predicted already, 4 to go" in capsys.readouterr().out


def test_a_killed_run_goes_on_where_it_was(predict, monkeypatch, capsys):
    real, calls = passes.predict_sites, []

    def fail_on_third(*arguments, **options):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    monkeypatch.setattr(passes, "predict_sites", fail_on_third)
    with pytest.raises(KeyboardInterrupt):
        predict(splits=("test",), at_once=1)
    predict(splits=("test",), at_once=1)
    assert "test: 2 of 4 members are predicted already, 2 to go" in capsys.readouterr().out


def test_a_well_with_one_site_is_that_site(predict, own_screen, screen, capsys):
    whole = predict("whole", splits=("test",))
    well = screen.select("test", "treatment").iloc[3]
    folder = own_screen / "test" / well["experiment"] / f"Plate{well['plate']}"
    (folder / f"{well['well']}_s1_w5.png").unlink()
    with pytest.raises(UserError, match=r"1 of .* images are missing: test/.*_s1_w5.png"):
        predict("strict", splits=("test",), root=own_screen)
    assert not (whole.parent / "strict").exists()
    partial = predict("partial", splits=("test",), root=own_screen, drop_incomplete=True)
    assert capsys.readouterr().out.count("left out 1 of") == 1
    for channels, complete in (("[1,2,3,4,5]", False), ("[1,2,3,4,6]", True)):
        own = channels + "/fold_0/tiny/"
        now, before = np.load(partial / own / "pred_test.npy"), np.load(whole / own / "pred_test.npy")
        sites = np.load(partial / own / "pred_test_sites.npy").astype(np.float32)
        others = [row for row in range(len(now)) if row != 3]
        np.testing.assert_allclose(now[others], before[others], atol=1e-5)
        assert np.isnan(sites[3, 0]).any() != complete
        expected = before[3] if complete else sites[3, 1]
        np.testing.assert_allclose(now[3], expected, atol=1e-5 if complete else 2e-3)


def test_a_training_that_is_not_done_is_left_out_aloud(predict, members, capsys):
    folder = members / "[1,2,3,4,5]" / "fold_0" / "tiny"
    rewrite(folder / RUN, status="running")
    out = predict(splits=("test",))
    assert f"left out: {folder}, whose training is running, not done" in capsys.readouterr().out
    assert len(list(out.rglob("pred_test.npy"))) == 3
    (folder / RUN).unlink()  # weights from elsewhere, without a record
    assert len(list(predict(splits=("test",)).rglob("pred_test.npy"))) == 4
    for path in members.rglob(BEST):
        (path.parents[1] / RUN).write_text('{"status": "failed"}')
    with pytest.raises(UserError, match="no training of tiny is finished"):
        predict("none")


def test_what_cannot_be_predicted_is_told(predict, members, trained, screen, tmp_path):
    with pytest.raises(UserError, match=r"no trained 'tiny' .*; models found: none\)"):
        predict(model_root=tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"no trained 'tinny'; did you mean 'tiny'\?"):
        predict_all(screen.root, members, ["tinny"], tmp_path / "out", SPLITS, PredictionOptions())
    with pytest.raises(UserError, match="--by_site is a flag of embed-all; predict-all always keeps the scores"):
        predict_all(screen.root, members, ["tiny"], tmp_path / "out", SPLITS, PredictionOptions(by_site=True))
    trained(stage="control")
    with pytest.raises(UserError, match=r"best.pth: trained on 3 classes, but the screen .* has 8"):
        predict(model_root=tmp_path / "logs" / "control")
    folder = members / "[1,2,3,4,5]" / "fold_0" / "tiny"
    (folder / HELD_OUT).unlink()
    with pytest.raises(
        UserError, match=r"valid.csv: no such file, so the held-out wells are unknown; use --splits=test"
    ):
        predict(splits=("valid",))
    (folder / BEST).write_bytes((folder / BEST).read_bytes()[:2000])
    with pytest.raises(UserError, match=r"best.pth: is damaged, or of another result than run.json .* with --force$"):
        predict("fresh", splits=("test",))
    rewrite(folder / RUN, files=None)  # as version 0.1 left it
    with pytest.raises(UserError, match=r"best.pth: not a readable checkpoint"):
        predict("fresh", splits=("test",))
    assert not (tmp_path / "fresh").exists()


def test_files_are_where_the_next_steps_look(predict):
    files = prediction_files(predict(splits=("test",)) / "[1,2,3,4,5]/fold_0/tiny", "test")
    assert all(path.exists() for path in files.values())


VIEWS = ("identity", "transpose", "rot90")


def test_views_are_averaged_and_the_sites_keep_the_first(predict):
    """The ladder's first rungs are without views."""
    member = "[1,2,3,4,5]/fold_0/tiny/"
    plain = np.load(predict("plain", ("test",)) / member / "pred_test.npy")
    pairs = [np.load(predict(view, ("test",), tta=("identity", view)) / member / "pred_test.npy") for view in VIEWS[1:]]
    single = [plain, *(2 * pair - plain for pair in pairs)]
    out = predict(splits=("test",), tta=VIEWS)
    logits, sites = (np.load(out / member / f"pred_test{end}.npy") for end in ("", "_sites"))
    np.testing.assert_allclose(logits, np.mean(single, axis=0), atol=1e-5)
    np.testing.assert_allclose(sites.astype(np.float32).mean(1), single[0], atol=2e-3)
    assert np.abs(single[0] - single[1]).max() > 1e-4


@pytest.mark.parametrize("tta", [("hflip",), ("hflip", "identity"), ("identity", "hflip", "hflip")])
def test_views_that_no_config_could_have_are_refused(tta):
    with pytest.raises(UserError, match=f"^--tta is {','.join(tta)}, must begin with identity .* each view once$"):
        PredictionOptions(tta=tta)


def test_other_views_are_another_prediction(predict, capsys):
    out = predict(splits=("test",))
    record = read_record(out / "[1,2,3,4,5]/fold_0/tiny/pred_test.json", "prediction")
    assert record.made_with["tta"] == ["identity"]
    predict(splits=("test",), tta=VIEWS)
    assert "test: 0 of 4 members" in capsys.readouterr().out.splitlines()[-1]
    predict(splits=("test",), tta=VIEWS)
    assert "test: 4 of 4 members" in capsys.readouterr().out
    predict(splits=("test",))  # the config's own
    assert "test: 0 of 4 members" in capsys.readouterr().out


def test_the_configs_views_are_taken_unless_others_are_given(trained, screen, tmp_path):
    folder = trained(predict__tta=["identity", "crops"], augment__crop=32)
    for name, tta in (("config", ()), ("given", ("identity", "crops")), ("one", ("identity",))):
        predict_all(screen.root, folder.parents[2], ["tiny"], tmp_path / name, ("test",), PredictionOptions(tta=tta))
    config, given, one = (logits_below(tmp_path / name) for name in ("config", "given", "one"))
    file = "[1,2,3,4,5]/fold_0/tiny/pred_test.npy"
    np.testing.assert_array_equal(config[file], given[file])
    assert np.abs(config[file] - one[file]).max() > 1e-4


def test_cell_types_own_models_predict_their_own_wells(trained, screen, tmp_path, capsys):
    for name in ("HUVEC", "RPE"):
        folder = trained(data__cell_types=[name])
    predict_all(screen.root, folder.parents[2], ["tiny@"], tmp_path / "out", SPLITS, PredictionOptions())
    for split in SPLITS:
        seen = []
        for name in ("HUVEC", "RPE"):
            codes = pd.read_csv(tmp_path / f"out/[1,2,3,4,5]/fold_0/tiny@{name}/pred_{split}.csv")["id_code"].tolist()
            assert codes and all(code.startswith(name) for code in codes)
            seen += codes
        if split == "test":
            assert sorted(seen) == sorted(screen.select("test", "treatment")["id_code"])
    predict_all(screen.root, folder.parents[2], ["tiny@RPE"], tmp_path / "one", ("test",), PredictionOptions())
    assert [path.parent.name for path in (tmp_path / "one").rglob("pred_test.npy")] == ["tiny@RPE"]
    with pytest.raises(UserError, match=r"no trained 'tiny'; did you mean 'tiny@'"):
        predict_all(screen.root, folder.parents[2], ["tiny"], tmp_path / "out", SPLITS, PredictionOptions())


@pytest.mark.parametrize("bn", ["running", "plate"])
def test_stacked_sites_are_one_answer_a_well(trained, screen, tmp_path, bn):
    folder = trained(data__stack_sites=True, data__channels=[1, 2, 3, 4, 5, 6], model__bn=bn)
    predict_all(screen.root, folder.parents[2], ["tiny"], tmp_path / "out", SPLITS, PredictionOptions(batch_size=5))
    out = tmp_path / "out" / "[1,2,3,4,5,6]" / "fold_0" / "tiny"
    logits, sites = np.load(out / "pred_test.npy"), np.load(out / "pred_test_sites.npy")
    wells = screen.select("test", "treatment")["id_code"].tolist()
    assert logits.shape == (len(wells), screen.n_treatments) and sites.shape == (len(wells), 1, screen.n_treatments)
    assert pd.read_csv(out / "pred_test.csv")["id_code"].tolist() == wells and np.isfinite(logits).all()


def test_plate_statistics_come_from_all_wells_and_only_treatments_are_answered(trained, screen, own_screen, tmp_path):
    """A prediction does not depend on batch or pass, but on the control wells of its plate."""
    settings = {"model__bn": "plate", "data__controls": "classes", "model__metadata": ["cell_type", "experiment"]}
    folder = trained(model__head="neck", model__width=16, **settings)
    for name, options in {"a": {}, "b": {"batch_size": 3, "at_once": 1}}.items():
        predict_all(screen.root, folder.parents[2], ["tiny"], tmp_path / name, SPLITS, PredictionOptions(**options))
    for path in own_screen.glob("test/*/Plate1/*"):
        wells = screen.select("test", "treatment")
        if path.name.split("_")[0] not in set(wells[wells["plate"] == 1]["well"]):
            path.unlink()
    predict_all(own_screen, folder.parents[2], ["tiny"], tmp_path / "c", SPLITS, PredictionOptions())
    one, other, fewer = (logits_below(tmp_path / name) for name in "abc")
    wells, file = screen.select("test", "treatment"), "[1,2,3,4,5]/fold_0/tiny/pred_test.npy"
    assert one[file].shape == (len(wells), screen.n_treatments)
    for name, logits in one.items():
        np.testing.assert_array_equal(logits, other[name])
    first = (wells["plate"] == 1).to_numpy()
    np.testing.assert_array_equal(one[file][~first], fewer[file][~first])
    assert (np.abs(one[file][first] - fewer[file][first]).max(1) > 1e-3).all()


@pytest.fixture
def compiler(monkeypatch):
    """Let networks be compiled by a backend that changes nothing; return the list of what is compiled."""
    compiled, real = [], nn.Module.compile

    def compile_eagerly(module):
        compiled.append(module)
        real(module, backend="eager")

    monkeypatch.setattr(nn.Module, "compile", compile_eagerly)
    return compiled


def test_compiled_networks_answer_the_same(predict, compiler):
    plain = logits_below(predict("plain", splits=("test",)))
    assert not compiler
    compiled = logits_below(predict("compiled", splits=("test",), compile=True))
    assert len(compiler) == 4
    for name, logits in plain.items():
        np.testing.assert_allclose(compiled[name], logits, atol=2e-3 if "sites" in name else 1e-5, rtol=0)


def test_a_network_with_plates_statistics_is_not_compiled_and_that_is_said(trained, screen, tmp_path, compiler, capsys):
    folder = trained(model__bn="plate")
    predict_all(screen.root, folder.parents[2], ["tiny"], tmp_path / "out", ("test",), PredictionOptions(compile=True))
    assert not compiler
    assert capsys.readouterr().out.count("tiny is not compiled, it has the statistics of each plate") == 1


def test_a_network_that_torch_cannot_compile_is_one_line(predict, monkeypatch):
    def fail(_graph, _inputs):
        raise RuntimeError("no compiler found")

    monkeypatch.setattr(nn.Module, "compile", lambda module, real=nn.Module.compile: real(module, backend=fail))
    reason = r"--compile: torch cannot compile this network here \(.*no compiler found.*\); leave it out$"
    with pytest.raises(UserError, match=reason):
        predict(compile=True)
