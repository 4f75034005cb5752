"""The container without an engine: what would be built and run, and its process 1. docker/try.sh tries the real one."""

import csv
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from rcic.browse.guard import allowed_hosts
from rcic.learn.runs import run_record

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text()
INIT = ROOT / "docker" / "init.py"
Make = Callable[..., subprocess.CompletedProcess[str]]


def command_file(folder: Path, name: str, body: str) -> None:
    """Put a shell script on the PATH."""
    (folder / name).write_text(f"#!/bin/sh\n{body}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a folder for the PATH: a docker that prints its arguments, one a line, and no GPU."""
    folder = tmp_path / "bin"
    folder.mkdir()
    command_file(folder, "docker", 'printf "%s\\n" "$@"')
    command_file(folder, "nvidia-smi", "exit 9")
    return folder


@pytest.fixture
def make(path: Path, tmp_path: Path) -> Make:
    """Return make, with that PATH, a folder of data and one of results, and no sudo."""
    (tmp_path / "data").mkdir()

    def call(target: str, *variables: str, **environment: str) -> subprocess.CompletedProcess[str]:
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("SUDO_", "MAKE"))}
        ours |= {"PATH": f"{path}:{os.environ['PATH']}", "DATA_DIR": f"{tmp_path}/data", "OUT_DIR": f"{tmp_path}/out"}
        command = ["make", "--silent", "--directory", str(ROOT), target, *variables]
        return subprocess.run(command, env=ours | environment, capture_output=True, text=True, timeout=30)

    return call


def options(words: list[str], name: str) -> list[str]:
    """Return the values that an option has."""
    return [value for word, value in pairwise(words) if word == name]


def mounts(words: list[str]) -> dict[str, list[str]]:
    """Return the fields of every --mount by its target, read as docker reads them."""
    rows = [next(csv.reader([value])) for value in options(words, "--mount")]
    return {next(field[7:] for field in row if field.startswith("target=")): row for row in rows}


# --- what is built ---


def ignored(path: str) -> bool:
    """Tell whether .dockerignore keeps a path out of the image: the last pattern that it or a parent matches does."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    keep = True
    for line in (line for line in lines if line and not line.startswith("#")):
        pattern = re.escape(line.removeprefix("!")).replace(r"\*\*/", "(.*/)?").replace(r"\*", "[^/]*")
        if re.fullmatch(f"{pattern}(/.*)?", path):
            keep = line.startswith("!")
    return not keep


# fmt: off
MADE = [
    "demo/logs/a", "logs/a/run.json", "predictions/full/a.npy", "submission/submission.csv", "data/train/a.png",
    "out/a", "embeddings/a.npy", "packed/packed.json", "bench/a", "bench_speed/a", "bench_show/a", "bench_show.md",
    "csv/train_0.csv", "csv/audit/audit.csv", "report.html", ".venv/bin/python", ".git/HEAD", ".env", ".mypy_cache/a",
    ".ruff_cache/a", ".pytest_cache/a", ".hypothesis/a", "fuzz_failures/a", "src/rcic/__pycache__/a.pyc", "src/a.pyc",
    "src/.ruff_cache/a", "bin/.a", "configs/.ipynb_checkpoints/a", "notes.txt", "shared/data/a.png",
    "tests/test_docker.py", "benchmarks/speed.py", "docs/README.md", "docker/run.sh", "docker/try.sh",
    "requirements-cluster.txt",
    "requirements-profiles.txt",
]
# fmt: on


@pytest.mark.parametrize("path", MADE)
def test_nothing_that_is_made_or_for_developers_is_in_the_image(path):
    assert ignored(path)


def test_the_image_has_the_program_and_nothing_else():
    tracked = subprocess.run(["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True).stdout.split()
    if not tracked:
        pytest.skip("no git checkout")
    needed = {name for name in tracked if name.startswith(("bin/", "configs/", "src/"))}
    needed |= {"docker/init.py", "requirements.txt"}
    assert {name for name in tracked if not ignored(name)} == needed


def test_a_strict_umask_of_the_checkout_does_not_matter():
    from_checkout = [
        line for line in DOCKERFILE.splitlines() if line.startswith(("COPY", "ADD")) and "--from" not in line
    ]
    assert from_checkout
    assert all(re.match(r"COPY --chmod=(755|644) ", line) for line in from_checkout)


def test_the_code_is_the_last_layer():
    """So a build after a change of the code runs nothing again, and checkouts differ in one layer only."""
    layers = [line for line in DOCKERFILE.splitlines() if line.startswith(("RUN", "COPY", "ADD", "WORKDIR"))]
    assert layers[-1] == "COPY --chmod=755 . /app"


def test_developers_tools_are_not_installed():
    text = (ROOT / "requirements.txt").read_text()
    assert "sed '/^# make test/,$d'" in DOCKERFILE
    assert len(re.findall("^# make test", text, re.MULTILINE)) == 1
    run, tools = (set(re.findall(r"^([\w.-]+)==", part, re.MULTILINE)) for part in text.split("\n# make test"))
    notebook = {"nbclient", "ipykernel", "matplotlib"}
    tests = {"pytest", "pytest-xdist", "httpx2", "playwright", "hypothesis"}
    assert tools == tests | notebook | {"ruff", "bandit", "mypy", "types-PyYAML"}
    assert {"torch", "numpy", "timm", "uvicorn", "tensorboard", "fire"} <= run
    imports = "\n".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    assert not re.search(
        r"^\s*(import|from) (pytest|httpx2|playwright|hypothesis|mypy|matplotlib|nbclient)\b", imports, re.MULTILINE
    )


def test_the_image_is_named_with_its_base_and_commit(make):
    words = make("build", "IMAGE=lab/rcic:v1", "BASE=lab/python:3.11", "INDEX=https://lab/simple").stdout.splitlines()
    given = dict(value.split("=", 1) for value in options(words, "--build-arg"))
    git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=40"]
    commit = subprocess.run(git, capture_output=True, text=True).stdout.strip()
    assert given == {"COMMIT": commit, "BASE": "lab/python:3.11", "PIP_EXTRA_INDEX_URL": "https://lab/simple"}
    assert options(words, "--tag") == ["lab/rcic:v1"]
    assert all(f"ARG {name}" in DOCKERFILE for name in given)
    assert "ARG BASE=python:3.11-slim-bookworm" in DOCKERFILE
    assert DOCKERFILE.index("ENV RCIC_COMMIT=${COMMIT}") > DOCKERFILE.index("COPY --chmod=755 . /app")


@pytest.mark.parametrize(("variable", "commit"), [("0123abc", "0123abc"), ("", None), (None, None)])
def test_run_json_names_the_commit_that_the_image_was_built_from(monkeypatch, tmp_path, variable, commit):
    monkeypatch.setattr(run_record, "PACKAGE", tmp_path / "src" / "rcic")  # no checkout
    monkeypatch.delenv("RCIC_COMMIT", raising=False)
    if variable is not None:
        monkeypatch.setenv("RCIC_COMMIT", variable)
    assert run_record.environment()["commit"] == commit


# --- what is run ---


def test_data_is_read_only_and_results_belong_to_the_caller(make, tmp_path):
    words = make("run").stdout.splitlines()
    assert words[:2] == ["run", "--rm"]
    assert mounts(words) == {
        "/data": ["type=bind", f"source={tmp_path}/data", "target=/data", "readonly"],
        "/out": ["type=bind", f"source={tmp_path}/out", "target=/out"],
    }
    assert (tmp_path / "out").is_dir()
    if os.getuid():
        assert options(words, "--user") == [f"{os.getuid()}:{os.getgid()}"]
    assert {"--cap-drop=ALL", "--security-opt=no-new-privileges"} <= set(words)
    assert "--privileged" not in words and "--gpus" not in words and "--publish" not in words
    assert words[-2:] == ["rcic", "bash"]


def test_shared_memory_is_the_containers_own(make):
    words = make("run").stdout.splitlines()
    assert not any(word.startswith("--ipc") for word in words)
    assert options(words, "--shm-size") == ["8g"]
    assert options(make("run", "SHM_SIZE=16g").stdout.splitlines(), "--shm-size") == ["16g"]


@pytest.mark.parametrize("name", ["a:b", "a,b", 'a "b"', "a b", "a'b"])
def test_a_folder_may_have_any_name(make, tmp_path, name):
    (tmp_path / name).mkdir()
    done = make("run", DATA_DIR=f"{tmp_path}/{name}", OUT_DIR=f"{tmp_path}/{name}/out")
    found = mounts(done.stdout.splitlines())
    assert found["/data"] == ["type=bind", f"source={tmp_path}/{name}", "target=/data", "readonly"]
    assert found["/out"][1] == f"source={tmp_path}/{name}/out"


def test_a_missing_data_folder_is_one_line(make, tmp_path):
    done = make("run", DATA_DIR=f"{tmp_path}/nowhere")
    assert done.returncode != 0
    assert done.stderr.splitlines()[0] == f"error: {tmp_path}/nowhere: no such folder; give DATA_DIR=/your/screen"
    assert not (tmp_path / "out").exists()


def test_every_group_of_the_caller_is_passed_on(make, path):
    command_file(path, "id", "case $1 in -u) echo 501 ;; -g) echo 20 ;; -G) echo 20 12 4711 ;; esac")
    words = make("run").stdout.splitlines()
    assert options(words, "--user") == ["501:20"]
    assert options(words, "--group-add") == ["12", "4711"]


def test_with_sudo_results_belong_to_who_called_it(make, path, tmp_path):
    command_file(path, "id", 'case "$*" in -u|-g|-G) echo 0 ;; "-G 501") echo 20 4711 ;; esac')
    command_file(path, "chown", f'printf "%s\\n" "$@" > {tmp_path}/chown')
    words = make("run", OUT_DIR=f"{tmp_path}/new/out", SUDO_UID="501", SUDO_GID="20").stdout.splitlines()
    assert options(words, "--user") == ["501:20"]
    assert options(words, "--group-add") == ["4711"]
    assert (tmp_path / "chown").read_text().splitlines() == ["-R", "501:20", f"{tmp_path}/new"]


def test_sudo_leaves_the_owner_of_a_folder_that_was_there(make, path, tmp_path):
    command_file(path, "chown", f"touch {tmp_path}/chown")
    (tmp_path / "out").mkdir()
    assert make("run", SUDO_UID="501", SUDO_GID="20").returncode == 0
    assert not (tmp_path / "chown").exists()


def test_root_runs_it_as_the_owner_of_the_results(make, path):
    command_file(path, "id", 'case "$*" in -u|-g|-G) echo 0 ;; *) exit 1 ;; esac')
    command_file(path, "stat", 'case "$*" in *%u*) echo 501 ;; *%g*) echo 20 ;; esac')
    words = make("run").stdout.splitlines()
    assert options(words, "--user") == ["501:20"]
    assert options(words, "--group-add") == []


def test_two_runs_of_an_image_with_registry_and_tag_have_names_of_their_own(make):
    image = "lab.example:5000/screens/rcic:v1"
    names = [options(make("run", f"IMAGE={image}").stdout.splitlines(), "--name")[0] for _ in range(2)]
    assert len(set(names)) == 2
    for name in names:
        assert re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", name)
        assert name.startswith("lab.example-5000-screens-rcic-v1-")


@pytest.mark.parametrize(
    "command", ["bash bin/demo.sh", "true && touch here", 'echo "$HOME"; id', "ls | wc -l > 'a b'", "echo $(id)"]
)
def test_a_whole_command_line_runs_in_the_container(make, tmp_path, command):
    for words in (make("run", f"CMD={command}"), make("run", CMD=command)):
        assert words.stdout.splitlines()[-4:] == ["rcic", "bash", "-c", command]
    assert not (ROOT / "here").exists()


def test_a_port_is_published_to_this_computer(make):
    words = make("run", "PORT=8000 0.0.0.0:6006:6006").stdout.splitlines()
    assert options(words, "--publish") == ["127.0.0.1:8000:8000", "0.0.0.0:6006:6006"]


def test_the_browser_answers_to_the_hosts_name(make):
    name = options(make("run").stdout.splitlines(), "--hostname")[0]
    assert name == os.uname().nodename
    assert {name, "localhost", "127.0.0.1"} <= set(allowed_hosts("0.0.0.0"))


@pytest.mark.parametrize(
    ("wish", "driver", "toolkit", "given"),
    [
        ("auto", True, True, ["all"]),
        ("auto", True, False, []),
        ("auto", False, True, []),
        ("none", True, True, []),
        ("all", True, False, ["all"]),
        ("device=1", True, True, ["device=1"]),
    ],
)
def test_gpus(make, path, wish, driver, toolkit, given):
    command_file(path, "nvidia-smi", "echo GPU 0" if driver else "exit 9")
    if toolkit:
        command_file(path, "nvidia-ctk", "exit 0")
    done = make("run", f"GPUS={wish}")
    assert options(done.stdout.splitlines(), "--gpus") == given
    assert ("runs on the CPU" in done.stderr) == (wish == "auto" and driver and not toolkit)


RUNNING = """
case $1 in
  ps) printf "%s\\n" "$@" > {calls}; printf "{ids}" ;;
  *) printf "%s\\n" "$@" ;;
esac
"""


def test_stop_gives_every_container_a_minute(make, path, tmp_path):
    command_file(path, "docker", RUNNING.format(calls=tmp_path / "ps", ids="abc\\ndef\\n"))
    words = make("stop", "IMAGE=lab/rcic:v1").stdout.splitlines()
    assert words == ["stop", "--time", "60", "abc", "def"]
    filters = options((tmp_path / "ps").read_text().splitlines(), "--filter")
    assert filters == ["label=rcic.image=lab/rcic:v1", f"label=rcic.caller={os.getuid()}"]
    labels = options(make("run", "IMAGE=lab/rcic:v1").stdout.splitlines(), "--label")
    assert [f"label={label}" for label in labels] == filters


def test_exec_takes_the_newest_or_the_named(make, path, tmp_path):
    command_file(path, "docker", RUNNING.format(calls=tmp_path / "ps", ids="abc\\ndef\\n"))
    words = make("exec", "NAME=rcic-7").stdout.splitlines()
    assert words == ["exec", "--interactive", "--tty", "abc", "bash"]
    assert options((tmp_path / "ps").read_text().splitlines(), "--filter")[-1] == "name=^/?rcic-7$"


@pytest.mark.parametrize("target", ["stop", "exec"])
def test_nothing_to_stop_is_one_line(make, path, target):
    command_file(path, "docker", "exit 0")
    done = make(target)
    assert done.returncode != 0
    assert done.stderr.splitlines()[0] == "error: no container of yours is running from rcic; make run starts one"


# --- process 1 ---

TRAINING = """
import signal, sys, time
def stop(*_):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(0.3)
    open(sys.argv[1] + ".stopped", "w").close()
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
open(sys.argv[1], "w").close()
time.sleep(60)
"""


def init(*command: str | Path, namespace: bool = False, **more: object) -> subprocess.Popen[str]:
    """Start the container's process 1 with a command; with a namespace it really is process 1."""
    words = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"] if namespace else []
    words += [sys.executable, "-I", "-S", str(INIT), *(str(word) for word in command)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)


def wait_until(there: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not there():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def may_unshare() -> None:
    """Skip a test where this user can't make a namespace of processes."""
    words = ["unshare", "--pid", "--fork", "--mount-proc", "true"]
    if not shutil.which("unshare") or subprocess.run(words, capture_output=True).returncode:
        pytest.skip("no namespace of processes can be made here")


@pytest.fixture(params=["child", "process 1"])
def namespace(request) -> bool:
    if request.param == "process 1":
        request.getfixturevalue("may_unshare")
    return request.param == "process 1"


def host_pid(process: subprocess.Popen[str], namespace: bool) -> int:
    """Return the process id of init itself, a child of unshare."""
    if not namespace:
        return process.pid
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    wait_until(lambda: bool(children.read_text().split()))
    return int(children.read_text().split()[0])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_reaches_the_trainings_below_a_shell_and_waits_for_them(tmp_path, namespace, number):
    (tmp_path / "training.py").write_text(TRAINING)
    script = tmp_path / "stage.sh"
    script.write_text(
        f"{sys.executable} training.py one & bash -c '{sys.executable} training.py two; true'; touch next; wait"
    )
    process = init("bash", script, namespace=namespace, cwd=tmp_path, stdin=subprocess.DEVNULL)
    wait_until(lambda: (tmp_path / "one").exists() and (tmp_path / "two").exists())
    os.kill(host_pid(process, namespace), number)
    process.communicate(timeout=20)
    assert (tmp_path / "one.stopped").exists() and (tmp_path / "two.stopped").exists()
    assert not (tmp_path / "next").exists()
    if not namespace:  # unshare has an exit code of its own
        assert process.returncode == 128 + number


def test_what_a_command_leaves_in_the_background_is_ended_too(tmp_path, may_unshare):
    (tmp_path / "training.py").write_text(TRAINING)
    script = f"{sys.executable} training.py one & while [ ! -e one ]; do sleep 0.02; done; exit 5"
    process = init("bash", "-c", script, namespace=True, cwd=tmp_path, stdin=subprocess.DEVNULL)
    process.communicate(timeout=20)
    assert process.returncode == 5
    assert (tmp_path / "one.stopped").exists()


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    ours, theirs = os.openpty()
    yield ours, theirs
    os.close(ours)
    os.close(theirs)


def test_a_shell_at_its_prompt_does_not_hold_up_the_end(tmp_path, terminal):
    ours, theirs = terminal
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", str(INIT), "bash", "--norc", "-i"],
        cwd=tmp_path,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.write(ours, b"touch typed\n")
    wait_until(lambda: (tmp_path / "typed").exists())
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 143
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(("command", "code"), [("exit 3", 3), ("kill -9 $$", 137), ("true", 0)])
def test_the_exit_code_is_the_commands(tmp_path, command, code):
    process = init("bash", "-c", command, cwd=tmp_path)
    process.communicate(timeout=20)
    assert process.returncode == code


def test_a_command_that_there_is_not(tmp_path):
    process = init("no-such-command", cwd=tmp_path)
    assert process.communicate(timeout=20) == ("", "error: no-such-command: No such file or directory\n")
    assert process.returncode == 127


def test_default_outputs_land_in_the_folder_of_results(tmp_path):
    """The program is typed as in a checkout (`python src/data.py`), and csv/ lies in the working directory."""
    for _ in range(2):
        process = init("bash", "-c", "test -f src/train.py -a -f bin/demo.sh && mkdir -p csv/audit", cwd=tmp_path)
        assert process.communicate(timeout=20) == ("", "")
        assert process.returncode == 0
    assert {name: (tmp_path / name).readlink() for name in ("bin", "configs", "src")} == {
        name: ROOT / name for name in ("bin", "configs", "src")
    }
    assert (tmp_path / "csv" / "audit").is_dir()
    lines = DOCKERFILE.splitlines()
    assert lines.index("WORKDIR /out") < lines.index('ENTRYPOINT ["python3", "-I", "-S", "/app/docker/init.py"]')


def test_a_checkout_is_no_folder_of_results(tmp_path):
    (tmp_path / "src").mkdir()
    process = init("true", cwd=tmp_path)
    said = process.communicate(timeout=20)[1]
    assert said == f"error: {tmp_path}/src: is not the container's; give OUT_DIR a folder for results only\n"
    assert process.returncode == 127


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_of_results_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "out").mkdir(mode=0o555)
    process = init("true", cwd=tmp_path / "out")
    said = process.communicate(timeout=20)[1]
    assert said == f"error: {tmp_path}/out: cannot be written (Permission denied); give OUT_DIR=/a/folder/of/yours\n"
    assert process.returncode == 127


# --- docker/try.sh ---


def test_without_an_engine_the_try_is_skipped_with_a_reason(path):
    command_file(path, "docker", "exit 1")
    environment = os.environ | {"PATH": f"{path}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", str(ROOT / "docker" / "try.sh")], env=environment, capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stdout) == (0, "skipped: no Docker engine answers\n")


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="no shellcheck")
def test_the_scripts_pass_shellcheck():
    scripts = sorted(str(path) for path in (ROOT / "docker").glob("*.sh"))
    done = subprocess.run(["shellcheck", "-x", "-P", str(ROOT / "docker"), *scripts], capture_output=True, text=True)
    assert done.stdout == ""


@pytest.mark.slow
def test_the_real_container():
    command = ["bash", str(ROOT / "docker" / "try.sh"), *filter(None, [os.environ.get("BASE")])]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    print(done.stdout)
    if done.stdout.startswith("skipped:"):
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0
