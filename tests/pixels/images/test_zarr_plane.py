"""Planes of Zarr arrays: every layout of chunks, and each defect by its name."""

import json

import numpy as np
import pytest
import zarr

from rcic.pixels.images.image import BadImage
from rcic.pixels.images.zarr_plane import read_zarr_plane, zarr_plane_facts

IMAGES = np.random.default_rng(0).integers(1, 60000, (3, 2, 20, 24)).astype(np.uint16)


def array_in(folder, chunks=(1, 1, 20, 24), zarr_format=3, images=IMAGES, **more):
    """Write an array; return its folder."""
    made = zarr.create_array(
        zarr.storage.LocalStore(folder),
        shape=images.shape,
        dtype=images.dtype,
        chunks=chunks,
        zarr_format=zarr_format,
        **more,
    )
    made[:] = images
    return folder


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("chunks", [(1, 1, 20, 24), (3, 2, 20, 24), (2, 1, 7, 9)])
def test_every_plane_in_any_chunks(tmp_path, zarr_format, chunks):
    folder = array_in(tmp_path / "0", chunks, zarr_format)
    for page in range(6):
        assert np.array_equal(read_zarr_plane(folder, page), IMAGES.reshape(6, 20, 24)[page])
    assert zarr_plane_facts(folder, 5) == ((20, 24), np.dtype(np.uint16))


def test_an_array_of_one_plane(tmp_path):
    folder = array_in(tmp_path / "0", (20, 24), images=IMAGES[0, 0])
    assert np.array_equal(read_zarr_plane(folder, 0), IMAGES[0, 0])
    assert np.array_equal(read_zarr_plane(folder, -1), IMAGES[0, 0])


def test_other_byte_orders_are_those_of_this_machine(tmp_path):
    plane = read_zarr_plane(array_in(tmp_path / "0", zarr_format=2, images=IMAGES.astype(">u2")), 1)
    assert plane.dtype == np.uint16 and np.array_equal(plane, IMAGES[0, 1])


def test_a_chunk_that_a_shard_leaves_out_is_black(tmp_path):
    images = IMAGES.copy()
    images[0, 1] = 0
    folder = array_in(tmp_path / "0", shards=IMAGES.shape, images=images)
    assert not read_zarr_plane(folder, 1).any()
    assert np.array_equal(read_zarr_plane(folder, 2), IMAGES[1, 0])


def test_an_array_that_was_written_anew_is_read_anew(tmp_path):
    folder = array_in(tmp_path / "0")
    read_zarr_plane(folder, 0)
    array_in(tmp_path / "0", overwrite=True, images=IMAGES[:, :, :10], chunks=(1, 1, 10, 24))
    assert np.array_equal(read_zarr_plane(folder, 0), IMAGES[0, 0, :10])


def defect(folder, page=0, read=read_zarr_plane):
    """Return the kind and the reason of a refusal."""
    with pytest.raises(BadImage) as caught:
        read(folder, page)
    assert str(caught.value).startswith(str(folder))
    return caught.value.kind, caught.value.reason


def test_a_plane_without_its_files_is_missing_and_never_black(tmp_path):
    folder = array_in(tmp_path / "0")
    (folder / "c/1/0/0/0").unlink()
    kind, reason = defect(folder, 2)
    assert kind == "missing" and "no file c/1/0/0/0" in reason
    assert np.array_equal(read_zarr_plane(folder, 3), IMAGES[1, 1])


def test_a_plane_without_some_of_its_files_is_refused(tmp_path):
    folder = array_in(tmp_path / "0", (1, 1, 10, 10))
    (folder / "c/0/1/1/2").unlink()
    assert defect(folder, 1)[0] == "truncated"
    assert "1 of 6 files of this plane are missing" in defect(folder, 1)[1]


@pytest.mark.parametrize("kept", [0, 10, -3])
def test_a_damaged_chunk_is_told(tmp_path, kept):
    folder = array_in(tmp_path / "0")
    path = folder / "c/0/0/0/0"
    path.write_bytes(path.read_bytes()[:kept])
    assert defect(folder)[0] == "damaged"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"zarr_format": 3, "node_type": "group"}'])
def test_damaged_metadata_are_told(tmp_path, text):
    folder = array_in(tmp_path / "0")
    (folder / "zarr.json").write_text(text)
    assert defect(folder)[0] == "damaged"
    assert defect(folder, read=zarr_plane_facts)[0] == "damaged"


def test_other_defects_have_their_names(tmp_path):
    assert defect(tmp_path / "none")[0] == "missing"
    (tmp_path / "pipe" / "zarr.json").mkdir(parents=True)
    assert defect(tmp_path / "pipe")[0] == "not-file"
    folder = array_in(tmp_path / "0")
    assert defect(folder, 6) == ("channels", "the array has 6 planes, but number 6 from 0 is expected")
    assert defect(folder, -1) == ("channels", "the array has 6 planes, but one is expected")
    content = json.loads((folder / "zarr.json").read_text())
    (folder / "zarr.json").write_text(json.dumps(content | {"shape": [3, 2, 20000, 24000]}))
    assert defect(folder, read=zarr_plane_facts)[0] == "size"
    assert defect(array_in(tmp_path / "1", (6,), images=np.arange(6)))[0] == "channels"
