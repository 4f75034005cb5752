import pytest

from rcic.errors import UserError
from rcic.learn.schema import flat, from_plain, read_yaml, to_plain
from rcic.learn.settings import Config


def test_an_unknown_key_names_the_nearest():
    with pytest.raises(UserError, match=r"f\.yml: unknown key 'train\.batchsize'; did you mean 'batch_size'\?"):
        from_plain(Config, {"train": {"batchsize": 8}}, "f.yml")
    with pytest.raises(UserError, match=r"unknown key 'sechdule'; did you mean 'schedule'\?"):
        from_plain(Config, {"sechdule": {}}, "f.yml")


@pytest.mark.parametrize(
    ("section", "key", "value", "wanted"),
    [
        ("train", "batch_size", 8.0, "must be int"),
        ("train", "batch_size", True, "must be int"),
        ("train", "compile", 1, "must be bool"),
        ("model", "name", 3, "must be str"),
        ("schedule", "max_lr", "fast", "must be a finite number"),
        ("schedule", "max_lr", float("nan"), "must be a finite number"),
        ("schedule", "max_lr", True, "must be a finite number"),
        ("schedule", "momentum", [0.9], "must be a list of 2"),
        ("schedule", "momentum", 0.9, "must be a list of 2"),
        ("data", "channels", 3, "must be a list"),
        ("data", "channels", [1, "2"], "must be int"),
        ("data", "size", "large", "must be int"),
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


def test_broken_files_are_named(tmp_path):
    path = tmp_path / "broken.yml"
    path.write_text("train:\n  batch_size: [1\nmodel: {}\n")
    with pytest.raises(UserError, match=r"broken.yml, line 3: not valid YAML"):
        read_yaml(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"broken.yml: cannot be read as text"):
        read_yaml(path)
    with pytest.raises(UserError, match=r"absent.yml: no such config file"):
        read_yaml(tmp_path / "absent.yml")
    with pytest.raises(UserError, match="cannot be read"):
        read_yaml(tmp_path)
    path.write_text("")
    assert read_yaml(path) == {}
