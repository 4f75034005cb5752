"""OME-Zarr plates as other programs write them: wells, sites, channels and planes, and what is said of damaged ones."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from rcic.errors import UserError
from rcic.instruments.indexes import reader_of
from rcic.instruments.measurement import PLANE_COLUMNS
from rcic.instruments.ome_zarr_plate import read_ome_zarr_plate
from rcic.pixels.images.zarr_plane import read_zarr_plane
from tests.instruments.ome_plates import WRITERS, Layout, pixels, write_group, write_image, write_plate


@pytest.mark.parametrize("writer", WRITERS)
def test_the_wells_sites_channels_and_pixels_of_every_writer(tmp_path, writer):
    write_plate(tmp_path / "exp" / "P1.ome.zarr", WRITERS[writer])
    found = read_ome_zarr_plate(tmp_path, "exp/P1.ome.zarr")
    assert list(found.planes.columns) == PLANE_COLUMNS
    assert {*found.planes["well"]} == {"A01", "A02", "C01", "C02"}
    assert {*found.planes["plate"]} == {"P1"} and {*found.planes["site"]} == {"0", "1"}
    assert [(one.word, one.name, one.colour, one.window) for one in found.channels] == [
        ("DNA", "DNA", "#0000ff", (10, 900)),
        ("Actin", "Actin", "#00ff00", (10, 900)),
    ]
    assert (found.pixel_um, found.shape, found.bits, found.notes) == (0.65, (16, 18), 12, ())
    for plane in found.planes.itertuples():
        expected = pixels(plane.well, plane.site)[["DNA", "Actin"].index(plane.channel)]
        assert np.array_equal(read_zarr_plane(tmp_path / plane.file, plane.page), expected)


def test_the_version_is_told(tmp_path):
    write_plate(tmp_path / "a.zarr", Layout())
    write_plate(tmp_path / "b.zarr", WRITERS["iohub"])
    assert read_ome_zarr_plate(tmp_path, "a.zarr").instrument == "OME-Zarr 0.5"
    assert read_ome_zarr_plate(tmp_path, "b.zarr").instrument == "OME-Zarr 0.4"


@pytest.mark.parametrize("name", ["P1.zarr", "*/Plate{plate}.ome.zarr", "P1.ZARR"])
def test_a_zarr_folder_is_an_index(name):
    assert reader_of(name) is read_ome_zarr_plate


def test_z_planes_count_from_1(tmp_path):
    write_plate(tmp_path / "p.zarr", WRITERS["ngio"], n_z=3)
    planes = read_ome_zarr_plate(tmp_path, "p.zarr").planes
    rows = planes[(planes["well"] == "C02") & (planes["site"] == "1") & (planes["channel"] == "Actin")]
    assert rows["z"].tolist() == [1, 2, 3] and rows["page"].tolist() == [3, 4, 5]
    images = [read_zarr_plane(tmp_path / row.file, row.page) for row in rows.itertuples()]
    assert all(np.array_equal(image, pixels("C02", "1")[1] + z) for z, image in enumerate(images))


@pytest.mark.parametrize(("axes", "n_z"), [("yx", 1), ("zyx", 2)])
def test_an_array_without_channels_has_one(tmp_path, axes, n_z):
    write_plate(tmp_path / "p.zarr", Layout(axes=axes, labels=()), n_z=n_z)
    found = read_ome_zarr_plate(tmp_path, "p.zarr")
    assert {*found.planes["channel"]} == {"1"} and len(found.channels) == 1
    assert found.planes["page"].max() == n_z - 1


@pytest.mark.parametrize("labels", [(), ("DNA",), ("DNA", "DNA"), ("DNA", "")])
def test_channels_that_names_do_not_tell_apart_are_numbered(tmp_path, labels):
    write_plate(tmp_path / "p.zarr", Layout(labels=labels))
    found = read_ome_zarr_plate(tmp_path, "p.zarr")
    assert [one.word for one in found.channels] == ["1", "2"]
    assert found.notes == ()


def test_fields_with_channels_in_another_order_keep_their_names(tmp_path):
    layout = Layout()
    folder = write_plate(tmp_path / "p.zarr", layout)
    write_image(folder / "A/1/0", replace(layout, labels=("Actin", "DNA")), pixels("A01", "0")[::-1])
    planes = read_ome_zarr_plate(tmp_path, "p.zarr").planes
    row = planes[(planes["well"] == "A01") & (planes["site"] == "0") & (planes["channel"] == "DNA")].iloc[0]
    assert row["page"] == 1
    assert np.array_equal(read_zarr_plane(tmp_path / row["file"], row["page"]), pixels("A01", "0")[0])


def test_what_was_not_copied_is_told_and_the_rest_read(tmp_path):
    folder = write_plate(tmp_path / "p.zarr", Layout())
    shutil.rmtree(folder / "A/1")
    shutil.rmtree(folder / "C/1/0")
    shutil.rmtree(folder / "C/2/1/0")
    (folder / "C/1/1/zarr.json").write_text("{")
    found = read_ome_zarr_plate(tmp_path, "p.zarr")
    assert {(well, site) for well, site in found.planes[["well", "site"]].to_numpy()} == {
        ("A02", "0"),
        ("A02", "1"),
        ("C02", "0"),
    }
    assert found.notes[0] == "p.zarr: 1 well is listed and not there: A01"
    assert found.notes[1] == "p.zarr: 2 fields are listed and not there: C01 0, C02 1"
    assert found.notes[2].startswith("p.zarr: the metadata of 1 folder cannot be used: C01 1 (")


def test_a_well_that_the_plate_does_not_list_is_told(tmp_path):
    folder = write_plate(tmp_path / "p.zarr", Layout())
    shutil.copytree(folder / "A/1", folder / "D/7")
    notes = read_ome_zarr_plate(tmp_path, "p.zarr").notes
    assert notes == ("p.zarr: 1 well in the folder that the plate does not list, not read: D/7",)


@pytest.mark.parametrize(
    ("unit", "scale", "pixel_um"),
    [("nanometer", 650.0, 0.65), ("millimeter", 0.00065, 0.65), (None, 0.65, 0.0), ("parsec", 1.0, 0.0)],
)
def test_the_pixel_size_has_a_unit(tmp_path, unit, scale, pixel_um):
    folder = write_plate(tmp_path / "p.zarr", Layout(pixel_um=scale))
    for path in folder.glob("*/*/*/zarr.json"):
        text = path.read_text()
        path.write_text(text.replace(', "unit": "micrometer"', f', "unit": "{unit}"' if unit else ""))
    assert read_ome_zarr_plate(tmp_path, "p.zarr").pixel_um == pytest.approx(pixel_um)


def test_a_scale_of_all_levels_counts(tmp_path):
    folder = write_plate(tmp_path / "p.zarr", Layout(pixel_um=0.5))
    for path in folder.glob("*/*/*/zarr.json"):
        content = json.loads(path.read_text())
        steps = [{"type": "scale", "scale": [1, 2.0, 2.0]}]
        content["attributes"]["ome"]["multiscales"][0]["coordinateTransformations"] = steps
        path.write_text(json.dumps(content))
    assert read_ome_zarr_plate(tmp_path, "p.zarr").pixel_um == 1.0


def test_a_whole_plate_is_recognised_by_its_rows_and_columns(tmp_path):
    folder = write_plate(tmp_path / "p.zarr", Layout())
    content = json.loads((folder / "zarr.json").read_text())
    plate = content["attributes"]["ome"]["plate"]
    plate |= {"rows": [{"name": name} for name in "HGFEDCBA"], "columns": [{"name": f"{n:02}"} for n in range(1, 13)]}
    (folder / "zarr.json").write_text(json.dumps(content))
    assert read_ome_zarr_plate(tmp_path, "p.zarr").n_wells == 96


def test_before_0_4_axes_are_names_or_absent(tmp_path):
    folder = write_plate(tmp_path / "p.zarr", WRITERS["bioformats2raw"])
    for number, path in enumerate(folder.glob("*/*/*/.zattrs")):
        content = json.loads(path.read_text())
        content["multiscales"][0].pop("axes")
        if number % 2:
            content["multiscales"][0]["axes"] = list("tczyx")
        path.write_text(json.dumps(content))
    found = read_ome_zarr_plate(tmp_path, "p.zarr")
    assert len(found.planes) == 16 and found.pixel_um == 0.0


def test_the_name_of_the_plate_is_that_in_its_metadata(tmp_path):
    folder = write_plate(tmp_path / "p.zarr", Layout())
    content = json.loads((folder / "zarr.json").read_text())
    content["attributes"]["ome"]["plate"]["name"] = "BR0031"
    (folder / "zarr.json").write_text(json.dumps(content))
    assert {*read_ome_zarr_plate(tmp_path, "p.zarr").planes["plate"]} == {"BR0031"}


def refused(root, path="p.zarr"):
    """Return why a plate is refused, without the folder at the start."""
    with pytest.raises(UserError) as caught:
        read_ome_zarr_plate(root, path)
    assert str(caught.value).startswith(str(root / path))
    return str(caught.value).removeprefix(f"{root / path}: ")


def test_what_is_no_plate_is_refused_by_its_folder(tmp_path):
    (tmp_path / "p.zarr").mkdir()
    assert refused(tmp_path).startswith("is no Zarr group")
    write_image(tmp_path / "p.zarr", Layout(), pixels("A01", "0"))
    assert refused(tmp_path).startswith("is no OME-Zarr plate")
    (tmp_path / "p.zarr" / "zarr.json").write_text('{"attributes"')
    assert refused(tmp_path).startswith("the metadata of the Zarr group are damaged")


def test_a_plate_without_any_image_is_refused(tmp_path):
    folder = write_plate(tmp_path / "p.zarr", Layout())
    for row in "AC":
        shutil.rmtree(folder / row)
    assert "none of 4 wells that it lists is there" in refused(tmp_path)


@pytest.mark.parametrize("path", ["1/1", "A/0", "A", "../B", None, "AG/1"])
def test_a_well_without_row_letter_and_column_number_is_refused(tmp_path, path):
    folder = write_plate(tmp_path / "p.zarr", Layout())
    write_group(folder, {"plate": {"wells": [{"path": "A/1"}, {"path": path}]}}, Layout())
    assert "wells must be row/column, such as A/1" in refused(tmp_path)


def test_one_well_in_two_folders_is_refused(tmp_path):
    folder = write_plate(tmp_path / "p.zarr", Layout())
    write_group(folder, {"plate": {"wells": [{"path": "A/1"}, {"path": "A/01"}]}}, Layout())
    assert refused(tmp_path) == "well A01 is there as A/1 and as A/01; keep one of them"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('"path": "0", "coord', '"path": "../../../x", "coord', "leads out of its folder"),
        ('"name": "y"', '"name": "q"', "its axes are"),
        ('"datasets": [', '"dataset": [', "its metadata lack 'datasets'"),
        ('"multiscales": [', '"multiscale": [', "its metadata lack 'multiscales'"),
    ],
)
def test_an_image_with_wrong_metadata_is_told(tmp_path, old, new, reason):
    folder = write_plate(tmp_path / "p.zarr", Layout())
    path = folder / "A/1/0/zarr.json"
    path.write_text(path.read_text().replace(old, new))
    found = read_ome_zarr_plate(tmp_path, "p.zarr")
    assert len(found.planes) == 14
    assert len(found.notes) == 1 and f"A01 0 ({reason}" in found.notes[0].replace("the path '../../../x' ", "")


def test_images_of_several_kinds_are_told(tmp_path):
    folder = write_plate(tmp_path / "p.zarr", Layout())
    write_image(folder / "A/1/0", Layout(), pixels("A01", "0", side=20))
    write_image(folder / "A/1/1", Layout(labels=()), pixels("A01", "1").astype(np.uint8))
    assert read_ome_zarr_plate(tmp_path, "p.zarr").notes == (
        "p.zarr: the images have different sizes: 16 x 18, 20 x 22",
        "p.zarr: the images have different types of pixels: uint16, uint8",
        "p.zarr: 1 image without channel names, unlike others: A01 1",
    )


def nodes(value, path=()):
    """Yield the path of every value in a JSON document."""
    yield path
    for key, entry in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from nodes(entry, (*path, key))


def changed(value, path, new):
    """Return a JSON document with another value at a path."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed(value[path[0]], path[1:], new)
    return copy


@pytest.mark.parametrize("ngff", ["0.4", "0.5"])
def test_no_value_in_the_metadata_is_a_traceback(tmp_path, ngff):
    """Every value of every kind of file is replaced by values of every other type, one at a time."""
    folder = write_plate(tmp_path / "p.zarr", Layout(ngff=ngff, rows=("A",), columns=("1",)), ("0",))
    files = [path for path in folder.rglob("*") if path.name in ("zarr.json", ".zattrs", ".zarray")]
    read = 0
    for path in files:
        text = path.read_text()
        content = json.loads(text)
        for place in nodes(content):
            for new in (None, [], {}, "x", 10**12, 1.5, [None]):
                path.write_text(json.dumps(changed(content, place, new)))
                try:
                    read += len(read_ome_zarr_plate(tmp_path, "p.zarr").planes) > 0
                except UserError as error:
                    assert "\n" not in str(error)
        path.write_text(text)
    assert read > 100
