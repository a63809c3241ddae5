"""The command line: `opcheck COMMAND ...`, one file per command, imported when it is called.

Exit codes: 0 all agree; 1 something differs; 2 wrong usage or bad input; 3 could not run; 4 internal error.
"""

import contextlib
import errno
import gc
import importlib
import importlib.util
import os
import signal
import sys
from pathlib import Path
from typing import Any

import click

from opcheck import files
from opcheck.app.interruption import heard, interruption
from opcheck.errors import CouldNotRun, Refused, shortened, told
from opcheck.language import say

COMMANDS = {
    "explain": "a step-by-step worked calculation of an operator",
    "trace": "autodiff tables of an expression, a function or a training step",
    "verify": "check torch, another framework or your own kernel",
    "grade": "check student implementations, one file or a whole class",
    "replay": "run one saved case again",
    "serve": "interactive pages in a browser",
    "practice": "problems with checked answers",
    "learn": "lessons with live code",
    "ops": "list the operators",
    "doctor": "what works on this machine",
}
COMPLETION = "_OPCHECK_COMPLETE"  # a shell that completes our command line sets it
GARBAGE = 10_000  # objects that may pile up before a collection: an import creates as many, and almost none are garbage
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # a full disk is not our bug


class Group(click.Group):
    """A group of commands that says how it is called if no command is named, in every version of click."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            raise click.UsageError(ctx.get_help(), ctx)
        return super().parse_args(ctx, args)


class Commands(Group):
    """Imports a command's file only when it is needed, so that `explain` never pays for `verify`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name in COMMANDS if importlib.util.find_spec(f"opcheck.app.{name}")]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(f"opcheck.app.{name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name]) for name in self.list_commands(ctx)])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, help="Show the version and exit.",
              callback=lambda context, _, asked: shown_version(context) if asked else None)  # fmt: skip
def cli() -> None:
    """opcheck verifies neural-network operators and teaches them.

    Try: opcheck explain conv2d --input 4x4
    """


def shown_version(context: click.Context) -> None:
    """Prints the version (in a checkout, with its commit) and exits."""
    import subprocess
    from importlib.metadata import version

    root = Path(__file__).parents[2]
    commit = ""
    if (root / ".git").exists():
        describe = ("git", "-C", str(root), "describe", "--always", "--dirty")
        with contextlib.suppress(OSError):  # there is no git
            commit = subprocess.run(describe, capture_output=True, text=True, check=False).stdout.strip()
    release = version("opcheck")
    click.echo(
        say("opcheck {release}, commit {commit}", release=release, commit=commit)
        if commit
        else say("opcheck {release}", release=release)
    )
    context.exit()


def main() -> None:
    """The program: the exit code of its command line."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name) or Path(os.devnull).open("w")  # noqa: SIM115  None: whoever started us closed it
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # half of a character cannot be written, but shown
        setattr(sys, name, Unread(stream))
    if instruction := os.environ.get(COMPLETION):
        from click.shell_completion import shell_complete

        sys.exit(shell_complete(cli, {}, "opcheck", COMPLETION, instruction))
    gc.set_threshold(GARBAGE)
    with heard():
        code = run()
    if code == interruption.code:  # a second Ctrl-C, while everything ends
        signal.signal(signal.SIGINT, lambda *_: os._exit(code))
    gc.freeze()  # the process ends: skip the last collection
    sys.exit(code)


class Unread:
    """A stream whose reader may leave (`| head -1`): the rest is dropped, and the command ends as it would have.

    A closed pipe would stop it midway, and click and rich would turn that into an exit code.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            self._stream.write(text)
        except BrokenPipeError:
            self._leave()
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._leave()

    def _leave(self) -> None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())


def run(arguments: list[str] | None = None) -> int:
    """Runs a command line; bad input is one message on stderr and exit code 2, never a traceback."""
    try:
        with cli.make_context("opcheck", list(sys.argv[1:] if arguments is None else arguments)) as context:
            code = cli.invoke(context)
    except click.exceptions.Exit as ended:  # after --help or --version
        code = ended.exit_code
    except (click.exceptions.Abort, KeyboardInterrupt):
        code = interruption.code
    except click.ClickException as error:
        called_with_nothing = error.format_message().startswith("Usage:")
        code = show_help(error) if called_with_nothing else fail(usage_message(error), 2)
    except Refused as error:
        code = fail(refusal_message(error), 2)
    except CouldNotRun as error:
        code = fail(str(error), 3)
    except Exception as error:
        if os.environ.get("OPCHECK_DEBUG"):
            raise
        code = fail(*outside(error))
    return code if isinstance(code, int) else 0


def outside(error: Exception) -> tuple[str, int]:
    """The message for an exception that nobody caught; if the system refused something, it is not our bug."""
    if isinstance(error, OSError) and error.errno in UNWRITABLE:
        return say("cannot write the output: {error}", error=error), 2
    if isinstance(error, OSError) and error.filename:
        name, reason = files.shown(str(error.filename)), error.strerror
        return say("cannot use {name}: {reason}", name=name, reason=reason), 2
    if isinstance(error, UnicodeEncodeError):
        return say("this text holds half a character (a lone surrogate): {text}", text=shortened(repr(error.object))), 2
    if isinstance(error, MemoryError):
        return say("numbers of this size do not fit in memory"), 2
    if isinstance(error, RecursionError):
        return say("this is nested too deeply"), 2
    return internal_message(error), 4


def fail(message: str, code: int) -> int:
    click.echo(say("opcheck: {message}", message=message), err=True)
    return code


def show_help(error: click.ClickException) -> int:
    """A command called without its arguments shows how to call it."""
    click.echo(error.format_message(), err=True)
    return 2


def usage_message(error: click.ClickException) -> str:
    """click's message, and where the command's options are listed."""
    command = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "opcheck"
    fix = ""
    if isinstance(error, click.NoSuchOption):
        error = click.NoSuchOption(error.option_name, possibilities=near(error), ctx=error.ctx)
        fix = fixed_instead(error) if not error.possibilities else ""
    message = shortened(error.format_message().rstrip("."))
    message = f"{message}\n{fix}" if fix else message
    return say("{message}\nTry: {command} --help", message=message, command=command)


def fixed_instead(error: click.NoSuchOption) -> str:
    """What `verify` has in place of an option that sets a parameter, as in `explain`."""
    if error.ctx is None or error.ctx.info_name != "verify":
        return ""
    name = error.option_name.lstrip("-").replace("-", "_")
    name = "NAME" if name == "set" else name
    return say("verify tries every value of a parameter; --fix {name}=VALUE keeps it at the only one that the "
               "implementation supports", name=name)  # fmt: skip


def near(error: click.NoSuchOption) -> list[str]:
    """Options with a similar spelling, apart from the dashes that all have in common."""
    from difflib import get_close_matches

    params = error.ctx.command.params if error.ctx else []
    flags = [flag for param in params for flag in (*param.opts, *param.secondary_opts) if flag.startswith("--")]
    named = {flag.lstrip("-"): flag for flag in flags}
    return [named[name] for name in get_close_matches(error.option_name.lstrip("-"), named)]


def refusal_message(error: Refused) -> str:
    """The rule, what was given and what to do, one per line."""
    lines = [error.rule, error.got and say("  got: {got}", got=error.got), error.fix and f"  {error.fix}"]
    return "\n".join(shortened(line) for line in lines if line)


def internal_message(error: Exception) -> str:
    return say(
        "internal error: {kind}: {error}\nThis is a bug in opcheck. OPCHECK_DEBUG=1 shows where; please report it",
        kind=type(error).__name__,
        error=told(error),
    )
