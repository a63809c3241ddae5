"""What a shell offers: commands, operators and options by name, and files where words are paths."""

import pytest
from click.shell_completion import BashComplete

from opcheck.app import COMPLETION, cli


@pytest.mark.parametrize(
    ("before", "word", "offered"),
    [
        ([], "expl", [("plain", "explain")]),
        (["explain"], "conv1", [("plain", "conv1d")]),
        (["explain", "conv2d"], "--dil", [("plain", "--dilation")]),
        (["verify"], "conv1", [("plain", "conv1d")]),
        (["verify", "relu"], "conv1", [("plain", "conv1d")]),
        (["verify", "--impl"], "kern", [("file", "kern")]),
        (["trace"], "max_pool2", [("plain", "max_pool2d")]),
        (["trace"], "prog", [("file", "prog")]),
        (["practice"], "silu", [("plain", "silu")]),
        (["ops"], "silu", [("plain", "silu")]),
        (["grade"], "sub", [("file", "sub")]),
        (["grade", "--op"], "silu", [("plain", "silu")]),
        (["serve"], "prog", [("file", "prog")]),
        (["replay"], "cas", [("file", "cas")]),
    ],
)
def test_words_are_completed(before, word, offered):
    found = BashComplete(cli, {}, "opcheck", COMPLETION).get_completions(before, word)
    assert [(each.type, each.value) for each in found] == offered
