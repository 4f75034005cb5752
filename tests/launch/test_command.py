"""What runs on a node: in the same folder, into a log, and never longer than who started it."""

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

from rcic.launch.command import command_of, last_line, log_of

SRC = Path(__file__).parents[2] / "src"
WAIT = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(60)"
NODE = (  # a shell's background job ignores SIGINT
    "import pickle, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "sys.path.insert(0, sys.argv[1]); pickle.load(open(sys.argv[2], 'rb'))()"
)


def python(code, *words):
    return [sys.executable, "-c", code, *map(str, words)]


def read_when_there(path):
    until = time.monotonic() + 30
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < until, f"{path} does not come"
        time.sleep(0.02)
    return path.read_text()


def is_alive(pid):
    """Return whether a process runs; one that nobody has asked for its exit code does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_it_runs_in_the_same_folder_and_its_output_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    code = "import os, sys; print(os.getcwd(), os.environ['OMP_NUM_THREADS']); print('error: no'); sys.exit(3)"
    call = command_of("full [1,2] fold 0 a/b", python(code), tmp_path, threads=4)
    assert (call(), call()) == (3, 3)
    log = tmp_path / "full_[1,2]_fold_0_a_b.log"
    lines = log.read_text().splitlines()
    assert [line.startswith("# begun ") for line in lines] == 2 * [True, False, False]
    assert lines[1] == lines[4] == f"{tmp_path} 4"
    assert last_line(log) == f"no (log: {log})"
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert command_of("x", [], tmp_path, threads=4).environment == {"OMP_NUM_THREADS": "2"}


def test_the_last_line_is_that_of_the_last_try(tmp_path):
    log = log_of("a", tmp_path)
    assert last_line(log) == f"no log at {log}"
    log.write_text("# begun 1\nerror: first\n# begun 2\n")
    assert last_line(log) == f"no output (log: {log})"
    log.write_text("# begun 1\nerror: first\n# begun 2\nsaid\nlast\n")
    assert last_line(log) == f"last (log: {log})"


def test_who_is_killed_takes_the_command_along(tmp_path):
    call = command_of("a", python(WAIT, tmp_path / "pid"), tmp_path, threads=1)
    (tmp_path / "call").write_bytes(pickle.dumps(call))
    node = subprocess.Popen(python(NODE, SRC, tmp_path / "call"))
    pid = int(read_when_there(tmp_path / "pid"))
    assert is_alive(pid)
    node.kill()
    node.wait()
    until = time.monotonic() + 10
    while is_alive(pid) and time.monotonic() < until:
        time.sleep(0.02)
    assert not is_alive(pid)


def test_who_is_broken_off_ends_the_command_first(tmp_path):
    code = WAIT.replace("import os", "import signal; signal.signal(15, lambda *_: sys.exit(9)); import os")
    call = command_of("a", python(code, tmp_path / "pid"), tmp_path, threads=1)
    (tmp_path / "call").write_bytes(pickle.dumps(call))
    node = subprocess.Popen(python(NODE, SRC, tmp_path / "call"), stderr=subprocess.DEVNULL)
    pid = int(read_when_there(tmp_path / "pid"))
    os.kill(node.pid, signal.SIGINT)
    assert node.wait(timeout=30) != 0 and not is_alive(pid)
