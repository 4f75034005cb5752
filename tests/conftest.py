"""What many tests share: the small synthetic screen, drawn once, and the folder of real files."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from rcic.cli.console import show_messages
from tests.chromium import chromium  # noqa: F401  # a fixture
from tests.screen.tiny import KAGGLE, write_tables


@pytest.fixture(scope="session", autouse=True)
def console() -> None:
    """Let the package's messages be seen, as the commands do."""
    show_messages()


@pytest.fixture(scope="session")
def small_screen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the synthetic screen ``test``, seed 0. Read only: it is shared by all tests."""
    from rcic.simulate.simulation import simulate_screen  # OpenCV only where images are wanted

    folder = tmp_path_factory.mktemp("screen") / "small"
    simulate_screen("test", folder, seed=0, workers=1, progress=False)
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real tables and images; skip where it is absent."""
    folder = Path(__file__).parents[1].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real files are not here: {folder} is absent")
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return the folder of a tiny screen's tables, Kaggle's form, without images."""
    (tmp_path / "data").mkdir()
    return write_tables(tmp_path / "data", KAGGLE)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return where the predictions of the tiny screen go."""
    return tmp_path / "out"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say in the last lines of a run which tests lacked data or a program, and how many each."""
    reasons = Counter(_reason(report.longrepr) for report in terminalreporter.stats.get("skipped", []))
    if reasons:
        terminalreporter.section("not run, because something is not here")
        for reason, count in reasons.most_common():
            terminalreporter.line(f"{count:5} {reason}")


def _reason(longrepr: object) -> str:
    """Return why a test was skipped: the text after the file and line."""
    text = longrepr[-1] if isinstance(longrepr, tuple) else longrepr
    return str(text).removeprefix("Skipped: ")
