"""The connections of the web server: few, and none that keeps it waiting.

A client that sends nothing, half of a request, or one byte a minute, holds a connection; hundreds of them would take
all file handles, so that no other client is answered. So a client has some seconds for its request and for reading the
response, and when there are too many connections, the one that has been waited for longest makes room for a new one.
"""

import asyncio
import logging
import resource
from collections.abc import Callable
from functools import partial
from socket import socket
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

PATIENCE = 10.0  # seconds for a request, and for reading a part of a response
MOST_CONNECTIONS = 128

_log = logging.getLogger(__name__)


class Connection(H11Protocol):
    """A connection that is closed when its client keeps it waiting for ``patience`` seconds, or makes one too many."""

    def __init__(self, *, patience: float, most: int, **server: Any) -> None:
        super().__init__(**server)
        self.patience, self.most = patience, most
        self.waits_since: float | None = None  # on the loop's clock; None while the server works
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request; end the connection that waits longest if there are too many."""
        super().connection_made(transport)
        self._wait()
        alive = [one for one in self.connections if isinstance(one, Connection) and not one.transport.is_closing()]
        if len(alive) > self.most:
            waiting = [one for one in alive if one.waits_since is not None]  # this one at least
            min(waiting, key=lambda one: one.waits_since or 0.0).transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._work()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Handle what has come; a request that is complete is not waited for."""
        super().handle_events()
        self._go_on()

    def on_response_complete(self) -> None:
        """Wait for the next request, and for the client to read the last part of the response."""
        self._wait()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Wait for the client to read."""
        super().pause_writing()
        self._wait()

    def resume_writing(self) -> None:
        """Go on with the response."""
        super().resume_writing()
        self._go_on()

    def _go_on(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete and not self.flow.write_paused:
            self._work()

    def _wait(self) -> None:
        self._work()
        self.waits_since = self.loop.time()
        self._deadline = self.loop.call_later(self.patience, self.transport.abort)

    def _work(self) -> None:
        self.waits_since = None
        if self._deadline is not None:
            self._deadline.cancel()


class QuietServer(uvicorn.Server):
    """A server that tells a failure of the event loop once, in one line."""

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Begin to listen."""
        asyncio.get_running_loop().set_exception_handler(_told_once())
        await super().startup(sockets)


def web_server(app: Any, patience: float = PATIENCE, most: int = MOST_CONNECTIONS) -> QuietServer:
    """Return the server of an ASGI application, with at most ``most`` connections."""
    most = min(most, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4)
    config = uvicorn.Config(
        app,
        http=partial(Connection, patience=patience, most=most),  # type: ignore[arg-type]
        backlog=most,  # connections that are accepted together
        log_level="error",
        access_log=False,
        server_header=False,
        ws="none",
        lifespan="off",
    )
    config.timeout_graceful_shutdown = 1
    return QuietServer(config)


def _told_once() -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], None]:
    """Return an exception handler for an event loop that logs each message once."""
    told: set[str] = set()

    def handle(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        message = f"warning: {context['message']}: {context.get('exception')}"
        if message not in told:
            told.add(message)
            _log.info(message)

    return handle
