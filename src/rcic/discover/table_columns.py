"""What the columns of a table of wells mean, by their names and by what is in them."""

import csv
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from rcic.errors import UserError
from rcic.files.regular import read_regular

MOST_TABLE_BYTES = 200 * 2**20
_WELL = re.compile(r"(?:[A-P]|A[A-F]|[a-p])0*\d{1,2}")
_ROW = re.compile(r"[A-P]|A[A-F]|[a-p]|0*(?:[1-9]|[12]\d|3[0-2])")
_NUMBER = re.compile(r"0*\d{1,3}")
_TITLES = {  # part -> regular expressions of titles without blanks and punctuation, the best first
    "well": (r"well", r"well(?:name|position|pos|id|location|coord\w*|label)", r"position", r"wells"),
    "row": (r"row", r"well\w*row", r"row\w*"),
    "column": (r"col(?:umn)?", r"well\w*col(?:umn)?", r"col(?:umn)?\w*"),
    "plate": (
        r"plate",
        r"barcode",
        r"plate(?:id|name|barcode|number|nr|no)",
        r"assayplate\w*",
        r"\w*barcode",
        r"\w*plate",
    ),
    "experiment": (
        r"experiment",
        r"batch",
        r"experiment(?:id|name)",
        r"batch(?:id|name|number)?",
        r"run",
        r"week",
        r"date",
    ),
    "site": (r"site", r"field", r"fov", r"field(?:id|index)?", r"siteid"),
    "label": (
        *(
            r"treatment",
            r"label",
            r"compound",
            r"(?:treatment|compound|drug|chemical)(?:name|id)?",
            r"drug",
            r"sirna\w*",
        ),
        *(
            r"broadsample",
            r"jcp2022",
            r"pert(?:iname|urbation|name|id)?\w*",
            r"gene(?:symbol|name|id)?",
            r"grna\w*",
            r"sgrna\w*",
        ),
        *(
            r"condition",
            r"sample(?:name|id)?",
            r"reagent\w*",
            r"content",
            r"class",
            r"phenotype",
            r"smiles",
            r"\w*dose\w*",
        ),
        *(r"\w*conc(?:entration)?\w*", r"moa", r"target", r"group"),
    ),
    "role": (
        *(
            r"role",
            r"welltype",
            r"controltype",
            r"perttype",
            r"control",
            r"type",
            r"\w*controls?",
            r"(?:well)?role",
            r"usage",
        ),
        *(r"sampletype", r"\w*type"),
    ),
    "cell_type": (r"celltype", r"cellline", r"cells?", r"cell(?:name|id)", r"line"),
    "split": (r"split", r"dataset", r"set", r"use", r"fold", r"partition"),
}
_NEGATIVE = re.compile(
    r"dmso|vehicle|untreated|mock|solvent|neg(?:ative)?|neg(?:ative)?con(?:trol)?s?|nc|ctrl|control|non?-?targeting\w*|ntc|"
    r"scrambled?|safe-?harbou?r|luciferase|pbs|medium|media|wild-?type|wt|no ?treatment|none? ?treated|empty ?vector|-1"
)
_POSITIVE = re.compile(r"pos(?:itive)?|pos(?:itive)?con(?:trol)?s?|pc|poscon\w*|1")
_NEGATIVE_START = re.compile(
    r"neg(?:ative)?con\w*|neg(?:ative)?ctrl\w*|dmso(?:0\d*\w*)?|ntc\d*|nontargeting\w*|scramble\w*|untreated\w*"
)
_POSITIVE_START = re.compile(r"pos(?:itive)?con\w*|pos(?:itive)?ctrl\w*")
_SKIP = re.compile(r"empty|blank|no ?cells?|unused|excluded?|skip|outer ?well|edge|background|bg|not ?used|discard")
_TREATMENT = re.compile(
    r"treatment|treated|compound|sample|trt|drug|test|sirna|experimental|query|target|perturbation|cpd|0|x|case"
)
_UNKNOWN = {"na", "n/a", "#n/a", "nan", "null", "none", "unknown", "?", "-", "missing"}
_TRAIN, _TEST = {"train", "training", "known", "trainset"}, {"test", "testing", "unknown", "testset", "holdout"}


@dataclass(frozen=True, eq=False)
class TableColumns:
    """The columns of a table of wells.

    Attributes:
        file: name of the table.
        parts: part ("well", "row", "column", "plate", "experiment", "site", "label", "role", "cell_type", "split") ->
            title of its column.
        reasons: part -> how that is known.
        rows: the table, all text; the index counts lines.
        others: titles of columns that are not used.
    """

    file: str
    parts: dict[str, str]
    reasons: dict[str, str] = field(default_factory=dict)
    rows: pd.DataFrame = field(default_factory=pd.DataFrame)
    others: tuple[str, ...] = ()

    def values(self, part: str) -> list[str]:
        """Return the different values of a part's column in order of their first row, none without a column."""
        return self.rows[self.parts[part]].unique().tolist() if part in self.parts else []


def plain_title(title: str) -> str:
    """Return a title without case, blanks and punctuation, and without Metadata_ before it."""
    return re.sub(r"^(image)?metadata", "", re.sub(r"[\W_]+", "", title.lower()))


def read_plain_table(path: Path) -> pd.DataFrame:
    """Read a CSV file as text, with commas, semicolons or tabs, in UTF-8, UTF-16 or cp1252, as spreadsheets save it.

    Raises UserError if it is missing, no table, or larger than MOST_TABLE_BYTES.
    """
    try:
        text = _decoded(read_regular(path, most=MOST_TABLE_BYTES))
    except FileNotFoundError:
        raise UserError(f"{path}: the file is missing") from None
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    separator = max(",;\t", key=lines[0].count)
    try:
        rows = [
            [value.strip() for value in row] for row in csv.reader(lines, delimiter=separator, strict=True) if any(row)
        ]
    except csv.Error as error:
        raise UserError(f"{path}: {error}; is a closing quote missing?") from None
    if len(rows) < 2 or len(rows[0]) < 2 or "\0" in text:
        raise UserError(f"{path}: is no table with columns and rows")
    header = rows[0]
    wrong = next((number for number, row in enumerate(rows, start=1) if len(row) != len(header)), None)
    if wrong is not None:
        raise UserError(f"{path}, line {wrong}: {len(rows[wrong - 1])} fields, but the header has {len(header)}")
    return pd.DataFrame(rows[1:], columns=header, dtype=object)


def table_titles(path: Path) -> list[str]:
    """Return the titles of a table's columns, from its beginning; none if it cannot be read, as a compressed one."""
    try:
        line = _decoded(read_regular(path, first=2**16)).splitlines()[0]
        return [title.strip() for title in next(csv.reader([line], delimiter=max(",;\t", key=line.count)))]
    except (UserError, OSError, IndexError, csv.Error):
        return []


def _decoded(data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def is_plain(path: Path) -> bool:
    """Whether a table can be read as it is: UTF-8 with commas."""
    data = read_regular(path, most=MOST_TABLE_BYTES)
    first = data.split(b"\n", 1)[0]
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return max(b",", b";", b"\t", key=first.count) == b","


def recognised_columns(file: str, rows: pd.DataFrame) -> TableColumns | None:
    """Return what the columns of a table mean, None if it has none of wells."""
    parts, reasons = dict[str, str](), dict[str, str]()
    free = list(dict.fromkeys(str(title) for title in rows.columns))
    for part in _TITLES:
        title = _title(part, free, rows)
        if title is not None:
            parts[part] = title
            reasons[part] = "by its title and values" if part in _FITS and part != "label" else "by its title"
            free.remove(title)
    if "well" not in parts:
        _add_by_values(parts, reasons, free, rows)
    if "well" in parts:
        free += [parts.pop(part) for part in ("row", "column") if part in parts]
    if "well" not in parts and not {"row", "column"} <= {*parts}:
        return None
    if "label" not in parts:
        _add_label(parts, reasons, free, rows)
    return TableColumns(file, parts, reasons, rows, tuple(free))


def _title(part: str, free: Sequence[str], rows: pd.DataFrame) -> str | None:
    """Return the column with the best title for a part, and values that may be that part."""
    for title_pattern in _TITLES[part]:
        for title in free:
            if re.fullmatch(title_pattern, plain_title(title)) and _FITS.get(part, _any)(rows[title]):
                return title
    return None


def _any(values: pd.Series) -> bool:
    """Whether there is any value."""
    return bool((values != "").any())


def _always(_: pd.Series) -> bool:
    """Return True: a column of labels may be still to be filled in."""
    return True


def _mostly(pattern: re.Pattern[str]) -> Callable[[pd.Series], bool]:
    def fits(values: pd.Series) -> bool:
        filled = values[values != ""]
        return len(filled) > 0 and sum(map(bool, filled.map(pattern.fullmatch))) >= 0.9 * len(filled)

    return fits


def _role_like(values: pd.Series) -> bool:
    """Whether at least one value is a word for a control, and few are different."""
    words = {value.lower() for value in values.unique()}
    named = any(
        _NEGATIVE.fullmatch(word)
        or _POSITIVE.fullmatch(word)
        or _NEGATIVE_START.fullmatch(word)
        or _POSITIVE_START.fullmatch(word)
        for word in words
    )
    return len(words) <= 12 and named


def _split_like(values: pd.Series) -> bool:
    words = {value.lower() for value in values.unique()}
    return bool(words & _TRAIN) and words <= _TRAIN | _TEST


_FITS: dict[str, Callable[[pd.Series], bool]] = {
    "well": _mostly(_WELL),
    "row": _mostly(_ROW),
    "column": _mostly(_NUMBER),
    "label": _always,
    "role": _role_like,
    "split": _split_like,
}


def _add_by_values(parts: dict[str, str], reasons: dict[str, str], free: list[str], rows: pd.DataFrame) -> None:
    """Add the column whose values are wells with rows and columns that differ."""
    fits = [title for title in free if _FITS["well"](rows[title]) and rows[title].nunique() > 1]
    if fits:
        title = max(fits, key=lambda one: rows[one].nunique())
        parts["well"], reasons["well"] = title, "by its values, such as " + str(rows[title].iloc[0])
        free.remove(title)


def _add_label(parts: dict[str, str], reasons: dict[str, str], free: list[str], rows: pd.DataFrame) -> None:
    """Add a column of text with several values that repeat, if there is just one."""
    texts = [title for title in free if 1 < rows[title].nunique() < len(rows) and not _FITS["column"](rows[title])]
    if len(texts) == 1:
        parts["label"], reasons["label"] = texts[0], "the only column of text with values that repeat"
        free.remove(texts[0])


def control_words(values: Collection[str], is_role: bool) -> dict[str, list[str]]:
    """Return kind of well -> the values that are words for it; of a role column every value has a kind.

    ``unknown`` are values that mean that nothing is known.
    """
    kinds: dict[str, list[str]] = {
        "negative_control": [],
        "positive_control": [],
        "skip": [],
        "unknown": [],
        "treatment": [],
    }
    for value in values:
        kinds[_kind_of(value, is_role)].append(value)
    if not is_role:
        kinds["treatment"] = []
    return kinds


def _kind_of(value: str, is_role: bool) -> str:
    """Return what kind of well a value means; "1" and "-1" mean controls in a column of roles only."""
    word = re.sub(r"[\s_]+", " ", value.strip().lower())
    tight = re.sub(r"[\W_]+", "", word)
    if not is_role and re.fullmatch(r"-?\d+(\.\d+)?", word):
        return "treatment"
    if word in _UNKNOWN and not is_role:
        return "unknown"
    if _SKIP.fullmatch(word):
        return "skip"
    if _POSITIVE.fullmatch(word) or _POSITIVE_START.fullmatch(tight):
        return "positive_control"
    if _NEGATIVE.fullmatch(word) or _NEGATIVE.fullmatch(tight) or _NEGATIVE_START.fullmatch(tight):
        return "negative_control"
    return "treatment"


def split_words(values: Collection[str]) -> tuple[list[str], list[str]]:
    """Return the values of a split column that mean train, and those that mean test."""
    return [v for v in values if v.lower() in _TRAIN], [v for v in values if v.lower() in _TEST]


def well_names(columns: TableColumns) -> "pd.Series[str]":
    """Return the well of each row as B02, "" where a row has none."""
    rows = columns.rows
    if "well" in columns.parts:
        texts = rows[columns.parts["well"]]
        known = {text: _tidy_well(text) for text in texts.unique()}
        return texts.map(known)
    letters, numbers = rows[columns.parts["row"]], rows[columns.parts["column"]]
    return pd.Series([_tidy_well(_letters(a) + b) for a, b in zip(letters, numbers, strict=True)], rows.index)


def _letters(row: str) -> str:
    number = int(row) - 1 if row.isdecimal() else -1
    return row if number < 0 else ("A" if number > 25 else "") + chr(65 + number % 26)


def _tidy_well(text: str) -> str:
    match = re.fullmatch(r"([A-Pa-p]|A[A-F])0*(\d{1,2})", text)
    return f"{match[1].upper()}{int(match[2]):02d}" if match else ""
