"""Words in tables of wells: names of wells, of controls, of splits, of what is left out or not known."""

import re
from collections.abc import Collection

import pandas as pd

WELL_WORD = re.compile(r"(?:[A-Z]|A[A-F]|[a-z])0*\d{1,2}")  # of up to 1,536 wells, rows A to AF
_NEGATIVE = re.compile(
    r"dmso|vehicle|untreated|mock|solvent|neg(?:ative)?|neg(?:ative)?con(?:trol)?s?|nc|ctrl|control|non?-?targeting\w*|ntc|"
    r"scrambled?|safe-?harbou?r|luciferase|pbs|medium|media|wild-?type|wt|no ?treatment|none? ?treated|empty ?vector|"
    r"-1|(?:si|sh|sg|cr)(?:rna)?(?:nt|ntc|nc|neg|negative|ctrl|ctl|con|control|scr|luc|luciferase|gfp|lacz|mock)\d*"
)
_POSITIVE = re.compile(r"pos(?:itive)?|pos(?:itive)?con(?:trol)?s?|pc|poscon\w*|1")
_NEGATIVE_START = re.compile(
    r"neg(?:ative)?con\w*|neg(?:ative)?ctrl\w*|dmso(?:0\d*\w*)?|ntc\d*|nontargeting\w*|scramble\w*|untreated\w*"
)
_POSITIVE_START = re.compile(r"pos(?:itive)?con\w*|pos(?:itive)?ctrl\w*")
_SKIP = re.compile(r"empty|blank|no ?cells?|unused|excluded?|skip|outer ?well|edge|background|bg|not ?used|discard")
_UNKNOWN = {"na", "n/a", "#n/a", "nan", "null", "none", "unknown", "?", "-", "missing"}
_TRAIN, _TEST = {"train", "training", "known", "trainset"}, {"test", "testing", "unknown", "testset", "holdout"}


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


def role_like(values: pd.Series) -> bool:
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


def split_like(values: pd.Series) -> bool:
    """Whether values are words for train and test, at least one of them for train."""
    words = {value.lower() for value in values.unique()}
    return bool(words & _TRAIN) and words <= _TRAIN | _TEST


def split_words(values: Collection[str]) -> tuple[list[str], list[str]]:
    """Return the values of a split column that mean train, and those that mean test."""
    return [v for v in values if v.lower() in _TRAIN], [v for v in values if v.lower() in _TEST]


def tidy_well(text: str) -> str:
    """Return ``b2`` or ``B002`` as ``B02``, "" for what is no well."""
    match = re.fullmatch(r"([A-Za-z]|A[A-F])0*(\d{1,2})", text)
    return f"{match[1].upper()}{int(match[2]):02d}" if match else ""


def row_letters(row: str) -> str:
    """Return the letters of a row, from its number from 1 on or as they are."""
    number = int(row) - 1 if row.isdecimal() else -1
    return row if number < 0 else ("A" if number > 25 else "") + chr(65 + number % 26)
