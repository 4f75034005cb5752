"""Patterns from file names: of a dozen instruments, of people, and of names that no pattern can say."""

import random
import re

import pytest

from rcic.discover.file_layout import layouts_of
from rcic.discover.plate_hints import PlateHints
from tests.discover.trees import GUIDS, SITES, TREES, WELLS, batches_and_barcodes, operetta


def layout_of(files, hints=PlateHints()):  # noqa: B008
    layouts, lost = layouts_of(files, hints)
    assert lost == []
    (layout,) = layouts
    return layout


def as_expression(pattern):
    """Return a regular expression for what a pattern can name; a part that comes twice is the same twice."""
    seen = set()

    def part(match):
        again = match[1] in seen
        seen.add(match[1])
        return f"(?P={match[1]})" if again else f"(?P<{match[1]}>.+?)"

    text = re.sub(r"\\{(\w+)(?::0\d)?\\}", part, re.escape(pattern))
    return re.compile(text.replace(r"\*", ".*"))


@pytest.mark.parametrize("tree", TREES, ids=lambda tree: tree.__name__)
def test_a_layout_is_recognised(tree):
    expected = tree()
    layout = layout_of(expected.files)
    planes = layout.planes
    assert layout.pattern == expected.pattern
    assert bool(layout.why) == (not expected.pattern)
    assert sorted(planes["file"]) == sorted(expected.files)
    counts = [planes[column].nunique() for column in ("well", "site", "channel", "z", "time")]
    assert counts == [
        *(expected.n_wells, expected.n_sites, expected.n_channels, expected.n_z, expected.n_times),
    ]
    assert not planes.drop(columns="file").duplicated().any()
    if expected.pattern:
        name = as_expression(expected.pattern)
        assert all(name.fullmatch(file) for file in expected.files)


@pytest.mark.parametrize("tree", TREES, ids=lambda tree: tree.__name__)
def test_the_order_of_files_changes_nothing(tree):
    files = tree().files
    expected = layout_of(files)
    random.Random(0).shuffle(files)
    assert layout_of(files).pattern == expected.pattern


def test_projections_and_planes_are_two_layouts():
    names = iter(GUIDS)
    top = [f"1334/Mix_{w}_s{s}_w1{next(names)}.tif" for w in WELLS for s in SITES]
    below = [f"1334/ZStep_{z}/Mix_{w}_s{s}_w1{next(names)}.tif" for z in (1, 2) for w in WELLS for s in SITES]
    layouts, lost = layouts_of(top + below, PlateHints())
    assert lost == []
    assert {layout.pattern for layout in layouts} == {
        "1334/Mix_{well}_s{site}_w1*.tif",
        "1334/ZStep_{z}/Mix_{well}_s{site}_w1*.tif",
    }


@pytest.mark.parametrize(
    ("folder", "known", "pattern"),
    [
        ("{}", ["BR1", "BR2"], "{plate}/"),
        ("{}__2024-05-03T10_00_00-Measurement 1", ["BR1", "BR2"], "{plate}__2024-05-03T10_00_00-Measurement 1/"),
        ("Plate{}", ["BR1"], "Plate{plate}/"),
        ("{}_run7", ["BR1", "BR2", "BR3"], "{plate}_run7/"),
        ("{}", ["X1"], "{plate}/"),
    ],
)
def test_plates_are_called_as_in_the_table(folder, known, pattern):
    files = [
        f"{folder.format(plate)}/{well}_s{site}.tif" for plate in ("BR1", "BR2") for well in WELLS for site in SITES
    ]
    layout = layout_of(files, PlateHints(frozenset(known)))
    assert layout.pattern == pattern + "{well}_s{site}.tif"
    assert sorted(layout.planes["plate"].unique()) == ["BR1", "BR2"]


def test_one_plate_of_a_table_is_a_plate_too():
    files = [file for file in batches_and_barcodes().files if "BR3" in file]
    assert layout_of(files).pattern.startswith("2024-05-B/BR3/")
    hints = PlateHints(frozenset(["BR1", "BR3"]), frozenset(["2024-05-B"]))
    assert layout_of(files, hints).pattern.startswith("{experiment}/{plate}/")


def test_files_without_a_well_are_told():
    layouts, lost = layouts_of([*operetta().files, "overview.tif", "P1/DC_sCMOS #1.tif"], PlateHints())
    assert len(layouts) == 1
    assert sorted(lost) == ["P1/DC_sCMOS #1.tif", "overview.tif"]
