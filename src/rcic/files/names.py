"""The names inside a run folder and a prediction folder."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rcic.errors import UserError, nearest
from rcic.files.regular import is_there, listed_names

PACKAGE = Path(__file__).parents[1]  # the folder of this package, with configs and screen specs
BEST, LAST = "checkpoints/best.pth", "checkpoints/last.pth"
PREVIOUS = "checkpoints/previous.pth"  # the epoch before last, while a training runs
LOCK = "run.lock"
SITE_EMBEDDINGS = "_sites.npy"  # the end of the name of a file with embeddings of single sites
RETRAIN = "retrain"  # the run folder inside another: a retraining, until it replaces the finished training
CONFIG, METRICS, RUN, HELD_OUT = "config.yml", "metrics.csv", "run.json", "valid.csv"
PSEUDO, TENSORBOARD = "pseudo", "tensorboard"  # folders: audits of progressive pseudo-labels, event files


def channel_name(channels: Sequence[int]) -> str:
    """Return the folder name of a channel set: ``[1, 2, 3]`` -> ``"[1,2,3]"``."""
    return "[" + ",".join(str(int(channel)) for channel in channels) + "]"


def model_name(name: str, cell_types: Sequence[str] = ()) -> str:
    """Return a model's folder name: ``densenet121``, or ``densenet121@HUVEC`` if trained on one cell type only."""
    return name + ("@" + "+".join(sorted(cell_types)) if cell_types else "")


@dataclass(frozen=True, order=True)
class Member:
    """One model of an ensemble: a channel set, a fold (None in the control stage) and an architecture."""

    channels: tuple[int, ...]
    fold: int | None
    model: str

    @property
    def folder(self) -> Path:
        """The relative folder, e.g. ``[1,2,3,4,5]/fold_0/densenet121``; stage I has no fold."""
        fold = [] if self.fold is None else [f"fold_{self.fold}"]
        return Path(channel_name(self.channels), *fold, self.model)


_FOLDER = re.compile(r"\[(?P<channels>\d+(,\d+)*)\]/(fold_(?P<fold>\d+)/)?(?P<model>[^/]+)")


def channels_of(folder: Path) -> tuple[int, ...] | None:
    """Return the channel set in the name of a member's folder, or of one of the two above; None without one."""
    named = (re.fullmatch(r"\[(\d+(?:,\d+)*)\]", part) for part in reversed(folder.parts[-3:]))
    return next((tuple(map(int, match[1].split(","))) for match in named if match), None)


def find_members(root: Path, name: str, model: str | None = None) -> list[Member]:
    """Return, sorted, the members below ``root`` (of ``model``, if given) whose folder contains the file ``name``.

    Raises CannotRead for a folder that the system does not let be listed.
    """
    members = []
    for folder in _member_folders(Path(root)):
        match = _FOLDER.fullmatch(folder.relative_to(root).as_posix())
        if match and model in (None, match["model"]) and is_there(folder / name):
            channels = tuple(int(channel) for channel in match["channels"].split(","))
            members.append(Member(channels, None if match["fold"] is None else int(match["fold"]), match["model"]))
    return sorted(
        members, key=lambda member: (member.model, member.channels, -1 if member.fold is None else member.fold)
    )


def _member_folders(root: Path) -> Iterator[Path]:
    """Yield what is below ``root`` as ``[...]/*`` and ``[...]/fold_*/*``, also in linked folders."""
    for name in listed_names(root):
        for inner in listed_names(root / name) if name.startswith("[") else ():
            yield root / name / inner
            for innermost in listed_names(root / name / inner) if inner.startswith("fold_") else ():
                yield root / name / inner / innermost


def prediction_files(folder: Path, split: str) -> dict[str, Path]:
    """Return the files of a member's predictions of ``split`` ("test", or "valid": its held-out wells).

    ``logits`` (N, K) float32, averaged over sites; ``wells`` the id_code of each row; ``sites`` (N, S, K) float16, NaN
    for a missing site; ``record`` the settings of the prediction.
    """
    names = {"logits": ".npy", "wells": ".csv", "sites": "_sites.npy", "record": ".json"}
    return {name: folder / f"pred_{split}{ending}" for name, ending in names.items()}


def embedding_files(folder: Path, split: str, by_site: bool = False) -> dict[str, Path]:
    """Return the files of a member's embeddings of ``split``: train (its training wells), valid, test or controls.

    ``embeddings`` (N, D) float32, averaged over sites and views; ``wells`` the id_code of each row; ``record`` the
    settings of the prediction; with ``by_site`` also ``sites`` (N, S, D) float32, NaN for a missing site.
    """
    names = {
        "embeddings": ".npy",
        "wells": ".csv",
        "record": ".json",
        **({"sites": SITE_EMBEDDINGS} if by_site else {}),
    }
    return {name: folder / f"emb_{split}{ending}" for name, ending in names.items()}


def shipped_path(folder: Path, name: str | Path, what: str) -> Path:
    """Return the YAML file that ``name`` is, or that is shipped below ``folder`` under it (``recipes/best.full``).

    A file of that name comes first. Raises UserError, with the nearest shipped name, for what is neither; ``what`` is
    what the file holds, "config" say.
    """
    shipped = folder / f"{name}.yml"
    if is_there(name):
        return Path(name)
    if shipped.is_file():
        return shipped
    known = sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yml"))
    hint = nearest(Path(name).as_posix().removesuffix(".yml"), known)
    shipped_too = "" if Path(name).suffix else ", nor is one shipped under that name"
    raise UserError(f"{name}: no such {what} file{shipped_too}{hint}")
