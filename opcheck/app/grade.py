"""`opcheck grade`: check student implementations, one file or a whole class."""

import itertools
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from opcheck import files
from opcheck.app import completion
from opcheck.app.interruption import interruption
from opcheck.app.output import File, Named, page_width, write
from opcheck.language import say, use
from opcheck.operators.spec import Refused

# as in grading.formats and grading.bundle, which are not imported for a --help
FORMATS = (
    "text", "json", "csv", "html", "moodle", "canvas", "gradescope", "gradescope-csv", "junit", "check50",
    "prairielearn", "autolab",
)  # fmt: skip
BUNDLES = ("gradescope",)
TOLD = 10  # so many of the seeds that mark a correct solution wrong are shown
GROUPS = {  # of the options, as --help shows them
    say("Assignment"): ("assignment", "op", "convention"),
    say("Grading"): ("jobs", "seed", "student", "within", "executor", "unsafe"),
    say("Results"): ("format", "output"),
    say("A class"): ("roster", "journal", "adjust", "compare", "anonymise"),
    say("Preparing assignments"): ("init", "explained", "check", "seeds", "handout", "bundle"),
}


class Grouped(click.Command):
    """A command whose --help has its options under headings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        options = [each for each in self.get_params(ctx) if isinstance(each, click.Option)]
        records = {str(each.name): each.get_help_record(ctx) for each in options}
        named = {name for names in GROUPS.values() for name in names}
        rest = tuple(name for name in records if name not in named)
        for heading, names in (*GROUPS.items(), (say("Help"), rest)):
            with formatter.section(heading):
                formatter.write_dl([record for name in names if (record := records.get(name)) is not None])


@click.command(cls=Grouped)
@click.argument("paths", nargs=-1, type=Named(), metavar="PATH...", shell_complete=completion.files)
@click.option("--assignment", type=Named(path_type=Path), metavar="FILE", help="The assignment, a TOML file.")
@click.option("--op", metavar="OP", shell_complete=completion.operators,
              help="Grade just this operator, or your own FILE.py:NAME, instead.")  # fmt: skip
@click.option("--convention", metavar="NAME",
              help="Calling convention: functional, cs231n, ... [default: as found; --init: functional]")  # fmt: skip
@click.option("--init", is_flag=True, help="Print a draft assignment for the operators PATH...")
@click.option("--explain", "explained", is_flag=True, help="With --init: list every key of an assignment too.")
@click.option("--check", type=Named(path_type=Path), metavar="FILE",
              help="Check an assignment: which mistakes would it miss?")  # fmt: skip
@click.option(
    "--seeds", type=click.IntRange(1), help="With --check: grade only the correct solution, with this many seeds."
)
@click.option(
    "--bundle", type=click.Choice(BUNDLES), help="Build an autograder from the assignment PATH (with -o ZIP)."
)
@click.option("--handout", type=Named(path_type=Path), metavar="FILE",
              help="Write the handout for students: starter file, signatures, self-test (-o FOLDER).")  # fmt: skip
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True,
              help="Submissions (or processes for --seeds) to run at once.")  # fmt: skip
@click.option("--journal", type=File(files.check_regular), metavar="FILE",
              help="Save each result here as it arrives; a second run grades only the rest.")  # fmt: skip
@click.option("--roster", type=Named(path_type=Path), metavar="FILE",
              help="The class list: a CSV of names, numbers and emails, as Moodle or Canvas export it.")  # fmt: skip
@click.option("--adjust", nargs=4, multiple=True, metavar="STUDENT QUESTION POINTS REASON",
              help="Add or deduct points by hand (0 undoes it), kept in the journal; QUESTION may be all.")  # fmt: skip
@click.option("--compare", type=Named(path_type=Path), metavar="OLD.json",
              help="Print what changed since these results.")  # fmt: skip
@click.option("--anonymise", type=File(files.check_file), metavar="KEY.csv",
              help="Replace names by numbers; KEY.csv records who is who.")  # fmt: skip
@click.option("--executor", metavar="dask://HOST:PORT", help="Spread the class over a dask cluster.")
@click.option("--student", default="", metavar="NAME", help="Everything at PATH belongs to this one student.")
@click.option("--within", type=Named(path_type=Path), metavar="FOLDER",
              help="Grade one file, which may import the other files in this folder.")  # fmt: skip
@click.option(
    "--format",
    "format",
    type=click.Choice(FORMATS),
    default="text",
    metavar="FORMAT",
    help=say("Output format: {names}.  [default: text]", names=", ".join(FORMATS)),
)
@click.option("-o", "output", type=File(files.check_place), metavar="PATH",
              help="Write here instead of stdout; a folder, if the format has a file for each student.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), help="Repeat a run.  [default: the assignment's]")
@click.option("--unsafe", is_flag=True, help="Run code even where it cannot be isolated.")
def command(**options: Any) -> int:
    """Grade submissions: files, a folder with one for each student, or an export of Gradescope, Moodle or Canvas.
    Strangers' code runs in a sandbox without network or files, under a time limit. Without --assignment or --op,
    opcheck grades whatever a submission defines.

    \b
    Try: opcheck grade my_layers.py
         opcheck grade --init linear conv2d max_pool2d > hw.toml
         opcheck grade submissions/ --assignment hw.toml --jobs 2
         opcheck grade my_conv.py --op conv2d
         opcheck grade submissions/ --op reference.py:attention
    """
    if options["check"] is not None:
        if options["seeds"]:
            return repeat(options["check"], options["seeds"], options["seed"] or 0, options["jobs"])
        return check(options["check"], options["seed"] or 0)
    if options["handout"] is not None:
        return handout(options)
    if options["explained"] and not options["init"]:
        raise Refused(say("--explain works with --init only"), fix="opcheck grade --init --explain conv2d")
    if options["init"] and not options["paths"] and not options["explained"]:
        raise Refused(say("which operators should it ask for?"), fix="opcheck grade --init linear conv2d > hw.toml")
    if not options["paths"] and not options["explained"]:
        raise Refused(say("what should be graded?"), fix=say("name files or folders: opcheck grade submissions/"))
    if options["init"]:
        return init(options)
    if options["bundle"]:
        return bundle(options)
    return run(options)


def init(options: dict[str, Any]) -> int:
    from opcheck.grading.assignments.scaffold import scaffold

    if options["output"] is not None:
        files.check_file(options["output"])
    folder = options["output"].parent if options["output"] is not None else Path()
    parts = [scaffold(options["paths"], options["convention"] or "functional", folder)] if options["paths"] else []
    if options["explained"]:
        from opcheck.grading.assignments import reference

        parts.append(reference.render())
    write("\n".join(parts).rstrip("\n"), options["output"])
    return 0


def handout(options: dict[str, Any]) -> int:
    from opcheck.grading.assignments import assignment
    from opcheck.grading.handouts.write import write as hand_out

    if options["output"] is None:
        raise Refused(say("a handout needs a folder"), fix="--handout hw.toml -o starter/")
    asked = assignment.read(options["handout"])
    use(asked.language)
    for path in hand_out(asked, options["output"]):
        click.echo(path)
    return 0


def bundle(options: dict[str, Any]) -> int:
    from opcheck.grading import bundle as bundles

    if len(options["paths"]) != 1 or options["output"] is None:
        raise Refused(
            say("a bundle needs one assignment and an output file"), fix="--bundle gradescope hw.toml -o autograder.zip"
        )
    files.check_file(options["output"])
    bundles.write(options["bundle"], Path(options["paths"][0]), options["output"], options["unsafe"])
    return 0


def run(options: dict[str, Any]) -> int:
    """Grade and write the results; the exit code is 0 if all have full marks, 1 if not, 4 if some could not be
    graded."""
    from opcheck.app.gradebook import Gradebook
    from opcheck.grading import formats
    from opcheck.grading.classes.classroom import grade_class

    asked = _asked(options)
    use(asked.language)
    for note in asked.notes:
        click.echo(say("note: {note}", note=note), err=True)
    book = Gradebook(options, asked)
    with grade_class(
        [Path(path) for path in options["paths"]],
        asked,
        jobs=options["jobs"],
        journal=options["journal"],
        executor=_executor(options["executor"]),
        seed=options["seed"],
        unsafe=options["unsafe"],
        student=options["student"],
        within=options["within"],
        check=lambda submissions: formats.check_place(options["format"], submissions, options["output"]),
    ) as graded:
        results = book.finished(graded)
        if book.old is None or options["output"] is not None:
            formats.write(options["format"], results, asked, options["output"])
        if book.old is not None:
            write(book.compared(results), None)
        return _ending(graded, results)


def _asked(options: dict[str, Any]) -> Any:
    """The assignment that the options name, or one that asks for everything that is found."""
    from opcheck.grading.assignments import assignment, scaffold

    if options["assignment"] is not None and options["op"] is not None:
        raise Refused(
            say("what should the submissions be graded on?"), fix=say("give either --assignment FILE or --op OP")
        )
    convention = options["convention"] or "any"
    if options["assignment"] is not None:
        return assignment.read(options["assignment"])
    return scaffold.single(options["op"], convention) if options["op"] else scaffold.everything(convention)


def _ending(graded: Any, results: Sequence[Any]) -> int:
    """The exit code of a run, after reporting what could not be graded."""
    from opcheck.grading.formats import clean

    for student, reason in graded.failed:
        told = say("{student} could not be graded: {reason}", student=student, reason=reason)
        click.echo(clean.line(told), err=True)
    if graded.interrupted:
        return interruption.code
    if graded.failed:
        return 4
    if not any(result.checks for result in results):
        return 2
    return 0 if all(result.score >= result.points for result in results) else 1


def _executor(address: str | None) -> Any:
    if address is None:
        return None
    from opcheck.verification.workers.cluster import dask_executor

    return dask_executor(address)


def check(path: Path, seed: int) -> int:
    """The correct solution and every mistake of the catalogue, graded; 1 if the right one does not get full marks."""
    from opcheck.grading.assignments import assignment
    from opcheck.grading.assignments.check import check as checked

    worst, all_caught = 0, True
    for question, found in itertools.groupby(checked(assignment.read(path), seed), key=lambda each: each.question):
        click.echo(question)
        missed: list[str] = []
        for each in found:
            if each.mistake is None:
                worst = max(worst, int(each.caught))
                _item(say("the correct solution: {score:g} of {points:g}", score=each.score, points=each.points))
            elif not each.caught:
                missed.append(each.mistake.name)
            elif not each.named:
                _item(say("caught, but not named: {name}", name=each.mistake.name))
        if missed:
            all_caught = False
            _item(say("not caught: {names}", names=", ".join(missed)))
    if not all_caught:
        _line(say("A mistake that is not caught usually cannot change this question's result. To catch it, ask for "
                  "more in [question.parameters] or in points, if the convention supports it. opcheck ops OP "
                  "describes each mistake."))  # fmt: skip
    return worst


def repeat(path: Path, seeds: int, first: int, jobs: int) -> int:
    """The correct solution by many seeds; 1 if it was ever marked wrong."""
    from opcheck.grading.assignments import assignment
    from opcheck.grading.assignments import check as checks
    from opcheck.grading.classes.progress import bar

    asked = assignment.read(path)
    failures: list[tuple[int, checks.Caught]] = []
    with bar() as shown:
        task = shown.add_task("", total=seeds * len(asked.questions), counts="")
        for part in checks.repeat(asked, seeds, first, jobs):
            failures += part.wrong
            counts = say("{n} marked wrong", n=len(failures)) if failures else ""
            shown.update(task, advance=len(part.seeds), counts=counts)
    for seed, found in failures[:TOLD]:
        for check in found.checks:
            if check.score != check.points:
                _item(say("seed {seed}: {question}, {part}: {message}", seed=seed, question=check.question,
                          part=check.part, message=check.message))  # fmt: skip
    if len(failures) > TOLD:
        _item(say("and {n} more", n=len(failures) - TOLD))
    wrong = len({seed for seed, _ in failures})
    click.echo(say("{n} of {seeds} seeds mark a correct solution wrong", n=wrong, seeds=seeds))
    return 1 if failures else 0


def _item(text: str) -> None:
    """A line of a list, broken at the width of the page."""
    _line(text, "  ", "    ")


def _line(text: str, first: str = "", others: str = "") -> None:
    click.echo(textwrap.fill(text, page_width(None), initial_indent=first, subsequent_indent=others,
                             break_long_words=False, break_on_hyphens=False))  # fmt: skip
