"""Image paths from patterns with named parts: ``{experiment}/{plate}/{well}_s{site}_w{channel}.png``."""

import re
from collections.abc import Mapping
from functools import cache

from rcic.errors import nearest
from rcic.screen.plate import row_name
from rcic.screen.spec import ScreenSpec

PLATE_PARTS = ("split", "experiment", "plate")  # what the path of an index may name
PLANE_PARTS = ("z", "time")  # of a stack
PATTERN_PARTS = (*PLATE_PARTS, "well", "row", "row_number", "column", "site", "channel", *PLANE_PARTS)
ENDINGS = (".png", ".tif", ".tiff")
PATH_TABLES = (".csv", ".csv.gz")  # of tables of image paths
INDEX_ENDINGS = (".xml", ".mlf", ".htd", ".zarr", *PATH_TABLES)  # of files that list the planes of plates
_NUMBERS = ("row_number", "column", "site", "plate", "channel", *PLANE_PARTS)  # may be zero-padded
_PART = re.compile(r"\{(\w*)(?::0(\d))?\}")


def is_index(pattern: str) -> bool:
    """Whether a pattern names index files, which list where the planes of plates are, instead of images."""
    return pattern.lower().endswith(INDEX_ENDINGS)


def wrong_pattern(pattern: str, n_sites: int, n_channels: int) -> str:
    """Return the reason why a pattern cannot name the images of a screen, "" if it can."""
    parts = [match[1] for match in _PART.finditer(pattern)]
    unknown = next((part for part in parts if part not in PATTERN_PARTS), None)
    if unknown is not None:
        return f"names {{{unknown}}}, which is none of {', '.join(PATTERN_PARTS)}{nearest(unknown, PATTERN_PARTS)}"
    if set("{}") & set(_PART.sub("", pattern)):
        return "has a brace that encloses no part; write parts as {well} or {column:02}"
    if pattern.startswith("/") or "\\" in pattern or ".." in pattern.split("/"):
        return "must be a path below the data root, with / between folders"
    if "**" in pattern:
        return "must not have **; write one * in a name, and */ for each folder"
    if is_index(pattern):
        other = next((part for part in parts if part not in PLATE_PARTS), None)
        may = f"an index lists each {other} of a plate; its name may have {', '.join(PLATE_PARTS)}"
        return f"names {{{other}}}, but {may}" if other else ""
    if not pattern.lower().endswith(ENDINGS):
        return f"must end with one of {', '.join(ENDINGS)} or, for an index of images, {', '.join(INDEX_ENDINGS)}"
    if "well" not in parts and not {"column"} < {*parts} & {"row", "row_number", "column"}:
        return "must name the {well}, or {row} and {column}"
    if n_sites > 1 and "site" not in parts:
        return f"must name the {{site}}: a well has {n_sites}"
    if n_channels > 1 and "channel" not in parts and pattern.lower().endswith(".png") and n_channels != 3:
        return f"must name the {{channel}}: a PNG has 1 or 3, not {n_channels}"
    return ""


def lacking_parts(pattern: str, first: Mapping[str, str | int], second: Mapping[str, str | int]) -> list[str]:
    """Return the parts that tell two images with these values apart, and that a pattern lacks."""
    parts = ("experiment", "plate", "well", "site", "channel")
    return [part for part in parts if first[part] != second[part] and not _tells(pattern, part)]


def _tells(pattern: str, part: str) -> bool:
    """Whether a pattern names a part, or for the well its row and column."""
    rows = has(pattern, "row") or has(pattern, "row_number")
    return has(pattern, part) or (part == "well" and rows and has(pattern, "column"))


def parts_of(
    spec: ScreenSpec, split: str, experiment: str, barcode: str, well: str, site: int, channel: int
) -> dict[str, str | int]:
    """Return part -> value of a pattern for one image; ``barcode`` is the plate's name in the screen's tables."""
    row, column = spec.position(well)
    return {
        "split": split,
        "experiment": experiment,
        "plate": barcode,
        "well": well,
        "row": row_name(row),
        "row_number": row + 1,
        "column": column + 1,
        "site": site if (word := spec.site_word(site)) == str(site) else word,
        "channel": spec.channels[channel - 1].file or channel,
    }


def fill(pattern: str, values: Mapping[str, str | int]) -> str:
    """Fill a pattern with the values of its parts; ``:02`` pads a number with zeros. A part without a value stays."""
    parts, rest = _split(pattern)
    return "".join([before + _filled(values, part, width) for before, part, width in parts]) + rest


def _filled(values: Mapping[str, str | int], part: str, width: int) -> str:
    if part not in values:
        return f"{{{part}:0{width}}}" if width else f"{{{part}}}"
    return str(values[part]).zfill(width) if width else str(values[part])


@cache
def _split(pattern: str) -> tuple[list[tuple[str, str, int]], str]:
    """Return the text before each part with its name and width (0: as it is), and the text behind the last."""
    parts, start = [], 0
    for match in _PART.finditer(pattern):
        width = int(match[2]) if match[2] and match[1] in _NUMBERS else 0
        parts.append((pattern[start : match.start()], match[1], width))
        start = match.end()
    return parts, pattern[start:]


def first_folder(pattern: str) -> str:
    """Return the folders at the start of a pattern that are the same for all images, "" if there are none."""
    folders = pattern.split("/")[:-1]
    fixed = next((index for index, folder in enumerate(folders) if set("{*") & set(folder)), len(folders))
    return "/".join(folders[:fixed])


def has(pattern: str, part: str) -> bool:
    """Whether a pattern names a part."""
    return any(match[1] == part for match in _PART.finditer(pattern))
