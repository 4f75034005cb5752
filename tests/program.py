"""The program's scripts, run as a user does but within the tests' process: torch is imported once, not forty times."""

import runpy
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from rcic.cli import flags
from rcic.cli.main import load
from rcic.files.names import BEST, HELD_OUT, Member
from rcic.learn.config.settings import Config, Data, Model
from rcic.schema.convert import to_plain
from rcic.screen.table import Screen

SRC = Path(__file__).parents[1] / "src"
TINY = """stage: full
model: {name: tiny, pretrained: none}
data: {workers: 0, audit: off, folds_dir: FOLDS}
augment: {shear: 0}
schedule: {frozen_epochs: 0, epochs: 2, warmup_epochs: 0}
train: {batch_size: 16, accumulate: 1, precision: fp32}
"""


@dataclass(frozen=True)
class Program:
    """Starts ``src/SCRIPT`` with words; `refuse` expects a mistake that is told in one line."""

    capture: pytest.CaptureFixture[str]

    def run(self, script: str, *words: object) -> str:
        """Return what the script prints; SystemExit if it fails."""
        self.capture.readouterr()
        with patch.object(sys, "argv", [str(SRC / script), *map(str, words)]):
            runpy.run_path(str(SRC / script), run_name="__main__")
        return self.capture.readouterr().out

    def refuse(self, script: str, *words: object) -> str:
        """Return the one line of a script that ends with code 2 and prints nothing else on stderr."""
        with pytest.raises(SystemExit) as stop:
            self.run(script, *words)
        lines = self.capture.readouterr().err.splitlines()
        assert (stop.value.code, len(lines)) == (2, 1), lines
        assert lines[0].startswith("error: ")
        return lines[0].removeprefix("error: ")


def command(script: str, name: str) -> Callable[..., Any]:
    """Return a command of ``src/SCRIPT``, ``run-grid`` of train.py say."""
    return load(script.removesuffix(".py"))[name.replace("-", "_")]


def read_call(words: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Return the command of a call (script, command, flags) and its flags' values, as the program reads them.

    ``report.py`` has one command, of the same name, which need not be said.
    """
    if words[1].startswith("-"):
        words = [words[0], Path(words[0]).stem, *words[1:]]
    called = command(Path(words[0]).name, words[1])
    given = flags.fire_words({called.__name__: called}, words[1:])[1:]
    read = flags.readers(called)
    texts = dict(word.removeprefix("--").split("=", 1) for word in given)
    return words[1], {key: read[key](text) for key, text in texts.items()}


def save_untrained(
    root: Path,
    screen: Screen,
    member: Member,
    classes: Sequence[str | int] = (),
    size: int | None = None,
    held_out: Sequence[str] = (),
) -> Path:
    """Write the run folder of a tiny network with random weights, by default of the screen's classes; return it."""
    from rcic.learn.data.pixel_norm import PixelNorm  # torch only where a network is wanted
    from rcic.learn.models import build_model
    from rcic.learn.runs.checkpoint import save_checkpoint

    classes = list(classes or screen.classes[: screen.n_treatments])
    model = Model(name=member.model, pretrained="none")
    config = Config(
        model=model, data=Data(channels=member.channels, fold=member.fold or 0, sites=screen.spec.sites, size=size)
    )
    meta = {"stage": "full", "model": member.model, "channels": list(member.channels), "fold": member.fold}
    meta |= {"size": size, "classes": classes, "screen": screen.fingerprint(), "epoch": 1, "config": to_plain(config)}
    meta |= {"metadata": {}, "pixels": asdict(PixelNorm())}
    folder = root / member.folder
    save_checkpoint(folder / BEST, build_model(model, len(member.channels), len(classes)), meta)
    (folder / HELD_OUT).write_text("\n".join(["id_code", *held_out]) + "\n")
    return folder


def left_over(folder: Path) -> list[str]:
    """Return the files and folders that a killed or failed writer could have left behind."""
    return [str(path) for path in folder.rglob("*") if path.suffix in (".tmp", ".half")]
