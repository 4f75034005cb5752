"""What is predicted with, and which numbers are the embedding: keys of a training that act afterwards."""

import copy
from dataclasses import replace

import numpy as np
import pytest

from rcic.files.names import BEST, embedding_files
from rcic.files.record import Record, read_record
from rcic.learn.predict.embed_all import embed_all
from rcic.learn.predict.jobs import PredictionJob
from rcic.learn.predict.passes import PREDICTED, outputs_of
from rcic.learn.predict.prediction_options import PredictionOptions
from rcic.learn.runs.checkpoint import read_checkpoint
from rcic.pixels.packed.open_store import open_store
from tests.learn.tiny import same_weights

FOLDER = "[1,2,3]/fold_0/tiny"
ADDED = {  # keys that checkpoints of before do not have
    "model": ("stem_scale", "trunk_end", "layers", "embedding"),
    "loss": ("form", "cosine_ce"),
    "optim": ("beta2",),
    "schedule": ("curve", "start_lr", "start_momentum", "restarts", "restart_lrs", "planned_epochs"),
    "predict": ("bn", "precision"),
}


@pytest.fixture
def logits(trained, screen):
    """Return a function that predicts the test wells with one training's weights, its config changed; first plain."""
    checkpoint = read_checkpoint(trained() / BEST)
    wells = screen.select("test", "treatment")

    def predict(change=lambda plain: None):
        meta = copy.deepcopy(checkpoint.meta)
        change(meta["config"])
        job = PredictionJob(replace(checkpoint, meta=meta), wells, {}, Record("prediction"))
        options = PredictionOptions(audit_dir=None, device="cpu")
        ((_, (outputs,), _),) = outputs_of(open_store(screen), screen, [job], "predict", options, PREDICTED)
        return outputs.logits

    return predict


def test_predictions_may_use_the_statistics_of_the_plate(logits):
    running = logits()
    by_plate = logits(lambda plain: plain["predict"].update(bn="plate"))
    assert np.array_equal(by_plate, logits(lambda plain: plain["model"].update(bn="plate")))
    assert np.abs(by_plate - running).max() > 1e-3


def test_a_checkpoint_of_before_these_keys_predicts_as_it_did(logits):
    def forget(plain):
        for section, keys in ADDED.items():
            for key in keys:
                del plain[section][key]

    assert np.array_equal(logits(), logits(forget))


def test_embeddings_of_another_layer_are_another_networks(trained, screen, tmp_path):
    weights, networks, least = [], set(), []
    for embedding in ("output", "fc"):
        folder = trained(embedding, model__head="linear_bn", data__channels=[1, 2, 3], model__embedding=embedding)
        weights.append(read_checkpoint(folder / BEST).weights)
        embed_all(
            screen.root, tmp_path / embedding / "full", ["tiny"], tmp_path / "out", ("test",), PredictionOptions()
        )
        files = embedding_files(tmp_path / "out" / FOLDER, "test")  # the same folder: made again
        networks.add(read_record(files["record"], "embedding").facts["network"])
        least.append(np.load(files["embeddings"]).min())
    assert same_weights(*weights) and len(networks) == 2
    assert least[0] == 0 and least[1] < 0  # after and before the ReLU
