"""The identity of a plate's pixels: its own sites and images, in any order; and what differs, in words."""

import numpy as np
import pytest

from rcic.pixels.images.pixel_state import image_digest, origin_difference, pixel_difference, plate_digest

SITES = [("B02", 1), ("B02", 2), ("C03", 1)]


def images(seed: int = 0) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).integers(0, 256, (6, 4, 5), dtype=np.uint8))


def digests(pictures: list[np.ndarray]) -> np.ndarray:
    """Return the digests (3, 2) uint64 of six images."""
    return np.array([image_digest(picture) for picture in pictures], dtype=np.uint64).reshape(3, 2)


def state(files: str = "", pixels: str = "") -> dict[str, str]:
    return {"files": files and files * 16, "pixels": pixels and pixels * 16}


def test_an_image_is_its_pixels():
    image = images()[0]
    assert image_digest(image) == image_digest(image.copy(order="F")) == image_digest(np.vstack([image, image])[:4])
    changed = image.copy()
    changed[3, 4] ^= 1
    assert image_digest(changed) != image_digest(image) < 2**64


def test_a_plate_is_its_sites_whatever_their_order():
    known, order = digests(images()), [2, 0, 1]
    whole = plate_digest(SITES, known)
    assert len(whole) == 16 and whole == plate_digest([SITES[row] for row in order], known[order])


def test_another_pixel_site_or_channel_order_or_a_missing_image_is_another_plate():
    known = digests(images())
    other, missing = images(), known.copy()
    other[5] = other[5] ^ np.uint8(1)
    missing[0, 1] = 0
    tables = [known, digests(other), known[::-1], known[:, ::-1], missing, known[:, :1]]
    found = {plate_digest(SITES, table) for table in tables}
    found |= {plate_digest([*SITES[:2], ("C04", 1)], known), plate_digest(SITES[:2], known[:2])}
    assert len(found) == 8


@pytest.mark.parametrize(
    ("then", "now", "words"),
    [
        (state("a", "b"), state("a", "b"), ""),
        (state("a", "b"), state("c", "b"), ""),  # a copy in other files, packed or not
        (state("a", ""), state("a", "b"), ""),  # a full audit in the meantime
        (state("a", "b"), state("a", ""), ""),
        (state("a", "b"), state("a", "c"), "pixels HUVEC-01/Plate1 (changed since)"),
        (state("a", "b"), state("c", ""), "pixels HUVEC-01/Plate1 (changed since)"),
        (state("a", ""), state("c", "b"), "pixels HUVEC-01/Plate1 (changed since)"),
        (state("a", ""), state("", ""), "pixels HUVEC-01/Plate1 (some then, none now)"),
    ],
)
def test_pixels_decide_where_both_are_known_else_files(then, now, words):
    assert pixel_difference({"HUVEC-01/Plate1": then}, {"HUVEC-01/Plate1": now}) == words


def test_a_plate_that_came_or_went_is_named():
    one, two = {"A/Plate1": state("a")}, {"A/Plate1": state("a"), "B/Plate1": state("b")}
    assert pixel_difference(one, two) == "pixels (B/Plate1 now, not then)"
    assert pixel_difference(two, one) == "pixels (B/Plate1 then, not now)"


def test_only_what_there_is_now_is_compared():
    then = {"wells": {"A": "x"}, "pixels": {"A/Plate1": state("a", "b")}, "further": 1}
    assert origin_difference(then, {"wells": {"A": "x"}, "pixels": {"A/Plate1": state("c", "b")}}) == ""
    assert origin_difference(then, {"pixels": {"A/Plate1": state("c", "d")}}) == "pixels A/Plate1 (changed since)"
    assert origin_difference(then, {"wells": {"A": "y"}}) == "wells A ('x' then, 'y' now)"
    assert origin_difference({}, {"pixels": {"A/Plate1": state("a")}}) == "pixels (A/Plate1 now, not then)"
