"""Real exports through the store by the index of the instrument; pixels as OpenCV reads them."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import zarr

from rcic.pixels.images.file_store import FileStore
from rcic.pixels.images.image import BadImage
from rcic.pixels.images.sites import Site
from rcic.screen.spec import Channel, Images, ScreenSpec


def store_of(root: Path, pattern: str, plate: str, words: tuple[str, ...], **images: object) -> FileStore:
    channels = tuple(Channel(f"c{number}", file=word) for number, word in enumerate(words))
    entry = Images((pattern,), 16, (0, 65535), **images)
    return FileStore(root, ScreenSpec("export", 384, (1, 2), channels, entry), {("x", 1): plate})


def site(well: str, number: int = 1) -> Site:
    return Site("train", "x", 1, well, number)


def pixels(path: Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert image is not None, path
    return image


def test_a_phenix(shared_data):
    root = shared_data / "instruments"
    store = store_of(root, "{plate}/Images/Index.idx.xml", "phenix", ("1",))
    for field in (1, 2):
        name = f"phenix/Images/r03c03f0{field}p01-ch1sk1fk1fl1.tiff"
        assert store.name(site("C03", field), 1) == name
        assert np.array_equal(store.raw(site("C03", field), 1), pixels(root / name))
    assert store.sources.folders("train", "x", 1) == ["phenix/Images/Index.idx.xml", "phenix/Images"]
    with pytest.raises(BadImage, match=r"Index\.idx\.xml: lists no well 'D04'; .*it has 1 well: C03"):
        store.raw(site("D04"), 1)


@pytest.mark.parametrize("channels", [("1", "2"), ("01", "02")])
def test_a_yokogawa(shared_data, channels):
    (root,) = (shared_data / "instruments" / "yokogawa_cv8000").iterdir()
    (folder,) = (path for path in root.iterdir() if path.is_dir())
    for z in (1, 4, "max"):
        store = store_of(root, "{plate}/MeasurementData.mlf", folder.name, channels, z=z)
        names = [folder / f"{folder.name}_E03_T0001F002L01A02Z0{plane}C02.tif" for plane in range(1, 5)]
        stack = np.stack([pixels(path) for path in names])
        assert np.array_equal(store.raw(site("E03", 2), 2), stack.max(0) if z == "max" else stack[z - 1])
    with pytest.raises(BadImage, match=r"there are 4 z planes \(1, 2, 3, 4\); set images\.z"):
        store_of(root, "{plate}/MeasurementData.mlf", folder.name, channels).raw(site("E03"), 1)


def test_a_metaxpress(shared_data):
    root = shared_data / "instruments" / "imagexpress_exported"
    channel = _words(root)[1]
    for time in (1, 2):
        store = store_of(root, "9987_{plate}/9987.HTD", "Plate_3435", _words(root), time=time)
        path = root / f"9987_Plate_3435/TimePoint_{time}/9987_B03_s2_w2.TIF"
        assert np.array_equal(store.raw(site("B03", 2), 2), pixels(path)), channel


def _words(root: Path) -> tuple[str, ...]:
    from rcic.instruments.metaxpress import read_metaxpress

    return tuple(channel.word for channel in read_metaxpress(root, "9987_Plate_3435/9987.HTD").channels)


def test_an_ome_zarr_plate(tmp_path):
    images = np.random.default_rng(0).integers(0, 65536, (2, 3, 9, 12)).astype(np.uint16)  # c, z, y, x
    plate = zarr.open_group(zarr.storage.LocalStore(tmp_path / "BR1.zarr"), mode="w", zarr_format=2)
    plate.attrs["plate"] = {"name": "x", "wells": [{"path": "C/2", "rowIndex": 0, "columnIndex": 0}], "version": "0.4"}
    well = plate.create_group("C/2")
    well.attrs["well"] = {"images": [{"path": "1"}, {"path": "2"}], "version": "0.4"}
    axes = [{"name": name} for name in "czyx"]
    for number in (1, 2):
        field = well.create_group(str(number))
        field.attrs["multiscales"] = [{"axes": axes, "datasets": [{"path": "0"}], "version": "0.4"}]
        field.attrs["omero"] = {"channels": [{"label": "DAPI"}, {"label": "GFP"}]}
        array = field.create_array("0", shape=images.shape, chunks=(1, 1, 9, 12), dtype="u2")
        array[:] = images + number
    store = store_of(tmp_path, "{plate}.zarr", "BR1", ("GFP", "DAPI"), z="mean")
    wanted = np.rint((images + np.uint16(2)).astype(float).mean(1))
    assert np.array_equal(store.raw(site("C02", 2), 1), wanted[1])
    assert np.array_equal(store.raw(site("C02", 2), 2), wanted[0])
    assert store.shape(site("C02"), 1) == (9, 12) and store.name(site("C02"), 2) == "BR1.zarr/C/2/1/0 page 0"
    assert store.sources.exists(site("C02"), 1) and not store.sources.exists(site("C03"), 1)
    assert store.sources.folders("train", "x", 1) == ["BR1.zarr"]


def test_the_state_of_an_ome_zarr_plate_is_that_of_all_its_files(tmp_path):
    from rcic.pixels.images.file_states import state_of

    (tmp_path / "P.zarr/A/1").mkdir(parents=True)
    (tmp_path / "P.zarr/A/1/0").write_bytes(b"12")
    states = [state_of(tmp_path / "P.zarr")]
    (tmp_path / "P.zarr/A/1/0").write_bytes(b"123")
    states.append(state_of(tmp_path / "P.zarr"))
    (tmp_path / "P.zarr/A/1/1").write_bytes(b"")
    states.append(state_of(tmp_path / "P.zarr"))
    assert len({*states}) == 3 and [state.n_files for state in states] == [1, 1, 2] and not states[0].mtime_ns
