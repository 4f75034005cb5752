"""From a config and its tables to a runner: images, loaders, network, callbacks, loggers."""

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

from rcic.errors import plural
from rcic.files.atomic import sha256_of
from rcic.files.names import channel_name, model_name
from rcic.learn.config.settings import Config
from rcic.learn.data.loaders import add_plate_context, stacked, train_loader, usable_sites, valid_loader
from rcic.learn.data.metadata import known_values, metadata_of
from rcic.learn.data.pixel_norm import PixelNorm, fixed_pixel_norm, learn_pixel_norm
from rcic.learn.data.stage_table import StageTable
from rcic.learn.data.training_origin import check_stains, check_unlearnt, learnt_wells
from rcic.learn.data.training_sites import TrainingSites
from rcic.learn.predict.device import pick_device
from rcic.learn.runs.checkpoint import Checkpoint
from rcic.learn.runs.origin import Origin
from rcic.learn.runs.ranks import log_main, rank_and_world
from rcic.learn.train.callbacks import FrozenTrunk, KeepBestAndLast, Progress, WellValidation
from rcic.learn.train.catalyst_parts import dl, set_global_seed
from rcic.learn.train.engine import check_precision
from rcic.learn.train.logs import build_loggers
from rcic.learn.train.progressive_labels import ProgressiveLabels, with_test_sites
from rcic.learn.train.resume import disk_bytes
from rcic.learn.train.runner import WellRunner
from rcic.learn.train.size_check import check_sizes
from rcic.learn.train.start import align_metadata, build_network, starting_checkpoint
from rcic.pixels.audit.findings import Audit
from rcic.pixels.batches.loader import BatchLoader
from rcic.pixels.images.store import Store
from rcic.pixels.packed.open_store import open_store
from rcic.schema.convert import to_plain
from rcic.screen.layout import Groups, learn_groups
from rcic.screen.table import Screen


def build_training(
    config: Config,
    screen: Screen,
    table: StageTable,
    log_root: Path,
    folder: Path,
    audit: Audit | None = None,
    begun: Checkpoint | None = None,
    origin: Origin | None = None,
) -> tuple[WellRunner, dict[str, Any]]:
    """Return the runner of one training, which will write into ``folder``, and the facts for run.json.

    ``audit`` names the bad images. The training resumes from ``begun``, its last whole epoch, if given. ``origin`` is
    kept in its checkpoints. Writes nothing. Raises UserError for images, weights, a device or a precision that the
    training cannot use.
    """
    device = cast(Literal["cpu", "cuda"], pick_device(config.train.device))
    check_precision(config.train.precision, device)
    check_sizes(config)
    config = dataclasses.replace(config, train=dataclasses.replace(config.train, device=device))
    store = open_store(screen)
    initial = starting_checkpoint(config, log_root)
    before = {} if initial is None else initial.meta
    if initial is not None:
        check_unlearnt(before, table, str(initial.path))
        check_stains(before, screen, str(initial.path))
    sites, known = find_sites(config, screen, table, store, initial, audit)
    set_global_seed(config.train.seed)  # Catalyst seeds only after the network is built
    model, weights_from = build_network(config, len(table.classes), [len(values) for values in known.values()], initial)
    loaders, pixels = _loaders(config, sites, store)
    runner = WellRunner(config, model, loaders, sites, pixels)
    runner.resume_from = begun
    meta = _meta(config, table, screen, origin or Origin({})) | {
        **learnt_wells(table, screen.n_treatments, before),
        "metadata": known,
        "pixels": dataclasses.asdict(pixels),
    }
    checkpoints = KeepBestAndLast(folder, config.train.monitor, meta, begun)
    runner.given_callbacks = _callbacks(config, sites, table.n_answers, checkpoints)
    if config.progressive.start:
        runner.given_callbacks["progressive"] = ProgressiveLabels(config, screen, sites, known, folder, audit)
    runner.make_loggers = partial(build_loggers, config.log, folder, _title(config))
    facts = {"start": weights_from, "device": device, **_facts(table, sites, initial)}
    facts["disk_bytes"] = disk_bytes(model, config.train)
    log_main(_headline(config, table, facts))
    _warn_absent(facts["absent"], len(table.classes))
    return runner, facts


def find_sites(
    config: Config,
    screen: Screen,
    table: StageTable,
    store: Store,
    initial: Checkpoint | None = None,
    audit: Audit | None = None,
) -> tuple[TrainingSites, dict[str, list[str]]]:
    """Return the site tables of a stage with their metadata, and the known metadata values.

    The known values are those of the wells whose classes can be predicted: a held-out or a test experiment does not
    become known through its control wells. ``initial`` is the checkpoint of the initial weights, if any. Raises
    UserError for missing images, or a screen without the metadata that the config names.
    """
    data, unit = config.data, config.statistics_unit
    train, valid = (
        usable_sites(store, wells, data.sites, data.channels, data.drop_incomplete, audit, data.size)
        for wells in (table.train, table.valid)
    )
    if data.stack_sites:
        train, valid = stacked(train, data.sites), stacked(valid, data.sites)
    groups = _plate_groups(config, screen)
    predictable = train[train["label"] < table.n_answers]
    known = align_metadata(known_values(config.model.metadata, predictable, groups), config, initial)
    valid = add_plate_context(store, screen, valid, unit, config, audit)
    if config.progressive.start:
        train = with_test_sites(config, screen, store, train, audit)
    metadata = metadata_of(train, known, groups), metadata_of(valid, known)
    return TrainingSites(train, valid, unit, *metadata), known


def _plate_groups(config: Config, screen: Screen) -> Groups | None:
    return learn_groups(screen) if "plate_group" in config.model.metadata else None


def _loaders(config: Config, sites: TrainingSites, store: Store) -> tuple[dict[str, BatchLoader], PixelNorm]:
    """Return the two loaders and the pixel normalisation."""
    train = train_loader(config, sites.train, store)
    loaders = {"train": train, "valid": valid_loader(config, sites.valid, store, sites.unit)}
    if config.data.norm == "fixed":
        return loaders, fixed_pixel_norm(config.data, train.dataset)
    return loaders, learn_pixel_norm(config.data.norm, train.dataset, sites.train, config.data.workers)


def _callbacks(
    config: Config, sites: TrainingSites, n_answers: int, checkpoints: KeepBestAndLast
) -> dict[str, dl.Callback]:
    """Return the callbacks of every training, by name, in their order."""
    return {
        "frozen": FrozenTrunk(config.schedule.frozen_epochs),
        "validation": WellValidation(sites.valid, n_answers),
        "checkpoints": checkpoints,
        "progress": Progress(_title(config), config.log.every),
    }


def _facts(table: StageTable, sites: TrainingSites, initial: Checkpoint | None) -> dict[str, Any]:
    """Return what run.json says of the initial checkpoint, the processes, the classes and the sites."""
    labels = sites.train["label"]
    facts: dict[str, Any] = {}
    if initial is not None:
        facts |= {"start_path": str(initial.path.resolve()), "start_sha256": sha256_of(initial.path)}
    facts |= {"processes": rank_and_world()[1], "n_classes": len(table.classes)}
    facts |= {"n_train_sites": int((labels >= 0).sum()), "n_valid_sites": int(sites.valid["wanted"].sum())}
    return facts | {"absent": table.absent(labels)}


def _title(config: Config) -> str:
    fold = "" if config.stage == "control" else f" fold {config.data.fold}"
    cell_types = f" {'+'.join(config.data.cell_types)}" if config.data.cell_types else ""
    return f"{config.stage} {channel_name(config.data.channels)}{fold}{cell_types}"


def _headline(config: Config, table: StageTable, facts: dict[str, Any]) -> str:
    held_out = table.valid["experiment"].nunique()
    drawn = " (one a well in each epoch)" if config.data.sites_per_epoch == "one" else ""
    return (
        f"{_title(config)} {config.model.name} from {facts['start']}: {facts['n_train_sites']} sites{drawn}, "
        f"{len(table.classes)} classes, validated on {len(table.valid)} wells of {plural(held_out, 'experiment')}"
    )


def _warn_absent(absent: list[str | int], n_classes: int, n_named: int = 8) -> None:
    """Log a warning that names the classes without training wells."""
    if not absent:
        return
    named = ", ".join(map(str, absent[:n_named])) + (" ..." if len(absent) > n_named else "")
    note = "have no training well and can never be predicted"
    log_main(f"warning: {len(absent)} of {n_classes} classes {note}: {named}")


def _meta(config: Config, table: StageTable, screen: Screen, origin: Origin) -> dict[str, Any]:
    """Return the description of the training that is saved in its checkpoints, as plain values."""
    return {
        "stage": config.stage,
        "model": model_name(config.model.name, config.data.cell_types),
        "channels": list(config.data.channels),
        "fold": config.data.fold,
        "size": config.data.size,
        "classes": list(table.classes),
        "stains": screen.identity.stains(config.data.channels),
        "made_from": dict(origin.values),
        "config": to_plain(config),
    }
