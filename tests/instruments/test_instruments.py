"""Indexes of instruments: the real ones, as their writers really write them, and damaged ones."""

import shutil
from pathlib import Path

import pytest

from rcic.errors import UserError
from rcic.instruments.harmony import read_harmony
from rcic.instruments.indexes import READERS, reader_of
from rcic.instruments.measurement import PLANE_COLUMNS, MeasuredChannel
from rcic.instruments.metaxpress import metaxpress_name, read_metaxpress
from rcic.instruments.yokogawa import read_yokogawa

GUID = "66923EBB-9960-4952-8955-D1721D112EE2"


@pytest.fixture
def instruments(shared_data):
    return shared_data / "instruments"


def values(measurement, column):
    return sorted(measurement.planes[column].unique().tolist())


def check_planes(root, measurement):
    """Assert what the contract says of every table of planes, and that its files are there."""
    planes = measurement.planes
    assert list(planes.columns) == PLANE_COLUMNS
    assert [str(planes[column].dtype) for column in ("z", "time", "page")] == ["int64"] * 3
    assert not planes.duplicated(["plate", "well", "site", "channel", "z", "time"]).any()
    assert all((root / name).is_file() for name in planes["file"])


def test_the_phenix_sample(instruments):
    found = read_harmony(instruments, "phenix/Images/Index.idx.xml")
    check_planes(instruments, found)
    assert found.instrument == "Harmony V5, instrument type Sonata"
    assert found.planes.iloc[1].tolist() == [
        *("Test_Sample_BALL", "C03", "2", "1", 1, 0),
        *("phenix/Images/r03c03f02p01-ch1sk1fk1fl1.tiff", -1),
    ]
    assert [(channel.word, channel.name) for channel in found.channels] == [("1", "Fluorescein (FITC)")]
    assert (found.n_wells, found.shape, found.bits, found.notes) == (384, (1080, 1080), 16, ())
    assert found.pixel_um == pytest.approx(1.19595216)


def test_the_yokogawa_sample(instruments):
    index = next(instruments.rglob("*.mlf")).relative_to(instruments).as_posix()
    found = read_yokogawa(instruments, index)
    check_planes(instruments, found)
    assert found.instrument == "Yokogawa CV8000"
    assert len(found.planes) == 3 * 4 * 4 * 2
    assert values(found, "plate") == ["CV8000-Minimal-DataSet-2C-3W-4S-FP2-stack"]
    assert values(found, "well") == ["D08", "E03", "F08"]
    assert values(found, "site") == ["1", "2", "3", "4"]
    assert values(found, "z") == [1, 2, 3, 4]
    assert not found.planes["file"].str.contains("/DC_|/SC_").any()
    names = found.planes.set_index(["well", "site", "channel", "z"])["file"]
    assert names["E03", "2", "2", 3].endswith("_E03_T0001F002L01A02Z03C02.tif")
    assert found.channels == (
        MeasuredChannel("1", "BP445/45", "#002fff"),
        MeasuredChannel("2", "BP525/50", "#00ffa1"),
    )
    assert (found.n_wells, found.pixel_um, found.shape, found.bits) == (96, 0.325, (2000, 2000), 16)


def test_an_export_with_two_time_points(instruments):
    found = read_metaxpress(instruments, "imagexpress_exported/9987_Plate_3435/9987.HTD")
    check_planes(instruments, found)
    assert len(found.planes) == 2 * 2 * 2 * 2
    assert [values(found, column) for column in ("plate", "well", "site", "z", "time")] == [
        *(["9987"], ["B02", "B03"], ["1", "2"], [0], [1, 2])
    ]
    assert [(channel.word, channel.name) for channel in found.channels] == [("1", "DAPI"), ("2", "FITC")]
    assert found.notes == ("no image of Texas Red, Cy5, which the .HTD file announces",)
    assert (found.n_wells, found.pixel_um, found.shape, found.bits) == (96, 1.3672, (256, 256), 16)


def test_an_export_of_one_file_without_site_and_channel(instruments):
    found = read_metaxpress(instruments, "imagexpress_exported/9987_Plate_3420/9987.HTD")
    check_planes(instruments, found)
    assert found.planes[["well", "site", "channel", "z", "time"]].iloc[0].tolist() == ["B02", "1", "1", 0, 1]
    assert [channel.name for channel in found.channels] == ["DAPI"]


def test_projections_and_planes_beside_a_htd_file(instruments, tmp_path):
    """The images of a database export, with thumbnails, beside the text of another export."""
    (tmp_path / "ZStep_1").mkdir()
    for path in instruments.joinpath("imagexpress_database").rglob("*.tif"):
        (tmp_path / ("ZStep_1" if path.parent.name == "ZStep_1" else "") / path.name).symlink_to(path)
    shutil.copyfile(instruments / "imagexpress_exported/9987_Plate_3435/9987.HTD", tmp_path / "Mix.HTD")
    found = read_metaxpress(tmp_path, "Mix.HTD")
    check_planes(tmp_path, found)
    assert values(found, "plate") == ["Mix"]
    assert values(found, "channel") == ["1", "2", "3", "4"]
    assert found.notes[:2] == ("18 thumbnails: not used", "4 files of z planes: their projections are used")
    planes = found.planes.groupby(["well", "site", "channel"])["z"].apply(list)
    assert planes["E07", "1", "1"] == [0], "the projection instead of a plane"
    assert planes["E07", "1", "4"] == [1], "a plane only"
    assert planes["E08", "2", "3"] == [0], "a projection only"
    assert found.pixel_um == 1.3668, "of the MetaSeries text, not 25,400 of the tag for the resolution"


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        (f"Mix_E07_s1_w2{GUID}.tif", ("Mix", "E07", "1", "2")),
        (f"Mix_E07_s1_w2[{GUID}].tif", ("Mix", "E07", "1", "2")),
        (f"Mix_E07_s12_w10{GUID}.tif", ("Mix", "E07", "12", "10")),
        (f"Mix_E07_s1{GUID}.tif", ("Mix", "E07", "1", "1")),
        (f"Mix_E07_w3{GUID}.tif", ("Mix", "E07", "1", "3")),
        (f"Mix_E07{GUID}.tif", ("Mix", "E07", "1", "1")),
        ("plate_A01_b_AA48_s2_w1.TIF", ("plate_A01_b", "AA48", "2", "1")),
        ("9987_b02.TIF", ("9987", "B02", "1", "1")),
        (f"Mix_E07_s1_w1_thumb{GUID}.tif", None),
        ("overview.tif", None),
    ],
)
def test_the_names_of_metaxpress(name, parts):
    assert metaxpress_name(name) == parts


def harmony(folder, text):
    (folder / "Index.xml").write_text(text, encoding="utf-8")
    return read_harmony(folder, "Index.xml")


V7 = """<?xml version="1.0" encoding="utf-8"?>
<EvaluationInputData Version="1" xmlns="43B2A954-E3C3-47E1-B392-6635266B0DD3/HarmonyV7">
<InstrumentType>Phenix</InstrumentType>
<Plates><Plate><PlateID>BR1</PlateID><PlateRows>16</PlateRows><PlateColumns>24</PlateColumns></Plate></Plates>
<Wells><Well><id>0203</id><Image id="0203K1F1P1R1" /></Well></Wells>
<Maps><Map><Entry ChannelID="1"><FlatfieldProfile>{}</FlatfieldProfile></Entry></Map>
<Map><Entry ChannelID="1"><ChannelName>HOECHST 33342</ChannelName><MainEmissionWavelength Unit="nm">456
</MainEmissionWavelength><ImageResolutionX Unit="m">2.9E-07</ImageResolutionX><ImageSizeX>2160</ImageSizeX>
<ImageSizeY>1080</ImageSizeY><MaxIntensity>65536</MaxIntensity></Entry></Map></Maps>
<Images>IMAGES</Images></EvaluationInputData>"""
IMAGE = (
    "<Image Version='1'><id>0203K1F1P1R1</id><State>Ok</State><URL>r02c03f01p01-ch1sk1fk1fl1.tiff</URL><Row>2</Row>"
    "<Col>3</Col><FieldID>1</FieldID><PlaneID>1</PlaneID><TimepointID>0</TimepointID><ChannelID>1</ChannelID></Image>"
)


def test_harmony_v7_has_what_it_says_of_a_channel_in_a_map(tmp_path):
    found = harmony(tmp_path, V7.replace("IMAGES", IMAGE + IMAGE.replace("<PlaneID>1", "<PlaneID>2")))
    assert found.instrument == "Harmony V7, instrument type Phenix"
    assert values(found, "plate") == ["BR1"]
    assert values(found, "z") == [1, 2]
    assert found.channels == (MeasuredChannel("1", "HOECHST 33342", "#35dbe0"),)
    assert (found.n_wells, found.shape, found.bits) == (384, (1080, 2160), 16)
    assert found.pixel_um == pytest.approx(0.29)


def test_harmony_lists_images_that_it_has_not(tmp_path):
    without = IMAGE.replace("r02c03f01p01-ch1sk1fk1fl1.tiff", "")
    again = IMAGE.replace("r02c03f01p01", "again")
    found = harmony(tmp_path, V7.replace("IMAGES", IMAGE + without + again))
    assert len(found.planes) == 1
    assert found.notes == (
        "1 plane listed again with another file, such as again-ch1sk1fk1fl1.tiff: not used",
        "1 image listed without a file: not recorded",
    )


def test_columbus_names_the_page_of_a_file(tmp_path):
    found = harmony(tmp_path, V7.replace("IMAGES", IMAGE.replace("<URL>", "<URL BufferNo='3'>")))
    assert found.planes["page"].tolist() == [3]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (V7[:400], "is no whole XML file"),
        ("", "is no whole XML file"),
        (V7.replace("IMAGES", ""), "lists no image"),
        (V7.replace("IMAGES", IMAGE.replace("<Row>2", "<Row>two")), "row 'two' is not a whole number"),
        (V7.replace("IMAGES", IMAGE.replace("<Row>2", "<Row>33")), "is on no plate"),
        (V7.replace("IMAGES", IMAGE.replace("<URL>", "<URL>../../")), "which is not in the data root"),
        (V7.replace("IMAGES", IMAGE.replace("<URL>", "<URL>C:\\a\\")), "which is not in the data root"),
        ("<html><body/></html>", "is not an index of Harmony"),
        ("<html><Image><URL>a</URL></Image></html>", "is not an index of Harmony"),
        ('<!DOCTYPE a [<!ENTITY b "bbbb">]><EvaluationInputData/>', "has a document type"),
    ],
)
def test_a_damaged_index_is_one_line(tmp_path, text, reason):
    with pytest.raises(UserError, match=reason) as error:
        harmony(tmp_path, text)
    assert str(tmp_path / "Index.xml") in str(error.value)
    assert "\n" not in str(error.value)


@pytest.fixture
def cellvoyager(instruments, tmp_path):
    """Return a copy of the sample's files of text."""
    for path in instruments.joinpath("yokogawa_cv8000").rglob("*"):
        if path.suffix in (".mlf", ".mrf", ".mes", ".wpi"):
            shutil.copyfile(path, tmp_path / path.name)
    return tmp_path


def edit(path, old, new):
    text = path.read_text(encoding="utf-8-sig")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_cellvoyager_s_text_without_its_neighbours(cellvoyager):
    for path in cellvoyager.iterdir():
        if path.suffix != ".mlf":
            path.unlink()
    found = read_yokogawa(cellvoyager, "MeasurementData.mlf")
    assert values(found, "plate") == [cellvoyager.name]
    assert found.channels == (MeasuredChannel("1"), MeasuredChannel("2"))
    assert (found.n_wells, found.pixel_um, found.shape, found.bits) == (0, 0.0, None, 0)


def test_a_plane_that_a_cellvoyager_could_not_record(cellvoyager):
    edit(cellvoyager / "MeasurementData.mlf", 'Type="IMG" bts:Time="2023-09-18T13:58:44.438', 'Type="ERR" bts:Time="2')
    found = read_yokogawa(cellvoyager, "MeasurementData.mlf")
    assert len(found.planes) == 95
    assert found.notes == ("1 error in place of an image",)


def test_a_channel_that_is_a_projection_says_so(cellvoyager):
    (settings,) = cellvoyager.glob("*.mes")
    edit(settings, 'bts:Acquisition="BP445/45"', 'bts:Acquisition="BP445/45" bts:ZImageProcessing="Maximum"')
    edit(
        settings, 'bts:Kind="ConfocalFluorescence" bts:CameraType="DCAM" bts:InputLevel="10000" bts:Fluorophore=""', ""
    )
    assert read_yokogawa(cellvoyager, "MeasurementData.mlf").channels[0].name == "BP445/45 Maximum"


@pytest.mark.parametrize("suffix", [".mlf", ".mrf", ".mes", ".wpi"])
def test_a_cellvoyager_s_text_cut_off_is_one_line(cellvoyager, suffix):
    (path,) = cellvoyager.glob(f"*{suffix}")
    path.write_bytes(path.read_bytes()[:150])
    with pytest.raises(UserError, match="is no whole XML file") as error:
        read_yokogawa(cellvoyager, "MeasurementData.mlf")
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "is not a .HTD file"),
        (b'"HTSInfoFile", Version 1.0\r\n"XWells", 12\r\n', "is cut off"),
        (b'"HTSInfoFile", Version 1.0\r\n"EndFile"\r\n', "lists no image"),
    ],
)
def test_a_damaged_htd_file_is_one_line(tmp_path, text, reason):
    (tmp_path / "a.HTD").write_bytes(text)
    with pytest.raises(UserError, match=reason):
        read_metaxpress(tmp_path, "a.HTD")


def test_missing_indexes_are_one_line(tmp_path):
    for ending, reader in READERS.items():
        with pytest.raises(UserError):
            reader(tmp_path, f"none{ending}")


@pytest.mark.parametrize(
    ("name", "is_index"),
    [
        ("{plate}*/Images/Index.idx.xml", True),
        ("BR1/Images/Index.xml", True),
        ("*/MeasurementData.mlf", True),
        ("{plate}.HTD", True),
        ("{plate}_{well}.tif", False),
    ],
)
def test_an_index_is_known_by_its_name(name, is_index):
    assert (reader_of(name) is not None) == is_index


def test_a_link_that_names_a_file_of_the_data_root(tmp_path):
    text = V7.replace("IMAGES", IMAGE.replace("<URL>", "<URL>../flat/"))
    (tmp_path / "Images").mkdir()
    (tmp_path / "Images" / "Index.xml").write_text(text)
    assert read_harmony(Path(tmp_path), "Images/Index.xml").planes["file"].iloc[0].startswith("flat/r02")
