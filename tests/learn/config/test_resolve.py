import subprocess
import sys
import typing
from pathlib import Path

import pytest

from rcic.cli.signature import flags_of
from rcic.errors import UserError
from rcic.learn.config.resolve import (
    CONFIG_FLAGS,
    check_named_files,
    override,
    parse_overrides,
    read_config,
    resolve,
    write_config,
)
from rcic.learn.config.settings import Augment, Config
from rcic.pixels.batches.augment import BATCH_KEYS, EXTRAS, SAMPLE_KEYS
from rcic.schema.convert import flat, to_plain
from tests.program import command

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    "path",
    sorted({*(ROOT / "configs").rglob("*.yml")} - {*(ROOT / "configs" / "screens").glob("*")}),
    ids=lambda path: f"{path.parent.name}/{path.stem}",
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
    assert set(Augment.__dataclass_fields__) == {*SAMPLE_KEYS, *BATCH_KEYS} and not set(SAMPLE_KEYS) & set(BATCH_KEYS)
    (names, _) = typing.get_args(typing.get_type_hints(Augment)["extra"])
    assert set(typing.get_args(names)) == set(EXTRAS)


def test_overrides_are_laid_over_the_file(tmp_path):
    (tmp_path / "c.yml").write_text("stage: control\ntrain: {batch_size: 8}\n")
    config = read_config(tmp_path / "c.yml", {"train.batch_size": 4, "data.channels": (6, 2), "data.size": None})
    assert (config.stage, config.train.batch_size, config.data.channels) == ("control", 4, (6, 2))
    with pytest.raises(UserError, match=r"--set trian.seed: unknown section in 'trian\.seed'; did you mean 'train'"):
        read_config(tmp_path / "c.yml", {"trian.seed": 1})
    with pytest.raises(UserError, match=r"--set train.sead: unknown key 'train\.sead'; did you mean 'train.seed'"):
        override(config, "train.sead", 1)
    with pytest.raises(UserError, match=r"--set data.channels: data\.channels is 3, must be a list"):
        override(config, "data.channels", 3)
    with pytest.raises(UserError, match="--set epochs: unknown key 'epochs'"):
        override(config, "epochs", 1)
    with pytest.raises(
        UserError, match=r"--set train: train is a section; name a key of it, such as train\.batch_size"
    ):
        override(config, "train", {"seed": 1})
    with pytest.raises(UserError, match=r"--set train.seed.x: unknown section in 'train\.seed\.x'"):
        override(config, "train.seed.x", 1)


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
    with pytest.raises(UserError, match="--set a: not valid YAML"):
        parse_overrides("a=[1")


@pytest.mark.parametrize("second", ["1", "0"])
def test_a_key_that_is_set_twice_is_refused(tmp_path, second):
    with pytest.raises(UserError, match=rf"--set data\.fold: is given twice, as 0 and as '{second}'"):
        parse_overrides(f"data.fold=0,train.seed=1,data.fold={second}")
    (tmp_path / "c.yml").write_text("")
    with pytest.raises(UserError, match=r"--set data\.fold: also set by --fold; give one of them"):
        resolve(tmp_path / "c.yml", f"data.fold={second}", {"fold": 0})


# --- where a value came from ------------------------------------------------------------------------------------------


def test_every_value_that_is_no_default_knows_where_it_came_from(tmp_path):
    path = tmp_path / "c.yml"
    path.write_text("stage: full\ntrain:\n  seed: 1\n  batch_size: 8\ndata: {fold: 2}\n")
    resolved = resolve(path, "train.batch_size=4,optim.name=adamw", {"fold": 0, "model": None, "channels": (1, 2)})
    assert resolved.config == read_config(
        path, {"train.batch_size": 4, "optim.name": "adamw", "data.fold": 0, "data.channels": [1, 2]}
    )
    assert resolved.places == {
        "stage": f"{path}, line 1",
        "train": f"{path}, line 2",
        "train.seed": f"{path}, line 3",
        "train.batch_size": "--set train.batch_size",
        "optim.name": "--set optim.name",
        "data": f"{path}, line 5",
        "data.fold": "--fold",
        "data.channels": "--channels",
    }


@pytest.mark.parametrize(
    ("text", "settings", "flags", "message"),
    [
        (
            "schedule:\n  epocs: 3\n",
            "",
            {},
            "{c}, line 2: unknown key 'schedule.epocs'; did you mean 'schedule.epochs'?",
        ),
        ("data: {fold: -1}\n", "", {}, "{c}, line 1: data.fold is -1, must be at least 0"),
        ("data: {fold: 1}\n", "", {"fold": -1}, "--fold: data.fold is -1, must be at least 0"),
        ("", "schedule.epochs=-1", {}, "--set schedule.epochs: schedule.epochs is -1, must be at least 0"),
        ("", "", {"channels": (1, 1)}, "--channels: data.channels is [1, 1], must be numbers from 1 on, each once"),
        ("", "", {"model": "../x"}, "--model: model.name is '../x', must be a name, not a path"),
        ("", "", {"seed": -1}, "--seed: train.seed is -1, must lie in"),
        ("", "", {"device": "gpu"}, "--device: train.device is 'gpu', must be one of auto, cpu, cuda"),
        ("", "schedule.epochs=3", {}, "{c}: schedule.warmup_epochs is 5.0 by default, must be at least 0 and below"),
    ],
)
def test_a_mistake_begins_with_where_its_value_came_from(tmp_path, text, settings, flags, message):
    path = tmp_path / "c.yml"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        resolve(path, settings, flags)
    assert str(error.value).startswith(message.replace("{c}", str(path)))


def test_a_mistake_that_is_found_later_too(tmp_path):
    path = tmp_path / "c.yml"
    path.write_text("stage: full\n")
    resolved = resolve(path, "data.cell_types=[X]")
    for told, wanted in [
        ("data.cell_types: no 'X' in the screen", "--set data.cell_types: data.cell_types: no 'X' in the screen"),
        ("stage is full", f"{path}, line 1: stage is full"),
        ("log.wandb is on", f"{path}: log.wandb is on"),
        ("train.csv: the file is missing", "train.csv: the file is missing"),
    ]:
        with pytest.raises(UserError) as error, resolved.locating_errors():
            raise UserError(told)
        assert str(error.value) == wanted


@pytest.mark.parametrize("key", ["model.weights_file", "init.checkpoint"])
def test_a_weight_file_that_is_not_there_is_named(tmp_path, key):
    (tmp_path / "there.pth").touch()
    check_named_files(override(Config(), key, str(tmp_path / "there.pth")))
    check_named_files(Config())
    folder = ", which is a folder, not a regular file"
    told = {
        f"{tmp_path}/gone.pth": ", but there is no such file",
        str(tmp_path): folder,
        "": ", but there is no such file",
    }
    for name, ending in told.items():
        with pytest.raises(UserError) as error:
            check_named_files(override(Config(), key, name))
        assert str(error.value).startswith(f"{key} is ") and str(error.value).endswith(ending)


def test_the_flags_are_those_of_the_command():
    assert {flag for flag in CONFIG_FLAGS if flag not in flags_of(command("train.py", "run"))} == set()
    assert set(CONFIG_FLAGS.values()) < set(flat(to_plain(Config())))


def test_wandb_can_be_set_off_by_its_bare_word():
    assert override(Config(), "log.wandb", parse_overrides("log.wandb=off")["log.wandb"]).log.wandb == "off"


def test_a_bad_config_is_told_before_anything_heavy_is_imported():
    command = [sys.executable, "-X", "importtime", "src/train.py", "run", "--config", "configs/full.yml"]
    command += ["--data_root", "nowhere", "--set=train.sead=1"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    lines = result.stderr.strip().splitlines()
    assert result.returncode == 2
    assert lines[-1] == "error: --set train.sead: unknown key 'train.sead'; did you mean 'train.seed'?"
    imported = {line.rpartition("|")[2].strip() for line in lines[:-1]}
    assert "yaml" in imported and not imported & {"torch", "pandas", "cv2", "catalyst"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fulll", r"^fulll: no such config file, nor is one shipped under that name; did you mean 'full'\?$"),
        ("recipes/best.ful", r"did you mean 'recipes/best.full'\?$"),
        ("nowhere/full.yml", r"^nowhere/full.yml: no such config file"),
    ],
)
def test_a_config_goes_by_the_name_under_which_it_is_shipped(name, message, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert resolve("full").config == read_config(ROOT / "configs" / "full.yml")
    assert resolve("recipes/best.full").config == read_config(ROOT / "configs" / "recipes" / "best.full.yml")
    with pytest.raises(UserError, match=message):
        resolve(name)
