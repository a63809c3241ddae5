"""Hostile input files: arrays, cases, assignments and programs, each right but for a change or two."""

import json
import struct
from functools import cache
from typing import Any

from hypothesis import strategies as st

from tests.fuzz.words import HOSTILE

SUBMISSION = b"import numpy as np\n\ndef relu(input):\n    return np.maximum(input, 0)\n"
KERNELS = b"""
import numpy as np

def relu(x):
    return np.maximum(x, 0)

def wrong(x):
    return abs(x)

def fails(x):
    raise ValueError(chr(0xd800))

def generator(x):
    yield x

number = 3
"""
RETURNED = (
    "x*2", "x*y", "1j", "x*1j", "float('nan')", "float('inf')*x", "None", "...", "'s'", "b'x'", "object()",
    "(x for _ in x)",
    "[x, [x]]", "[]", "{'a': x}", "{1}", "()", "x, 1.0", "10**400", "True", "lambda: 0", "type", "x if x > 0 else y",
    "int(x)", "float(x)", "str(x)", "np.asarray(x)", "np.array([1j])", "np.array(['a'])", "np.array([None])",
    "np.zeros(0)",
    "np.zeros((2, 0))", "np.float32(3)", "np.int8(3)", "x @ x", "x[100]", "x['a']", "x[None]", "x[..., 0]",
    "x.foo", "x()",
    "np.sum(x, axis=9)", "x.reshape(99, 99)", "x.sum()", "x.mean(axis=0)", "x**10**6", "x/0", "x**-1", "exit(3)",
    "f(x)",
    "np.linalg.inv(x)", "np.maximum(x, y)", "x.astype(int)", "x.astype('U')", "np.exp(x)", "x.T", "len(x)", "list(x)",
    "sum(x)", "hash(x)", "repr(x)", "chr(0xd800)", "globals()", "open('missing')", "1/0", "raises(x)", "quits(x)",
)  # fmt: skip
PROGRAM = """
import numpy as np
class Mute(Exception):
    def __str__(self):
        raise ValueError
def raises(x):
    raise Mute
def quits(x):
    raise SystemExit("a" * 10_000)
def f(x, y=2.0):
    return {}
"""
HEADERS = (
    "{'descr': '<f8', 'fortran_order': False, 'shape': %s, }",
    "{'descr': '<c16', 'fortran_order': False, 'shape': %s, }",
    "{'descr': '|O', 'fortran_order': False, 'shape': %s, }",
    "{'descr': '<U9', 'fortran_order': True, 'shape': %s, }",
    "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': %s, }", "{'descr': 3, 'shape': %s}", "%s", "[" * 5000,
)  # fmt: skip
SHAPES = ("(3,)", "()", "(0,)", "(2, 2)", "(10**9,)", "(99999999999999999999,)", "(1000000000000,)", "(-1,)",
          "(1.5,)",
          "'a'", "None", str((1,) * 40), "(True,)")  # fmt: skip

LITERALS = (None, True, -1, 0, 1, 2**31, 2**63, 2**64, 10**30, 10**400, 0.5, float("nan"), float("inf"), "", "a",
            "0x1p3",
            "0x1p99999", "nan", "\ud800", "\x00", [], {}, [[]], [None], [1], [1.5], ["a"], {"hex": "0x1p0"},
            {"hex": 3},
            {"a": {}}, "9" * 5000, "float32", "float64", "int64", "complex64", "object", "relu", "refuses",
            "CRASHED")  # fmt: skip


def places(data: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place of nested data."""
    below = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [at, *(place for key, part in below for place in places(part, (*at, key)))]


@st.composite
def changed(draw: st.DrawFn, data: Any) -> Any:
    """Nested data with one to three of its parts replaced or left out."""
    data = json.loads(json.dumps(data))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from(places(data)))
        new = draw(st.sampled_from(LITERALS))
        if not place:
            if draw(st.booleans()):
                return new
            continue
        parent = data
        for key in place[:-1]:
            parent = parent[key]
        if draw(st.integers(0, 3)):
            parent[place[-1]] = new
        else:
            del parent[place[-1]]
    return data


@st.composite
def broken(draw: st.DrawFn, data: bytes) -> bytes:
    """Bytes of which some are cut off, doubled or replaced."""
    k = draw(st.integers(0, len(data)))
    other = draw(
        st.sampled_from((b"", b"\x00", b"\xff\xfe", b"[" * 5000, b"{" * 5000, b"9" * 5000, b"\n", b'"', b"'''"))
    )
    rest = draw(st.sampled_from((data[k:], data[k + 1 :], b"")))
    return data[:k] + other + rest


@st.composite
def npy(draw: st.DrawFn) -> bytes:
    """A .npy file whose header may lie."""
    template = draw(st.sampled_from(HEADERS))
    header = (template.replace("%s", draw(st.sampled_from(SHAPES))) + "\n").encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(draw(st.sampled_from((24, 0, 8, 5))))


def arrays() -> st.SearchStrategy[dict[str, bytes]]:
    """Files that array options name."""
    numbers = st.sampled_from(
        [b"[1,2,3]", b"[[1,2],[3,4]]", *(each.encode("utf-8", "surrogatepass") for each in HOSTILE)]
    )
    rows = st.sampled_from(
        (b"1,2,3\n", b"1,2\n3\n", b"a,b\n", b"\n\n", b"# no\n", b"\x00", b"\xff", b"1e999,nan\n", b",,\n")
    )
    return st.fixed_dictionaries({"a.npy": npy(), "a.json": numbers, "a.csv": rows, "a.txt": st.just(b"1")})


@cache
def cases() -> tuple[Any, ...]:
    """Right case files, as data."""
    import numpy as np

    from opcheck.operators import catalog
    from opcheck.operators.spec import Case
    from opcheck.verification.casefile import Trial, to_json
    from opcheck.verification.streams import trial, with_directions

    made = [trial(catalog.get(op), "float32", 1, k) for op in ("relu", "conv2d", "nll_loss", "adam") for k in (1, 2)]
    plain = Trial(Case("relu", {"input": np.array([1.0, -2.0])}, {}))
    made.append(with_directions(catalog.get("relu"), plain, np.random.default_rng(0)))
    found = [to_json(each, claim="rounding", status="DIFFERS", name="", at=[0], of="output", expected="0x1p0",
                     got="nan",
                     bound="0x1p-20") for each in made]  # fmt: skip
    return tuple(each for each in found if len(json.dumps(each)) < 20_000)


def case_files() -> st.SearchStrategy[bytes]:
    """Case files with wrong types in any field."""
    whole = (
        st.sampled_from(cases()).flatmap(changed).map(lambda data: json.dumps(data).encode("utf-8", "surrogatepass"))
    )
    return whole | st.sampled_from(cases()).flatmap(lambda data: broken(json.dumps(data).encode()))


@cache
def assignment() -> str:
    from opcheck.grading.assignments.scaffold import scaffold

    return scaffold(["relu", "conv2d", "max_pool2d"])


@st.composite
def assignments(draw: st.DrawFn) -> bytes:
    """Assignments of which some lines have other values."""
    lines = assignment().split("\n")
    values = ("true", "-1", "1e400", "nan", '""', '"\\ud800"', "[1000000]", "[[1]]", "{}", "[" * 5000 + "]" * 5000,
              "9" * 5000,
              "[]", "{a = {b = 1}}", "9999999999999999999", "1979-05-27", '"x"', "[0]", "[true]", '["a"]',
              "[99999999999]",
              "a" * 4096, '"' + "a" * 4096 + '.py"', "{" + "a={" * 2000)  # fmt: skip
    for _ in range(draw(st.integers(1, 3))):
        k = draw(st.integers(0, len(lines) - 1))
        key, sign, _old = lines[k].partition(" = ")
        more = draw(st.sampled_from(("[question]", "[[limits]]", "a = 1", "x", "[a" + ".a" * 3000 + "]", "title = 1")))
        lines[k] = f"{key} = {draw(st.sampled_from(values))}" if sign else more
    return "\n".join(lines).encode()


def programs() -> st.SearchStrategy[bytes]:
    """Python files to trace, and some that are none."""
    made = st.sampled_from(RETURNED).map(lambda returned: PROGRAM.format(returned).encode())
    return (
        made
        | made.flatmap(broken)
        | st.sampled_from((b"raise SystemExit(3)", b"x = " + b"(" * 5000, b"\x00", b"\xff", b""))
    )
