"""Tables of the trainings, from their run folders: curves, runs, differing config keys, durations and machines."""

import io
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from rcic.errors import CannotRead, UserError
from rcic.files.names import CONFIG, METRICS, RUN, Member, channel_name, find_members
from rcic.files.regular import read_regular
from rcic.files.sealed_json import read_object, unsealed
from rcic.schema.convert import flat, read_yaml
from rcic.screen.table import Screen

_GIVEN = ("stage", "model.name", "data.channels", "data.fold")  # in the run's name already
_LOCATIONS = ("data.folds_dir", "data.pseudo_dir", "data.audit_dir", "init.checkpoint")  # locations, not settings
RUN_COLUMNS = ["run", "stage", "channels", "fold", "model"]


@dataclass(frozen=True, eq=False)
class Run:
    """One run folder: its name, its run.json, its config's dotted keys, and a row an epoch."""

    stage: str
    member: Member
    record: dict[str, Any]
    config: dict[str, Any]
    epochs: pd.DataFrame

    @property
    def keys(self) -> dict[str, str]:
        """The names of the run and its parts, as text, by :data:`RUN_COLUMNS`."""
        channels = channel_name(self.member.channels)
        fold = "" if self.member.fold is None else f"fold {self.member.fold}"
        name = " ".join(part for part in (self.stage, channels, fold, self.member.model) if part)
        return dict(zip(RUN_COLUMNS, (name, self.stage, channels, fold or "no fold", self.member.model), strict=True))


def read_runs(log_root: Path) -> list[Run]:
    """Return the run folders below ``LOG/{stage}/``, unfinished ones included; UserError if there is none."""
    stages = sorted(folder for folder in log_root.iterdir() if folder.is_dir()) if log_root.is_dir() else []
    runs = [_read(stage, member) for stage in stages for member in find_members(stage, RUN)]
    if not runs:
        raise UserError(f"{log_root}: no run folder in it")
    return runs


def curve_table(runs: Sequence[Run], screen: Screen) -> pd.DataFrame:
    """Return a row a run and epoch: the run's :data:`RUN_COLUMNS`, epoch and each metric of metrics.csv.

    Metrics are overall or by cell type; those of single experiments are left out.
    """
    experiments = set(screen.wells["experiment"]) - set(screen.wells["cell_type"])
    tables = [_metrics(run, experiments).assign(**run.keys) for run in runs if len(run.epochs)]
    if not tables:
        raise UserError("no training has finished an epoch yet")
    table = pd.concat(tables, ignore_index=True)
    return table[[*RUN_COLUMNS, "epoch", *(name for name in table if name not in (*RUN_COLUMNS, "epoch"))]]


def run_table(runs: Sequence[Run]) -> pd.DataFrame:
    """Return a row a run: name, status, epochs, the best one, minutes, device, numbers of sites."""
    rows = []
    for run in runs:
        best, monitor = run.record.get("best") or {}, run.config.get("train.monitor", "metric")
        kept = "map3 of the last epoch" if monitor == "last" else f"best {monitor}"
        rows.append(
            {
                **run.keys,
                "status": run.record.get("status", "not known"),
                "epochs": len(run.epochs),
                "best epoch": best.get("epoch", math.nan),
                kept: best.get("value", math.nan),
                "minutes": minutes(run),
                "device": run.record.get("device", ""),
                "processes": run.record.get("processes", math.nan),
                "train sites": run.record.get("n_train_sites", math.nan),
                "held-out sites": run.record.get("n_valid_sites", math.nan),
            }
        )
    return pd.DataFrame(rows)


def config_table(runs: Sequence[Run]) -> pd.DataFrame:
    """Return the config keys with different values between runs: key, and the values in each stage."""
    stages = list(dict.fromkeys(run.stage for run in runs))
    keys = list(dict.fromkeys(key for run in runs for key in run.config if key not in (*_GIVEN, *_LOCATIONS)))
    rows = []
    for key in keys:
        cells = {stage: _values(key, [run for run in runs if run.stage == stage]) for stage in stages}
        if len(set(cells.values())) > 1 or any("; " in cell for cell in cells.values()):
            rows.append({"key": key, **cells})
    return pd.DataFrame(rows, columns=["key", *stages])


def machine_table(runs: Sequence[Run]) -> pd.DataFrame:
    """Return the machines and versions of the runs: what, value, runs."""
    rows = []
    for run in runs:
        versions = run.record.get("versions")
        facts = {key: run.record.get(key) for key in ("device", "processes", "python", "commit")}
        facts |= versions if isinstance(versions, dict) else {}
        rows += [(what, str(value)) for what, value in facts.items() if value is not None]
    table = pd.DataFrame(rows, columns=["what", "value"])
    return table.groupby(["what", "value"], sort=False).size().reset_index(name="runs")


def minutes(run: Run) -> float:
    """Return the duration of a run, NaN if unfinished; pauses count, of a resumed run only its last process."""
    try:
        began, ended = (datetime.fromisoformat(str(run.record[key])) for key in ("started", "finished"))
        return (ended - began).total_seconds() / 60
    except (KeyError, ValueError, TypeError):
        return math.nan


def _read(stage: Path, member: Member) -> Run:
    folder = stage / member.folder
    try:
        record = unsealed(folder / RUN) or read_object(folder / RUN)
    except CannotRead as error:
        record = {"status": f"run.json {error.reason}"}
    except UserError:
        record = {"status": "run.json is damaged"}
    try:
        config = flat(read_yaml(folder / CONFIG))
    except UserError:
        config = {}
    try:
        epochs = pd.read_csv(io.BytesIO(read_regular(folder / METRICS)))
    except (FileNotFoundError, ValueError):
        epochs = pd.DataFrame()
    return Run(
        stage=stage.name,
        member=member,
        record=record,
        config=config,
        epochs=epochs if "epoch" in epochs else pd.DataFrame(),
    )


def _metrics(run: Run, experiments: Collection[str]) -> pd.DataFrame:
    """Return a run's epochs without the metrics of single experiments, ``"top1 HUVEC-05"``."""
    numbers = run.epochs.select_dtypes("number")
    return numbers[[name for name in numbers if str(name).partition(" ")[2] not in experiments]].copy()


def _values(key: str, runs: Sequence[Run]) -> str:
    """Return the distinct values of a key among the runs."""
    return "; ".join(dict.fromkeys(str(run.config[key]) for run in runs if key in run.config))
