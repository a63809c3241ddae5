"""What is believed of an answer: short texts on one line, few names, numbers that can be lines."""

import pytest

from opcheck.sandbox.inside.wire import WireError
from opcheck.sandbox.protocol import DEFINITIONS, MESSAGE, NAME, REFUSED, decoded, one_line, printable

HOSTILE = "a\n\x1b[2J\r\x85\u2028\u2029\u202e\u061c\u200b\U000e0041 \t b"
ERROR = {"type": "ValueError", "message": "no", "file": "hw.py", "line": 3}
FUNCTION = {"name": "f", "kind": "function", "own": True, "parameters": [], "methods": []}


def test_what_a_stranger_says_is_one_line_without_commands():
    assert one_line(HOSTILE, 100) == "a \N{REPLACEMENT CHARACTER}[2J" + "\N{REPLACEMENT CHARACTER}" * 8 + " b"
    assert one_line("x" * 100_000, 10) == "x" * 10
    assert printable("Zoë\u200d\u200c\n\t") == "Zoë\u200d\u200c\n\t"


def test_every_text_of_an_answer_is_short_and_on_one_line():
    long = HOSTILE * 10_000
    parameter = {"name": long, "kind": long, "has_default": False}
    method = {"name": long, "parameters": [parameter]}
    name = {"name": long, "kind": long, "own": True, "parameters": [parameter], "methods": [method]}
    error = {"type": long, "message": long, "file": long, "line": 3}
    reply = {"status": "absent", "error": error, "names": [name], "way": [long], "skipped": [[1, long, long, 2]]}
    outcome = decoded(reply, ())
    (defined,), (skipped,), failure = outcome.definitions, outcome.skipped, outcome.failure
    texts = [defined.name, defined.kind, defined.parameters[0].name, defined.parameters[0].kind, failure.type,
             failure.file, *failure.way, defined.methods[0].name, skipped.why, skipped.text]  # fmt: skip
    assert max(map(len, texts)) <= NAME and len(failure.message) <= MESSAGE
    assert not any(set(text) & set("\n\r\t\x1b\u2028\u202e") for text in [*texts, failure.message])


@pytest.mark.parametrize(
    "reply",
    [
        {"status": "ok", "names": [FUNCTION] * (DEFINITIONS + 1)},
        {"status": "ok", "names": [{**FUNCTION, "parameters": [{}] * (DEFINITIONS + 1)}]},
        {"status": "raised", "error": {**ERROR, "line": -1}},
        {"status": "raised", "error": {**ERROR, "line": 10**4000}},
        {"status": "raised", "error": ERROR, "step": 1 << 40},
        {"status": "raised", "error": ERROR, "way": ["x"] * 501},
        {"status": "ok", "commands": -1},
        {"status": "ok", "skipped": [[1, "error", "text"]]},
        {"status": "ok", "skipped": [[1, "error", "text", True]]},
    ],
    ids=lambda reply: str(reply)[:60],
)
def test_an_answer_that_no_worker_of_ours_would_send_is_none(reply):
    with pytest.raises(WireError):
        decoded(reply, ())


def test_what_a_worker_says_of_itself_is_told_from_what_is_seen_from_outside():
    failure = decoded({"status": "malformed", "error": {**ERROR, "type": "MALFORMED"}}, ()).failure
    assert failure.type == REFUSED
