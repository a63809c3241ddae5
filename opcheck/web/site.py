"""The addresses of `opcheck serve`."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from opcheck.language import say
from opcheck.web.exercise import SAVE
from opcheck.web.guard import LARGEST_BODY
from opcheck.web.reply import INSIDE, PLAIN, Reply, sentence
from opcheck.web.workroom import Workroom

STATIC = {"style.css": "text/css; charset=utf-8", "edit.js": "text/javascript; charset=utf-8",
          "ask.js": "text/javascript; charset=utf-8", "copy.js": "text/javascript; charset=utf-8"}  # fmt: skip
ASKED = ("explain", "form", "page", "data", "practice", "learn")  # answered about what their address names

LENIENT = "handling=lenient"  # a form asks so: what is impossible is no error there, which a browser would report


class TooLong(Exception):
    """More was sent than an answer may have."""


def site(room: Workroom) -> Starlette:
    """The application behind the guard."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        beginning = asyncio.create_task(room.begin())
        yield
        beginning.cancel()
        room.close()

    routes = [
        Route("/", _answering(room, "home")),
        Route("/static/{name}", _static),
        *(Route(f"/{what}/{{name}}", _answering(room, what)) for what in ASKED),
        *(Route(f"/{what}", _answering(room, what)) for what in ("trace", "practice", "learn")),
        *(Route(f"/traced/{what}", _answering(room, f"traced-{what}")) for what in ("form", "page")),
        *(Route(f"/{what}/{{name}}/answer", _judging(room, what), methods=["POST"]) for what in ("practice", "learn")),
    ]

    async def missing(request: Request, error: Exception) -> Response:
        if "text/html" in request.headers.get("accept", "") and request.method == "GET":
            return _response(await room.ask("missing", "", ()))
        return _response(sentence(getattr(error, "status_code", 404), say("There is no such page.")))

    handlers: Any = {404: missing, 405: missing}
    return Starlette(routes=routes, lifespan=lifespan, exception_handlers=handlers)


def _answering(room: Workroom, what: str) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        query = request.query_params
        saved = what in INSIDE and query.get(SAVE) == "1"
        pairs = [(name, text) for name, text in query.multi_items() if name != SAVE]
        found = await room.ask(what, request.path_params.get("name", ""), pairs, request.is_disconnected)
        if found.status == 400 and request.headers.get("prefer") == LENIENT:
            found = found._replace(status=200)
        return _response(found, request.path_params.get("name", what.partition("-")[0]) if saved else "")

    return endpoint


def _judging(room: Workroom, what: str) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        try:
            body = (await _body(request)).decode()
        except (ClientDisconnect, UnicodeDecodeError):
            return _response(sentence(400, say("An answer must be text.")))
        except TooLong:
            return _response(sentence(413, say("An answer has at most {n} characters.", n=LARGEST_BODY)))
        pairs = [("body", body)]
        return _response(await room.ask(f"{what}-answer", request.path_params["name"], pairs, request.is_disconnected))

    return endpoint


async def _body(request: Request) -> bytes:
    """What was sent, as far as it may go: its length is not always said beforehand."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_BODY:
            raise TooLong
    return body


def _response(found: Reply, saved: str = "") -> Response:
    headers = {"content-type": found.kind}
    if saved and found.status == 200:
        headers["content-disposition"] = f'attachment; filename="{saved}.html"'
    return Response(found.text, found.status, headers)


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in STATIC:
        return _response(Reply(404, PLAIN, say("There is no such page.")))
    text = files("opcheck.web").joinpath("static", name).read_text(encoding="utf-8")
    return Response(text, headers={"content-type": STATIC[name]})
