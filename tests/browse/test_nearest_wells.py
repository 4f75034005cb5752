"""The nearest wells, by hand."""

from pathlib import Path

import numpy as np
import pytest

from rcic.browse.nearest_wells import read_nearest
from rcic.errors import UserError
from rcic.files.names import Member, embedding_files
from rcic.files.record import Record
from rcic.files.well_rows import write_well_rows
from rcic.screen.table import read_screen

FOLDER = "[1]/fold_0/tiny"
VECTORS = {  # two plates of one cell type; each plate's mean is (10, 10) or (-5, 0) and is taken off
    "RPE-01_1_B03": (12, 10),  # ( 2,  0)
    "RPE-01_1_B04": (8, 10),  # (-2,  0)
    "RPE-02_1_B03": (-4, 1),  # ( 1,  1)
    "RPE-02_1_B04": (-6, -1),  # (-1, -1)
}
TESTS = {"U2OS-01_1_B03": (1, 0), "U2OS-01_1_B04": (0, 1)}


def write(root: Path, vectors: dict[str, tuple], split: str, folder: str = FOLDER) -> None:
    array = np.array(list(vectors.values()), np.float32)
    write_well_rows(embedding_files(root / folder, split), {"embeddings": array}, list(vectors), Record("embedding"))


@pytest.fixture
def screen(data):
    return read_screen(data)


def near(screen, nearest, code: str, count: int = 8) -> list[tuple[str, float]] | None:
    codes = screen.wells["id_code"].tolist()
    found = nearest.of(codes.index(code), count)
    return found and [(codes[row], cosine) for row, cosine in found]


def test_cosines_of_centred_wells_of_the_same_cell_type(screen, root, monkeypatch):
    monkeypatch.setattr("rcic.decide.whitening.FEWEST_REFERENCES", 1)  # plates here have two wells
    write(root, VECTORS, "train")
    write(root, TESTS, "test")
    nearest = read_nearest(screen, root, None)
    half = 2**-0.5
    found = near(screen, nearest, "RPE-01_1_B03")
    assert [code for code, _ in found] == ["RPE-02_1_B03", "RPE-02_1_B04", "RPE-01_1_B04"]
    assert [cosine for _, cosine in found] == pytest.approx([half, -half, -1], abs=1e-6)
    assert [code for code, _ in near(screen, nearest, "RPE-01_1_B03", 1)] == ["RPE-02_1_B03"]
    assert near(screen, nearest, "U2OS-01_1_B04") == [("U2OS-01_1_B03", pytest.approx(-1))]
    assert near(screen, nearest, "RPE-01_1_B02") is None  # a control
    assert nearest.member == FOLDER and nearest.vectors.dtype == np.float32


def test_wells_without_any_difference_are_near_to_nobody(screen, root):
    write(root, {"RPE-01_1_B03": (3, 4), "RPE-01_1_B04": (3, 4)}, "train")
    assert near(screen, read_nearest(screen, root, None), "RPE-01_1_B03") == [("RPE-01_1_B04", 0)]
    write(root, {"RPE-01_1_B03": (3, 4)}, "train")
    assert near(screen, read_nearest(screen, root, None), "RPE-01_1_B03") == []


def test_a_member_is_chosen_by_its_folder(screen, root):
    write(root, VECTORS, "train")
    write(root, {"RPE-01_1_B03": (1, 0), "RPE-02_1_B03": (0, 1)}, "valid", "[2]/fold_0/other")
    assert read_nearest(screen, root, None).member == FOLDER
    assert read_nearest(screen, root, "[2]/fold_0/other/").member == str(Member((2,), 0, "other").folder)
    with pytest.raises(UserError, match=r"no embeddings in '\[2\]/fold_0/othr'.*did you mean '\[2\]/fold_0/other'"):
        read_nearest(screen, root, "[2]/fold_0/othr")


def test_what_does_not_fit_is_refused(screen, root):
    with pytest.raises(UserError, match=r"no emb_train\.npy .* run embed-all first"):
        read_nearest(screen, root, None)
    write(root, VECTORS, "train")
    write(root, {"RPE-01_1_B03": (1, 0)}, "valid")
    with pytest.raises(UserError, match=r"emb_valid\.npy: RPE-01_1_B03 is also in emb_train\.npy"):
        read_nearest(screen, root, None)
