"""z planes and time points of real exports, by patterns; pixels compared with those that OpenCV reads."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from rcic.pixels.images.file_store import FileStore
from rcic.pixels.images.image import BadImage
from rcic.pixels.images.sites import Site
from rcic.screen.spec import Channel, Images, ScreenSpec

Numbers = dict[tuple[str, int, int], dict[int, Path]]  # well, site, channel -> z -> file


def files(folder: Path, name: str) -> Numbers:
    """Return the files whose path matches an expression with the groups well, site, channel and z."""
    found: Numbers = {}
    for path in sorted(folder.rglob("*.tif")):
        if match := re.search(name, path.as_posix()):
            parts = match.groupdict()
            key = parts["well"], int(parts["site"]), int(parts["channel"])
            found.setdefault(key, {})[int(parts["z"])] = path
    return found


def check(root: Path, pattern: str, planes: Numbers, barcode: str, channels: tuple[int, ...]) -> None:
    """Check each image of an export: its projections, its planes, and that several are refused without the key."""
    words = tuple(Channel(f"c{number}", file=str(number)) for number in channels)
    stores = {}
    for z in ("max", "mean", 2):
        images = Images((pattern,), 16, (0, 65535), z=z)
        spec = ScreenSpec("export", 384, (1, 2, 3, 4), words, images)
        stores[z] = FileStore(root, spec, {("2023-02-21", 1): barcode})
    for (well, site, channel), found in planes.items():
        at = Site("train", "2023-02-21", 1, well, site), channels.index(channel) + 1
        stack = np.stack([cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for _, path in sorted(found.items())])
        assert np.array_equal(stores["max"].raw(*at), stack.max(0))
        assert np.array_equal(stores["mean"].raw(*at), np.rint(stack.mean(0)))
        assert np.array_equal(stores[2].raw(*at), cv2.imread(str(found[2]), cv2.IMREAD_UNCHANGED))


def test_the_time_points_of_a_metaxpress_export(shared_data):
    root = shared_data / "instruments" / "imagexpress_exported"
    pattern = "9987_{plate}/TimePoint_{time}/*_{well}_s{site}_w{channel}.TIF"
    channels = (Channel("a"), Channel("b"))
    at = Site("train", "x", 1, "B03", 2), 2
    for time in (1, 2):
        spec = ScreenSpec("export", 96, (1, 2), channels, Images((pattern,), 16, (0, 65535), time=time))
        store = FileStore(root, spec, {("x", 1): "Plate_3435"})
        path = root / f"9987_Plate_3435/TimePoint_{time}/9987_B03_s2_w2.TIF"
        assert np.array_equal(store.raw(*at), cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
    spec = ScreenSpec("export", 96, (1, 2), channels, Images((pattern,), 16, (0, 65535)))
    with pytest.raises(BadImage, match=r"there are 2 time points \(1, 2\); set images\.time"):
        FileStore(root, spec, {("x", 1): "Plate_3435"}).raw(*at)


def test_the_only_z_folder_of_a_metaxpress_database(shared_data):
    root = shared_data / "instruments" / "imagexpress_database"
    images = Images(("{experiment}/{plate}/ZStep_{z}/*_{well}_s{site}_w{channel}*.tif",), 16, (0, 65535))
    spec = ScreenSpec("export", 96, (1, 2), tuple(map(Channel, "abcd")), images)
    store = FileStore(root, spec, {("2023-02-21", 1): "1334"})
    name = store.name(Site("train", "2023-02-21", 1, "E07", 1), 4)
    assert name.startswith("2023-02-21/1334/ZStep_1/Projection-Mix_E07_s1_w4") and "thumb" not in name
    raw = store.raw(Site("train", "2023-02-21", 1, "E07", 1), 4)
    assert np.array_equal(raw, cv2.imread(str(root / name), cv2.IMREAD_UNCHANGED))


@pytest.mark.parametrize("star", ["*", "A{channel:02}"])
def test_the_z_planes_of_a_yokogawa(shared_data, star):
    (root,) = (shared_data / "instruments" / "yokogawa_cv8000").iterdir()
    planes = files(root, r"_(?P<well>[A-P]\d\d)_T0001F(?P<site>\d+)L01A\d+Z(?P<z>\d+)C(?P<channel>\d+)\.tif")
    assert len(planes) == 24 and all(len(found) == 4 for found in planes.values())
    some = dict(list(planes.items())[::7])
    check(
        root,
        f"{{plate}}/*_{{well}}_T{{time:04}}F{{site:03}}L01{star}Z{{z:02}}C{{channel:02}}.tif",
        some,
        next(path.name for path in root.iterdir() if path.is_dir()),
        (1, 2),
    )
