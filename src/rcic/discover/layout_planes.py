"""The planes of files that are named alike."""

import pandas as pd

from rcic.discover.name_fields import WELL
from rcic.screen.plate import row_name

LAYOUT_COLUMNS = ["experiment", "plate", "well", "site", "channel", "z", "time", "file"]


def layout_planes(files: list[str], values: dict[str, list[str]]) -> pd.DataFrame:
    """Return the planes with LAYOUT_COLUMNS; ``values``: part -> its text in each file."""
    count = len(files)
    table = {
        "experiment": values.get("experiment", [""] * count),
        "plate": values.get("plate", [""] * count),
        "well": _wells(values),
        "site": _site_words(values, count),
        "channel": values.get("channel", ["1"] * count),
        "z": _whole(values.get("z", ["1"] * count)),
        "time": _whole(values["time"] if "stamp" not in values and "time" in values else _ranks(values, count)),
        "file": files,
    }
    return pd.DataFrame(table)[LAYOUT_COLUMNS].astype({"z": "int64", "time": "int64"})


def _wells(values: dict[str, list[str]]) -> list[str]:
    """Return the well of each file as B02."""
    if "well" in values:
        known = {text: _tidy(text) for text in {*values["well"]}}
        return [known[text] for text in values["well"]]
    if "number" in values:
        columns = 12 if max(map(int, values["number"])) <= 96 else 24 if max(map(int, values["number"])) <= 384 else 48
        return [f"{row_name((n - 1) // columns)}{(n - 1) % columns + 1:02d}" for n in map(int, values["number"])]
    part = next(part for part in ("row", "row_number", "row0") if part in values)
    first = part == "row_number"
    rows = {text: text.upper() if part == "row" else row_name(int(text) - first) for text in {*values[part]}}
    column, shift = ("column", 0) if "column" in values else ("column0", 1)
    numbers = {text: f"{int(text) + shift:02d}" for text in {*values[column]}}
    return [rows[row] + numbers[number] for row, number in zip(values[part], values[column], strict=True)]


def _tidy(text: str) -> str:
    match = WELL.fullmatch(text)
    return f"{match[1].upper()}{int(match[2]):02d}" if match else text


def _site_words(values: dict[str, list[str]], count: int) -> list[str]:
    """Return the site of each file: a number without zeros before it, of two numbers x and y their rank."""
    first = values.get("site", ["1"] * count)
    if "site2" in values and len({*values["site2"]}) > 1:
        pairs = [(int(y), int(x)) for x, y in zip(first, values["site2"], strict=True)]
        rank = {pair: str(number) for number, pair in enumerate(sorted({*pairs}), start=1)}
        return [rank[pair] for pair in pairs]
    known = {text: str(int(text)) if text.isdecimal() else text for text in {*first}}
    return [known[text] for text in first]


def _ranks(values: dict[str, list[str]], count: int) -> list[str]:
    """Return the ranks of time stamps, from 1."""
    stamps = values.get("stamp", [""] * count)
    rank = {stamp: str(number) for number, stamp in enumerate(sorted({*stamps}), start=1)}
    return [rank[stamp] for stamp in stamps]


def _whole(texts: list[str]) -> list[int]:
    known = {text: int(text) for text in {*texts}}
    return [known[text] for text in texts]
