"""A screen without images, made from the metadata of a table of profiles: its table of wells and screen spec."""

import logging
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from rcic.errors import UserError, brief, nearest, plural
from rcic.files.atomic import sha256_of
from rcic.files.record import Record, read_record, write_result
from rcic.files.regular import is_there
from rcic.profiles.profile_columns import COMPARTMENTS, guessed, pick
from rcic.profiles.profile_file import as_text, is_metadata
from rcic.profiles.profile_import import profile_paths, read_tables
from rcic.profiles.profile_options import ProfileColumns, ScreenColumns
from rcic.profiles.well_matching import full_plate_name, padded_well
from rcic.screen.plate import SHAPES, wells_of
from rcic.screen.source import ScreenSource
from rcic.screen.spec import CellType, Channel, Columns, Images, ScreenSpec, Split, Table, WellTypes
from rcic.screen.spec_files import OWN, spec_yaml
from rcic.screen.table import Screen, read_screen

_log = logging.getLogger(__name__)

WELLS_TABLE, WELLS_RECORD = "wells.csv", "wells.json"
NEGATIVE_WORDS = ("negcon", "negative_control", "negative", "neg", "dmso", "mock", "untreated", "vehicle")
POSITIVE_WORDS = ("poscon", "poscon_cp", "poscon_diverse", "poscon_orf", "positive_control", "positive", "pos")
TREATMENT_WORDS = ("trt", "treatment", "treated", "sample", "compound", "")
EMPTY_WORDS = ("empty", "blank", "null", "none", "nan")
_KEY = ["plate", "well"]


@dataclass(frozen=True, eq=False)
class WellFacts:
    """A table of wells of another program: a row a well, all values text."""

    table: pd.DataFrame
    path: Path  # for messages

    def column(self, given: str | None, what: str) -> str | None:
        """Return the column that holds ``what``, None if there is none."""
        return pick(self.table, given, what, self.path)


def make_profile_screen(
    paths: Sequence[str], out_dir: Path, name: str, places: ProfileColumns, columns: ScreenColumns
) -> Screen:
    """Write wells.csv and screen.yml of a screen without images to a folder, and return the screen.

    Its wells are those of the profiles; what was guessed is logged. Wells without treatment are left out, but for test
    wells. Raises UserError for columns that are not found, a well with two treatments or test values, test wells that
    are no whole plates, or a folder with another screen.
    """
    files = profile_paths(paths)
    _check_folder(out_dir)
    facts = _facts(files, places, columns)
    table, spec = _wells(facts, columns), _spec(name, columns)
    spec = _fitted(spec, table)
    _check_readable(table, spec, out_dir)
    sources = [*files, *([Path(columns.wells)] if columns.wells else [])]
    record = Record("profile screen", {"tables": {path.name: sha256_of(path) for path in sources}})
    writers = {WELLS_TABLE: partial(_write, table.to_csv(index=False)), OWN: partial(_write, spec_yaml(spec))}
    write_result(out_dir / WELLS_RECORD, record, writers)
    return read_screen(ScreenSource(str(out_dir)))


def _write(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")


def _check_folder(out_dir: Path) -> None:
    """Raise UserError if a folder has a screen that `make_profile_screen` did not write."""
    if is_there(out_dir / OWN) and read_record(out_dir / WELLS_RECORD, "profile screen") is None:
        raise UserError(f"{out_dir / OWN}: there is a screen already; choose another --out_dir")


def _facts(files: Sequence[Path], places: ProfileColumns, columns: ScreenColumns) -> WellFacts:
    """Return the facts of the profiles' wells, joined with those of the table of wells, plate and well as _KEY."""
    named = {*vars(places).values(), *columns.treatment, columns.cell_type, columns.control, *_tested(columns)[:1]}
    texts = sorted(filter(None, named))
    profiles, path = _by_well(read_tables(files, texts), places, files[0]), files[0]
    if columns.wells is None:
        return WellFacts(_one_row_a_well(profiles, columns, path), path)
    path = Path(columns.wells)
    given = {name: value for name, value in vars(places).items() if name == "experiment"}
    known = _one_row_a_well(_by_well(read_tables([path], texts), ProfileColumns(**given), path), columns, path)
    wells = profiles[_KEY].drop_duplicates()
    joined = wells.merge(known, on=_KEY, how="left", indicator=True)
    if lost := int((joined["_merge"] != "both").sum()):
        if lost == len(joined):
            raise UserError(f"{path}: has no well of {files[0]}, whose first is {' '.join(wells.iloc[0])}")
        _log.info(f"  {plural(lost, 'well')} of the profiles are not in {path}")
    facts = joined.drop(columns="_merge").fillna("")
    return WellFacts(facts, path)


def _by_well(table: pd.DataFrame, places: ProfileColumns, path: Path) -> pd.DataFrame:
    """Return the text columns and metadata of a table, with plate and well as _KEY."""
    found = guessed(places, table, path)
    _log.info(f"{path}: {plural(len(table), 'row')}; plate {found.plate}, well {found.well}")
    keys = {"plate": as_text(table[str(found.plate)]), "well": as_text(table[str(found.well)]).map(padded_well)}
    kept = [name for name in table if _is_fact(table, str(name))]
    texts = {name: as_text(table[name]) for name in kept if name not in (*vars(found).values(), *_KEY)}
    experiment = {} if found.experiment is None else {found.experiment: as_text(table[found.experiment])}
    return pd.DataFrame({**keys, **experiment, **texts})


def _is_fact(table: pd.DataFrame, name: str) -> bool:
    """Whether a column may describe wells: metadata, text, or a whole number such as a replicate's."""
    if is_metadata(name) or not pd.api.types.is_float_dtype(table[name]):
        return not name.startswith(COMPARTMENTS)
    return pick(table[[name]], None, "dose", Path()) is not None


def _one_row_a_well(table: pd.DataFrame, columns: ScreenColumns, path: Path) -> pd.DataFrame:
    """Return one row a well, with the columns that have one value in each well's rows.

    Raises UserError if the treatment, the control or the cell type is none of them.
    """
    wells = table.groupby(_KEY, sort=False)
    if len(wells) == len(table):
        return table
    single = wells.nunique().max() <= 1
    dropped = [str(name) for name, is_one in single.items() if not is_one]
    if clash := sorted(_needed(table, columns, path) & {*dropped}):
        well = " ".join(wells[clash[0]].nunique().idxmax())
        raise UserError(f"{path}: column {clash[0]} has several values in the rows of well {well}")
    _log.info(f"  {len(table):,} rows of {plural(len(wells), 'well')}; not the same within wells: {_shown(dropped)}")
    return wells[[name for name in single.index if single[name]]].first().reset_index()


def _needed(table: pd.DataFrame, columns: ScreenColumns, path: Path) -> set[str]:
    """Return the columns that say what a well is, if they are in a table."""
    given = [*columns.treatment, columns.control, columns.cell_type, *_tested(columns)[:1]]
    guesses = [pick(table, None, what, path) for what in ("treatment", "dose", "control", "cell_type")]
    return {name for name in (*given, *guesses) if name is not None and name in table}


def _wells(facts: WellFacts, columns: ScreenColumns) -> pd.DataFrame:
    """Return the table of wells: experiment, plate, well, cell_type, treatment, well_type, split, and other facts."""
    table = facts.table
    labels, used = _labels(facts, columns)
    kinds = _kinds(facts, columns, labels, used)
    negative = kinds == "negative_control"
    labels = labels.mask(negative & (labels == ""), "negative_control")
    tested = _test_wells(facts, columns)
    cell_column = facts.column(columns.cell_type, "cell_type")
    cells = {} if cell_column is None else {"cell_type": table[cell_column].where(table[cell_column] != "", "unknown")}
    split = {"split": tested.map({True: "test", False: "train"})}
    made = {"experiment": _experiments(facts, tested), **{key: table[key] for key in _KEY}, **cells}
    made |= {"treatment": labels, "well_type": kinds, **split}
    others = {name: table[name] for name in table if name not in made}
    keep = (kinds != "skip") & ((labels != "") | (tested & (kinds == "treatment")))
    if not keep.all():
        _log.info(f"  {plural(int((~keep).sum()), 'well')} left out: empty, or without a treatment")
    if not keep.any():
        raise UserError(f"{facts.path}: no well has a treatment")
    return pd.DataFrame({**made, **others})[keep]


def _labels(facts: WellFacts, columns: ScreenColumns) -> tuple[pd.Series, list[str]]:
    """Return each well's treatment, and the columns that it is made of: the first is that of the name."""
    table = facts.table
    if columns.treatment:
        used = [str(facts.column(name, "treatment")) for name in columns.treatment]
    else:
        treatment = facts.column(None, "treatment")
        if treatment is None:
            known = ", ".join(list(table)[2:8])
            raise UserError(f"{facts.path}: no column like 'pert_iname' or 'compound' among {known}; name --treatment")
        dose = facts.column(None, "dose")
        several = dose is not None and (table.groupby(treatment)[dose].nunique() > 1).any()
        used = [treatment, *([str(dose)] if several else [])]
    _log.info(f"  treatment: {' @ '.join(used)}")
    labels = table[used[0]]
    for name in used[1:]:
        labels = labels.where(labels == "", labels + "@" + table[name].map(_number))
    return labels, used


def _number(text: str) -> str:
    """Return a number without superfluous zeros, other text as it is."""
    try:
        return f"{float(text):g}"
    except ValueError:
        return text


def _kinds(facts: WellFacts, columns: ScreenColumns, labels: pd.Series, used: Sequence[str]) -> pd.Series:
    """Return each well's type: treatment, negative_control, positive_control or skip. Names controls' ``labels``.

    A control that is named by its compound has that name, without a dose.
    """
    control = facts.column(columns.control, "control")
    words = facts.table[control or used[0]]
    known = {**_words(columns, control is not None)}
    kinds = words.map(lambda word: known.get(word, known.get(word.lower(), "" if control else "treatment")))
    if (unknown := words[kinds == ""]).size:
        told = f"{control} is {brief(unknown.iloc[0])}"
        raise UserError(
            f"{facts.path}: {told}: a treatment or a control? List it in --negative, --positive or neither "
            f"by naming another --control column"
        )
    for value in (*columns.negative, *columns.positive):
        if value not in set(words) and value not in set(labels):
            raise UserError(
                f"{facts.path}: no well has {brief(value)} in {control or used[0]}{nearest(value, set(words))}"
            )
    kinds = kinds.mask(labels.isin(columns.negative), "negative_control").mask(
        labels.isin(columns.positive), "positive_control"
    )
    is_negative = kinds == "negative_control"
    labels[is_negative] = facts.table[used[0]][is_negative]
    counts = kinds.value_counts()
    _log.info(
        f"  controls by {control or used[0]}: " + ", ".join(f"{name} {count:,}" for name, count in counts.items())
    )
    return kinds


def _words(columns: ScreenColumns, has_column: bool) -> dict[str, str]:
    """Return the word of a well type -> the type."""
    words = dict.fromkeys(NEGATIVE_WORDS, "negative_control")
    if has_column:
        words |= dict.fromkeys(POSITIVE_WORDS, "positive_control") | dict.fromkeys(TREATMENT_WORDS, "treatment")
        words |= dict.fromkeys(EMPTY_WORDS, "skip")
    if columns.negative:
        words = {word: kind for word, kind in words.items() if kind != "negative_control"}
    words |= dict.fromkeys(columns.negative, "negative_control")
    return words | dict.fromkeys(columns.positive, "positive_control")


def _tested(columns: ScreenColumns) -> tuple[str, ...]:
    """Return the column of --test and its values, () without the flag. Raises UserError for anything else."""
    if not columns.test:
        return ()
    name, equals, first = columns.test[0].partition("=")
    if not equals or not name or not first:
        raise UserError(f"--test is {brief(','.join(columns.test))}, must be COLUMN=VALUE or COLUMN=VALUE,VALUE")
    return (name, first, *columns.test[1:])


def _test_wells(facts: WellFacts, columns: ScreenColumns) -> pd.Series:
    """Return which wells are test wells. Raises UserError for a value that no well has, or a plate that is divided."""
    table, wanted = facts.table, _tested(columns)
    if not wanted:
        return pd.Series(False, table.index)
    column, values = facts.column(wanted[0], "test"), set(table[str(facts.column(wanted[0], "test"))])
    for value in wanted[1:]:
        if value not in values:
            known = ", ".join(sorted(values)[:8])
            raise UserError(f"{facts.path}: no well has {brief(value)} in {column} (there: {known}); --test names it")
    tested = table[str(column)].isin(wanted[1:])
    if (both := tested.groupby(table["plate"]).nunique() > 1).any():
        raise UserError(f"{facts.path}: --test divides plate {both.idxmax()}; test wells must be whole plates")
    if tested.all():
        raise UserError(f"{facts.path}: --test takes all wells, so none are left to learn from")
    return tested


def _experiments(facts: WellFacts, tested: pd.Series) -> pd.Series:
    """Return each well's experiment: its batch, or its plate where there is no batch, or test wells divide it."""
    column, plates = facts.column(None, "experiment"), facts.table["plate"]
    if column is None:
        _log.info("  experiments are plates, as no column names batches")
        return plates
    experiments = facts.table[column]
    if (tested.groupby(experiments).nunique() > 1).any():
        _log.info(f"  experiments are plates, as --test divides those of {column}")
        return pd.Series([full_plate_name(*pair) for pair in zip(experiments, plates, strict=True)], plates.index)
    _log.info(f"  experiment: {column}")
    return experiments


def _spec(name: str, columns: ScreenColumns) -> ScreenSpec:
    kinds = WellTypes("well_type", ("treatment",), ("positive_control",), ("negative_control",))
    return ScreenSpec(
        name=name,
        sites=(1,),
        channels=tuple(Channel(name=channel) for channel in columns.channels),
        images=Images(none=True),
        tables=(Table(file=WELLS_TABLE),),
        columns=Columns(label="treatment"),
        split=Split(column="split"),
        well_types=kinds,
    )


def _fitted(spec: ScreenSpec, table: pd.DataFrame) -> ScreenSpec:
    """Return a screen spec with the plate format and the cell types of a table of wells."""
    outside = table["well"]
    for plate in SHAPES:
        outside = table["well"][~table["well"].isin(wells_of(plate))]
        if outside.empty:
            cells = CellType(column="cell_type") if "cell_type" in table else CellType()
            return ScreenSpec(**{**vars(spec), "plate": plate, "cell_type": cells})
    raise UserError(f"well {brief(outside.iloc[0])} is on no plate of {', '.join(map(str, SHAPES))} wells; name --well")


def _check_readable(table: pd.DataFrame, spec: ScreenSpec, out_dir: Path) -> None:
    """Raise the UserError of a screen that could not be read, before any file of it is written."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _write(table.to_csv(index=False), root / WELLS_TABLE)
        _write(spec_yaml(spec), root / OWN)
        try:
            read_screen(ScreenSource(folder))
        except UserError as error:
            raise UserError(f"{str(error).replace(folder, str(out_dir))} (not written)") from None


def _shown(names: Collection[str]) -> str:
    return ", ".join(list(names)[:4]) + (" ..." if len(names) > 4 else "") if names else "none"
