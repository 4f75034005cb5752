import re
import tomllib
from pathlib import Path

import pytest

from rcic.doctor import tested_versions
from rcic.doctor.tested_versions import COMBINATIONS, TESTED, is_tested, untested_packages, warn_untested

ROOT = Path(__file__).parents[2]
PINNED = dict(re.findall(r"^([\w.-]+)==([\d.]+)", (ROOT / "requirements.txt").read_text(), re.M))
INSTALL = (ROOT / "docs" / "install.md").read_text()
ALLOWED = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]


@pytest.fixture
def versions(monkeypatch):
    """Return what `installed_version` says of each package, to be changed; no process has told anything yet."""
    there = dict(PINNED)
    monkeypatch.setattr(tested_versions, "version", there.__getitem__)
    monkeypatch.setattr(tested_versions, "PackageNotFoundError", KeyError)
    monkeypatch.setenv("RCIC_VERSIONS_TOLD", "")
    return there


def test_the_ranges_are_those_that_pip_may_choose_from():
    lowest = {re.split(r"[>=<,]+", line)[0]: re.split(r"[>=<,]+", line)[1] for line in ALLOWED}
    assert lowest.keys() == TESTED.keys()
    for package, bound in lowest.items():
        assert bound.startswith(TESTED[package][0]), package


def test_what_is_pinned_is_tested():
    assert {package for package in TESTED if not is_tested(package, PINNED[package])} == set()


def test_what_ran_together_is_the_table_of_the_documentation():
    rows = re.findall(r"^\| (3\S+) \| ([\d., ]+?)(?: and .*?)? \| ([\d., ]+) \|", INSTALL, re.M)
    assert rows == [row[:3] for row in COMBINATIONS]


@pytest.mark.parametrize(
    ("version", "tested"),
    [("2.8.0", True), ("2.7.1", False), ("2.14.9", True), ("2.14.1+cu130", True), ("2.15.0", False), ("3.0", False)],
)
def test_patches_of_a_tested_version_are_tested(version, tested):
    assert is_tested("torch", version) == tested


def test_others_are_told_in_one_line_and_once(versions, capsys):
    versions["torch"], versions["opencv-python-headless"] = "2.19.0", "4.11.0.86"
    del versions["six"]  # a missing package fails on its own
    warn_untested()
    warn_untested()  # in this process, or in one that it starts
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "torch 2.19.0 (2.8 to 2.14), opencv-python-headless 4.11.0.86 (4.12 to 5.0)" in err
    assert untested_packages() == {"torch": "2.19.0", "opencv-python-headless": "4.11.0.86"}


def test_nothing_is_told_of_the_pinned_versions(versions, capsys):
    warn_untested()
    assert untested_packages() == {} and capsys.readouterr().err == ""
