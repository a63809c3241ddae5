"""Formulas as lines of text: = under =, and the terms of equally long sums under each other, in rows and columns.

A long sum breaks where its terms reach another row of an array (a 3×3 kernel gives three rows of three products), or
else into rows of equally many terms.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from opcheck.render.layout import center, width, wrap
from opcheck.render.notation import SUMS, Term
from opcheck.render.signs import Signs
from opcheck.steps import Apply, Expression, Formula, Number, Symbol

HANGING = "    "
HOLE = "\0"
CALLS = ("max", "min")  # operations with any number of arguments

Line = tuple[str, str]  # the part in the column of the =, and the rest


class Spread(NamedTuple):
    """A right side taken apart at its longest list of terms: `before`, the terms, `after`."""

    before: str
    terms: tuple[Term, ...]
    after: str
    is_sum: bool

    @property
    def length(self) -> int:
        return len(self.terms)


class Formulas(NamedTuple):
    """Lays formulas out on a page of `room` columns; `spoken`: one right side after the other, nothing aligned."""

    notation: Signs
    room: int
    spoken: bool = False

    def lines(self, formula: Formula, head: str) -> list[str]:
        """`head left = right = right` on one line where that is short, else one right side per line, aligned."""
        left = head + self.notation.write(formula.left)
        chain = [(self.notation.relation(right), right) for right in formula.rights]
        written = [f"{sign} {self.notation.write(right)}" for sign, right in chain]
        whole = " ".join([left, *written])
        spreads = [self.spread(right) for right in formula.rights]
        if width(whole) <= self.room and (formula.brief or _lined_up(spreads) <= 2):
            return [whole]
        if self.spoken:
            hanging = " " * (len(head) - len(head.lstrip()) + 2)
            sides = [*wrap(left, self.room, hanging)]
            return [*sides, *(line for each in written for line in wrap(hanging + each, self.room, hanging + "  "))]
        return self._stacked(left, len(head) - len(head.lstrip()), chain, spreads)

    def spread(self, expression: Expression) -> Spread:
        """The expression taken apart at its longest list of terms, the outermost of equally long ones."""
        whole = (expression, Symbol(HOLE))
        inner, holed = max(_lists(expression), key=lambda pair: _count(pair[0]), default=whole)
        if inner is not expression and _count(inner) < 3:
            inner, holed = whole
        before, _, after = self.notation.write(holed).partition(HOLE)
        is_call = isinstance(inner, Apply) and inner.op in CALLS
        terms = (
            [Term("", self.notation.write(arg), arg) for arg in inner.args]
            if isinstance(inner, Apply) and is_call
            else self.notation.terms(inner)
        )
        return Spread(before, tuple(terms), after, not is_call)

    def _stacked(
        self, left: str, indent: int, chain: Sequence[tuple[str, Expression]], spreads: Sequence[Spread]
    ) -> list[str]:
        """One right side after the other, each = in the same column."""
        sign_width = max(width(sign) for sign, _ in chain)
        margin = width(left) + 1
        lines = []
        if margin > self.room // 3:  # a long left side has its own line
            lines = list(wrap(left, self.room, " " * indent + HANGING))
            margin = indent + 4
            left = ""
        room = self.room - margin - sign_width - 1
        for k, side in enumerate(self._sides(chain, spreads, room)):
            for row, (sign, text) in enumerate(side):
                start = left + " " if left and k == row == 0 else " " * margin
                lines.append(start + sign + " " * (sign_width - width(sign)) + " " + text)
        return lines

    def _sides(
        self, chain: Sequence[tuple[str, Expression]], spreads: Sequence[Spread], room: int
    ) -> Iterator[list[Line]]:
        """Each right side as lines; a result follows its sum on the same line, unless sums line up."""
        count = _lined_up(spreads)
        together = [each for each in spreads if each.length == count and each.is_sum] if count > 1 else []
        rows = self._rows(together, room) if together else []
        waiting: list[Line] = []
        for (sign, right), spread in zip(chain, spreads, strict=True):
            if rows and spread in together:
                if waiting:
                    yield waiting
                yield self._block(spread, rows, together, sign)
                waiting = []
                continue
            side = self._alone(right, spread, room, sign)
            result = f"{sign} {side[0][1]}" if isinstance(right, Number) else ""
            if result and waiting and width(waiting[-1][1]) + 1 + width(result) <= room:
                side = [*waiting[:-1], (waiting[-1][0], f"{waiting[-1][1]} {result}")]
            elif waiting:
                yield waiting
            waiting = side
        if waiting:
            yield waiting

    def _alone(self, right: Expression, spread: Spread, room: int, sign: str) -> list[Line]:
        whole = self.notation.write(right)
        if width(whole) <= room:
            return [(sign, whole)]
        if rows := self._rows([spread], room):
            return self._block(spread, rows, [spread], sign)
        first, *more = wrap(whole, room)
        return [(sign, first), *(("", line) for line in more)]

    def aligned(self, rights: Sequence[Expression]) -> list[list[int]]:
        """For each right side, how many terms stand in each of its rows, if its terms line up with others or need more
        than one row; else []."""
        spreads = [self.spread(right) for right in rights]
        count = _lined_up(spreads)
        whole = [each.is_sum and each.length == count and not each.before + each.after for each in spreads]
        together = [each for each, is_whole in zip(spreads, whole, strict=True) if is_whole]
        rows = self._rows(together, self.room) if count > 2 and len(together) > 1 else []
        return [
            rows if rows and is_whole else self._wide(right, spread)
            for right, spread, is_whole in zip(rights, spreads, whole, strict=True)
        ]

    def _wide(self, right: Expression, spread: Spread) -> list[int]:
        """The rows of a sum that is alone and wider than the page; else []."""
        is_sum = spread.is_sum and spread.length > 1 and not spread.before + spread.after
        return self._rows([spread], self.room) if is_sum and width(self.notation.write(right)) > self.room else []

    def broken(self, terms: Sequence[Term], is_sum: bool) -> list[int]:
        """How many of these terms stand in each row, so that every row fits."""
        return self._rows([Spread("", tuple(terms), "", is_sum)], self.room) or [1] * len(terms)

    # --- terms in rows and columns --------------------------------------------------------------------------------

    def _rows(self, spreads: Sequence[Spread], room: int) -> list[int]:
        """How many terms each row has, so that all of these spreads fit; nothing if not even single terms do."""
        count = spreads[0].length

        def fits(rows: Sequence[int]) -> bool:
            widths = self._widths(spreads, rows)
            around = max(width(each.before) + width(each.after) for each in spreads)
            between = 3 if spreads[0].is_sum else 2  # " + " or ", "
            return around + sum(widths) + between * (len(widths) - 1) + 1 <= room

        fewest = next((n for n in range(1, count + 1) if fits(_even(count, n))), 0)
        if fewest < 2:
            return _even(count, 1) if fewest else []
        by_array = _array_rows(spreads[0].terms)
        if len(by_array) <= 2 * fewest and fits(by_array):
            return by_array
        more = fewest + 1
        return _even(count, more if count % fewest and not count % more else fewest)

    def _widths(self, spreads: Sequence[Spread], rows: Sequence[int]) -> list[int]:
        """How wide each column of terms is."""
        widths = [0] * max(rows)
        for spread in spreads:
            texts = iter(self._texts(spread))
            for length in rows:
                for column in range(length):
                    widths[column] = max(widths[column], width(next(texts)))
        return widths

    def _texts(self, spread: Spread) -> list[str]:
        """The terms in their columns; a leading minus stays with its term."""
        first, *others = spread.terms
        return [self.notation.negated(first.text) if first.sign == "−" else first.text, *(term.text for term in others)]

    def _block(self, spread: Spread, rows: Sequence[int], together: Sequence[Spread], sign: str) -> list[Line]:
        widths = self._widths(together, rows)
        before = max(width(each.before) for each in together)
        terms = iter(zip(spread.terms, self._texts(spread), strict=True))
        lines: list[Line] = []
        for row, length in enumerate(rows):
            pieces = []
            for column in range(length):
                term, text = next(terms)
                if not spread.is_sum:
                    pieces.append(" " * (widths[column] - width(text)) + text)
                    continue
                mark, centred = self.notation.sign(term.sign), not (column and spread.length == 2)
                text = center(text, widths[column]) if centred else text
                pieces.append(f"{mark} {text}" if column else text)
                sign = mark if row and not column else sign
            start = spread.before.rjust(before) if row == 0 else " " * before
            end = "," if not spread.is_sum and row < len(rows) - 1 else ""
            lines.append((sign, start + (" " if spread.is_sum else ", ").join(pieces) + end))
            sign = "" if not spread.is_sum else sign
        lines[-1] = (lines[-1][0], lines[-1][1] + spread.after)
        return [(mark, line.rstrip()) for mark, line in lines]


def _lists(expression: Expression) -> Iterator[tuple[Expression, Expression]]:
    """Every sum and every call in the expression, and the expression with a hole where its terms stand."""
    if not isinstance(expression, Apply):
        return
    if expression.op in SUMS or expression.op in CALLS:
        yield expression, Apply(expression.op, (Symbol(HOLE),))
    for k, arg in enumerate(expression.args):
        for inner, holed in _lists(arg):
            yield inner, Apply(expression.op, (*expression.args[:k], holed, *expression.args[k + 1 :]))


def _count(expression: Expression) -> int:
    """How many terms a list has, as Notation.terms counts."""
    if not isinstance(expression, Apply):
        return 1
    first = expression.args[0]
    nested = expression.op in SUMS and isinstance(first, Apply) and first.op in SUMS
    return len(expression.args) + (_count(first) - 1 if nested else 0)


def _lined_up(spreads: Sequence[Spread]) -> int:
    """How many terms the longest sums have, if there are several of them; else 1."""
    longest = max(each.length for each in spreads)
    return longest if sum(each.length == longest and each.is_sum for each in spreads) > 1 else 1


def _even(count: int, rows: int) -> list[int]:
    """That many rows of equally many terms; the last may have fewer."""
    length = -(-count // rows)
    return [min(length, count - start) for start in range(0, count, length)]


def _array_rows(terms: Sequence[Term]) -> list[int]:
    """How many terms follow each other that read the same row of an array."""
    rows: list[int] = []
    previous: set[tuple[str, tuple[int, ...]]] = set()
    for term in terms:
        read = set(_rows_read(term.expression))
        if read & previous:
            rows[-1] += 1
        else:
            rows.append(1)
        previous = read
    return rows


def _rows_read(expression: Expression) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The rows of the arrays that an expression reads: of w[0,1], row 0 of w."""
    if isinstance(expression, Symbol):
        yield expression.name, expression.at[:-1]
    for arg in expression.args if isinstance(expression, Apply) else ():
        yield from _rows_read(arg)
