"""Epoch metrics for TensorBoard, appended after each epoch: no thread, no open file, nothing that can end a training.

Catalyst's logger writes through a thread of tensorboardX. On a full disk it ends the training or, later, waits forever
for its queue, and prints tracebacks at the end of the process.
"""

import contextlib
import errno
import logging
import math
import os
import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.record_writer import masked_crc32c

from rcic.files.held import check_held
from rcic.files.regular import read_regular
from rcic.learn.train.catalyst_parts import dl
from rcic.learn.train.runner import WellRunner

_NOT_VALID = ("epoch", "seconds", "lr", "train_loss", "valid_loss")  # columns of metrics.csv
_AROUND = 16  # bytes of a record besides its event

_log = logging.getLogger(__name__)


class TensorBoard(dl.ILogger):
    """One event file a loader, in ``folder/train`` and ``folder/valid``; it stops with a message if the disk fails."""

    def __init__(self, folder: Path):
        super().__init__(log_batch_metrics=False, log_epoch_metrics=True)
        self.folder = folder
        self.name = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}"
        self.works = True

    def log_metrics(self, metrics: Mapping[str, Mapping[str, Any]], scope: str, runner: "WellRunner") -> None:
        """Append an epoch's metrics by loader; ignore other scopes."""
        if scope == "epoch":
            self._append(metrics, runner.epoch_step)

    def restore(self, row: Mapping[str, float]) -> None:
        """Append an epoch, given as its row of metrics.csv, unless it is there: a kill may come before its event."""
        valid = {name: value for name, value in row.items() if name not in _NOT_VALID}
        metrics = {
            "train": {"loss": row["train_loss"], "lr": row["lr"]},
            "valid": {} if math.isnan(row["valid_loss"]) else {"loss": row["valid_loss"], **valid},
        }
        epoch = int(row["epoch"])
        self._append({name: metrics[name] for name in metrics if epoch not in _steps(self.folder / name)}, epoch)

    def _append(self, metrics: Mapping[str, Mapping[str, Any]], epoch: int) -> None:
        """Append an epoch's metrics by loader."""
        try:
            for loader, values in metrics.items():
                if values and self.works:
                    append_scalars(self.folder / loader / self.name, values, epoch)
        except OSError as error:
            self.works = False
            _log.info(f"{self.folder}: no further metrics for TensorBoard ({error.strerror}); the training continues")


def append_scalars(path: Path, values: Mapping[str, Any], step: int) -> None:
    """Append named numbers as one event of a TensorBoard file; on an OSError the file stays unchanged.

    Raises UserError as `check_held`.
    """
    check_held(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    scalars = [Summary.Value(tag=name, simple_value=float(value)) for name, value in values.items()]
    content = _record(Event(wall_time=time.time(), step=step, summary=Summary(value=scalars)))
    size = path.stat().st_size if path.exists() else 0
    if not size:
        content = _record(Event(wall_time=time.time(), file_version="brain.Event:2")) + content
    try:
        with path.open("ab", buffering=0) as file:
            if file.write(content) < len(content):  # a write that fills the disk is short
                raise OSError(errno.ENOSPC, "No space left on device")
    except OSError:
        with contextlib.suppress(OSError):
            os.truncate(path, size)
        raise


def _steps(folder: Path) -> set[int]:
    """Return the epochs in a folder's event files; what is cut off or damaged is left out."""
    found = set()
    for path in folder.glob("events.out.tfevents.*"):
        data, start = read_regular(path), 0
        while start + _AROUND <= len(data):
            end = start + 12 + struct.unpack_from("<Q", data, start)[0]
            with contextlib.suppress(DecodeError):
                found.add(Event.FromString(data[start + 12 : end]).step)
            start = end + 4
    return found


def _record(event: Event) -> bytes:
    """Return an event as a TFRecord: its length (8 bytes), the length's checksum (4), the event, its checksum (4)."""
    data = event.SerializeToString()
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked_crc32c(length)) + data + struct.pack("<I", masked_crc32c(data))
