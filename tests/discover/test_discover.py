"""`rcic data discover`: real exports and generated trees become screens whose every image is found."""

import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import yaml

from rcic.discover.discovery import discover
from rcic.errors import UserError
from rcic.pixels.images.own_files import open_files
from rcic.pixels.images.sites import Site, site_table, sites_of
from rcic.screen.describe import describe, describe_text
from rcic.screen.source import ScreenSource
from rcic.screen.spec_files import read_spec
from rcic.screen.table import read_screen
from tests.discover.trees import TREES, batches_and_barcodes, operetta
from tests.program import Program
from tests.screen.tiny import KAGGLE, write_tables


def write_tree(root, files, n_pixels=8):
    """Write 16-bit images, every one with a number of its own as its only grey level."""
    for number, file in enumerate(files, start=1):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        image = np.full((n_pixels, n_pixels), number, np.uint16)
        if file.endswith(".png"):
            import cv2

            assert cv2.imwrite(str(root / file), image)
        else:
            tifffile.imwrite(root / file, image)
    return root


def discovered(root, **more):
    """Discover a folder; return the spec, the screen, the files and the report."""
    out = root / "screen.yml"
    report = discover(root, out, **more)
    spec = read_spec(out)
    screen = read_screen(ScreenSource(str(root)), spec)
    return spec, screen, open_files(screen), report


def files_of(screen, store):
    """Return the file of every plane that the program reads for a screen."""
    return [
        plane.file
        for site in sites_of(site_table(screen.wells, screen.spec.sites))
        for channel in screen.spec.channel_numbers
        for plane in store.sources.find(site, channel).planes
    ]


def commented(path):
    """Return the lines of a spec that give a value and have no comment, but for headings above other lines."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return [line for line in lines if " # " not in line and not line.rstrip().endswith(":")]


@pytest.mark.parametrize("tree", TREES, ids=lambda tree: tree.__name__)
def test_every_image_of_a_layout_is_found(tree, tmp_path):
    expected = tree()
    spec, screen, store, _ = discovered(write_tree(tmp_path, expected.files))
    found = files_of(screen, store)
    assert len(set(found)) == len(found) == len(expected.files) // expected.n_times
    assert set(found) <= set(expected.files)
    assert (len(spec.sites), len(spec.channels)) == (expected.n_sites, expected.n_channels)
    assert spec.images.z == ("max" if expected.n_z > 1 else None)
    assert screen.wells["well"].nunique() == expected.n_wells
    assert commented(tmp_path / "screen.yml") == []


SAMPLES = {  # name -> a site and channel, the files of its planes, and numbers of plates, wells, sites and channels
    "phenix": ("C03", 2, 1, ["Images/r03c03f02p01-ch1sk1fk1fl1.tiff"], (1, 1, 2, 1)),
    "imagexpress_exported": ("B03", 2, 2, ["9987_Plate_3435/TimePoint_1/9987_B03_s2_w2.TIF"], (1, 2, 2, 2)),
    "imagexpress_database": (
        *("E08", 1, 3),
        ["2023-02-21/1334/Projection-Mix_E08_s1_w3DD77D22D-07CB-4529-A1F5-DCC5473786FA.tif"],
        (1, 2, 2, 3),
    ),
    "yokogawa_cv8000": (
        *("E03", 3, 2),
        [
            "CV8000-Minimal-DataSet-2C-3W-4S-FP2-stack_20230918_135839/CV8000-Minimal-DataSet-2C-3W-4S-FP2-stack/"
            f"CV8000-Minimal-DataSet-2C-3W-4S-FP2-stack_E03_T0001F003L01A02Z0{z}C02.tif"
            for z in (1, 2, 3, 4)
        ],
        (1, 3, 4, 2),
    ),
}


@pytest.fixture
def sample(shared_data, tmp_path):
    """Return a function that copies a real export; its text is copied, its images are linked.

    Those of the CV8000 are all black: small drawn ones take their places.
    """
    random = np.random.default_rng(0)

    def copy(name):
        source = shared_data / name
        for folder, _, names in os.walk(source):
            there = tmp_path / "data" / Path(folder).relative_to(source)
            there.mkdir(parents=True, exist_ok=True)
            for file in names:
                if file == "not-imaged.csv":
                    continue  # a list that discover writes, no part of the sample
                is_image = file.lower().endswith((".tif", ".tiff"))
                if is_image and "yokogawa" in name:
                    tifffile.imwrite(there / file, random.integers(100, 4000, (40, 40), np.uint16))
                else:
                    (os.symlink if is_image else shutil.copyfile)(Path(folder) / file, there / file)
        return tmp_path / "data"

    return copy


@pytest.mark.parametrize("name", SAMPLES)
def test_a_real_export_goes_all_the_way(name, sample, tmp_path, capsys):
    """Discover, describe, audit, pack; the pixels are those that tifffile reads of the known files."""
    well, number, channel, files, counts = SAMPLES[name]
    root, program = sample(f"instruments/{name}"), Program(capsys)
    program.run("data.py", "discover", f"--data_root={root}", f"--out={root / 'screen.yml'}")
    wells = pd.read_csv(root / "wells.csv", dtype=str, keep_default_na=False)
    assert (wells["label"] == "").all()
    program.run("data.py", "describe", f"--data_root={root}")
    wells.assign(label=[f"compound {n}" for n in range(len(wells))]).to_csv(root / "wells.csv", index=False)
    assert "treatments" in program.run("data.py", "describe", f"--data_root={root}")

    screen = read_screen(ScreenSource(str(root)))
    row = screen.wells[screen.wells["well"] == well].iloc[0]
    pixels = open_files(screen).raw(Site("train", row["experiment"], int(row["plate"]), well, number), channel)
    expected = np.max([tifffile.imread(root / file, is_ome=False) for file in files], axis=0)
    assert np.array_equal(pixels, expected)
    assert expected.any()
    n_plates = len(screen.wells[["experiment", "plate"]].drop_duplicates())
    assert (n_plates, len(screen.wells), len(screen.spec.sites), len(screen.spec.channels)) == counts

    audit = program.run("data.py", "audit", f"--data_root={root}", f"--out_dir={tmp_path / 'audit'}", "--workers=2")
    assert "no bad images" in audit
    packed = program.run("data.py", "pack", f"--data_root={root}", f"--out_dir={tmp_path / 'packed'}", "--verify")
    assert "every packed image equals its file" in packed


def test_a_real_plate_with_doses(sample):
    root = sample("sbs96")
    spec, screen, store, report = discovered(root)
    assert spec.images.file == ("Channel{channel}-*-{row}-{column:02}.tif",)
    assert (spec.columns.experiment, spec.columns.plate, spec.columns.label) == (None, None, "SBS_Doses")
    assert (spec.columns.row, spec.columns.column, spec.well_types.column) == ("Row", "Column", "SBS_Controls")
    assert spec.labels.kind == "dose"
    assert spec.well_types.skip_file == "not-imaged.csv"
    assert len(screen.wells) == 48, "half of the 96 wells of the table have images"
    assert len(set(files_of(screen, store))) == 96
    assert "48 rows of 1049_Metadata.csv have no image" in report
    assert "treatments" in describe_text(describe(screen))


def test_lists_are_written_once(sample, tmp_path):
    """Wells without images are listed beside the spec, which may be elsewhere; the same list is not written again."""
    root = sample("sbs96")
    for _ in range(2):
        discover(root, tmp_path / "specs" / "screen.yml", force=True)
    spec = read_spec(tmp_path / "specs" / "screen.yml")
    assert spec.well_types.skip_file == str((tmp_path / "specs" / "not-imaged.csv").resolve())
    assert len(read_screen(ScreenSource(str(root)), spec).wells) == 48
    assert sorted(path.name for path in tmp_path.rglob("*.csv")) == ["1049_Metadata.csv", "not-imaged.csv"]


def test_one_table_for_batches_and_barcodes(tmp_path):
    tree = batches_and_barcodes()
    write_tree(tmp_path, tree.files)
    plates = (("2024-03-A", "BR1"), ("2024-03-A", "BR2"), ("2024-05-B", "BR3"))
    rows = [
        (batch, barcode, well, "U2OS", compound)
        for batch, barcode in plates
        for well, compound in zip(("B02", "B11", "C02", "P24"), ("DMSO", "a", "b", "empty"), strict=True)
    ]
    pd.DataFrame(rows, columns=["Batch", "Barcode", "Well", "Cells", "Compound"]).to_csv(
        tmp_path / "map.csv", index=False
    )
    spec, screen, store, report = discovered(tmp_path)
    assert (spec.columns.experiment, spec.columns.plate, spec.columns.label) == ("Batch", "Barcode", "Compound")
    assert spec.cell_type.column == "Cells"
    assert spec.well_types.negative_control == ("DMSO",)
    assert spec.well_types.skip == ("empty",)
    assert spec.assignment == "one-to-one"
    assert sorted(screen.wells["experiment"].unique()) == ["2024-03-A", "2024-05-B"]
    assert len(set(files_of(screen, store))) == len(tree.files) * 3 // 4
    assert "12 wells" in report


def test_a_table_that_lies_elsewhere_is_copied(tmp_path):
    root = write_tree(tmp_path / "plate", operetta().files)
    table = tmp_path / "plate map.csv"
    rows = [f"{plate};{well};µM{n}" for plate in ("P1", "P2") for n, well in enumerate(("B2", "B11", "C2", "C11"))]
    table.write_bytes("\n".join(["plate;well;compound", *rows]).encode("cp1252"))
    spec, screen, _, _ = discovered(root, table=table)
    assert spec.tables[0].file == "plate map.csv"
    assert list(screen.classes) == ["µM0", "µM1", "µM2", "µM3"]
    assert not (root / "wells.csv").exists()


def test_an_existing_file_is_not_overwritten(tmp_path, capsys):
    root = write_tree(tmp_path, operetta().files[:24])
    (tmp_path / "screen.yml").write_text("mine\n")
    line = Program(capsys).refuse("data.py", "discover", f"--data_root={root}", f"--out={root / 'screen.yml'}")
    assert "--force" in line
    assert (tmp_path / "screen.yml").read_text() == "mine\n"
    discover(root, tmp_path / "screen.yml", force=True)
    (tmp_path / "wells.csv").write_text("well,label\nB02,mine\n")
    discover(root, tmp_path / "screen.yml", force=True)
    assert (tmp_path / "wells.csv").read_text() == "well,label\nB02,mine\n"


@pytest.mark.parametrize("files", [[], ["a.tif", "b.tif"], ["notes.txt"]])
def test_a_folder_without_wells_is_one_line(tmp_path, files):
    for name in files:
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(UserError, match="by hand"):
        discover(tmp_path, tmp_path / "screen.yml")
    assert not (tmp_path / "screen.yml").exists()
    assert not (tmp_path / "wells.csv").exists()


def test_a_missing_folder_is_one_line(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        discover(tmp_path / "none", tmp_path / "screen.yml")


def test_a_damaged_index_is_not_passed_over(tmp_path):
    write_tree(tmp_path, ["Images/r02c02f01p01-ch1sk1fk1fl1.tiff"])
    (tmp_path / "Images" / "Index.idx.xml").write_text("<EvaluationInputData xmlns='a/HarmonyV5'><Plates>")
    with pytest.raises(UserError, match="is no whole XML file"):
        discover(tmp_path, tmp_path / "screen.yml")


def test_what_is_not_used_is_said(tmp_path):
    files = [f"{well}_s{site}_w1.tif" for well in ("B02", "B03") for site in (1, 2)]
    extra = ["B02_s1_w1_mask.tif", "thumbs/B02_s1_thumb_w1.tif", "background.tif", "._B02_s1_w1.tif"]
    write_tree(tmp_path, [*files, *extra])
    _, screen, store, report = discovered(tmp_path)
    assert sorted(files_of(screen, store)) == sorted(files)
    for part in ("mask", "thumb", "background.tif", "._B02"):
        assert part in report.split("not used")[1]


def test_rxrx1_needs_no_spec(tmp_path):
    write_tables(tmp_path, KAGGLE)
    report = discover(tmp_path, tmp_path / "screen.yml")
    assert "no screen spec is needed" in report
    assert not (tmp_path / "screen.yml").exists()


def test_links_in_a_circle_end(tmp_path):
    root = write_tree(tmp_path / "plate", operetta().files)
    (root / "again").symlink_to(root)
    (root / "P1__2024-05-03T10_00_00" / "up").symlink_to(root)
    _, screen, store, _ = discovered(root)
    assert sorted(files_of(screen, store)) == sorted(operetta().files)


def test_the_spec_is_yaml_with_a_reason_for_every_line(tmp_path):
    write_tree(tmp_path, operetta().files)
    discover(tmp_path, tmp_path / "screen.yml")
    text = (tmp_path / "screen.yml").read_text()
    assert yaml.safe_load(text)["plate"] == 96
    assert commented(tmp_path / "screen.yml") == []
    assert "# not known: labels" in text


def test_a_table_that_was_written_is_used_again(tmp_path):
    root = write_tree(tmp_path, operetta().files)
    discover(root, tmp_path / "screen.yml")
    discover(root, tmp_path / "screen.yml", force=True)
    assert sorted(path.name for path in tmp_path.glob("*.csv")) == ["wells.csv"]
    wells = pd.read_csv(root / "wells.csv", dtype=str, keep_default_na=False)
    wells.assign(label=["DMSO", "a"] * 4).to_csv(root / "wells.csv", index=False)
    spec, screen, _, _ = discovered(root, force=True)
    assert spec.well_types.negative_control == ("DMSO",)
    assert set(screen.classes) == {"a", "DMSO"}


def test_a_table_of_paths_is_an_index(tmp_path):
    """CellProfiler's, with paths of another machine and a batch of illumination corrections."""
    files = [f"images/BR1/{n}.tif" for n in range(8)]
    write_tree(tmp_path, files)
    rows = [
        {
            **{"FileName_OrigDNA": f"{2 * n}.tif", "PathName_OrigDNA": "/home/ubuntu/images/BR1/"},
            **{"FileName_OrigER": f"{2 * n + 1}.tif", "PathName_OrigER": "/home/ubuntu/images/BR1/"},
            **{"Metadata_Plate": "BR1", "Metadata_Well": ("A01", "B02")[n // 2], "Metadata_Site": n % 2 + 1},
        }
        for n in range(4)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "load_data.csv", index=False)
    spec, screen, store, _ = discovered(tmp_path)
    assert spec.images.file == ("load_data.csv",)
    assert [channel.name for channel in spec.channels] == ["DNA", "ER"]
    assert sorted(files_of(screen, store)) == sorted(files)
    assert sorted(screen.wells["well"]) == ["A01", "B02"]


def test_a_packed_screen_needs_no_spec(tmp_path):
    (tmp_path / "packed.json").write_text("{}")
    assert "packed" in discover(tmp_path, tmp_path / "screen.yml")
    assert not (tmp_path / "screen.yml").exists()


@pytest.mark.parametrize(
    ("shape", "options", "channels", "z"),
    [
        ((3, 8, 9), {"photometric": "minisblack"}, ["channel 1", "channel 2", "channel 3"], None),
        ((8, 9, 3), {"photometric": "rgb"}, ["red", "green", "blue"], None),
        ((4, 2, 8, 9), {"imagej": True, "metadata": {"axes": "ZCYX"}}, ["channel 1", "channel 2"], "max"),
        (
            (2, 8, 9),
            {"ome": True, "metadata": {"axes": "CYX", "Channel": {"Name": ["DAPI", "GFP"]}}},
            ["DAPI", "GFP"],
            None,
        ),
    ],
)
def test_files_with_all_channels(tmp_path, shape, options, channels, z):
    random = np.random.default_rng(0)
    for name in ("B02_1", "B02_2", "C11_1", "C11_2"):
        tifffile.imwrite(tmp_path / f"{name}.tif", random.integers(0, 250, shape).astype(np.uint8), **options)
    spec, screen, store, report = discovered(tmp_path)
    assert spec.images.file == ("{well}_{site}.tif",)
    assert [channel.name for channel in spec.channels] == channels
    assert spec.images.z == z
    assert set(files_of(screen, store)) == {path.name for path in tmp_path.glob("*.tif")}
    assert "how this becomes" not in (tmp_path / "screen.yml").read_text(), report
