from collections import Counter
from random import Random

import pytest

from rcic.errors import UserError
from rcic.pixels.packed.packed_store import SHARD
from tests.faults import fuzz as module
from tests.faults.fuzz import ACCEPTED, FAILED, REFUSED, fuzz, report
from tests.faults.targets import Target, targets


def test_two_thousand_damaged_inputs_are_read_or_refused_in_a_line(tmp_path, capfd):
    counts = fuzz(2000, seed=2, save=tmp_path / "failures")
    assert capfd.readouterr() == ("", "")
    assert not (tmp_path / "failures").exists(), report(counts, 0)
    names = {name for name, _ in counts}
    assert names == {"kaggle", "metadata", "config", "form", "image", "tiff", "store"}
    assert all(counts[name, ACCEPTED] > 0 and counts[name, REFUSED] > 0 for name in names), report(counts, 0)


@pytest.mark.parametrize("name", ["kaggle", "metadata", "config", "image", "store"])
def test_what_is_not_damaged_is_accepted(tmp_path, name):
    (target,) = (one for one in targets(tmp_path / "scratch") if one.name == name)
    module._write(tmp_path / "root", target.valid)
    target.read(tmp_path / "root", {key: data for key, data in target.valid.items() if name != "store" or SHARD in key})


def test_one_number_is_one_input(tmp_path):
    for target in targets(tmp_path / "scratch"):
        one, again, other = (target.damage(Random(seed), target.valid) for seed in ("0-1", "0-1", "0-2"))
        assert one == again and one != other
        assert set(one) <= set(target.valid)


def crash(_, __):
    raise IndexError("out of bounds")


def two_lines(_, __):
    raise UserError("one\ntwo")


def loop(_, __):
    while True:
        try:
            while True:
                pass
        except Exception:
            continue


def hoard(_, __):
    pass


def hoard_all(_, __):
    bytearray(3 * 2**30)


@pytest.mark.parametrize(
    ("read", "told"),
    [
        (crash, "IndexError: out of bounds"),
        (two_lines, "not one line: one\ntwo"),
        (loop, "TooLong"),
        (hoard, "MB more memory"),
        (hoard_all, "MemoryError"),
    ],
)
def test_a_reader_that_does_anything_else_is_found_and_the_input_saved(tmp_path, monkeypatch, read, told):
    damaged = {"a": b"damaged"}
    target = Target("bad", 20, {"a": b"valid"}, lambda *_: damaged, read)
    monkeypatch.setattr(module, "targets", lambda _: [target])
    monkeypatch.setattr(module, "SECONDS", 0.2)
    monkeypatch.setattr(module, "_megabytes", Steps() if read is hoard else lambda: 0.0)
    assert fuzz(1, 0, tmp_path / "failures") == Counter({("bad", FAILED): 1})
    (saved,) = (tmp_path / "failures").iterdir()
    assert saved.name == "0-0-bad" and (saved / "a").read_bytes() == b"damaged"
    assert told in (saved / "error.txt").read_text()


class Steps:
    """The memory of a process that takes 300 MB more each time one looks."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 300
        return self.now


def test_the_command_prints_counts_and_fails_with_a_failure(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr("sys.argv", ["fuzz", "--n=20", "--save", str(tmp_path / "failures")])
    with pytest.raises(SystemExit) as stop:
        module.main()
    assert stop.value.code == 0
    assert "20 inputs in" in capfd.readouterr().out
    assert not (tmp_path / "failures").exists()
