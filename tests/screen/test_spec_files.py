from pathlib import Path

import pytest

from rcic.errors import UserError
from rcic.screen.spec_docs import spec_as_markdown
from rcic.screen.spec_files import OWN, SHIPPED, read_spec, resolve_spec, shipped_spec, write_spec

OWN_FORM = """\
name: mine
plate: 96
sites: [1, 2, 3, 4]
channels:
  - {name: DNA, colour: "#0000ff", file: DAPI}
  - {name: actin, colour: "#ff0000", file: Cy5, levels: [90, 3000]}
images:
  file: ["{experiment}/{plate}/{well}_{site}_{channel}.tif"]
  bits: 16
  levels: [100, 4095]
tables:
  - {file: layout.csv}
columns: {experiment: batch, plate: barcode, label: drug}
"""


def write(folder: Path, text: str = OWN_FORM) -> Path:
    path = folder / "mine.yml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", [path.stem for path in SHIPPED.glob("*.yml")])
def test_every_shipped_form_is_read_and_written_back_alike(name, tmp_path):
    spec = shipped_spec(name)
    write_spec(spec, tmp_path)
    assert read_spec(tmp_path / OWN) == spec
    assert len(spec.wells) == spec.plate == spec.shape[0] * spec.shape[1]
    assert spec.channel_numbers == (1, 2, 3, 4, 5, 6) and spec.sites == (1, 2)


def test_a_form_says_what_it_says(tmp_path):
    spec = read_spec(write(tmp_path))
    assert spec.shape == (8, 12) and spec.wells[0] == "A01" and spec.wells[-1] == "H12"
    assert spec.position("H12") == (7, 11)
    assert (spec.levels(1), spec.levels(2)) == ((100, 4095), (90, 3000))
    assert (spec.groups, spec.assignment, spec.replicates) == ("learn", "capacity", None)


@pytest.mark.parametrize(
    ("old", "new", "line", "reason"),
    [
        ("plate: 96", "plate: 97", 2, "plate must be one of 96, 384, 1536 wells"),
        ("plate: 96", "plates: 96", 2, "unknown key 'plates'; did you mean 'plate'?"),
        (
            "sites: [1, 2, 3, 4]",
            "sites: [1, 1]",
            3,
            "sites must be 1 to 999 numbers from 0 on, or names without slashes, each once",
        ),
        ("sites: [1, 2, 3, 4]", "sites: []", 3, "sites must be"),
        ("#ff0000", "red", 6, 'channels.1.colour must be a colour such as "#00ff00"'),
        ("name: actin", "name: DNA", 4, "channels must have different names"),
        ("name: actin", "label: actin", 6, "unknown key 'channels.1.label'"),
        ("file: Cy5", "file: a/b", 6, "channels.1.file must not contain a slash or backslash"),
        ("[90, 3000]", "[3000, 90]", 6, "channels.1.levels must be [low, high] with low < high"),
        ("[90, 3000]", "[90]", 6, "channels.1.levels is [90], must be a list of 2"),
        ("{well}", "{wall}", 8, "names {wall}, which is none of split, experiment"),
        ("{well}", "{column}", 8, "must name the {well}, or {row} and {column}"),
        ("{well}", "{well", 8, "encloses no part"),
        ("_{site}", "", 8, "must name the {site}: a well has 4"),
        ("{experiment}/", "../{experiment}/", 8, "must be a path below the data root"),
        ("{experiment}/", "/{experiment}/", 8, "must be a path below the data root"),
        (".tif", ".jpg", 8, "must end with one of .png, .tif, .tiff"),
        ("_{channel}.tif", ".png", 8, "must name the {channel}: a PNG has 1 or 3, not 2"),
        ("bits: 16", "bits: 11", 9, "images.bits must be 8, 10, 12, 14, 16 or 32"),
        (
            "bits: 16",
            "bits: 16\n  z: median",
            10,
            "must be one of max, mean, sharpest, or a whole number",
        ),
        ("bits: 16", "bits: 16\n  z: -1", 10, "images.z must not be negative"),
        ("bits: 16\n  levels: [100", "bits: 12\n  levels: [-3", 10, "must not be negative for 12 bits"),
        ("{well}_{site}_{channel}.tif", "{well}.csv", 8, "names {well}, but an index lists each well of a plate"),
        ("  levels: [100, 4095]\n", "", 7, "images.levels must be given for 16 bits"),
        ("layout.csv", "../layout.csv", 12, "tables.0.file must be the name of a CSV file in the data root"),
        ("- {file: layout.csv}", "layout.csv", 11, "tables is 'layout.csv', must be a list of sections"),
        ("label: drug}", "label: drug, well: null}", 13, "or columns.row and columns.column must be given"),
        ("label: drug}", "label: drug, row: r}", 13, "columns.row must not be combined with columns.well"),
        ("label: drug}", "label: drug, site_id: s}", 13, "columns.site_id needs columns.site and columns.id"),
        ("columns:", "replicates: 0\ncolumns:", 13, "replicates must be 1 or more"),
        ("columns:", "assignment: one-to-one\nreplicates: 2\ncolumns:", 14, "must be 1 if assignment is one-to-one"),
        ("columns:", "assignment: maybe\ncolumns:", 13, "must be one of one-to-one, capacity, none"),
        ("columns:", "split: {column: a, test_experiments: [b]}\ncolumns:", 13, "split is defined in two ways"),
        (
            "bits: 16",
            "columns: {well: w}\n  bits: 16",
            9,
            "images.columns needs a CSV file of image paths",
        ),
        ('_{channel}.tif"]', '.tif"]', 5, "channels.0.file is a word for {channel}, which images.file does not name"),
        ('.tif"]\n', '.png"]\n  z: max\n', 9, "images.z needs {z} in images.file: a PNG is one plane"),
        ('.tif"]\n', '.png"]\n  time: 1\n', 9, "images.time needs {time} in images.file"),
        ("columns:", "split: {train: [a]}\ncolumns:", 13, "split.train lists values of split.column"),
        (
            "columns:",
            "split: {test: [b], test_experiments: [c]}\ncolumns:",
            13,
            "split.test lists values of split.column",
        ),
        ("columns:", "replicates: 2\nassignment: none\ncolumns:", 13, "replicates limits an assignment"),
        ("csv}", "csv, well_types: false}\nwell_types: {column: t}", 13, "well_types.column is in no table"),
        ("columns:", "well_types: {skip: [a], treatment: [a]}\ncolumns:", 13, "well_types must list each value once"),
    ],
)
def test_a_mistake_names_its_line(tmp_path, old, new, line, reason):
    assert old in OWN_FORM
    path = write(tmp_path, OWN_FORM.replace(old, new, 1))
    with pytest.raises(UserError) as caught:
        read_spec(path)
    message = str(caught.value)
    assert message.startswith((f"{path}, line {line}: ", f"{path}: ")) and reason in message and "\n" not in message
    if f"{path}: " == message[: len(str(path)) + 2]:
        assert reason.startswith(("split", "or columns", "well_types")), message  # of a key that is not there


def test_words_of_a_site_must_be_used_somewhere(tmp_path):
    one = OWN_FORM.replace("sites: [1, 2, 3, 4]", "sites: [{name: centre, file: f5}]").replace("_{site}", "")
    with pytest.raises(UserError, match=r"line 3: sites have words \(file\) for \{site\}, which neither"):
        read_spec(write(tmp_path, one))
    assert read_spec(write(tmp_path, one.replace("label: drug", "label: drug, site: s"))).site_word(1) == "f5"
    assert read_spec(write(tmp_path, one.replace("_{channel}", "_{site}_{channel}"))).site_word(1) == "f5"


def test_a_key_that_some_pattern_uses_is_accepted(tmp_path):
    two = OWN_FORM.replace('_{channel}.tif"]', '_{channel}.png", "load_data.csv", "{well}_{site}_{channel}_{z}.png"]')
    spec = read_spec(write(tmp_path, two.replace("bits: 16", "columns: {well: w}\n  z: max\n  bits: 16")))
    assert (spec.images.columns.well, spec.images.z) == ("w", "max")


def test_the_form_that_is_given_goes_before_that_of_the_root(tmp_path):
    write_spec(shipped_spec("plate96"), tmp_path)
    assert resolve_spec(tmp_path).name == "plate96"
    assert resolve_spec(tmp_path, write(tmp_path)).name == "mine"
    (tmp_path / OWN).unlink()
    assert resolve_spec(tmp_path).name == "RCIC"
    (tmp_path / "metadata.csv").touch()
    assert resolve_spec(tmp_path).name == "RxRx1"
    with pytest.raises(UserError, match=r"gone\.yml: no such"):
        resolve_spec(tmp_path, tmp_path / "gone.yml")
    with pytest.raises(UserError, match=r"no screen 'rxrx' .*did you mean 'rxrx1'"):
        shipped_spec("rxrx")


def test_levels_may_be_missing_while_they_are_measured(tmp_path):
    path = write(tmp_path, OWN_FORM.replace("  levels: [100, 4095]\n", ""))
    assert read_spec(path, measured=False).levels(1) is None


def test_the_page_of_all_keys_is_the_one_in_docs():
    told = (Path(__file__).parents[2] / "docs" / "screen.md").read_text(encoding="utf-8")
    assert told == spec_as_markdown(), "write it with: python src/data.py spec > docs/screen.md"
