"""Runs the code blocks of a Markdown file again and compares what they print with what the file shows.

    ```python                 runs; the blocks of one file share their names. With `>>>` prompts, output is compared
    ```console                runs if one of its commands is `$ opcheck ...`, in a shell; output is compared
    ```toml file=rubric.toml  any language: is written to that file, for the blocks that follow
    ```python needs=torch     is left as it stands where torch is not installed

Blocks run in a directory of their own, at 80 columns, without colour. `UPDATE_SNIPPETS=1 pytest` rewrites what the
files show: read the diff before you commit it.
"""

import contextlib
import difflib
import doctest
import importlib.util
import io
import os
import re
import subprocess
import sys
import tempfile
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import indent
from unittest import mock

ROOT = Path(__file__).parents[1]
SURROUNDINGS = {"COLUMNS": "80", "NO_COLOR": "1", "PYTHONUTF8": "1"}
EXIT_CODES = range(4)  # 4 is opcheck's internal error; a signal or a missing command is no part of a text either

FENCED = re.compile(
    r"^(?P<indent> *)(?P<fence>`{3,}|~{3,})(?P<info>[^`\n]*)\n(?P<body>.*?)^(?P=indent)(?P=fence) *$",
    re.MULTILINE | re.DOTALL,
)
COMMAND = re.compile(r"^\$ (?P<command>(?:.*\\\n> )*.*)\n(?P<output>(?:(?!\$ ).*\n)*)", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block: the first word of its info string, the other words, its text, and the line it starts on."""

    language: str
    words: tuple[str, ...]
    text: str
    line: int

    @property
    def file(self) -> str | None:
        return next((word.removeprefix("file=") for word in self.words if word.startswith("file=")), None)

    @property
    def lacks(self) -> bool:
        """Whether the block needs a package (needs=torch) that is not installed; then it is taken as it stands."""
        needed = (word.removeprefix("needs=") for word in self.words if word.startswith("needs="))
        return any(importlib.util.find_spec(package) is None for package in needed)

    @property
    def runs(self) -> bool:
        if self.lacks:
            return False
        if self.language == "console":
            return self.file is None and re.search(r"^\$ opcheck\b", self.text, re.MULTILINE) is not None
        return self.file is None and self.language == "python"


def blocks(markdown: str) -> list[Block]:
    """The fenced blocks in order; a fence that never closes is an error, since its block would go untested."""
    if lost := re.search(r"^ *(```|~~~).*", FENCED.sub("", markdown), re.MULTILINE):
        raise ValueError(f"this code fence is never closed: {lost[0]!r}")
    return [_block(match) for match in FENCED.finditer(markdown)]


def check(path: Path, directory: Path) -> None:
    """Run the blocks of the Markdown file at `path` in `directory`; raise AssertionError with a diff if they differ."""
    shown = path.read_text(encoding="utf-8")
    printed = replay(path, directory)
    if shown == printed:
        return
    if os.environ.get("UPDATE_SNIPPETS") == "1":
        path.write_text(printed, encoding="utf-8")
        return
    difference = difflib.unified_diff(
        shown.splitlines(), printed.splitlines(), f"{path.name}, as shown", f"{path.name}, as printed now", lineterm=""
    )
    raise AssertionError("\n".join([*difference, "UPDATE_SNIPPETS=1 pytest ... rewrites what is shown."]))


def replay(path: Path, directory: Path) -> str:
    """The Markdown file at `path` as it reads when every block shows what it prints now."""
    markdown = path.read_text(encoding="utf-8")
    blocks(markdown)
    with tempfile.TemporaryDirectory() as programs:
        _install(Path(programs) / "opcheck")
        surroundings = SURROUNDINGS | {"PATH": programs + os.pathsep + os.environ["PATH"]}
        with mock.patch.dict(os.environ, surroundings), contextlib.chdir(directory):
            os.environ.pop("FORCE_COLOR", None)
            session = Session(path)
            return FENCED.sub(session.again, markdown)


@dataclass
class Session:
    """The state that the blocks of one file share: the current directory, and the names that Python blocks define."""

    path: Path
    names: dict[str, object] = field(default_factory=lambda: {"__name__": "__main__"})

    def again(self, match: re.Match[str]) -> str:
        block = _block(match)
        if block.file is not None:
            Path(block.file).parent.mkdir(parents=True, exist_ok=True)
            Path(block.file).write_text(block.text, encoding="utf-8")
        if not block.runs:
            return match[0]
        body = indent(self._console(block) if block.language == "console" else self._python(block), match["indent"])
        start, end = match.start("body") - match.start(), match.end("body") - match.start()
        return match[0][:start] + body + match[0][end:]

    def _console(self, block: Block) -> str:
        def run(match: re.Match[str]) -> str:
            command = match["command"].replace("\n> ", "\n")
            printed = _shell(command, f"{self.path.name}, line {block.line}")
            shown = match["output"].rstrip("\n")
            blank = match["output"].removeprefix(shown + "\n" if shown else "")  # blank lines are the author's
            return f"$ {match['command']}\n" + (printed + "\n" if printed else "") + blank

        return COMMAND.sub(run, block.text)

    def _python(self, block: Block) -> str:
        if not block.text.startswith(">>> "):
            self._execute(block.text, block.line, "exec")
            return block.text
        again = ""
        for part in doctest.DocTestParser().parse(block.text, str(self.path)):
            again += part if isinstance(part, str) else self._example(part, block.line)
        return again

    def _example(self, example: doctest.Example, line: int) -> str:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            try:
                self._execute(example.source, line + example.lineno, "single")
            except Exception as error:
                if example.exc_msg is None:
                    raise
                print("Traceback (most recent call last):\n    ...", *traceback.format_exception_only(error), sep="\n")
        first, *others = example.source.splitlines()
        lines = [">>> " + first, *(f"... {other}".rstrip() for other in others)]
        lines += [line.rstrip() or "<BLANKLINE>" for line in printed.getvalue().rstrip("\n").splitlines()]
        return "\n".join(lines) + "\n"

    def _execute(self, source: str, line: int, mode: str) -> None:
        padded = "\n" * (line - 1) + source  # so that a traceback shows the Markdown file's own line
        exec(compile(padded, self.path, mode, dont_inherit=True), self.names)


def _block(match: re.Match[str]) -> Block:
    language, *words = match["info"].split() or [""]
    line = match.string.count("\n", 0, match.start("body")) + 1
    text = re.sub(f"^ {{0,{len(match['indent'])}}}", "", match["body"], flags=re.MULTILINE)
    return Block(language, tuple(words), text, line)


def _shell(command: str, where: str) -> str:
    done = subprocess.run(
        command,
        shell=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    if done.returncode not in EXIT_CODES:
        raise AssertionError(f"{where}: `{command}` exited {done.returncode}\n{done.stdout}")
    return "\n".join(line.rstrip() for line in done.stdout.splitlines()).rstrip("\n")


def _install(program: Path) -> None:
    """`opcheck`, of this checkout and this Python, as the shell will find it."""
    program.write_text(
        f"#!{sys.executable}\nimport sys\n\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from opcheck.app import main\n\n"
        "if __name__ == '__main__':  # worker processes import this file, too\n    sys.exit(main())\n",
        encoding="utf-8",
    )
    program.chmod(0o755)
