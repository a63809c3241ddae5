"""Addresses of `opcheck serve` that nobody should send: any field of any operator, filled with anything."""

import random
from urllib.parse import urlencode

from opcheck.operators import catalog
from tests.fuzz.words import ARRAYS, HOSTILE, TOKENS

ASKED = ("explain", "form", "page", "data", "practice", "learn")
COMMON = ("upstream", "cell", "seed", "dtype", "grad", "exact", "all", "image", "number", "kind", "level", "got", "")
PLAIN = ("1", "2", "3", "0", "-1", "2,2", "mean", "none", "true", "4x4", "2x3", "1x1x4x4", "[1,2,3]", "[[1,2],[3,4]]")
BODIES = ("", "{}", "[]", "1", "null", '{"answer": "1"}', '{"answer": 1e999}', '{"question": 1, "answer": [1]}',
          '{"question": -1}', '{"question": 1, "skip": true}', '{"read": 1e9}', '{"read": "x"}', "[" * 5000, "x" * 9000,
          '{"answer": {"a": []}}', '{"number": 1, "seed": 2, "answer": "\\u0000"}')  # fmt: skip


def drawn(rng: random.Random) -> tuple[str, str, str]:
    """A method, an address and a body."""
    kind = rng.random()
    if kind < 0.15:
        text = "".join(rng.choice(TOKENS) for _ in range(rng.randint(1, 9)))
        query = {"of": text, **{f"at.{name}": word(rng) for name in rng.sample(("x", "y", "x1"), 2)}}
        query |= {name: word(rng) for name in rng.sample(("mode", "exact", "hessian", "jacobian", "step"), 2)}
        return "GET", f"/{rng.choice(('trace', 'traced/form', 'traced/page'))}?{encoded(query)}", ""
    op = rng.choice(catalog.own())
    what = rng.choice(ASKED)
    name = op.name if rng.random() < 0.9 else word(rng)
    if what == "learn":
        name = rng.choice(("1", "3", "05", "17", "99", word(rng)))
    if what in ("practice", "learn") and rng.random() < 0.5:
        return "POST", f"/{what}/{encoded_name(name)}/answer", rng.choice(BODIES)
    fields = [*(each.name for each in op.arguments), *COMMON]
    query = {rng.choice(fields): word(rng) for _ in range(rng.randint(0, 4))}
    return "GET", f"/{what}/{encoded_name(name)}?{encoded(query)}", ""


def word(rng: random.Random) -> str:
    return rng.choice(rng.choice((PLAIN, ARRAYS, HOSTILE)))[:10_000]  # what is longer ends the connection


def encoded(query: dict[str, str]) -> str:
    return urlencode(query, errors="replace")


def encoded_name(name: str) -> str:
    return urlencode({"": name[:200]}, errors="replace")[1:].replace("+", "%20") or "%20"
