"""The lessons as pages: what a block prints is written in the lesson, and tests hold it to that; reading runs nothing.
A question is judged by what the lesson's own blocks give, which run in the sandbox; of an answer nothing runs."""

import re
import shlex
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from opcheck.errors import CouldNotRun, Refused
from opcheck.explanation.document import prepare
from opcheck.language import say
from opcheck.learning import answers as reading
from opcheck.learning import confined, lesson, shelf
from opcheck.learning.judging import judge
from opcheck.learning.lesson import Code, Part, Prose, Question
from opcheck.learning.progress import Mark, Progress, default_path
from opcheck.learning.shelf import Entry
from opcheck.learning.tutor import shown
from opcheck.operators.catalog import UnknownOperator
from opcheck.sandbox import Call, File, Limits, NoSandbox, Status, Worker, choose
from opcheck.web import forms
from opcheck.web.exercise import read
from opcheck.web.named import find
from opcheck.web.practising import body, style
from opcheck.web.reply import HTML, Query, Reply, answers, data

TIME = 60.0  # seconds for the code of a lesson up to a question; the room that answers ends it earlier
CODE = File(Path(confined.__file__), confined.HOME)
OBSERVED = ("got", "printed_digits")  # a page is asked no such thing
LINK = re.compile(r"(\d\d)-[a-z0-9-]+\.md")


@answers("learn")
def page(name: str, query: Query) -> Reply:
    """A lesson; without a name, all of them and how far the reader is."""
    progress = Progress(default_path())
    if not name:
        rows = [(entry, progress.of(entry.name)) for entry in shelf.every()]
        return Reply(200, HTML, forms.template("lessons.html.jinja").render(rows=rows, here="learn"))
    entry = shelf.find(name)
    following = next((each for each in shelf.every() if each.number == entry.number + 1), None)
    rendered = forms.template("lesson.html.jinja").render(
        entry=entry, parts=shown_parts(entry), mark=progress.of(entry.name), following=following, style=style(),
        here="learn",
    )  # fmt: skip
    return Reply(200, HTML, rendered)


@cache
def shown_parts(entry: Entry) -> tuple[dict[str, Any], ...]:
    """The parts of a lesson as the page shows them."""
    found: list[dict[str, Any]] = []
    asked = 0
    for part in lesson.read(entry.path):
        match part:
            case Prose(text):
                found.append({"kind": "prose", "html": markdown(text)})
            case Code() as code:
                found.append({"kind": "code", "text": code.text, "file": code.file, "tries": addresses(code)})
            case Question() as question:
                asked += 1
                found.append({"kind": "question", "number": asked, "hints": [markdown(each) for each in question.hints],
                              "missing": question.code.missing})  # fmt: skip
    return tuple(found)


def markdown(text: str) -> Any:
    """Prose of a lesson as HTML; other lessons are other pages."""
    from markdown_it import MarkdownIt
    from markupsafe import Markup

    html = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    html = re.sub("<(pre|table)>", r'<\1 tabindex="0">', html)  # they scroll where there is little room
    return Markup(LINK.sub(lambda match: f"/learn/{int(match[1])}", html))


def addresses(code: Code) -> list[tuple[str, str]]:
    """The commands of a block that have a page here: the page that stands below the block, and its address."""
    if code.language != "console":
        return []
    found = (address(shlex.split(command.partition(" | ")[0])) for command in code.commands)
    return [(frame(each), each) for each in found if each]


def address(words: Sequence[str]) -> str:
    """The address of `opcheck explain OP --input 4x4 --grad`; empty for what has none."""
    match words:
        case ["opcheck", "explain", name, *options]:
            try:
                find(name)
            except UnknownOperator:
                return ""
            return _with(f"/explain/{name}", options)
        case ["opcheck", "trace", text, "--at", at, *options] if not text.count(":"):
            pairs = (word.partition("=") for word in at.split(","))
            return _with("/trace", options, {"of": text, **{f"at.{each[0]}": each[2] for each in pairs}})
        case ["opcheck", "practice", name, *_]:
            return f"/practice/{name}"
    return ""


def _with(path: str, options: Sequence[str], given: Mapping[str, str] | None = None) -> str:
    """An address with options; empty where one of them names a file."""
    query = dict(given or {})
    flag = ""
    for word in options:
        if word.startswith("@"):
            return ""
        if word.startswith("--"):
            flag = word[2:].replace("-", "_")
            query[flag] = "1"
        elif flag:
            query[flag] = word
    query = {name: text for name, text in query.items() if name not in OBSERVED}
    return path + (f"?{urlencode(query)}" if query else "")


def frame(address: str) -> str:
    """The page that stands in a lesson below a command; empty where there is none, or where it would be refused, as
    some lessons show on purpose."""
    path, _, query = address.partition("?")
    match path.split("/"):
        case ["", "trace"]:
            return f"/traced/page?{query}"
        case ["", "explain", name]:
            try:
                exercise = read(find(name), dict(parse_qsl(query)))
                prepare(exercise.op, exercise.given, exercise.shapes, exercise.view.get("seed"))
            except Refused:
                return ""
            return f"/page/{name}?{query}"
    return ""


@answers("learn-answer")
def judged(name: str, query: Query) -> Reply:
    """How an answer stands, or how far the reader has come; both are kept."""
    entry, sent = shelf.find(name), body(query)
    parts = lesson.read(entry.path)
    progress = Progress(default_path())
    mark = progress.of(entry.name)
    questions = [part for part in parts if isinstance(part, Question)]
    if (mark.parts, mark.questions) != (len(parts), len(questions)):
        mark = Mark(0, len(parts), len(questions))
    found: dict[str, Any] = {}
    read = sent.get("read")
    if isinstance(read, int) and not isinstance(read, bool) and 0 <= read <= len(parts):
        mark.part = max(mark.part, read)
    number = sent.get("question")
    if isinstance(number, int) and 1 <= number <= len(questions):
        found = _answered(entry, parts, questions[number - 1], sent)
        if found.get("ends") and mark.answers.get(number) != "right":
            mark.answers[number] = "right" if found["right"] else "skipped"
    progress.keep(entry.name, mark)
    return data({**found, "part": mark.part, "finished": mark.finished, "trouble": progress.trouble})


def _answered(entry: Entry, parts: Sequence[Part], question: Question, sent: dict[str, Any]) -> dict[str, Any]:
    """The judgement of an answer, or the answer for who gives up."""
    try:
        known = worked_out(entry.path, parts.index(question))
    except CouldNotRun as error:
        told = say("This question cannot be asked here ({reason}): opcheck learn {n} asks it in the terminal.",
                   reason=error, n=entry.number)  # fmt: skip
        return {"right": False, "told": told, "ends": False}
    right = known["right"]
    after = {"code": question.code.text, "remark": markdown(question.remark) if question.remark else ""}
    if sent.get("skip") is True:
        told = say("The answer: {answer}", answer=shown(right, question.decimals))
        return {"right": False, "told": told, "ends": True, **after}
    wrong = ((sentence, value) for sentence, value in known["wrong"])
    found = judge(str(sent.get("answer", "")), reading.expected(right), question.decimals, wrong)
    return {"right": found.right, "told": found.told, "ends": found.right, **(after if found.right else {})}


@cache
def worked_out(path: Path, place: int) -> dict[str, Any]:
    """What the code of a lesson gives for the question that is its part number `place`, run in the sandbox; raises
    CouldNotRun."""
    text = lesson.FRONT_MATTER.sub("", path.read_text(encoding="utf-8"))
    try:
        with Worker(CODE, choose(), Limits(seconds=TIME)) as worker:
            outcome = worker.run([Call("module.answers", (text, place), keep="found")], want={"found": "found"})
    except NoSandbox:
        raise CouldNotRun(say("there is no sandbox on this machine")) from None
    if outcome.status is not Status.OK:
        raise CouldNotRun(outcome.failure.type if outcome.failure else outcome.status.value)
    found: Any = outcome.values["found"]
    return {"right": confined.revived(found["right"]), "wrong": confined.revived(found["wrong"])}
