"""The process in which a stranger's code runs: it loads one module, carries out steps, and sends back plain values.

It knows no expected result and imports nothing of ours but the wire and its neighbours. Whatever the code here does to
this process, the other end sees a message that decodes to plain arrays, or a process that ended. `confine` starts it.
A class has hundreds of workers, so what numpy does not import itself is worth a thought: pathlib and random are not.
"""

import faulthandler
import functools
import importlib
import importlib.machinery
import os
import sys
import types
from collections.abc import Callable, Sequence
from contextlib import suppress
from fcntl import F_DUPFD_CLOEXEC, fcntl
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from opcheck.sandbox.inside import cells, loading, naming, places, wire
else:
    import cells
    import loading  # neighbours on disk: the rest of the package is not visible here
    import naming
    import places
    import wire

TEXT_LIMIT = 2_000
NOT_A_NOTEBOOK = "no notebook"  # no exception has a space in its name
LOADED = "module"  # what the loaded module is called in a place: "module.conv2d"; those of other files "module1", ...
NOTEBOOK = ".ipynb"


class Channel:
    """The private pipe: descriptors at unguessable numbers, and a nonce that every reply must carry."""

    def __init__(self, requests: int, replies: int) -> None:
        self._requests = _hide(requests)
        self._replies = _hide(replies)
        self._owner = os.getpid()
        self._nonce: wire.Value = None

    def receive(self) -> dict[str, Any]:
        request = wire.receive(self._read, limit=1 << 62)  # the other end is trusted
        assert isinstance(request, dict)
        self._nonce = request.pop("nonce")
        return request

    def send(self, reply: dict[str, wire.Value], limit: int) -> None:
        if os.getpid() != self._owner:
            os._exit(0)  # a fork of the worker that came back from the call: only one may answer
        reply = {"nonce": self._nonce, **reply}
        try:
            message = wire.encode(reply, limit)
        except wire.WireError as error:
            message = wire.encode({"nonce": self._nonce, "status": "malformed", "error": _report("result", str(error))})
        rest = memoryview(message)
        while rest:
            rest = rest[os.write(self._replies, rest) :]

    def _read(self, size: int) -> bytearray:
        data = bytearray()
        while len(data) < size:
            part = os.read(self._requests, min(size - len(data), 1 << 20))
            if not part:
                os._exit(0)  # nobody asks any more
            data += part
        return data


def _hide(descriptor: int) -> int:
    somewhere = 32 + int.from_bytes(os.urandom(4), "little") % 168
    copy: int = fcntl(descriptor, F_DUPFD_CLOEXEC, somewhere)
    os.close(descriptor)
    return copy


class Hidden:  # importlib.abc.MetaPathFinder is no more than its method
    """Says clearly that a module is not available; that its files cannot be read is the launcher's doing."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = frozenset(names)

    def find_spec(self, name: str, path: object = None, target: object = None) -> importlib.machinery.ModuleSpec | None:
        if name.partition(".")[0] in self._names:
            raise ModuleNotFoundError(f"{name} is not available here", name=name)
        return None


class Refused:  # in place of Python's own PathFinder
    """Finds modules but installed ones that are not allowed: they are not there, for find_spec either. A submission's
    own file of such a name is the submission's."""

    def __init__(self, names: Sequence[str], installed: Sequence[str]) -> None:
        self._names, self._installed = frozenset(names), frozenset(installed)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if path is None and name in self._names:
            path = [folder for folder in sys.path if folder not in self._installed]
        return importlib.machinery.PathFinder.find_spec(name, path, target)


class Session:
    """The loaded module and the values that earlier steps kept."""

    def __init__(self) -> None:
        self._kept: dict[str, Any] = {}
        self._root = ""
        self._notebooks: dict[str, cells.Module] = {}  # by the file that each is

    def load(self, request: dict[str, Any]) -> dict[str, wire.Value]:
        """The module and what it defines; `others` tells the same of the other files of a folder."""
        self._kept.clear()
        self._root = _path(request["root"]) if "root" in request else ""
        if "module" in request:
            return self._reported(LOADED, lambda told: (importlib.import_module(request["module"]), None))
        files = [_path(request["file"]), *map(_path, request["others"])]
        if request["whole"]:
            naming.open_folder(self._root, files)
        elif self._root == "/submission":  # elsewhere, what lies beside a lone file is not part of it
            sys.path.insert(naming.behind_the_standard_library(), self._root)
        reply = self._reported(LOADED, functools.partial(self._executed, request, files[0]))
        later = {**request, "source": None}
        others: list[wire.Value] = [
            self._reported(f"{LOADED}{number}", functools.partial(self._executed, later, file))
            for number, file in enumerate(files[1:], start=1)
        ]
        return {**reply, "others": others} if others else reply

    def _reported(
        self, name: str, run: Callable[[dict[str, wire.Value]], tuple[types.ModuleType, BaseException | None]]
    ) -> dict[str, wire.Value]:
        """Load one module, keep it under this name, and tell how that went."""
        told: dict[str, wire.Value] = {}
        try:
            module, failure = run(told)
        except cells.NotANotebook as error:
            return {"status": "raised", "error": _report(NOT_A_NOTEBOOK, error.text, error.kind), "names": []}
        except BaseException as error:
            return {**self._failure(error), "names": [], **told}
        self._kept[name] = module
        told["names"] = loading.definitions(module)
        return {"status": "ok", **told} if failure is None else {**self._failure(failure), **told}

    def _executed(
        self, request: dict[str, Any], file: str, told: dict[str, wire.Value]
    ) -> tuple[types.ModuleType, BaseException | None]:
        """The module of a file, and the first failure of its top level."""
        whole, only = request["whole"], request["definitions_only"]
        notebook = file.endswith(NOTEBOOK)
        found = naming.imported(file, self._root) if whole and not only and not notebook else None
        if found is not None:
            return found, None
        source = self._source(request, file, told)
        module = naming.module_of(file, self._root) if whole else naming.alone(file)
        failure = loading.execute(source, file, module, only)
        if whole:
            naming.known_as(module, file, self._root)
        return module, failure

    def _source(self, request: dict[str, Any], file: str, told: dict[str, wire.Value]) -> str | bytes:
        """The text of the submission; of a notebook that of its cells, and in `told` what was left out of them."""
        sent = request.get("source")
        source: bytes = _bytes(file) if sent is None else sent.tobytes()
        if not request.get("notebook") and not (sent is None and file.endswith(NOTEBOOK)):
            return source if sent is None else source.decode("utf-8")
        found = cells.module(source.decode("utf-8-sig", "replace"))
        self._notebooks[file] = found
        told["commands"], told["skipped"] = found.commands, [[*each] for each in found.skipped]
        return found.text

    def run(self, request: dict[str, Any]) -> dict[str, wire.Value]:
        if request["fresh"]:
            self._kept = {name: value for name, value in self._kept.items() if name.startswith(LOADED)}
        values: dict[str, wire.Value] = {}
        reply: dict[str, wire.Value] = {"status": "ok", "values": values}
        for number, step in enumerate(request["steps"]):
            try:
                self._step(step)
            except BaseException as error:
                reply = {**self._failure(error), "step": number, "values": values}
                break
        for name, place in request["want"].items():
            try:
                values[name] = _plain(places.find(place.text, self._kept), request["largest"])
            except BaseException as error:
                if reply["status"] == "ok":
                    reply = {**self._failure(error), "values": values}
        return reply

    def _step(self, step: dict[str, Any]) -> None:
        if step["do"] == "call":
            function = places.find(step["function"], self._kept)
            result = function(*self._filled(step["args"]), **self._filled(step["kwargs"]))
            if step["keep"]:
                self._kept[step["keep"]] = result
        else:
            places.assign(step["place"], self._filled(step["value"]), self._kept)

    def _filled(self, value: Any) -> Any:
        """`value` with each Place in it replaced by what is there."""
        if isinstance(value, wire.Place):
            return places.find(value.text, self._kept)
        if isinstance(value, (list, tuple)):
            return type(value)(self._filled(item) for item in value)
        if isinstance(value, dict):
            return {key: self._filled(item) for key, item in value.items()}
        return value

    def _failure(self, error: BaseException) -> dict[str, wire.Value]:
        if isinstance(error, places.Absent):
            return {"status": "absent", "error": _report("absent", str(error)), "way": [*error.way]}
        if isinstance(error, SystemExit):
            status, text = "exited", f"sys.exit({error.code!r})" if type(error.code) in (int, str) else "sys.exit()"
        else:
            status, text = "raised", ""
            with suppress(BaseException):
                text = str.__str__(error.msg if isinstance(error, SyntaxError) else str(error))
        file, line = self._where(error)
        notebook = self._notebooks.get(file)
        cell, line = notebook.place(line) if notebook is not None else (0, line)
        told = _report(type(error).__name__, text, self._relative(file), line)
        return {"status": status, "error": {**told, "cell": cell}}

    def _where(self, error: BaseException) -> tuple[str, int]:
        """The last line of the submission's own files on the way to the error."""
        if isinstance(error, SyntaxError) and error.filename:
            return str(error.filename), int(error.lineno or 0)
        found = ("", 0)
        traceback = error.__traceback__
        while traceback is not None:
            file = traceback.tb_frame.f_code.co_filename
            if self._root and file.startswith(self._root):
                found = (file, traceback.tb_lineno)
            traceback = traceback.tb_next
        return found

    def _relative(self, file: str) -> str:
        return file[len(self._root) :].lstrip("/") if self._root and file.startswith(self._root) else file


def _forget(folder: str) -> None:
    """Take our own modules out of sight: a submission may have a helper of the same name, such as loading.py."""
    sys.path[:] = [entry for entry in sys.path if entry != folder]
    for name, module in list(sys.modules.items()):
        if name != "__main__" and os.path.dirname(getattr(module, "__file__", None) or "") == folder:
            del sys.modules[name]


def _path(sent: Any) -> str:
    """A path is sent as bytes: a file name need not be UTF-8."""
    return os.fsdecode(sent.tobytes())


def _bytes(file: str) -> bytes:
    with open(file, "rb") as opened:
        return opened.read()


def _report(kind: str, message: str, file: str = "", line: int = 0) -> dict[str, wire.Value]:
    return {"type": kind[:TEXT_LIMIT], "message": message[:TEXT_LIMIT], "file": file[:TEXT_LIMIT], "line": line}


def _plain(value: Any, largest: int, depth: int = 0) -> wire.Value:
    """`value` as what can travel: base-class arrays of up to `largest` bytes and plain values; of anything else a
    description."""
    kind = type(value)
    if value is None or kind in (bool, float) or (kind is int and value.bit_length() <= 1024):
        return value  # type: ignore[no-any-return]
    if kind is str:
        return value[: wire.HEADER_LIMIT // 16]  # type: ignore[no-any-return]
    if isinstance(value, (np.ndarray, np.generic)):
        array = np.array(value, subok=False)
        if array.dtype.newbyteorder("<").str in wire.DTYPES:
            return array if array.nbytes <= largest else wire.Outsized(array.shape)
        return wire.Opaque(f"an array of dtype {array.dtype} and shape {array.shape}"[:TEXT_LIMIT])
    if kind in (list, tuple) and depth < wire.DEPTH_LIMIT:
        return kind(_plain(item, largest, depth + 1) for item in value)  # type: ignore[no-any-return]
    if kind is dict and depth < wire.DEPTH_LIMIT and all(type(key) in (str, int, float, bool) for key in value):
        return {key: _plain(item, largest, depth + 1) for key, item in value.items()}
    if callable(getattr(value, "detach", None)):  # a torch tensor, without importing torch
        tensor = value.detach().cpu()
        with suppress(TypeError):
            return _plain(tensor.numpy(), largest)
        return _plain(tensor.float().numpy(), largest)  # bfloat16, which numpy lacks; float32 holds every value of it
    return wire.Opaque(f"a value of type {kind.__module__}.{kind.__qualname__}"[:TEXT_LIMIT])


def main(requests: int, replies: int, hidden: list[str], refused: list[str]) -> None:
    """Answer requests until the other end closes the pipe. `hidden` names modules that must not be imported, `refused`
    installed ones that are not there for the submission."""
    faulthandler.enable()
    # short of memory, the machine shall end this process and not its parent
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")
    channel = Channel(requests, replies)
    _forget(os.path.dirname(__file__))
    sys.argv = ["submission"]
    if refused:
        place = sys.meta_path.index(importlib.machinery.PathFinder)
        sys.meta_path[place] = Refused(refused, [*sys.path])
    if hidden:
        sys.meta_path.insert(0, Hidden(hidden))
    session = Session()
    serve: dict[str, Callable[[dict[str, Any]], dict[str, wire.Value]]] = {
        "hello": lambda request: {"status": "ok", "numpy": np.__version__},
        "load": session.load,
        "run": session.run,
    }
    while True:
        request = channel.receive()
        reply = serve[request["do"]](request)
        for stream in (sys.stdout, sys.stderr):
            with suppress(BaseException):
                stream.flush()
        channel.send(reply, request["limit"])
