"""Tables of image paths: CellProfiler's and JUMP's ``load_data.csv``, and CSV files with one row per image.

CellProfiler (LoadData module) has a row per site: ``FileName_X`` and ``PathName_X``, or ``URL_X``, for each channel X,
``Frame_X`` and ``Series_X`` for a page of a file, and ``Metadata_...`` for plate, well and site. Exports of its
databases have ``Image_`` before each title. A table with a row per image has a column of paths.
"""

import gzip
import io
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from rcic.errors import UserError, brief, nearest
from rcic.files.regular import read_regular
from rcic.instruments.listed_paths import below_data_root
from rcic.instruments.measurement import PLANE_COLUMNS, MeasuredChannel, Measurement
from rcic.schema.spelling import trimmed
from rcic.screen.plate import row_name
from rcic.screen.spec import PathColumns

_FILE = re.compile(r"(?:Image_)?(?:FileName|URL)_(.+)")
_TITLES = {  # part -> titles in which it is recognised, without case, blanks and a leading Image_ or Metadata_
    "plate": ("plate", "barcode", "plate_name", "plate_barcode", "platename", "assay_plate_barcode", "plate_id"),
    "well": ("well", "well_position", "wellname", "well_name", "well_id"),
    "row": ("row", "well_row", "wellrow"),
    "column": ("column", "col", "well_column", "well_col", "wellcolumn"),
    "site": ("site", "field", "fieldid", "field_id", "field_index", "fov"),
    "channel": ("channel", "channelname", "channel_name", "channelid", "channel_id", "wavelength", "stain"),
    "z": ("z", "planeid", "plane", "zstep", "z_step", "z_index", "zplane", "slice"),
    "time": ("t", "time", "timepoint", "timepointid", "time_point"),
    "file": ("filename", "file", "path", "file_path", "filepath", "image_path", "imagepath", "image_file", "url"),
    "page": ("page", "frame", "ifd"),
}
_FOLDER = ("pathname", "folder", "directory", "dir")  # of the file in a table with a row per image
_WELL = re.compile(r"([A-Za-z]{1,2})[ _-]?0*([0-9]{1,2})")
_NUMBER = re.compile(r"0*([0-9]+)(?:\.0+)?")


@dataclass(frozen=True)
class _Source:
    """The rows of a table, all text, and where messages say that they are from."""

    root: Path
    name: str
    rows: pd.DataFrame
    columns: PathColumns

    @property
    def path(self) -> Path:
        return self.root / self.name

    def title(self, part: str, suffix: str = "") -> str | None:
        """Return the title of a part's column, None if there is none. Raises UserError for a wrong key."""
        named = getattr(self.columns, part, None)
        if named is not None:
            if trimmed(named) not in self.rows:
                reason = f"has no column {brief(named)}, which is images.columns.{part} of the screen spec"
                raise UserError(f"{self.path}: {reason}{nearest(named, self.rows.columns)}")
            return trimmed(named)
        return self._known(_TITLES[part], suffix)

    def _known(self, words: Sequence[str], suffix: str = "") -> str | None:
        """Return the first title that is one of some words, or one of them with the name of a channel behind it.

        The channel ``suffix`` is tried first: CellProfiler's databases may have plate and well of one channel only.
        """
        by_look = {_plain(title): title for title in reversed(self.rows.columns)}
        others = [_plain(match[1]) for title in self.rows.columns if (match := _FILE.fullmatch(title))]
        endings = ["", *(f"_{channel}" for channel in (_plain(suffix), *others) if suffix)]
        return next((by_look[word + end] for end in endings for word in words if word + end in by_look), None)

    def folder_title(self) -> str | None:
        return self._known(_FOLDER)

    def values(self, part: str, suffix: str = "", default: str = "") -> pd.Series:
        """Return a part of each row as text."""
        title = self.title(part, suffix)
        return pd.Series(default, self.rows.index, dtype=object) if title is None else self.rows[title]


def read_path_table(root: Path, name: str, columns: PathColumns | None = None) -> Measurement:
    """Read a table of image paths, a CSV file that may be compressed by gzip.

    ``columns`` names columns whose titles are unusual. Paths of another machine and URLs are read below the data root,
    by the longest of their ends that exists there, which is logged once. Raises UserError, naming the file, if it is
    none, or lacks the columns of files, wells, or sites where a well has several rows.
    """
    source = _Source(root, name, _rows(root / name), columns or PathColumns())
    wide = list(dict.fromkeys(match[1] for title in source.rows.columns if (match := _FILE.fullmatch(title))))
    channels: tuple[MeasuredChannel, ...] = ()
    notes: tuple[str, ...] = ()
    if source.columns.file is not None or not wide:
        planes = _long(source)
    else:
        used = [channel for channel in wide if not channel.startswith("Illum")]
        planes = pd.concat([_of_channel(source, channel) for channel in used], ignore_index=True)
        channels = tuple(MeasuredChannel(word, word.removeprefix("Orig")) for word in used)
        if len(used) == 1 and source.title("channel") is not None:  # a row per image
            planes["channel"], channels = source.values("channel").to_numpy(), ()
        notes = tuple(f"{channel}: an illumination correction, no image" for channel in wide if channel not in used)
    planes = planes[planes["file"] != ""].reset_index(drop=True)
    if not channels:
        channels = tuple(MeasuredChannel(word) for word in dict.fromkeys(planes["channel"]))
    planes["file"] = below_data_root(root, name, planes["file"])
    _check_sites(source, planes)
    return Measurement("table of image paths", planes, channels, notes=notes)


def _rows(path: Path) -> pd.DataFrame:
    """Return the rows of a CSV file as text, with tabs or semicolons if there are more of these in its first line."""
    try:
        data = read_regular(path)
        data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        text = data.decode("utf-8-sig")
        first = text.partition("\n")[0]
        rows = pd.read_csv(
            io.StringIO(text), sep=max(",;\t", key=first.count), dtype=str, keep_default_na=False, skipinitialspace=True
        )
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (ValueError, OSError, EOFError, zlib.error) as error:  # pandas' parser errors are ValueErrors
        raise UserError(f"{path}: is no CSV file of image paths ({brief(' '.join(str(error).split()))})") from None
    return rows.rename(columns=lambda title: trimmed(str(title)))


def _plain(title: str) -> str:
    """Return a title without case, blanks, and what CellProfiler writes before it."""
    return re.sub(r"^(image_)?(metadata_)?", "", re.sub(r"\s+", "_", title.lower()))


def _long(source: _Source) -> pd.DataFrame:
    """Return the planes of a table with a row per image."""
    if source.title("file") is None:
        reason = "no column FileName_CHANNEL, and none of files; name it in images.columns.file of the screen spec"
        raise UserError(f"{source.path}: has {reason}")
    folder = source.folder_title()
    files = source.values("file")
    files = files if folder is None else _joined(source.rows[folder], files)
    pages = _numbers(source, "page", default=-1)
    return _planes(source, source.values("channel", default="1"), files, pages)


def _of_channel(source: _Source, channel: str) -> pd.DataFrame:
    """Return the planes of one channel of a table with a row per site."""

    def column(kind: str) -> pd.Series | None:
        title = next((name for name in (f"{kind}_{channel}", f"Image_{kind}_{channel}") if name in source.rows), None)
        return None if title is None else source.rows[title]

    files, folders, urls = column("FileName"), column("PathName"), column("URL")
    found = urls if files is None else files if folders is None else _joined(folders, files)
    frames, series = (_whole(source, column(kind), f"{kind}_{channel}", 0) for kind in ("Frame", "Series"))
    if ((frames > 0) & (series > 0)).any():
        raise UserError(f"{source.path}: Frame_{channel} and Series_{channel} both count; one page number is needed")
    is_paged = column("Frame") is not None or column("Series") is not None
    pages = frames + series if is_paged and (frames + series).any() else np.full(len(source.rows), -1)
    return _planes(source, pd.Series(channel, source.rows.index, dtype=object), found, pages, channel)


def _planes(
    source: _Source, channels: pd.Series, files: pd.Series | None, pages: np.ndarray, suffix: str = ""
) -> pd.DataFrame:
    """Return planes with the columns PLANE_COLUMNS; ``suffix`` may end the titles of plate, well and site."""
    facts = {
        "plate": source.values("plate", suffix),
        "well": _wells(source, suffix),
        "site": source.values("site", suffix),
        "channel": channels,
        "z": _numbers(source, "z", suffix, 1),
        "time": _numbers(source, "time", suffix, 1),
        "file": files,
        "page": pages,
    }
    planes = pd.DataFrame(facts, index=source.rows.index)[PLANE_COLUMNS]
    if source.title("site", suffix) is None:
        planes["site"] = "1"
    return planes


def _wells(source: _Source, suffix: str) -> pd.Series:
    """Return the well names, as B02, of each row. Raises UserError for one that is none."""
    title = source.title("well", suffix)
    if title is not None:
        names = source.rows[title]
        known = {name: _well(name) for name in names.unique()}
        wrong = next((name for name, well in known.items() if not well), None)
        _refuse(source, title, wrong, "no well such as B02")
        return names.map(known)
    row, column = source.title("row", suffix), source.title("column", suffix)
    if row is None or column is None:
        reason = "has no column of wells, nor of rows and columns; name it in images.columns.well of the screen spec"
        raise UserError(f"{source.path}: {reason}")
    pairs = list(zip(source.rows[row], source.rows[column], strict=True))
    known_pairs = {pair: _well(_letters(pair[0]) + pair[1]) for pair in {*pairs}}
    wrong_pair = next((pair for pair, well in known_pairs.items() if not well), None)
    _refuse(source, f"{row}, {column}", wrong_pair and ", ".join(wrong_pair), "no row and column such as B and 2")
    return pd.Series([known_pairs[pair] for pair in pairs], source.rows.index, dtype=object)


def _well(name: str) -> str:
    """Return ``b2``, ``B002`` or ``B-02`` as ``B02``; "" for what is no well."""
    match = _WELL.fullmatch(trimmed(name))
    return f"{match[1].upper()}{int(match[2]):02d}" if match else ""


def _letters(row: str) -> str:
    """Return the letters of a row, from its number or as they are."""
    match = _NUMBER.fullmatch(trimmed(row))
    return row_name(int(match[1]) - 1) if match and 0 < int(match[1]) <= 32 else trimmed(row)


def _numbers(source: _Source, part: str, suffix: str = "", default: int = 0) -> np.ndarray:
    """Return the whole numbers (N,) int64 of a part. Raises UserError for another value."""
    title = source.title(part, suffix)
    return _whole(source, None if title is None else source.rows[title], title or "", default)


def _whole(source: _Source, values: pd.Series | None, title: str, default: int) -> np.ndarray:
    if values is None:
        return np.full(len(source.rows), default, np.int64)
    numbers = {value: _NUMBER.fullmatch(trimmed(value)) for value in values.unique() if value}
    _refuse(source, title, next((value for value, match in numbers.items() if match is None), None), "no whole number")
    known = {value: int(match[1]) for value, match in numbers.items() if match}
    return values.map({"": default} | known).to_numpy(np.int64)


def _refuse(source: _Source, title: str, wrong: str | None, reason: str) -> None:
    """Raise the UserError of a wrong value, if there is one."""
    if wrong is not None:
        raise UserError(f"{source.path}: {title} {brief(wrong)} is {reason}")


def _joined(folders: pd.Series, files: pd.Series) -> pd.Series:
    names = zip(folders, files, strict=True)
    paths = [f"{folder.rstrip('/')}/{file}" if folder and file else file for folder, file in names]
    return pd.Series(paths, files.index, dtype=object)


def _check_sites(source: _Source, planes: pd.DataFrame) -> None:
    """Refuse a table without sites whose wells have several images of a channel."""
    if planes.duplicated(["plate", "well", "site", "channel", "z", "time"]).any() and (planes["site"] == "1").all():
        reason = "lists several images of a well and channel, but has no column of sites or planes that differ"
        raise UserError(f"{source.path}: {reason}; name it in images.columns.site of the screen spec")
