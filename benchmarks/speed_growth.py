"""How time and memory grow with the number of wells: ``python benchmarks/speed_growth.py WORK`` prints JSON.

Every command runs on a screen, one of twice and one of four times as many experiments, in a process of its own, which
is forked once everything is imported; CPU seconds and memory are those beyond that. Commands on images have small ones
(64 px); what is decided has RxRx1's 1,108 classes.
"""

import json
import multiprocessing
import resource
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from speed_data import planned
from speed_scale import FULL_SIZE, exponents, peak

from rcic.files.names import Member, embedding_files, prediction_files
from rcic.files.record import Record
from rcic.files.well_rows import write_well_rows
from rcic.pixels.images.sites import site_table, sites_of
from rcic.screen.plate import CHANNELS, image_name
from rcic.screen.source import ScreenSource
from rcic.screen.table import Screen, read_screen

TIMES = (1, 2, 4)  # as many experiments
MEMBER = Member((1, 2, 3, 4, 5), 0, "densenet_small")
TABLES = {"train": {"HUVEC": 6, "RPE": 2}, "test": {"HUVEC": 3, "RPE": 1}}  # experiments
IMAGES = {"train": {"HUVEC": 1, "RPE": 1}, "test": {"HUVEC": 1, "RPE": 1}}


# --- screens ----------------------------------------------------------------------------------------------------------


def with_tables(work: Path, times: int) -> Path:
    """Return a screen's tables, predictions of two members and embeddings, made if they are not there."""
    root = work / f"growth_tables_{times}"
    if not (root / "whole").exists():
        shutil.rmtree(root, ignore_errors=True)
        screen = planned(root / "screen", replace(FULL_SIZE, **_multiplied(TABLES, times)))
        _draw_images(screen, root, 1)  # a screen has images, and commands look for the first one
        for split in ("train", "test"):
            _write_arrays(screen, root, split)
        (root / "whole").touch()
    return root


def with_images(work: Path, times: int) -> Path:
    """Return a screen with images, a network and an audit, made if they are not there."""
    root = work / f"growth_images_{times}"
    if not (root / "whole").exists():
        shutil.rmtree(root, ignore_errors=True)
        preset = replace(FULL_SIZE, group_size=12, positives=2, **_multiplied(IMAGES, times))
        screen = planned(root / "screen", preset)
        _draw_images(screen, root)
        _save_network(screen, root)
        (root / "whole").touch()
    return root


def _multiplied(counts: dict[str, dict[str, int]], times: int) -> dict[str, dict[str, int]]:
    return {split: {name: times * n for name, n in part.items()} for split, part in counts.items()}


def _write_arrays(screen: Screen, root: Path, split: str) -> None:
    """Write embeddings of a split's wells, and predictions: of train wells those that were held out."""
    wells, numbers = screen.select(split, "treatment"), np.random.default_rng(0)
    codes, name = wells["id_code"].tolist(), "valid" if split == "train" else "test"
    vectors = numbers.standard_normal((len(codes), 64), np.float32)
    files = embedding_files(root / "embeddings" / MEMBER.folder, name)
    write_well_rows(files, {"embeddings": vectors}, codes, Record("embedding"))
    for model in ("one", "two"):
        logits = numbers.standard_normal((len(codes), screen.n_treatments), np.float32)
        if split == "train":
            logits[np.arange(len(codes)), wells["label"]] += 3
        files = prediction_files(root / "predictions" / replace(MEMBER, model=model).folder, name)
        write_well_rows(files, {"logits": logits}, codes, Record("prediction"))


def _draw_images(screen: Screen, root: Path, most: int | None = None) -> None:
    """Write noise as each image of the ``most`` first sites: the audit refuses an image that is there twice."""
    numbers = np.random.default_rng(0)
    for site in sites_of(site_table(screen.wells))[:most]:
        for channel in CHANNELS:
            name = image_name(site.experiment, site.plate, site.well, site.site, channel)
            path = root / "screen" / site.split / name
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), numbers.integers(0, 80, (64, 64), np.uint8))


def _save_network(screen: Screen, root: Path) -> None:
    from speed_predict import save_networks

    save_networks(root / "networks", screen, 1)


# --- commands ---------------------------------------------------------------------------------------------------------


def describe(work: Path, times: int) -> dict[str, float]:
    """Describe a screen; return wells, CPU seconds and MB, as all commands here do."""
    from rcic.screen.describe import describe

    root, found = with_tables(work, times), dict[str, float]()
    with measured(found):
        screen = read_screen(root / "screen")
        describe(screen)
    return found | {"wells": len(screen.wells)}


def audit(work: Path, times: int) -> dict[str, float]:
    """Audit every image."""
    from rcic.pixels.audit.audit_screen import audit

    root = with_images(work, times)
    found: dict[str, float] = {}
    with measured(found):
        audit(ScreenSource(str(root / "screen")), root / "audit", "full", "stop", 1)
    return found | {"wells": len(read_screen(root / "screen").wells)}


def pack(work: Path, times: int) -> dict[str, float]:
    """Pack the screen with one thread."""
    from rcic.pixels.packed.pack_screen import pack

    root = with_images(work, times)
    shutil.rmtree(root / "packed", ignore_errors=True)
    found: dict[str, float] = {}
    with measured(found):
        pack(root / "screen", root / "packed", (), threads=1, verify=False)
    return found | {"wells": len(read_screen(root / "screen").wells)}


def predict(work: Path, times: int) -> dict[str, float]:
    """Predict all test wells from the packed screen with one network."""
    from rcic.learn.predict.predict_all import predict_all
    from rcic.learn.predict.prediction_options import PredictionOptions

    root, options = with_images(work, times), PredictionOptions("cpu")
    shutil.rmtree(root / "predictions", ignore_errors=True)
    found: dict[str, float] = {}
    with measured(found):
        predict_all(root / "packed", root / "networks", ["densenet_small"], root / "predictions", ("test",), options)
    return found | {"wells": len(read_screen(root / "packed").select("test", "treatment"))}


def check(work: Path, times: int) -> dict[str, float]:
    """Check every byte of the audit, the packed screen and the predictions, back to the images."""
    from rcic.check.verdicts import check_results

    root = with_images(work, times)
    found: dict[str, float] = {}
    with measured(found):
        check_results([root / name for name in ("audit", "packed", "predictions")], full=True)
    return found | {"wells": len(read_screen(root / "screen").wells)}


def decide(work: Path, times: int) -> dict[str, float]:
    """Answer from two members' predictions, nothing kept of an earlier time."""
    from rcic.ensemble.decision import decide_once
    from rcic.ensemble.ensemble_options import EnsembleOptions

    root = _unkept(with_tables(work, times))
    found: dict[str, float] = {}
    with measured(found):
        screen = read_screen(root / "screen")
        decide_once(screen, root / "predictions", EnsembleOptions())
    return found | {"wells": len(screen.select("test", "treatment"))}


def report(work: Path, times: int) -> dict[str, float]:
    """Make the report: scores of held-out wells, answers on test wells, the map and the profiles."""
    from rcic.report.compose import report
    from rcic.report.report_options import ReportOptions
    from rcic.report.sources import Given

    root = _unkept(with_tables(work, times))
    given = {"predict_root": (str(root / "predictions"),), "embed_root": str(root / "embeddings")}
    options = ReportOptions(log_root="", audit_dir="", quality_images=0, **given)
    found: dict[str, float] = {}
    with measured(found):
        report(Given(root / "screen", options), root / "report.html")
    return found | {"wells": len(read_screen(root / "screen").wells)}


def browse(work: Path, times: int) -> dict[str, float]:
    """Start the browser, nothing kept of an earlier time."""
    from rcic.browse.browse_options import BrowseOptions
    from rcic.browse.serve import BrowserSources, gather

    root = _unkept(with_tables(work, times))
    options = BrowseOptions(predict_root=str(root / "predictions"), embed_root=str(root / "embeddings"))
    found: dict[str, float] = {}
    with measured(found):
        gather(BrowserSources(root / "screen", options))
    return found | {"wells": len(read_screen(root / "screen").wells)}


COMMANDS: dict[str, Callable[[Path, int], dict[str, float]]] = {
    command.__name__: command for command in (describe, audit, pack, predict, check, decide, report, browse)
}


def _unkept(root: Path) -> Path:
    for path in root.rglob("kept_*"):
        path.unlink()
    return root


@contextmanager
def measured(found: dict[str, float]) -> Iterator[None]:
    """Put the block's CPU seconds, and its memory beyond what was there before (MB), into ``found``."""
    seconds, memory = _seconds(), peak()
    yield
    found |= {"seconds": _seconds() - seconds, "memory": peak() - memory}


def _seconds() -> float:
    """Return the CPU seconds of this process and of those that it waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def apart(command: Callable[[Path, int], dict[str, float]], work: Path, times: int) -> dict[str, float]:
    """Return what a command measured in a process of its own, forked, so that the imports are done."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=lambda: sender.send(command(work, times)))
    process.start()
    found: dict[str, float] = receiver.recv() if receiver.poll(None) else {}
    process.join()
    return found


def main(work: Path, names: Sequence[str]) -> None:
    """Measure and print what was found; what the commands say goes to stderr."""
    import torch

    import rcic.browse.serve
    import rcic.check.verdicts
    import rcic.learn.predict.predict_all
    import rcic.pixels.audit.audit_screen
    import rcic.report.compose  # noqa: F401  # imported once, before the processes are forked

    torch.set_num_threads(1)
    for times in TIMES:
        with_tables(work, times), with_images(work, times)
    found = {}
    with redirect_stdout(sys.stderr):
        for name in names or COMMANDS:
            rows = [apart(COMMANDS[name], work, times) for times in TIMES]
            found[name] = {"rows": rows, "exponents": exponents(rows, "wells", ["seconds", "memory"])}
            print(name, found[name], flush=True)
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
