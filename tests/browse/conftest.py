"""Screens to browse: the small synthetic one with predictions and embeddings, and a hostile one made of names."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from starlette.testclient import TestClient

from rcic.browse.app import build_app
from rcic.browse.browse_options import BrowseOptions
from rcic.browse.guard import allowed_hosts
from rcic.browse.serve import BrowserSources, gather
from rcic.files.names import Member, embedding_files
from rcic.files.record import Record
from rcic.files.well_rows import write_well_rows
from rcic.screen.layout import learn_groups
from rcic.screen.plate import image_name
from rcic.screen.table import Screen, read_screen
from tests.predicted import write_member

FIRST = "HUVEC-04_1_I04"  # the only treatment of its plate
MEMBER = Member((1, 2, 3), 0, "tiny")
HOSTILE = ("<img src=x onerror=alert(1)>-01", "a\"b'c&d=e;#%2e%2e?-02", "日本 é ß-03", "x..%00${1}'`-04")
Client = Callable[..., TestClient]


@pytest.fixture
def screen_root(small_screen: Path, tmp_path: Path) -> Path:
    """Return a copy of the small screen whose files may be replaced (not changed: they are hard links)."""
    return shutil.copytree(small_screen, tmp_path / "screen", copy_function=os.link)


@pytest.fixture(scope="session")
def predicted(small_screen: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a prediction folder: test wells are told right but for the first, of held-out wells one experiment."""
    screen, root = read_screen(small_screen), tmp_path_factory.mktemp("predictions")
    said = said_labels(screen, small_screen)
    for split, name in (("test", "test"), ("valid", "train")):
        wells = screen.select(name, "treatment")
        wells = wells[wells["experiment"] == wells["experiment"].iloc[0]] if split == "valid" else wells
        logits = 9 * np.eye(screen.n_treatments, dtype=np.float32)[[said[code] for code in wells["id_code"]]]
        write_member(root, str(MEMBER.folder), logits, wells["id_code"].tolist(), split)
    return root


@pytest.fixture(scope="session")
def embedded(small_screen: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an embedding folder: numbers by chance for every treatment well."""
    screen, root = read_screen(small_screen), tmp_path_factory.mktemp("embeddings")
    for split in ("train", "test"):
        codes = screen.select(split, "treatment")["id_code"].tolist()
        vectors = np.random.default_rng(len(split)).standard_normal((len(codes), 6)).astype(np.float32)
        write_well_rows(
            embedding_files(root / MEMBER.folder, split), {"embeddings": vectors}, codes, Record("embedding")
        )
    return root


@pytest.fixture
def client() -> Client:
    """Return a function that opens a data root, with what else a browser is given, as a client of its application."""

    def opened(data_root: Path, **more: object) -> TestClient:
        sources = BrowserSources(data_root, BrowseOptions(**{name: str(value) for name, value in more.items()}))
        app = build_app(gather(sources), allowed_hosts("127.0.0.1"))
        return TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False)

    return opened


@pytest.fixture
def hostile_root(tmp_path: Path) -> Path:
    """Return a screen whose experiments have names that are markup, queries or paths, with an image for each site."""
    root = tmp_path / "hostile"
    root.mkdir()
    quoted = {name: '"' + name.replace('"', '""') + '"' for name in HOSTILE}
    lines = {
        name: [f'{text[:-1]}_1_{well}",{text},1,{well},<i>{well}</i>' for well in ("B02", "B03")]
        for name, text in quoted.items()
    }
    head = "id_code,experiment,plate,well,sirna"
    train = [line for name in HOSTILE[:3] for line in lines[name]]
    (root / "train.csv").write_text("\n".join([head, *train]) + "\n")
    test = [line.rpartition(",")[0] for line in lines[HOSTILE[3]]]
    (root / "test.csv").write_text("\n".join([head.rpartition(",")[0], *test]) + "\n")
    for split, name in (("train", HOSTILE[0]), ("test", HOSTILE[3])):
        control = f'{quoted[name][:-1]}_1_C07",{quoted[name]},1,C07,<b>empty</b>,negative_control'
        (root / f"{split}_controls.csv").write_text(f"{head},well_type\n{control}\n")
    for number, name in enumerate(HOSTILE):
        for well in ("B02", "B03", "C07"):
            for site in (1, 2):
                for channel in range(1, 7):
                    path = root / ("test" if number == 3 else "train") / image_name(name, 1, well, site, channel)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(cv2.imencode(".png", noise(number + 10 * site + channel))[1].tobytes())
    return root


def noise(seed: int, shape: tuple[int, int] = (24, 24)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def said_labels(screen: Screen, root: Path) -> dict[str, int]:
    """Return what the predictions say: the truth, and of the first test well the other siRNA of its plate's group."""
    lines = [line.split(",") for line in (root / "truth" / "test.csv").read_text().splitlines()[1:]]
    labels = {code: int(sirna) for code, sirna in lines}
    of_class, first = learn_groups(screen).of_class, labels[FIRST]
    labels[FIRST] = next(label for label, group in enumerate(of_class) if group == of_class[first] and label != first)
    train = screen.select("train", "treatment")
    return labels | dict(zip(train["id_code"], train["label"], strict=True))
