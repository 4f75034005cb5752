"""z planes and time points: chosen or projected, in files of one plane, in pages of a TIFF, and in an index."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from rcic.errors import UserError
from rcic.pixels.images.file_store import FileStore
from rcic.pixels.images.image import BadImage, Planes
from rcic.pixels.images.image_source import StoredImage, StoredPlane
from rcic.pixels.images.own_files import open_files
from rcic.pixels.images.plane_reader import read_planes
from rcic.pixels.images.projection import project
from rcic.pixels.images.sites import Site
from rcic.pixels.images.tiff import read_tiff, tiff_shape
from rcic.screen.spec import Channel, Images, ScreenSpec
from rcic.screen.table import read_screen
from tests.pixels.own import WELLS, write_form

SITE = Site("train", "b1", 1, "A01", 1)
STACK = np.random.default_rng(0).integers(0, 4096, (3, 16, 20)).astype(np.uint16)  # z, y, x
STACK[1, ::2] = 0  # the sharpest
GREY = {"photometric": "minisblack"}


def laplacian_variance(image: np.ndarray) -> float:
    """Return the variance of the Laplacian without OpenCV: borders are mirrored without their last pixel."""
    wide = np.pad(image.astype(np.float64), 1, mode="reflect")
    middle = wide[1:-1, 1:-1]
    return (wide[:-2, 1:-1] + wide[2:, 1:-1] + wide[1:-1, :-2] + wide[1:-1, 2:] - 4 * middle).var()


def expected(stack: np.ndarray, z: str | int) -> np.ndarray:
    """Return the projection of a stack (Z, H, W), written otherwise than in the package."""
    if isinstance(z, int):
        return stack[z - 1]
    if z == "sharpest":
        return stack[int(np.argmax([laplacian_variance(plane) for plane in stack]))]
    return stack.max(0) if z == "max" else np.array([round(v) for v in stack.mean(0).ravel()]).reshape(stack.shape[1:])


HOW = ["max", "mean", "sharpest", 2]


def spec_of(*patterns: str, channels: int = 1, **images: object) -> ScreenSpec:
    words = tuple(Channel(f"c{number}") for number in range(channels))
    return ScreenSpec("mine", 96, (1,), words, Images(patterns, **({"bits": 16, "levels": (0, 4095)} | images)))


def write(path: Path, image: np.ndarray, **words: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, image, **(GREY | words))
    return path


@pytest.mark.parametrize("z", HOW)
@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("{well}_z{z}_w{channel}.tif", "A01_z{z}_w1.tif"),
        ("p{z:02}/{well}-ch{channel}.tif", "p{z:02}/A01-ch1.tif"),
        ("ZStep_{z}/{well}_w{channel}*.tif", "ZStep_{z}/A01_w166923EBB-9960-4952-8955-D1721D112E{z:02}.tif"),
        ("*/{z}_{well}_{z}*w{channel}.tif", "x/{z}_A01_{z}_w1.tif"),
    ],
)
def test_files_of_one_plane_are_projected(tmp_path, pattern, name, z):
    for number, plane in enumerate(STACK, start=1):
        write(tmp_path / name.format(z=number), plane)
    store = FileStore(tmp_path, spec_of(pattern, z=z))
    assert np.array_equal(store.raw(SITE, 1), expected(STACK, z)) and store.raw(SITE, 1).dtype == np.uint16
    assert store.shape(SITE, 1) == (16, 20)
    assert store.name(SITE, 1) == name.format(z=2 if z == 2 else 1)


def test_z_ten_is_not_z_one(tmp_path):
    for number in (1, 2, 10):
        write(tmp_path / f"A01_z{number}.tif", np.full((4, 4), number, np.uint16))
    for z, value in ((1, 1), (10, 10), ("max", 10)):
        assert (FileStore(tmp_path, spec_of("{well}_z{z}.tif", z=z)).raw(SITE, 1) == value).all()
    for pattern in ("*{z}.tif", "{well}*z{z}.tif"):
        assert (FileStore(tmp_path, spec_of(pattern.replace("*{z}", "{well}_z*{z}"), z="max")).raw(SITE, 1) == 10).all()


def test_without_the_keys_several_planes_are_refused_with_axis_count_and_key(tmp_path):
    for z in (1, 2, 3):
        write(tmp_path / f"A01_z{z}.tif", STACK[z - 1])
        write(tmp_path / f"t{z}_A01.tif", STACK[z - 1])
    for pattern, words in (
        (
            "{well}_z{z}.tif",
            r"there are 3 z planes \(1, 2, 3\); set images\.z of the screen spec to max, mean, sharpest",
        ),
        (
            "t{time}_{well}.tif",
            r"there are 3 time points \(1, 2, 3\); set images\.time of the screen spec to the number",
        ),
    ):
        with pytest.raises(BadImage, match=words) as caught:
            FileStore(tmp_path, spec_of(pattern)).read(SITE, [1])
        assert caught.value.kind == "ambiguous"
    assert np.array_equal(FileStore(tmp_path, spec_of("t{time}_{well}.tif", time=2)).raw(SITE, 1), STACK[1])
    with pytest.raises(BadImage, match=r"t7_A01\.tif: no such image file"):
        FileStore(tmp_path, spec_of("t{time}_{well}.tif", time=7)).read(SITE, [1])


def test_one_plane_needs_no_key(tmp_path):
    write(tmp_path / "A01_z5_t2.tif", STACK[0])
    for z in (None, "max", "mean", "sharpest", 5):
        assert np.array_equal(FileStore(tmp_path, spec_of("{well}_z{z}_t{time}.tif", z=z)).raw(SITE, 1), STACK[0])


def test_two_files_for_one_plane_are_ambiguous(tmp_path):
    for name in ("A01_z1_a", "A01_z1_b", "A01_z2_a"):
        write(tmp_path / f"{name}.tif", STACK[0])
    with pytest.raises(BadImage, match=r"3 files match the pattern .*; there must be one"):
        FileStore(tmp_path, spec_of("{well}_z{z}_*.tif", z="max")).read(SITE, [1])


def test_planes_of_different_sizes_are_refused(tmp_path):
    write(tmp_path / "A01_z1.tif", STACK[0])
    write(tmp_path / "A01_z2.tif", STACK[1, :10])
    for look in ("raw", "shape"):
        with pytest.raises(BadImage, match=r"A01_z2\.tif: the z plane is 10 x 20 pixels .*, not 16 x 20") as caught:
            getattr(FileStore(tmp_path, spec_of("{well}_z{z}.tif", z="mean")), look)(SITE, 1)
        assert caught.value.kind == "size"


def test_files_of_all_channels_are_projected_channel_by_channel(tmp_path):
    both = np.stack([STACK, STACK[::-1] // 2], axis=1)  # z, c, y, x
    for z in range(3):
        write(tmp_path / f"A01_z{z}.tif", both[z])
    for z in ("max", "mean", "sharpest"):
        store = FileStore(tmp_path, spec_of("{well}_z{z}.tif", channels=2, z=z))
        assert np.array_equal(store.raw(SITE, 2), expected(both[:, 1], z))


PAGES: dict[str, tuple[Callable[[Path], None], int]] = {  # writer of z planes (of two channels), channels
    "axes ZYX": (lambda path: write(path, STACK, metadata={"axes": "ZYX"}), 1),
    "ImageJ": (lambda path: write(path, STACK, imagej=True, metadata={"axes": "ZYX"}), 1),
    "OME": (lambda path: write(path, STACK, ome=True, metadata={"axes": "ZYX"}), 1),
    "no word of an axis": (lambda path: write(path, STACK, metadata=None), 1),
    "ImageJ, channels inside": (
        lambda path: write(path, np.stack([STACK, STACK[::-1]], 1), imagej=True, metadata={"axes": "ZCYX"}),
        2,
    ),
    "OME, channels outside": (
        lambda path: write(path, np.stack([STACK, STACK[::-1]]), ome=True, metadata={"axes": "CZYX"}),
        2,
    ),
}


@pytest.mark.parametrize("z", HOW)
@pytest.mark.parametrize("name", PAGES)
def test_pages_of_a_tiff_are_projected(tmp_path, name, z):
    writer, n = PAGES[name]
    path = tmp_path / ("a.ome.tif" if name.startswith("OME") else "a.tif")
    writer(path)
    found = read_tiff(path, Planes(n, 16, z))
    assert np.array_equal(found[0], expected(STACK, z)) and found.shape == (n, 16, 20)
    assert n == 1 or np.array_equal(found[1], expected(STACK[::-1], z))
    assert tiff_shape(path, Planes(n, 16, z)) == (16, 20)
    words = r"z planes.*; set images\.z of the screen spec to max, mean, sharpest or"
    if name == "no word of an axis":
        words = r"has 3 pages of 16 x 20 pixels, but 1 channel is expected; if they are z planes .*, set images\.z or"
    with pytest.raises(BadImage, match=words):
        read_tiff(path, Planes(n, 16))
    with pytest.raises(BadImage, match="there is no z plane 4, but 1, 2, 3"):
        read_tiff(path, Planes(n, 16, 4))


def test_time_points_and_z_planes_of_one_tiff(tmp_path):
    times = np.stack([STACK, STACK // 2])  # t, z, y, x
    path = write(tmp_path / "a.tif", times, imagej=True, metadata={"axes": "TZYX"})
    assert np.array_equal(read_tiff(path, Planes(1, 16, "max", 2))[0], (STACK // 2).max(0))
    for wanted, words in (
        (Planes(1, 16), "set images.time"),
        (Planes(1, 16, "max"), "set images.time"),
        (Planes(1, 16, None, 1), "set images.z"),
    ):
        with pytest.raises(BadImage) as caught:
            read_tiff(path, wanted)
        assert words in str(caught.value)
    with pytest.raises(BadImage, match="there is no time point 3, but 1, 2"):
        read_tiff(path, Planes(1, 16, "max", 3))
    alone = write(tmp_path / "b.tif", STACK, metadata=None)
    assert np.array_equal(read_tiff(alone, Planes(1, 16, None, 3))[0], STACK[2])


def test_channels_are_never_projected(tmp_path):
    """A file of three channels where one is expected stays refused, whatever z says."""
    path = write(tmp_path / "a.tif", STACK, imagej=True, metadata={"axes": "CYX"})
    for z, words in (("max", "has 3 pages of 16 x 20 pixels, but 1 channel is expected"), (2, "no z plane 2, but 1")):
        with pytest.raises(BadImage, match=words):
            read_tiff(path, Planes(1, 16, z))
    assert np.array_equal(read_tiff(path, Planes(3, 16, "max")), STACK)


def test_a_png_is_one_plane(tmp_path):
    import cv2

    (tmp_path / "A01.png").write_bytes(cv2.imencode(".png", STACK[0])[1].tobytes())
    assert np.array_equal(FileStore(tmp_path, spec_of("{well}.png", z="max")).raw(SITE, 1), STACK[0])
    with pytest.raises(BadImage, match="there is no z plane 2: a PNG is one"):
        FileStore(tmp_path, spec_of("{well}.png", z=2)).raw(SITE, 1)


def test_the_mean_rounds_halves_to_even_and_keeps_the_type():
    stack = np.array([[[0, 1, 2, 65535]], [[1, 2, 3, 65534]]], np.uint16)
    assert project(iter(stack), "mean").tolist() == [[0, 2, 2, 65534]]
    signed = np.array([[[-3]], [[-2]]], np.int16)
    assert project(iter(signed), "mean").tolist() == [[-2]] and project(iter(signed), "max").dtype == np.int16
    assert project(iter(stack.astype(np.float32)), "mean").tolist() == [[0.5, 1.5, 2.5, 65534.5]]


def test_of_two_planes_as_sharp_the_lower_is_taken(tmp_path):
    planes = np.stack([STACK[0], STACK[1], STACK[1] + 7])  # the last is as sharp as the second
    assert np.array_equal(project(iter(planes), "sharpest"), planes[1])
    assert np.array_equal(project(iter(np.stack([planes, planes], 1)), "sharpest"), planes[[1, 1]])


def test_pages_that_an_index_names_are_projected(tmp_path):
    write(tmp_path / "a.tif", STACK, metadata=None)
    planes = tuple(StoredPlane("a.tif", page, page + 1) for page in range(3))
    assert np.array_equal(read_planes(tmp_path, StoredImage(planes, Planes(1, 16), "max"))[0], STACK.max(0))
    with pytest.raises(BadImage, match="there is no page 3: the TIFF has 3 pages"):
        read_planes(tmp_path, StoredImage((StoredPlane("a.tif", 3),), Planes(1, 16)))


def test_a_screen_of_stacks_through_its_tables(tmp_path):
    """The case of z planes taken for channels, with the key that the message names."""
    root = write_form(
        tmp_path, "{plate}_{well}.tif", images={"file": ["{plate}_{well}_z{z:02}_{channel}.tif"], "z": "max"}
    )
    for plate in ("P1", "P2", "P3"):
        for well in WELLS:
            for z in (1, 2):
                for channel in (1, 2):
                    image = np.full((8, 8), 10 * z + channel, np.uint8)
                    image[0, 0] = 0
                    write(root / f"{plate}_{well}_z{z:02}_{channel}.tif", image)
    store, screen = open_files(read_screen(root)), read_screen(root)
    site = Site("train", "b1", 1, "A02", 1)
    assert store.read(site, [1, 2]).max((1, 2)).tolist() == [21, 22]
    images = screen.identity.images()
    assert images["z"] == "max" and "time" not in images
    other = replace(screen, spec=replace(screen.spec, images=replace(screen.spec.images, z=2, time=1)))
    assert other.identity.images() == images | {"z": 2, "time": 1}
    for images in ({"z": "median"}, {"time": "max"}):
        write_form(root, "{plate}_{well}_z{z:02}_{channel}.tif", images={"file": ["{well}.tif"], **images})
        with pytest.raises(UserError, match=r"screen\.yml, line \d+: images\.(z|time) is '(median|max)', must be "):
            read_screen(root)
