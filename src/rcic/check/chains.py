"""How each kind of result follows from what it was made from: why it is stale, "" if it is not."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rcic.check.changed_pixels import changed_pixels
from rcic.check.known_sources import KnownSources, compared
from rcic.files.atomic import sha256_of
from rcic.files.difference import difference
from rcic.files.names import BEST, CONFIG, RUN, prediction_files
from rcic.files.record import Record, earlier_record, read_record
from rcic.learn.config.settings import Config
from rcic.learn.data.stage_table import PSEUDO_RECORD
from rcic.learn.runs.folder import init_path
from rcic.learn.runs.origin import Origin
from rcic.learn.runs.run_record import read_run_record
from rcic.pixels.audit.findings import REPORT, origin_of
from rcic.pixels.audit.folder_state import changed_folders
from rcic.pixels.images.file_states import FolderState
from rcic.pixels.images.pixel_state import origin_difference
from rcic.pixels.packed.manifest import Manifest
from rcic.schema.convert import from_plain, read_yaml
from rcic.screen.folds import FOLDS, folds_origin
from rcic.screen.table import Screen, read_screen

Chain = Callable[[KnownSources, Path, Record], str]


def _training(known: KnownSources, path: Path, record: Record) -> str:
    screen = known.screen(record)
    if screen is None:
        return ""
    folder, log_root = path.parent, Path(str(record.facts.get("log_root", path.parent)))
    origin = known.training(folder, screen, log_root, record.made_from.get("pixels") or {})
    origin = Origin(compared(origin), origin.earlier)
    differs = origin.difference({**record.facts, **({"made_from": record.made_from} if record.made_from else {})})
    return f"made from other {differs}" if differs else ""


def _arrays(known: KnownSources, path: Path, record: Record) -> str:  # noqa: ARG001 (all chains have the same form)
    """Predictions and embeddings: network and embeddings are those that are there, and the screen is the same."""
    if again := _retrained(record) or _embedded_again(record) or _other_profiles(record):
        return again
    screen = known.screen(record)
    return "" if screen is None else _other_screen(known, record, screen)


def _retrained(record: Record) -> str:
    folder, trained = Path(str(record.facts.get("run_folder", ""))), record.made_from.get("checkpoint")
    now = read_run_record(folder).get("files", {}).get(BEST) if record.facts.get("run_folder") else None
    return f"{folder / RUN}: the network was trained again since" if trained and now and trained != now else ""


def _embedded_again(record: Record) -> str:
    """Return which embeddings that a result was made from are others by now, "" if none is or can be found."""
    for path, digest in _embeddings(record).items():
        now = read_record(path, "embedding") if path.exists() else None
        if now is not None and now.digest != digest:
            return f"{path}: was embedded again since"
    return ""


def _other_profiles(record: Record) -> str:
    """Return which table of profiles that embeddings were imported from is another by now, "" if none is."""
    then = record.made_from.get("profiles", {}) if record.kind == "embedding" else {}
    for path in map(Path, record.facts.get("profiles", ())):
        if path.is_file() and sha256_of(path) != then.get(path.name):
            return f"{path}: has changed since it was imported"
    return ""


def _embeddings(record: Record) -> dict[Path, str]:
    """Return the records of the embeddings that a result was made from -> their digests then.

    Scores of neighbours are made from those of one folder, ladders and retrieval from those of a root.
    """
    folder = Path(str(record.facts.get("embed_folder") or record.facts.get("embed_root") or ""))
    known = record.made_from.get("embeddings", {})
    return {(folder / name).with_suffix(".json"): digest for name, digest in known.items()}


def _other_screen(known: KnownSources, record: Record, screen: Screen) -> str:
    then, identity = record.made_from, screen.identity
    if "fingerprint" in then:
        same = then["fingerprint"] == screen.fingerprint()
        return "" if same else "made for other wells, classes or grey levels"
    now: dict[str, Any] = {"classes": identity.treatments}
    if "images" in then:
        channels = [int(number) for number in then["images"]["channels"]]
        if set(channels) - set(screen.spec.channel_numbers):
            return "made from channels that the screen spec no longer has"
        now["images"] = identity.images(channels)
    now["wells"] = identity.wells(then.get("wells", {}))
    if then.get("pixels") and (pixels := known.pixels(screen, then["pixels"])):
        now["pixels"] = {name: state for name, state in pixels.items() if name in then["pixels"]}
    differs = origin_difference(then, {name: value for name, value in now.items() if name in then})
    return f"made from other {differs}" if differs else ""


def _audit(known: KnownSources, path: Path, record: Record) -> str:  # noqa: ARG001 (all chains have the same form)
    screen = known.screen(record)
    if screen is None:
        return ""
    if (fingerprint := record.made_from.get("fingerprint")) is not None:
        return "" if fingerprint == screen.fingerprint() else "made from other wells, classes or grey levels"
    now = origin_of(screen)
    if differs := difference({name: record.made_from.get(name) for name in now}, now):
        return f"made from other {differs}"
    changed = changed_folders(screen, {name: FolderState(*state) for name, state in record.facts["marks"].items()})
    if changed or not known.full:
        return f"{changed[0]} has changed since" if changed else ""
    then = record.made_from["pixels"]
    return changed_pixels(then, known.pixels(screen, then))


def _folds(known: KnownSources, path: Path, record: Record) -> str:  # noqa: ARG001
    screen = known.screen(record)
    differs = "" if screen is None else difference(record.made_from, folds_origin(screen))
    return f"made from other {differs}" if differs else ""


def _packed(known: KnownSources, path: Path, record: Record) -> str:
    screen = read_screen(path.parent)
    now = {"images": screen.identity.images(), "sites": screen.spec.sites_by_name}
    if "fingerprint" not in record.made_from and (differs := difference(record.made_from, now)):
        return f"packed from other {differs}"
    then = Manifest.read(path.parent).plates
    return changed_pixels(then, known.pixels(screen, then)) if known.full else ""


def _of_predictions(known: KnownSources, path: Path, record: Record) -> str:
    """What was decided, scored or fitted: the predictions are still those, and the classes, too."""
    networks, calibrated = record.made_from.get("predictions", {}), record.made_from.get("calibration")
    for folder, files in _prediction_records(path, record).items():
        if networks[folder] and (why := _other_prediction(files, networks[folder])):
            return why
    if calibrated and (fitted := record.facts.get("calibration")) and _is_other(Path(fitted), calibrated):
        return f"{fitted}: was fitted again since, or is not there any more"
    if again := _embedded_again(record):
        return again
    screen = known.screen(record)
    if screen is None or "classes" not in record.made_from:  # of versions 0.1 and 0.2
        return ""
    differs = difference(record.made_from["classes"], screen.identity.treatments, "classes")
    return f"made for other {differs}" if differs else ""


def _prediction_records(path: Path, record: Record) -> dict[str, list[Path]]:
    """Return member -> the records of the predictions that a result was made from; a report shows both splits."""
    root, splits = Path(str(record.facts.get("predict_root", ""))), [_split_of(path, record)]
    splits = ["test", "valid"] if record.kind == "report" else splits
    return {
        folder: [prediction_files(root / folder, split)["record"] for split in splits]
        for folder in record.made_from.get("predictions", {})
    }


def _other_prediction(paths: Sequence[Path], network: str) -> str:
    for path in [path for path in paths if path.exists()] or paths[:1]:
        now = earlier_record(path, "prediction") or read_record(path, "prediction")
        if now is None:
            return f"{path}: is not there any more"
        if now.facts.get("network") != network:
            return f"{path}: was predicted again, by another network"
    return ""


def _is_other(path: Path, digest: str) -> bool:
    return not path.is_file() or sha256_of(path) != digest


CHAINS: Mapping[str, Chain] = {
    "training": _training,
    "prediction": _arrays,
    "embedding": _arrays,
    "audit": _audit,
    "folds": _folds,
    "packed screen": _packed,
    "calibration": _of_predictions,
    "pseudo-labels": _of_predictions,
    "submission": _of_predictions,
    "channels": _of_predictions,
    "ladder": _of_predictions,
    "retrieval": _of_predictions,
    "report": _of_predictions,
    "profiles": _of_predictions,
}


def input_records(path: Path, record: Record) -> list[Path]:
    """Return the records of the results that a result was made from, whether they exist or not."""
    facts = record.facts
    if record.kind == "training":
        return _training_inputs(path.parent, Path(str(facts.get("log_root", ""))))
    if record.kind in ("prediction", "embedding"):
        return [*([Path(str(facts["run_folder"])) / RUN] if facts.get("run_folder") else []), *_embeddings(record)]
    predictions = [path for paths in _prediction_records(path, record).values() for path in paths]
    return [
        *predictions,
        *_embeddings(record),
        *([Path(str(facts["calibration"]))] if facts.get("calibration") else []),
    ]


def _training_inputs(folder: Path, log_root: Path) -> list[Path]:
    """Return the records of a training's tables, audit and initial weights."""
    config = from_plain(Config, read_yaml(folder / CONFIG), str(folder / CONFIG))
    start = init_path(config, log_root)
    inputs = [Path(config.data.audit_dir) / REPORT] if config.data.audit != "off" else []
    inputs += [Path(config.data.folds_dir) / FOLDS] if config.stage != "control" else []
    inputs += [Path(config.data.pseudo_dir) / PSEUDO_RECORD] if config.stage == "pseudo" else []
    return [*inputs, *([start.parents[1] / RUN] if start is not None else [])]


def _split_of(path: Path, record: Record) -> str:
    if record.facts.get("split") == "valid":  # answers for a screen without test wells
        return "valid"
    return "valid" if record.kind == "calibration" or path.stem.endswith("_valid") else "test"
