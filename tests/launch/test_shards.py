"""Work in parts: each item once, failures tried once more, nothing left running."""

import sys
from pathlib import Path

import pytest

from rcic.errors import BUSY, UserError
from rcic.launch.launch_options import LaunchOptions
from rcic.launch.shards import Shard, ShardJobs, read_shard, run_nothing, side_by_side


class Pretended:
    """A launcher whose commands end at the next look with the codes of ``codes``: name -> one for each try."""

    def __init__(self, codes, slots=2):
        self.codes, self.slots = {name: list(own) for name, own in codes.items()}, slots
        self.running, self.started, self.most, self.stopped = [], [], 0, False

    @property
    def free(self):
        return len(self.running) < self.slots

    def start(self, name, command):
        self.started.append((name, list(command)))
        self.running.append(name)
        self.most = max(self.most, len(self.running))

    def ended(self):
        done, self.running = self.running, []
        return {name: self.codes[name].pop(0) for name in done}

    def last_message(self, name):
        return f"{name}'s line"

    def stop(self):
        self.stopped = True


def carry_out(codes):
    launcher = Pretended(codes)
    commands = {name: [name] for name in codes}
    return side_by_side(launcher, commands, pause=0, busy_pause=0), launcher


@pytest.mark.parametrize("n", range(1, 6))
@pytest.mark.parametrize("n_items", [0, 1, 3, 5, 14])
def test_the_parts_together_have_each_item_once_and_in_order(n, n_items):
    items = list(range(n_items))
    shares = [Shard(number, n).take(items) for number in range(1, n + 1)]
    assert [item for share in shares for item in share] == items
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_part_is_read():
    assert read_shard("2/4", LaunchOptions()) == Shard(2, 4) and read_shard(None, LaunchOptions()) is None
    for text in ("0/4", "5/4", "2", "2/4/1", "a/b", "-1/2"):
        with pytest.raises(UserError, match="must be a share such as 2/4"):
            read_shard(text, LaunchOptions())
    with pytest.raises(UserError, match="--part is the work of one job"):
        read_shard("2/4", LaunchOptions(jobs=2))


def test_all_are_done_side_by_side():
    failed, launcher = carry_out({name: [0] for name in "abc"})
    assert failed == {} and launcher.most == 2 and [name for name, _ in launcher.started] == ["a", "b", "c"]


def test_what_was_killed_is_tried_once_more_and_what_was_refused_is_not(capsys):
    failed, launcher = carry_out({"killed": [-9, 0], "again": [1, -9], "refused": [2], "good": [0]})
    assert failed == {"again": "killed by signal 9, again's line", "refused": "ended with code 2, refused's line"}
    assert sorted(name for name, _ in launcher.started) == ["again", "again", "good", "killed", "killed", "refused"]
    assert "killed: killed by signal 9, killed's line; it will be tried once more" in capsys.readouterr().err


def test_work_that_another_process_has_is_waited_for():
    failed, launcher = carry_out({"a": [BUSY, BUSY, BUSY, 0]})
    assert failed == {} and len(launcher.started) == 4


def test_an_interruption_ends_those_that_run():
    launcher = Pretended({"a": [0]})
    launcher.ended = lambda: (_ for _ in ()).throw(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        side_by_side(launcher, {"a": ["a"]}, pause=0)
    assert launcher.stopped


WRITE = "import sys; open(sys.argv[1] + sys.argv[-1][-3], 'w').write(' '.join(sys.argv[2:]))"  # a file a part


def test_jobs_are_the_same_command_with_a_part_each(tmp_path, capsys):
    script = tmp_path / "write.py"
    script.write_text(WRITE)
    words = [sys.executable, str(script), str(tmp_path / "out"), "--size=3"]
    assert ShardJobs(words, LaunchOptions(jobs=3), tmp_path / "jobs")("--verify=true") is True
    for number in "123":
        assert (tmp_path / f"out{number}").read_text() == f"--size=3 --verify=true --part={number}/3"
    assert capsys.readouterr().out == "3 jobs\n"


def test_without_jobs_nothing_runs_elsewhere(tmp_path):
    for where in (LaunchOptions(), LaunchOptions(jobs=1)):
        assert ShardJobs(["no such program"], where, tmp_path)() is False
    assert run_nothing("--verify=true") is False


def test_failed_jobs_are_named_and_the_rest_stays(tmp_path, capsys):
    script = tmp_path / "fail.py"
    script.write_text("import sys; sys.exit(2 if sys.argv[-1] == '--part=2/3' else 0)")
    with pytest.raises(UserError, match="1 of 3 jobs failed; finished work is kept, run the same command to continue"):
        ShardJobs([sys.executable, str(script), "audit"], LaunchOptions(jobs=3), Path(tmp_path))()
    assert "  audit 2of3: ended with code 2, see its line above\n" in capsys.readouterr().out


def test_a_cluster_needs_the_number_of_jobs(tmp_path):
    pytest.importorskip("submitit")
    with pytest.raises(UserError, match="--launcher=slurm needs --jobs, the number of jobs that share the work"):
        ShardJobs([], LaunchOptions("slurm", slurm=("cluster=local",)), tmp_path)
