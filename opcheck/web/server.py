"""Runs the site until somebody presses Ctrl-C."""

import socket
from collections.abc import Callable, Sequence

import uvicorn

from opcheck.errors import Refused
from opcheck.language import say
from opcheck.web.guard import Guard
from opcheck.web.protocol import Protocol
from opcheck.web.site import site
from opcheck.web.workroom import Workroom

LOOPBACK = "127.0.0.1"


def listen(host: str, port: int) -> socket.socket:
    """A socket at that place; port 0 is any free one. Raises Refused."""
    found = None
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        # asyncio sends what it has at once (TCP_NODELAY) only on sockets that say so: else each answer waits 40 ms
        found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
    except OSError as error:
        if found is not None:
            found.close()
        raise Refused(
            say("cannot listen on {host}:{port}: {reason}", host=host, port=port, reason=error.strerror or error),
            fix=say("--port 0 picks any free port"),
        ) from None
    return found


def serve(host: str, at: socket.socket, programs: Sequence[str], seconds: float, ready: Callable[[], None]) -> None:
    """Answers until it is interrupted, each within `seconds`; `ready` is called when it can."""
    port = at.getsockname()[1]
    names = () if host in (LOOPBACK, "localhost", "::1") else ("*", host, socket.gethostname().lower())
    application = Guard(site(Workroom(programs, time=seconds)), port, names)
    config = uvicorn.Config(
        application, http=Protocol, ws="none", log_level="error", access_log=False, server_header=False,
        date_header=False, proxy_headers=False, timeout_keep_alive=30, h11_max_incomplete_event_size=2**16,
        timeout_graceful_shutdown=2,
    )  # fmt: skip
    Protocol.patience = min(Protocol.patience, seconds)
    server = _Server(config, ready)
    server.run(sockets=[at])


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self.ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready()
