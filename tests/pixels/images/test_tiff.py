"""The pages of a TIFF as channels: counted from the file, by its own metadata and no other file's."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from rcic.pixels.images.image import BadImage, Planes
from rcic.pixels.images.tiff import read_tiff, tiff_shape

THREE = np.random.default_rng(0).integers(0, 4000, (3, 32, 30)).astype(np.uint16)
SCHEMA = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
GREY = {"photometric": "minisblack"}
SEPARATE = GREY | {"planarconfig": "separate"}


def page_by_page(path: Path, first: str | None = None, **words: object) -> None:
    """Write the three pages one by one; ``first`` is the description of the first."""
    with tifffile.TiffWriter(path) as file:
        for number, page in enumerate(THREE):
            file.write(page, description=None if number else first, metadata=None, **words)


def with_levels(path: Path, subifds: bool) -> None:
    """Write a level of half the size after each page, or in SubIFDs of it."""
    with tifffile.TiffWriter(path) as file:
        for page in THREE:
            file.write(page, metadata=None, **({"subifds": 1} if subifds else {}))
            file.write(page[::2, ::2], metadata=None, subfiletype=1)


def unlike(path: Path, key: str, values: list[object]) -> None:
    """Write pages with another setting each, which tifffile takes for several images."""
    with tifffile.TiffWriter(path) as file:
        for page, value in zip(THREE, values, strict=True):
            file.write(page, metadata=None, **{key: value})


def ome(body: str, file_id: str = "") -> Callable[[Path], None]:
    identity = f' UUID="{file_id}"' if file_id else ""
    return lambda path: page_by_page(path, f'<?xml version="1.0"?><OME xmlns="{SCHEMA}"{identity}>{body}</OME>')


def pixels(c: int, z: int, t: int, planes: str, order: str = "XYCZT") -> str:
    """Return an image of OME-XML."""
    channels = "".join(f'<Channel ID="Channel:0:{number}" SamplesPerPixel="1"/>' for number in range(c))
    sizes = f'DimensionOrder="{order}" Type="uint16" SizeX="30" SizeY="32" SizeC="{c}" SizeZ="{z}" SizeT="{t}"'
    return f'<Image ID="Image:0"><Pixels ID="Pixels:0" {sizes}>{channels}{planes}</Pixels></Image>'


def plane(ifd: int, at: str, file: tuple[str, str] | None = None) -> str:
    identity = "" if file is None else f'<UUID FileName="{file[1]}">{file[0]}</UUID>'
    return f'<TiffData IFD="{ifd}" PlaneCount="1" {at}>{identity}</TiffData>'


def of_set(axis: str, by: str, **sizes: int) -> Callable[[Path], None]:
    """Return the writer of file 0 of a set: three pages along ``axis``, a file for each of two along ``by``."""
    planes = "".join(
        plane(page, f'First{axis}="{page}" First{by}="{file}"', (f"urn:uuid:{file}", f"file_{file}.ome.tif"))
        for file in (1, 0)
        for page in range(3)
    )
    return ome(pixels(**({"c": 1, "z": 1, "t": 1} | sizes), planes=planes), "urn:uuid:0")


def name_of(case: str) -> str:
    """Return a file's name; tifffile writes OME-XML into every file of a name for OME."""
    return "file_0.ome.tif" if case.startswith("OME") else "a.tif"


def stack(**words: object) -> Callable[[Path], None]:
    return lambda path: tifffile.imwrite(path, THREE, **words)


IMAGEJ = "ImageJ=1.53t\nimages=3\n{}\nloop=false\n"
SOUND: dict[str, Callable[[Path], None]] = {
    "pages one by one": page_by_page,
    "pages one by one, each with its own description": lambda path: [
        tifffile.imwrite(path, page, append=number > 0) for number, page in enumerate(THREE)
    ],
    "pages that are compressed in different ways": lambda path: unlike(path, "compression", ["zlib", None, "lzma"]),
    "pages of different strips": lambda path: unlike(path, "rowsperstrip", [32, 8, 32]),
    "axes CYX": stack(metadata={"axes": "CYX"}, **GREY),
    "no axes": stack(**GREY),
    "ImageJ's channels": stack(imagej=True, metadata={"axes": "CYX"}),
    "ImageJ's composite": lambda path: page_by_page(path, IMAGEJ.format("channels=3\nhyperstack=true")),
    "ImageJ without a word": lambda path: page_by_page(path, "ImageJ=1.53t\nimages=3\n"),
    "levels in SubIFDs": lambda path: with_levels(path, subifds=True),
    "pages of reduced size": lambda path: with_levels(path, subifds=False),
    "samples, first axis": stack(planarconfig="separate", **GREY),
    "samples, last axis": lambda path: tifffile.imwrite(path, np.moveaxis(THREE, 0, 2).copy(), **GREY, planarconfig=1),
    "pages as wide as there are channels": lambda path: tifffile.imwrite(path, np.moveaxis(THREE, 0, 2).copy(), **GREY),
    "OME: pages one by one": page_by_page,
    "OME: pages one by one, each with a level": lambda path: with_levels(path, subifds=False),
    "OME: channels": ome(pixels(3, 1, 1, "<TiffData/>")),
    "OME: channels, nothing of pages": ome(pixels(3, 1, 1, "")),
    "OME: the channels of one z plane of a set": of_set("C", "Z", c=3, z=2),
    "OME: eight positions that all claim the pages": ome(8 * pixels(3, 1, 1, '<TiffData IFD="0" PlaneCount="3"/>')),
    "OME: a set whose file got another name": ome(
        pixels(3, 1, 1, "".join(plane(n, f'FirstC="{n}"', ("urn:uuid:9", "x.ome.tif")) for n in range(3)))
    ),
    "XML that is not whole": lambda path: page_by_page(path, "<OME><Image></OME>"),
    "XML of something else": lambda path: page_by_page(path, "<x></OME>"),
}
OTHERS: dict[str, tuple[Callable[[Path], None], str]] = {
    "axes ZYX": (stack(metadata={"axes": "ZYX"}, **GREY), "z planes"),
    "axes TYX": (stack(metadata={"axes": "TYX"}, **GREY), "time points"),
    "axes PYX": (stack(metadata={"axes": "PYX"}, **GREY), "of an axis 'phase'"),
    "ImageJ's slices": (stack(imagej=True, metadata={"axes": "ZYX"}), "z planes"),
    "ImageJ's own slices": (lambda path: page_by_page(path, IMAGEJ.format("slices=3")), "z planes"),
    "ImageJ's frames": (lambda path: page_by_page(path, IMAGEJ.format("frames=3")), "time points"),
    "OME: z": (ome(pixels(1, 3, 1, "<TiffData/>")), "z planes"),
    "OME: time": (ome(pixels(1, 1, 3, '<TiffData IFD="0" PlaneCount="3"/>')), "time points"),
    "OME: z, nothing of pages": (ome(pixels(1, 3, 1, "")), "z planes"),
    "OME: the z planes of one channel of a set": (of_set("Z", "C", c=2, z=3), "z planes"),
    "OME: three positions": (
        ome("".join(pixels(1, 1, 1, plane(n, "")).replace("<Pix", '<StageLabel Name="1"/><Pix') for n in range(3))),
        "of 3 images",
    ),
    "OME: two images of other sizes": (
        ome(pixels(2, 1, 1, '<TiffData IFD="0" PlaneCount="2"/>') + pixels(1, 1, 1, plane(2, ""))),
        "of 2 images",
    ),
    "OME: z in the first page's place": (of_set("Z", "T", z=3, t=2), "z planes"),
}
UNFIT: dict[str, tuple[Callable[[Path], None], str]] = {
    "one page and a promise": (stack(truncate=True, **GREY), "says that it has 3 planes, but it has 1 page;"),
    "z in one page": (stack(volumetric=True, tile=(1, 32, 32), **GREY), "has 1 page of 3 z planes, but 3 channels"),
    "a page too many": (
        lambda path: tifffile.imwrite(path, np.concatenate([THREE, THREE[:1]]), **GREY),
        "has 4 pages of 32 x 30 pixels, but 3 channels are expected",
    ),
    "z planes of three channels": (
        lambda path: tifffile.imwrite(path, np.stack([THREE, THREE]), imagej=True, metadata={"axes": "ZCYX"}),
        r"has 6 pages of 32 x 30 pixels \(z planes\), but 3 channels",
    ),
    "a smaller page that is not marked": (
        lambda path: [tifffile.imwrite(path, page, append=n > 0) for n, page in enumerate((*THREE[:2], THREE[2, ::2]))],
        "has 3 pages of 32 x 30 and 16 x 30 pixels, but 3 channels",
    ),
    "a page of samples among others": (
        lambda path: [
            tifffile.imwrite(path, THREE[0], append=n > 0, **GREY) if n else tifffile.imwrite(path, THREE, **SEPARATE)
            for n in range(3)
        ],
        "has 3 pages of 3 x 32 x 30 and 32 x 30 pixels, but 3 channels",
    ),
    "pages of samples": (
        lambda path: tifffile.imwrite(path, np.stack([THREE, THREE]), planarconfig="separate", **GREY),
        "has 2 pages of 3 x 32 x 30 pixels, but 3 channels",
    ),
}


@pytest.mark.parametrize("name", SOUND)
def test_the_pages_are_the_channels(tmp_path, name):
    path = tmp_path / name_of(name)
    SOUND[name](path)
    assert np.array_equal(read_tiff(path, Planes(3, 16)), THREE)
    assert tiff_shape(path, Planes(3, 16)) == (32, 30)


@pytest.mark.parametrize("name", OTHERS)
def test_as_many_pages_of_another_axis_are_refused(tmp_path, name):
    write, axis = OTHERS[name]
    path = tmp_path / name_of(name)
    write(path)
    for look in (read_tiff, tiff_shape):
        with pytest.raises(BadImage, match=f"its 3 pages are {axis}, not channels; ") as caught:
            look(path, Planes(3, 16))
        assert caught.value.kind == "channels"


@pytest.mark.parametrize("name", UNFIT)
def test_what_is_not_one_page_a_channel_is_refused(tmp_path, name):
    write, reason = UNFIT[name]
    path = tmp_path / "a.tif"
    write(path)
    for look in (read_tiff, tiff_shape):
        with pytest.raises(BadImage, match=reason) as caught:
            look(path, Planes(3, 16))
        assert caught.value.kind == "channels"


def test_one_channel_is_one_page(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, THREE[0], **GREY)
    assert np.array_equal(read_tiff(path, Planes(1, 16)), THREE[:1])
    for write in (page_by_page, stack(truncate=True, **GREY), stack(**GREY)):  # page 1 without a word
        write(path)
        with pytest.raises(BadImage, match=r"but 1 channel is expected|says that it has 3 planes"):
            read_tiff(path, Planes(1, 16))


def test_a_single_plane_of_a_z_stack_is_an_image(tmp_path):
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, THREE[:1], metadata={"axes": "ZYX"}, **GREY)
    assert np.array_equal(read_tiff(path, Planes(1, 16)), THREE[:1])


def test_the_order_of_the_channels_is_that_of_the_metadata(tmp_path):
    path = tmp_path / "a.ome.tif"
    ome(pixels(3, 1, 1, "".join(plane(2 - n, f'FirstC="{n}"') for n in range(3))))(path)
    assert np.array_equal(read_tiff(path, Planes(3, 16)), THREE[::-1])


@pytest.mark.parametrize("gone", [False, True])
def test_each_file_of_a_set_has_its_own_pages(tmp_path, gone):
    """The XML of each names the pages of both; tifffile reads the first file's for both, zeros where it is gone."""
    for number in (0, 1):
        planes = [plane(page, f'FirstC="{page}"', (f"urn:uuid:{n}", f"{n}.ome.tif")) for n in (0, 1) for page in (0, 1)]
        body = pixels(2, 1, 1, "".join(planes[:2])) + pixels(2, 1, 1, "".join(planes[2:]))
        with tifffile.TiffWriter(tmp_path / f"{number}.ome.tif") as file:
            xml = f'<OME xmlns="{SCHEMA}" UUID="urn:uuid:{number}">{body}</OME>'
            for page in (0, 1):
                file.write(THREE[page] + number, description=None if page else xml, metadata=None)
    if gone:
        (tmp_path / "0.ome.tif").unlink()
    for number in (1,) if gone else (0, 1):
        assert np.array_equal(read_tiff(tmp_path / f"{number}.ome.tif", Planes(2, 16)), THREE[:2] + number)


def test_no_other_file_is_opened(tmp_path, monkeypatch):
    path = tmp_path / "file_0.ome.tif"
    of_set("C", "Z", c=3, z=2)(path)
    (tmp_path / "file_1.ome.tif").write_bytes(path.read_bytes())
    opened: list[str] = []
    real = tifffile.FileHandle.open
    monkeypatch.setattr(tifffile.FileHandle, "open", lambda handle: opened.append(handle.name) or real(handle))
    read_tiff(path, Planes(3, 16))
    assert {*opened} <= {"", "file_0.ome.tif"}


def test_reals_of_instruments_are_read(shared_data):
    """Every kind of TIFF that the instruments wrote is one page, whatever its metadata say."""
    folder = shared_data / "instruments"
    files = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in (".tif", ".tiff")]
    assert len(files) > 100
    for path in {path.parent: path for path in files}.values():
        assert read_tiff(path, Planes(1, 16)).shape[1:] == tiff_shape(path, Planes(1, 16))
