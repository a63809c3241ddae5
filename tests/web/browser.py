"""Chromium without a window, driven through its debugging pipe: real clicks and keys, on pages of a real server."""

import base64
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.render.browser import BROWSER, FLAGS


class Browser:
    """One window. `do(expression)` evaluates JavaScript and waits for a promise; `until` waits for a condition."""

    def __init__(self, directory: Path, *flags: str) -> None:
        theirs_in, self.out = os.pipe()
        self.answers, theirs_out = os.pipe()
        command = [
            str(BROWSER),
            *FLAGS,
            *flags,
            "--remote-debugging-pipe",
            f"--user-data-dir={directory}",
            "about:blank",
        ]

        def connect() -> None:
            a, b = os.dup(theirs_in), os.dup(theirs_out)
            os.dup2(a, 3)
            os.dup2(b, 4)

        self.process = subprocess.Popen(command, close_fds=False, preexec_fn=connect,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        self.number, self.pending, self.session = 0, b"", ""
        self.expired = 0  # budgets of virtual time
        self.messages: list[str] = []  # of the console
        self.requests: list[str] = []
        self._attach()

    def _attach(self) -> str:
        self.session = ""
        target: str = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        return target

    @contextmanager
    def tab(self) -> "Iterator[Browser]":
        """Another tab for a while."""
        before, target = self.session, self._attach()
        try:
            yield self
        finally:
            self.session = ""
            self.call("Target.closeTarget", targetId=target)
            self.session = before

    def pass_time(self, milliseconds: int) -> None:
        """Lets virtual time pass, in which timers run."""
        awaited = self.expired + 1
        self.call("Emulation.setVirtualTimePolicy", policy="advance", budget=milliseconds)
        while self.expired < awaited:
            self._next()

    def call(self, method: str, **params: Any) -> Any:
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        while True:
            found = self._next()
            if found.get("id") == self.number:
                assert "error" not in found, found
                return found["result"]

    def _next(self) -> Any:
        while b"\0" not in self.pending:
            more = os.read(self.answers, 2**16)
            assert more, "the browser is gone"
            self.pending += more
        line, _, self.pending = self.pending.partition(b"\0")
        found = json.loads(line)
        match found.get("method"):
            case "Runtime.consoleAPICalled" | "Runtime.exceptionThrown" | "Log.entryAdded":
                self.messages.append(json.dumps(found["params"])[:500])
            case "Emulation.virtualTimeBudgetExpired":
                self.expired += 1
            case "Network.requestWillBeSent":
                self.requests.append(found["params"]["request"]["url"])
        return found

    def open(self, address: str, width: int = 1280, height: int = 900) -> None:
        self.resize(width, height)
        self.call("Page.navigate", url=address)
        self.until("document.readyState === 'complete'")

    def resize(self, width: int, height: int = 900) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def do(self, expression: str) -> Any:
        found = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def until(self, condition: str, seconds: float = 30.0) -> Any:
        end = time.monotonic() + seconds
        while not (found := self.do(condition)):
            assert time.monotonic() < end, condition
            time.sleep(0.02)
        return found

    def type(self, selector: str, text: str) -> None:
        """Puts the text in a field as a person does: selects what is there, and types."""
        self.do(f"(() => {{ const e = document.querySelector({selector!r}); e.focus(); e.select?.(); }})()")
        self.call("Input.insertText", text=text)

    def press(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, **text)

    def picture(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.out)
        os.close(self.answers)
