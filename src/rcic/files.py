"""The names inside a run folder and a prediction folder, and how a file is written: whole, or not at all."""

import errno
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rcic.errors import UserError

BEST, LAST = "checkpoints/best.pth", "checkpoints/last.pth"
CONFIG, METRICS, RUN, HELD_OUT = "config.yml", "metrics.csv", "run.json", "valid.csv"


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` at the end, remove it on any error.

    A reader never sees half a file and an earlier file survives a failed write. Raises UserError when the disk is
    full or the folder cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_error(path: Path, error: OSError) -> Exception:
    """Return the UserError for a failed write of ``path``, or ``error`` itself if it is not about writing."""
    reasons = {
        errno.ENOSPC: "the disk is full",
        errno.EDQUOT: "the disk quota is used up",
        errno.EFBIG: "the file would pass the size limit",
        errno.EACCES: "no permission to write there",
        errno.EROFS: "the file system is read-only",
        errno.ENOTDIR: "a part of the path is a file, not a folder",
    }
    if error.errno not in reasons:
        return error
    return UserError(f"{path}: not written, {reasons[error.errno]}; nothing was left half-written")


def channel_name(channels: Sequence[int]) -> str:
    """Return the folder name of a channel set: ``[1, 2, 3]`` -> ``"[1,2,3]"``."""
    return "[" + ",".join(str(int(channel)) for channel in channels) + "]"


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


def find_members(root: Path, name: str, model: str | None = None) -> list[Member]:
    """Return, sorted, the members below ``root`` whose folder holds the file ``name`` (of ``model`` only, if given)."""
    found = []
    for path in Path(root).glob(f"[[]*/**/{name}"):
        folder = path.relative_to(root).as_posix().removesuffix("/" + name)
        if (match := _FOLDER.fullmatch(folder)) and model in (None, match["model"]):
            channels = tuple(int(channel) for channel in match["channels"].split(","))
            found.append(Member(channels, None if match["fold"] is None else int(match["fold"]), match["model"]))
    return sorted(found, key=lambda member: (member.model, member.channels, member.fold or 0))


def prediction_files(folder: Path, split: str) -> dict[str, Path]:
    """Return where a member's predictions of ``split`` ("test", or "valid": its held-out wells) stand.

    ``logits`` (N, K) float32 with all sites averaged, ``wells`` its rows (id_code), ``sites`` (N, S, K) float16 with NaN
    for a site that is not there, ``record`` what they were made with.
    """
    names = {"logits": ".npy", "wells": ".csv", "sites": "_sites.npy", "record": ".json"}
    return {name: folder / f"pred_{split}{ending}" for name, ending in names.items()}
