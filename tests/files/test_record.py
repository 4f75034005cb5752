"""Records: what lies beside a result is what was made, whole, of one kind, and says in words what differs."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from rcic.errors import UserError, command_line
from rcic.files.difference import difference
from rcic.files.disk import remove_unfinished
from rcic.files.lock import locked
from rcic.files.names import LOCK, prediction_files
from rcic.files.record import (
    Record,
    check_files,
    is_written,
    network_id,
    read_record,
    with_command,
    write_record,
    write_result,
)
from rcic.files.sealed_json import Unsound, read_object, sealed, unsealed
from rcic.files.well_rows import write_well_rows
from tests.disk import nearly_full
from tests.program import SRC, left_over
from tests.records import content_of, rewrite, tamper

RECORD = Record("meal", {"flour": "rye"}, {"minutes": 40}, facts={"cook": "Ann"})
AGAIN = "run rcic cook again"


@pytest.fixture
def path(tmp_path) -> Path:
    """Return the record of a result of two files."""
    cook(tmp_path / "meal.json")
    return tmp_path / "meal.json"


def cook(path: Path, text: str = "one", record: Record = RECORD) -> Record:
    writers = {f"{name}.txt": lambda file, name=name: file.write_text(f"{text} {name}") for name in ("a", "b")}
    return write_result(path, record, writers)


def refusal(path: Path, kind: str = "meal") -> str:
    """Return the one line that refuses a record or its files."""
    with pytest.raises(Unsound) as caught:
        record = read_record(path, kind, AGAIN)
        assert record is not None
        check_files(path, record, again=AGAIN)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def state(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# ---- wrong input


DAMAGED = {
    "cut short": (lambda path: path.write_text(path.read_text()[:-20]), r"meal.json: cannot be read as JSON ("),
    "no text": (lambda path: path.write_bytes(b"\xff\xfe{}"), "meal.json: cannot be read as JSON ("),
    "nested without end": (lambda path: path.write_text("[" * 100_000), "meal.json: cannot be read as JSON ("),
    "a list": (lambda path: path.write_text("[1]"), "meal.json: is not a JSON object, but [1]"),
    "changed by hand": (
        lambda path: tamper(path, facts={"cook": "Bob"}),
        "meal.json: is damaged, or was changed by hand: its checksum is another one",
    ),
    "another kind": (
        lambda path: rewrite(path, kind="drink"),
        "meal.json: is the record of another kind of result (drink, not meal)",
    ),
    "unfinished": (
        lambda path: rewrite(path, state="unfinished"),
        "meal.json: is unfinished, since a command was interrupted or is still at work",
    ),
    "a file is missing": (
        lambda path: path.with_name("a.txt").unlink(),
        "a.txt: is missing, but meal.json lists it",
    ),
    "a file is a folder": (
        lambda path: (path.with_name("b.txt").unlink(), path.with_name("b.txt").mkdir()),
        "b.txt: is missing, but meal.json lists it",
    ),
    "a file of another result, as long as it was": (
        lambda path: path.with_name("a.txt").write_text("two a"),
        "a.txt: is damaged, or of another result than meal.json beside it",
    ),
    "an empty file": (
        lambda path: path.with_name("a.txt").write_text(""),
        "a.txt: is damaged, or of another result than meal.json beside it",
    ),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_what_is_damaged_is_named_with_the_remedy(path, case):
    damage, message = DAMAGED[case]
    damage(path)
    said = refusal(path)
    assert said.startswith(f"{path.parent}/{message}") and said.endswith(f"; {AGAIN}")
    assert not is_written(path, RECORD)


def test_a_file_that_the_record_does_not_list_is_of_another_result(path):
    path.with_name("c.txt").write_text("c")
    with pytest.raises(
        Unsound, match=r"c\.txt: meal\.json does not list it, so it belongs to another result; run rcic"
    ):
        check_files(path, read_record(path, "meal"), ["c.txt"], AGAIN)
    check_files(path, read_record(path, "meal"), ["a.txt"])


def test_every_letter_of_a_record_counts(path):
    whole = path.read_text()
    for old, new in {
        "rye": "rie",
        '"minutes": 40': '"minutes": 41',
        '"done"': '"Done"',
        '"version": 1': '"version": 2',
    }.items():
        assert old in whole
        path.write_text(whole.replace(old, new))
        assert "was changed by hand" in refusal(path)


def test_the_order_of_keys_and_the_spaces_of_a_record_do_not_count(path):
    content = json.loads(path.read_text())
    path.write_text(json.dumps(dict(reversed(content.items()))))
    assert read_record(path, "meal") == cook(path)


@pytest.mark.parametrize("text", ["{}", '{"kind": "meal"}', '{"status": "done", "screen": "12"}'])
def test_files_of_other_programs_and_of_earlier_versions_are_no_records(path, text):
    path.write_text(text)
    assert read_record(path, "meal") is None
    assert read_record(path.with_name("none.json"), "meal") is None
    assert not is_written(path, RECORD) and not is_written(path.with_name("none.json"), RECORD)


def test_values_without_a_seal_and_with_one(tmp_path):
    path = tmp_path / "x.json"
    assert unsealed(path) is None and read_object(path) == {}
    path.write_text('{"a": 1}')
    assert unsealed(path) == {} and read_object(path) == {"a": 1}
    path.write_text(sealed({"a": 1, "ä": [None, 1.5]}), encoding="utf-8")
    assert unsealed(path) == {"a": 1, "ä": [None, 1.5]}
    tamper(path, a=2)
    with pytest.raises(Unsound, match=r"x\.json: is damaged, or was changed by hand"):
        unsealed(path)


# ---- what is written


def test_a_record_is_read_as_it_was_written(path):
    record = read_record(path, "meal")
    assert record == cook(path)
    assert (record.made_from, record.made_with) == (RECORD.made_from, RECORD.made_with)
    assert record.facts == {"cook": "Ann", "command": command_line()}
    assert set(record.files) == {"a.txt", "b.txt"} and all(len(checksum) == 64 for checksum in record.files.values())
    check_files(path, record)
    assert left_over(path.parent) == []


def test_a_result_that_is_all_in_its_record(tmp_path):
    write_record(tmp_path / "r.json", RECORD, {"answer": 42})
    assert content_of(tmp_path / "r.json")["answer"] == 42
    assert read_record(tmp_path / "r.json", "meal") == with_command(RECORD)
    tamper(tmp_path / "r.json", answer=43)
    with pytest.raises(Unsound, match="was changed by hand"):
        read_record(tmp_path / "r.json", "meal")


def test_a_result_is_there_if_it_was_made_from_and_with_the_same(path):
    assert is_written(path, RECORD)
    assert is_written(path, Record("meal", {"flour": "rye"}, {"minutes": 40}, facts={"cook": "Bob"}))
    for other in ({"flour": "oat"}, {}, {"flour": "rye", "salt": "1"}):
        assert not is_written(path, Record("meal", other, {"minutes": 40}))
    assert not is_written(path, Record("meal", {"flour": "rye"}, {"minutes": 41}))
    assert not is_written(path, Record("drink", {"flour": "rye"}, {"minutes": 40}))


def test_the_lock_of_a_killed_writer_goes_with_the_next_who_finds_its_result_whole(path):
    lock = path.with_name(LOCK)
    lock.touch()
    assert not is_written(path, Record("meal", {"flour": "oat"}, {"minutes": 40})) and lock.exists()
    assert is_written(path, RECORD) and not lock.exists()
    with locked(path.parent):
        assert is_written(path, RECORD) and lock.exists()


def test_a_network_is_its_checkpoint_and_its_settings():
    assert network_id("c", [1, 2], ["identity"]) == network_id("c", [1, 2], ["identity"])
    others = [("d", [1, 2], ["identity"]), ("c", [1], ["identity"]), ("c", [1, 2], ["hflip"]), ("c", [1, 2])]
    assert len({network_id(*words) for words in others} | {network_id("c", [1, 2], ["identity"])}) == 5


def test_rows_of_wells(tmp_path):
    files = prediction_files(tmp_path / "m", "test")
    write_well_rows(files, {"logits": np.eye(2), "sites": np.ones((2, 1, 2))}, ["x", "y"], Record("prediction"))
    record = read_record(files["record"], "prediction")
    assert set(record.files) == {"pred_test.npy", "pred_test.csv", "pred_test_sites.npy"}
    check_files(files["record"], record)
    assert files["wells"].read_text() == "id_code\nx\ny\n"
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == sorted([*record.files, "pred_test.json"])


# ---- failures


def test_a_failed_writer_leaves_the_earlier_result(path):
    before = state(path.parent)
    for writer in (lambda file: 1 / 0, lambda file: file.write_text("x") and 1 / 0):
        with pytest.raises(ZeroDivisionError):
            write_result(path, RECORD, {"a.txt": lambda file: file.write_text("new"), "b.txt": writer})
        assert state(path.parent) == before
    check_files(path, read_record(path, "meal"))


def test_a_full_disk_leaves_the_earlier_result_whatever_does_not_fit(path):
    before = state(path.parent)
    for room, name in ((0, "a.txt"), (5, "b.txt"), (len(before["meal.json"]) - 1, "meal.json")):
        with nearly_full(room), pytest.raises(UserError, match=rf"/{name}: not written, the file would exceed"):
            write_result(
                path,
                RECORD,
                {"a.txt": lambda file: file.write_text("12345"), "b.txt": lambda file: file.write_text("123456")},
            )
        assert state(path.parent) == before


def test_a_full_disk_leaves_no_lock_of_wells(tmp_path):
    files = prediction_files(tmp_path / "m", "test")
    with nearly_full(0), pytest.raises(UserError, match=r"pred_test\.csv: not written, the file would exceed"):
        write_well_rows(files, {"logits": np.eye(2)}, ["x", "y"], Record("prediction"))
    assert not (tmp_path / "m").exists()


KILLED = """
import os, signal
from pathlib import Path
from rcic.files.record import Record, write_result
count, replace = 0, Path.replace
def counted(self, target):
    global count
    count += 1
    if count > {renames}:
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(self, target)
Path.replace = counted
writers = {{name: lambda file: file.write_text("new") for name in ("a.txt", "b.txt")}}
write_result(Path({path!r}), Record("meal", {{"flour": "oat"}}), writers)
"""


@pytest.mark.parametrize("renames", range(5))
def test_a_kill_before_between_and_after_the_renames(path, renames):
    """The record says "unfinished", then two files and the record take their names: four renames."""
    before = state(path.parent)
    code = textwrap.dedent(KILLED.format(renames=renames, path=str(path)))
    ended = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(SRC)}, check=False)
    assert ended.returncode == (0 if renames == 4 else -9)
    if renames == 0:
        assert {name: text for name, text in state(path.parent).items() if not name.endswith((".tmp", LOCK))} == before
        check_files(path, read_record(path, "meal"))
    elif renames < 4:
        assert refusal(path).startswith(f"{path}: is unfinished, since a command was interrupted")
        assert not is_written(path, RECORD)
    else:
        assert is_written(path, Record("meal", {"flour": "oat"}))
    remove_unfinished(path.parent)  # as the next process does
    cook(path, "again")
    assert is_written(path, RECORD) and left_over(path.parent) == []


# ---- differences in words


@pytest.mark.parametrize(
    ("then", "now", "words"),
    [
        (1, 1, ""),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2}]}, ""),
        ([1, 2], (1, 2), ""),
        ({"levels": [0, [1, 2]]}, {"levels": (0, (1, 2))}, ""),
        ({"levels": [0, [1, 2]]}, {"levels": (0, (1, 3))}, "thing levels number 1 number 1 (2 then, 3 now)"),
        ("w1", "w2", "thing ('w1' then, 'w2' now)"),
        (None, 3, "thing (None then, 3 now)"),
        ({"x": 1}, {"x": 1, "y": 2}, "thing (y now, not then)"),
        ({"x": 1, "y": 2}, {"x": 1}, "thing (y then, not now)"),
        (dict.fromkeys("abcde", 1), {}, "thing (a, b, c ... then, not now)"),
        (
            {"images": {"channels": {"1": "w1"}}},
            {"images": {"channels": {"1": "w2"}}},
            "thing images channels 1 ('w1' then, 'w2' now)",
        ),
        (["a", "b"], ["b", "a"], "thing number 0 ('a' then, 'b' now)"),
        (["a"], ["a", "b"], "thing (1 then, 2 now; 'b' is not in both)"),
        (["a", "a"], ["a"], "thing (2 then, 1 now)"),
        (list(range(1108)), list(range(1107)), "thing (1,108 then, 1,107 now; 1107 is not in both)"),
        ("0" * 16, "1" * 16, "thing (changed since)"),
        ("0" * 64, "a" * 64, "thing (changed since)"),
        ("", "1" * 16, "thing (none then, some now)"),
        ("1" * 64, "", "thing (some then, none now)"),
        ("", "w1", "thing ('' then, 'w1' now)"),
    ],
)
def test_a_difference_in_words(then, now, words):
    assert difference(then, now, "thing") == words


def test_a_difference_names_what_is_in_it_without_a_name_of_its_own():
    assert difference({"flour": {"kind": "rye"}}, {"flour": {"kind": "oat"}}) == "flour kind ('rye' then, 'oat' now)"
    assert difference({"wells": {"E1": "0" * 16}}, {"wells": {"E1": "1" * 16}}) == "wells E1 (changed since)"
