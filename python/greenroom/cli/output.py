"""Lines for people: what happens on stdout, what went wrong in red on stderr."""

from __future__ import annotations

from rich.console import Console

_out = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
_err = Console(highlight=False, soft_wrap=True, markup=False, emoji=False, stderr=True)


def say(text: str) -> None:
    """One line on stdout."""
    _out.print(printable(text))


def complain(text: str) -> None:
    """One line on stderr."""
    _err.print(printable(text), style="red")


def printable(text: str) -> str:
    """The text without what would steer the terminal: names in a room are chosen by others."""
    return "".join(c if c.isprintable() else "�" for c in " ".join(text.splitlines()))
