"""`adrefine completion`: the tab key completes commands and options."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

_SHELLS = ("bash", "zsh", "tcsh")
_HELP = """\
Prints what a shell needs to complete `adrefine` with the tab key.

  bash   adrefine completion bash > ~/.local/share/bash-completion/completions/adrefine
  zsh    adrefine completion zsh > ~/.zfunc/_adrefine
         and, in ~/.zshrc: fpath+=~/.zfunc; autoload -U compinit && compinit
  tcsh   adrefine completion tcsh > ~/.adrefine.completion.csh
         and, in ~/.tcshrc: source ~/.adrefine.completion.csh

The folder must exist. It is for new shells."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The subcommand and its help."""
    parser = commands.add_parser(
        "completion",
        help="print what bash, zsh or tcsh need to complete this command with the tab key",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=_SHELLS)
    parser.set_defaults(run=completion)


def completion(chosen: argparse.Namespace) -> None:
    """Print the script; paths are completed as files."""
    import shtab

    from adrefine.cli import parser

    made = parser()
    for action in _actions(made):
        if action.type is Path:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    print(shtab.complete(made, chosen.shell))


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Of the parser and its subcommands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from _actions(child)
