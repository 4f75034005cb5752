import subprocess
import sys
import typing
from pathlib import Path

import pytest

from rcic.errors import UserError
from rcic.learn.config import override, parse_overrides, read_config, write_config
from rcic.learn.settings import Augment, Config
from rcic.pixels.augment import BATCH_KEYS, EXTRAS, KEYS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "path", sorted((ROOT / "configs").rglob("*.yml")), ids=lambda path: f"{path.parent.name}/{path.stem}"
)
def test_every_shipped_config_loads_and_round_trips(path, tmp_path):
    config = read_config(path)
    if "recipes" not in path.parts:
        assert config.stage == path.stem
    write_config(config, tmp_path / "config.yml")
    assert read_config(tmp_path / "config.yml") == config


def test_the_full_size_configs_are_recipe_a():
    control, full, pseudo = (read_config(ROOT / "configs" / f"{stage}.yml") for stage in ("control", "full", "pseudo"))
    for config in (control, full, pseudo):
        assert config.schedule.frozen_epochs == 2 and config.loss.label_smoothing > 0 and config.optim.name == "nadam"
    assert (control.init.stage, full.init.stage) == ("none", "control") and pseudo.init.stage in ("control", "full")


def test_augment_has_the_keys_and_names_of_the_pixels():
    assert set(Augment.__dataclass_fields__) == {*KEYS, *BATCH_KEYS} and not set(KEYS) & set(BATCH_KEYS)
    (names, _) = typing.get_args(typing.get_type_hints(Augment)["extra"])
    assert set(typing.get_args(names)) == set(EXTRAS)


def test_overrides_are_laid_over_the_file(tmp_path):
    (tmp_path / "c.yml").write_text("stage: control\ntrain: {batch_size: 8}\n")
    config = read_config(tmp_path / "c.yml", {"train.batch_size": 4, "data.channels": (6, 2), "data.size": None})
    assert (config.stage, config.train.batch_size, config.data.channels) == ("control", 4, (6, 2))
    with pytest.raises(UserError, match=r"--set: unknown section in 'trian\.seed'; did you mean 'train'"):
        read_config(tmp_path / "c.yml", {"trian.seed": 1})
    with pytest.raises(UserError, match=r"--set: unknown key 'train\.sead'; did you mean 'seed'"):
        override(config, "train.sead", 1)
    with pytest.raises(UserError, match=r"--set: data\.channels is 3, must be a list"):
        override(config, "data.channels", 3)
    with pytest.raises(UserError, match="--set: unknown key 'epochs'"):
        override(config, "epochs", 1)


def test_set_is_parsed_as_yaml():
    assert parse_overrides("") == {}
    assert parse_overrides("schedule.epochs=3,data.channels=[1,2],optim.clip=null,model.name=tiny") == {
        "schedule.epochs": 3,
        "data.channels": [1, 2],
        "optim.clip": None,
        "model.name": "tiny",
    }
    with pytest.raises(UserError, match="--set: 'epochs' is not of the form key=value"):
        parse_overrides("epochs")
    with pytest.raises(UserError, match="not valid YAML"):
        parse_overrides("a=[1")


def test_wandb_can_be_set_off_by_its_bare_word():
    assert override(Config(), "log.wandb", parse_overrides("log.wandb=off")["log.wandb"]).log.wandb == "off"


def test_a_bad_config_is_told_before_anything_heavy_is_imported():
    command = [sys.executable, "-X", "importtime", "src/train.py", "run", "--config", "configs/full.yml"]
    command += ["--data_root", "nowhere", "--set=train.sead=1"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    lines = result.stderr.strip().splitlines()
    assert result.returncode == 2
    assert lines[-1] == "error: --set: unknown key 'train.sead'; did you mean 'seed'?"
    imported = {line.rpartition("|")[2].strip() for line in lines[:-1]}
    assert "yaml" in imported and not imported & {"torch", "pandas", "cv2", "catalyst"}
