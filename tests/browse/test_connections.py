"""Clients that keep the server waiting: it waits no longer than it was told, and answers the others."""

import http.client
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rcic.browse.connections import QuietServer, web_server
from rcic.browse.serve import listen

LARGE = 30_000_000  # bytes: more than the system's buffers hold
HALF = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
Start = Callable[[float, int], tuple[int, QuietServer]]


def app() -> Starlette:
    def small(_: Request) -> Response:
        return Response(b"small")

    def large(_: Request) -> Response:
        return Response(bytes(LARGE))

    return Starlette(routes=[Route("/", small), Route("/large", large)])


@pytest.fixture
def start() -> Iterator[Start]:
    """Return a function that starts a server with patience and a limit, and returns its port and itself."""
    with ExitStack() as ends:

        def started(patience: float, most: int) -> tuple[int, QuietServer]:
            listener = ends.enter_context(listen("127.0.0.1", 0))
            server = web_server(app(), patience, most)
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
            thread.start()
            ends.callback(thread.join, 10)
            ends.callback(setattr, server, "should_exit", True)
            return listener.getsockname()[1], server

        yield started


def answer(port: int, path: str = "/") -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
        return response.read()


def connected(port: int, sent: bytes) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=5)
    client.sendall(sent)
    return client


def is_ended(client: socket.socket) -> bool:
    """Tell whether the server has closed a connection, reading what it sent before."""
    try:
        while client.recv(2**20):
            pass
    except ConnectionResetError:
        pass
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize("sent", [b"", HALF, HALF + b"Content-Length: 9\r\n\r\nabc"], ids=["nothing", "half", "body"])
def test_a_request_that_does_not_come_is_not_waited_for(start, sent):
    port, _ = start(0.3, 10)
    began = time.monotonic()
    with connected(port, sent) as client:
        assert is_ended(client) and time.monotonic() - began < 3


def test_a_request_that_comes_byte_by_byte_is_not_waited_for(start):
    port, _ = start(0.3, 10)
    began = time.monotonic()
    with connected(port, HALF) as client, pytest.raises(OSError):
        while time.monotonic() - began < 5:
            client.sendall(b"X")
            time.sleep(0.02)
    assert time.monotonic() - began < 3


def test_a_client_that_reads_nothing_is_not_waited_for(start):
    port, server = start(0.3, 10)
    with connected(port, b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n"):
        wait_for(lambda: len(server.server_state.connections) == 1)
        wait_for(lambda: not server.server_state.connections)
    assert len(answer(port, "/large")) == LARGE


def test_a_client_that_sends_and_reads_nothing_is_not_waited_for(start):
    port, _ = start(0.3, 10)
    began = time.monotonic()
    with connected(port, b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n") as client, pytest.raises(OSError):
        while time.monotonic() - began < 5:
            client.sendall(b"X")
            time.sleep(0.02)
    assert time.monotonic() - began < 3


def wait_for(happened: Callable[[], bool]) -> None:
    until = time.monotonic() + 5
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_those_that_wait_make_room_for_new_ones(start):
    port, server = start(60, 10)
    with ExitStack() as held:
        clients = [held.enter_context(connected(port, HALF)) for _ in range(50)]
        for _ in range(3):
            assert answer(port) == b"small"
        assert is_ended(clients[0])
        wait_for(lambda: len(server.server_state.connections) <= 10)


def test_a_connection_is_used_again(start):
    port, _ = start(5, 1)
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    for _ in range(3):
        client.request("GET", "/")
        assert client.getresponse().read() == b"small"
    client.close()


def test_clients_that_break_off_or_talk_nonsense_print_nothing(start, capfd):
    port, _ = start(5, 20)
    for sent in (
        b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n" * 9,
    ):
        for _ in range(20):
            connected(port, sent).close()
    assert answer(port) == b"small"
    assert capfd.readouterr() == ("", "")
