"""Grey levels of 8 to 16 bits, with a sign, packed, floating, in a palette: read as an independent reader does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
import yaml

from rcic.errors import UserError
from rcic.pixels.images.file_store import FileStore, grey
from rcic.pixels.images.image import BadImage, Planes, read_png
from rcic.pixels.images.levels import levels
from rcic.pixels.images.sites import Site
from rcic.pixels.images.tiff import read_tiff
from rcic.screen.spec import Channel, Images, ScreenSpec
from rcic.screen.spec_files import read_spec
from tests.pixels.own import FORM, PLATES, WELLS, write_form

RNG = np.random.default_rng(0)
SITE = Site("train", "b1", 1, "A01", 1)
SHAPE = (15, 21)


def noise(low: float, high: float, dtype: str) -> np.ndarray:
    return RNG.uniform(low, high, SHAPE).astype(dtype)


def spec_of(bits: int, bounds: tuple[float, float] | None) -> ScreenSpec:
    return ScreenSpec("mine", 96, (1,), (Channel("a"),), Images(("{well}.tif",), bits, bounds))


def write(root: Path, image: np.ndarray, **words: Any) -> Path:
    tifffile.imwrite(root / "A01.tif", image, **({"photometric": "minisblack", "metadata": None} | words))
    return root / "A01.tif"


@pytest.mark.parametrize(
    ("bits", "image", "bounds"),
    [
        (10, noise(0, 1024, "uint16"), (3, 1000)),
        (12, noise(0, 4096, "uint16"), (100, 4095)),
        (14, noise(0, 16384, "uint16"), (0, 16383)),
        (16, noise(0, 65536, "uint16"), (100, 60000)),
        (16, noise(-32768, 32768, "int16"), (-500, 12000)),
        (16, noise(-50, 50, "int16"), (-50, 50)),
        (32, noise(-2, 2, "float32"), (-1.5, 1.25)),
        (32, noise(0, 1e-6, "float32"), (0, 1e-6)),
    ],
)
def test_grey_levels_become_bytes(tmp_path, bits, image, bounds):
    write(tmp_path, image, compression="zlib" if bits != 14 else None)
    store = FileStore(tmp_path, spec_of(bits, bounds))
    raw = store.raw(SITE, 1)
    assert raw.dtype == image.dtype and np.array_equal(raw, image)
    wanted = [round(255 * min(max((float(v) - bounds[0]) / (bounds[1] - bounds[0]), 0), 1)) for v in image.ravel()]
    assert np.array_equal(store.read(SITE, [1])[0].ravel(), wanted)
    assert store.shape(SITE, 1) == SHAPE


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_a_level_above_the_range_is_an_error_that_says_so(tmp_path, bits):
    image = np.zeros(SHAPE, np.uint16)
    image[3, 4] = 2**bits
    path = write(tmp_path, image)
    words = rf"A01\.tif: a grey level is {2**bits}, but images\.bits is {bits}, for levels below {2**bits}"
    with pytest.raises(BadImage, match=words) as caught:
        FileStore(tmp_path, spec_of(bits, (0, 1000))).read(SITE, [1])
    assert caught.value.kind == "range"
    image[3, 4] -= 1
    write(tmp_path, image)
    assert read_tiff(path, Planes(1, bits)).max() == 2**bits - 1
    (tmp_path / "A01.png").write_bytes(cv2.imencode(".png", image)[1].tobytes())
    assert np.array_equal(read_png(tmp_path / "A01.png", Planes(1, bits))[0], image)
    image[0, 0] = 65535
    (tmp_path / "A01.png").write_bytes(cv2.imencode(".png", image)[1].tobytes())
    with pytest.raises(BadImage, match="a grey level is 65535"):
        read_png(tmp_path / "A01.png", Planes(1, bits))


def packed(image: np.ndarray, bits: int) -> bytes:
    """Return pixels of fewer than 16 bits side by side, each row beginning with a byte, as TIFF stores them."""
    rows = []
    for row in image.tolist():
        text = "".join(f"{value:0{bits}b}" for value in row)
        text += "0" * (-len(text) % 8)
        rows.append(bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8)))
    return b"".join(rows)


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_packed_pixels_are_unpacked(tmp_path, bits):
    """A TIFF whose pixels take 12 bits each; OpenCV scales them to 16 bits, tifffile does not."""
    image = noise(0, 2**bits, "uint16")
    data, path = packed(image, bits), tmp_path / "A01.tif"
    tags = [(256, 3, SHAPE[1]), (257, 3, SHAPE[0]), (258, 3, bits), (259, 3, 1), (262, 3, 1), (277, 3, 1)]
    tags += [(278, 3, SHAPE[0]), (279, 4, len(data))]
    start = 8 + 2 + 12 * (len(tags) + 1) + 4
    tags = sorted([*tags, (273, 4, start)])
    entries = b"".join(
        tag.to_bytes(2, "little") + kind.to_bytes(2, "little") + (1).to_bytes(4, "little") + value.to_bytes(4, "little")
        for tag, kind, value in tags
    )
    path.write_bytes(b"II*\0" + (8).to_bytes(4, "little") + len(tags).to_bytes(2, "little") + entries + bytes(4) + data)
    assert np.array_equal(read_tiff(path, Planes(1, bits))[0], image) and len(data) < 2 * image.size


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_an_error(tmp_path, value):
    image = noise(0, 1, "float32")
    image[2, 3:5] = value
    write(tmp_path, image)
    with pytest.raises(BadImage, match="2 of 315 pixels are not finite numbers") as caught:
        FileStore(tmp_path, spec_of(32, (0, 1))).read(SITE, [1])
    assert caught.value.kind == "nan"


@pytest.mark.parametrize(
    ("bits", "image"), [(16, noise(0, 1, "float32")), (32, noise(0, 9, "uint16")), (32, noise(0, 1, "float64"))]
)
def test_other_types_are_refused(tmp_path, bits, image):
    write(tmp_path, image)
    with pytest.raises(BadImage, match=f"pixels of {image.dtype}, but the screen spec has images.bits: {bits}"):
        FileStore(tmp_path, spec_of(bits, (0, 1))).read(SITE, [1])


RAMP = np.arange(256, dtype=np.uint16) * 257
PALETTES: dict[str, tuple[np.ndarray, bool]] = {
    "grey": (np.stack([RAMP] * 3), True),
    "darker greys": (np.stack([RAMP // 2] * 3), True),
    "shades of green": (np.stack([RAMP * 0, RAMP, RAMP * 0]), True),
    "inverted": (np.stack([RAMP[::-1]] * 3), False),
    "red to blue": (np.stack([RAMP, RAMP * 0, RAMP[::-1]]), False),
    "all alike": (np.stack([RAMP * 0 + 9] * 3), False),
    "saturated levels marked": (np.stack([RAMP, np.r_[RAMP[:-1], 0], np.r_[RAMP[:-1], 0]]).astype(np.uint16), False),
}


@pytest.mark.parametrize("name", PALETTES)
def test_a_palette_in_which_grey_levels_rise_is_read_as_its_indices(tmp_path, name):
    colours, is_read = PALETTES[name]
    image = noise(0, 256, "uint8")
    path = write(tmp_path, image, photometric="palette", colormap=colours)
    if is_read:
        assert np.array_equal(read_tiff(path, Planes(1, 8))[0], image)
    else:
        with pytest.raises(
            BadImage, match=r"has a palette whose colours do not become brighter step by step"
        ) as caught:
            read_tiff(path, Planes(1, 8))
        assert caught.value.kind == "channels"


def test_the_palette_of_a_real_plate_is_grey(shared_data):
    for path in sorted((shared_data / "sbs96").glob("Channel1-0*.tif")):
        assert np.array_equal(read_tiff(path, Planes(1, 8))[0], cv2.imread(str(path), cv2.IMREAD_COLOR)[..., 0])


@pytest.mark.parametrize(
    ("bits", "bounds", "reason"),
    [
        (12, (-5, 100), "must not be negative for 12 bits"),
        (8, (-5, 100), "must not be negative for 8 bits"),
        (32, None, "must be given for 32 bits"),
        (12, None, "must be given for 12 bits"),
        (16, (-5, 100), ""),
        (32, (-0.5, 0.5), ""),
    ],
)
def test_which_levels_a_screen_spec_may_have(tmp_path, bits, bounds, reason):
    images = {"file": ["{well}_{channel}.tif"], "bits": bits} | ({"levels": list(bounds)} if bounds else {})
    (tmp_path / "x.yml").write_text(yaml.safe_dump(FORM | {"images": images}))
    if not reason:
        assert read_spec(tmp_path / "x.yml").levels(1) == bounds
        return
    with pytest.raises(UserError, match=reason):
        read_spec(tmp_path / "x.yml")


def test_signed_and_unsigned_levels_are_one_line():
    assert grey(np.array([[-32768, -1, 0, 1, 32767]], np.int16), (-1, 1)).tolist() == [[0, 0, 128, 255, 255]]
    assert grey(np.array([[0, 1, 65535]], np.uint16), (0, 1)).tolist() == [[0, 255, 255]]


def measured(root: Path, image: Callable[[int], np.ndarray], bits: int) -> list[dict]:
    """Return the channels that ``levels`` prints for a screen of images of one kind."""
    write_form(root, "x", images={"file": ["{plate}_{well}_{channel}.tif"], "bits": bits})
    for _, plate in PLATES:
        for well in WELLS:
            for channel in (1, 2):
                path = root / f"{plate}_{well}_{channel}.tif"
                tifffile.imwrite(path, image(channel), photometric="minisblack", metadata=None)
    return yaml.safe_load(levels(root, 4))["channels"]


@pytest.mark.parametrize(
    ("bits", "dtype", "low", "high"),
    [
        (12, "uint16", 0, 4096),
        (16, "int16", -900, 3000),
        (32, "float32", -0.25, 0.75),
        (32, "float32", 1e4, 1e5),
        (8, "uint8", 3, 9),
    ],
)
def test_levels_are_measured_of_every_type(tmp_path, bits, dtype, low, high):
    found = measured(tmp_path, lambda _: noise(low, high, dtype), bits)
    for channel in found:
        below, above = channel["levels"]
        assert low <= below < above <= high * 1.01 and above - below > 0.8 * (high - low) - 1
    text = yaml.safe_load((tmp_path / "screen.yml").read_text()) | {"channels": found}
    (tmp_path / "screen.yml").write_text(yaml.safe_dump(text))
    assert read_spec(tmp_path / "screen.yml").levels(2) == tuple(found[1]["levels"])


def test_levels_of_an_image_of_one_value_are_levels(tmp_path):
    for bits, value in ((32, 0.5), (32, 0), (16, 7)):
        found = measured(
            tmp_path / str(value), lambda _, b=bits, v=value: np.full(SHAPE, v, "f4" if b == 32 else "u2"), bits
        )
        low, high = found[0]["levels"]
        assert low <= value < high


def test_the_printed_block_can_be_pasted_and_nothing_else_changes(case, tmp_path):
    root = case("levels_of_named_channels")
    block = levels(root, 3)
    before = yaml.safe_load((root / "screen.yml").read_text())
    text = yaml.safe_dump({key: value for key, value in before.items() if key != "channels"}) + block + "\n"
    (root / "screen.yml").write_text(text)
    after = yaml.safe_load(text)
    assert [{k: v for k, v in channel.items() if k != "levels"} for channel in after["channels"]] == before["channels"]
    assert {k: v for k, v in after.items() if k != "channels"} == {k: v for k, v in before.items() if k != "channels"}
    assert all(low < high for low, high in (channel.levels for channel in read_spec(root / "screen.yml").channels))
