"""Which parts of an image pattern the folders and the name of each file tell, and where in them."""

from collections import defaultdict
from collections.abc import Callable

from rcic.discover.name_fields import DYES, MOST_CHANNEL_WORDS, PLACES, NameSlot, name_slots, roles_of
from rcic.discover.name_groups import NameGroup
from rcic.discover.name_styles import FOLDERS, FoundPart, style_parts

OF_WELL = {"well", "row", "row_number", "column", "number", "row0", "column0"}


LevelParts = list[list[list[FoundPart]]]  # example -> level (folders, name) -> parts


def tells_well(names: set[str]) -> bool:
    """Whether parts tell the well."""
    rows = names & {"row", "row_number", "row0"}
    return bool(names & {"well", "number"}) or bool(rows and names & {"column", "column0"})


def level_parts(group: NameGroup, columns: list[NameSlot]) -> LevelParts:
    """Return the parts in the folders and the name of each example."""
    by_folder = _folder_parts(columns)
    told = {part for level in by_folder for part in level[0]} if by_folder else set[str]()
    stems = group.parts
    if not stems[0]:
        stems = _parts_by_fields(group, told & {*OF_WELL, "site", "channel", "z", "time"})
    own = {part.part for part in stems[0]}
    if own & OF_WELL:
        own |= OF_WELL
    result = []
    for n in range(len(group.texts)):
        levels = [[p for p in tells(n) if p.part not in own] for _, tells in by_folder]
        result.append([*levels, stems[n]])
    return result


def _parts_by_fields(group: NameGroup, told: set[str]) -> list[list[FoundPart]]:
    """Return the parts in the name of each example by its fields; ``told`` are parts that folders tell.

    Wells in the names count before those in folders: P1 may be a plate.
    """
    stems = [texts[-1] for texts in group.texts]
    slots, others = name_slots(stems), told - OF_WELL
    roles = roles_of(slots, others)
    if not tells_well({*roles.values()}) and tells_well(told):
        roles = roles_of(slots, told | {"well"})
    elif not tells_well({*roles.values()}):
        slots = name_slots(stems, letters=False)
        roles = roles_of(slots, others)
    columns = [(part, slots[index].spans) for index, part in roles.items()]
    return [
        sorted((FoundPart(part, *spans[n]) for part, spans in columns), key=lambda p: p.start)
        for n in range(len(stems))
    ]


_Level = tuple[frozenset[str], Callable[[int], list[FoundPart]]]


def _folder_parts(columns: list[NameSlot]) -> list[_Level]:
    """Return for each level of folders which parts it tells, and a function from the file to them."""
    levels = list[_Level]()
    for index, slot in enumerate(columns):
        style = next((style for style in FOLDERS if all(style.fullmatch(text) for text in slot.unique)), None)
        below = columns[index + 1] if index + 1 < len(columns) else None
        above = levels[-1][0] if levels else frozenset[str]()
        if "row" in above and slot.is_number:
            levels.append(_whole_level("column", slot))
        elif style is not None and "row" in style.groupindex:
            is_row = below is not None and below.is_number and all(0 < int(text) <= 48 for text in below.unique)
            levels.append(_whole_level("row", slot) if is_row else _no_parts())
        elif style is not None:
            cache = {text: style_parts(match) for text in slot.unique if (match := style.fullmatch(text))}
            names = frozenset.intersection(*(frozenset(p.part for p in parts) for parts in cache.values()))
            levels.append((names, _looked_up(slot, cache)))
        elif slot.varies and len(slot.unique) <= MOST_CHANNEL_WORDS and all(DYES.search(text) for text in slot.unique):
            levels.append(_whole_level("channel", slot))
        elif slot.varies and all(PLACES.fullmatch(text) for text in slot.unique):
            levels.append(_whole_level("site", slot))
        else:
            levels.append(_no_parts())
    return levels


def _looked_up(slot: NameSlot, parts: dict[str, list[FoundPart]]) -> Callable[[int], list[FoundPart]]:
    return lambda n: parts[slot.values[n]]


def _whole_level(part: str, slot: NameSlot) -> _Level:
    return frozenset([part]), lambda n: [FoundPart(part, *slot.spans[n])]


def _no_parts() -> _Level:
    return frozenset(), lambda n: []  # noqa: ARG005


def part_values(group: NameGroup, parts: LevelParts) -> dict[str, list[str]]:
    """Return part -> its text in each example; of a part in two places the last."""
    values = defaultdict[str, list[str]](list)
    known = dict[str, str]()
    for texts, levels in zip(group.texts, parts, strict=True):
        for part, text in {
            p.part: text[p.start : p.end] for text, level in zip(texts, levels, strict=True) for p in level
        }.items():
            values[part].append(known.setdefault(text, text))
    return {part: texts for part, texts in values.items() if len(texts) == len(group.texts)}
