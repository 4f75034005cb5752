import json

import pytest

from rcic.errors import UserError
from rcic.pixels.packed.manifest import MANIFEST_VERSION, MARK, Manifest, _digest, json_object
from rcic.pixels.packed.packed_store import ARRAY, PlateArray
from rcic.pixels.packed.zarr_shard import ShardReader, ShardWriter

WHOLE = {
    "version": MANIFEST_VERSION,
    "screen": "abc",
    "sizes": [64],
    "arrays": {"full/RPE-01/Plate1": "d", "64/RPE-01/Plate1": "e"},
}

NAMELESS = [
    "",
    "full",
    "full/RPE-01",
    "full/../Plate1",
    "full/../../Plate1",
    "../full/RPE-01/Plate1",
    "full/a/b/Plate1",
]
NAMELESS += ["/etc/RPE-01/Plate1", "full/RPE-01/Plate1/", "full/RPE-01/Plate", "full/.x/Plate1", "full/a\\b/Plate1"]
NAMELESS += ["full/RPE-01/../Plate1", "064/RPE-01/Plate1", "full/a\nb/Plate1", f"full/{'x' * 101}/Plate1"]


def write(root, content):
    """Write a packed.json whose digest is right, whatever it says."""
    text = content if isinstance(content, str) else json.dumps(content)
    (root / MARK).write_text(f"{text}\n{_digest(text)}\n")


def test_what_was_written_is_read(tmp_path):
    manifest = Manifest("abc", (64,), WHOLE["arrays"])
    manifest.write(tmp_path)
    assert Manifest.read(tmp_path) == manifest
    write(tmp_path, WHOLE)
    assert Manifest.read(tmp_path) == manifest


@pytest.mark.parametrize(
    "name",
    NAMELESS,
)
def test_a_name_that_is_no_plate_s_is_refused(tmp_path, name):
    write(tmp_path, WHOLE | {"arrays": {"full/RPE-01/Plate1": "d", name: "e"}})
    with pytest.raises(UserError, match=r"packed\.json: .* is not the name of a packed plate") as error:
        Manifest.read(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is not JSON"),
        ("[1", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[1]", "is not a JSON object"),
        ("{}", "packed in format None, this program reads format 4"),
        (WHOLE | {"version": 5}, "packed in format 5"),
        (WHOLE | {"format": "n5"}, "the format is 'n5', not one of packed, packed-lz4, ome-zarr"),
        (WHOLE | {"screen": 3}, "lacks screen, sizes or arrays"),
        (WHOLE | {"plates": {"RPE-01/Plate1": {"files": 3, "pixels": ""}}}, "lacks screen, sizes or arrays"),
        (WHOLE | {"plates": {"RPE-01/Plate1": "0"}}, "lacks screen, sizes or arrays"),
        (WHOLE | {"sizes": [0]}, "lacks screen, sizes or arrays"),
        (WHOLE | {"sizes": [True]}, "lacks screen, sizes or arrays"),
        (WHOLE | {"sizes": None}, "lacks screen, sizes or arrays"),
        (WHOLE | {"arrays": ["full/RPE-01/Plate1"]}, "lacks screen, sizes or arrays"),
        (WHOLE | {"arrays": {"full/RPE-01/Plate1": 3}}, "is not the name of a packed plate"),
    ],
)
def test_a_manifest_that_says_something_else_is_refused(tmp_path, content, message):
    write(tmp_path, content)
    with pytest.raises(UserError, match=message) as error:
        Manifest.read(tmp_path)
    assert str(error.value).startswith(f"{tmp_path / MARK}: ") and "\n" not in str(error.value)


SIX = [1, 2, 3, 4, 5, 6]
TOLD = {"sites": [["B02", 1], ["B02", 2]], "channels": SIX, "left_out": [["B02", 1, 3, "gone"]]}
FACTS = {"shape": [2, 6, 8, 8], "attributes": TOLD}


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({}, "lacks shape, sites or left_out"),
        (FACTS | {"shape": 3}, "lacks shape"),
        (FACTS | {"shape": [2, 6, 8]}, "lacks shape"),
        (FACTS | {"attributes": TOLD | {"sites": [["B02", []]] * 2}}, "lacks shape"),
        (FACTS | {"attributes": TOLD | {"sites": [["B02", 1]] * 2}}, "is not that of a plate"),
        (FACTS | {"attributes": TOLD | {"channels": None}}, "lacks shape"),
        (FACTS | {"attributes": TOLD | {"channels": 6}}, "lacks shape"),
        (FACTS | {"shape": [-2, 6, 8, 8]}, "is not that of a plate"),
        (FACTS | {"shape": [2, 5, 8, 8]}, "is not that of a plate"),
        (FACTS | {"shape": [2, 6, 8, 2**40]}, "is not that of a plate"),
        (FACTS | {"shape": [2, 6, 8.0, 8]}, "is not that of a plate"),
        (FACTS, "the packed file is missing"),
        ({"node_type": "group", "attributes": TOLD}, "lacks shape"),
        ({"node_type": "group", "attributes": {"rcic": TOLD}}, "lacks shape"),
        ({"node_type": "group", "attributes": {"rcic": TOLD | {"shape": [8, 0]}}}, "is not that of a plate"),
    ],
)
def test_an_array_that_says_something_else_is_refused(tmp_path, facts, message):
    (tmp_path / ARRAY).write_text(json.dumps(facts))
    with pytest.raises(UserError, match=message):
        PlateArray(tmp_path)


def test_any_other_text_is_no_object(tmp_path):
    assert json_object(tmp_path, '{"a": 1}') == {"a": 1} == json_object(tmp_path, b'{"a": 1}')
    with pytest.raises(UserError, match="is not JSON"):
        json_object(tmp_path, b"\xff\xff")


@pytest.mark.parametrize(("place", "number"), [(0, 2**40), (1, 2**40), (0, 2**64 - 2), (1, 2**64 - 1), (1, 30)])
def test_an_index_that_leads_out_of_its_file_is_refused(tmp_path, place, number):
    with (tmp_path / "shard").open("wb") as file:
        writer = ShardWriter(file, 1, 2)
        writer.add(0, 0, b"twelve bytes")
        writer.index[0, 0, place] = number
        writer.finish()
    if number == 30:  # within the file, if in the index itself: the frame's own checksum will tell
        assert len(ShardReader(tmp_path / "shard", 1, 2).frames(0, [0])[0]) == 30
        return
    with pytest.raises(UserError, match="the index of the packed file points outside the file"):
        ShardReader(tmp_path / "shard", 1, 2)
