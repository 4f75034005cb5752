"""Who may ask, and what a browser may do with the answers.

The page shows a lab's own images, so nothing else that is open in the browser may read them: only requests to this
machine's own names are answered (a foreign name that was made to point here is refused), only GET, and every answer
says that it is neither kept nor embedded nor taken for anything but what it says it is.
"""

import ipaddress
import socket

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOCAL = ("localhost", "127.0.0.1", "[::1]", "::1")
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def is_local(host: str) -> bool:
    """Tell whether an address to listen on is reached from this machine only."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def is_everywhere(host: str) -> bool:
    """Tell whether an address to listen on is all of this machine's (0.0.0.0 or ::)."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_unspecified
    except ValueError:
        return False


def allowed_hosts(host: str) -> list[str]:
    """Return the names that a request may be addressed to, where ``host`` is listened on.

    On all addresses (0.0.0.0 or ::) also this machine's name and the addresses that the name has.
    """
    names = [*LOCAL, host, f"[{host}]"]
    if is_everywhere(host):
        own = socket.gethostname()
        names += [own, socket.getfqdn(), *_addresses(own)]
    return list(dict.fromkeys(names))


class SafeHeaders:
    """Adds :data:`HEADERS` to every answer of an application."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""

        async def send_with(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self.app(scope, receive, send_with)


def _addresses(name: str) -> list[str]:
    """Return a name's addresses, the longer kind in brackets as a request has it; none if it has none."""
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(name, None)}
    except OSError:
        return []
    return sorted(f"[{address}]" if ":" in address else address for address in found)
