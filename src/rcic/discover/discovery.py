"""`rcic data discover`: a screen spec for a folder that nobody has described yet."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

from rcic.discover.folder_walk import FolderContent, walk_folder
from rcic.discover.found_images import found_images
from rcic.discover.new_files import NewFiles, fitted_or_new, not_imaged, screen_name, with_patterns
from rcic.discover.own_layout import own_layout
from rcic.discover.root_tables import plate_hints_of, root_tables
from rcic.discover.screen_facts import drawn_from
from rcic.discover.spec_lines import SpecParts, spec_lines
from rcic.discover.spec_text import cut
from rcic.discover.trial import grey_levels, trial
from rcic.errors import UserError, plural
from rcic.files.atomic import whole
from rcic.files.regular import is_there


def discover(root: Path, out: Path, table: Path | None = None, force: bool = False) -> str:
    """Write a screen spec for a data root to ``out``; return a report on what was recognised and what was not used.

    Into the data root it may write a table of wells to fill in and a list of images that no pattern names, beside the
    screen spec a list of wells without images. Nothing is written for RxRx1's own layouts.

    Args:
        root: the data root.
        out: the screen spec.
        table: the table of wells; default: the table in the data root that looks most like one.
        force: overwrite ``out``, and the lists.

    Raises UserError if ``out`` is there and not ``force``, or no image is found.
    """
    if is_there(out) and not force:
        raise UserError(f"{out}: exists; write to another file, or give --force to overwrite it")
    content = walk_folder(root)
    if table is None and (known := own_layout(root, content)):
        return known
    tables = root_tables(root, content, table)
    hints = plate_hints_of(tables.named)
    found = found_images(root, content, tables.listings, hints)
    place = NewFiles(root, out, force)
    fit = fitted_or_new(place, tables.wells, found, table)
    found = with_patterns(place, found)
    skip = not_imaged(place, fit, found)
    parts = SpecParts(screen_name(root, fit, found), found, fit, skip)
    parts = _with_levels(root, out, parts)
    text = spec_lines(parts)
    trouble = parts.no_levels or trial(root, text, out)
    if trouble:
        text = f"# not known: how this becomes a screen that can be used: {trouble}\n{text}"
    with whole(out) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return _report(root, out, content, parts, place, [*tables.notes, *found.notes], trouble)


def _with_levels(root: Path, out: Path, parts: SpecParts) -> SpecParts:
    """Return what the screen spec is made of with grey levels, which are measured on images."""
    if not parts.needs_levels:
        return parts
    draft = spec_lines(replace(parts, levels=[(0.0, 1.0)] * len(parts.channels)))
    levels, trouble = grey_levels(root, draft, out)
    return replace(parts, levels=levels, no_levels=trouble)


def _report(
    root: Path, out: Path, content: FolderContent, parts: SpecParts, place: NewFiles, notes: list[str], trouble: str
) -> str:
    """Return what was recognised and what was not used, and what to do next."""
    found, fit = parts.found, parts.fit
    wells = found.planes[["experiment", "plate", "well"]].drop_duplicates()
    n_plates = len(wells[["experiment", "plate"]].drop_duplicates())
    counts = ((n_plates, "plate"), (len(wells), "well"), (found.planes["site"].nunique(), "site"))
    names = ", ".join(channel.name for channel in parts.channels)
    lines = [
        f"{root}: {found.instrument or 'images of an unknown writer'}, known by {found.known_by}",
        f"  {', '.join(plural(*count) for count in counts)}, {plural(len(parts.channels), 'channel')}: {names}",
        f"  images.file: {cut(list(found.patterns), 3)}",
        f"  table: {fit.file}{drawn_from(fit)}" + (" (fill in its labels)" if parts.is_template else ""),
    ]
    lines += [f"  written: {name}" for name in place.written if name != fit.file]
    unused = [*notes, *parts.unused, *_others(content)]
    if unused:
        lines += ["not used", *(f"  {note}" for note in unused)]
    unknown = parts.unknown + ([trouble] if trouble else [])
    if unknown:
        lines += ["not known", *(f"  {line}" for line in unknown)]
    lines.append(f"{out}: written; read its comments, then rcic data describe --data_root {root} --screen {out}")
    return "\n".join(lines)


def _others(content: FolderContent) -> list[str]:
    """Return a line on files of other kinds."""
    kinds = Counter({ending: count for ending, count in content.others.items() if count})
    return (
        [f"other files: {', '.join(f'{count:,} {ending}' for ending, count in kinds.most_common(6))}"] if kinds else []
    )
