"""What the shell offers for a word: operators by name, else files."""

import click
from click.shell_completion import CompletionItem


def files(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Files, for words such as FILE.py:NAME."""
    return [CompletionItem(incomplete, type="file")]


def operators(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The operators whose names begin like this; files if there are none."""
    from opcheck.operators import catalog

    found = [CompletionItem(op.name, help=op.summary) for op in catalog.every() if op.name.startswith(incomplete)]
    return found or files(ctx, param, incomplete)
