import os
import sys
import time

from rcic.launch.local import Local, slots_of

SAY = "import os, sys; open(sys.argv[1], 'w').write(' '.join(os.environ.get(n, '-') for n in sys.argv[2:]))"


def finish(launcher):
    """Return the exit codes of all that run."""
    codes = {}
    while launcher.running:
        codes |= launcher.ended()
        time.sleep(0.01)
    return codes


def test_commands_run_in_slots_with_an_environment_of_their_own(tmp_path):
    launcher = Local([{"CUDA_VISIBLE_DEVICES": "4"}, {"CUDA_VISIBLE_DEVICES": "7"}])
    for name in ("a", "b"):
        assert launcher.free
        launcher.start(name, [sys.executable, "-c", SAY, str(tmp_path / name), "CUDA_VISIBLE_DEVICES", "TQDM_POSITION"])
    assert not launcher.free
    assert finish(launcher) == {"a": 0, "b": 0} and launcher.free
    assert [(tmp_path / name).read_text() for name in ("a", "b")] == ["4 0", "7 1"]


def test_the_code_of_each_is_told_once():
    launcher = Local([{}] * 3)
    for name, code in (("good", "0"), ("bad", "3"), ("killed", "os.kill(os.getpid(), 9)")):
        launcher.start(name, [sys.executable, "-c", f"import os, sys; sys.exit({code})"])
    assert finish(launcher) == {"good": 0, "bad": 3, "killed": -9}
    assert launcher.ended() == {}


def test_a_slot_that_is_free_again_is_used_again(tmp_path):
    launcher = Local([{"OWN": "first"}, {"OWN": "second"}])
    launcher.start("long", [sys.executable, "-c", "import time; time.sleep(60)"])
    for name in ("a", "b"):
        launcher.start(name, [sys.executable, "-c", SAY, str(tmp_path / name), "OWN"])
        while name in launcher.running:
            launcher.ended()
            time.sleep(0.01)
        assert (tmp_path / name).read_text() == "second"
    launcher.stop()
    assert launcher.ended() == {"long": -15}


def test_slots_share_gpus_and_cores(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    cores = len(os.sched_getaffinity(0))
    assert slots_of(1) == [{}]
    assert slots_of(1, ["3"]) == [{"CUDA_VISIBLE_DEVICES": "3"}]
    threads = str(max(1, cores // 3))
    assert slots_of(3, ["0", "5"]) == [{"OMP_NUM_THREADS": threads, "CUDA_VISIBLE_DEVICES": gpu} for gpu in "050"]
    monkeypatch.setenv("OMP_NUM_THREADS", "9")
    assert slots_of(2) == [{}, {}]
