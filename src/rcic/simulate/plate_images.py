"""Parallel drawing of plates; a plate's folder appears complete or not at all."""

import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from rcic.errors import UserError
from rcic.files.held import check_held
from rcic.screen.plate import CHANNELS, SITES, id_code
from rcic.simulate.batch_effect import Batch
from rcic.simulate.presets import Preset
from rcic.simulate.release import FileLayout, find_layout
from rcic.simulate.site import draw_site

_SMALL = 400  # sites; below this, starting more processes takes longer than drawing
_STATISTICS: dict[str, Callable[[np.ndarray], Any]] = {
    "mean": np.mean,
    "std": np.std,
    "median": np.median,
    "min": np.min,
    "max": np.max,
}


@dataclass(frozen=True)
class PlateJob:
    """All that drawing one plate needs.

    root: the data root. named: split, experiment and the plate's name. names: well as drawn -> well name in the layout.
    address: seed, experiment, plate. wells: (well, siRNA) pairs. effects: (classes, T) in this cell type. unit: (6,)
    `site.unit_light` of the cell type.
    """

    root: Path
    layout: str  # by name, as a job is sent to another process
    named: tuple[str, str, str]
    names: dict[str, str]
    preset: Preset
    cell_type: str
    address: tuple[int, str, int]
    wells: tuple[tuple[str, int], ...]
    batch: Batch
    effects: np.ndarray
    unit: np.ndarray

    @property
    def file_layout(self) -> FileLayout:
        """The layout of the plate's files."""
        return find_layout(self.layout)

    @property
    def n_sites(self) -> int:
        """The number of sites to draw."""
        return len(self.wells) * len(SITES)

    @property
    def folder(self) -> Path:
        """The folder of the plate's images."""
        return self.path(self.wells[0][0], SITES[0], CHANNELS[0]).parent

    def path(self, well: str, site: int, channel: int) -> Path:
        """Return the path of an image."""
        return self.root / self.file_layout.path(*self.named, self.names[well], site, channel)

    @property
    def half(self) -> Path:
        """The folder of the images until all are drawn."""
        return self.folder.with_name(f".{self.folder.name}.half")


def draw_plates(jobs: list[PlateJob], workers: int | None, progress: bool) -> list[dict[str, Any]]:
    """Draw every missing plate and return the statistics of all images, in the jobs' order.

    workers: processes; None: one a core, or this process alone for a small screen. Raises UserError as `check_held`.
    """
    total = sum(job.n_sites for job in jobs)
    if workers is None:
        workers = 1 if total < _SMALL else len(os.sched_getaffinity(0))
    rows = []
    with tqdm(total=total, desc="drawing", unit="site", disable=None if progress else True) as bar:
        for found in _drawn(jobs, min(workers, len(jobs))):
            check_held(jobs[0].root)
            rows.extend(found)
            bar.update(len(found) // len(CHANNELS))
    return rows


def _drawn(jobs: list[PlateJob], workers: int) -> Iterator[list[dict[str, Any]]]:
    """Yield the result of `draw_plate` for every job, in order, from new processes (this one for one worker)."""
    if workers <= 1:
        yield from map(draw_plate, jobs)
        return
    context = multiprocessing.get_context("spawn")
    try:
        with context.Pool(workers, initializer=_begin_worker) as pool:
            yield from pool.imap(draw_plate, jobs)
    finally:  # after an error the pool terminates its processes at any point
        for job in jobs:
            shutil.rmtree(job.half, ignore_errors=True)


def _begin_worker() -> None:
    """Prepare a drawing process: one thread, and Ctrl-C left to the parent."""
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def draw_plate(job: PlateJob) -> list[dict[str, Any]]:
    """Draw one plate unless it exists, and return a row of statistics for each of its images.

    The images are written to a hidden folder, which is renamed when it is complete, so a kill leaves no partial
    plate. (The unit is a plate, not an image: thousands of small synced writes would cost more than the
    drawing.)
    """
    if job.folder.is_dir():
        return [
            row for well, _ in job.wells for site in SITES for row in _rows(job, well, site, _read(job, well, site))
        ]
    shutil.rmtree(job.half, ignore_errors=True)
    try:
        job.half.mkdir(parents=True)
        rows = [row for well, sirna in job.wells for site in SITES for row in _draw(job, job.half, well, sirna, site)]
        job.half.rename(job.folder)
    except BaseException:
        shutil.rmtree(job.half, ignore_errors=True)
        raise
    return rows


def _draw(job: PlateJob, folder: Path, well: str, sirna: int, site: int) -> list[dict[str, Any]]:
    """Draw one site into ``folder`` and return the statistics of its images."""
    images = draw_site(job.preset, job.cell_type, job.batch, job.effects[sirna], job.unit, (*job.address, well, site))
    for channel, image in zip(CHANNELS, images, strict=True):
        (folder / job.path(well, site, channel).name).write_bytes(job.file_layout.encode(image, channel))
    return _rows(job, well, site, images)


def _read(job: PlateJob, well: str, site: int) -> np.ndarray:
    """Return the images of one site of a plate drawn earlier, (6, H, W) uint8; UserError for a broken one."""
    images = []
    for channel in CHANNELS:
        path = job.path(well, site, channel)
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) if path.is_file() else None
        if image is None or image.shape != (job.preset.pixels,) * 2:
            raise UserError(f"{path}: missing or broken; remove its plate's folder and run again")
        images.append(job.file_layout.decode(image, channel))
    return np.stack(images)


def _rows(job: PlateJob, well: str, site: int, images: np.ndarray) -> list[dict[str, Any]]:
    """Return a row per channel in the columns of Kaggle's pixel_stats.csv."""
    _, experiment, plate = job.address
    head = {
        "id_code": id_code(experiment, job.named[2], job.names[well]),
        "experiment": experiment,
        "plate": plate,
        "well": job.names[well],
    }
    return [
        head | {"site": site, "channel": channel} | {name: value(image) for name, value in _STATISTICS.items()}
        for channel, image in zip(CHANNELS, images, strict=True)
    ]
