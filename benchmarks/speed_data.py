"""The screens that the speed benchmark reads: a simulated one of 512 px and, where they are, the real sites."""

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd

from rcic.pixels.images.sites import Site, site_table, sites_of
from rcic.pixels.packed.frame import compress
from rcic.pixels.packed.manifest import FULL, Manifest
from rcic.pixels.packed.pack_plates import write_metadata
from rcic.pixels.packed.packed_store import ARRAY, SHARD
from rcic.pixels.packed.to_pack import array_folder, plates_of
from rcic.pixels.packed.zarr_shard import ShardWriter
from rcic.screen.plate import CHANNELS, SITES, id_code, image_name, well_name
from rcic.screen.table import Screen, read_screen
from rcic.simulate.plate_plan import plan
from rcic.simulate.presets import PRESETS, Preset
from rcic.simulate.simulation import simulate_screen

_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"  # of the project's own workplace
REAL, TABLES = _DATA / "images", _DATA / "kaggle_2019"
N_WELLS = 72  # of the screen made of real sites
SPEED = Preset(
    name="speed",
    pixels=512,
    field=512.0,
    group_size=2,
    positives=1,
    positive_wells=1,
    negative_wells=1,
    train={"HUVEC": 1, "RPE": 1},
    test={"HUVEC": 1, "RPE": 1},
    effect=2.6,
    missing=0.0,
)


REPEATS = 5


def seconds(work: Callable[[], object]) -> float:
    """Return the median seconds of some runs."""
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return median(times)


@dataclass(frozen=True)
class Images:
    """A data root and the sites in it."""

    name: str
    root: Path

    def sites(self) -> list[Site]:
        """Return every site that has all its images."""
        wells = read_screen(self.root).wells
        wells = wells if self.name == "simulated" else wells[wells["experiment"] == "REAL-01"]
        return sites_of(site_table(wells))


def image_sets(work: Path) -> list[Images]:
    """Return the screens to measure on, made below ``work`` if they are not there."""
    PRESETS.setdefault(SPEED.name, SPEED)
    simulate_screen(SPEED.name, work / "simulated", seed=0, workers=2)
    found = [Images("simulated", work / "simulated")]
    return [Images("real", real_root(work / "real")), *found] if REAL.is_dir() else found


def real_root(root: Path, n_wells: int = N_WELLS) -> Path:
    """Return a data root whose one plate repeats the real sites that have six channels."""
    sites = sorted(path.parent / path.name[:6] for path in REAL.rglob("*_s1_w6.png"))
    wells = [well_name(row, column) for row, column in itertools.product(range(1, 15), range(1, 23))][:n_wells]
    folder = root / "train" / "REAL-01" / "Plate1"
    if not folder.is_dir():
        folder.mkdir(parents=True)
        for number, (well, site) in enumerate(itertools.product(wells, SITES)):
            source = sites[number % len(sites)]
            for channel in CHANNELS:
                name = Path(image_name("REAL-01", 1, well, site, channel)).name
                (folder / name).write_bytes(source.with_name(f"{source.name}_w{channel}.png").read_bytes())
    write_tables(root, {"train": {("REAL-01", 1): wells}, "test": {("REAL-02", 1): wells[:2]}})
    return root


def write_tables(root: Path, plates: dict[str, dict[tuple[str, int], list[str]]]) -> None:
    """Write Kaggle's four tables of wells: the last of each plate is a control, siRNAs follow the wells' order."""
    for split, there in plates.items():
        columns = ["id_code", "experiment", "plate", "well", "sirna"]
        rows = [
            (id_code(experiment, plate, well), experiment, plate, well, number)
            for (experiment, plate), wells in there.items()
            for number, well in enumerate(wells)
        ]
        table = pd.DataFrame(rows, columns=columns)
        is_control = ~table.duplicated(["experiment", "plate"], keep="last")
        labels = [] if split == "train" else ["sirna"]
        table[~is_control].drop(columns=labels).to_csv(root / f"{split}.csv", index=False)
        controls = table[is_control].assign(sirna=10_000, well_type="negative_control")
        controls.to_csv(root / f"{split}_controls.csv", index=False)


def fabricate(root: Path, pictures: Sequence[np.ndarray]) -> None:
    """Make a packed screen of the tables in ``root``: every site is one of ``pictures`` (6, H, W), stored once a plate.

    So a screen of any size takes no disk; whoever reads it does the same work as with images of their own.
    """
    for split in ("train", "test"):  # where the images would be
        (root / split).mkdir(exist_ok=True)
    screen, digests = read_screen(root), {}
    frames = [[compress(channel) for channel in picture] for picture in pictures]
    for plate in plates_of(screen):
        folder = array_folder(root, plate, None)
        (folder / SHARD).parent.mkdir(parents=True)
        with (folder / SHARD).open("wb") as file:
            writer = ShardWriter(file, len(plate.sites), len(CHANNELS))
            for number, channels in enumerate(frames[: len(plate.sites)]):
                for channel, frame in enumerate(channels):
                    writer.add(number, channel, frame)
            for number in range(len(frames), len(plate.sites)):
                writer.index[number] = writer.index[number % len(frames)]
            writer.finish()
        sites = [(site.well, site.site) for site in plate.sites]
        write_metadata(folder, pictures[0].shape[1:], {"sites": sites, "channels": CHANNELS, "left_out": []})
        digests[f"{FULL}/{plate.name}"] = sha256((folder / ARRAY).read_bytes()).hexdigest()
    Manifest(screen.fingerprint(), (), digests).write(root)


def planned(root: Path, preset: Preset) -> Screen:
    """Write the tables of a simulated screen, without its images; return it."""
    root.mkdir(parents=True, exist_ok=True)
    wells = plan(preset, 0)
    place = ["id_code", "experiment", "plate", "well"]
    for split in ("train", "test"):
        here = wells[wells["split"] == split]
        is_control = here["well_type"] != "treatment"
        labels = ["sirna"] if split == "train" else []
        here.loc[~is_control, [*place, *labels]].to_csv(root / f"{split}.csv", index=False)
        here.loc[is_control, [*place, "sirna", "well_type"]].to_csv(root / f"{split}_controls.csv", index=False)
    return read_screen(root)
