"""What many tests share: the small synthetic screen, drawn once, and the folder of real files."""

from pathlib import Path

import pytest

from rcic.cli.console import show_messages
from rcic.simulate.simulation import simulate
from tests.chromium import chromium  # noqa: F401  # a fixture
from tests.screen.tiny import KAGGLE, write_tables


@pytest.fixture(scope="session", autouse=True)
def console() -> None:
    """Let the package's messages be seen, as the commands do."""
    show_messages()


@pytest.fixture(scope="session")
def small_screen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the synthetic screen ``test``, seed 0. Read only: it is shared by all tests."""
    folder = tmp_path_factory.mktemp("screen") / "small"
    simulate("test", folder, seed=0, workers=1, progress=False)
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
