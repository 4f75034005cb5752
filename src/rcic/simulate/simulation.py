"""Simulation of a complete screen in a folder, in Kaggle's layout or another one."""

import json
import logging
from pathlib import Path
from typing import Any

import pandas as pd

from rcic.errors import UserError
from rcic.files.atomic import whole, write_error
from rcic.files.disk import is_unused
from rcic.files.held import held
from rcic.files.regular import read_json
from rcic.simulate.batch_effect import Batch, batch_table, batches
from rcic.simulate.effect import action_table, effect_table, effects
from rcic.simulate.plate_images import PlateJob, draw_plates
from rcic.simulate.plate_plan import experiments, plan
from rcic.simulate.presets import N_GROUPS, Preset, find_preset
from rcic.simulate.release import FileLayout, find_layout
from rcic.simulate.site import unit_light

_log = logging.getLogger(__name__)

SIMULATOR_VERSION = 1  # raise it with every change that alters a drawn byte
DONE_FILE, BEGUN = "simulated.json", ".simulating.json"


def simulate_screen(
    preset: str, out_dir: Path, seed: int, workers: int | None = None, progress: bool = True, layout: str = "rcic"
) -> None:
    """Draw the screen ``preset`` into ``out_dir``; the same preset, seed and layout give the same bytes.

    layout: a name in `rcic.simulate.release`; wells and images are the same in all. workers: processes (default: one
    a core, one for a small screen). A complete screen is left unchanged; an interrupted one is continued plate by
    plate. Raises UserError for an unknown preset or layout, a seed below 0, a folder with other content, and a full
    disk.
    """
    chosen, file_layout, folder = find_preset(preset), find_layout(layout), Path(out_dir)
    if seed < 0:
        raise UserError(f"seed {seed}: must be 0 or larger")
    identity = {"version": SIMULATOR_VERSION, "seed": seed, "preset": preset, "settings": chosen.settings}
    identity |= {} if layout == "rcic" else {"layout": layout}
    if _is_complete(folder, identity):
        (folder / BEGUN).unlink(missing_ok=True)  # there if it was killed in between
        _log.info(f"{folder}: screen {preset!r} with seed {seed} is already complete, nothing to draw")
        return
    with held(folder):
        _draw_screen(folder, file_layout, chosen, identity, workers, progress)


def _draw_screen(
    folder: Path, file_layout: FileLayout, chosen: Preset, identity: dict[str, Any], workers: int | None, progress: bool
) -> None:
    """Draw what is missing of a screen; ``identity`` is the content of its state files."""
    seed = identity["seed"]
    _write_json(folder / BEGUN, identity)
    wells = file_layout.named(plan(chosen, seed))
    plate_batches = batches(experiments(chosen, seed), N_GROUPS, seed, chosen.outliers)
    changes = effects(chosen, seed)
    try:
        statistics = draw_plates(_jobs(folder, file_layout, chosen, seed, wells, plate_batches), workers, progress)
    except OSError as error:
        raise write_error(folder, error) from error
    tables = file_layout.tables(wells)
    if file_layout.name == "rcic":
        tables["pixel_stats.csv"] = pd.DataFrame(statistics)
    for name, table in tables.items():
        _write_csv(folder / name, table)
    _write_truth(folder / "truth", wells, effect_table(chosen, changes), batch_table(plate_batches))
    if chosen.one_type:
        _write_csv(folder / "truth/acts.csv", action_table(chosen, seed))
    if chosen.outliers:
        _write_csv(folder / "truth/outliers.csv", pd.DataFrame({"experiment": chosen.outliers}))
    _write_json(folder / DONE_FILE, identity)
    (folder / BEGUN).unlink()


def _is_complete(folder: Path, identity: dict[str, Any]) -> bool:
    """Return whether the screen is complete; UserError if the folder holds anything but (a part of) it."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file; name a folder for the screen")
    state_files = [folder / name for name in (DONE_FILE, BEGUN) if (folder / name).is_file()]
    if not state_files:
        if folder.is_dir() and not is_unused(folder):
            raise UserError(f"{folder}: is not empty and holds no simulated screen; name a new or an empty folder")
        return False
    found = _read_state(state_files[0])
    differs = [key for key, value in identity.items() if found.get(key) != value]
    if differs:
        keys = ", ".join(differs)
        raise UserError(
            f"{state_files[0]}: another screen is there (different {keys}); remove the folder or name another"
        )
    return state_files[0].name == DONE_FILE


def _read_state(path: Path) -> dict[str, Any]:
    """Return the content of a state file; UserError if it is not one."""
    try:
        found = read_json(path)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise UserError(f"{path}: not the state file of a simulated screen; remove the folder or name another")
    return found


def _write_json(path: Path, content: dict[str, Any]) -> None:
    """Write ``content`` atomically, with sorted keys."""
    with whole(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")


def _jobs(
    folder: Path,
    file_layout: FileLayout,
    preset: Preset,
    seed: int,
    wells: pd.DataFrame,
    plate_batches: dict[tuple[str, int], Batch],
) -> list[PlateJob]:
    """Return one job per plate."""
    changes = effects(preset, seed)
    units = {cell_type: unit_light(preset, cell_type) for cell_type in preset.cell_types}
    jobs = []
    for (experiment, plate), batch in plate_batches.items():
        rows = wells[(wells["experiment"] == experiment) & (wells["plate"] == plate)]
        cell_type, split = str(rows["cell_type"].iloc[0]), str(rows["split"].iloc[0])
        names = dict(zip(rows["drawn"], rows["well"], strict=True))
        job = PlateJob(
            root=folder,
            layout=file_layout.name,
            named=(split, experiment, str(rows["barcode"].iloc[0])),
            names=names,
            preset=preset,
            cell_type=cell_type,
            address=(seed, experiment, plate),
            wells=tuple(zip(rows["drawn"], rows["sirna"], strict=True)),
            batch=batch,
            effects=changes[:, preset.cell_types.index(cell_type)],
            unit=units[cell_type],
        )
        jobs.append(job)
    return jobs


def _write_truth(folder: Path, wells: pd.DataFrame, effect: pd.DataFrame, batch: pd.DataFrame) -> None:
    """Write the simulator's hidden truth: test labels, groups of plates, effects of siRNAs, batches."""
    treatment = wells["well_type"] == "treatment"
    test = wells.loc[treatment & (wells["split"] == "test"), ["id_code", "name"]]
    _write_csv(folder / "test.csv", test.rename(columns={"name": "sirna"}))
    _write_csv(folder / "plates.csv", wells[["experiment", "plate", "group"]].drop_duplicates())
    _write_csv(folder / "groups.csv", wells.loc[treatment, ["sirna", "group"]].drop_duplicates().sort_values("sirna"))
    _write_csv(folder / "effects.csv", effect)
    _write_csv(folder / "batches.csv", batch)


def _write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table atomically, without its index, numbers to six digits."""
    with whole(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")
