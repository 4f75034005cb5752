"""Predictions in bfloat16: when they are chosen, what stays float32, and what the record says."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from rcic.files.record import read_record
from rcic.learn.data.site_groups import Group
from rcic.learn.models import WellClassifier, plate_batchnorm
from rcic.learn.models.classifier import bf16_trunk
from rcic.learn.predict import precision
from rcic.learn.predict.embed_all import embed_all
from rcic.learn.predict.evaluate import InferenceSettings, predict_group
from rcic.learn.predict.precision import choose_precision
from rcic.learn.predict.predict_all import predict_all
from rcic.learn.predict.prediction_options import PredictionOptions
from rcic.learn.predict.trained_member import load_member
from tests.learn.tiny import shut, tiny_network
from tests.records import rewrite

SHAPE = (3, 24, 24)
MUCH = 10**9
FOLDER = "[1,2,3,4,5]/fold_0/tiny"


@pytest.fixture
def network():
    torch.manual_seed(0)
    own = tiny_network(3, 4)
    own(torch.randn(16, *SHAPE))
    return shut(own)


@pytest.fixture
def clock(monkeypatch):
    """Return the seconds of a batch in float32 and bfloat16, for a test to set, and the probes that were made."""
    facts = {False: 1.0, True: 1.0, "probes": []}

    def seconds(_network, _x, bf16):
        facts["probes"].append(bf16)
        if isinstance(facts[bf16], Exception):
            raise facts[bf16]
        return facts[bf16]

    monkeypatch.setattr(precision, "_seconds", seconds)
    monkeypatch.setattr(precision, "cpu_has_bf16", lambda: True)
    monkeypatch.setattr(precision, "_SECONDS", {})
    monkeypatch.setattr(precision, "_GAINS", {})
    return facts


def test_only_the_trunk_is_rounded(network):
    """The logits have more digits than bfloat16 has, and are the head's of the embedding in float32."""
    x = torch.randn(8, *SHAPE, generator=torch.Generator().manual_seed(1))
    plain = network(x)
    with bf16_trunk(network):
        half = network(x)
    assert half.logits.dtype == half.embedding.dtype == torch.float32
    assert not torch.equal(half.logits.bfloat16().float(), half.logits)
    torch.testing.assert_close(half.logits, network.forward_head(half.embedding))
    error = (half.logits - plain.logits).abs().max() / plain.logits.std()
    assert 0 < error < 0.05
    assert torch.equal(network(x).logits, plain.logits)


@pytest.mark.parametrize("wanted", ["bf16", "fp32"])
def test_what_is_asked_for_is_not_probed(network, clock, wanted):
    assert choose_precision(wanted, network, SHAPE, MUCH, "cpu").name == wanted and not clock["probes"]


@pytest.mark.parametrize(("bf16", "name"), [(0.4, "bf16"), (0.9, "bf16"), (0.95, "fp32"), (1.5, "fp32")])
def test_bfloat16_must_be_faster_by_a_tenth(network, clock, bf16, name):
    clock[True] = bf16
    choice = choose_precision("auto", network, SHAPE, MUCH, "cpu")
    assert choice.name == name
    assert choice.reason == f"in a probe at 24 x 24 pixels bf16 was {1 / bf16:.2f} times as fast as fp32"


def test_an_architecture_is_probed_once(network, clock):
    clock[True] = 0.5
    one = choose_precision("auto", network, SHAPE, MUCH, "cpu")
    n_probes = len(clock["probes"])
    clock[True] = 2.0
    assert choose_precision("auto", shut(tiny_network(3, 4)), SHAPE, MUCH, "cpu") == one
    assert len(clock["probes"]) == n_probes
    assert choose_precision("auto", network, (3, 48, 48), MUCH, "cpu").name == "fp32"  # another size
    other = WellClassifier(nn.Conv2d(3, 4, 3), 4, 5)
    assert choose_precision("auto", other, SHAPE, MUCH, "cpu").name == "fp32"


def test_where_there_is_little_to_do_bfloat16_is_not_tried(network, clock):
    clock[True] = 0.1
    assert choose_precision("auto", network, SHAPE, 100, "cpu") == precision.PrecisionChoice("fp32")
    assert True not in clock["probes"]


def test_a_processor_without_bfloat16_predicts_in_float32(network, clock, monkeypatch):
    monkeypatch.setattr(precision, "cpu_has_bf16", lambda: False)
    clock[True] = 0.1
    assert choose_precision("auto", network, SHAPE, MUCH, "cpu").name == "fp32" and not clock["probes"]


@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
@pytest.mark.parametrize(("has", "name"), [(True, "bf16"), (False, "fp32")])
def test_a_gpu_is_not_probed(network, clock, monkeypatch, device, has, name):
    monkeypatch.setattr(precision, "_gpu_has_bf16", lambda: has)
    assert choose_precision("auto", network, SHAPE, 1, device).name == name and not clock["probes"]


@pytest.mark.parametrize("memory", [plate_batchnorm.MEMORY, 0])
def test_a_plates_statistics_in_bfloat16_depend_on_no_batch(network, monkeypatch, memory):
    """In one portion and in two, with views; a few roundings away from float32."""
    monkeypatch.setattr(plate_batchnorm, "MEMORY", memory)
    rows = pd.DataFrame({"experiment": "A-01", "plate": 1, "well": [f"B{n:02}" for n in range(40)], "site": 1})
    images = torch.randint(0, 255, (40, *SHAPE), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    everyone, tta = np.ones(40, bool), ("identity", "rot90")

    def outputs(**settings):
        return predict_group(network, Group(rows, images), everyone, InferenceSettings("plate", tta=tta, **settings))

    half = outputs(precision="bf16")
    assert torch.equal(outputs(precision="bf16", batch_size=7).logits, half.logits)
    plain = outputs().logits
    assert half.logits.dtype == torch.float32
    assert 0 < (half.logits - plain).abs().max() < 0.1 * plain.std()


def test_a_network_that_cannot_compute_in_bfloat16_predicts_in_float32(clock):
    clock[True] = RuntimeError("not implemented for 'BFloat16'")
    own = WellClassifier(nn.Conv2d(3, 4, 3), 4, 5)
    assert choose_precision("auto", own, SHAPE, MUCH, "cpu").name == "fp32"


def test_the_probe_leaves_the_network_as_it_was(network, monkeypatch):
    monkeypatch.setattr(precision, "cpu_has_bf16", lambda: True)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert choose_precision("auto", network, (3, 32, 40), MUCH, "cpu").name in ("bf16", "fp32")
    assert not network.trunk_bf16 and not network.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


@pytest.fixture
def run(trained, screen, tmp_path, capsys):
    """Return a function that predicts (or embeds), and returns record, first array and whether it was done anew."""
    root = trained().parents[2]

    def go(kind="prediction", splits=("test",), **options):
        work, end = (predict_all, "pred") if kind == "prediction" else (embed_all, "emb")
        work(screen.root, root, ["tiny"], tmp_path / kind, splits, PredictionOptions(audit_dir=None, **options))
        path = tmp_path / kind / FOLDER / f"{end}_test.json"
        anew = "0 of 1 members are" in capsys.readouterr().out
        return read_record(path, kind), np.load(path.with_suffix(".npy")), anew

    return go


@pytest.mark.parametrize("kind", ["prediction", "embedding"])
def test_a_precision_that_is_asked_for_is_what_is_there(run, kind):
    plain, in_fp32, _ = run(kind)
    assert "precision" not in plain.made_with
    assert not run(kind, precision="fp32")[2]
    half, in_bf16, anew = run(kind, precision="bf16")
    assert anew and half.made_with["precision"] == "bf16" and in_bf16.dtype == np.float32
    assert 0 < np.abs(in_bf16 - in_fp32).max() < 0.05 * np.abs(in_fp32).max()
    assert half.facts["network"] == plain.facts["network"]
    assert not run(kind)[2]  # auto: any will do
    again, same, anew = run(kind, precision="fp32")
    assert anew and "precision" not in again.made_with
    np.testing.assert_array_equal(same, in_fp32)


def test_a_choice_is_said_and_recorded(run, clock, monkeypatch, caplog):
    clock[True] = 0.5
    monkeypatch.setattr(precision, "_WORTH", 0.0)
    with caplog.at_level("INFO"):
        record, _, _ = run()
    reason = "in a probe at 40 x 40 pixels bf16 was 2.00 times as fast as fp32"
    assert record.made_with["precision"] == "bf16" and record.facts["precision_reason"] == reason
    assert f"test: tiny in bf16 ({reason})" in caplog.text


def test_predictions_of_before_are_float32(run, tmp_path):
    run()
    path = tmp_path / "prediction" / FOLDER / "pred_test.json"
    rewrite(path, facts={**read_record(path, "prediction").facts, "precision_reason": ""})
    assert not run(precision="fp32")[2] and run(precision="bf16")[2]


def test_images_in_memory_are_predicted_in_the_precision_that_is_asked_for(trained):
    images = np.random.default_rng(0).integers(0, 255, (4, 5, 24, 24), np.uint8)
    one, other = (
        load_member(trained(), PredictionOptions(audit_dir=None, precision=name)).predict_images(images).logits
        for name in ("fp32", "bf16")
    )
    assert 0 < np.abs(one - other).max() < 0.05 * np.abs(one).max()
