"""`opcheck serve`: pages with numbers that can be changed, in a browser on this machine."""

import importlib.util
import webbrowser

import click

from opcheck import specs
from opcheck.errors import CouldNotRun
from opcheck.language import say

PORT = 8265


@click.command(
    "serve",
    help="Pages with numbers that can be changed: every operator, traces, lessons and practice.\n\nFILE.py:NAME adds "
    "programs and operators of your own. Nobody but this machine can ask; Ctrl-C ends it.\n\nTry: opcheck serve --open",
)
@click.argument("programs", nargs=-1, metavar="[FILE.py:NAME ...]")
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="0: any free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen; another than the default lets "
              "other machines ask.")  # fmt: skip
@click.option(
    "--seconds", type=click.FloatRange(0.1, 3600), default=10.0, show_default=True, help="How long one answer may take."
)
@click.option("--open", "opens", is_flag=True, help="Open a browser there.")
def command(programs: tuple[str, ...], port: int, host: str, seconds: float, opens: bool) -> None:
    missing = [name for name in ("starlette", "uvicorn") if importlib.util.find_spec(name) is None]
    if missing:
        raise CouldNotRun(say("opcheck serve needs {names}: pip install 'opcheck[web]'", names=", ".join(missing)))
    for place in programs:
        specs.get(place)  # what is wrong with it is said here, and not on a page
    from opcheck.web.server import listen, serve

    at = listen(host, port)
    name = "localhost" if host == "0.0.0.0" else host
    address = f"http://{f'[{name}]' if ':' in name else name}:{at.getsockname()[1]}/"

    def ready() -> None:
        click.echo(say("opcheck: {address} (Ctrl-C ends it)", address=address), err=True)
        if opens:
            webbrowser.open(address)

    serve(host, at, programs, seconds, ready)
