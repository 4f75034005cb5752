"""Image paths from patterns with named parts: ``{experiment}/{plate}/{well}_s{site}_w{channel}.png``."""

import re
from collections.abc import Mapping

from rcic.errors import nearest
from rcic.screen.plate import row_name
from rcic.screen.spec import ScreenSpec

PATTERN_PARTS = ("split", "experiment", "plate", "well", "row", "row_number", "column", "site", "channel")
ENDINGS = (".png", ".tif", ".tiff")
_NUMBERS = ("row_number", "column", "site", "plate", "channel")  # may be zero-padded
_PART = re.compile(r"\{(\w*)(?::0(\d))?\}")


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
    if not pattern.lower().endswith(ENDINGS):
        return f"must end with one of {', '.join(ENDINGS)}"
    if "well" not in parts and not {"column"} < {*parts} & {"row", "row_number", "column"}:
        return "must name the {well}, or {row} and {column}"
    if n_sites > 1 and "site" not in parts:
        return f"must name the {{site}}: a well has {n_sites}"
    if n_channels > 1 and "channel" not in parts and pattern.lower().endswith(".png") and n_channels != 3:
        return f"must name the {{channel}}: a PNG has 1 or 3, not {n_channels}"
    return ""


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
        "site": site,
        "channel": spec.channels[channel - 1].file or channel,
    }


def fill(pattern: str, values: Mapping[str, str | int], escape: bool = False) -> str:
    """Fill a pattern with the values of its parts; ``:02`` pads a number with zeros.

    ``escape``: escape the glob characters (``*``, ``?``, ``[``) of the values.
    """

    def part(match: re.Match[str]) -> str:
        text = str(values[match[1]])
        text = text.zfill(int(match[2])) if match[2] and match[1] in _NUMBERS else text
        return re.sub(r"([*?\[])", r"[\1]", text) if escape else text

    return _PART.sub(part, pattern)


def first_folder(pattern: str) -> str:
    """Return the folders at the start of a pattern that are the same for all images, "" if there are none."""
    folders = pattern.split("/")[:-1]
    fixed = next((index for index, folder in enumerate(folders) if set("{*") & set(folder)), len(folders))
    return "/".join(folders[:fixed])


def has(pattern: str, part: str) -> bool:
    """Whether a pattern names a part."""
    return any(match[1] == part for match in _PART.finditer(pattern))
