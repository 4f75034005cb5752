"""What is known of a screen from its images and its table: the values of a screen spec, each with its reason."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from rcic.discover.found_images import FoundImages
from rcic.discover.table_columns import TableColumns, well_names
from rcic.discover.well_words import control_words, split_words
from rcic.errors import plural
from rcic.screen.plate import SHAPES, well_position

_COLOURS = ("#4d7dff", "#2fd45b", "#ff4b3e", "#35dbe0", "#e85bf0", "#f5d33b", "#ffffff", "#ff9d3e")
_BY_NAME = (  # what channels are called -> colour
    (r"dapi|hoechst|draq|dna|nuc|405|blue|violet|bp445|445", "#4d7dff"),
    (r"gfp|fitc|488|green|cona|\ber\b|525", "#2fd45b"),
    (r"texas|568|561|594|rfp|cherry|actin|phall|agp|red|tritc|cy3|600", "#ff4b3e"),
    (r"cy5|647|640|far|mito|676", "#e85bf0"),
    (r"phase|bright|trans|dic|\bbf\b", "#ffffff"),
    (r"yfp|cy2|yellow|golgi|wga", "#f5d33b"),
    (r"rna|syto|cyan|cfp", "#35dbe0"),
)
MOST_SPEC_CHANNELS = 16


@dataclass(frozen=True)
class SpecChannel:
    """A channel of the screen spec; ``why``: how its name and colour are known."""

    name: str
    file: str
    colour: str
    why: str


@dataclass
class TableFit:
    """How a table of wells fits the images.

    Attributes:
        columns: the table, None for one that is to be filled in.
        file: its name in the data root.
        plate_of: name of the plate in the table, by row; "" where it has none.
        experiment_of: name of the experiment in the table, by row; "" where it has none.
        wells: well of each row.
        missing: rows whose wells have no image, by position.
        extra: wells that are imaged and not in the table: (plate, well).
    """

    columns: TableColumns | None
    file: str
    plate_of: list[str] = field(default_factory=list)
    experiment_of: list[str] = field(default_factory=list)
    wells: list[str] = field(default_factory=list)
    missing: list[int] = field(default_factory=list)
    extra: list[tuple[str, str]] = field(default_factory=list)


def spec_channels(found: FoundImages) -> list[SpecChannel]:
    """Return the channels of the screen spec, with names that differ."""
    channels, seen = [], Counter[str]()
    for number, channel in enumerate(found.channels[:MOST_SPEC_CHANNELS], start=1):
        name = channel.name or (channel.word if not channel.word.isdecimal() else "") or f"channel {number}"
        seen[name] += 1
        source = "the images' own text" if found.known_by.startswith("the names") else found.known_by
        why = f"named by {source}" if channel.name != channel.word else "named as in the files' names"
        why = why if channel.name else "not named by the files"
        colour, how = channel.colour, "colour by the instrument"
        if not colour:
            known = next((colour for words, colour in _BY_NAME if re.search(words, name, re.IGNORECASE)), "")
            colour = known or _COLOURS[(number - 1) % len(_COLOURS)]
            how = "colour by its name" if known else "colour chosen here"
        file = "" if channel.word == str(number) else channel.word
        name = f"{name} {seen[name]}" if seen[name] > 1 else name
        channels.append(SpecChannel(" ".join(name.split()), file, colour, f"{why}; {how}"))
    return channels


def plate_size(found: FoundImages, fit: TableFit) -> tuple[int, str]:
    """Return the number of wells of a plate, and how it is known."""
    wells = {*found.planes["well"], *fit.wells} - {""}
    smallest = next((size for size in SHAPES if all(_is_on(well, size) for well in wells)), max(SHAPES))
    if found.n_wells in SHAPES and found.n_wells >= smallest:
        return found.n_wells, f"rows x columns in {found.known_by}"
    last = max(wells, key=lambda well: (len(well), well), default="A01")
    if found.n_wells:
        return smallest, f"{found.n_wells} wells by {found.known_by}; the smallest that is known here and holds them"
    return smallest, f"the smallest plate that has all wells, such as {last}"


def _is_on(well: str, size: int) -> bool:
    try:
        well_position(well, size)
    except Exception:
        return False
    return True


def fitted_table(columns: TableColumns, found: FoundImages) -> TableFit:
    """Return how a table fits the images, by plate and well."""
    rows = columns.rows
    blank = [""] * len(rows)
    plates = rows[columns.parts["plate"]].tolist() if "plate" in columns.parts else blank
    experiments = rows[columns.parts["experiment"]].tolist() if "experiment" in columns.parts else blank
    fit = TableFit(columns, columns.file, plates, experiments, well_names(columns).tolist())
    keys, imaged = table_keys(fit, found), image_keys(fit, found)
    known = set(imaged)
    fit.missing = [n for n, key in enumerate(keys) if key not in known]
    listed = set(keys)
    fit.extra = [(key[1], key[2]) for key in dict.fromkeys(imaged) if key not in listed]
    return fit


def table_keys(fit: TableFit, found: FoundImages) -> list[tuple[str, str, str]]:
    """Return experiment, plate and well of each row of a table, "" for what the images do not tell."""
    has_plate, has_experiment = _told_plates(fit, found)
    return [
        (experiment if has_experiment else "", plate if has_plate else "", well)
        for experiment, plate, well in zip(fit.experiment_of, fit.plate_of, fit.wells, strict=True)
    ]


def image_keys(fit: TableFit, found: FoundImages) -> list[tuple[str, str, str]]:
    """Return experiment, plate and well of each imaged well, "" for what the table does not tell."""
    has_plate, has_experiment = _told_plates(fit, found)
    wells = found.planes[["experiment", "plate", "well"]].drop_duplicates()
    as_experiment = has_experiment and not has_plate and not (wells["experiment"] != "").any()
    experiments = wells["plate"] if as_experiment else wells["experiment"]
    return [
        (experiment if has_experiment else "", plate if has_plate else "", well)
        for experiment, plate, well in zip(experiments, wells["plate"], wells["well"], strict=True)
    ]


def _told_plates(fit: TableFit, found: FoundImages) -> tuple[bool, bool]:
    """Return whether table and images share names of plates, and of experiments."""
    plates, experiments = {*found.planes["plate"]} - {""}, {*found.planes["experiment"]} - {""}
    has_plate = bool(plates & {*fit.plate_of})
    has_experiment = bool(experiments & {*fit.experiment_of}) or (not has_plate and bool(plates & {*fit.experiment_of}))
    return has_plate, has_experiment


def label_roles(columns: TableColumns) -> tuple[dict[str, list[str]], str]:
    """Return kind of well -> values of the role column, or labels without one; and how they are known."""
    if "role" in columns.parts:
        return control_words(columns.values("role"), is_role=True), "values of the column that are words for it"
    words = control_words([value for value in columns.values("label") if value], is_role=False)
    lost = unlabelled_words(columns)
    words["unknown"] = [word for word in words["unknown"] if word not in lost]
    words["skip"] += [word for word in lost if word not in words["skip"]]
    return words, "labels that are words for it"


def unlabelled_words(columns: TableColumns) -> list[str]:
    """Return the labels that mean that nothing is known, of experiments that have others: such wells are left out.

    In an experiment without any label they are those of test wells. None if the same words are in both kinds, or if
    another column says which wells are test wells or controls.
    """
    if "label" not in columns.parts or {"split", "role"} & {*columns.parts}:
        return []
    labels = columns.rows[columns.parts["label"]]
    words = {"", *control_words(columns.values("label"), is_role=False)["unknown"]}
    is_blank = labels.isin(words)
    by = columns.rows[columns.parts["experiment"]] if "experiment" in columns.parts else pd.Series("", labels.index)
    is_test = is_blank.groupby(by).transform("all")
    mixed = {*labels[is_blank & ~is_test]}
    return sorted(mixed) if not mixed & {*labels[is_test]} else []


def replicate_structure(columns: TableColumns, fit: TableFit, controls: Sequence[str]) -> tuple[str, int | None, str]:
    """Return assignment, replicates and the reason, from how often each label is on each plate."""
    labels = columns.rows[columns.parts["label"]]
    table = pd.DataFrame({"plate": [*zip(fit.experiment_of, fit.plate_of, strict=True)], "label": labels.to_numpy()})
    if "role" in columns.parts:
        table = table[columns.rows[columns.parts["role"]].isin(controls).to_numpy() == 0]
    table = table[(table["label"] != "") & ~table["label"].isin(controls)]
    counts = table.groupby(["plate", "label"]).size()
    if table["plate"].nunique() < 2 or counts.empty:
        return "none", None, "one plate says nothing of how others are laid out"
    if (counts == counts.iloc[0]).all():
        times = int(counts.iloc[0])
        often = "once" if times == 1 else f"{times} times"
        kind = "one-to-one" if times == 1 else "capacity"
        return kind, times, f"each label is on each plate that has it {often}"
    return (
        "none",
        None,
        f"labels are on a plate {counts.min()} to {counts.max()} times: nothing is assumed of new plates",
    )


def split_of(columns: TableColumns) -> tuple[list[str], list[str]]:
    """Return the values of the split column that mean train and test, none without such a column."""
    return split_words(columns.values("split")) if "split" in columns.parts else ([], [])


def table_sentence(fit: TableFit, n_imaged: int) -> str:
    """Return how many wells table and images share."""
    n_rows = len({*zip(fit.experiment_of, fit.plate_of, fit.wells, strict=True)})
    return f"{plural(n_rows, 'well')} in {fit.file}{drawn_from(fit)}, {plural(n_imaged, 'well')} with images"


def drawn_from(fit: TableFit) -> str:
    """Return of which plate map a table was made, in words behind its name; "" if of none."""
    return f" (made of the plate map in {fit.columns.file})" if fit.columns is not None and fit.columns.drawn else ""
