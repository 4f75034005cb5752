"""Paths that a table lists, of another machine or of a bucket, as they are below the data root."""

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from rcic.files.regular import is_there

_log = logging.getLogger(__name__)

_REMOTE = re.compile(r"([a-z][a-z0-9+.-]+):/+(?:[^/]*/)?", re.IGNORECASE)  # s3://bucket/, https://host/
_LOCAL = re.compile(r"file:/+", re.IGNORECASE)
_DRIVE = re.compile(r"[A-Za-z]:/")


def below_data_root(root: Path, table: str, files: Iterable[str]) -> list[str]:
    """Return the paths of a table as they are below the data root, by the longest end of each folder that exists there.

    ``table`` is the path of the table below the root. What was read elsewhere than it is listed is logged once.
    """
    parts = [_local(file).rpartition("/") for file in files]
    names: dict[str, list[str]] = {}
    for folder, _, name in parts:
        names.setdefault(folder, []).append(name)
    found = {folder: _folder_below(root, table, folder, some) for folder, some in names.items()}
    for folder, here in found.items():
        if folder.startswith("/") and here != folder:
            away, _, end = folder.rpartition(f"/{here}" if here else folder)
            _tell(root, (away if end == "" else folder) or "/")
    return [f"{found[folder]}/{name}" if found[folder] else name for folder, _, name in parts]


def _local(file: str) -> str:
    """Return a path or URL as a path with /, without a scheme, host, drive, or dots."""
    text = file.strip().replace("\\", "/")
    if _LOCAL.match(text):
        text = "/" + unquote(_LOCAL.sub("", text))
    elif match := _REMOTE.match(text):
        text = "/" + (unquote(text[match.end() :]) if match[1].lower() in ("http", "https") else text[match.end() :])
    text = _DRIVE.sub("/", text)
    return ("/" if text.startswith("/") else "") + str(PurePosixPath(text.lstrip("/")))


def _folder_below(root: Path, table: str, folder: str, names: Sequence[str]) -> str:
    """Return where a folder of the table is below the data root: with one of its files in it, else the folder alone.

    A path that is not absolute is looked for from the data root and from the table's own folder, too.
    """
    candidates = list(dict.fromkeys(_candidates(root, table, folder)))
    for name in (names[0], names[len(names) // 2], names[-1]):
        for candidate in candidates:
            if is_there(root / candidate / name):
                return candidate
    last = folder.rpartition("/")[2]
    named = [candidate for candidate in candidates if last and candidate.rpartition("/")[2] == last]
    return next((candidate for candidate in named if is_there(root / candidate)), candidates[0])


def _candidates(root: Path, table: str, folder: str) -> Iterator[str]:
    """Yield the folders below the data root that a folder may be, the longest first."""
    beside = table.rpartition("/")[0]
    parts = [part for part in folder.split("/") if part not in ("", ".")]
    if not folder.startswith("/") and ".." in parts:
        parts = _without_dots(beside.split("/") if beside else [], parts)
    inside = root.resolve().as_posix()
    if folder.startswith(f"{inside}/"):
        yield folder.removeprefix(f"{inside}/")
    for start in range(len(parts) + 1):
        end = "/".join(parts[start:])
        if beside and not folder.startswith("/"):
            yield f"{beside}/{end}" if end else beside
        yield end
        if beside and folder.startswith("/"):
            yield f"{beside}/{end}" if end else beside


def _without_dots(beside: list[str], parts: list[str]) -> list[str]:
    """Return the parts of a path from a folder ``beside`` with .. in it."""
    result = list(beside)
    for part in parts:
        if part == ".." and result:
            result.pop()
        elif part != "..":
            result.append(part)
    return result


@cache
def _tell(root: Path, away: str) -> None:
    _log.info(f"{root}: the paths of images below {away}, which a table lists, are read below this folder")
