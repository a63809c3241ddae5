"""HTTP as uvicorn speaks it, for clients that are slow on purpose: a request must be here within some seconds."""

import asyncio
import json
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from opcheck.language import say

MOST_OPEN = 200  # connections


class Protocol(H11Protocol):
    """Says so, and hangs up, where a request does not come; and where too many connections are open."""

    patience = 10.0  # seconds until a request, with its body, must have come
    deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if len(self.connections) > MOST_OPEN:
            self.hang_up(429, say("Too many connections at once: try again in a moment."))
        else:
            self.deadline = self.loop.call_later(self.patience, self.too_late)

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_no_more()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._wait_no_more()
        elif self.deadline is None:
            self.deadline = self.loop.call_later(self.patience, self.too_late)

    def too_late(self) -> None:
        """The request has not come in time."""
        self.deadline = None
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.hang_up(408, say("The request did not arrive within {n} s.", n=f"{self.patience:g}"))
        else:
            self.transport.close()

    def hang_up(self, status: int, text: str) -> None:
        body = json.dumps({"sentence": text, "field": ""}).encode()
        head = f"HTTP/1.1 {status} \r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        self.transport.write(head.encode() + b"connection: close\r\n\r\n" + body)
        self.transport.close()

    def _wait_no_more(self) -> None:
        if self.deadline is not None:
            self.deadline.cancel()
            self.deadline = None
