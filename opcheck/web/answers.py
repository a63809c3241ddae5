"""The answer to an address, computed in its own process (`workroom`): nothing but text leaves it."""

import json

from opcheck.errors import CouldNotRun, Refused
from opcheck.language import say
from opcheck.operators.catalog import UnknownOperator
from opcheck.web import explaining, lessons, practising, tracing  # noqa: F401  they register what they answer
from opcheck.web.forms import lost, template
from opcheck.web.reply import ANSWERS, HTML, INSIDE, Query, Reply, answers, impossible, sentence

OPENED = ("explain", "trace", "practice", "learn")  # pages that a person opens


def answer(what: str, name: str, query: Query) -> Reply:
    """The answer to one address; what is impossible is one sentence, and the field that it belongs to."""
    try:
        return ANSWERS[what](name, query)
    except UnknownOperator as refused:
        return told(what, impossible(refused)._replace(status=404))
    except Refused as refused:
        return told(what, impossible(refused))
    except CouldNotRun as error:
        return sentence(404, str(error))
    except MemoryError:
        return sentence(413, say("This needs more memory than a page may use: try smaller arrays."))
    except RecursionError:
        return sentence(400, say("This is nested too deeply."))


@answers("missing")
def missing(name: str, query: Query) -> Reply:
    """An address that nothing answers."""
    return told("explain", sentence(404, say("There is no such page.")))


def told(what: str, reply: Reply) -> Reply:
    """A sentence as a page, where a person opened the address and no script asks."""
    if what not in (*INSIDE, *OPENED):
        return reply
    sentence = json.loads(reply.text)["sentence"]
    if what in OPENED:
        return Reply(reply.status, HTML, lost(sentence))
    return Reply(reply.status, HTML, template("impossible.html.jinja").render(sentence=sentence))
