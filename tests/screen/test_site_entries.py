"""Sites are any numbers or names, each with its word in files and tables; results keep the names."""

from pathlib import Path

import pytest

from rcic.errors import UserError
from rcic.screen.pattern import fill, parts_of
from rcic.screen.spec import ScreenSpec, SiteName
from rcic.screen.spec_files import OWN, read_spec, write_spec
from rcic.screen.table import read_screen

FORM = """\
name: mine
sites: {sites}
channels: [{{name: DNA}}]
images: {{file: ["{{experiment}}/{{well}}_{{site}}.png"]}}
tables: [{{file: wells.csv}}]
columns: {{experiment: batch, plate: null, site: field, label: drug}}
"""
NAMED = "[{name: left, file: f01}, {name: right, file: f02}]"


def spec_of(folder: Path, sites: str) -> ScreenSpec:
    (folder / OWN).write_text(FORM.format(sites=sites))
    return read_spec(folder / OWN)


def test_fields_counted_from_zero(case):
    assert read_screen(case("sites_from_zero")).spec.sites == (0, 1, 2)


@pytest.mark.parametrize(
    ("sites", "numbers", "names", "words"),
    [
        ("[0, 1]", (0, 1), [0, 1], ["0", "1"]),
        ("[7, 3, 5]", (7, 3, 5), [7, 3, 5], ["7", "3", "5"]),
        (f"[{', '.join(map(str, range(300)))}]", tuple(range(300)), [*range(300)], [*map(str, range(300))]),
        ("[left, right]", (1, 2), ["left", "right"], ["left", "right"]),
        (NAMED, (1, 2), ["left", "right"], ["f01", "f02"]),
        ("[{name: 0, file: f00}, {name: 4, file: f04}]", (0, 4), [0, 4], ["f00", "f04"]),
        ("['01', '02']", (1, 2), ["01", "02"], ["01", "02"]),
        ("[0, centre]", (1, 2), ["0", "centre"], ["0", "centre"]),
    ],
)
def test_numbers_names_and_words(tmp_path, sites, numbers, names, words):
    spec = spec_of(tmp_path, sites)
    assert spec.sites == numbers and spec.sites_by_name == names
    assert [spec.site_word(site) for site in spec.sites] == words
    pattern = spec.images.file[0]
    files = [fill(pattern, parts_of(spec, "train", "b", "1", "A01", site, 1)) for site in spec.sites]
    assert files == [f"b/A01_{word}.png" for word in words]
    write_spec(spec, tmp_path)
    assert read_spec(tmp_path / OWN) == spec


@pytest.mark.parametrize(
    ("sites", "reason"),
    [
        ("[-1, 0]", "sites must be"),
        ("[]", "sites must be"),
        ("[a, a]", "sites must be"),
        ("[{name: a, file: f}, {name: b, file: f}]", "sites must be"),
        ("[a/b]", "sites must be"),
        ("['', b]", "sites must be"),
        ("[{file: f01}]", "sites must be"),
        (f"[{', '.join(map(str, range(1000)))}]", "sites must be 1 to 999"),
        ("[1.5]", "sites is 1.5"),
        ("[true]", "sites is True"),
        ("[{nam: a}]", "line 2: unknown key 'sites.0.nam'; did you mean 'sites.0.name'"),
        ("left", "sites is 'left', must be a list"),
    ],
)
def test_a_mistake_in_the_sites_is_one_line(tmp_path, sites, reason):
    with pytest.raises(UserError) as caught:
        spec_of(tmp_path, sites)
    assert reason in str(caught.value) and "\n" not in str(caught.value) and OWN in str(caught.value)


@pytest.mark.parametrize("fields", [("left", "right"), ("f01", "f02")])
def test_tables_have_names_or_the_words_of_files(tmp_path, fields):
    spec_of(tmp_path, NAMED)
    table = "batch,well,field,drug\n" + "".join(f"b1,A01,{field},x\n" for field in fields)
    (tmp_path / "wells.csv").write_text(table)
    assert len(read_screen(tmp_path).wells) == 1
    (tmp_path / "wells.csv").write_text(table + "b1,A01,left,x\n")
    with pytest.raises(UserError, match="line 4: site left of its well is listed twice"):
        read_screen(tmp_path)
    (tmp_path / "wells.csv").write_text(table + "b1,A02,lft,x\n")
    with pytest.raises(UserError, match=r"field 'lft' is none of .*'left'"):
        read_screen(tmp_path)


def test_sites_that_change_their_names_or_files_are_other_images(tmp_path):
    (tmp_path / "wells.csv").write_text("batch,well,field,drug\nb1,A01,left,x\n")
    kept = {}
    for sites in (NAMED, "[{name: right, file: f02}, {name: left, file: f01}]", "[left, right]"):
        spec_of(tmp_path, sites)
        kept[sites] = read_screen(tmp_path).identity.images()
    assert len({str(value) for value in kept.values()}) == 3
    assert "sites" not in read_screen_of_numbers(tmp_path).identity.images()  # as of earlier versions


def read_screen_of_numbers(folder: Path):
    spec_of(folder, "[0, 1]")
    (folder / "wells.csv").write_text("batch,well,field,drug\nb1,A01,0,x\n")
    return read_screen(folder)


def test_a_site_without_a_file_word_is_found_by_its_name():
    spec = ScreenSpec(sites=(1, 2), site_names=(SiteName("left", "f1"), SiteName("right")))
    assert spec.site_numbers == {"left": 1, "f1": 1, "right": 2} and spec.site_word(2) == "right"
