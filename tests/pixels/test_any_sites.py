"""Sites from 0 and sites with names, from the files through audit and packing to the images."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from rcic.errors import UserError
from rcic.pixels.audit.findings import read_audit
from rcic.pixels.images.sites import ITS_OWN, SUBSTITUTE_SITE, site_table, sites_of
from rcic.pixels.packed.open_store import open_store, read_images
from rcic.screen.table import read_screen
from tests.program import Program

FORM = """\
name: fields
plate: 96
sites: {sites}
channels: [{{name: DNA}}]
images: {{file: ["{{plate}}/{{well}}_{{site}}.tif"], bits: 8}}
tables: [{{file: wells.csv}}]
columns: {{experiment: null, label: drug}}
"""
KINDS = {
    "zero": ("[0, 1, 2]", ("0", "1", "2"), ("0", "1", "2")),
    "names": ("[left, right]", ("left", "right"), ("left", "right")),
    "words": ("[{name: left, file: f01}, {name: right, file: f02}]", ("left", "right"), ("f01", "f02")),
}
Fields = Callable[[str], Path]


@pytest.fixture
def fields(tmp_path: Path) -> Fields:
    """Return a function that draws a screen of two wells with one of KINDS of sites."""

    def draw(kind: str) -> Path:
        sites, _, words = KINDS[kind]
        (folder := tmp_path / kind / "P1").mkdir(parents=True)
        (folder.parent / "screen.yml").write_text(FORM.format(sites=sites))
        (folder.parent / "wells.csv").write_text("plate,well,drug\nP1,A01,x\nP1,A02,y\n")
        for number, (well, word) in enumerate((well, word) for well in ("A01", "A02") for word in words):
            pixels = np.random.default_rng(number).integers(1, 255, (16, 16)).astype(np.uint8)
            tifffile.imwrite(folder / f"{well}_{word}.tif", pixels)
        return folder.parent

    return draw


@pytest.fixture
def program(capsys: pytest.CaptureFixture[str]) -> Program:
    return Program(capsys)


@pytest.mark.parametrize("kind", KINDS)
def test_packed_images_are_those_of_the_files(fields, program, tmp_path, kind):
    root, names = fields(kind), KINDS[kind][1]
    program.run("data.py", "pack", f"--data_root={root}", f"--out_dir={tmp_path}/packed", "--verify=True")
    for screen in (read_screen(root), read_screen(tmp_path / "packed")):
        for name, word in zip(names, KINDS[kind][2], strict=True):
            image = read_images(screen, "fields_P1_A02", site=name)[0]
            assert np.array_equal(image, tifffile.imread(root / "P1" / f"A02_{word}.tif"))
        first = read_images(screen, "fields_P1_A01")
        assert np.array_equal(first, read_images(screen, "fields_P1_A01", site=screen.spec.sites[0]))
        with pytest.raises(UserError, match=f"site is 7, but fields has {', '.join(names)}"):
            read_images(screen, "fields_P1_A01", site=7)


@pytest.mark.parametrize("kind", KINDS)
def test_the_audit_names_sites_and_takes_the_other_one(fields, program, tmp_path, kind):
    root, (_, names, words) = fields(kind), KINDS[kind]
    (root / "P1" / f"A02_{words[1]}.tif").write_bytes(b"")
    program.run("data.py", "audit", f"--data_root={root}", f"--out_dir={tmp_path}/a", "--on_bad=other-site")
    table = pd.read_csv(tmp_path / "a" / "audit.csv", dtype=str)
    assert table[["id_code", "site", "kind"]].to_numpy().tolist() == [["fields_P1_A02", names[1], "empty"]]
    screen = read_screen(root)
    rows = read_audit(tmp_path / "a", screen).usable_rows(site_table(screen.wells, screen.spec.sites), (1,))
    assert len(rows) == 2 * len(names) and (rows[SUBSTITUTE_SITE] != ITS_OWN).sum() == 1
    (taken,) = rows[rows[SUBSTITUTE_SITE] != ITS_OWN].index
    assert sites_of(rows)[taken].site == screen.spec.sites[0]  # also where that is 0
    images = open_store(screen).read(sites_of(rows)[taken], (1,))
    assert np.array_equal(images, read_images(screen, "fields_P1_A02"))


def test_exchanged_names_are_other_images(fields, program, tmp_path):
    root = fields("words")
    program.run("data.py", "audit", f"--data_root={root}", f"--out_dir={tmp_path}/a")
    sites = "[{name: right, file: f01}, {name: left, file: f02}]"
    (root / "screen.yml").write_text(FORM.format(sites=sites))
    with pytest.raises(UserError, match=r"of another screen than .* is now"):
        read_audit(tmp_path / "a", read_screen(root))
