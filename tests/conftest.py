"""What many tests share: the small synthetic screen, drawn once, and the folder of real files."""

import gc
import importlib.util
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, cast

import pytest

from rcic.cli.console import show_messages
from tests.chromium import chromium  # noqa: F401  # a fixture
from tests.once import made_once
from tests.program import Program
from tests.screen.tiny import KAGGLE, write_tables


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, Any, Any]:
    """Import all tests without looks for garbage, of which that makes little; later looks leave out what it made."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def console() -> None:
    """Let the package's messages be seen, as the commands do."""
    show_messages()


@pytest.fixture(scope="session")
def small_screen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the synthetic screen ``test``, seed 0. Read only: it is shared by all tests."""
    from rcic.simulate.simulation import simulate_screen  # OpenCV only where images are wanted

    def make(folder: Path) -> None:
        simulate_screen("test", folder, seed=0, workers=1, progress=False)

    return made_once(tmp_path_factory, "small", make)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real tables and images; skip where it is absent."""
    folder = Path(__file__).parents[1].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real files are not here: {folder} is absent")
    return folder


@pytest.fixture
def case(tmp_path: Path) -> Callable[[str], Path]:
    """Return a function from the name of a case of real reports to a fresh folder with its screen; skip if absent."""
    source = Path(__file__).parents[1].parent / "shared" / "cases" / "make_cases.py"
    if not source.is_file():
        pytest.skip(f"the cases of real reports are not here: {source} is absent")
    spec = importlib.util.spec_from_file_location("make_cases", source)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def make(name: str) -> Path:
        getattr(module, name)(tmp_path / "cases" / name)
        return tmp_path / "cases" / name

    return make


@pytest.fixture(scope="session")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a workplace with all results. Read only: it is shared by all tests."""
    from tests.workplace import Unheard, build, no_gpu

    def make(root: Path) -> None:
        root.mkdir()
        with pytest.MonkeyPatch.context() as patch:
            no_gpu(patch, root)
            build(root, Program(cast(pytest.CaptureFixture[str], Unheard())))

    return made_once(tmp_path_factory, "place", make)


@pytest.fixture
def work(worked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Return a copy of the workplace that may be changed, as `tests.workplace.Workplace`; it is the working folder."""
    from tests.workplace import Workplace, copy_of, no_gpu

    root = copy_of(worked, tmp_path / "place")
    no_gpu(monkeypatch, root)
    return Workplace(root, Program(capsys))


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
