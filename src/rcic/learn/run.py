"""One training from a config to a run folder: skip it if done, refuse what cannot work, record what was used."""

import shutil
from importlib.util import find_spec
from pathlib import Path

from rcic.errors import UserError
from rcic.files import BEST, CONFIG, HELD_OUT, LAST, METRICS, PSEUDO, Member, model_name, whole
from rcic.learn.audited import audit_of_training
from rcic.learn.config import write_config
from rcic.learn.ranks import is_main, say
from rcic.learn.record import read_record, recorded, surroundings
from rcic.learn.schema import flat, read_yaml, to_plain
from rcic.learn.settings import Config
from rcic.learn.tables import StageTable, stage_table
from rcic.screen.table import read_screen

_HARMLESS = (
    "log.every",
    "log.tensorboard",
    "log.wandb",
    "data.workers",
    "data.cache",
    "data.folds_dir",  # what the tables in them say is compared
    "data.pseudo_dir",
    "data.audit",  # so is which sites are bad
    "data.audit_dir",
    "train.device",
    "train.valid_batch_size",
    "predict.tta",  # but said
)


def run_folder(log_root: str | Path, config: Config) -> Path:
    """Return ``LOG/{stage}/[1,2,3,4,5]/fold_K/MODEL`` (``MODEL@HUVEC`` for a cell type's own); stage I has no fold."""
    fold = None if config.stage == "control" else config.data.fold
    name = model_name(config.model.name, config.data.cell_types)
    return Path(log_root) / config.stage / Member(config.data.channels, fold, name).folder


def train(config: Config, data_root: str | Path, log_root: str | Path, force: bool = False) -> Path:
    """Run one training and return its folder; a finished one is left alone unless ``force``.

    Under ``torchrun`` every process calls this; the first one writes. Raises UserError for anything in tables,
    images, weights or config that would stop it later, before anything is written.
    """
    _check_loggers(config)
    folder, screen = run_folder(log_root, config), read_screen(data_root)
    audit = audit_of_training(config, screen)
    table = stage_table(screen, config)
    data = {"screen": screen.fingerprint(), "tables": table.fingerprint()}
    data["audit"] = "" if audit is None else audit.digest(config.data.channels)
    if not force and is_done(folder, config, data):
        say(f"{folder}: done already, skipped")
        return folder
    record = surroundings() | {"data_root": str(screen.root), **data}

    from rcic.learn.build import build_training  # torch and Catalyst only now: the checks above are quick

    runner, facts = build_training(config, screen, table, Path(log_root), folder, audit)
    with recorded(folder, record | facts) as outcome:
        if is_main():
            _begin(folder, runner.config, table)
        runner.run()
        outcome["best"] = best = runner.callbacks["checkpoints"].best
    say(f"{folder}: best {config.train.monitor} {best['value']:.3f} in epoch {best['epoch']}")
    return folder


def is_done(folder: Path, config: Config, data: dict[str, str]) -> bool:
    """Return whether this very training is finished there.

    ``data`` are the fingerprints of what it reads. Raises UserError if what is finished there had another config or
    other data.
    """
    record = read_record(folder)
    if record.get("status") != "done":
        return False
    kept, wanted = flat(read_yaml(folder / CONFIG)), flat(to_plain(config))
    changed = [key for key, value in wanted.items() if key not in _HARMLESS and kept.get(key) != value]
    changed += [f"{name} (wells or labels)" for name, value in data.items() if record.get(name, value) != value]
    if changed:
        raise UserError(
            f"{folder}: finished with another {', '.join(changed[:4])}; choose another --log_root, or --force to train "
            "anew"
        )
    if kept["predict.tta"] != wanted["predict.tta"]:
        trained, asked = (",".join(views["predict.tta"]) for views in (kept, wanted))
        say(f"{folder}: predict.tta was {trained} in training, and predict-all keeps to that; give it --tta={asked}")
    return True


def _check_loggers(config: Config) -> None:
    if config.log.wandb != "off" and find_spec("wandb") is None:
        raise UserError(
            f"log.wandb is {config.log.wandb}, but wandb is not installed: pip install wandb, or set it off"
        )


def _begin(folder: Path, config: Config, table: StageTable) -> None:
    """Clear what an earlier training left in the folder; write the config and the held-out wells."""
    for name in (BEST, LAST, METRICS):
        (folder / name).unlink(missing_ok=True)
    for name in ("tensorboard", PSEUDO):
        shutil.rmtree(folder / name, ignore_errors=True)
    write_config(config, folder / CONFIG)
    with whole(folder / HELD_OUT) as temporary:
        table.valid.to_csv(temporary, columns=["id_code", "label"], index=False)
