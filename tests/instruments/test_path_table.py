"""Tables of image paths: CellProfiler's, JUMP's, and tables with a row per image, of this machine or another."""

import gzip
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml

from rcic.errors import UserError
from rcic.instruments.measurement import PLANE_COLUMNS
from rcic.instruments.path_table import read_path_table
from rcic.pixels.images.complete import missing_images
from rcic.pixels.images.own_files import open_files
from rcic.pixels.images.sites import site_table, sites_of
from rcic.screen.spec import PathColumns
from rcic.screen.table import read_screen
from tests.pixels.own import FORM, write_tiff

JUMP = (
    "FileName_IllumDNA,FileName_OrigDNA,FileName_OrigRNA,Metadata_Plate,Metadata_Well,Metadata_Site,"
    "PathName_IllumDNA,PathName_OrigDNA,PathName_OrigRNA"
)


def write(root: Path, *lines: str, name: str = "load_data.csv") -> str:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join(lines) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return name


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def planes(root: Path, name: str, **columns: str) -> list[tuple]:
    found = read_path_table(root, name, PathColumns(**columns)).planes
    assert [*found] == PLANE_COLUMNS and all(found[key].dtype == np.int64 for key in ("z", "time", "page"))
    return [tuple(row) for row in found.itertuples(index=False)]


@pytest.mark.parametrize("name", ["load_data.csv", "sub/load_data.csv.gz"])
def test_the_table_of_jump(tmp_path, name):
    away = "/home/ubuntu/bucket/projects/source_4/images/BR1__2021/Images/"
    write(
        tmp_path,
        JUMP,
        f"i.npy,r01c01f01p01-ch5.tiff,r01c01f01p01-ch3.tiff,BR1,A01,1,/x/,{away},{away}",
        f"i.npy,r01c02f02p01-ch5.tiff,r01c02f02p01-ch3.tiff,BR1,A02,02,/x/,{away},{away}",
        name=name,
    )
    touch(tmp_path, "images/BR1__2021/Images/r01c01f01p01-ch5.tiff")
    below = "images/BR1__2021/Images"
    assert planes(tmp_path, name) == [
        ("BR1", "A01", "1", "OrigDNA", 1, 1, f"{below}/r01c01f01p01-ch5.tiff", -1),
        ("BR1", "A02", "02", "OrigDNA", 1, 1, f"{below}/r01c02f02p01-ch5.tiff", -1),
        ("BR1", "A01", "1", "OrigRNA", 1, 1, f"{below}/r01c01f01p01-ch3.tiff", -1),
        ("BR1", "A02", "02", "OrigRNA", 1, 1, f"{below}/r01c02f02p01-ch3.tiff", -1),
    ]
    found = read_path_table(tmp_path, name)
    assert [(channel.word, channel.name) for channel in found.channels] == [("OrigDNA", "DNA"), ("OrigRNA", "RNA")]
    assert found.notes == ("IllumDNA: an illumination correction, no image",)


PATHS = {  # a path as written -> where it is below the data root
    "/elsewhere/P1/a.tif": "P1/a.tif",
    "P1/a.tif": "P1/a.tif",
    "./P1/a.tif": "P1/a.tif",
    "C:\\export\\P1\\a.tif": "P1/a.tif",
    "\\\\server\\share\\P1\\a.tif": "P1/a.tif",
    "s3://bucket/projects/P1/a.tif": "P1/a.tif",
    "https://host.org/data/P1/a.tif": "P1/a.tif",
    "https://host.org/data/my%20plate/b.tif": "my plate/b.tif",
    "file:/elsewhere/P1/a.tif": "P1/a.tif",
    "file:///elsewhere/P1/a.tif": "P1/a.tif",
    "tables/c.tif": "tables/c.tif",
    "c.tif": "tables/c.tif",  # beside the table
    "../P1/a.tif": "P1/a.tif",
    "/elsewhere/P9/a.tif": "elsewhere/P9/a.tif",  # there is none: as it is written
    "/x/y/deep/P1/d.tif": "y/deep/P1/d.tif",  # the longest end that is there
}


@pytest.mark.parametrize("path", PATHS)
def test_a_path_of_another_machine_is_found_by_its_end(tmp_path, path):
    touch(tmp_path, "P1/a.tif", "P1/d.tif", "y/deep/P1/d.tif", "my plate/b.tif", "tables/c.tif")
    name = write(tmp_path, "plate,well,file", f'P1,A01,"{path}"', name="tables/files.csv")
    assert planes(tmp_path, name) == [("P1", "A01", "1", "1", 1, 1, PATHS[path], -1)]


def test_a_path_of_this_machine_is_below_the_root(tmp_path):
    touch(tmp_path, "P1/a.tif")
    name = write(tmp_path, "plate,well,file", f"P1,A01,{tmp_path.resolve()}/P1/a.tif")
    assert planes(tmp_path, name)[0][6] == "P1/a.tif"


def test_paths_that_are_read_elsewhere_are_told_once(tmp_path, caplog):
    touch(tmp_path, "images/P1/a.tif", "images/P2/a.tif")
    lines = [f"{plate},A01,/mnt/lab/images/{plate}/a.tif" for plate in ("P1", "P2")]
    with caplog.at_level(logging.INFO, "rcic"):
        for name in ("x.csv", "y.csv"):
            read_path_table(tmp_path, write(tmp_path, "plate,well,file", *lines, name=name))
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path}: the paths of images below /mnt/lab, which a table lists, are read below this folder"
    ]


@pytest.mark.parametrize(
    ("title", "row"),
    [
        ("Plate,Well,Site,Channel,Path", "BR1,b2,3,DAPI,a.tif"),
        ("barcode;well;fov;stain;file_path", "BR1;B002;3;DAPI;a.tif"),
        (
            "Metadata_Plate,Metadata_Row,Metadata_Col,Metadata_Site,Metadata_ChannelName,FileName",
            "BR1,2,2,3,DAPI,a.tif",
        ),
        ("Metadata_Plate,Metadata_Well,Metadata_Site,Metadata_ChannelName,FileName_Image", "BR1,B02,3,DAPI,a.tif"),
        ("plate\trow\tcolumn\tfield\twavelength\tfilename\tfolder", "BR1\tB\t02\t3\tDAPI\ta.tif\t."),
        ("plate,well,site,channel,URL", "BR1,B-02,3,DAPI,s3://bucket/a.tif"),
    ],
)
def test_usual_titles_are_recognised(tmp_path, title, row):
    touch(tmp_path, "a.tif")
    assert planes(tmp_path, write(tmp_path, title, row)) == [("BR1", "B02", "3", "DAPI", 1, 1, "a.tif", -1)]


def test_unusual_titles_are_named_by_the_screen_spec(tmp_path):
    touch(tmp_path, "a.tif")
    titles = {"plate": "p", "row": "y", "column": "x", "site": "s", "channel": "c", "z": "h", "time": "d"}
    titles |= {"file": "image", "page": "n"}
    name = write(
        tmp_path, ",".join([*titles.values(), "well"]), "BR1,B,2,3,DAPI,4,5,a.tif,6,nonsense", "BR1,B,3,3,,,,a.tif,,"
    )
    rows = [("BR1", "B02", "3", "DAPI", 4, 5, "a.tif", 6), ("BR1", "B03", "3", "", 1, 1, "a.tif", -1)]
    with pytest.raises(UserError, match=r"well 'nonsense' is no well such as B02"):
        planes(tmp_path, name, **titles)
    name = write(tmp_path, ",".join(titles.values()), "BR1,B,2,3,DAPI,4,5,a.tif,6", "BR1,B,3,3,,,,a.tif,")
    assert planes(tmp_path, name, **titles) == rows
    with pytest.raises(UserError, match=r"has no column 'imag', which is images\.columns\.file of the .*'image'\?"):
        planes(tmp_path, name, **(titles | {"file": "imag"}))


def test_frames_and_series_are_pages(tmp_path):
    touch(tmp_path, "a.tif")
    head = "Metadata_Well,FileName_A,FileName_B,Frame_A,Frame_B,Series_A,Series_B"
    assert [row[7] for row in planes(tmp_path, write(tmp_path, head, "A01,a.tif,a.tif,0,2,0,0"))] == [-1, 2]
    assert [row[7] for row in planes(tmp_path, write(tmp_path, head, "A01,a.tif,a.tif,0,0,1,3"))] == [1, 3]
    with pytest.raises(UserError, match="Frame_B and Series_B both count"):
        planes(tmp_path, write(tmp_path, head, "A01,a.tif,a.tif,0,2,0,1"))


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["plate,well", "P,A01"], "has no column FileName_CHANNEL, and none of files"),
        (["plate,file", "P,a.tif"], "has no column of wells, nor of rows and columns"),
        (["well,file", "Z9x,a.tif"], "well 'Z9x' is no well such as B02"),
        (["row,column,file", "B,two,a.tif"], "row, column 'B, two' is no row and column such as B and 2"),
        (["well,z,file", "A01,top,a.tif"], "z 'top' is no whole number"),
        (["well,file", "A01,a.tif", "A01,b.tif"], r"several images of a well and channel, but has no column of sites"),
        (["well,file", 'A01,"a.tif'], "is no CSV file of image paths"),
        ([""], "is no CSV file of image paths"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, lines, reason):
    with pytest.raises(UserError, match=reason) as caught:
        planes(tmp_path, write(tmp_path, *lines))
    assert str(caught.value).startswith(f"{tmp_path}/load_data.csv: ") and "\n" not in str(caught.value)


def test_bytes_that_are_no_table_are_told(tmp_path):
    for data in (b"\xff\xfe\x00", b"\x1f\x8b broken"):
        (tmp_path / "x.csv").write_bytes(data)
        with pytest.raises(UserError, match=r"x\.csv: is no CSV file of image paths"):
            read_path_table(tmp_path, "x.csv")
    with pytest.raises(UserError, match=r"y\.csv: no such file"):
        read_path_table(tmp_path, "y.csv")


def screen(root: Path, pattern: str, channels: Sequence[dict], **images: object) -> Path:
    """Write a screen of three plates whose images are listed by tables."""
    entry = {"file": [pattern], "bits": 16, "levels": [0, 4095], **images}
    (root / "screen.yml").write_text(yaml.safe_dump(FORM | {"images": entry, "channels": channels}, sort_keys=False))
    rows = [f"b{n},P{n},A0{w},{'' if n == 3 else 'xy'[w - 1]}" for n in (1, 2, 3) for w in (1, 2)]
    (root / "wells.csv").write_text("\n".join(["batch,barcode,well,compound", *rows]) + "\n")
    return root


@pytest.mark.parametrize("way", ["a table a plate", "one table", "long"])
def test_a_screen_of_tables_through_the_store(tmp_path, way):
    lines: dict[str, list[str]] = {}
    for n in (1, 2, 3):
        for w in (1, 2):
            for c in (1, 2):
                write_tiff(tmp_path / f"img/P{n}/A0{w}_{c}.tif", 10 * n + 4 * w + c)
            row = f"P{n},A0{w},1,A0{w}_1.tif,A0{w}_2.tif,/data/img/P{n},/data/img/P{n}"
            lines.setdefault(f"P{n}", []).append(row)
    head = (
        "Metadata_Plate,Metadata_Well,Metadata_Site,FileName_OrigDNA,FileName_OrigAGP,PathName_OrigDNA,PathName_OrigAGP"
    )
    channels = [{"name": "DNA", "file": "OrigDNA"}, {"name": "AGP", "file": "OrigAGP"}]
    if way == "a table a plate":
        for plate, rows in lines.items():
            write(tmp_path, head, *rows, name=f"load/{plate}/load_data.csv")
        screen(tmp_path, "load/{plate}/load_data.csv", channels)
    elif way == "one table":
        write(tmp_path, head, *[row for rows in lines.values() for row in rows])
        screen(tmp_path, "load_data.csv", channels)
    else:
        rows = [f"P{n},A0{w},{c},img/P{n}/A0{w}_{c}.tif" for n in (1, 2, 3) for w in (1, 2) for c in (1, 2)]
        write(tmp_path, "which,well,dye,image", *rows, name="images.csv")
        columns = {"plate": "which", "channel": "dye", "file": "image"}
        screen(tmp_path, "images.csv", [{"name": "DNA"}, {"name": "AGP"}], columns=columns)
    found = read_screen(tmp_path)
    store = open_files(found)
    assert missing_images(store, found.wells) == []
    for site in sites_of(site_table(found.wells, (1,))):
        plate = found.barcode(site.experiment, site.plate)
        for channel in (1, 2):
            name = f"img/{plate}/{site.well}_{channel}.tif"
            assert store.name(site, channel) == name
            assert np.array_equal(store.raw(site, channel), tifffile.imread(tmp_path / name))
    assert found.identity.images().get("columns") == (columns if way == "long" else None)


def test_stacks_that_a_table_lists_are_projected(tmp_path):
    """The table says nothing of planes: the file's own pages count, as with patterns."""
    lines = [f"P{n},A0{w},img/P{n}/A0{w}.tif" for n in (1, 2, 3) for w in (1, 2)]
    write(tmp_path, "plate,well,file", *lines, name="images.csv")
    for seed, line in enumerate(lines):
        write_tiff(tmp_path / line.split(",")[2], seed, 3)
    stack = tifffile.imread(tmp_path / "img/P1/A01.tif")
    for z, wanted in (("max", stack.max(0)), (2, stack[1])):
        found = read_screen(screen(tmp_path, "images.csv", [{"name": "DNA", "file": "1"}], z=z))
        site = sites_of(site_table(found.wells, (1,)))[0]
        assert np.array_equal(open_files(found).raw(site, 1), wanted)
    for z, words in ((None, "has 3 pages of 32 x 32 pixels"), (4, "there is no z plane 4, but 1, 2, 3")):
        found = read_screen(screen(tmp_path, "images.csv", [{"name": "DNA", "file": "1"}], z=z))
        with pytest.raises(UserError, match=words):
            open_files(found).raw(site, 1)


def test_the_table_of_a_real_screen(shared_data, tmp_path):
    """BBBC021: titles of a CellProfiler database; its sites are in the files' names only, so one is kept here."""
    with gzip.open(shared_data / "bbbc021" / "BBBC021_v1_image.csv.gz", "rt") as file:
        lines = file.read().splitlines()
    seen: dict[str, str] = {}
    for line in lines[1:]:
        seen.setdefault(line.split(",")[8] + line.split(",")[9], line)
    found = read_path_table(tmp_path, write(tmp_path, lines[0], *seen.values()))
    assert [channel.word for channel in found.channels] == ["DAPI", "Tubulin", "Actin"]
    assert found.planes["plate"].nunique() == 55 and found.planes["file"].is_unique
    assert found.planes["file"][0].startswith("Week") and found.planes["well"].str.fullmatch(r"[B-G]\d\d").all()
    with pytest.raises(UserError, match="no column of sites"):
        read_path_table(tmp_path, write(tmp_path, *lines))
