"""What the fields of file names mean that no instrument's style fits, by what varies with what."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

_SEPARATOR = re.compile(r"([_\-.,;()\[\]=+#@~]+)")
_WITH_BLANKS = re.compile(r"([_\-. ,;()\[\]=+#@~]+)")
WELL = re.compile(r"([A-P]|A[A-F])(\d{1,3})", re.IGNORECASE)
DYES = re.compile(
    r"dapi|hoechst|draq5|syto|gfp|e?gfp|yfp|[rc]fp|mcherry|tdtomato|fitc|tritc|rhod|texas|alexa|af\d{3}|a\d{3}|cy[357]|"
    r"phase|bright ?-?field|^bf$|dic|trans|fluor|red|green|blue|far|actin|phall|tubulin|mito|^er$|cona|wga|agp|rna|dna|"
    r"nuc|cell|ex\d{3}|\d{3}[ _]?nm|violet|cyan|orange|channel|^ch\d|^w\d",
    re.IGNORECASE,
)
PLACES = re.compile(  # of a well, as sites are called
    r"(?:(?:upper|lower|top|bottom|left|right|centre|center|middle|mid|north|south|east|west|inner|outer)[ -]?)+|"
    r"[tbul][lr]|[ns][ew]",
    re.IGNORECASE,
)
MOST_CHANNEL_WORDS = 16
_LABELS = {
    **dict.fromkeys(("s", "site", "sites", "f", "fld", "field", "fov", "xy", "pos", "position", "point", "pt"), "site"),
    **dict.fromkeys(("w", "wv", "ch", "c", "d", "channel", "chan", "wavelength", "wave", "filter"), "channel"),
    **dict.fromkeys(("z", "zstep", "zplane", "plane", "slice", "zslice", "zs"), "z"),
    **dict.fromkeys(("t", "tp", "time", "timepoint", "frame"), "time"),
    **dict.fromkeys(("p", "plate"), "plate"),
    **dict.fromkeys(("r", "row"), "row_number"),
    **dict.fromkeys(("col", "column"), "column"),
}
_CALLED_WELL = re.compile(r"well[ _]?((?:[A-P]|A[A-F])\d{1,2})", re.IGNORECASE)
_ROWS = ("c", "d", "f", "p")  # labels that are letters of rows, too
_PAIRS = re.compile(r"(?:[A-Za-z]+\d+)+")
_PAIR = re.compile(r"([A-Za-z]+)(\d+)")


@dataclass(frozen=True)
class NameSlot:
    """One place in the names of a group of files.

    Attributes:
        values: its text in each file.
        spans: from where to where it is in each name.
        label: letters before it that are the same in all files, in lower case, such as "s" of ``s1``.
    """

    values: Sequence[str]
    spans: Sequence[tuple[int, int]]
    label: str = ""

    @cached_property
    def unique(self) -> frozenset[str]:
        """The different texts."""
        return frozenset(self.values)

    @property
    def varies(self) -> bool:
        """Whether files differ in it."""
        return len(self.unique) > 1

    @property
    def is_number(self) -> bool:
        """Whether it is digits in all files."""
        return all(value.isdecimal() and value.isascii() for value in self.unique)

    def follows(self, *others: "NameSlot") -> bool:
        """Whether its text is the same wherever that of the others is."""
        keys = list(zip(*(other.values for other in others), strict=True))
        return len(set(keys)) == len(set(zip(keys, self.values, strict=True)))


def split_fields(stem: str) -> list[tuple[str, int]]:
    """Return the fields of a name and where they begin; separators are punctuation, blanks if there is no other."""
    fields, at = [], 0
    separator = _SEPARATOR if set("_-") & {*stem} else _WITH_BLANKS
    for index, piece in enumerate(separator.split(stem)):
        if index % 2 == 0 and piece:
            fields.append((piece, at))
        at += len(piece)
    return fields


def name_slots(stems: Sequence[str], letters: bool = True) -> list[NameSlot]:
    """Return the slots of names that have the same number of fields; ``A01f00d0`` and ``w1`` are cut into numbers.

    Without ``letters`` fields that begin with the letter of a row are whole: C02 may be a well.
    """
    rows = [split_fields(stem) for stem in stems]
    return [slot for index in range(len(rows[0])) for slot in _cut([row[index] for row in rows], letters)]


def _cut(column: list[tuple[str, int]], letters: bool) -> list[NameSlot]:
    """Return the slots of one field: itself, or its numbers behind letters that are the same in all files."""
    unique = {text for text, _ in column}
    if all(_CALLED_WELL.fullmatch(text) for text in unique):
        lengths = {text: len(_CALLED_WELL.sub(r"\1", text)) for text in unique}
        return [_slot([(text[-lengths[text] :], start + len(text) - lengths[text]) for text, start in column])]
    labels = _labels_of(unique)
    is_one = len(labels) == 1 and len(labels[0]) == 1
    is_number = is_one and min(labels[0]) in _LABELS and (letters or min(labels[0]) not in _ROWS)
    if len(labels) > 1 or (is_number and not _is_row_of_wells(unique, min(labels[0]))):
        return [_pair(column, place, names) for place, names in enumerate(labels)]
    return [_slot(column)]


def _labels_of(unique: Collection[str]) -> list[set[str]]:
    """Return the letters before each number of texts that are letters and numbers in turns, none for other texts."""
    if not all(_PAIRS.fullmatch(text) for text in unique):
        return []
    shapes = {tuple(label.lower() for label, _ in _PAIR.findall(text)) for text in unique}
    n_pairs = {len(shape) for shape in shapes}
    return [{shape[place] for shape in shapes} for place in range(min(n_pairs))] if len(n_pairs) == 1 else []


def _is_row_of_wells(unique: Collection[str], label: str) -> bool:
    """Whether texts such as F05 are the wells of a row rather than fields: many, with columns of a plate."""
    are_wells = label in _ROWS and label != "c" and all(WELL.fullmatch(text) for text in unique)
    return are_wells and len({int(text[1:]) for text in unique}) > 9


def _slot(column: list[tuple[str, int]]) -> NameSlot:
    return NameSlot([text for text, _ in column], [(start, start + len(text)) for text, start in column])


def _pair(column: list[tuple[str, int]], place: int, labels: Collection[str]) -> NameSlot:
    """Return the number of a pair of letters and digits, or the pair if the letters differ, as in wells."""
    values, spans = [], []
    is_labelled = len(labels) == 1 and min(labels) in _LABELS
    for text, start in column:
        match = list(_PAIR.finditer(text))[place]
        part = match.span(2) if is_labelled else match.span()
        values.append(text[part[0] : part[1]])
        spans.append((start + part[0], start + part[1]))
    return NameSlot(values, spans, min(labels) if is_labelled else "")


def roles_of(slots: Sequence[NameSlot], known: Collection[str] = ()) -> dict[int, str]:
    """Return which slot is which part, by position; ``known`` are parts that folders tell.

    Wells are the slot of wells that varies most, or a row and a column. Numbers behind letters are what the letters
    usually mean. Of the rest, numbers that do not follow the well are sites, as are words for places in it; words that
    are stains are channels.
    """
    roles = _well_roles(slots) if "well" not in known else {}
    taken = {*known, *roles.values()}
    for index, slot in enumerate(slots):
        part = _label_part(slot, roles)
        if index not in roles and part and part not in taken and (part != "plate" or slot.varies):
            roles[index] = part
            taken.add(part)
    wells = [slots[index] for index, part in roles.items() if part in ("well", "row", "row_number", "column")]
    for index, slot in enumerate(slots):
        if index in roles or not slot.varies or (wells and slot.follows(*wells)):
            continue
        part = _free_part(slot, taken)
        if part:
            roles[index] = part
            taken.add(part)
    return roles


def _label_part(slot: NameSlot, roles: dict[int, str]) -> str:
    """Return the part that a slot's letters mean, "" if they mean none; c beside r is a column."""
    if not slot.label or not slot.is_number:
        return ""
    return "column" if slot.label == "c" and "row_number" in roles.values() else _LABELS[slot.label]


def _free_part(slot: NameSlot, taken: Collection[str]) -> str:
    """Return what a slot without letters may be: a site by its numbers or places, a channel by its words."""
    if slot.is_number and not slot.label:
        return next((part for part in ("site", "z", "time") if part not in taken), "")
    if all(PLACES.fullmatch(text) for text in slot.unique) and "site" not in taken:
        return "site"
    is_word = not slot.is_number and len(slot.unique) <= MOST_CHANNEL_WORDS
    is_dye = is_word and any(DYES.search(text) for text in slot.unique)
    return "channel" if is_dye and "channel" not in taken else ""


def _well_roles(slots: Sequence[NameSlot]) -> dict[int, str]:
    """Return the slot of the wells, or those of rows and columns."""
    numbered = {slot.label: index for index, slot in enumerate(slots) if slot.label and slot.is_number}
    row, column = (
        numbered.get("r", numbered.get("row")),
        next((numbered[label] for label in ("c", "col", "column") if label in numbered), None),
    )
    if row is not None and column is not None:
        return {row: "row_number", column: "column"}
    pairs = [
        index
        for index in range(len(slots) - 1)
        if all(re.fullmatch(r"[A-Pa-p]|A[A-F]", text) for text in slots[index].unique)
        and slots[index + 1].is_number
        and all(0 < int(text) <= 48 for text in slots[index + 1].unique)
    ]
    wells = [index for index, slot in enumerate(slots) if not slot.label and all(map(_well_like, slot.unique))]
    best = max(wells, key=lambda index: (len(slots[index].unique), index), default=None)
    if best is not None and (slots[best].varies or not pairs):
        return {best: "well"}
    if pairs:
        place = max(pairs, key=lambda index: len(slots[index].unique) * len(slots[index + 1].unique))
        return {place: "row", place + 1: "column"}
    return {}


def _well_like(text: str) -> bool:
    match = WELL.fullmatch(text)
    return match is not None and 0 < int(match[2]) <= 48
