import pytest

from rcic.errors import UserError
from rcic.learn.config.settings import Config
from rcic.schema.convert import flat, from_plain, read_yaml, to_plain


def test_an_unknown_key_names_the_nearest():
    with pytest.raises(UserError, match=r"f\.yml: unknown key 'train\.batchsize'; did you mean 'train\.batch_size'\?"):
        from_plain(Config, {"train": {"batchsize": 8}}, "f.yml")
    with pytest.raises(UserError, match=r"unknown key 'sechdule'; did you mean 'schedule'\?"):
        from_plain(Config, {"sechdule": {}}, "f.yml")


@pytest.mark.parametrize(
    ("section", "key", "value", "wanted"),
    [
        ("train", "batch_size", 8.0, "must be a whole number"),
        ("train", "batch_size", True, "must be a whole number"),
        ("train", "compile", 1, "must be true or false"),
        ("model", "name", 3, "must be text"),
        ("schedule", "max_lr", "fast", "must be a finite number"),
        ("schedule", "max_lr", float("nan"), "must be a finite number"),
        ("schedule", "max_lr", True, "must be a finite number"),
        ("schedule", "momentum", [0.9], "must be a list of 2"),
        ("schedule", "momentum", 0.9, "must be a list of 2"),
        ("data", "channels", 3, "must be a list"),
        ("data", "channels", [1, "2"], "must be a whole number"),
        ("data", "size", "large", "must be a whole number"),
        ("optim", "name", "adamx", "must be one of nadam, adamw, radam, adam; did you mean 'adam"),
        ("augment", "extra", ["bluur"], "did you mean 'blur'"),
        ("log", "wandb", True, "must be one of off, offline, online"),
    ],
)
def test_a_wrong_value_says_what_is_wanted(section, key, value, wanted):
    with pytest.raises(UserError) as error:
        from_plain(Config, {section: {key: value}}, "f.yml")
    assert str(error.value).startswith(f"f.yml: {section}.{key} is ") and wanted in str(error.value)


def test_a_section_must_be_a_mapping():
    with pytest.raises(UserError, match=r"f.yml: train must be a mapping, not 3"):
        from_plain(Config, {"train": 3}, "f.yml")
    with pytest.raises(UserError, match=r"f.yml: the file must be a mapping"):
        from_plain(Config, [1], "f.yml")


def test_what_yaml_reads_otherwise_is_understood():
    config = from_plain(Config, {"schedule": {"max_lr": "5e-4", "epochs": 3}, "log": {"wandb": False}}, "f.yml")
    assert config.schedule.max_lr == 5e-4 and config.log.wandb == "off"


def test_plain_and_back_is_the_same():
    config = from_plain(
        Config, {"data": {"channels": [6, 1]}, "augment": {"extra": ["blur"]}, "optim": {"clip": 1}}, ""
    )
    assert config.data.channels == (6, 1) and config.optim.clip == 1.0
    assert from_plain(Config, to_plain(config), "again") == config


def test_flat_has_dotted_keys():
    assert flat({"a": {"b": {"c": 1}, "d": [2]}, "e": None}) == {"a.b.c": 1, "a.d": [2], "e": None}


def test_a_file_is_read_as_plain_values(tmp_path):
    path = tmp_path / "a.yml"
    path.write_text("train: {seed: 3}\n")
    assert read_yaml(path) == {"train": {"seed": 3}}
    path.write_text("train: {seed: 3, seed: 4}\n")
    with pytest.raises(UserError, match=r"a\.yml, line 1: key 'seed' is listed twice, first in line 1"):
        read_yaml(path)


PLACES = {
    "train": "f.yml, line 1",
    "train.seed": "f.yml, line 2",
    "train.sead": "--set train.sead",
    "lgo": "f.yml, line 9",
}


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ({"train": {"seed": "x"}}, "f.yml, line 2: train.seed is 'x', must be a whole number"),
        ({"train": {"sead": 1}}, "--set train.sead: unknown key 'train.sead'; did you mean 'train.seed'?"),
        ({"train": 3}, "f.yml, line 1: train must be a mapping, not 3"),
        ({"lgo": 3}, "f.yml, line 9: unknown key 'lgo'; did you mean 'log'?"),
        ({"train": {"ema": "x"}}, "f.yml, line 1: train.ema is 'x', must be a finite number"),
    ],
)
def test_a_mistake_begins_with_the_place_of_its_key(plain, message):
    with pytest.raises(UserError) as error:
        from_plain(Config, plain, "f.yml", places=PLACES)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (2**31, "train.seed is 2147483648, must be smaller than 2147483648"),
        (-(10**40), "must be smaller than"),
        ([list(range(100))] * 100, "must be a whole number"),
        ("x" * 10**6, "must be a whole number"),
    ],
)
def test_a_huge_value_is_told_in_a_short_line(value, message):
    with pytest.raises(UserError) as error:
        from_plain(Config, {"train": {"seed": value}}, "f.yml")
    assert message in str(error.value) and len(str(error.value)) < 700


def test_a_number_beyond_a_float_is_refused():
    with pytest.raises(UserError, match=r"schedule\.max_lr is 1000.*000, must be a finite number"):
        from_plain(Config, {"schedule": {"max_lr": 10**400}}, "f.yml")


@pytest.mark.parametrize("text", ["a\nb", "a\0b", "\x1b[31m", "\udcff"])
def test_text_has_no_control_characters(text):
    with pytest.raises(UserError) as error:
        from_plain(Config, {"data": {"folds_dir": text}}, "f.yml")
    assert str(error.value) == f"f.yml: data.folds_dir is {text!r}, must be text without control characters"
    assert from_plain(Config, {"data": {"folds_dir": "d é 実験"}}, "f.yml").data.folds_dir == "d é 実験"
