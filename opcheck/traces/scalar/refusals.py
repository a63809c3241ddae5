"""Messages for expressions that cannot be parsed: the rule, a caret under the place, and what to do."""

import re
from collections.abc import Container

from opcheck.errors import Refused, pointed
from opcheck.language import say


class ExpressionRefused(Refused):
    """An expression that cannot be read, with a caret under the place."""

    def __init__(self, rule: str, text: str, start: int, end: int, fix: str = "") -> None:
        line, caret = pointed(text.replace("\n", " ").replace("\t", " "), start, end)
        super().__init__(f"{rule}\n  {line}\n  {caret}", fix=fix)
        self.args = ("\n".join(part for part in (self.rule, fix) if part),)


def syntax_error(
    text: str, source: str, columns: tuple[int, ...], error: SyntaxError, functions: Container[str]
) -> ExpressionRefused:
    """What is wrong with `text`, which Python read as `source`; columns: its bytes' places in the text."""
    end = len(text.rstrip())
    letter = (error.offset or 0) - 1  # Python counts from 1 and says 0 where the text ends too early
    place = columns[min(len(source[:letter].encode()), len(columns) - 1)] if letter >= 0 else end
    word = "".join(re.findall(r"\w+$|\)$", text[:place].rstrip()))
    rule, fix = say("this is not an expression"), ""
    if "Exceeds the limit" in error.msg:
        rule, place = say("a number here has too many digits"), 0
    elif "never closed" in error.msg:
        rule = say("this parenthesis is never closed")
    elif "unmatched" in error.msg or "does not match" in error.msg:
        rule = say("this parenthesis was never opened")
    elif text[place : place + 1] == "|":
        fix = say("an absolute value is written abs(x)")
    elif "=" in text:
        fix = say("only the right-hand side, without a name and =")
    elif word in functions:
        fix = say("call it: {name}(x)", name=word)
    elif "invalid decimal" in error.msg or (word and re.match(r"[\w(]", text[place:])):
        fix = say("a product needs its sign: 2*x and not 2x")
    elif place >= end:
        rule = say("the expression ends too early")
    return ExpressionRefused(rule, text, place, place + 1, fix)
