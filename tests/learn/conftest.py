import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from rcic.learn.config.settings import Config
from rcic.learn.train.run import run_folder, train
from rcic.screen.folds import write_folds
from rcic.screen.table import Screen, read_screen
from tests.learn.tiny import forget_accelerate, tiny_config

Train = Callable[..., Path]

torch.set_num_threads(1)  # these networks are too small to share out


@pytest.fixture(autouse=True)
def _fresh_accelerate() -> Iterator[None]:
    """accelerate keeps device and precision for the whole process; here each test is its own process, so to speak."""
    forget_accelerate()
    yield
    forget_accelerate()


@pytest.fixture(scope="session")
def screen(small_screen: Path) -> Screen:
    return read_screen(small_screen)


@pytest.fixture(scope="session")
def folds_dir(screen: Screen, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of train_{0,1}.csv and valid_{0,1}.csv of the small screen. Read only."""
    folder = tmp_path_factory.mktemp("folds")
    write_folds(screen, folder, n_folds=2, seed=0)
    return folder


@pytest.fixture
def own_screen(small_screen: Path, tmp_path: Path) -> Path:
    """Return a copy of the small screen that a test may damage."""
    return shutil.copytree(small_screen, tmp_path / "own_screen")


@pytest.fixture
def config(folds_dir: Path) -> Callable[..., Config]:
    """Return a function that makes the config of a tiny network on the small screen, with dotted keys replaced."""
    return lambda **settings: tiny_config(folds_dir, **settings)


@pytest.fixture
def trained(small_screen: Path, tmp_path: Path, config: Callable[..., Config]) -> Train:
    """Return a function that trains with replaced config values below ``tmp_path`` and returns the run folder."""

    def run(log_root: str = "logs", force: bool = False, root: Path = small_screen, **settings: object) -> Path:
        forget_accelerate()
        chosen = config(**settings)
        folder = train(chosen, root, tmp_path / log_root, force)
        assert folder == run_folder(tmp_path / log_root, chosen)
        return folder

    return run
