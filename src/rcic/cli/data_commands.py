"""Tables and images: ``rcic data discover | describe | simulate | folds | audit | spec | levels | pack``."""

import json as json_format
import os
from pathlib import Path
from typing import Literal

from rcic.cli.flags import check_least
from rcic.cli.main import own_words
from rcic.launch.command import JOBS
from rcic.launch.launch_options import LAUNCH_FLAGS, LaunchOptions
from rcic.launch.shards import ShardJobs, read_shard
from rcic.screen.source import ScreenSource


def describe(source: ScreenSource, json: bool = False) -> None:
    """Print the facts of a screen: wells, controls, plate groups, repeated layouts, missing wells.

    Args:
        json: print them as JSON.
    """
    from rcic.screen.describe import describe, describe_text
    from rcic.screen.spec_files import resolve_spec
    from rcic.screen.table import read_screen

    spec = resolve_spec(Path(source.data_root), source.screen, measured=False)  # it reads no pixels
    facts = describe(read_screen(source, spec))
    print(json_format.dumps(facts, indent=2) if json else describe_text(facts))


def simulate(
    out_dir: str, preset: str = "demo", seed: int = 0, layout: str = "rcic", workers: int | None = None
) -> None:
    """Draw a synthetic screen; the hidden truth goes to OUT_DIR/truth/test.csv.

    Args:
        out_dir: an empty or new folder; a finished screen of the same preset and seed is left alone.
        preset: test (seconds), demo (used by make demo), bench or bench-hard (for measuring recipes).
        seed: the same seed gives the same bytes.
        layout: rcic (Kaggle's), rxrx1 (the public release's) or plate96 (96-well plates, 16-bit TIFFs; read it with
            --screen plate96).
        workers: processes that draw; as many as there are cores if not given.
    """
    check_least("--workers", workers, 1)

    from rcic.simulate.simulation import simulate_screen

    simulate_screen(preset, Path(out_dir), seed, workers, layout=layout)


def folds(
    source: ScreenSource,
    out_dir: str = "auto",
    n_folds: int | None = None,
    seed: int = 0,
    by: Literal["auto", "experiment", "plate", "replicate", "row", "well"] = "auto",
) -> None:
    """Write train_K.csv and valid_K.csv: folds by experiment, stratified by cell type, or by a smaller unit.

    Args:
        out_dir: where the tables go; auto is the screen's work folder.
        n_folds: the number of folds; 5, or as many as there are units, if not given.
        seed: the seed of the division.
        by: what a fold holds out; auto is the largest of these units of which two hold most treatments. A replicate
            is the n-th well of each treatment; with replicate, row and well the batch effects of a plate are
            on both sides.
    """
    from rcic.screen.folds import FOLDS, folds_in, read_unit, what_folds_prove, write_folds
    from rcic.screen.table import read_screen
    from rcic.screen.work_dir import FOLDS_DIR, place_to_write

    screen = read_screen(source)
    folder = place_to_write(screen, out_dir, FOLDS_DIR, FOLDS, "folds")
    for note in write_folds(screen, folder, n_folds, seed, None if by == "auto" else by):
        print(note)
    unit, count = read_unit(folder), len(folds_in(folder))
    print(f"{folder}: train_K.csv and valid_K.csv of {count} folds by {unit}: {what_folds_prove(folder)}")


def audit(
    source: ScreenSource,
    launch: LaunchOptions,
    mode: Literal["full", "quick"] = "full",
    on_bad: Literal["stop", "drop", "other-site"] = "stop",
    out_dir: str = "auto",
    workers: int | None = None,
    part: str | None = None,
) -> None:
    """Check every image of a screen before anything is trained on it; write OUT_DIR/audit.json and audit.csv.

    Args:
        mode: full decodes every image, quick reads file sizes and headers only.
        on_bad: what follows from a bad image: stop refuses to train, drop leaves its site out, other-site takes the
            images of the well's other site.
        out_dir: where the two files go, and where trainings look for them (data.audit_dir); auto is audit in the
            screen's work folder.
        workers: threads that read; as many as there are cores if not given.
        part: do a share of the work only, e.g. 2/4, as each job does; the call without it completes the whole.
    """
    check_least("--workers", workers, 1)
    shard = read_shard(part, launch)
    threads = workers or len(os.sched_getaffinity(0))

    from rcic.pixels.audit.audit_screen import audit, audit_shard
    from rcic.pixels.audit.findings import REPORT
    from rcic.screen.work_dir import AUDIT_DIR, place_of_source

    folder = place_of_source(source, out_dir, AUDIT_DIR, REPORT, "audit")
    if shard is not None:
        audit_shard(source, folder, mode, threads, shard)
    else:
        audit(source, folder, mode, on_bad, threads, ShardJobs(own_words(LAUNCH_FLAGS), launch, folder / JOBS))


def discover(data_root: str, out: str, table: str | None = None, force: bool = False) -> None:
    """Look at a folder of images, and a table, and write a screen spec with a reason for every line.

    Args:
        data_root: folder with the images of a plate or a screen, as an instrument exported them.
        out: the screen spec to write, such as screen.yml.
        table: CSV file that says what is in which well; the best one in the data root if not given, or a new one to
            fill in.
        force: overwrite the screen spec.
    """
    from rcic.discover.discovery import discover

    print(discover(Path(data_root), Path(out), None if table is None else Path(table), force))


def spec() -> None:
    """Print every key that a screen spec can have, as docs/screen.md has it."""
    from rcic.screen.spec_docs import spec_as_markdown

    print(spec_as_markdown(), end="")


def levels(source: ScreenSource, n_images: int = 64) -> None:
    """Measure, for a screen spec, which grey levels of the images should become 0 and 255.

    The printed lines are also kept as levels.yml in the screen's work folder.

    Args:
        n_images: the number of images of each channel that are read.
    """
    check_least("--n_images", n_images, 1)

    from rcic.pixels.images.levels import levels
    from rcic.screen.work_dir import write_levels

    text = levels(source, n_images)
    print(text)
    write_levels(source, text)


def pack(
    source: ScreenSource,
    launch: LaunchOptions,
    out_dir: str,
    sizes: tuple[int, ...] = (),
    workers: int | None = None,
    verify: bool = False,
    part: str | None = None,
    format: Literal["packed", "ome-zarr"] = "packed",
) -> None:
    """Convert a screen's image files into a packed screen, quicker to read; OUT_DIR is then a data root of its own.

    Args:
        out_dir: an empty or new folder, or one with an interrupted packing, which resumes.
        sizes: sides in pixels at which the images are stored, too, e.g. 256 for configs with data.size 256.
        workers: threads that read and compress; as many as there are cores if not given.
        verify: compare every packed image with its file afterwards.
        part: do a share of the work only, e.g. 2/4, as each job does; the call without it completes the whole.
        format: packed (smallest, few files) or ome-zarr (an OME-Zarr plate for each plate, for other programs, too).
    """
    for size in sizes:
        check_least("--sizes", size, 16)
    check_least("--workers", workers, 1)
    shard = read_shard(part, launch)
    threads = workers or len(os.sched_getaffinity(0))

    from rcic.pixels.packed.pack_screen import pack, pack_shard

    if shard is not None:
        pack_shard(source, out_dir, sizes, threads, verify, shard, format)
    else:
        jobs = ShardJobs(own_words((*LAUNCH_FLAGS, "verify")), launch, Path(out_dir) / JOBS)
        pack(source, out_dir, sizes, threads, verify, jobs, format)


COMMANDS = (discover, describe, simulate, folds, audit, spec, levels, pack)
