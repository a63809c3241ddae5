"""What goes back to a browser: text with its status; what is impossible is one sentence, and its field."""

import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from opcheck.errors import Refused
from opcheck.language import say
from opcheck.web.exercise import Impossible
from opcheck.web.named import words

HTML, JSON, PLAIN = "text/html; charset=utf-8", "application/json", "text/plain; charset=utf-8"

INSIDE = ("page", "traced-page")  # pages that stand in another one


class Reply(NamedTuple):
    """What goes to the browser; `kept`: the same address will get the same answer, so it may be kept for a while.
    `page`: of a form, the page that will be asked for next."""

    status: int
    kind: str
    text: str
    kept: bool = False
    page: str = ""


Query = Mapping[str, str]
Answer = Callable[[str, Query], Reply]
DRAWN = re.compile(r"\n  .*")
COMMAND = re.compile(r"(?<!\S)(--[a-z]|opcheck [a-z])")
ANSWERS: dict[str, Answer] = {}  # by the first word of an address


def answers(what: str) -> Callable[[Answer], Answer]:
    """Registers the function that answers addresses of that kind, from their name and their query."""

    def registered(function: Answer) -> Answer:
        ANSWERS[what] = function
        return function

    return registered


def data(value: object, kept: bool = False) -> Reply:
    """An answer that a script reads."""
    return Reply(200, JSON, json.dumps(value), kept)


def sentence(status: int, text: str, field: str = "") -> Reply:
    """An answer that is one sentence."""
    return Reply(status, JSON, json.dumps({"sentence": text, "field": field}))


def impossible(refused: Refused) -> Reply:
    """What is said under a field: its own, or the first that the sentence names."""
    field = refused.field if isinstance(refused, Impossible) else ""
    return sentence(400, spoken(refused), field)


def spoken(refused: Refused) -> str:
    """A refusal as sentences. What it says to do at a command line is nothing for a page, nor a caret below a line."""
    fix = "" if COMMAND.search(refused.fix) else refused.fix
    rule = DRAWN.sub("", refused.rule)
    parts = (rule, refused.got and say("Got {got}", got=refused.got), fix)
    told = (" ".join(part.split()) for part in parts if part)
    known = {*words(), refused.field.rpartition(".")[2]} if isinstance(refused, Impossible) else words()
    return " ".join(f"{_begun(part, known)}{'' if part[-1] in '.?!' else '.'}" for part in told)


def _begun(sentence: str, names: Collection[str]) -> str:
    """With a capital, unless it begins with a name: of an operator, of an argument, or a single letter."""
    word = sentence.split()[0].rstrip(".,:;=")
    is_name = "_" in word or word in names or (len(word) == 1 and word != "a")
    return sentence if is_name else sentence[0].upper() + sentence[1:]
