import types
import typing
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rcic.errors import UserError
from rcic.learn.config.explain import hints, known_keys
from rcic.learn.config.resolve import override, parse_overrides, read_config, resolve, write_config
from rcic.learn.config.rules import check
from rcic.learn.config.settings import Config
from rcic.schema.convert import flat, from_plain, read_yaml, to_plain

HINTS = hints(Config)
KEYS = [key.name for key in known_keys()]
WORDS = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF, exclude_categories=["Cc", "Cs"]), max_size=9)
NUMBERS = st.floats(-10, 10) | st.sampled_from([0.0, 0.5, 1.0, 1e-12, 1e12])


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Return what fits an annotation, as plain data."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is types.UnionType:
        return st.none() | values(arguments[0])
    if origin is tuple:
        n = None if arguments[-1] is Ellipsis else len(arguments)
        return st.lists(values(arguments[0]), min_size=n or 0, max_size=n or 4)
    return {
        bool: st.booleans(),
        int: st.integers(-5, 600) | st.integers(1 - 2**31, 2**31 - 1),
        float: NUMBERS,
        str: WORDS,
    }[hint]


def nested(given_values: dict[str, Any]) -> dict[str, Any]:
    """Return dotted keys as sections."""
    plain: dict[str, Any] = {}
    for key, value in given_values.items():
        section, _, name = key.rpartition(".")
        (plain.setdefault(section, {}) if section else plain)[name] = value
    return plain


CONFIGS = st.fixed_dictionaries({}, optional={key: values(HINTS[key]) for key in KEYS}).map(nested)
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.sampled_from(["off", "1e3", "null"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3),
    max_leaves=8,
)


def one_line(error: UserError) -> bool:
    return len(str(error).splitlines()) == 1 and len(str(error)) < 2000


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("config") / "c.yml"


@given(CONFIGS)
def test_plain_and_back_is_the_same(plain):
    config = from_plain(Config, plain, "test")
    assert from_plain(Config, to_plain(config), "again") == config
    told = flat(to_plain(config))
    assert list(told) == KEYS
    for key, value in flat(plain).items():
        assert told[key] == value


@given(CONFIGS)
def test_a_written_config_is_read_again(path, plain):
    config = from_plain(Config, plain, "test")
    write_config(config, path)
    assert from_plain(Config, read_yaml(path), "again") == config


@given(CONFIGS)
def test_a_config_of_right_types_keeps_every_rule_or_breaks_one_in_a_line(plain):
    config = from_plain(Config, plain, "test")
    try:
        check(config, "f.yml", {})
    except UserError as error:
        assert one_line(error) and str(error).startswith("f.yml: ")
        key = str(error).removeprefix("f.yml: ").split(" is ")[0]
        assert key in KEYS


@given(CONFIGS, st.data())
def test_an_override_changes_its_key_alone(plain, data):
    config = from_plain(Config, plain, "test")
    key = data.draw(st.sampled_from(KEYS))
    value = data.draw(values(HINTS[key]))
    before, after = flat(to_plain(config)), flat(to_plain(override(config, key, value)))
    assert after == before | {key: value}


@given(st.sampled_from(KEYS), ANYTHING)
def test_a_value_of_any_kind_is_taken_or_refused_in_a_line(key, value):
    try:
        config = override(Config(), key, value)
    except UserError as error:
        assert one_line(error) and str(error).startswith(f"--set {key}: {key} is ")
    else:
        assert from_plain(Config, to_plain(config), "again") == config


@settings(max_examples=120)
@given(
    st.dictionaries(st.sampled_from([*KEYS, "train", "data", "x"]) | st.text(max_size=5), ANYTHING, max_size=3)
    | ANYTHING
)
def test_any_plain_data_is_a_config_or_a_users_mistake(plain):
    try:
        check(from_plain(Config, plain, "f.yml"), "f.yml")
    except UserError as error:
        assert one_line(error) and str(error).startswith("f.yml: ")


TEXT = st.text(st.sampled_from("abc: -[]{},#&*!|>'\"%@`\n\t\\0123.?=~<") | st.characters(), max_size=40)


@settings(max_examples=200)
@given(TEXT | TEXT.map(lambda text: f"train:\n  {text}") | st.binary(max_size=20))
def test_any_text_is_a_config_or_a_users_mistake(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "replace"))
    try:
        read_config(path)
    except UserError as error:
        assert one_line(error) and str(error).startswith(str(path))


@settings(max_examples=120)
@given(TEXT | TEXT.map(lambda text: f"train.seed={text}"))
def test_any_setting_is_read_or_a_users_mistake(path, text):
    path.write_text("stage: full\n")
    try:
        settings_read = parse_overrides(text)
        resolve(path, text)
    except UserError as error:
        assert one_line(error) and str(error).startswith(("--set", str(path)))
    else:
        assert set(settings_read) <= set(KEYS)
