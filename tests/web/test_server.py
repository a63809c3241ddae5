"""A real server: what it answers over HTTP, and what it does with clients that mean no good."""

import asyncio
import http.client
import json
import select
import socket
from urllib.parse import quote, urlsplit

import pytest

from tests.benchmarks.serve import bad_requests, memory


def get(served, path, headers=None, method="GET", body=None):
    place = urlsplit(served.address)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=60)
    connection.request(method, path, body=body, headers=headers or {})
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, text, dict(response.getheaders())


def test_it_answers_with_a_page_and_sets_no_cookie(served):
    status, text, headers = get(served, "/page/conv2d?input=4x4")
    assert status == 200
    assert "<!DOCTYPE html>" in text
    assert "Set-Cookie" not in {name.title() for name in headers}
    assert get(served, "/static/edit.js")[0] == 200
    assert get(served, "/static/..%2Fserver.py")[0] == 404
    assert get(served, "/nothing")[0] == 404


@pytest.mark.parametrize(
    ("path", "told"),
    [("/explain/conv3d", "There is no operator &#39;conv3d&#39;."), ("/far", "There is no such page.")],
)
def test_where_nothing_is_a_person_finds_every_operator_and_a_script_a_sentence(served, path, told):
    status, page, _ = get(served, path, {"accept": "text/html,*/*"})
    assert status == 404 and told in page and 'href="/explain/conv2d"' in page
    assert json.loads(get(served, "/far", {"accept": "*/*"})[1])["sentence"] == "There is no such page."


def test_a_saved_page_comes_as_a_file(served):
    headers = get(served, "/page/conv2d?input=4x4&save=1")[2]
    assert headers["content-disposition"] == 'attachment; filename="conv2d.html"'
    assert "content-disposition" not in get(served, "/page/conv2d?input=4x4")[2]


def test_programs_are_those_of_the_command_line(served):
    assert get(served, "/form/halved?x=2x2")[0] == 200
    assert "your own program" in get(served, "/")[1]
    assert get(served, f"/form/{quote('programs.py:halved', safe='')}")[0] == 404


def test_nobody_waits_for_what_others_compute_and_what_takes_too_long_is_ended(served):
    place = urlsplit(served.address)
    costly = [http.client.HTTPConnection(place.hostname, place.port, timeout=60) for _ in range(3)]
    for k, connection in enumerate(costly):
        connection.request("GET", f"/page/slow?x={6 + k}")
    assert get(served, "/")[0] == get(served, "/explain/conv2d")[0] == get(served, "/form/conv2d?stride=3")[0] == 200
    assert not select.select([connection.sock for connection in costly], (), (), 0)[0]  # none of them has an answer yet
    for connection in costly:
        connection.close()
    status, text, _ = get(served, "/form/slow?x=9")  # who has hung up is not waited for: there is room for others
    assert (status, json.loads(text)["sentence"]) == (413, "This takes longer than 4 s: try smaller arrays.")
    assert get(served, "/form/conv2d")[0] == 200


def test_an_answer_whose_length_is_not_said_ends_where_it_is_too_long(served):
    place = urlsplit(served.address)
    head = (f"POST /practice/softmax/answer HTTP/1.1\r\nHost: {place.netloc}\r\nOrigin: http://{place.netloc}\r\n"
            "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")  # fmt: skip
    with socket.create_connection((place.hostname, place.port), timeout=60) as endless:
        endless.sendall(head.encode())
        for _ in range(3):
            endless.sendall(b"1000\r\n" + b"a" * 0x1000 + b"\r\n")
        assert b"413" in endless.recv(4096)


def test_a_client_that_never_ends_its_request_is_told_so(served):
    place = urlsplit(served.address)
    with socket.create_connection((place.hostname, place.port), timeout=60) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHost: ")
        answer = slow.recv(4096).decode()
    assert answer.startswith("HTTP/1.1 408")
    assert "The request did not arrive within" in answer


def test_bad_requests_get_4xx_and_a_sentence_and_leave_no_memory_behind(served):
    bad_requests(served.address, 100, seed=0)
    before = memory(served.process.pid)
    found = bad_requests(served.address, 200, seed=1)
    assert sum(found.values()) == 200
    assert all(400 <= status < 500 for status in found)
    assert memory(served.process.pid) < before + 100 * 2**20
    assert get(served, "/form/conv2d")[0] == 200


@pytest.mark.parametrize("command", [["--port", "70000"], ["--port", "x"]])
def test_a_port_that_is_none_is_refused(command):
    from opcheck.app import run

    assert run(["serve", *command]) == 2


def test_a_port_that_is_taken_is_refused(served, capsys):
    from opcheck.app import run

    port = urlsplit(served.address).port
    assert run(["serve", "--port", str(port)]) == 2
    assert "cannot listen on 127.0.0.1" in capsys.readouterr().err


def test_who_else_can_open_it_is_said(monkeypatch):
    from opcheck.app import serve

    assert list(serve.announced("127.0.0.1", 8265)) == ["opcheck: http://127.0.0.1:8265/ (Ctrl-C stops it)"]
    monkeypatch.setattr(serve, "own_numbers", lambda: ["192.0.2.7"])
    everywhere = list(serve.announced("0.0.0.0", 8265))
    assert everywhere[:2] == ["opcheck: http://localhost:8265/ (Ctrl-C stops it)",
                              "From other machines: http://192.0.2.7:8265/"]  # fmt: skip
    assert everywhere[2].startswith("Everybody in the network can open this")
    assert len(list(serve.announced("192.0.2.7", 8265))) == 2


def test_a_program_that_is_none_is_refused(capsys):
    from opcheck.app import run

    assert run(["serve", "nothing.py:f"]) == 2
    assert "there is no file nothing.py" in capsys.readouterr().err


def test_an_answer_is_sent_at_once():
    """Without TCP_NODELAY the body waits for the receipt of the head, which comes 40 ms later."""
    from opcheck.web.server import LOOPBACK, listen

    with listen(LOOPBACK, 0) as at:
        assert at.proto == socket.IPPROTO_TCP  # of which asyncio makes sockets that do not wait


def test_the_processes_begin_before_anybody_asks():
    from opcheck.web.workroom import Workroom

    room = Workroom()
    try:
        asyncio.run(room.begin())
        lines = (room.written, room.quick, room.slow)
        assert all(each.process.is_alive() for line in lines for each in line.processes)
        assert [line.free.qsize() for line in lines] == [1, 2, 2]
    finally:
        room.close()


def test_a_program_that_does_not_end_is_named(tmp_path, capsys):
    from opcheck.app import run

    program = tmp_path / "endless.py"
    program.write_text("def loop(x: 'N'):\n    while True:\n        x = x + 1\n")
    assert run(["serve", f"{program}:loop", "--seconds", "0.3"]) == 2
    assert f"{program}:loop does not end within 0.3 s" in capsys.readouterr().err
