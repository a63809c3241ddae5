"""Who may ask: requests as an ASGI server hands them over."""

import asyncio
import json

import pytest

from opcheck.web.guard import LONGEST_ADDRESS, Guard

PORT = 8265
OURS = {"host": f"127.0.0.1:{PORT}"}


def asked(headers, method="GET", path="/", query=b"", guard=None):
    """The status and the sentence, or 200."""

    async def application(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": query,
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip
    asyncio.run((guard or Guard(application, PORT))(scope, receive, send))
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], json.loads(sent[1]["body"]).get("sentence", ""), headers


@pytest.mark.parametrize("host", ["127.0.0.1:8265", "localhost:8265", "[::1]:8265", "LOCALHOST:8265"])
def test_our_own_names_are_answered(host):
    assert asked({"host": host})[0] == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example:8265", "127.0.0.1", "127.0.0.1:80", "localhost.evil.example:8265", "", "192.168.0.1:8265", ":8265"],
)
def test_other_names_are_refused_so_that_nobody_can_rebind_theirs(host):
    status, sentence, _ = asked({"host": host})
    assert (status, sentence) == (
        403,
        "This server only answers under its own address: open the one that the terminal printed.",
    )


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:9999", "https://localhost"])
def test_other_sites_are_refused(origin):
    assert asked({**OURS, "origin": origin})[0] == 403
    assert asked({**OURS, "origin": origin, "content-type": "application/json"}, "POST")[0] == 403


def test_what_another_site_embeds_is_refused_and_a_link_is_followed():
    cross = {**OURS, "sec-fetch-site": "cross-site"}
    assert asked({**cross, "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"})[0] == 403
    assert asked({**cross, "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"})[0] == 403
    assert asked({**cross, "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"})[0] == 200


def test_a_form_of_another_site_can_send_nothing():
    ours = {**OURS, "origin": f"http://127.0.0.1:{PORT}"}
    assert asked({**ours, "content-type": "application/json"}, "POST")[0] == 200
    assert asked({**ours, "content-type": "text/plain"}, "POST")[0] == 403
    assert asked({**OURS, "content-type": "application/json"}, "POST")[0] == 403
    assert asked(ours, "DELETE")[0] == 405


def test_sizes_have_limits_and_a_sentence():
    assert asked(OURS, query=b"x" * (LONGEST_ADDRESS + 1))[:2] == (
        414, "This address is too long: give a large array as a shape, such as 28x28.",
    )  # fmt: skip
    assert asked(OURS, query=b"&".join([b"a=1"] * 100))[0] == 400
    for length in ("99999999", "1e9", "-1", "x"):
        assert asked({**OURS, "content-length": length})[0] == 413


def test_too_many_requests_at_once_are_told_to_come_again():
    guard = Guard(None, PORT)
    guard.allowance, guard.since = 0.0, float("inf")
    assert asked(OURS, guard=guard)[0] == 429


def test_another_host_answers_to_numbers_and_its_own_name_but_to_no_other():
    guard = Guard(None, PORT, ("*", "teacher"))
    assert [guard.is_ours(f"{name}:{PORT}") for name in ("192.168.0.7", "teacher", "[fe80::1]", "evil.example")] == [
        True, True, True, False,
    ]  # fmt: skip


def test_answers_say_what_a_browser_may_do_with_them():
    headers = asked(OURS, path="/page/conv2d")[2]
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "connect-src" not in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in asked(OURS, path="/")[2]["content-security-policy"]
    assert "set-cookie" not in headers


@pytest.mark.parametrize("origin", ["http://8.8.8.8:8265", "http://localhost:8265", "null"])
def test_an_answer_comes_from_the_page_that_this_very_host_gave(origin):
    """Also where everybody in the network may ask."""

    async def nothing(scope, receive, send):
        raise AssertionError("asked")

    guard = Guard(nothing, PORT, ("*",))
    assert asked({**OURS, "origin": origin}, "POST", guard=guard)[0] == 403
