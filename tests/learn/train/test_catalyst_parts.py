import sys

import pytest

from rcic.learn.train.catalyst_parts import hidden


@pytest.mark.parametrize("there", [True, False], ids=["imported before", "not yet imported"])
def test_a_hidden_package_is_absent_and_comes_back(monkeypatch, there):
    before = __import__("colorsys")
    if not there:
        monkeypatch.delitem(sys.modules, "colorsys")
    with hidden("colorsys"), pytest.raises(ModuleNotFoundError):
        __import__("colorsys")
    assert ("colorsys" in sys.modules) == there
    assert (__import__("colorsys") is before) == there


def test_a_package_comes_back_after_an_error(monkeypatch):
    before = __import__("colorsys")
    with pytest.raises(ZeroDivisionError), hidden("colorsys"):
        raise ZeroDivisionError
    assert __import__("colorsys") is before
