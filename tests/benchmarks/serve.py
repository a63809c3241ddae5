"""How quick `opcheck serve` answers edits, and what ten thousand bad requests leave behind.

python -m tests.benchmarks.serve [--seconds 60] [--bad 10000]
"""

import argparse
import http.client
import json
import random
import re
import socket
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from urllib.parse import quote, urlsplit

EDITS_PER_SECOND = 50


def started() -> tuple[subprocess.Popen[str], str]:
    """A server at a free port, and its address."""
    command = [sys.executable, "-c", "from opcheck.app import main; main()", "serve", "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    found = re.search(r"http://\S+", process.stderr.readline())
    assert found
    return process, found[0]


def edits(address: str, seconds: float) -> list[float]:
    """Milliseconds of different edits of a 4x4 convolution, with its page, 50 a second."""
    place = urlsplit(address)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
    rng, taken = random.Random(0), []
    begun = time.perf_counter()
    for k in range(int(seconds * EDITS_PER_SECOND)):
        time.sleep(max(0.0, begun + k / EDITS_PER_SECOND - time.perf_counter()))
        x = json.dumps([[rng.randint(-99, 99) for _ in range(4)] for _ in range(4)], separators=(",", ":"))
        query = f"input={quote(x)}&stride={rng.randint(1, 2)}&padding={rng.randint(0, 1)}"
        now = time.perf_counter()
        for what in ("form", "page"):  # as the page asks: its fields and its code, then the page
            connection.request("GET", f"/{what}/conv2d?{query}")
            response = connection.getresponse()
            assert response.status == 200, response.read()
            response.read()
        taken.append(1000 * (time.perf_counter() - now))
    connection.close()
    return taken


def trivial(address: str, seconds: float) -> list[float]:
    """Milliseconds of two static files, asked as often: what the machine takes for answers of any kind."""
    place = urlsplit(address)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
    taken = []
    begun = time.perf_counter()
    for k in range(int(seconds * EDITS_PER_SECOND)):
        time.sleep(max(0.0, begun + k / EDITS_PER_SECOND - time.perf_counter()))
        now = time.perf_counter()
        for _ in range(2):
            connection.request("GET", "/static/edit.js")
            connection.getresponse().read()
        taken.append(1000 * (time.perf_counter() - now))
    connection.close()
    return taken


def bad_requests(address: str, count: int, seed: int) -> Counter[int]:
    """How often each status was answered to requests that nobody should send; each must come with a sentence."""
    place, rng, found = urlsplit(address), random.Random(seed), Counter[int]()
    where = place.hostname or "", place.port
    connection = http.client.HTTPConnection(*where, timeout=60)
    for k in range(count):
        if k % 500 == 499:
            found[raw(where, rng)] += 1
            continue
        method, path, body, headers = bad_request(rng)
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        text = response.read().decode()
        if response.status == 429:  # it asks to come again
            time.sleep(0.05)
        told = json.loads(text)["sentence"] if text.startswith("{") else text
        assert told, (path[:200], response.status, text[:300])
        found[response.status] += 1
    connection.close()
    return found


def bad_request(rng: random.Random) -> tuple[str, str, str | None, dict[str, str]]:
    """Huge shapes, deep JSON, NaN in odd places, wrong types, files, code, other hosts, bodies."""
    deep = "[" * rng.choice((40, 400, 4000))
    values = ("99999x99999", "9" * 5000, deep, deep + "]" * len(deep), "[[1,2],[3]]", "[NaN,{}]", '["a"]', "@/etc/p",
              "1e999x2", "[1e400]", "-4x4", "None", "\x00", "%", "🐛", "4x4x4x4x4x4x4x4x4x4", "true", "{}")  # fmt: skip
    field = rng.choice(("input", "weight", "stride", "padding", "cell", "seed", "upstream", "dtype"))
    value = rng.choice(values)
    name = rng.choice(("conv2d", "softmax", "cross_entropy", "adam"))
    sent = {"Content-Type": "application/json", "Origin": "http://evil.example"}
    return rng.choice(
        (
            ("GET", f"/form/{name}?nothing_{field}={quote(value)}", None, {}),
            ("GET", f"/form/conv2d?dilation={quote(value)}", None, {}),
            ("GET", f"/page/conv2d?input={quote(value if value != 'None' else deep)}", None, {}),
            ("GET", f"/form/{quote(value[:200], safe='')}", None, {}),
            ("GET", f"/traced/form?of={quote('x*' * rng.choice((3, 300)))}", None, {}),
            ("GET", f"/traced/page?of=x&at.x={quote(value)}a", None, {}),
            ("GET", f"/practice/conv2d?seed={quote(value)}", None, {}),
            ("GET", f"/learn/{quote(value[:200], safe='')}", None, {}),
            ("GET", "/form/conv2d", None, {"Host": "evil.example"}),
            ("GET", "/form/conv2d", None, {"Origin": "http://evil.example"}),
            ("POST", "/practice/conv2d/answer", "x" * rng.choice((10, 100000)), sent),
            ("POST", "/form/conv2d", "{}", {}),
            ("DELETE", "/", None, {}),
        )
    )


def raw(where: tuple[str, int | None], rng: random.Random) -> int:
    """The status of what is no HTTP."""
    with socket.create_connection((where[0], where[1] or 80), timeout=60) as connection:
        connection.sendall(rng.choice((b"\x00\x01\x02\r\n\r\n", b"GET\r\n\r\n", b"G" * 100_000)))
        return int(connection.recv(4096).split(b" ")[1])


def memory(pid: int) -> int:
    """Bytes that a process and those that it began hold for themselves."""
    total = 0
    for each in [pid, *children(pid)]:
        text = Path(f"/proc/{each}/smaps_rollup").read_text()
        total += sum(int(size) for size in re.findall(r"^Private_\w+: +(\d+) kB", text, re.MULTILINE)) * 1024
    return total


def children(pid: int) -> list[int]:
    """The processes below this one."""
    found = []
    for line in Path(f"/proc/{pid}/task").iterdir():
        found += [int(each) for each in (line / "children").read_text().split()]
    return found + [deeper for each in found for deeper in children(each)]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--bad", type=int, default=10_000)
    options = parser.parse_args()
    process, address = started()
    try:
        edits(address, 2)
        taken = sorted(edits(address, options.seconds))
        print(f"{len(taken)} edits: median {statistics.median(taken):.1f} ms, 99th percentile "
              f"{taken[int(0.99 * len(taken))]:.1f} ms, slowest {taken[-1]:.1f} ms")  # fmt: skip
        small = sorted(trivial(address, min(10.0, options.seconds)))
        print(f"two requests of a static file: median {statistics.median(small):.1f} ms, 99th percentile "
              f"{small[int(0.99 * len(small))]:.1f} ms; an edit takes "
              f"{statistics.median(taken) / statistics.median(small):.1f} times as long")  # fmt: skip
        bad_requests(address, 500, seed=0)
        before = memory(process.pid)
        found = bad_requests(address, options.bad, seed=1)
        after = memory(process.pid)
        print(f"{sum(found.values())} bad requests: {dict(sorted(found.items()))}; memory {before / 2**20:.1f} MiB "
              f"before, {after / 2**20:.1f} MiB after")  # fmt: skip
    finally:
        process.terminate()
        process.wait(30)


if __name__ == "__main__":
    main()
