"""Sentences at the head of worked calculations that several families say."""

from opcheck.language import say


def shifted() -> str:
    """Why exp takes x − m."""
    return say("subtracting the maximum m changes nothing, since exp(−m) cancels; without it exp overflows")
