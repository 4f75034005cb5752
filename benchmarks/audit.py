"""How many sites a second an audit looks at: ``PYTHONPATH=src python benchmarks/audit.py WORK > benchmarks/audit.md``.

Prints the page. The screens are made below WORK: the real sites, where they are, repeated, and a drawn one of 512 px.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from speed import processor
from speed_data import REPEATS, Images, image_sets, seconds

from rcic.packing import pack
from rcic.pixels.audit import audit_sites
from rcic.pixels.marks import changed, marks_of
from rcic.pixels.sites import site_table
from rcic.pixels.store import open_store
from rcic.screen.table import read_screen

THREADS = (1, 2)
FULL_SIZE = 125_510  # sites of RxRx1


def sites_a_second(root: Path, experiments: Sequence[str], decode: bool) -> dict[int, float]:
    """Return for each number of threads how many sites of these experiments are looked at in a second."""
    wells = read_screen(root).wells
    rows = site_table(wells[wells["experiment"].isin(experiments)].reset_index(drop=True))
    store = open_store(root)
    return {n: len(rows) / seconds(lambda n=n: list(audit_sites(store, rows, decode, n))) for n in THREADS}


def marked(root: Path) -> tuple[float, float]:
    """Return the microseconds a file that the marks of a data root take, and the milliseconds of finding no change."""
    screen = read_screen(root)
    marks = marks_of(screen)
    n_files = sum(mark.n_files for mark in marks.values())
    return 1e6 * seconds(lambda: marks_of(screen)) / n_files, 1e3 * seconds(lambda: changed(screen, marks))


def packed(images: Images, work: Path) -> Path:
    """Return the packed form of a screen, made if it is not there."""
    out = work / f"{images.name}_packed"
    pack(images.root, out, (), threads=len(os.sched_getaffinity(0)), verify=False)
    return out


def rows_of(images: Images, work: Path) -> list[str]:
    """Return the table's rows of one screen."""
    experiments = sorted({site.experiment for site in images.sites()})
    lines = []
    for form, root in (("PNG", images.root), ("packed", packed(images, work))):
        for decode in (False, True):
            speed = sites_a_second(root, experiments, decode)
            minutes = FULL_SIZE / speed[THREADS[-1]] / 60
            cells = " | ".join(f"{value:,.0f}" for value in speed.values())
            lines.append(f"| {images.name} | {form} | {'full' if decode else 'quick'} | {cells} | {minutes:.1f} |")
    return lines


def main(work: Path) -> None:
    """Measure, print the page."""
    stdout, sys.stdout = sys.stdout, sys.stderr  # what simulating and packing say is no part of the page
    before = os.getloadavg()[0]
    sets = image_sets(work)
    lines = [line for images in sets for line in rows_of(images, work)]
    marks = [marked(images.root) for images in sets]
    sys.stdout = stdout
    print("# How fast an audit is\n")
    print(f"Sites a second of `data.py audit`, six channels of 512 px a site, on {processor()}; medians of {REPEATS},")
    print(
        "files in the page cache. *real*: 18 sites of RxRx1, repeated; *simulated*: a drawn screen. The last column is"
    )
    print(
        f"what RxRx1's {FULL_SIZE:,} sites would take with {THREADS[-1]} threads at that speed. The machine's load was"
    )
    print(
        f"{before:.1f} before it began and {os.getloadavg()[0]:.1f} at its end: what else ran may have cost some speed."
    )
    print("Made by `python benchmarks/audit.py`.\n")
    print("| images | form | mode | one thread | two threads | RxRx1, minutes |\n|---|---|---|---|---|---|")
    print("\n".join(lines))
    each, check = (median(values) for values in zip(*marks, strict=True))
    print(f"\nThe marks of a PNG data root take {each:.0f} us a file. A training finds a small data root unchanged in")
    print(f"{check:.1f} ms: it asks each plate's folder for its time of change and opens no file.")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
