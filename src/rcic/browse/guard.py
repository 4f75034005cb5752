"""Access control: allowed hosts and response headers.

The page shows a lab's unpublished images, so no other site open in the browser may read them. Only requests to this
machine's own names are answered (a foreign name that resolves to this machine is refused), and the headers of every
response forbid caching, embedding and content sniffing. Nothing is written but notes, by a POST that only the page
itself can make: one of JSON, which another site may not send without asking first, and whose Origin is this server.
"""

import ipaddress
import socket

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
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
    """Return whether a listening address is reachable from this machine only."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def is_everywhere(host: str) -> bool:
    """Return whether a listening address stands for all of this machine's (0.0.0.0 or ::)."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_unspecified
    except ValueError:
        return False


def allowed_hosts(host: str) -> list[str]:
    """Return the host names that a request may be addressed to if the server listens on ``host``.

    On all addresses (0.0.0.0 or ::) they include this machine's name and its addresses.
    """
    names = [*LOCAL, host, f"[{host}]"]
    if is_everywhere(host):
        hostname = socket.gethostname()
        names += [hostname, socket.getfqdn(), *_addresses(hostname)]
    return list(dict.fromkeys(names))


class SafeHeaders:
    """Middleware that adds :data:`HEADERS` to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""

        async def send_with(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self.app(scope, receive, send_with)


def is_own_post(request: Request) -> bool:
    """Return whether a request that writes comes from the page itself, or from a program that is no browser."""
    headers, host = request.headers, request.headers.get("host", "")
    is_json = headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"
    is_ours = headers.get("origin") in (None, f"{request.url.scheme}://{host}")
    return is_json and is_ours and headers.get("sec-fetch-site") in (None, "same-origin")


def _addresses(name: str) -> list[str]:
    """Return a name's addresses, IPv6 in brackets as in a request; none if it has none."""
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(name, None)}
    except OSError:
        return []
    return sorted(f"[{address}]" if ":" in address else address for address in found)
