"""Plates of other OME-Zarr libraries read here, and ours read there: each library in an environment of its own.

Slow, and it needs a network: the environments are made with pip. RCIC_FOREIGN names a folder to keep them in, and
RCIC_FOREIGN_PYTHON the Python, 3.12 or newer, that makes them. docs/formats.md has what these tests find as tables.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rcic.instruments.ome_zarr_plate import read_ome_zarr_plate
from rcic.pixels.images.sites import site_table, sites_of
from rcic.pixels.images.zarr_plane import read_zarr_plane
from rcic.pixels.packed.manifest import OME_ZARR
from rcic.pixels.packed.open_store import open_store
from rcic.pixels.packed.pack_screen import pack
from rcic.pixels.packed.packed_store import PLATES
from rcic.screen.table import read_screen
from tests.pixels.own import write_form, write_images

HERE = Path(__file__).parent / "foreign"
DOCUMENT = Path(__file__).parents[2] / "docs" / "formats.md"
PINS = {
    "ome-zarr": "ome-zarr==0.21.0",
    "iohub": "iohub==0.3.11",
    "ngff-zarr": "ngff-zarr[validate]==0.50.0",
    "ngio": "ngio==1.1.3",
    "ome-writers": "ome-writers[tensorstore]==0.3.2",
    "napari-ome-zarr": "napari-ome-zarr==0.11.0",
    "bioio": "bioio==3.6.0 bioio-ome-zarr==3.8.1",
    "tensorstore": "tensorstore==0.1.86",
    "zarr": "zarr==3.4.2",
}
WRITERS = {  # function in foreign/writers.py -> environment, NGFF version
    "ome_zarr": ("ome-zarr", "0.5"),
    "iohub": ("iohub", "0.5"),
    "iohub_04": ("iohub", "0.4"),
    "ngff_zarr": ("ngff-zarr", "0.4"),
    "ngff_zarr_05": ("ngff-zarr", "0.5"),
    "ngio": ("ngio", "0.4"),
    "ngio_05": ("ngio", "0.5"),
    "ome_writers": ("ome-writers", "0.5"),
}
READERS = {  # function in foreign/readers.py -> environment, how it is used
    "ome_zarr": ("ome-zarr", "the plate as one picture, of each well the first site"),
    "napari_ome_zarr": ("napari-ome-zarr", "the plate as one picture, of each well the first site"),
    "ngff_zarr": ("ngff-zarr", "every site; its validator is content"),
    "ngio": ("ngio", "every site"),
    "bioio": ("bioio", "every site by its folder, with the reader named; of a plate it lists no scenes"),
    "tensorstore": ("tensorstore", "every array; it knows nothing of plates"),
    "zarr": ("zarr", "every array; it knows nothing of plates"),
    "iohub": ("iohub", "every site"),
}
Run = Callable[..., subprocess.CompletedProcess[str]]


def python() -> str:
    """Return a Python that the libraries accept; skip if there is none."""
    names = [os.environ.get("RCIC_FOREIGN_PYTHON", ""), "python3.14", "python3.13", "python3.12"]
    for name in filter(None, names):
        found = shutil.which(name)
        if found and subprocess.run([found, "-c", ""], capture_output=True).returncode == 0:
            return found
    pytest.skip("the libraries need Python 3.12 or newer; name one in RCIC_FOREIGN_PYTHON")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a function that runs a script of foreign/ in the environment of a library, which is made if needed."""
    kept = os.environ.get("RCIC_FOREIGN")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("foreign")

    def run_in(library: str, script: str, *words: Any) -> subprocess.CompletedProcess[str]:
        home = folder / PINS[library].replace(" ", "+")
        if not (home / "made").exists():
            subprocess.run([python(), "-m", "venv", "--clear", home], check=True)
            made = subprocess.run(
                [home / "bin/pip", "install", "-q", *PINS[library].split()], capture_output=True, text=True
            )
            if made.returncode:
                pytest.skip(f"{PINS[library]} cannot be installed: {made.stderr.strip()[-200:]}")
            (home / "made").touch()
        command = [str(home / "bin/python"), str(HERE / script), *map(str, words)]
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        return subprocess.run(
            command, capture_output=True, text=True, env=environment | {"QT_QPA_PLATFORM": "offscreen"}
        )

    return run_in


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a screen of two sites packed as OME-Zarr."""
    folder = tmp_path_factory.mktemp("ours")
    channels = [{"name": "DNA", "colour": "#0000ff"}, {"name": "Actin", "colour": "#00ff00"}]
    form = {"sites": [1, 2], "channels": channels}
    root = write_form(folder / "screen", "{experiment}/{plate}/s{site}/{well}_w{channel}.tif", **form)
    for site in (1, 2):
        write_images(root, f"{{batch}}/{{plate}}/s{site}/{{well}}_w{{c}}.tif")
    pack(root, folder / "out", (), threads=2, verify=True, form=OME_ZARR)
    return folder / "out"


@pytest.mark.slow
@pytest.mark.parametrize("writer", WRITERS)
def test_what_they_write_is_read_here(run, tmp_path, writer, monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))
    import known_plate as known

    library, ngff = WRITERS[writer]
    done = run(library, "writers.py", writer, tmp_path / "p.ome.zarr")
    assert done.returncode == 0, done.stderr[-2000:]
    found = read_ome_zarr_plate(tmp_path, "p.ome.zarr")
    assert found.instrument == f"OME-Zarr {ngff}" and found.notes == ()
    names = {f"{path[0]}{int(path[2:]):02}": path for path in known.WELLS}
    sites = {(names[plane.well], plane.site) for plane in found.planes.itertuples()}
    assert sites == {(path, name) for path in known.WELLS for name in known.FIELDS}
    assert tuple(channel.word for channel in found.channels) == known.CHANNELS
    assert found.shape == known.SHAPE and found.pixel_um == pytest.approx(known.PIXEL_UM)
    assert len(found.planes) == 12 and not found.planes.duplicated(["well", "site", "channel"]).any()
    for plane in found.planes.itertuples():
        expected = known.image(names[plane.well], plane.site)[known.CHANNELS.index(plane.channel)]
        assert np.array_equal(read_zarr_plane(tmp_path / plane.file, plane.page), expected)


@pytest.mark.slow
@pytest.mark.parametrize("reader", list(READERS))
def test_ours_are_read_there(run, ours, tmp_path, reader):
    library, how = READERS[reader]
    plate = ours / PLATES / "b1" / "PlateP1.ome.zarr"
    done = run(library, "readers.py", reader, plate, tmp_path / "found.npz")
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(tmp_path / "found.npz") as content:
        channels, arrays = content["channels"].tolist(), {n: content[n] for n in content.files if n != "channels"}
    screen = read_screen(ours)
    store, rows = open_store(screen), screen.wells[screen.wells["experiment"] == "b1"]
    wanted = {f"{site.well[0]}/{site.well[1:]}/{site.site}": site for site in sites_of(site_table(rows, (1, 2)))}
    wanted = {name: site for name, site in wanted.items() if site.site == 1 or "first site" not in how}
    assert arrays.keys() == wanted.keys()
    assert all(np.array_equal(np.squeeze(arrays[name]), store.read(site, (1, 2))) for name, site in wanted.items())
    assert channels == ([] if "nothing of plates" in how else ["DNA", "Actin"])


def version_of(library: str) -> str:
    """Return the versions that are pinned, as the document has them."""
    return ", ".join(re.sub(r"(\[.*\])?==", " ", pin) for pin in PINS[library].split())


def test_the_tables_of_the_document_are_those_of_these_tests():
    text = DOCUMENT.read_text()
    versions: dict[str, list[str]] = {}
    for library, ngff in WRITERS.values():
        versions.setdefault(library, []).append(ngff)
    rows = [f"| {version_of(library)} | {', '.join(sorted(found))} |" for library, found in versions.items()]
    rows += [f"| {version_of(library)} | {how} |" for library, how in READERS.values()]
    assert [row for row in rows if row not in text] == []
