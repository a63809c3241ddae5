"""A slice of the hunt for addresses that are answered with 500: `python -m tests.web.test_hunt 10000` looks further."""

import http.client
import json
import random
import sys
import time
from collections import Counter
from urllib.parse import urlsplit

from tests.fuzz.addresses import drawn


def hunted(address: str, count: int, seed: int) -> Counter[int]:
    """How often each status was answered; every answer that is no page has a sentence, and none is a bug of ours."""
    place, rng, found = urlsplit(address), random.Random(seed), Counter[int]()
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
    for _ in range(count):
        method, path, body = drawn(rng)
        headers = {"Content-Type": "application/json", "Origin": address.rstrip("/")} if method == "POST" else {}
        try:
            connection.request(method, path, body=body or None, headers=headers)
            response = connection.getresponse()
            text = response.read().decode()
        except ConnectionError as error:
            raise AssertionError((method, path[:300], len(path), body[:100])) from error
        if response.status == 429:
            time.sleep(0.05)
        assert response.status < 500, (method, path[:300], body[:100], text[:300])
        assert text
        if response.status >= 400 and text.startswith("{"):
            assert json.loads(text)["sentence"], path
        found[response.status] += 1
    connection.close()
    return found


def test_no_address_is_answered_with_a_bug(served):
    found = hunted(served.address, 150, seed=1)
    assert found[200] > 10 and sum(n for status, n in found.items() if 400 <= status < 500) > 10


if __name__ == "__main__":
    from tests.benchmarks.serve import started

    process, address = started()
    try:
        for k in range(int(sys.argv[1]) // 500):
            print(k, dict(hunted(address, 500, seed=int(sys.argv[2]) + k if len(sys.argv) > 2 else k)), flush=True)
    finally:
        process.terminate()
