"""The documents: links lead somewhere, commands, flags and keys exist, what is promised of README holds."""

import ast
import inspect
import re
from dataclasses import is_dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast, get_type_hints

import pytest
import yaml

import rcic
from rcic.cli.main import PROGRAMS, load
from rcic.cli.signature import flags_of
from rcic.files.names import shipped_path
from rcic.launch.launch_options import LaunchOptions
from rcic.learn.config.resolve import CONFIG_FLAGS, resolve
from rcic.learn.config.settings import Config
from rcic.learn.grid.grid_options import GridOptions
from rcic.schema.convert import flat, to_plain
from rcic.screen.spec_files import SHIPPED, read_spec
from tests.documents import (
    DECISIONS,
    DOCS,
    LANGUAGES,
    MARKS,
    PAGES,
    ROOT,
    Block,
    anchors,
    blocks,
    calls_of,
    inline_calls,
    links,
    program_words,
    prose,
)
from tests.program import command, read_call

README = ROOT / "README.md"
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.M))
FLAGS = {flag for program in PROGRAMS for called in load(program).values() for flag in flags_of(called)}
OLD_NAMES = {"form": "spec"}  # which docs/changes-0.2.md has, and pages that the program prints
OTHERS_FLAGS = {"help", "version", "gpus"}  # of every command, of rcic, of docker run
COMMANDS = [block for page in PAGES for block in blocks(page, "bash")]
CONFIG_KEYS = flat(to_plain(Config()))
README_PYTHON = """\
import rcic

screen = rcic.read_screen("demo/screen")
members = rcic.load_members("demo/logs/pseudo")
logits = sum(member.predict(screen) for member in members) / len(members)
answers = rcic.decide_logits(screen, logits).table
answers.to_csv("answers.csv", index=False)
"""


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


# --- README ---------------------------------------------------------------------------------------------------------


def test_readme_is_short_and_begins_with_a_command():
    lines = README.read_text().splitlines()
    assert len(lines) <= 150
    assert blocks(README, "bash")[0].line < 30
    assert [words for words in ("make demo", "make test", "pip install .") if words not in README.read_text()] == []


def test_the_python_of_readme_is_ten_lines_of_the_public_api():
    (block,) = blocks(README, "python")
    code = ast.parse(block.text)
    assert ast.unparse(code) == ast.unparse(ast.parse(README_PYTHON))
    used = {node.attr for node in ast.walk(code) if isinstance(node, ast.Attribute) and _is_rcic(node.value)}
    assert used <= set(rcic.__all__)


def _is_rcic(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == "rcic"


@pytest.mark.parametrize("block", [b for page in PAGES for b in blocks(page, "yaml")], ids=str)
def test_a_printed_screen_spec_is_read(block, tmp_path):
    path = tmp_path / "screen.yml"
    path.write_text(block.text)
    spec = read_spec(path)
    assert spec.plate == 96 and len(spec.channels) == 3
    assert block.page != README or len(yaml.safe_load(block.text)) == len(block.text.splitlines()) == 8


# --- links ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [*PAGES, *DECISIONS], ids=named)
def test_every_link_leads_somewhere(page):
    for path, anchor in links(page):
        assert path.exists(), f"{named(page)}: no {path.name}"
        assert not anchor or anchor in anchors(path), f"{named(page)}: no heading #{anchor} in {path.name}"


def test_every_page_is_reached_from_the_index():
    reached, waiting = set(), [DOCS / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached and page.suffix == ".md" and page.exists():
            reached.add(page)
            waiting += [path for path, _ in links(page)]
    assert {named(page) for page in (*PAGES, *DECISIONS)} - {named(page) for page in reached} <= {"csv/README.md"}


def test_every_image_is_shown():
    shown = {path for page in PAGES for path, _ in links(page)}
    assert {path.name for path in (DOCS / "images").iterdir() if path not in shown} == set()


# --- commands -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_block_has_a_language_and_a_known_mark(page):
    for block in blocks(page):
        assert block.language in LANGUAGES, f"{block}: a block of {block.language or 'no language'}"
        assert block.language != "bash" or block.mark in {"", *MARKS}, f"{block}: unknown mark {block.mark!r}"


@pytest.mark.parametrize("block", COMMANDS, ids=str)
def test_every_printed_command_can_be_typed(block, tmp_path):
    for call in calls_of(block, tmp_path):
        check_call(call)


def check_call(call: list[str]) -> None:
    """Fail for an unknown program, command, flag or value; for a config, network, target or file that is not there."""
    words = program_words(call)
    if words is not None:
        check_values(words[0], *read_call(words))
    elif call[0] == "make":
        for word in call[1:]:
            assert word in TARGETS or re.search(rf"\b{word.partition('=')[0]}\b", MAKEFILE), call
    elif call[0].startswith("python") and not call[1].startswith("-"):
        assert (ROOT / call[1]).is_file(), call
    else:
        assert not {"-r", "--requirement"} & set(call) or (ROOT / call[-1]).is_file(), call


def check_values(script: str, name: str, values: dict[str, Any]) -> None:
    """Fail for values that the command would refuse before it looks at any data."""
    called = command(script, name)
    package = {"ray": "ray", "slurm": "submitit"}.get(values.get("launcher", "local"))
    for family in filter(is_dataclass, get_type_hints(called).values()):
        if family is not LaunchOptions or package is None or find_spec(package):
            own = set(inspect.signature(cast(type, family)).parameters)
            cast(type, family)(**{key: values[key] for key in own & set(values)})
    configs = values.get("config", ())
    for config in (configs,) if isinstance(configs, str) else configs:
        overrides = {key: values[key] for key in CONFIG_FLAGS if key in values and not isinstance(values[key], tuple)}
        overrides |= {"channels": list(values["channels"])} if "channels" in values else {}
        resolve(config, values.get("set", ""), overrides)
    if "channel_sets" in values:
        assert GridOptions(("full",), channel_sets=values["channel_sets"]).parsed_sets
    if "screen" in values:
        is_own = values["screen"] in ("my-screen.yml", "sbs96.yml")
        assert is_own or shipped_path(SHIPPED, values["screen"], "screen spec").is_file()
    imports = "profiles" in values  # whose model is a name that the user gives
    networks = () if imports else values.get("model_name", values.get("model", ()))
    for network in (networks,) if isinstance(networks, str) else networks:
        assert is_network(network), network


def is_network(name: str) -> bool:
    from segmentation_models_pytorch.encoders import encoders

    from rcic.learn.models.backbone import known_backbones

    return name.removesuffix("@") in {*known_backbones(), *encoders}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_within_sentences_exist(page):
    for call in inline_calls(page):
        words = program_words(call)
        if words is not None and len(words) > 1:
            name = Path(words[0]).stem if words[1].startswith("-") else OLD_NAMES.get(words[1], words[1])
            flags = {word[2:].partition("=")[0] for word in call if word.startswith("--")}
            assert flags <= set(flags_of(command(words[0], name))), call
        elif call[0] == "make":
            check_call(call)
        elif call[0] == "bash":
            assert (ROOT / call[1]).is_file(), call


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_flags_within_sentences_exist(page):
    found = set(re.findall(r"(?<![\w-])--([a-z][\w-]*)", re.sub(r"<!--.*?-->", "", prose(page))))
    assert found - FLAGS - OTHERS_FLAGS == set()


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_config_keys_within_sentences_exist(page):
    sections = "|".join({key.partition(".")[0] for key in CONFIG_KEYS if "." in key})
    found = re.findall(rf"`(?:--set[ =])?((?:{sections})\.\w+)(?=[`=:])", prose(page))
    assert {key for key in found if key.rpartition(".")[2] not in ("py", "csv", "sh", "yml")} - set(
        CONFIG_KEYS
    ) == set()


def test_a_command_that_cannot_be_typed_is_found(tmp_path):
    wrong = {
        "rcic data discribe --data_root DATA": "discribe",
        "rcic data folds --data_root DATA --fold 5": "unknown flag",
        "rcic data audit --data_root DATA --mode=quik": "did you mean .quick",
        "rcic train explain --config full --set schedule.epochs=3,train.batch_size=8": "warmup_epochs",
        "rcic train explain --config full -s train.seed=1": "--seed or --set",
        "rcic train explain --config ful": "ful",
        "rcic scor --predict_root p": "no such command",
        "make demon": "demon",
        "rcic predict-all --data_root D --model_root m --model_name resnet5 --out_dir o": "resnet5",
    }
    for place, (text, reason) in enumerate(wrong.items()):
        folder = tmp_path / str(place)
        folder.mkdir()
        (call,) = calls_of(Block(README, 1, "bash", text, ""), folder)
        with pytest.raises((Exception, AssertionError), match=reason):
            check_call(call)


# --- what pages promise ---------------------------------------------------------------------------------------------


def test_the_api_page_has_every_public_name_with_its_parameters():
    page = DOCS / "api.md"
    text = page.read_text()
    assert set(re.findall(r"^### rcic\.(\w+)$", text, re.M)) == set(rcic.__all__) - {"__version__"}
    printed = dict(re.findall(r"^(\w+)\((.*)\)(?: -> .*)?$", "\n".join(map(_text, blocks(page, "text"))), re.M))
    for name, parameters in printed.items():
        real = inspect.signature(getattr(rcic, name)).parameters.values()
        shown = [parameter.partition("=")[0] for parameter in re.split(r", (?=\w)", parameters)]
        assert shown == [parameter.name for parameter in real], name


@pytest.mark.parametrize("name", ["Screen", "TrainedMember", "Decision"])
def test_the_api_page_names_attributes_that_are_there(name):
    kind = getattr(rcic, name)
    section = (DOCS / "api.md").read_text().partition(f"### rcic.{name}\n")[2].partition("\n### ")[0]
    cells = re.findall(r"^\| (`.*?) \|", section, re.M)
    attributes = {attribute for cell in cells for attribute in re.findall(r"`(\w+)", cell)}
    assert attributes and attributes <= {*dir(kind), *kind.__dataclass_fields__}


def _text(block: Block) -> str:
    return block.text


@pytest.mark.parametrize("page", DECISIONS, ids=named)
def test_a_decision_has_a_date_and_a_status(page):
    title, blank, status, *_ = page.read_text().splitlines()
    number = int(page.name[:4])
    assert title.startswith(f"# {number}. ") and not blank
    found = re.fullmatch(r"Date: \d{4}-\d\d-\d\d\. Status: (accepted|(superseded|amended) by (\d+))\.", status)
    assert found, status
    there = {path.name[:4] for path in DECISIONS}
    assert not found[3] or f"{int(found[3]):04}" in there
