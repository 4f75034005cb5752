"""Predicts one row of the pairs at every line of input: ``python -P benchmarks/speed_worker.py OUT ROW``.

It is run with `src` and `benchmarks` of this clone or of another on its path, so it uses only what both have, and each
makes its own packed screen of the same pixels. Prints, as JSON, the CPU seconds of `predict-all` from start to last
file, and once before what it is ready for.
"""

import contextlib
import io
import json
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch
from speed_data import fabricate, write_tables

from rcic.learn.models import build_model
from rcic.screen.plate import CHANNELS as ALL_CHANNELS
from rcic.screen.plate import well_name
from rcic.screen.table import Screen, read_screen

try:
    from rcic.files.names import BEST, HELD_OUT, Member
    from rcic.learn.config.settings import Config, Data, Model
    from rcic.learn.data.pixel_norm import PixelNorm
    from rcic.learn.predict.predict_all import predict_all
    from rcic.learn.predict.prediction_options import PredictionOptions
    from rcic.learn.runs.checkpoint import save_checkpoint
    from rcic.pixels.packed.manifest import MARK
    from rcic.schema.convert import to_plain

    UNAUDITED = {"audit_dir": None}
except ImportError:  # the layout of version 0.1, for --base
    from rcic.learn.checkpoint import save_checkpoint
    from rcic.learn.passes import Options as PredictionOptions
    from rcic.learn.pixelnorm import PixelNorm
    from rcic.learn.settings import Config, Data, Model
    from rcic.pixels.manifest import MARK

    from rcic.files import BEST, HELD_OUT, Member
    from rcic.learn.predict import predict_all
    from rcic.schema import to_plain

    UNAUDITED = {}

FOLD, CHANNELS = 0, (1, 2, 3, 4, 5)


def make_screen(root: Path, row: dict[str, Any]) -> Screen:
    """Return a packed screen with the row's test plates, made if it is not there."""
    if not (root / MARK).exists():
        root.mkdir(parents=True, exist_ok=True)
        wells = [well_name(line, column) for line in range(16) for column in range(24)][: row["sites"] // 2]
        test = {(f"HUVEC-{2 + number // 4:02}", 1 + number % 4): wells for number in range(row["plates"])}
        write_tables(root, {"train": {("HUVEC-01", 1): wells}, "test": test})
        shape = 8, len(ALL_CHANNELS), row["side"], row["side"]
        fabricate(root, list(np.random.default_rng(0).integers(0, 80, shape, np.uint8)))
    return read_screen(root)


def save_network(root: Path, screen: Screen, row: dict[str, Any]) -> None:
    """Write the run folder of a network with random weights, the same in every version of the package."""
    torch.manual_seed(0)
    model = Model(name=row["network"], pretrained="none", bn=row["bn"])
    data, member = Data(channels=CHANNELS, fold=FOLD), Member(CHANNELS, FOLD, row["network"])
    classes = list(screen.classes[: screen.n_treatments])
    network = build_model(model, len(CHANNELS), len(classes))
    with torch.no_grad():  # statistics of noise, so that the activations have a usual size
        for _ in range(4):
            network(torch.randn(8, len(CHANNELS), 96, 96))
    meta = {
        "stage": "full",
        "model": row["network"],
        "channels": list(CHANNELS),
        "fold": FOLD,
        "size": None,
        "epoch": 1,
    }
    meta |= {"classes": classes, "screen": screen.fingerprint(), "metadata": {}, "pixels": asdict(PixelNorm())}
    save_checkpoint(root / member.folder / BEST, network, meta | {"config": to_plain(Config(model=model, data=data))})
    (root / member.folder / HELD_OUT).write_text("id_code\n")


def main(out: Path, row: dict[str, Any]) -> None:
    """Predict the test wells once for every line that comes in."""
    torch.set_num_threads(1)
    root = out / "screen"
    save_network(out / "networks", make_screen(root, row), row)
    options = PredictionOptions("cpu", tta=tuple(row["tta"]), **UNAUDITED, **row["options"])
    print(json.dumps({"ready": row["network"]}), flush=True)
    for _ in sys.stdin:
        shutil.rmtree(out / "predictions", ignore_errors=True)
        began = process_time()
        with contextlib.redirect_stdout(io.StringIO()):
            predict_all(root, out / "networks", [row["network"]], out / "predictions", ("test",), options)
        print(json.dumps({"seconds": process_time() - began}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
