import numpy as np
import pandas as pd
import pytest

from rcic.errors import UserError
from rcic.pixels.images.complete import check_complete, complete_sites, drop_incomplete, missing_images
from rcic.pixels.images.file_store import FileStore
from rcic.pixels.images.sites import Site, site_table
from tests.pixels.conftest import SIZE, pixels, write_png

B02 = Site("train", "HUVEC-01", 1, "B02", 1)


@pytest.mark.parametrize("layout", ["split", "images"])
def test_both_layouts_read_the_same(write_root, layout):
    store = FileStore(write_root(layout))
    image = store.read(B02, (1, 2, 3, 4, 5, 6))
    assert image.shape == (6, SIZE, SIZE)
    assert image.dtype == np.uint8
    assert np.array_equal(image, [pixels("HUVEC-01", "B02", 1, channel) for channel in range(1, 7)])


@pytest.mark.parametrize("channels", [(1,), (5, 1), (6, 5, 4, 3, 2, 1), (2, 4)])
def test_channels_come_in_the_order_asked_for(write_root, channels):
    store = FileStore(write_root())
    whole = store.read(B02, (1, 2, 3, 4, 5, 6))
    assert np.array_equal(store.read(B02, channels), whole[[channel - 1 for channel in channels]])


def test_a_channel_of_another_size_is_named(write_root):
    root = write_root()
    write_png(root / "train/HUVEC-01/Plate1/B02_s1_w4.png", np.zeros((SIZE, SIZE + 1), np.uint8))
    with pytest.raises(UserError, match=r"B02_s1_w4\.png: the image is 24 x 25 pixels .*, not 24 x 24"):
        FileStore(root).read(B02, (1, 4))


def test_a_root_without_images_is_refused(tmp_path):
    with pytest.raises(UserError, match="neither train/, test/ nor images/"):
        FileStore(tmp_path)
    with pytest.raises(UserError, match="no such folder"):
        FileStore(tmp_path / "nowhere")


def test_nothing_missing(write_root, wells):
    store = FileStore(write_root())
    assert missing_images(store, wells) == []
    assert check_complete(store, wells).equals(site_table(wells))
    kept, dropped = drop_incomplete(store, wells)
    assert kept.equals(site_table(wells))
    assert dropped.empty


def test_missing_files_are_counted_and_named(write_root, wells):
    root = write_root()
    gone = ["train/HUVEC-01/Plate1/C03_s2_w5.png", "test/HUVEC-03/Plate1/B02_s1_w1.png"]
    for name in gone:
        (root / name).unlink()
    store = FileStore(root)
    assert missing_images(store, wells) == gone
    assert missing_images(store, wells, channels=(5,)) == gone[:1]
    assert missing_images(store, wells, sites=(1,)) == gone[1:]
    with pytest.raises(UserError, match=rf"2 of 72 images are missing: {', '.join(gone)}; .*drop_incomplete"):
        check_complete(store, wells)


def test_ten_names_and_a_count_for_the_rest(write_root, wells):
    root = write_root()
    for path in (root / "train/RPE-02/Plate1").iterdir():
        path.unlink()
    (root / "train/RPE-02/Plate1").rmdir()  # a whole plate folder is absent
    with pytest.raises(UserError, match=r"24 of 72 images are missing: .* and 14 more; ") as caught:
        check_complete(FileStore(root), wells)
    assert str(caught.value).count(".png") == 10


def test_a_well_with_one_complete_site_stays(write_root, wells):
    root = write_root()
    (root / "train/RPE-02/Plate1/B02_s2_w6.png").unlink()
    for site in (1, 2):
        (root / f"test/HUVEC-03/Plate1/C03_s{site}_w1.png").unlink()
    store = FileStore(root)
    kept, dropped = drop_incomplete(store, wells)
    assert dropped["id_code"].tolist() == ["RPE-02_1_B02", "HUVEC-03_1_C03", "HUVEC-03_1_C03"]
    assert kept.loc[kept["id_code"] == "RPE-02_1_B02", "site"].tolist() == [1]
    assert kept.index.equals(pd.RangeIndex(9))
    assert complete_sites(store, kept, (1, 2, 3, 4, 5, 6)).all()
    assert len(drop_incomplete(store, wells, channels=(2, 3))[0]) == 12  # only what is used must be there
    with pytest.raises(UserError, match=r"none of 1 sites has all images of the channels \[1\]"):
        drop_incomplete(store, wells[wells["id_code"] == "HUVEC-03_1_C03"], sites=(1,), channels=(1,))


def test_an_image_may_come_at_a_size_and_into_a_place(write_root):
    store = FileStore(write_root())
    whole, small = store.read(B02, (2, 5)), store.read(B02, (2, 5), SIZE // 2)
    means = whole.astype(float).reshape(2, SIZE // 2, 2, SIZE // 2, 2).mean((2, 4))
    assert np.abs(small - means).max() <= 0.5
    out = np.zeros((3, 2, SIZE // 2, SIZE // 2), np.uint8)
    assert store.read(B02, (2, 5), SIZE // 2, out[1]) is not None
    assert np.array_equal(out[1], small) and not out[0].any() and not out[2].any()
    with pytest.raises(
        UserError, match=r"B02_s1_w2\.png: 24 x 24 pixels, but the first image is 12 x 12; set data\.size"
    ):
        store.read(B02, (2, 5), None, out[1])
