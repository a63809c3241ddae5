"""Who may ask: a browser on this machine that is on our own page. Everything else gets one sentence and a 4xx.

A page of somebody else's can make a browser ask us, under a name that it makes point here (DNS rebinding) or with a
form; so the Host must be ours, and the Origin, where a browser says one. There are no cookies and no secrets.
"""

import ipaddress
import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from opcheck.language import say

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

LONGEST_ADDRESS = 16 * 1024  # bytes
LARGEST_BODY = 8 * 1024
MOST_FIELDS = 64
DRAINED = 2**20  # bytes of a body that is not wanted
PER_SECOND, AT_ONCE = 400.0, 800.0  # requests
OURS = ("localhost", "127.0.0.1", "[::1]")
SHELL = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; frame-src 'self'; "
    "img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
PAGE = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; font-src data:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)  # a page of a calculation: its own script, and no request to anywhere
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}


class Guard:
    """The application behind it is asked only what it may be asked. `anywhere`: other machines may ask, too."""

    def __init__(self, application: Application, port: int, names: tuple[str, ...] = ()) -> None:
        self.application, self.port, self.names = application, port, (*OURS, *names)
        self.allowance, self.since = AT_ONCE, time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.application(scope, receive, send)
            return
        found = self.objection(scope)
        if found is not None:
            await _drained(receive)
            await refuse(send, *found)
            return
        await self.application(scope, receive, _secured(scope["path"], send))

    def objection(self, scope: Scope) -> tuple[int, str] | None:
        """Why this request is not answered, if it is not."""
        headers: dict[str, str] = {}
        for name, value in scope["headers"]:
            headers[name.decode("latin-1")] = value.decode("latin-1")
        if not self.is_ours(headers.get("host", "")):
            return 403, say("This server only answers under its own address: open the one that the terminal printed.")
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2].lower() != headers["host"].lower():
            return 403, say("Another site sent this, and this server only answers its own pages.")
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and not _opens_a_page(headers):
            return 403, say("Another site sent this, and this server only answers its own pages.")
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return 405, say("Pages can only be requested with GET.")
        if scope["method"] == "POST" and (origin is None or headers.get("content-type") != "application/json"):
            return 403, say("An answer can only be sent from the page that asked for it.")
        if len(scope["raw_path"]) + len(scope["query_string"]) > LONGEST_ADDRESS:
            return 414, say("This address is too long: give a large array as a shape, such as 28x28.")
        if scope["query_string"].count(b"&") >= MOST_FIELDS:
            return 400, say("This address has more than {n} fields.", n=MOST_FIELDS)
        if _size(headers.get("content-length", "0")) > LARGEST_BODY:
            return 413, say("An answer has at most {n} characters.", n=LARGEST_BODY)
        if not self._is_in_time():
            return 429, say("Too many requests at once: try again in a moment.")
        return None

    def is_ours(self, host: str) -> bool:
        """Whether a browser that says this name can only mean us: a number, or our own name."""
        name, _, port = host.rpartition(":") if not host.endswith("]") and ":" in host else (host, "", "80")
        if port != str(self.port):
            return False
        return name.lower() in self.names or ("*" in self.names and _is_number(name))

    def _is_in_time(self) -> bool:
        now = time.monotonic()
        self.allowance = min(AT_ONCE, self.allowance + (now - self.since) * PER_SECOND)
        self.since = now
        if self.allowance < 1:
            return False
        self.allowance -= 1
        return True


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _opens_a_page(headers: dict[str, str]) -> bool:
    """Whether somebody followed a link to us: links are exercises, and a teacher's page may have them."""
    return headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"


def _size(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else LARGEST_BODY + 1


def _secured(path: str, send: Send) -> Send:
    """Adds to an answer what a browser should know about it."""
    headers = {**HEADERS, "content-security-policy": PAGE if path.startswith(("/page/", "/traced/page")) else SHELL}
    more = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def sent(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *more]}
        await send(message)

    return sent


async def _drained(receive: Receive) -> None:
    """Reads what a client has still to send: to hang up before would be all that it sees."""
    read = 0
    while read < DRAINED:
        message = await receive()
        read += len(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body"):
            return


async def refuse(send: Send, status: int, text: str) -> None:
    """One sentence; the connection ends where more of a body may come."""
    body = json.dumps({"sentence": text, "field": ""}).encode()
    length = str(len(body)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", length), (b"connection", b"close")]
    headers += [(name.encode(), value.encode()) for name, value in HEADERS.items()]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
