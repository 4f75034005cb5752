"""Epoch metrics for TensorBoard, appended after each epoch: no thread, no open file, nothing that can end a training.

Catalyst's logger writes through a thread of tensorboardX. On a full disk it ends the training or, later, waits forever
for its queue, and prints tracebacks at the end of the process.
"""

import contextlib
import errno
import logging
import os
import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalyst import dl
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.record_writer import masked_crc32c

if TYPE_CHECKING:
    from rcic.learn.train.runner import WellRunner

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
        if scope != "epoch" or not self.works:
            return
        try:
            for loader, values in metrics.items():
                if values:
                    append_scalars(self.folder / loader / self.name, values, runner.epoch_step)
        except OSError as error:
            self.works = False
            _log.info(f"{self.folder}: no further metrics for TensorBoard ({error.strerror}); the training continues")


def append_scalars(path: Path, values: Mapping[str, Any], step: int) -> None:
    """Append named numbers as one event of a TensorBoard file; on an OSError the file stays unchanged."""
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


def _record(event: Event) -> bytes:
    """Return an event as a TFRecord: its length (8 bytes), the length's checksum (4), the event, its checksum (4)."""
    data = event.SerializeToString()
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked_crc32c(length)) + data + struct.pack("<I", masked_crc32c(data))
