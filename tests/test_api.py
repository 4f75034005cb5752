"""The public API: what it imports, what README's ten lines give, and what a mistake says."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import rcic
from rcic.files.names import Member, find_members
from rcic.learn.predict.predict_all import predict_all
from rcic.learn.predict.prediction_options import PredictionOptions
from tests.program import save_untrained

SRC = Path(__file__).parents[1] / "src"


@pytest.fixture(scope="module")
def members(small_screen, tmp_path_factory):
    """Return the run folders of two untrained members of the small screen."""
    root = tmp_path_factory.mktemp("members")
    screen = rcic.read_screen(small_screen)
    for fold in (0, 1):
        save_untrained(root, screen, Member((1, 2, 3), fold, "tiny"))
    return root


def test_import_is_quick_and_imports_nothing_heavy():
    code = "import sys, rcic; print(sorted({'torch', 'numpy', 'pandas', 'cv2', 'catalyst'} & set(sys.modules)))"
    command = [sys.executable, "-X", "importtime", "-c", code]
    done = subprocess.run(command, cwd=SRC, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    (line,) = [line for line in done.stderr.splitlines() if line.endswith("| rcic")]
    assert int(line.split("|")[1]) < 200_000  # microseconds


def test_every_public_name_is_there_and_typed():
    assert len(rcic.__all__) <= 20 and dir(rcic) == sorted(rcic.__all__)
    for name in rcic.__all__:
        assert getattr(rcic, name) is not None
    assert (SRC / "rcic" / "py.typed").exists()
    with pytest.raises(AttributeError, match="no attribute 'decise'"):
        rcic.decise  # noqa: B018


def test_the_ten_lines_of_readme_give_the_answers_of_the_commands(small_screen, members, tmp_path, monkeypatch):
    readme = (SRC.parent / "README.md").read_text(encoding="utf-8")
    (block,) = [part.partition("```")[0] for part in readme.split("```python\n")[1:]]
    assert len([line for line in block.splitlines() if line.strip()]) <= 10
    monkeypatch.chdir(tmp_path)
    exec(block.replace("demo/screen", str(small_screen)).replace("demo/logs/pseudo", str(members)), {})
    answers = pd.read_csv("answers.csv")
    assert list(answers) == ["id_code", "experiment", "plate", "well", "answer", "confidence", "margin"]
    predict_all(small_screen, members, ["tiny"], tmp_path / "out", ("test",), PredictionOptions(audit_dir=None))
    decision = rcic.decide_predictions(small_screen, tmp_path / "out").table
    assert answers["answer"].tolist() == decision["answer"].tolist()
    np.testing.assert_allclose(answers["confidence"], decision["confidence"], rtol=1e-4)


def test_images_of_a_well_go_through_a_member(small_screen, members):
    screen = rcic.read_screen(small_screen)
    member = rcic.load_members(members)[0]
    wells = screen.select("test", "treatment").head(3)
    table, embedded = member.predict(screen, wells), member.embed(screen, wells)
    assert table.index.tolist() == embedded.index.tolist() == wells["id_code"].tolist()
    assert list(table) == list(screen.classes[: screen.n_treatments])
    images = np.stack(
        [rcic.read_images(screen, wells["id_code"][0], site, member.channels) for site in screen.spec.sites]
    )
    outputs = member.predict_images(images)
    np.testing.assert_allclose(outputs.logits.mean(axis=0), table.iloc[0], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(outputs.embedding.mean(axis=0), embedded.iloc[0], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda screen, folder: rcic.load_member(folder / "none"), "is no finished run folder: there is no"),
        (lambda screen, folder: rcic.load_members(folder / "none"), "no trained network"),
        (lambda screen, folder: rcic.read_images(screen, "HUVEC-01_1_Z99"), "there is no well 'HUVEC-01_1_Z99'"),
        (lambda screen, folder: rcic.read_images(screen, screen.wells["id_code"][0], 9), "site is 9, but"),
        (lambda screen, folder: rcic.read_images(screen, screen.wells["id_code"][0], 1, [7]), "no channel 7"),
        (
            lambda screen, folder: rcic.decide_logits(screen, pd.DataFrame([[1.0]], ["x"], [screen.classes[0]])),
            "treatments: .* is missing",
        ),
    ],
)
def test_a_mistake_is_one_line(small_screen, members, call, message):
    with pytest.raises(rcic.UserError, match=message) as error:
        call(rcic.read_screen(small_screen), members)
    assert "\n" not in str(error.value)


def test_an_array_of_another_shape_is_refused(members):
    member = rcic.load_member(members / find_members(members, "checkpoints/best.pth")[0].folder)
    for images in (np.zeros((1, 2, 8, 8), np.uint8), np.zeros((1, 3, 8, 8), np.float32), np.zeros((3, 8, 8), np.uint8)):
        with pytest.raises(rcic.UserError, match="must be uint8 of shape"):
            member.predict_images(images)
