"""`opcheck serve`: interactive pages in a browser on this machine."""

import importlib.util
import signal
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from opcheck import specs
from opcheck.app import completion
from opcheck.errors import CouldNotRun, Refused
from opcheck.language import say

PORT = 8265


@click.command(
    "serve",
    help="Interactive pages in a browser: every operator, traces, lessons and practice.\n\nFILE.py:NAME adds your own "
    "programs and operators. Only this machine can connect; Ctrl-C stops the server.\n\nTry: opcheck serve --open",
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
    for place in programs:
        with within(seconds, place):
            specs.get(place)  # a fault is reported here and not on a page
    from opcheck.web.server import listen, serve

    at = listen(host, port)
    name = "localhost" if host == "0.0.0.0" else host
    address = f"http://{f'[{name}]' if ':' in name else name}:{at.getsockname()[1]}/"

    def ready() -> None:
        click.echo(say("opcheck: {address} (Ctrl-C stops it)", address=address), err=True)
        if opens:
            webbrowser.open(address)

    serve(host, at, programs, seconds, ready)


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
