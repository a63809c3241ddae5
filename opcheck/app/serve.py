"""`opcheck serve`: interactive pages in a browser on this machine."""

import importlib.util
import signal
import socket
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click

from opcheck.app import completion
from opcheck.errors import CouldNotRun, Refused
from opcheck.language import say

PORT = 8265
EVERYWHERE = ("0.0.0.0", "::")
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@click.command(
    "serve",
    help="Interactive pages in a browser: every operator, traces, lessons and practice.\n\nFILE.py:NAME adds your own "
    "programs, operators and functions of numbers. Only this machine can connect; Ctrl-C stops the server.\n\n"
    "Try: opcheck serve --open",
)
@click.argument("programs", nargs=-1, metavar="[FILE.py:NAME ...]", shell_complete=completion.files)
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="0 picks any free port.")
@click.option("--host", default="127.0.0.1", show_default=True,
              help="Address to listen on; any but the default lets other machines connect.")  # fmt: skip
@click.option(
    "--seconds", type=click.FloatRange(0.1, 3600), default=10.0, show_default=True, help="How long one page may take."
)
@click.option("--open", "opens", is_flag=True, help="Open it in a browser.")
def command(programs: tuple[str, ...], port: int, host: str, seconds: float, opens: bool) -> None:
    missing = [name for name in ("starlette", "uvicorn") if importlib.util.find_spec(name) is None]
    if missing:
        raise CouldNotRun(say("opcheck serve needs {names}: pip install 'opcheck[web]'", names=", ".join(missing)))
    from opcheck.web import named
    from opcheck.web.server import listen, serve

    for place in programs:
        with within(seconds, place):
            named.read(place)  # a fault is reported here and not on a page

    at = listen(host, port)
    port = at.getsockname()[1]

    def ready() -> None:
        for line in announced(host, port):
            click.echo(line, err=True)
        if opens:
            webbrowser.open(address_of(host, port))

    serve(host, at, programs, seconds, ready)


def announced(host: str, port: int) -> Iterator[str]:
    """Where the pages are, and who can open them."""
    yield say("opcheck: {address} (Ctrl-C stops it)", address=address_of(host, port))
    if host in LOOPBACK:
        return
    for each in own_numbers() if host in EVERYWHERE else ():
        yield say("From other machines: {address}", address=address_of(each, port))
    yield say("Everybody in the network can open this, use this machine's processor and add to your progress.")


def address_of(host: str, port: int) -> str:
    """What a browser opens."""
    name = "localhost" if host in EVERYWHERE else host
    return f"http://{f'[{name}]' if ':' in name else name}:{port}/"


def own_numbers() -> list[str]:
    """The numbers under which other machines of the network may find this one: that of the way out, which is only
    looked up and not used, and those of its own name."""
    found: list[str] = []
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
        way.connect(("192.0.2.1", 9))  # a place that is none (RFC 5737); nothing is sent
        found.append(way.getsockname()[0])
    with suppress(OSError):
        found += [str(each[4][0]) for each in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)]
    return [each for each in dict.fromkeys(found) if not each.startswith("127.")]


class _Late(BaseException):
    """It takes too long: no error that a program may catch."""


@contextmanager
def within(seconds: float, place: str) -> Iterator[None]:
    """Raises Refused if a program that is tried does not end, where the system has a clock for that."""

    def late(*_: Any) -> None:
        raise _Late

    if not hasattr(signal, "setitimer"):
        yield
        return
    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except _Late:
        raise Refused(say("{place} does not end within {n} s", place=place, n=f"{seconds:g}"),
                      fix=say("--seconds gives it longer")) from None  # fmt: skip
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
