"""The check of results: ``rcic check PATH...``."""

from pathlib import Path
from typing import Literal

from rcic.errors import UserError
from rcic.screen.source import ScreenSource


def check(
    paths: tuple[Path, ...],
    mode: Literal["quick", "full"] = "quick",
    data_root: str | None = None,
    screen: str | None = None,
    all: bool = False,
) -> None:
    """Check results and what they were made from, back to the tables and images; exit with 2 if any is not sound.

    A result is sound; stale: what it was made from has changed; damaged: a checksum differs; unfinished: a command was
    killed or is at work; or foreign: it has no record of this program. Each is told with the command that mends it.

    Args:
        paths: files and folders: run folders, predictions, answers, packed screens, audits, reports.
        mode: quick reads tables, records and names; full every byte, and every image of the screens.
        data_root: the screen to compare with, if it has moved since; that of each record if not given.
        screen: its screen spec.
        all: list sound results, too.
    """
    from rcic.check.verdict_table import summary, verdicts_text
    from rcic.check.verdicts import check_results

    source = None if data_root is None else ScreenSource(data_root, screen)
    verdicts = check_results(paths, mode == "full", source)
    print(verdicts_text(verdicts, all))
    if any(verdict.state != "sound" for verdict in verdicts):
        raise UserError(f"not everything is sound: {summary(verdicts)}")


COMMANDS = (check,)
