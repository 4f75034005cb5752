"""What a ``*`` of an image pattern matches, beside each kind of part."""

import pytest

from rcic.screen.wildcard import Wildcard

VALUES = {
    "split": "train",
    "experiment": "b1",
    "plate": "P1",
    "well": "B02",
    "row": "B",
    "row_number": 2,
    "column": 2,
    "site": 1,
    "channel": 1,
}
ID = "66923EBB-9960-4952-8955-D1721D112EE2"


def matches(pattern: str, name: str, **values: str | int) -> bool:
    """Whether a name is found among others."""
    names = sorted([name, ".", "A", "~", "P", "zz"])
    return name in Wildcard(pattern).find(names, VALUES | values)


BEHIND = {  # pattern -> names that match, names that do not
    "{plate}*": (
        ["P1", "P1__2024", "P1 (b)", "P1-2", "P1.x", f"P1{ID}"],
        ["P10", "P1B", "P1é", "P1\u0301", "P1²", "P", "xP1"],
    ),
    "{experiment}*.tif": (["b1.tif", "b1_x.tif"], ["b12.tif", "b1x.tif", "b1_x.png", "B1_x.tif"]),
    "{split}*": (["train", "train_1"], ["trained", "train2"]),
    "s{site}*.tif": (["s1.tif", "s1w2.tif", "s1_9.tif", f"s1{ID}.tif"], ["s10.tif", "s123.tif", "s19_9.tif"]),
    "s{site:02}*.tif": (["s01.tif", "s01w2.tif"], ["s1.tif", "s010.tif"]),
    "w{channel}*.tif": (["w1.tif", "w1A1B2C3.tif", "w1[5].tif"], ["w10.tif", "w12A1B2C3.tif"]),
    "{well}*.tif": (["B02.tif", "B02f1.tif", "B02_1.tif"], ["B020.tif", "B02.png"]),
    "{row}*.tif": (["B.tif", "B2.tif", "B_2.tif"], ["BA.tif", "B\u0301.tif"]),
    "c{column}*.tif": (["c2.tif", "c2f1.tif"], ["c21.tif"]),
    "f{site}0*.tif": (["f10.tif", "f10x.tif"], ["f101.tif"]),  # the number that the part began goes on
}
BEFORE = {
    "*{site}.tif": (["1.tif", "s1.tif", "s0_1.tif"], ["21.tif", "s21.tif", "s01.tif"]),
    "*{plate}.tif": (["P1.tif", "x_P1.tif"], ["AP1.tif", "7P1.tif"]),
    "*{well}.tif": (["B02.tif", "x_B02.tif", "9B02.tif"], ["AB02.tif"]),
    "*{row}{column:02}.tif": (["B02.tif", "p1B02.tif"], ["AB02.tif"]),
    "c*{column}.tif": (["c2.tif", "col2.tif"], ["c12.tif"]),
    "*0{site}.tif": (["01.tif", "s01.tif"], ["101.tif", "s201.tif"]),
    "*0{well}.tif": (["x0B02.tif"], ["xB02.tif"]),  # a digit before a well is none of the well
}
BETWEEN = {
    "{well}*s{site}*w{channel}*.tif": (
        ["B02s1w1.tif", "B02_s1_w1.tif", f"B02-x-s1_w1{ID}.tif"],
        ["B02_s1_w12.tif", "B02_s12_w1.tif", "B020_s1_w1.tif"],
    ),
    "{plate}*{site}.tif": (["P11.tif", "P1_1.tif", "P1_s1.tif"], ["P1_21.tif", "P1x1.tif", "P101.tif"]),
    "*.tif": (["x.tif", "1.tif"], [".x.tif", ".tif", "x_thumb.tif", "x_Thumbnail_1.tif", "thumb.tif", "x.png"]),
    ".*.tif": ([".x.tif"], ["x.tif"]),
    "*_thumb*.tif": (["x_thumb1.tif"], ["x_1.tif", "x_thumb_thumb.tif"]),
    "x*": (["x_Athumb", "xmythumb"], ["x_1_thumb"]),  # a word of its own
}


@pytest.mark.parametrize("pattern", [*BEHIND, *BEFORE, *BETWEEN])
def test_a_star_never_lengthens_the_part_beside_it(pattern):
    found, others = (BEHIND | BEFORE | BETWEEN)[pattern]
    assert [name for name in found if not matches(pattern, name)] == []
    assert [name for name in others if matches(pattern, name)] == []


def test_the_text_of_a_channel_is_a_name():
    for name, is_match in {"DAPI.tif": True, "DAPI_1.tif": True, "DAPI2.tif": False, "DAPIx.tif": False}.items():
        assert matches("{channel}*.tif", name, channel="DAPI") == is_match, name
    assert not matches("*{channel}.tif", "w1DAPI.tif", channel="DAPI")
    assert matches("*{channel}.tif", "w_DAPI.tif", channel="DAPI")


def test_an_identifier_is_whole_or_none():
    assert matches("w{channel}*.tif", f"w1{ID}.tif") and matches("w{channel}*.tif", f"w1{ID.lower()}_x.tif")
    for wrong in (f"2{ID}", ID[1:], ID[:-1], f"{ID}0", ID.replace("-", "_")):
        assert not matches("w{channel}*.tif", f"w1{wrong}.tif"), wrong


@pytest.mark.parametrize("character", "*?[]+.")
def test_every_other_character_stands_for_itself(character):
    assert matches("{well}" + character.replace("*", "") + "*.tif", f"B02{character}1.tif")
    assert matches("{plate}_*", f"P1{character}_x", plate=f"P1{character}")
    assert not matches("{plate}_*", "P1x_x", plate=f"P1{character}")


def test_the_shared_text_is_the_same_for_all_images_of_a_well():
    wildcard = Wildcard("*_{well}_s{site}_w{channel}*.tif")
    assert wildcard.shared(VALUES) == wildcard.shared(VALUES | {"site": 2, "channel": 3}) == "_B02_s"
    assert Wildcard("{plate}*").shared(VALUES) == "P1" and Wildcard("*").shared(VALUES) == ""
