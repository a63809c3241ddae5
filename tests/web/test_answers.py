"""What an address asks, and what is answered: in this process, without a server."""

import html
import json
import re
from urllib.parse import parse_qsl, urlencode

import numpy as np
import pytest

import opcheck
from opcheck.errors import Refused
from opcheck.operators import catalog
from opcheck.web import named, reply
from opcheck.web.answers import answer
from opcheck.web.exercise import MOST_NUMBERS


def said(what, name, **query):
    reply = answer(what, name, query)
    return reply.status, json.loads(reply.text)


@pytest.mark.parametrize("op", catalog.every(), ids=lambda op: op.name)
def test_every_operator_has_its_form_with_its_numbers_and_its_code(op):
    status, found = said("form", op.name)
    assert status == 200
    arrays = found["fields"]
    assert all(arrays[each.name]["shape"] for each in op.inputs if not each.optional and each.name in arrays)
    assert "shell" in found["code"]
    assert answer("explain", op.name, {}).status == 200


def test_the_numbers_of_a_form_are_those_of_the_page():
    status, found = said("form", "conv2d", input="[[1,2,3],[4,5,0.5],[7,8,9]]", weight="2x2", grad="1")
    assert (status, found["fields"]["input"]["numbers"][1]) == (200, ["4", "5", "0.5"])
    assert found["fields"]["upstream"]["numbers"] == [["1", "2"], ["3", "4"]]
    worked = json.loads(answer("data", "conv2d", {"input": "[[1,2,3],[4,5,0.5],[7,8,9]]"}).text)
    assert worked == json.loads(opcheck.explain("conv2d", [[1, 2, 3], [4, 5, 0.5], [7, 8, 9]]).to_json())


def test_an_address_is_an_exercise_and_its_page_is_that_of_explain():
    reply = answer("page", "linear", {"input": "[1,2]", "weight": "[[3,4]]"})
    page = opcheck.explain("linear", np.array([1.0, 2.0]), np.array([[3.0, 4.0]])).render("html")
    assert (reply.status, reply.text) == (200, page)


@pytest.mark.parametrize(
    ("name", "query", "field", "sentence"),
    [
        ("conv2d", {"stride": "0"}, "stride", "stride must be a whole number, at least 1, or 2 of them. Got 0."),
        ("conv2d", {"stride": "two"}, "stride", "stride must be a whole number, at least 1, or 2 of them. Got 'two'."),
        ("conv2d", {"input": "[[1,2],[3]]"}, "input", "must be rectangular"),
        ("conv2d", {"input": "99999x99999"}, "input", "can have at most"),
        ("conv2d", {"input": "2000x2000"}, "input", f"at most {MOST_NUMBERS} numbers"),
        ("conv2d", {"input": "[1,null]"}, "input", "must hold only numbers"),
        ("conv2d", {"input": "["}, "input", "is not a list of numbers"),
        ("conv2d", {"cell": "a"}, "cell", "a cell is a position"),
        ("conv2d", {"seed": "-1"}, "seed", "seed must be a whole number"),
        ("conv2d", {"dtype": "int8"}, "dtype", "dtype must be one of float32"),
        ("conv2d", {"input": "4x4", "weight": "9x9"}, "", "kernel"),
        ("conv2d", {"nix": "1"}, "", "It has input, weight"),
        ("softmax", {"dim": "7"}, "", "dim"),
    ],
)
def test_what_is_impossible_is_a_sentence_under_its_field(name, query, field, sentence):
    status, found = said("form", name, **query)
    assert status == 400
    assert found["field"] == field
    assert sentence.lower() in found["sentence"].lower()
    assert "--" not in found["sentence"]
    assert answer("page", name, query).status == 400


@pytest.mark.parametrize("text", ["@/etc/passwd", "@x.npy", "__import__('os')", "/etc/passwd"])
def test_an_address_names_no_file_and_no_code(text):
    status, found = said("form", "conv2d", input=text)
    assert (status, found["field"]) == (400, "input")
    assert "a shape such as 4x4, or numbers" in found["sentence"]
    status, found = said("traced-form", "", **{"of": "x", "at.x": text})
    assert (status, found["field"]) == (400, "at.x")


@pytest.mark.parametrize("name", ["x.py:f", "/etc/passwd", "os:system", "numpy:sum", "..", ""])
def test_a_name_is_one_of_the_catalogue(name):
    assert said("form", name)[0] == 404
    assert answer("explain", name, {}).status == 404


@pytest.mark.parametrize(
    "of", ["__import__('os')", "x.__class__", "open('x')", "lambda: 1", "[x for x in y]", "x" * 500]
)
def test_an_expression_is_parsed_and_never_run(of):
    status, found = said("traced-form", "", of=of)
    assert (status, found["field"]) == (400, "of")


def test_the_variables_of_an_expression_become_fields():
    status, found = said("traced-form", "", of="a*b + sin(a)", **{"at.b": "1/2"})
    assert status == 200
    assert found["variables"] == {"a": "1", "b": "1/2"}
    assert found["code"]["shell"] == "opcheck trace 'a*b + sin(a)' --at a=1,b=1/2"
    assert "v₂" in answer("traced-page", "", {"of": "a*b + sin(a)"}).text


@pytest.mark.parametrize("op", catalog.every(), ids=lambda op: op.name)
def test_every_operator_has_a_trace(op):
    assert answer("traced-form", op.name, {"of": op.name}).status == 200


@pytest.mark.parametrize(
    ("query", "field", "sentence"),
    [
        ({"of": "softmax", "at.input": "@/etc/passwd"}, "at.input", "input must be a shape such as 4x4"),
        ({"of": "softmax", "at.nix": "1"}, "", "softmax has no argument of this name"),
        ({"of": "softmax", "exact": "1"}, "exact", "exact numbers need a function of numbers"),
        ({"of": "conv2d", "at.stride": "0"}, "at.stride", "stride must be a whole number"),
        ({"of": "relu", "at.input": "100x100"}, "", "a trace of arrays shows at most 400 numbers"),
        ({"of": "neuron", "at.x1": "@x"}, "at.x1", "x1 must be a number, such as 2, 1/3 or pi/2. Got '@x'."),
    ],
)
def test_what_cannot_be_traced_is_said(query, field, sentence, monkeypatch):
    monkeypatch.setitem(named.NUMBERS, "neuron", ("f.py:neuron", lambda x1, w=0.5: x1 * w))
    status, found = said("traced-form", "", **query)
    assert (status, found["field"]) == (400, field)
    assert sentence.lower() in found["sentence"].lower()


def test_a_place_is_a_program_a_function_of_numbers_or_refused(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "def f(a, b=2.5):\n    return a * b\n\n\ndef g(x: 'N'):\n    return x + 1\n\n\ndef h(x):\n    return x.T\n"
    )
    assert named.read(f"{path}:f")(2, 3) == 6
    assert named.numbers_of(named.read(f"{path}:f")) == {"a": 1, "b": 2.5}
    assert named.read(f"{path}:g").title == "g"
    with pytest.raises(Refused, match="neither a shape nor a default"):
        named.read(f"{path}:h")


def test_the_code_computes_what_the_page_shows(capsys):
    code = said("form", "linear", input="[[1,2]]", weight="[[3,4]]", grad="1")[1]["code"]
    exec(code["numpy"], {})
    printed = capsys.readouterr().out
    assert "[[11.]]" in printed
    assert "'weight': array([[1., 2.]])" in printed
    assert json.loads(code["json"])["arrays"] == {"input": [[1.0, 2.0]], "weight": [[3.0, 4.0]]}
    assert code["shell"] == "opcheck explain linear --input '[[1,2]]' --weight '[[3,4]]' --grad"


@pytest.mark.torch
@pytest.mark.slow
def test_the_code_for_torch_runs_and_agrees(capsys):
    pytest.importorskip("torch")
    code = said("form", "linear", input="[[1,2]]", weight="[[3,4]]", grad="1")[1]["code"]["torch"]
    exec(code, {})
    printed = capsys.readouterr().out
    assert "tensor([[3., 4.]]" in printed
    assert "tensor([[1., 2.]]" in printed


def test_a_problem_is_its_address_and_an_answer_is_judged_and_counted(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    query = {"seed": "3", "number": "1", "level": "1"}
    assert answer("practice", "linear", query).text == answer("practice", "linear", query).text
    from opcheck.learning.practice import drawn
    from opcheck.render.signs import Signs

    problem = drawn(catalog.get("linear"), 3, 1, 1)
    right = Signs().write(problem.numbers[0])
    sent = {**query, "answer": "12345", "first": True}
    wrong = json.loads(answer("practice-answer", "linear", {"body": json.dumps(sent)}).text)
    assert (wrong["right"], wrong["ends"]) == (False, False)
    found = json.loads(answer("practice-answer", "linear", {"body": json.dumps({**sent, "answer": right})}).text)
    assert (found["right"], found["told"], found["trouble"]) == (True, "Right.", "")
    kept = json.loads((tmp_path / "opcheck" / "practice.json").read_text())
    assert kept["operators"]["linear"] == {"asked": 1, "right": 1, "level": 1}
    assert "1/1" in answer("practice", "", {}).text


@pytest.mark.parametrize(
    ("query", "question", "right"),
    [
        ({"input": "[[1,2],[3,5]]", "weight": "[[1,0],[0,1]]", "ask": "y[0,0]"}, "What is y[0,0]?", "6"),
        ({"input": "3x3", "ask": "y"}, "What is the whole of y?", "[[37, 47], [67, 77]]"),
        ({"input": "9x9", "ask": "y"}, "What is y[0,0]?", "79"),
        ({"input": "[[1,2],[3,5]]", "upstream": "[[2]]", "ask": "w[1,1]"}, "What is w̄[1,1]", "10"),
    ],
)
def test_a_link_asks_and_hides_the_answer(query, question, right, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    page = answer("practice", "conv2d", query)
    assert page.status == 200
    assert question in page.text
    assert "/explain/conv2d?" in page.text
    assert "ask=" not in page.text.partition("/explain/conv2d?")[2].partition('"')[0]
    sent = {"exercise": urlencode(query), "first": True}
    for text, is_right in (("12345", False), (right, True)):
        found = json.loads(answer("practice-answer", "conv2d", {"body": json.dumps({**sent, "answer": text})}).text)
        assert found["right"] is is_right
    assert found["score"] == "1 of 1 right so far"


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        ("q[0]", "Ask names the output or an input, whose gradient is meant. Got &#39;q&#39;. It has y, x, w, b."),
        ("y[9,9]", "There is no such element: the array is 3×3. Got &#39;y[9,9]&#39;."),
        ("b[0]", "b has no gradient here."),
        ("[", "Ask names an element, such as y[0,0]. Got &#39;[&#39;."),
    ],
)
def test_what_a_link_cannot_ask_is_said(ask, sentence):
    found = answer("practice", "conv2d", {"ask": ask})
    assert (found.status, sentence in found.text) == (400, True)
    large = answer("practice", "conv2d", {"ask": "y", "input": "99x99"})
    assert (large.status, "an exercise has at most 256 numbers" in large.text.lower()) == (400, True)
    assert answer("practice-answer", "conv2d", {"body": json.dumps({"exercise": "input=4x4"})}).status == 400


def test_practice_asks_what_is_chosen_and_shapes_last_of_who_has_come_far():
    def question(**query):
        return answer("practice", "conv2d", {"seed": "5", "number": "0", **query}).text.partition("<h3>")[2]

    assert question().startswith("What is the shape of y?")
    assert "shape of y?" not in question(level="4").partition("</h3>")[0]
    assert question(kind="gradient").startswith(("What is x̄", "What is w̄", "What is b̄"))
    assert question(kind="value").startswith(("What is y", "What is the whole of y"))
    refused = answer("practice", "conv2d", {"kind": "all"})
    assert (refused.status, "kind must be one of shape, value, gradient" in refused.text.lower()) == (400, True)


def test_a_lesson_is_read_and_its_questions_are_judged(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert "From the dot product" in answer("learn", "3", {}).text

    def sent(**what):
        return json.loads(answer("learn-answer", "3", {"body": json.dumps(what)}).text)

    assert sent(question=1, answer="63")["told"].startswith("Not yet: this is a known mistake. The lists were added")
    assert sent(question=1, answer="1*3+4*2+2*4")["right"] is True
    assert sent(read=5)["part"] == 5
    assert sent(question=2, skip=True)["told"].startswith("The answer: ")
    assert "% read" in answer("learn", "", {}).text


@pytest.mark.parametrize(("lesson", "pages"), [("3", 1), ("5", 1), ("11", 2)])
def test_what_a_lesson_computes_stands_in_it_to_point_at(lesson, pages):
    found = re.findall(
        r'<iframe class="live" loading="lazy" src="/([^?]+)[?]([^"]*)"', answer("learn", lesson, {}).text
    )
    assert len(found) == pages
    for path, query in found:
        what, name = ("traced-page", "") if path == "traced/page" else path.split("/")
        assert answer(what, name, dict(parse_qsl(html.unescape(query)))).status == 200


@pytest.mark.parametrize("body", ["", "[]", "1", "{", "null", "[" * 5000])
def test_an_answer_that_no_page_sends_is_refused(body):
    for what, name in (("practice-answer", "linear"), ("learn-answer", "3")):
        assert answer(what, name, {"body": body}).status == 400


@pytest.mark.parametrize(
    ("sentence", "spoken"),
    [
        ("conv2d has no argument of this name", "conv2d has no argument of this name."),
        ("weight is (Out, In)", "weight is (Out, In)."),
        ("x is too large for float64", "x is too large for float64."),
        ("a number has too many digits", "A number has too many digits."),
        ("images and kernels must not be empty", "Images and kernels must not be empty."),
    ],
)
def test_a_sentence_begins_with_a_capital_unless_it_begins_with_a_name(sentence, spoken):
    assert reply.spoken(opcheck.Refused(sentence)) == spoken


def test_an_array_may_be_a_filling_as_on_the_command_line_and_never_a_file():
    _, found = said("form", "conv2d", input="0..15:4x4", weight="ones:2x2")
    assert found["fields"]["input"]["numbers"][1] == ["4", "5", "6", "7"]
    assert found["fields"]["weight"]["numbers"] == [["1", "1"], ["1", "1"]]
    drawn = {seed: said("form", "relu", input="random:3", seed=seed)[1]["fields"]["input"]["numbers"] for seed in "12"}
    assert drawn["1"] != drawn["2"]
    for wrong in ("random:9999x9999", "0..3:4x4", "@/etc/passwd:2x2", "@/etc/passwd"):
        assert said("form", "relu", input=wrong)[0] == 400


def test_an_expression_is_not_drawn_once_more_in_a_sentence():
    status, found = said("traced-form", "", of="sinn(x)")
    assert (status, found["sentence"]) == (400, "There is no function sinn. Did you mean sin or sinh?")
