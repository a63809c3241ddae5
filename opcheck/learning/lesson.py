"""A lesson's Markdown as the parts that a reader meets one after the other. The format: `opcheck.learning`."""

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path

FENCED = re.compile(
    r"^(?P<fence>`{3,}|~{3,})(?P<info>[^`\n]*)\n(?P<body>.*?)^(?P=fence) *$\n?", re.MULTILINE | re.DOTALL
)
FOLDED = re.compile(
    r"^<details>\s*<summary>(?P<summary>.*?)</summary>\n(?P<inside>.*?)^</details> *$\n?", re.MULTILINE | re.DOTALL
)
SECTION = re.compile(r"^(?=## )", re.MULTILINE)
PART = re.compile(f"(?P<folded>{FOLDED.pattern})|(?P<block>{FENCED.pattern})", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (?P<command>(?:.*\\\n> )*.*)\n", re.MULTILINE)
SUMMARY = re.compile(r"(?P<kind>Hint|Answer|Slip)(?:, to (?P<decimals>\d+) decimals?)?(?:: (?P<sentence>.+))?")
FRONT_MATTER = re.compile(r"\A---\n.*?^---\n", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Prose:
    """Markdown to be read."""

    text: str


@dataclass(frozen=True)
class Code:
    """A block that runs, or that becomes a file: python, or console with its commands."""

    language: str
    words: tuple[str, ...]
    text: str

    @property
    def file(self) -> str | None:
        return self._word("file")

    @property
    def runs_python(self) -> bool:
        return self.language == "python" and self.file is None

    @property
    def missing(self) -> str | None:
        """The first package that this block needs (needs=torch needs=sklearn) and that is not installed."""
        needed = (word.removeprefix("needs=") for word in self.words if word.startswith("needs="))
        return next((package for package in needed if importlib.util.find_spec(package) is None), None)

    @property
    def written(self) -> list[str]:
        """The commands as they stand there, on one line or on several."""
        return [match["command"] for match in COMMAND.finditer(self.text)]

    @property
    def commands(self) -> list[str]:
        return [command.replace("\\\n> ", "") for command in self.written]

    def _word(self, name: str) -> str | None:
        return next((word[len(name) + 1 :] for word in self.words if word.startswith(f"{name}=")), None)


@dataclass(frozen=True)
class Slip:
    """A wrong answer that the author expects: the sentence for whoever gives it, and the code that computes it."""

    sentence: str
    code: Code


@dataclass(frozen=True)
class Question:
    """What belongs to a question; its text is the prose before it. `decimals` is None where the answer is exact."""

    code: Code
    decimals: int | None
    hints: tuple[str, ...]
    slips: tuple[Slip, ...]
    remark: str  # told after the answer


Part = Prose | Code | Question


def read(path: Path) -> tuple[Part, ...]:
    """The parts of the lesson at `path`; raises ValueError where it is not written as a lesson is."""
    return parts(FRONT_MATTER.sub("", path.read_text(encoding="utf-8")))


def parts(markdown: str) -> tuple[Part, ...]:
    """Prose, blocks that run and questions, in order."""
    found: list[Part] = []
    prose = ""
    folded: list[re.Match[str]] = []
    end = 0
    for match in PART.finditer(markdown):
        between = markdown[end : match.start()]
        end = match.end()
        if folded and (between.strip() or not match["folded"]):
            found.append(_question(folded))
            folded = []
        prose += between
        code = None if match["folded"] else _code(match)
        if not match["folded"] and code is None:
            prose += match[0]  # a block that does not run is part of the prose
            continue
        _flush(found, prose)
        prose = ""
        if code is not None:
            found.append(code)
        else:
            folded.append(match)
    if folded:
        found.append(_question(folded))
    _flush(found, prose + markdown[end:])
    return tuple(found)


def _flush(found: list[Part], prose: str) -> None:
    """A part for each section, so that a reader can be given one after the other."""
    found += [Prose(text.strip("\n") + "\n") for text in SECTION.split(prose) if text.strip()]


def _code(match: re.Match[str]) -> Code | None:
    """The block, if it runs or becomes a file."""
    language, *words = match["info"].split() or [""]
    code = Code(language, tuple(words), match["body"])
    runs = language == "python" or (language == "console" and any(c.startswith("opcheck ") for c in code.commands))
    return code if runs or code.file is not None else None


def _question(folded: list[re.Match[str]]) -> Question:
    hints: list[str] = []
    slips: list[Slip] = []
    answers: list[tuple[Code, int | None, str]] = []
    for match in folded:
        (summary, body) = FOLDED.fullmatch(match["folded"]).groups()  # type: ignore[union-attr]  # it matched before
        told = SUMMARY.fullmatch(summary.strip())
        if told is None or (told["kind"] == "Slip") != (told["sentence"] is not None):
            raise ValueError(f"a folded part is a Hint, an Answer or 'Slip: sentence', not {summary!r}")
        if told["kind"] == "Hint":
            hints.append(body.strip())
        elif told["kind"] == "Slip":
            slips.append(Slip(told["sentence"], _computation(body)))
        else:
            decimals = None if told["decimals"] is None else int(told["decimals"])
            answers.append((_computation(body), decimals, FENCED.sub("", body).strip()))
    if len(answers) != 1:
        raise ValueError(f"a question has one answer, not {len(answers)}")
    code, decimals, remark = answers[0]
    return Question(code, decimals, tuple(hints), tuple(slips), remark)


def _computation(body: str) -> Code:
    codes = [code for match in FENCED.finditer(body) if (code := _code(match))]
    if len(codes) != 1 or not codes[0].text.startswith(">>> "):
        raise ValueError(f"an answer is computed by one block with >>> prompts, not by {body.strip()!r}")
    return codes[0]
