"""How many sites a second an audit looks at: ``PYTHONPATH=src python benchmarks/audit.py WORK > benchmarks/audit.md``.

Prints the page. The screens are made below WORK: the real sites, where they are, repeated, and a drawn one of 512 px.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from speed import processor
from speed_data import REPEATS, Images, image_sets, seconds

from rcic.pixels.audit.folder_state import changed_folders, folder_states
from rcic.pixels.audit.inspection import audit_sites
from rcic.pixels.images.sites import site_table
from rcic.pixels.packed.open_store import open_store
from rcic.pixels.packed.pack_screen import pack
from rcic.screen.table import read_screen

THREADS = (1, 2)
FULL_SIZE = 125_510  # sites of RxRx1
PAGE = """# How fast an audit is

Sites a second of `data.py audit`, six channels of 512 px a site, on {processor}; medians of {repeats}, files in the
page cache. *real*: 18 sites of RxRx1, repeated; *simulated*: a drawn screen. The last column is what RxRx1's {sites:,}
sites would take at the better of the two speeds; a disk that is slower than that sets the pace instead. Made by
`python benchmarks/audit.py`.

| images | form | mode | one thread | two threads | RxRx1, minutes |
|---|---|---|---|---|---|
{rows}

The marks of a PNG data root take {mark:.0f} us a file. A training finds a data root of {folders} plate folders
unchanged in {check:.1f} ms: it asks each for its time of change and opens no file.
"""


def sites_a_second(root: Path, experiments: Sequence[str], decode: bool) -> dict[int, float]:
    """Return for each number of threads how many sites of these experiments are looked at in a second."""
    screen = read_screen(root)
    wells = screen.wells
    rows = site_table(wells[wells["experiment"].isin(experiments)].reset_index(drop=True))
    store, again = open_store(screen), 1 if decode else 20  # what takes a blink is done some times over

    def look(threads: int) -> None:
        for _ in range(again):
            list(audit_sites(store, rows, decode, threads))

    return {n: again * len(rows) / seconds(lambda n=n: look(n)) for n in THREADS}


def rows_of(images: Images, work: Path) -> list[str]:
    """Return the table's rows of one screen."""
    experiments = sorted({site.experiment for site in images.sites()})
    lines = []
    for spec, root in (("PNG", images.root), ("packed", packed(images, work))):
        for decode in (False, True):
            speed = sites_a_second(root, experiments, decode)
            cells = " | ".join(f"{value:,.0f}" for value in speed.values())
            minutes = FULL_SIZE / max(speed.values()) / 60
            lines.append(f"| {images.name} | {spec} | {'full' if decode else 'quick'} | {cells} | {minutes:.1f} |")
    return lines


def packed(images: Images, work: Path) -> Path:
    """Return the packed form of a screen, made if it is not there."""
    out = work / f"{images.name}_packed"
    pack(images.root, out, (), threads=len(os.sched_getaffinity(0)), verify=False)
    return out


def marked(root: Path) -> dict[str, float]:
    """Return the microseconds a file that the marks of a data root take, and the milliseconds of finding no change."""
    screen = read_screen(root)
    marks = folder_states(screen)
    n_files = sum(mark.n_files for mark in marks.values())
    mark, check = seconds(lambda: folder_states(screen)) / n_files, seconds(lambda: changed_folders(screen, marks))
    return {"mark": 1e6 * mark, "check": 1e3 * check, "folders": len(marks)}


def main(work: Path) -> None:
    """Measure, print the page."""
    stdout, sys.stdout = sys.stdout, sys.stderr  # what simulating and packing say is no part of the page
    sets = image_sets(work)
    rows = "\n".join(line for images in sets for line in rows_of(images, work))
    facts = {"processor": processor(), "repeats": REPEATS, "sites": FULL_SIZE}
    facts |= {"rows": rows, **marked(sets[-1].root)}
    sys.stdout = stdout
    print(PAGE.format(**facts), end="")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
