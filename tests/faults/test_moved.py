"""The folder into which a command writes is moved while it runs: one line, and nothing is made anew in its place."""

from pathlib import Path

import pytest

from rcic.errors import UserError
from rcic.files.names import Member
from rcic.learn.predict import embed_all as embedding
from rcic.learn.predict import predict_all as prediction
from rcic.learn.predict.prediction_options import PredictionOptions
from rcic.pixels.packed import pack_plates
from rcic.pixels.packed.pack_screen import pack
from rcic.pixels.packed.zarr_shard import ShardWriter
from rcic.screen.table import read_screen
from rcic.simulate import plate_images
from rcic.simulate.simulation import simulate_screen
from tests.program import left_over, save_untrained

ONE_AT_ONCE = PredictionOptions(at_once=1, device="cpu", audit_dir=None)


@pytest.fixture
def models(small_screen: Path, tmp_path: Path) -> Path:
    """Return run folders with two untrained networks."""
    for channels in ((1, 2), (3, 4)):
        save_untrained(tmp_path / "models", read_screen(small_screen), Member(channels, 0, "tiny"))
    return tmp_path / "models"


@pytest.fixture
def moving(tmp_path, monkeypatch):
    """Return a function that lets the folder ``out`` be moved after (or before) the first call of another function."""

    def replace(module, name, before=False):
        work, calls = getattr(module, name), []

        def call(*words):
            calls.append(name)
            if before and len(calls) == 2:
                (tmp_path / "out").rename(tmp_path / "moved")
            result = work(*words)
            if not before and len(calls) == 1:
                (tmp_path / "out").rename(tmp_path / "moved")
            return result

        monkeypatch.setattr(module, name, call)

    return replace


def refuse(tmp_path, command, *words):
    with pytest.raises(UserError, match=rf"^{tmp_path}/out: was moved or removed while [^\n]*$"):
        command(*words)
    assert not (tmp_path / "out").exists() and list((tmp_path / "moved").rglob("*"))


def test_predictions(small_screen, models, tmp_path, moving):
    """The rest would be an ensemble of half of the members, in either folder."""
    words = (small_screen, models, ["tiny"], tmp_path / "out", ("test",), ONE_AT_ONCE)
    moving(prediction, "write_predictions")
    refuse(tmp_path, prediction.predict_all, *words)
    (tmp_path / "moved").rename(tmp_path / "out")
    prediction.predict_all(*words)
    assert len(list((tmp_path / "out").rglob("pred_test.npy"))) == 2 and left_over(tmp_path) == []


def test_embeddings(small_screen, models, tmp_path, moving):
    moving(embedding, "write_embeddings")
    words = (small_screen, models, ["tiny"], tmp_path / "out", ("test",), ONE_AT_ONCE)
    refuse(tmp_path, embedding.embed_all, *words)


MOMENTS = {"after a plate": "_pack_missing", "before a plate": "_pack", "before a plate's metadata": "finish"}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_packed_screen(small_screen, tmp_path, moving, moment):
    name = MOMENTS[moment]
    moving(ShardWriter if name == "finish" else pack_plates, name, before=name == "_pack")
    refuse(tmp_path, pack, small_screen, tmp_path / "out", (), 2, False)
    assert not list((tmp_path / "moved").rglob("run.lock"))
    (tmp_path / "moved").rename(tmp_path / "out")
    pack(small_screen, tmp_path / "out", (), 2, True)
    assert left_over(tmp_path) == []


def test_a_synthetic_screen(tmp_path, moving):
    moving(plate_images, "draw_plate")
    refuse(tmp_path, simulate_screen, "test", tmp_path / "out", 0, 1, False)
