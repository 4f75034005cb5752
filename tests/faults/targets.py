"""The readers that are tried: for each a valid input, ways to damage it, and what must hold of whatever it accepts."""

import contextlib
import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

import cv2
import google_crc32c
import numpy as np
import pandas as pd
import tifffile
import torch  # noqa: F401 # now: later on there is too little memory for it

from rcic.learn.config.resolve import read_config
from rcic.learn.config.settings import Config
from rcic.pixels.images.image import Planes, read_png
from rcic.pixels.images.sites import site_table, sites_of
from rcic.pixels.images.tiff import read_tiff, tiff_shape
from rcic.pixels.packed.manifest import MARK, _digest
from rcic.pixels.packed.pack_screen import pack
from rcic.pixels.packed.packed_store import ARRAY, IMAGES, SHARD, PackedStore
from rcic.schema.convert import from_plain, to_plain
from rcic.screen.pattern import fill, parts_of
from rcic.screen.plate import CHANNELS, is_folder_name
from rcic.screen.spec import ScreenSpec
from rcic.screen.spec_files import OWN, SHIPPED, resolve_spec
from rcic.screen.table import read_screen
from tests.faults.mutate import CSV_WORDS, YAML_WORDS, damaged, damaged_json, damaged_lines, damaged_png
from tests.pixels.conftest import write_png, write_tables
from tests.screen.tiny import KAGGLE, METADATA

Files = dict[str, bytes]
SIZE = 12
CONFIG = """# a config of every kind of value
stage: full
model: {name: tiny, pretrained: none, bn_momentum: null, metadata: [cell_type]}
data:
  channels: [1, 2]
  folds_dir: csv
  size: 64
  cache: true
augment: {crop: 48, scale: [0.9, 1.1], extra: [blur]}
schedule: {frozen_epochs: 0, epochs: 3, warmup_epochs: 1, max_lr: 1e-3}
train:
  seed: 1
  precision: fp32
log: {wandb: off}
"""


@dataclass(frozen=True)
class Target:
    """A reader. ``damage`` returns the files that differ from ``valid``; ``read`` raises whatever goes wrong.

    ``share`` of 20 inputs are for it, as some readers take longer than others.
    """

    name: str
    share: int
    valid: Files
    damage: Callable[[Random, Files], Files]
    read: Callable[[Path, Files], None]


def targets(scratch: Path) -> list[Target]:
    """Return all of them; ``scratch`` is an empty folder in which a packed screen is made."""
    store = packed_files(scratch)
    kaggle = {name: text.encode() for name, text in KAGGLE.items()}
    return [
        Target("kaggle", 1, kaggle, _damage_table, _read_table),
        Target("metadata", 1, {"metadata.csv": METADATA.encode()}, _damage_table, _read_table),
        Target("config", 3, {"c.yml": CONFIG.encode()}, _damage_config, _read_config),
        Target("form", 2, {OWN: (SHIPPED / "plate96.yml").read_bytes()}, _damage_form, _read_form),
        Target("image", 6, {"a.png": _png(7)}, _damage_image, _read_image),
        Target("tiff", 3, {"a.tif": _tiff(7)}, _damage_tiff, _read_tiff),
        Target("store", 4, store, _damage_store, partial(_read_store, store)),
    ]


# --- tables and configs -----------------------------------------------------------------------------------------------


def _damage_table(random: Random, valid: Files) -> Files:
    name = random.choice(sorted(valid))
    damage = damaged if random.random() < 0.5 else damaged_lines
    tail = b"a,1\n" * 50_000 if random.random() < 0.02 else b""  # what a quote that is never closed would swallow
    return {name: damage(random, valid[name], CSV_WORDS) + tail}


def _read_table(root: Path, _: Files) -> None:
    screen = read_screen(root)
    assert all(map(is_folder_name, screen.wells["experiment"].unique()))
    assert screen.wells["id_code"].is_unique and screen.wells["label"].between(-1, len(screen.classes) - 1).all()


def _damage_config(random: Random, valid: Files) -> Files:
    damage = damaged if random.random() < 0.5 else damaged_lines
    return {"c.yml": damage(random, valid["c.yml"], YAML_WORDS)}


def _read_config(root: Path, _: Files) -> None:
    config = read_config(root / "c.yml")
    assert from_plain(Config, to_plain(config), "again") == config


def _damage_form(random: Random, valid: Files) -> Files:
    damage = damaged if random.random() < 0.5 else damaged_lines
    return {OWN: damage(random, valid[OWN], YAML_WORDS)}


def _read_form(root: Path, _: Files) -> None:
    """Read a form; one that is accepted names every image below the data root."""
    spec = resolve_spec(root)
    assert from_plain(ScreenSpec, to_plain(spec), "again") == spec
    values = parts_of(spec, "train", "b", "p", spec.wells[-1], spec.sites[-1], spec.channel_numbers[-1])
    for pattern in spec.images.file:
        assert not Path(fill(pattern, values)).is_absolute() and ".." not in Path(fill(pattern, values)).parts


# --- images -----------------------------------------------------------------------------------------------------------


def _png(seed: int) -> bytes:
    image = np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE + 3), dtype=np.uint8)
    return cv2.imencode(".png", image)[1].tobytes()


def _damage_image(random: Random, valid: Files) -> Files:
    data = valid["a.png"]
    return {"a.png": damaged(random, data) if random.random() < 0.3 else damaged_png(random, data)}


def _read_image(root: Path, files: Files) -> None:
    image = read_png(root / "a.png")[0]
    header = files["a.png"][16:24]
    assert image.shape == (int.from_bytes(header[4:], "big"), int.from_bytes(header[:4], "big"))
    assert image.dtype == np.uint8


def _tiff(seed: int) -> bytes:
    image = np.random.default_rng(seed).integers(0, 4096, (SIZE, SIZE + 3)).astype(np.uint16)
    content = io.BytesIO()
    tifffile.imwrite(content, image, compression="zlib")
    return content.getvalue()


def _damage_tiff(random: Random, valid: Files) -> Files:
    return {"a.tif": damaged(random, valid["a.tif"])}


def _read_tiff(root: Path, _: Files) -> None:
    image = read_tiff(root / "a.tif", Planes(1, 16))
    assert image.dtype == np.uint16 and image.ndim == 3 and len(image) == 1
    assert tiff_shape(root / "a.tif", Planes(1, 16)) == image.shape[1:]


# --- the packed store -------------------------------------------------------------------------------------------------

PLATE = f"{IMAGES}/full/RPE-01/Plate1"
_WELLS = pd.DataFrame(
    [
        (f"{name}_1_{well}", name, name[:-3], 1, well, split, "treatment", label)
        for name, split in (("RPE-01", "train"), ("RPE-02", "test"))
        for label, well in enumerate(("B02", "C03"))
    ],
    columns=["id_code", "experiment", "cell_type", "plate", "well", "split", "well_type", "label"],
)
SITES_OF_PLATE = sites_of(site_table(_WELLS[_WELLS["experiment"] == "RPE-01"]))
_INDEX = 16 * len(SITES_OF_PLATE) * len(CHANNELS)  # bytes


def packed_files(scratch: Path) -> Files:
    """Return the files of a small packed screen that its reader opens."""
    for site in sites_of(site_table(_WELLS)):
        for channel in CHANNELS:
            name = f"{site.split}/{site.experiment}/Plate1/{site.well}_s{site.site}_w{channel}.png"
            write_png(scratch / "data" / name, _pixels(site.well, site.site, channel))
    write_tables(scratch / "data", _WELLS)
    with contextlib.redirect_stdout(io.StringIO()):
        pack(scratch / "data", scratch / "packed", (), threads=1, verify=False)
    return {name: (scratch / "packed" / name).read_bytes() for name in (MARK, f"{PLATE}/{ARRAY}", f"{PLATE}/{SHARD}")}


def _pixels(well: str, site: int, channel: int) -> np.ndarray:
    number = 100 * (well == "C03") + 10 * site + channel
    return np.random.default_rng(number).integers(0, 256, (SIZE, SIZE), dtype=np.uint8)


def _damage_store(random: Random, valid: Files) -> Files:
    """Damage one file as it is, or so that its checksum is right again."""
    name = random.choice(sorted(valid))
    if random.random() < 0.4:
        return {name: damaged(random, valid[name])}
    if name == MARK:
        manifest = json.loads(valid[MARK].decode().rpartition("}")[0] + "}")
        return {MARK: _signed(json.dumps(damaged_json(random, manifest)))}
    if name.endswith(ARRAY):
        facts = json.loads(valid[name])
        some = {key: facts[key] for key in ("shape", "attributes")}
        new = damaged_json(random, some) if random.random() < 0.9 else damaged_json(random, facts)
        return _resigned(valid, name, json.dumps(facts | new if isinstance(new, dict) else new).encode())
    content, index = valid[name][: -_INDEX - 4], _index(valid, PLATE)
    if random.random() < 0.5:
        index = damaged(random, index)
    else:
        content = damaged(random, content)
    return {name: content + index + google_crc32c.value(index).to_bytes(4, "little")}


def _signed(text: str) -> bytes:
    return f"{text}\n{_digest(text)}\n".encode()


def _resigned(valid: Files, name: str, content: bytes) -> Files:
    """Return the metadata of an array and a packed.json that agrees with it."""
    manifest = json.loads(valid[MARK].decode().rpartition("}")[0] + "}")
    manifest["arrays"]["full/RPE-01/Plate1"] = hashlib.sha256(content).hexdigest()
    return {name: content, MARK: _signed(json.dumps(manifest))}


def _read_store(valid: Files, root: Path, files: Files) -> None:
    """Read every image. Only metadata or an index that was signed anew may put another one in its place."""
    store = PackedStore(root)
    signed_anew = MARK in files or f"{PLATE}/{ARRAY}" in files or _index(files, PLATE) != _index(valid, PLATE)
    for site in SITES_OF_PLATE:
        there = [channel for channel in CHANNELS if store.holds(site, channel)]
        image = store.read(site, there or CHANNELS)
        assert image.dtype == np.uint8 and image.shape[0] == len(there)
        if not signed_anew:
            assert there == list(CHANNELS)
            for channel, pixels in zip(there, image, strict=True):
                assert np.array_equal(pixels, _pixels(site.well, site.site, channel)), "other pixels without a word"


def _index(files: Files, plate: str) -> bytes:
    """Return the index at the end of a plate's shard, without its checksum."""
    return files.get(f"{plate}/{SHARD}", b"")[-_INDEX - 4 : -4]
