"""Users' code: the objects at FILE.py:NAME or module:NAME. A file is run once for each version of it."""

import dis
import importlib
import importlib.util
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

from opcheck.errors import Refused, told
from opcheck.language import say

HOME = Path(__file__).parent
_LOADING = threading.Lock()


def is_place(text: str) -> bool:
    """Whether this has the form FILE.py:NAME or module:NAME.

    >>> is_place("kernels.py:relu"), is_place("torch:compile"), is_place("relu")
    (True, True, False)
    """
    where, colon, name = text.rpartition(":")
    return bool(where and colon and name)


def find(place: str) -> Any:
    """The object at FILE.py:NAME or module:NAME; raises Refused."""
    where, _, name = place.rpartition(":")
    home = load_file(Path(where)) if where.endswith(".py") else _import(where)
    found = home
    for part in name.split("."):
        if not hasattr(found, part):
            near = ", ".join(sorted(n for n, v in vars(home).items() if callable(v) and not n.startswith("_"))[:10])
            raise Refused(
                say("{where} has no {name}", where=where, name=part),
                fix=say("it has {near}", near=near) if near else "",
            )
        found = getattr(found, part)
    return found


def load_file(path: Path) -> Any:
    """A Python file as a module, once for each version of the file; an exception in its code becomes one message."""
    if not path.is_file():
        raise Refused(say("there is no file {path}", path=path))
    written = path.stat()
    name = f"opcheck_candidate_{abs(hash((path.resolve(), written.st_mtime_ns, written.st_size)))}"
    with _LOADING:  # a module that another thread is still executing lacks names
        if name not in sys.modules:
            _execute(name, path)
        return sys.modules[name]


def _execute(name: str, path: Path) -> None:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(path.resolve().parent))  # so that it finds its neighbours, as when it is run
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, KeyboardInterrupt) and not _raised_by_itself(error):
            raise
        line = line_of(error)
        message = error.msg if isinstance(error, SyntaxError) else told(error)
        got = ": ".join(filter(None, (type(error).__name__, message))) + (f" ({line})" if line else "")
        raise Refused(say("{path} cannot be run", path=path), got=got) from None
    finally:
        sys.path.remove(str(path.resolve().parent))


def _raised_by_itself(error: BaseException) -> bool:
    """Whether a `raise` of the code is where it comes from, and no Ctrl-C, which may come at any other place."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_code.co_code[trace.tb_lasti] == dis.opmap["RAISE_VARARGS"]


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise Refused(say("cannot import {name}", name=name), got=str(error)) from None


def line_of(error: BaseException) -> str:
    """The line of the user's code that led to an error; empty if there is none."""
    if isinstance(error, SyntaxError) and error.filename:
        line = (error.text or "").strip()
        return say("{file} line {n}: {line}", file=Path(error.filename).name, n=error.lineno, line=line)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__)
              if HOME not in Path(frame.filename).parents and not frame.filename.startswith("<frozen")]  # fmt: skip
    if not frames:
        return ""
    last = frames[-1]
    return say("{file} line {n}: {line}", file=Path(last.filename).name, n=last.lineno, line=last.line or "")
