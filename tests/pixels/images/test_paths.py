"""Image files as a form describes them: where they are, what is in them, how grey levels become uint8."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from rcic.pixels.images.file_store import FileStore, grey
from rcic.pixels.images.image import BadImage
from rcic.pixels.images.paths import Paths
from rcic.pixels.images.sites import Site
from rcic.screen.spec import Channel, Images, ScreenSpec

SITE = Site("train", "b1", 1, "C04", 2)
TWO = (Channel("DNA", file="DAPI"), Channel("actin", file="Cy5"))
DEEP = np.random.default_rng(0).integers(0, 4096, (2, 9, 12)).astype(np.uint16)


def form_of(pattern: str, **images: object) -> ScreenSpec:
    return ScreenSpec("mine", 96, (1, 2), TWO, Images((pattern,), **images))


def write(path: Path, image: np.ndarray, **words: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".png":
        path.write_bytes(cv2.imencode(".png", image)[1].tobytes())
    else:
        tifffile.imwrite(path, image, **words)
    return path


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("{experiment}/{plate}/{well}_s{site}_{channel}.tif", "b1/P-7/C04_s2_Cy5.tif"),
        ("{plate}/r{row_number:02}c{column:02}f{site:03}-{channel}.tiff", "P-7/r03c04f002-Cy5.tiff"),
        ("{split}/{plate}_{row}{column}_{site}_{channel}.PNG", "train/P-7_C4_2_Cy5.PNG"),
    ],
)
def test_a_pattern_names_the_file(tmp_path, pattern, name):
    (tmp_path / name).parent.mkdir(parents=True)
    paths = Paths(tmp_path, form_of(pattern), {("b1", 1): "P-7"})
    assert paths.name(SITE, 2) == name
    assert not paths.exists(SITE, 2)
    assert paths.folders("train", "b1", 1) == [name.rpartition("/")[0]]


def test_a_star_stands_for_what_nobody_knows(tmp_path):
    images = {"C04_s2_w1": DEEP[0], "C04_s2_w2": DEEP[1], "C04_s1_w1": DEEP[1]}
    for name, image in images.items():
        write(tmp_path / "b1__2024-05-03" / f"{name}_{hash(name):x}.tif", image)
    channels = (Channel("DNA"), Channel("actin"))
    spec = replace(
        form_of("{experiment}__*/{well}_s{site}_w{channel}_*.tif", bits=16, levels=(0, 4095)), channels=channels
    )
    store = FileStore(tmp_path, spec)
    expected = grey(DEEP, (0, 4095))
    assert np.array_equal(store.read(SITE, [1, 2]), expected)
    again = write(tmp_path / "b1__2024-05-03" / "C04_s2_w1_again.tif", DEEP[0])
    with pytest.raises(BadImage, match="2 files match the pattern") as caught:
        FileStore(tmp_path, spec).read(SITE, [1])
    assert caught.value.kind == "ambiguous"
    again.unlink()
    with pytest.raises(BadImage, match=r"B01_s1_w1_\*\.tif: no such image file"):
        store.read(Site("train", "b1", 1, "B01", 1), [1])


def test_brackets_in_a_name_are_no_pattern(tmp_path):
    write(tmp_path / "b[1]" / "C04_s2_w1_x.tif", DEEP[0])
    channels = (Channel("DNA"), Channel("actin"))
    spec = replace(
        form_of("{experiment}/{well}_s{site}_w{channel}_*.tif", bits=16, levels=(0, 4095)), channels=channels
    )
    store = FileStore(tmp_path, spec)
    site = SITE._replace(experiment="b[1]")
    assert store.name(site, 1) == "b[1]/C04_s2_w1_x.tif" and store.read(site, [1]).shape == (1, 9, 12)


@pytest.mark.parametrize("axes", ["pages", "channels last", "one page"])
def test_a_file_of_all_channels(tmp_path, axes):
    image, words = {
        "pages": (DEEP, {"photometric": "minisblack"}),
        "channels last": (np.moveaxis(DEEP, 0, 2).copy(), {"photometric": "minisblack", "planarconfig": "contig"}),
        "one page": (DEEP, {"photometric": "minisblack", "planarconfig": "separate"}),
    }[axes]
    write(tmp_path / "b1/1/C04_2.tif", image, **words)
    store = FileStore(tmp_path, form_of("{experiment}/{plate}/{well}_{site}.tif", bits=16, levels=(0, 4095)))
    assert np.array_equal(store.read(SITE, [2, 1]), grey(DEEP[::-1], (0, 4095)))
    assert store.shape(SITE, 2) == (9, 12)
    assert store.raw(SITE, 2).dtype == np.uint16 and np.array_equal(store.raw(SITE, 2), DEEP[1])


def test_an_rgb_png_is_three_channels(tmp_path):
    image = np.random.default_rng(1).integers(0, 256, (5, 6, 3), np.uint8)
    write(tmp_path / "b1/C04_2.png", image[..., ::-1])  # OpenCV has blue first
    spec = replace(form_of("{experiment}/{well}_{site}.png"), channels=(*TWO, Channel("third")))
    assert np.array_equal(FileStore(tmp_path, spec).read(SITE, [1, 2, 3]), np.moveaxis(image, 2, 0))


def test_levels_are_a_straight_line_that_ends_at_both_ends():
    levels = np.array([[0, 100, 101, 2097, 4095, 65535]], np.uint16)
    assert grey(levels, (100, 4095)).tolist() == [[0, 0, 0, 127, 255, 255]]
    assert grey(np.array([[0, 50, 100]], np.uint8), (0, 100)).tolist() == [[0, 128, 255]]
    same = np.array([[3, 4]], np.uint8)
    assert grey(same, None) is same


@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
def test_compressed_tiffs_are_read(tmp_path, compression):
    for place, channel in enumerate(("DAPI", "Cy5")):
        write(tmp_path / f"b1/C04_2_{channel}.tif", DEEP[place], compression=compression)
    spec = form_of("{experiment}/{well}_{site}_{channel}.tif", bits=16, levels=(0, 4095))
    assert np.array_equal(FileStore(tmp_path, spec).read(SITE, [1, 2]), grey(DEEP, (0, 4095)))


def test_what_is_wrong_with_a_tiff_is_said(tmp_path):
    path = write(tmp_path / "b1/C04_2_DAPI.tif", DEEP[0])
    store = FileStore(tmp_path, form_of("{experiment}/{well}_{site}_{channel}.tif", bits=16, levels=(0, 4095)))
    whole = path.read_bytes()
    for data, kind, reason in (
        (whole[:-9], "truncated", "the TIFF is cut off after"),
        (whole[:6], "truncated", "the TIFF is cut off after 6 bytes"),
        (b"", "empty", "the file is empty"),
        (b"GIF89a" * 9, "not-tiff", "the file is not a TIFF"),
    ):
        path.write_bytes(data)
        for look in (store.raw, store.shape):
            with pytest.raises(BadImage, match=reason) as caught:
                look(SITE, 1)
            assert caught.value.kind == kind and str(caught.value).startswith(f"{path}: ")
    for image, kind, reason in (
        (DEEP[0].astype(np.uint8), "depth", "pixels of uint8, but the screen spec has images.bits: 16"),
        (DEEP[0].astype(np.float32), "depth", "pixels of float32"),
        (DEEP, "channels", "has 2 pages of 9 x 12 pixels, but 1 channel is expected"),
    ):
        write(path, image, photometric="minisblack")
        with pytest.raises(BadImage, match=reason) as caught:
            store.raw(SITE, 1)
        assert caught.value.kind == kind
    path.unlink()
    for look in (store.raw, store.shape):
        with pytest.raises(BadImage, match="no such image file"):
            look(SITE, 1)


def test_no_damaged_byte_of_a_tiff_is_a_traceback(tmp_path):
    path = write(tmp_path / "b1/C04_2_DAPI.tif", DEEP[0], compression="zlib")
    store = FileStore(tmp_path, form_of("{experiment}/{well}_{site}_{channel}.tif", bits=16, levels=(0, 4095)))
    whole, told = path.read_bytes(), 0
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        try:
            assert store.raw(SITE, 1).ndim == 2
        except BadImage as error:
            told += 1
            assert "\n" not in str(error)
    assert told > len(whole) / 3
