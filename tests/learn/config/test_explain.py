import subprocess
import sys
from pathlib import Path

import pytest

from rcic.learn.config.explain import explain_config, explain_schema, known_keys, schema_as_markdown
from rcic.learn.config.resolve import resolve
from rcic.learn.config.rules import rules
from rcic.learn.config.settings import Config
from rcic.schema.convert import flat, to_plain
from tests.program import Program

ROOT = Path(__file__).parents[3]


def test_every_value_is_told_with_where_it_came_from(tmp_path):
    path = tmp_path / "c.yml"
    path.write_text("stage: full\nschedule:\n  epochs: 9\n  max_lr: 1e-3\ndata: {size: null}\n")
    text = explain_config(resolve(path, "model.name=tiny", {"channels": (2, 1)}))
    rows = [line.split(maxsplit=2) for line in text.splitlines() if " = " in line]
    assert len(rows) == len(flat(to_plain(Config())))
    assert f"stage = full {path}, line 1" in " ".join(text.split())
    for wanted in (
        "name = tiny --set model.name",
        f"epochs = 9 {path}, line 3",
        f"max_lr = 0.001 {path}, line 4",
        f"size = null {path}, line 5",
        "channels = [2, 1] --channels",
        "momentum = [0.85, 0.95] default",
        "d4 = true default",
    ):
        assert wanted in [" ".join(line.split()) for line in text.splitlines()]
    values = [line for line in text.splitlines() if " = " in line]
    assert len({line.index(" = ") for line in values}) == 1


def test_every_key_has_a_meaning_and_the_words_of_its_rules():
    keys = {key.name: key for key in known_keys()}
    assert list(keys) == list(flat(to_plain(Config())))
    assert [key.name for key in keys.values() if not key.meaning.endswith(".")] == []
    for name, words, _ in rules(Config()):
        assert words in keys[name].wanted
    assert keys["augment.scale"].kind == "list of 2 x number"
    assert keys["data.size"].kind == "whole number or null"
    assert keys["data.sites"].kind == "list of whole number"
    assert keys["optim.name"].kind == "nadam | adamw | radam | adam"
    assert (keys["train.compile"].kind, keys["train.compile"].default) == ("true or false", "false")


def test_a_docstring_names_no_key_that_is_not_there():
    from rcic.schema.keys import meanings

    assert set(meanings(Config)) == set(flat(to_plain(Config())))


def test_the_document_is_up_to_date():
    told = (ROOT / "docs" / "config.md").read_text(encoding="utf-8")
    assert told == schema_as_markdown() + "\n", "write it with: python src/train.py explain --markdown > docs/config.md"
    table = [line for line in told.splitlines() if line.startswith("| `")]
    assert len(table) == len(list(known_keys())) and {line.count("|") for line in table} == {6}


@pytest.fixture
def program(capsys):
    return Program(capsys)


def test_the_command_prints_config_schema_and_document(program):
    full = str(ROOT / "configs/full.yml")
    text = program.run("train.py", "explain", f"--config={full}", "--fold=3", "--set=train.seed=1")
    assert text == explain_config(resolve(full, "train.seed=1", {"fold": 3})) + "\n"
    assert program.run("train.py", "explain") == explain_schema() + "\n"
    assert program.run("train.py", "explain", "--markdown") == schema_as_markdown() + "\n"
    line = program.refuse("train.py", "explain", f"--config={full}", "--fold=-3")
    assert line == "--fold: data.fold is -3, must be at least 0"
    for words in (["--fold=1"], ["--set=train.seed=1"], [f"--config={full}", "--markdown"]):
        assert program.refuse("train.py", "explain", *words).startswith("explain: values are explained with --config")


def test_the_command_imports_nothing_that_takes_long():
    command = [sys.executable, "-X", "importtime", "src/train.py", "explain", "--config=configs/full.yml"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0
    imported = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert "rcic.learn.config.explain" in imported and not imported & {"torch", "pandas", "scipy", "cv2", "catalyst"}
