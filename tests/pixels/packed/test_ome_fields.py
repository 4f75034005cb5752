"""Packing as OME-Zarr plates: a data root like any other, and plates that other readers of the standard open."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zarr

from rcic.check.verdicts import check_results
from rcic.errors import UserError
from rcic.instruments.ome_zarr_plate import read_ome_zarr_plate
from rcic.launch.shards import Shard
from rcic.pixels.audit.audit_screen import audit
from rcic.pixels.audit.findings import read_audit
from rcic.pixels.images.file_store import FileStore
from rcic.pixels.images.image import BadImage
from rcic.pixels.images.sites import Site, site_table, sites_of
from rcic.pixels.images.store import Store
from rcic.pixels.images.zarr_plane import read_zarr_plane
from rcic.pixels.packed.manifest import MARK, OME_ZARR, Manifest
from rcic.pixels.packed.ome_fields import image_metadata
from rcic.pixels.packed.open_store import open_store
from rcic.pixels.packed.pack_screen import BEGUN_FILE, LEFT_OUT, pack, pack_shard
from rcic.pixels.packed.packed_store import IMAGES, PLATES, PackedStore
from rcic.screen.plate import CHANNELS
from rcic.screen.spec_files import shipped_spec
from rcic.screen.table import read_screen
from tests.pixels.own import write_form, write_images, write_tiff

PATTERN = "{experiment}/{plate}/{well}_w{channel}.tif"


@pytest.fixture(scope="module")
def packed(small_screen, tmp_path_factory) -> Path:
    """Return the small screen packed as OME-Zarr. Read only."""
    out = tmp_path_factory.mktemp("packed") / "screen"
    pack(small_screen, out, (), threads=2, verify=True, form=OME_ZARR)
    return out


@pytest.fixture
def own(tmp_path) -> Path:
    """Return the folder of an own screen of named plates, packed as OME-Zarr, without one image; see `left`."""
    root = write_images(write_form(tmp_path / "own", PATTERN), "{batch}/{plate}/{well}_w{c}.tif")
    (root / "b1/P1/A02_w2.tif").unlink()
    for channel in (1, 2):
        (root / f"b2/P2/A01_w{channel}.tif").unlink()
    pack(root, tmp_path / "out", (), threads=2, verify=True, form=OME_ZARR)
    return tmp_path / "out"


def files_of(root: Path) -> dict[Path, bytes]:
    """Return the bytes of every file below a folder."""
    return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def equal(one: Store, other: Store, sites: list[Site], channels: tuple[int, ...], size: int | None = None) -> bool:
    """Whether two stores have the same images."""
    return all(np.array_equal(one.read(site, channels, size), other.read(site, channels, size)) for site in sites)


def test_it_is_a_data_root_with_the_same_images(small_screen, packed):
    screen = read_screen(packed)
    assert screen.fingerprint() == read_screen(small_screen).fingerprint()
    store, files = open_store(screen), FileStore(small_screen)
    assert isinstance(store, PackedStore) and Manifest.read(packed).format == OME_ZARR
    assert not store.coding(None) and not (packed / IMAGES).exists()
    sites = sites_of(site_table(screen.wells, screen.spec.sites))
    assert equal(store, files, sites, CHANNELS)
    assert equal(store, files, sites[:20], (5, 2), 24)
    assert store.shape(sites[0], 1) == files.shape(sites[0], 1)


def test_its_identity_is_that_of_the_files(small_screen, packed, tmp_path):
    pack(small_screen, tmp_path / "plain", (), threads=2, verify=False)
    one, other = Manifest.read(packed), Manifest.read(tmp_path / "plain")
    assert one.plates == other.plates and one.arrays.keys() == other.arrays.keys()
    assert json.loads((packed / MARK).read_text().rpartition("\nsha256")[0])["version"] == 3


def test_the_audit_reads_it(packed, tmp_path):
    audit(packed, tmp_path / "audit", "full", "stop", 2)
    assert read_audit(tmp_path / "audit", read_screen(packed)).findings.empty


def test_the_plates_are_read_like_those_of_other_programs(small_screen, packed):
    screen, files = read_screen(packed), FileStore(small_screen)
    index = next((packed / PLATES).glob("*/*.ome.zarr"))
    found = read_ome_zarr_plate(packed, index.relative_to(packed).as_posix())
    rows = screen.wells[screen.wells["experiment"] == index.parent.name]
    rows = rows[rows["plate"] == int(found.planes["plate"].iloc[0])]
    assert {*found.planes["well"]} == {*rows["well"]} and (found.n_wells, found.bits) == (384, 8)
    assert [channel.name for channel in found.channels] == [channel.name for channel in screen.spec.channels]
    assert [channel.colour for channel in found.channels] == [c.colour.lower() for c in screen.spec.channels]
    assert found.notes == () and len(found.planes) == len(rows) * 2 * 6
    words = {channel.word: number for number, channel in enumerate(found.channels, start=1)}
    sites = {(site.well, str(site.site)): site for site in sites_of(site_table(rows, screen.spec.sites))}
    for plane in found.planes[::17].itertuples():
        expected = files.read(sites[plane.well, plane.site], [words[plane.channel]])[0]
        assert np.array_equal(read_zarr_plane(packed / plane.file, plane.page), expected)


def test_windows_show_what_the_plate_has(small_screen, packed):
    index = next((packed / PLATES).glob("*/*.ome.zarr"))
    found = read_ome_zarr_plate(packed, index.relative_to(packed).as_posix())
    arrays = [zarr.open_array(path.parent, mode="r") for path in index.glob("*/*/*/0/zarr.json")]
    for number, channel in enumerate(found.channels):
        levels = np.concatenate([array[number].ravel() for array in arrays])
        assert channel.window == pytest.approx(
            np.percentile(levels, (0.1, 99.9)), abs=12
        )  # of a sixteenth of the pixels


def test_every_folder_above_an_array_is_a_group(packed):
    for plate in (packed / PLATES).glob("*/*.ome.zarr"):
        members = dict(zarr.open_group(plate, mode="r").members(max_depth=None))
        arrays = [name for name, node in members.items() if isinstance(node, zarr.Array)]
        assert len(arrays) > 5 and all(members[name.split("/")[0]].attrs.asdict() == {} for name in arrays)
        assert len(members) == len({part for name in arrays for part in [name, *map(str, Path(name).parents)]}) - 1


def test_its_codecs_are_those_of_the_standard(packed):
    facts = json.loads(next((packed / PLATES).glob("*/*.ome.zarr/*/*/1/0/zarr.json")).read_text())
    (sharding,) = facts["codecs"]
    assert sharding["name"] == "sharding_indexed"
    names = [codec["name"] for kind in ("codecs", "index_codecs") for codec in sharding["configuration"][kind]]
    assert {*names} <= {"bytes", "zstd", "crc32c"} and "crc32c" in names
    assert facts["dimension_names"] == ["c", "y", "x"]


def test_the_pixel_size_is_written_with_its_unit():
    spec = shipped_spec("rcic")
    for pixel_um, unit in ((0.65, {"unit": "micrometer"}), (None, {})):
        sized = replace(spec, images=replace(spec.images, pixel_um=pixel_um))
        (multiscale,) = image_metadata(sized, [(0, 9)] * 6)["multiscales"]
        assert multiscale["axes"][2] == {"name": "x", "type": "space", **unit}
        side = pixel_um or 1.0
        assert multiscale["datasets"][0]["coordinateTransformations"][0]["scale"] == [1.0, side, side]


def test_it_says_what_its_pixels_are(own):
    facts = json.loads((own / PLATES / "b1/PlateP1.ome.zarr/zarr.json").read_text())["attributes"]
    assert facts["ome"]["plate"]["name"] == "P1" and len(facts["ome"]["plate"]["columns"]) == 12
    assert facts["rcic"]["levels"] == [[0, 4095], [0, 4095]] and "became 0 and 255" in facts["rcic"]["pixels"]


def test_what_could_not_be_used_is_left_out(own):
    assert [line.split(",")[0] for line in (own / LEFT_OUT).read_text().splitlines()] == [
        "image",
        "b1/PlateP1/A02_s1_w2.png",
        "b2/PlateP2/A01_s1_w1.png",
        "b2/PlateP2/A01_s1_w2.png",
    ]
    screen = read_screen(own)
    store = open_store(screen)
    site = next(site for site in sites_of(site_table(screen.wells, (1,))) if (site.plate, site.well) == (1, "A02"))
    assert store.read(site, [1]).any()
    with pytest.raises(BadImage, match="left out when the screen was packed"):
        store.read(site, [1, 2])
    listed = read_ome_zarr_plate(own, "plates/b2/PlateP2.ome.zarr")
    assert {*listed.planes["well"]} == {"A02"}  # a site without any image is no field


def test_an_image_that_can_be_used_now_is_packed_again(own, tmp_path):
    write_tiff(tmp_path / "own/b1/P1/A02_w2.tif", 99)
    pack(tmp_path / "own", own, (), threads=1, verify=True, form=OME_ZARR)
    assert "b1/" not in (own / LEFT_OUT).read_text()


def site_file(packed: Path, tmp_path: Path) -> tuple[PackedStore, Site, Path]:
    """Return the store of a copy, a site, and the file with its pixels."""
    shutil.copytree(packed, tmp_path / "copy")
    screen = read_screen(tmp_path / "copy")
    site = sites_of(site_table(screen.wells, (2,)))[0]
    folder = tmp_path / "copy" / PLATES / site.experiment / f"Plate{site.plate}.ome.zarr"
    return PackedStore(tmp_path / "copy"), site, folder / site.well[0] / site.well[1:] / "2/0/c/0/0/0"


def test_every_flipped_bit_is_noticed(packed, tmp_path):
    store, site, path = site_file(packed, tmp_path)
    content = path.read_bytes()
    for place in np.random.default_rng(0).integers(0, 8 * len(content), 60).tolist():
        flipped = bytearray(content)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(flipped)
        with pytest.raises(BadImage) as caught:
            PackedStore(store.root).read(site, CHANNELS)
        assert caught.value.kind == "damaged"


@pytest.mark.parametrize("kept", [0, 60, -1])
def test_a_file_that_is_cut_off_is_noticed_without_its_pixels(packed, tmp_path, kept):
    store, site, path = site_file(packed, tmp_path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(BadImage) as caught:
        store.shape(site, 1)
    assert caught.value.kind == "damaged" and str(path) in str(caught.value)


def test_a_site_that_was_not_copied_is_missing(packed, tmp_path):
    store, site, path = site_file(packed, tmp_path)
    path.unlink()
    for read in (lambda: store.read(site, [1]), lambda: store.shape(site, 1)):
        with pytest.raises(BadImage) as caught:
            read()
        assert caught.value.kind == "missing"


def test_a_plate_s_changed_metadata_are_noticed(packed, tmp_path):
    store, site, path = site_file(packed, tmp_path)
    metadata = path.parents[7] / "zarr.json"
    metadata.write_text(metadata.read_text().replace('"B02", 1', '"B02", 3', 1))
    with pytest.raises(UserError, match="damaged or was changed"):
        store.read(site, [1])


def test_the_formats_are_not_mixed(small_screen, packed, tmp_path):
    with pytest.raises(UserError, match="is packed with --format=ome-zarr, not packed"):
        pack(small_screen, packed, (), threads=1, verify=False)
    with pytest.raises(UserError, match="--sizes is for --format=packed"):
        pack(small_screen, tmp_path / "out", (32,), threads=1, verify=False, form=OME_ZARR)
    assert not (tmp_path / "out").exists()


def test_a_stopped_packing_goes_on_in_its_format(small_screen, packed, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(packed, out)
    begun = {"format": OME_ZARR, **json.loads((out / MARK).read_text().rpartition("\nsha256")[0])["screen"]}
    (out / MARK).unlink()
    (out / BEGUN_FILE).write_text(json.dumps(begun))
    shutil.rmtree(out / PLATES / "RPE-01" if (out / PLATES / "RPE-01").is_dir() else next((out / PLATES).iterdir()))
    with pytest.raises(UserError, match="--format=ome-zarr, not packed"):
        pack(small_screen, out, (), threads=1, verify=False)
    pack(small_screen, out, (), threads=1, verify=False, form=OME_ZARR)
    assert files_of(out) == files_of(packed)


def test_check_finds_it_sound_and_sees_a_lost_plate(own):
    (verdict,) = check_results([own], full=True)
    assert (verdict.result.kind, verdict.state) == ("packed screen", "sound")
    (own / PLATES / "b1/PlateP1.ome.zarr/zarr.json").unlink()
    (verdict,) = check_results([own])
    assert "PlateP1.ome.zarr/zarr.json is missing" in verdict.why


def test_shards_of_the_work_write_the_same_files(own, tmp_path):
    out = tmp_path / "parts"
    for number in (2, 1):
        pack_shard(tmp_path / "own", out, (), 1, False, Shard(number, 2), OME_ZARR)
    pack(tmp_path / "own", out, (), threads=1, verify=False, form=OME_ZARR)
    assert files_of(out) == files_of(own)
