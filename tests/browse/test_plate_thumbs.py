"""Small images and the contrast of a plate: what they show, and that each is made once."""

import cv2
import numpy as np
import pytest

from rcic.browse.plate_thumbs import PlateImages, contrast_limits, small_sides, spread_evenly
from rcic.pixels.images.sites import Site
from rcic.pixels.packed.open_store import open_store
from rcic.pixels.packed.pack_screen import pack
from rcic.screen.table import read_screen
from tests.screen.one_plate import BATCH, PLATE, write_images, write_plate

SITE = Site("train", BATCH, 1, "A02", 1)
PLACE = {"experiment": BATCH, "plate": 1, "well": "A02"}


@pytest.fixture
def root(tmp_path):
    write_images(root := write_plate(tmp_path / "screen", controls=True))
    return root


@pytest.fixture
def counted(root, monkeypatch):
    """Return small images of the plate, and a list of the reads that they cost."""
    store, reads = open_store(read_screen(root)), []
    read = store.read

    def counting(site, channels, *more, **named):
        reads.append((site.well, tuple(channels)))
        return read(site, channels, *more, **named)

    monkeypatch.setattr(store, "read", counting)
    return PlateImages(store), reads


def test_the_channels_lie_one_below_the_other(root, counted):
    images, reads = counted
    picture = cv2.imdecode(np.frombuffer(images.thumb(SITE, 16).png, np.uint8), cv2.IMREAD_UNCHANGED)
    files = [cv2.imread(str(root / "images" / PLATE / f"A02_s1_w{n}.png"), 0) for n in (1, 2)]
    wanted = np.concatenate([cv2.resize(image, (16, 16), interpolation=cv2.INTER_AREA) for image in files])
    np.testing.assert_array_equal(picture, wanted)
    assert images.thumb(SITE, 16) is images.thumb(SITE, 16) and reads == [("A02", (1, 2))]


def test_a_channel_without_an_image_is_black_and_named(root, counted):
    (root / "images" / PLATE / "A02_s1_w1.png").unlink()
    thumb = counted[0].thumb(SITE, 16)
    picture = cv2.imdecode(np.frombuffer(thumb.png, np.uint8), cv2.IMREAD_UNCHANGED)
    assert thumb.absent == (1,) and not picture[:16].any() and picture[16:].any()
    (root / "images" / PLATE / "A02_s1_w2.png").unlink()
    assert counted[0].thumb(SITE, 32).absent == (1, 2)


def test_old_images_make_room(counted, monkeypatch):
    from rcic.browse import plate_thumbs

    monkeypatch.setattr(plate_thumbs, "_MOST_BYTES", 3000)
    images, reads = counted
    for well in ("A01", "A02", "A03", "A04", "A01"):
        images.thumb(SITE._replace(well=well), 32)
    assert [well for well, _ in reads].count("A01") == 2


def test_one_contrast_for_the_plate_measured_once(counted):
    images, reads = counted
    sites = [SITE._replace(well=f"A{n:02}") for n in range(1, 9)]
    limits = images.limits((BATCH, 1), sites)
    assert limits == images.limits((BATCH, 1), sites) and len(reads) == 8
    assert set(limits) == {1, 2} and all(0 <= black < 10 and 70 < white < 100 for black, white in limits.values())


def test_a_contrast_leaves_out_what_cannot_be_read(root, counted):
    for n in range(1, 9):
        (root / "images" / PLATE / f"A{n:02}_s1_w1.png").unlink()
    assert set(counted[0].limits((BATCH, 1), [SITE])) == {2}


def test_the_points_clip_few_pixels():
    counts = np.zeros(256, np.int64)
    counts[[0, 10, 200, 255]] = 10, 500, 489, 1
    assert contrast_limits(counts) == (10, 200)
    flat = np.zeros(256, np.int64)
    flat[255] = 9
    assert contrast_limits(flat) == (254, 255)


def test_sizes_and_samples():
    assert small_sides((100, 200), 50) == (25, 50) and small_sides((10, 10), 50) == (10, 10)
    assert small_sides((1, 1000), 16) == (1, 16)
    sites = [SITE._replace(well=f"A{n:02}") for n in range(1, 9)]
    assert [site.well for site in spread_evenly(sites, 3)] == ["A01", "A05", "A08"]
    assert spread_evenly(sites, 20) == sites


def test_packed_images_of_a_smaller_size_are_read(root, tmp_path):
    write_images(root, side=64)
    pack(root, tmp_path / "packed", (32,), threads=1, verify=False)
    images = PlateImages(open_store(read_screen(tmp_path / "packed")))
    plain = PlateImages(open_store(read_screen(root)))
    small, large = (cv2.imdecode(np.frombuffer(one.thumb(SITE, 16).png, np.uint8), 0) for one in (images, plain))
    assert small.shape == large.shape == (32, 16) and np.abs(small.astype(int) - large).max() <= 2


def test_what_the_page_asks_for(client, root):
    app = client(root)
    answer = app.get("/thumb", params=PLACE | {"site": 1, "size": 16})
    assert (answer.headers["content-type"], answer.headers["absent-channels"]) == ("image/png", "")
    assert set(app.get("/api/contrast", params=PLACE).json()["limits"]) == {"1", "2"}
    for change, code in (({"site": 2}, 404), ({"size": 8}, 400), ({"size": 999}, 400), ({"well": "H12"}, 404)):
        assert app.get("/thumb", params=PLACE | {"site": 1, "size": 16} | change).status_code == code
    assert app.get("/api/contrast", params=PLACE | {"plate": 9}).status_code == 404
    assert app.get("/image", params=PLACE | {"site": 1, "channel": 1, "size": 16}).headers["full-width"] == "32"


def test_a_well_and_its_control(client, root):
    app = client(root)
    controls = app.get("/api/well", params=PLACE).json()["controls"]
    assert [(other["well"], other["type"]) for other in controls] == [("A04", "negative_control")]
    own = app.get("/api/well", params=PLACE | {"well": "A04"}).json()["controls"]
    assert [other["well"] for other in own] == ["A08"]  # not itself


def test_facts_of_a_screen_unlike_rxrx1(client, tmp_path):
    write_images(root := write_plate(tmp_path / "strip"))
    told = client(root).get("/api/screen").json()
    area = {name: told[name] for name in ("row", "column", "rows", "columns")}
    assert area == {"row": 0, "column": 0, "rows": 1, "columns": 12}
    assert (told["label"], told["pixel_um"], told["has_tests"], told["cell_types"]) == ("compound", 0.5, False, 1)
