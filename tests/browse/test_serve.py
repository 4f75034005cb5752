"""The command: what it refuses before any work, what it prints, how it ends."""

import os
import re
import resource
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from rcic.browse.browse_options import BrowseOptions
from rcic.browse.serve import BrowserSources, gather, listen, url_of
from rcic.errors import UserError
from tests.program import SRC, Program


@pytest.fixture
def program(capsys) -> Program:
    return Program(capsys)


@pytest.fixture
def taken() -> Iterator[int]:
    """Return a port that another program listens on."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def test_a_port_in_use_is_told_before_anything_is_read(program, taken, tmp_path):
    said = program.refuse("browse.py", "--data_root", tmp_path / "nothing", "--port", taken)
    assert said == f"port {taken} of 127.0.0.1 is in use by another program; choose another with --port"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--port=99999"], "--port is 99999, must be from 1 to 65535"),
        (["--port=x"], "browse: --port is 'x', must be a whole number"),
        (["--host=nowhere.invalid", "--port=0"], "--host nowhere.invalid: no such address"),
        (["--host=192.0.2.1", "--port=0"], "--host 192.0.2.1: not an address of this computer"),
        (["--prot=1"], "unknown flag --prot; did you mean '--port'?"),
    ],
)
def test_a_flag_that_is_wrong(program, small_screen, words, said):
    assert said in program.refuse("browse.py", "--data_root", small_screen, *words)


def test_the_data_root_must_be_named(program):
    assert "browse: --data_root is missing" in program.refuse("browse.py", "--port=0")


@pytest.mark.parametrize("flag", ["predict_root", "embed_root", "truth", "data_root"])
def test_an_input_that_is_not_there(program, small_screen, tmp_path, flag):
    given = {"data_root": small_screen, "port": 0, flag: tmp_path / "nothing"}
    said = program.refuse("browse.py", *(f"--{name}={value}" for name, value in given.items()))
    assert str(tmp_path / "nothing") in said


def test_the_audit_of_another_screen_is_said_and_not_shown(small_screen, data, tmp_path, capsys):
    (tmp_path / "audit").mkdir()
    (tmp_path / "audit" / "audit.json").write_text("{}")
    browser = gather(BrowserSources(str(small_screen), BrowseOptions(audit_dir=str(tmp_path / "audit"))))
    assert browser.catalogue.findings.empty and not browser.catalogue.bad.any()
    assert "bad images are not marked" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80/"),
        ("localhost", "http://localhost:80/"),
        ("::1", "http://[::1]:80/"),
        ("[::1]", "http://[::1]:80/"),
        ("0.0.0.0", "http://localhost:80/"),
    ],
)
def test_the_address_of_the_page(host, url):
    assert url_of(host, 80) == url


def test_the_listener_is_where_it_was_asked_for(taken):
    with listen("127.0.0.1", 0) as listener:
        address, port = listener.getsockname()
        assert address == "127.0.0.1" and port > 0
        with pytest.raises(UserError, match="in use"):
            listener.listen()
            listen("127.0.0.1", port)
    with pytest.raises(UserError, match="in use"):
        listen("127.0.0.1", taken)


def started(data_root: Path, *words: str, handles: int = 1024) -> tuple[subprocess.Popen[str], str, list[str]]:
    """Start the program, with so many file handles; return it, the page's address and the lines up to it."""

    def prepare() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background job ignores it
        resource.setrlimit(resource.RLIMIT_NOFILE, (handles, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

    command = [sys.executable, str(SRC / "browse.py"), f"--data_root={data_root}", "--port=0", *words]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        start_new_session=True,
        preexec_fn=prepare,
    )
    lines = []
    for line in process.stdout or ():
        lines.append(line)
        if match := re.match(r"(http://\S+:\d+/)", line):
            return process, match[1], lines
    raise AssertionError("".join(lines))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_serves_until_it_is_ended(small_screen, number, code):
    process, url, _ = started(small_screen)
    try:
        with urllib.request.urlopen(f"{url}api/screen", timeout=20) as answer:
            assert answer.status == 200 and b'"rows":16' in answer.read()
        process.send_signal(number)
        rest = process.communicate(timeout=20)[0]
        assert (process.returncode, rest) == (code, "")
    finally:
        process.kill()


def test_it_answers_while_half_open_connections_are_held(small_screen):
    """With 256 file handles, of which 500 clients that send half of a request would take all."""
    process, url, _ = started(small_screen, handles=256)
    try:
        address = ("127.0.0.1", int(url.rstrip("/").rpartition(":")[2]))
        with ExitStack() as held:
            for _ in range(500):
                held.enter_context(socket.create_connection(address, timeout=20)).sendall(b"GET / HTTP/1.1\r\n")
            with urllib.request.urlopen(f"{url}api/screen", timeout=20) as answer:
                assert answer.status == 200
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=20)[0] == ""
    finally:
        process.kill()


def test_on_the_network_it_says_who_can_see_the_images(small_screen):
    process, url, _ = started(small_screen, "--host=0.0.0.0")
    try:
        assert url.startswith("http://localhost:")
        assert "anyone on the network can see the images" in process.stdout.readline()
        with urllib.request.urlopen(f"{url}api/screen", timeout=20) as answer:
            assert answer.status == 200
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
