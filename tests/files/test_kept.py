"""What is kept of any inputs: tables as they were, and files that are not read again while they stay as they are."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rcic.files import checksums, kept
from rcic.files.atomic import sha256_of
from rcic.files.kept import Kept, kept_or_made, kept_record, kept_tables, table_of


@dataclass(frozen=True)
class OneFile:
    """A file of numbers, of which the sum is kept."""

    folder: Path

    def record(self, checksum):
        return kept_record({"numbers": checksum(self.folder / "numbers.txt")}, {"by": "sum"})

    def path(self, what):
        return self.folder / f"kept_{what}.json"

    def total(self) -> Kept:
        numbers = (self.folder / "numbers.txt").read_text().split()
        return Kept({"total": np.array(sum(map(int, numbers)))}, {"n": len(numbers)})


@pytest.fixture
def reads(monkeypatch) -> list[str]:
    """Return the list of files that are read for their checksums, which are remembered at once."""
    names: list[str] = []
    for module in (checksums, kept):
        monkeypatch.setattr(module, "sha256_once", lambda path: (names.append(path.name), sha256_of(path))[1])
    monkeypatch.setattr(checksums, "_TICK_S", -60.0)
    return names


@pytest.fixture
def numbers(tmp_path) -> OneFile:
    (tmp_path / "numbers.txt").write_text("1 2 3")
    return OneFile(tmp_path)


def total(inputs: OneFile) -> int:
    found, record = kept_or_made("total", inputs, inputs.total)
    assert record.made_from["numbers"] == sha256_of(inputs.folder / "numbers.txt")
    return int(found.arrays["total"])


def test_it_is_read_when_it_is_made_and_never_again(numbers, reads):
    assert total(numbers) == 6
    first = len(reads)
    assert first and [total(numbers) for _ in range(3)] == [6, 6, 6]
    assert len(reads) == first


def test_a_change_is_read_and_made_anew(numbers, reads):
    total(numbers)
    (numbers.folder / "numbers.txt").write_text("1 2 4")
    assert total(numbers) == 7


def test_a_copied_folder_is_read_once(numbers, reads, tmp_path):
    total(numbers)
    copy = OneFile(shutil.copytree(numbers.folder, tmp_path / "copy"))
    reads.clear()
    assert total(copy) == 6 and reads == ["numbers.txt"]
    assert total(copy) == 6 and reads == ["numbers.txt"]


def test_what_is_made_anew_is_made_of_files_that_are_read(numbers, reads):
    """A lie about a file's state costs time only: it is compared with, never computed from."""
    total(numbers)
    path = numbers.path("total")
    content = json.loads(path.read_text())
    (state, _) = content["facts"]["file_states"]["numbers.txt"]
    record = kept.read_record(path, "kept")
    lying = {**record.facts, "file_states": {"numbers.txt": [state, "0" * 64]}}
    kept.write_record(path, kept.replace(record, facts=lying))
    reads.clear()
    assert total(numbers) == 6 and reads[0] == "numbers.txt"
    assert total(numbers) == 6 and json.loads(path.read_text())["facts"]["file_states"]["numbers.txt"][1] != "0" * 64


def test_tables_are_kept_as_they_are():
    table = pd.DataFrame(
        {
            "name": pd.Series(["a", "", "long\nname"], dtype="str"),
            "n": [1, 2, 3],
            "share": [0.1, float("nan"), 1 / 3],
            "is": [True, False, True],
        }
    )
    empty = pd.DataFrame(columns=["against", "label"])
    for one in (table, table.iloc[:0], empty):
        pd.testing.assert_frame_equal(
            table_of("t", kept_tables({"t": one, "other": table}, {})), one.reset_index(drop=True)
        )
