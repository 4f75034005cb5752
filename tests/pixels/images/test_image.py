import cv2
import numpy as np
import pytest

from rcic.errors import UserError
from rcic.pixels.images.image import BadImage, Planes, png_shape, read_png, resize
from tests.pixels.planted import chunk, png

GREY = np.random.default_rng(0).integers(0, 256, (20, 30), dtype=np.uint8)


def encode(image: np.ndarray, kind: str = ".png") -> bytes:
    return cv2.imencode(kind, image)[1].tobytes()


WHOLE = encode(GREY)
FLIPPED = bytearray(WHOLE)
FLIPPED[len(WHOLE) // 2] ^= 1
TALL = png(bytes(31 * 10), width=30, height=20)  # 10 of 20 rows
BAD = {
    "empty": (b"", "the file is empty"),
    "one byte of a PNG": (WHOLE[:1], "cut off after 1 bytes"),
    "signature only": (WHOLE[:8], "cut off after 8 bytes"),
    "half": (WHOLE[: len(WHOLE) // 2], f"cut off after {len(WHOLE) // 2} bytes"),
    "no end mark": (WHOLE[:-12], "cut off"),
    "last byte gone": (WHOLE[:-1], "cut off"),
    "middle gone": (WHOLE[: len(WHOLE) // 2] + WHOLE[-12:], "cut off"),
    "one bit flipped": (bytes(FLIPPED), "wrong checksum"),
    "no header": (WHOLE[:8] + WHOLE[33:], "no header"),
    "more than its bytes can hold": (png(bytes(31), width=7_000, height=9_000), "cannot hold 9000 x 7000 pixels"),
    "a side too many": (
        png(bytes(31), width=30, height=2**31 - 1),
        "2147483647 x 30 pixels .*an image may have 64 million",
    ),
    "rows missing": (TALL, "cannot be decoded"),
    "no area": (png(b"", 0, 0), "cannot be decoded"),
    "16 bit": (encode(GREY.astype(np.uint16) * 257), "has 16 bits per pixel; an image must have 8"),
    "4 bit": (png(bytes(16 * 20), width=30, height=20, depth=4), "has 4 bits per pixel"),
    "colour": (encode(np.dstack([GREY] * 3)), "has 3 channels"),
    "alpha": (encode(np.dstack([GREY] * 4)), "has 4 channels"),
    "16-bit colour": (encode(np.dstack([GREY] * 3).astype(np.uint16)), "has 3 channels"),
    "palette": (png(bytes(31 * 20), 30, 20, colour=3), "has a colour palette"),
    "jpeg": (encode(GREY, ".jpg"), "is not a PNG"),
    "tiff": (encode(GREY, ".tiff"), "is not a PNG"),
    "text": (b"<html>404</html>", "is not a PNG"),
    "zeros": (bytes(500), "is not a PNG"),
}


def test_reads_the_pixels(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(WHOLE)
    image = read_png(path)
    assert image.dtype == np.uint8
    assert np.array_equal(image, GREY[None])
    assert np.array_equal(read_png(str(path)), image)


def test_reads_16_bits_and_the_three_planes_of_rgb(tmp_path):
    path = tmp_path / "a.png"
    deep, colours = (GREY.astype(np.uint16) * 257, np.stack([GREY, 255 - GREY, GREY // 2], axis=2))
    path.write_bytes(encode(deep))
    assert np.array_equal(read_png(path, Planes(1, 16)), deep[None])
    path.write_bytes(encode(colours))  # OpenCV writes blue first
    assert np.array_equal(read_png(path, Planes(3)), np.moveaxis(colours[..., ::-1], 2, 0))
    with pytest.raises(BadImage, match=r"has 8 bits per pixel; an image must have 16 .*images\.bits"):
        read_png(path, Planes(3, 16))
    with pytest.raises(BadImage, match=r"3 channels \(RGB\); an image must be one grey channel"):
        read_png(path)
    path.write_bytes(WHOLE)
    with pytest.raises(BadImage, match="one grey channel; an image of 3 channels must be RGB"):
        read_png(path, Planes(3))


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_named_with_its_reason(tmp_path, capfd, name):
    data, reason = BAD[name]
    path = tmp_path / "B02_s1_w3.png"
    path.write_bytes(data)
    with pytest.raises(UserError, match=reason) as caught:
        read_png(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    if "decoded" not in reason:  # those are found before the decoder could print anything
        assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kept", range(0, len(WHOLE), 7))
def test_no_beginning_of_a_file_passes_for_the_file(tmp_path, kept):
    path = tmp_path / "a.png"
    path.write_bytes(WHOLE[:kept])
    with pytest.raises(UserError, match=r"cut off|empty"):
        read_png(path)


def test_bytes_after_the_end_do_no_harm(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(WHOLE + b"trailing")
    assert np.array_equal(read_png(path)[0], GREY)


def test_a_transparent_grey_value_does_no_harm(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(WHOLE[:33] + chunk(b"tRNS", b"\0\1") + WHOLE[33:])
    assert np.array_equal(read_png(path)[0], GREY)


def test_missing_and_unreadable(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.png: no such image file"):
        read_png(tmp_path / "nowhere.png")
    with pytest.raises(UserError, match="the image is a folder, not a regular file"):
        read_png(tmp_path)


def test_an_error_tells_the_kind_and_the_reason_apart(tmp_path):
    path = tmp_path / "a.png"
    for data, kind in ((b"", "empty"), (WHOLE[:50], "truncated"), (TALL, "damaged"), (b"text", "not-png")):
        path.write_bytes(data)
        with pytest.raises(BadImage) as caught:
            read_png(path)
        assert caught.value.kind == kind and str(caught.value) == f"{path}: {caught.value.reason}"


def test_the_largest_image_is_read_and_a_larger_one_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("rcic.pixels.images.image.MOST_PIXELS", 600)
    path = tmp_path / "a.png"
    path.write_bytes(WHOLE)
    assert read_png(path).shape == (1, 20, 30)
    path.write_bytes(encode(np.zeros((20, 31), np.uint8)))
    for read in (read_png, png_shape):
        with pytest.raises(BadImage, match="says it has 20 x 31 pixels") as caught:
            read(path)
        assert caught.value.kind == "size"


def test_a_header_tells_the_shape(tmp_path):
    path = tmp_path / "a.png"
    for data in (WHOLE, WHOLE[:33], bytes(FLIPPED)):  # what comes after it is not looked at
        path.write_bytes(data)
        assert png_shape(path) == (20, 30)
    for end in (*range(33), 0):
        path.write_bytes(WHOLE[:end])
        with pytest.raises(BadImage) as caught:
            png_shape(path)
        assert caught.value.kind == ("truncated" if end else "empty")


def test_no_flipped_bit_of_a_header_passes(tmp_path):
    path = tmp_path / "a.png"
    for bit in range(8 * 33):
        data = bytearray(WHOLE)
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        with pytest.raises(BadImage) as caught:
            png_shape(path)
        assert caught.value.kind == ("not-png" if bit < 64 else "damaged")


def test_resize_keeps_what_fits_and_can_enlarge():
    def to(side: int) -> np.ndarray:
        image, out = np.arange(16, dtype=np.uint8).reshape(4, 4), np.zeros((side, side), np.uint8)
        resize(image, out)
        return out

    assert np.array_equal(to(4), np.arange(16).reshape(4, 4))
    assert np.array_equal(to(2), [[3, 5], [11, 13]])  # of 2.5, 4.5 ...
    assert to(8)[0, 0] == 0 and to(8)[-1, -1] == 15
