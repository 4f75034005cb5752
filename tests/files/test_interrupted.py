"""A signal (Ctrl-C, SIGTERM) may end a write or a lock between any two steps: nothing is left, and nobody locked out.

CPython calls a signal's handler where a function begins, after a call, and where a loop starts again. Each such place
is tried, one after the other, by a trace function that raises there.
"""

import dis
import sys

import pytest

from rcic.errors import Terminated
from rcic.files import disk
from rcic.files.atomic import whole
from rcic.files.lock import locked
from tests.program import left_over

HANDLED_AFTER = ("RESUME", "CALL", "JUMP_BACKWARD")  # the starts of the instructions' names


class InterruptAt:
    """Trace a call, and raise Terminated at the n-th place, counted from 1, at which a signal could be handled."""

    def __init__(self, n):
        self.left, self.before = n, {}

    def __call__(self, frame, event, _):
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "call":
            self.before.pop(id(frame), None)  # of an earlier frame
        elif event == "opcode":
            before = self.before.get(id(frame), "")  # no reference: frames must end as they would
            self.before[id(frame)] = dis.opname[frame.f_code.co_code[frame.f_lasti]]
            if before.startswith(HANDLED_AFTER):
                self.left -= 1
                if self.left == 0:
                    sys.settrace(None)
                    raise Terminated
        return self


def interrupted_everywhere(action, folder):
    """Yield a new folder after each interruption of ``action`` in it, and at the end one in which it was let be."""
    n, was_interrupted = 0, True
    while was_interrupted:
        n += 1
        here = folder / str(n)
        here.mkdir()
        disk._seen.clear()
        was_interrupted = is_interrupted(action, here, n)
        yield here
    assert n > 100


def is_interrupted(action, folder, n):
    before = sys.gettrace()
    sys.settrace(InterruptAt(n))
    try:
        action(folder)
    except Terminated:
        return True
    finally:
        sys.settrace(before)
    return False


def write(folder):
    with whole(folder / "new" / "table.csv") as temporary:
        temporary.write_text("whole")


def lock(folder):
    with locked(folder / "new" / "run"):
        pass


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_write_leaves_the_whole_file_or_nothing(tmp_path):
    for here in interrupted_everywhere(write, tmp_path):
        assert left_over(here) == []
        assert [path.read_text() for path in here.rglob("*.csv")] in ([], ["whole"])
    assert (here / "new" / "table.csv").exists()


def test_a_lock_leaves_nothing_and_can_be_taken_again(tmp_path):
    for here in interrupted_everywhere(lock, tmp_path):
        assert list(here.iterdir()) == []
        lock(here)
