"""The map of embeddings: which wells are drawn, and that centring takes a plate's own direction off."""

import numpy as np
import pandas as pd
import pytest

from rcic.errors import UserError
from rcic.files.names import Member, embedding_files
from rcic.files.record import Record
from rcic.files.well_rows import write_well_rows
from rcic.report.embedding_map import drawn, first_member, flat_map, map_table
from rcic.screen.layout import learn_groups
from rcic.screen.table import read_screen

MEMBER = Member((1, 2), 0, "tiny")


def test_drawing_is_even_and_repeats():
    codes = pd.Series([f"well {n}" for n in range(1000)])
    some = drawn(codes, 100)
    assert len(some) == 100 and (np.diff(some) > 0).all()
    fewer = codes[:500]
    assert set(drawn(fewer, 1000)) == set(range(500))
    kept = set(codes[some]) & set(fewer)
    assert kept <= set(fewer.iloc[drawn(fewer, 100)])  # a well is not lost because others are gone


def test_clusters_stay_together():
    random = np.random.default_rng(0)
    vectors = np.repeat(np.eye(3, 20) * 50, 20, axis=0) + random.standard_normal((60, 20))
    place = flat_map(vectors.astype(np.float32))
    assert place.shape == (60, 2) and np.abs(place).max() == 1
    centres = place.reshape(3, 20, 2).mean(axis=1)
    spread = np.linalg.norm(place.reshape(3, 20, 2) - centres[:, None], axis=2).max()
    gaps = [np.linalg.norm(centres[a] - centres[b]) for a, b in ((0, 1), (0, 2), (1, 2))]
    assert min(gaps) > spread
    assert (place == flat_map(vectors.astype(np.float32))).all()


def test_too_few_wells():
    with pytest.raises(UserError, match="a map needs at least four wells, not 3"):
        flat_map(np.eye(3))


def test_the_table_of_a_screen(small_screen, tmp_path):
    screen, random = read_screen(small_screen), np.random.default_rng(0)
    for split in ("train", "test"):
        wells = screen.select(split, "treatment")
        plate = wells.groupby(["experiment", "plate"]).ngroup().to_numpy()
        vectors = random.standard_normal((len(wells), 8)) + 30 * np.eye(8)[plate % 8]
        files = embedding_files(tmp_path / MEMBER.folder, split)
        write_well_rows(files, {"embeddings": vectors.astype(np.float32)}, wells["id_code"], Record("embedding"))
    assert first_member(tmp_path) == MEMBER
    groups = learn_groups(screen)
    table = map_table(screen, tmp_path, MEMBER, groups, 40)
    assert len(table) == min(40, len(screen.select(kind="treatment")))
    known = table["split"] == "learnt from"
    assert (table["label"][known] != "").all() and (table["label"][~known] == "").all()
    assert set(table["group"][known]) <= {f"group {n}" for n in range(len(groups.sizes))}
    assert table[["x before", "y before", "x after", "y after"]].abs().max().max() == 1


def test_no_embeddings(tmp_path):
    with pytest.raises(UserError, match="no embeddings in folders like"):
        first_member(tmp_path)


def test_a_kept_map_is_the_map(small_screen, tmp_path, monkeypatch):
    screen, random = read_screen(small_screen), np.random.default_rng(0)
    wells = screen.select("train", "treatment")
    groups = learn_groups(screen)

    def write(vectors: np.ndarray) -> None:
        files = embedding_files(tmp_path / MEMBER.folder, "train")
        write_well_rows(files, {"embeddings": vectors}, wells["id_code"], Record("embedding"))

    vectors = random.standard_normal((len(wells), 8), np.float32)
    write(vectors)
    first = map_table(screen, tmp_path, MEMBER, groups, 12)
    with monkeypatch.context() as patch:
        patch.setattr("rcic.report.embedding_map.flat_map", None)
        pd.testing.assert_frame_equal(map_table(screen, tmp_path, MEMBER, groups, 12), first)
    assert len(map_table(screen, tmp_path, MEMBER, groups, 10)) == 10
    write(vectors[:, ::-1].copy() * np.arange(1, 9, dtype=np.float32))
    other = map_table(screen, tmp_path, MEMBER, groups, 12)
    assert other["id_code"].equals(first["id_code"]) and not other["x before"].equals(first["x before"])
