"""Several patterns in one screen: each image from the first that has it, and no two images from one file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from rcic.errors import UserError
from rcic.pixels.audit.folder_state import folder_states
from rcic.pixels.images.all_sources import ImageSources
from rcic.pixels.images.complete import missing_images
from rcic.pixels.images.file_store import FileStore
from rcic.pixels.images.own_files import open_files
from rcic.pixels.images.sites import Site, site_table, sites_of
from rcic.screen.spec_files import shipped_spec
from rcic.screen.table import read_screen
from tests.pixels.own import PLATES, write_form, write_images, write_tiff

NEW, OLD = "new/{experiment}_{plate}_{well}_w{channel}.tif", "{plate}/{well}_w{channel}.tif"


def form(root: Path, *patterns: str, plates: Sequence[tuple[str, str]] = PLATES, **images: object) -> Path:
    return write_form(root, OLD, plates, images={"file": list(patterns), "bits": 16, "levels": [0, 4095], **images})


def names(root: Path) -> list[str]:
    screen = read_screen(root)
    store = open_files(screen)
    return [store.name(site, channel) for site in sites_of(site_table(screen.wells, (1,))) for channel in (1, 2)]


def test_each_image_has_the_first_pattern_with_a_match(tmp_path):
    root = write_images(form(tmp_path, NEW, OLD), "{plate}/{well}_w{c}.tif")
    write_tiff(root / "new/b1_P1_A01_w2.tif", 77)
    write_tiff(root / "new/b3_P3_A02_w1.tif", 78)
    assert [name for name in names(root) if name.startswith("new/")] == ["new/b1_P1_A01_w2.tif", "new/b3_P3_A02_w1.tif"]
    store, wells = open_files(read_screen(root)), read_screen(root).wells
    assert missing_images(store, wells) == []
    (root / "P2/A01_w1.tif").unlink()
    assert missing_images(store, wells) == ["new/b2_P2_A01_w1.tif"]  # as the first pattern would have it
    site = Site("train", "b1", 1, "A01", 1)
    assert store.read(site, [1, 2]).shape == (2, 32, 32)
    assert not np.array_equal(store.raw(site, 2), FileStore(root, form_of(root, OLD), {("b1", 1): "P1"}).raw(site, 2))


def form_of(root: Path, pattern: str):
    from dataclasses import replace

    spec = read_screen(root).spec
    return replace(spec, images=replace(spec.images, file=(pattern,)))


def test_the_order_of_the_patterns_counts(tmp_path):
    root = write_images(form(tmp_path, OLD, NEW), "{plate}/{well}_w{c}.tif")
    write_tiff(root / "new/b1_P1_A01_w2.tif", 77)
    assert not [name for name in names(root) if name.startswith("new/")]


def test_a_pattern_with_a_star_or_planes_may_stand_before_one_without(tmp_path):
    root = form(tmp_path, "{plate}/{well}_w{channel}_z{z}.tif", "{plate}/{well}_w{channel}*.tif", z="max")
    write_images(root, "{plate}/{well}_w{c}.tif")
    for z in (1, 2):
        write_tiff(root / f"P1/A01_w1_z{z}.tif", z)
    store, site = open_files(read_screen(root)), Site("train", "b1", 1, "A01", 1)
    assert store.name(site, 1) == "P1/A01_w1_z1.tif" and store.name(site, 2) == "P1/A01_w2.tif"
    assert store.read(site, [1, 2]).shape == (2, 32, 32)


def test_channels_of_one_file_beside_those_of_their_own(tmp_path):
    root = form(tmp_path, "{plate}/{well}.tif", OLD)
    write_tiff(root / "P1/A01.tif", 5, 2)
    write_tiff(root / "P1/A02_w1.tif", 6)
    write_tiff(root / "P1/A02_w2.tif", 7)
    store, first = open_files(read_screen(root)), Site("train", "b1", 1, "A01", 1)
    assert store.read(first, [2, 1]).shape == (2, 32, 32) and store.name(first, 2) == "P1/A01.tif"
    assert store.name(first._replace(well="A02"), 2) == "P1/A02_w2.tif"


def test_two_images_of_one_file_are_told_also_across_patterns(tmp_path):
    """Plate P2 of b2 has the file by the first pattern, experiment P2 by the second."""
    root = form(tmp_path, OLD, "{experiment}/{well}_w{channel}.tif", plates=(("b2", "P2"), ("P2", "Q"), ("b3", "P3")))
    write_images(root, "{plate}/{well}_w{c}.tif", (("b2", "P2"),))
    two = "of P2 plate Q well A01 site 1 channel 1 and of b2 plate P2 well A01 site 1 channel 1"
    with pytest.raises(UserError, match=rf"P2/A01_w1\.tif: by images\.file .* this is the image {two}; "):
        open_files(read_screen(root))


def test_no_file_for_any_pattern_is_one_line(tmp_path):
    root = form(tmp_path, "{plate}/{well}-{channel}.tif", "{plate}/{well}_{channel}.tif")
    write_images(root, "{plate}/{well}_w{c}.tif")
    with pytest.raises(
        UserError, match=r"no file fits images\.file '.*' or 1 other pattern: the image of b1 .* P1/A01-1"
    ):
        open_files(read_screen(root))


def test_a_plate_depends_on_the_folders_of_all_patterns(tmp_path):
    root = write_images(form(tmp_path, NEW, OLD), "{plate}/{well}_w{c}.tif")
    (root / "new").mkdir()
    assert [*folder_states(read_screen(root))] == ["new", "P1", "P2", "P3"]


def test_a_pattern_whose_folder_is_absent_costs_nothing(tmp_path, monkeypatch):
    """RxRx1 has two patterns and one of their folders: an image is found without a look at the disk."""
    (tmp_path / "train").mkdir()
    sources = ImageSources(tmp_path, shipped_spec("rcic"), {})
    assert len(sources.sources) == 1
    monkeypatch.setattr("rcic.pixels.images.folder_listing.listed_names", lambda path: pytest.fail(f"{path} is listed"))
    monkeypatch.setattr(Path, "stat", lambda path, **_: pytest.fail(f"{path} is looked at"))
    image = sources.find(Site("train", "HUVEC-01", 1, "B02", 1), 3)
    assert [plane.file for plane in image.planes] == ["train/HUVEC-01/Plate1/B02_s1_w3.png"]
