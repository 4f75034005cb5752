"""A command ends at Ctrl-C and SIGTERM wherever they come, also where Python swallows exceptions."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rcic.cli.main import run

SRC = Path(__file__).parents[2] / "src"
WAITS = """
import sys, time
sys.path.insert(0, sys.argv.pop(1))
from rcic.cli.main import run

class Slow:
    def __del__(self):
        print("waits", flush=True)
        time.sleep(60)

def wait() -> None:
    Slow()
    print("goes on", flush=True)
    time.sleep(60)
    print("was not ended")

run("x.py", ["wait"], {"wait": wait})
"""


@pytest.fixture
def waiting():
    """Return a process that waits in a destructor, for 60 s."""
    process = subprocess.Popen(
        [sys.executable, "-c", WAITS, str(SRC)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    with process:
        assert process.stdout.readline() == "waits\n"
        yield process
        process.kill()


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_in_a_destructor_is_not_lost(waiting, sent, code):
    waiting.send_signal(sent)
    out, err = waiting.communicate(timeout=20)
    assert (waiting.returncode, out, err) == (code, "goes on\n", "")


def test_any_other_error_in_a_destructor_is_told_as_before(monkeypatch):
    class Broken:
        def __del__(self):
            raise ValueError("of a destructor")

    def fail() -> None:
        Broken()

    told = []
    monkeypatch.setattr(sys, "unraisablehook", lambda swallowed: told.append(str(swallowed.exc_value)))
    run("x.py", ["fail"], {"fail": fail})
    assert told == ["of a destructor"]
