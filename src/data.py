"""Tables and images of a screen: ``python src/data.py describe | simulate | folds | audit | pack``."""

import json as json_format
import os
from pathlib import Path
from typing import Literal

from rcic.cli import main as cli
from rcic.launch.command import JOBS
from rcic.launch.launch_options import FLAGS, Where
from rcic.launch.shards import Jobs, read_part


def describe(data_root: str, json: bool = False) -> None:
    """Print the facts of a screen: wells, controls, plate groups, repeated layouts, missing wells.

    Args:
        data_root: the folder with the screen's CSV files (Kaggle's four tables, or RxRx1's metadata.csv).
        json: print them as JSON.
    """
    from rcic.screen.describe import describe, describe_text
    from rcic.screen.table import read_screen

    facts = describe(read_screen(data_root))
    print(json_format.dumps(facts, indent=2) if json else describe_text(facts))


def simulate(
    out_dir: str, preset: str = "demo", seed: int = 0, layout: str = "rcic", workers: int | None = None
) -> None:
    """Draw a synthetic screen; the hidden truth goes to OUT_DIR/truth/test.csv.

    Args:
        out_dir: an empty or new folder; a finished screen of the same preset and seed is left alone.
        preset: test (seconds), demo (the ten-minute tour) or bench (for measuring recipes).
        seed: the same seed gives the same bytes.
        layout: rcic (Kaggle's), rxrx1 (the public release's) or plate96 (96-well plates, 16-bit TIFFs; read it with
            --screen configs/screens/plate96.yml).
        workers: processes that draw; as many as there are cores if not given.
    """
    if workers is not None:
        cli.check_least("--workers", workers, 1)

    from rcic.simulate.simulation import simulate

    simulate(preset, Path(out_dir), seed, workers, layout=layout)


def folds(data_root: str, out_dir: str = "csv", n_folds: int = 5, seed: int = 0) -> None:
    """Write train_K.csv and valid_K.csv: folds by experiment, stratified by cell type.

    Args:
        data_root: the folder with the screen's CSV files.
        out_dir: where the tables go.
        n_folds: the number of folds.
        seed: of the division.
    """
    from rcic.screen.split import write_folds
    from rcic.screen.table import read_screen

    for note in write_folds(read_screen(data_root), out_dir, n_folds, seed):
        print(note)
    print(f"{out_dir}: train_K.csv and valid_K.csv of {n_folds} folds")


def audit(
    data_root: str,
    mode: Literal["full", "quick"] = "full",
    on_bad: Literal["stop", "drop", "other-site"] = "stop",
    out_dir: str = "csv/audit",
    workers: int | None = None,
    jobs: int | None = None,
    launcher: Literal["local", "ray", "slurm"] = "local",
    ray_address: str | None = None,
    ray: tuple[str, ...] = (),
    slurm: tuple[str, ...] = (),
    part: str | None = None,
) -> None:
    """Look at every image of a screen before anything learns from it; write OUT_DIR/audit.json and audit.csv.

    Args:
        data_root: the folder with the screen's CSV files and images, PNGs or packed.
        mode: full decodes every image, quick looks at files and headers only.
        on_bad: what follows from a bad image: stop refuses to train, drop leaves its site out, other-site takes the
            images of the well's other site.
        out_dir: where the two files go; trainings look for them in data.audit_dir.
        workers: threads that look; as many as there are cores if not given.
        jobs: into how many jobs the work is divided; without it there is none, everything is done here.
        launcher: where jobs run: local processes, ray (a Ray cluster) or slurm (docs/cluster.md).
        ray_address: of the Ray cluster; RAY_ADDRESS, or the one on this machine, if not given.
        ray: what a job asks of Ray, e.g. num_cpus=4,num_gpus=1.
        slurm: what a job asks of SLURM, e.g. partition=gpu,time=600,gpus_per_node=1.
        part: do a share of the work only, e.g. 2/4, as each job does; the call without it completes the whole.
    """
    if workers is not None:
        cli.check_least("--workers", workers, 1)

    where = Where(launcher, jobs, ray_address, ray, slurm)
    share = read_part(part, where)
    threads = workers or len(os.sched_getaffinity(0))

    from rcic.pixels.audit.audit_screen import audit, look_at_part

    if share is not None:
        look_at_part(data_root, out_dir, mode, threads, share)
    else:
        audit(data_root, out_dir, mode, on_bad, threads, Jobs(cli.own_words(FLAGS), where, Path(out_dir) / JOBS))


def form() -> None:
    """Print every key that the form of a screen of one's own can have, as docs/screen.md has it."""
    from rcic.screen.spec_docs import form_as_markdown

    print(form_as_markdown(), end="")


def levels(data_root: str, n_images: int = 64) -> None:
    """Print, for the form of a screen of one's own, which grey levels of its images should become 0 and 255.

    Args:
        data_root: the folder with the screen's CSV files and images.
        n_images: the number of images of each channel that are looked at.
    """
    cli.check_least("--n_images", n_images, 1)

    from rcic.pixels.images.levels import levels

    print(levels(data_root, n_images))


def pack(
    data_root: str,
    out_dir: str,
    sizes: tuple[int, ...] = (),
    workers: int | None = None,
    verify: bool = False,
    jobs: int | None = None,
    launcher: Literal["local", "ray", "slurm"] = "local",
    ray_address: str | None = None,
    ray: tuple[str, ...] = (),
    slurm: tuple[str, ...] = (),
    part: str | None = None,
) -> None:
    """Convert a screen's image files into a packed screen, quicker to read; OUT_DIR is then a data root of its own.

    Args:
        data_root: the folder with the screen's CSV files and images.
        out_dir: an empty or new folder, or one in which packing was begun: it goes on.
        sizes: sides in pixels at which the images are stored, too, e.g. 256 for configs with data.size 256.
        workers: threads that read and compress; as many as there are cores if not given.
        verify: compare every packed image with its file afterwards.
        jobs: into how many jobs the work is divided; without it there is none, everything is done here.
        launcher: where jobs run: local processes, ray (a Ray cluster) or slurm (docs/cluster.md).
        ray_address: of the Ray cluster; RAY_ADDRESS, or the one on this machine, if not given.
        ray: what a job asks of Ray, e.g. num_cpus=4,num_gpus=1.
        slurm: what a job asks of SLURM, e.g. partition=gpu,time=600,gpus_per_node=1.
        part: do a share of the work only, e.g. 2/4, as each job does; the call without it completes the whole.
    """
    for size in sizes:
        cli.check_least("--sizes", size, 16)
    if workers is not None:
        cli.check_least("--workers", workers, 1)

    where = Where(launcher, jobs, ray_address, ray, slurm)
    share = read_part(part, where)
    threads = workers or len(os.sched_getaffinity(0))

    from rcic.pixels.packed.pack_screen import pack, pack_part

    if share is not None:
        pack_part(data_root, out_dir, sizes, threads, verify, share)
    else:
        own = Jobs(cli.own_words((*FLAGS, "verify")), where, Path(out_dir) / JOBS)
        pack(data_root, out_dir, sizes, threads, verify, own)


if __name__ == "__main__":
    cli.main(
        {
            "describe": describe,
            "simulate": simulate,
            "folds": folds,
            "audit": audit,
            "form": form,
            "levels": levels,
            "pack": pack,
        }
    )
