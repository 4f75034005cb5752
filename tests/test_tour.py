"""docs/tour.ipynb, executed on a small screen with untrained members."""

import os
from pathlib import Path

import pytest

import rcic
from rcic.files.names import Member
from rcic.learn.predict.predict_all import predict_all
from rcic.learn.predict.prediction_options import PredictionOptions
from tests.program import save_untrained

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of the notebook's client, which is not this program's
def test_the_tour_runs_and_shows_its_pictures(small_screen, tmp_path, monkeypatch):
    nbformat, client = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    (tmp_path / "screen").symlink_to(small_screen)
    screen = rcic.read_screen(small_screen)
    for fold in (0, 1):
        save_untrained(tmp_path / "logs" / "pseudo", screen, Member((1, 2, 3), fold, "tiny"))
    options = PredictionOptions(audit_dir=None)
    predict_all(
        small_screen, tmp_path / "logs" / "pseudo", ["tiny"], tmp_path / "predictions" / "pseudo", ("test",), options
    )
    monkeypatch.setenv("DEMO_ROOT", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(ROOT / "docs" / "tour.ipynb", as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "clear the outputs before a commit"
    client.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(ROOT / "docs")}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    tables = [output for output in outputs if "text/html" in output.get("data", {})]
    assert len(pictures) == 5 and len(tables) >= 4
    assert not [output for output in outputs if output["output_type"] == "error" or output.get("name") == "stderr"]
