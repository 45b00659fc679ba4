"""How many training photos the chosen detector, scorer and strategy need: told before anything learns.

validate asks first, and does not run again when another strategy is chosen: train and refine ask once more.
It decides no result.
"""

from __future__ import annotations

from adrefine.errors import UserError
from adrefine.params import Params
from adrefine.text import counted


def check(there: int, settings: Params) -> None:
    """Refuse a training set that is too small for what is to learn from it.

    Args:
        there: photos that train, hidden defects among them.
        settings: of which detector, scorer and strategy count.

    Raises:
        UserError: it is; names what needs more, and the remedy.
    """
    short = [(least, who, else_) for least, who, else_ in _needs(settings, there) if there < least]
    if short:
        more = "add photos" if settings.noise.n_train is None else "add photos, or raise noise.n_train"
        lines = [
            f"  - {who} needs {least} training photos or more: {more}, or {else_}"
            for least, who, else_ in short
        ]
        raise UserError("\n".join([f"{counted(there, 'training photo')}, too few to learn from", *lines]))


def _needs(settings: Params, there: int) -> list[tuple[int, str, str]]:
    """The fewest photos, who needs them, and what else can be done."""
    strategy, refine = settings.chosen_strategy, settings.refine
    needs = [
        (settings.chosen_detector.FEWEST, f"detector = {settings.detector}", "choose another detector"),
        (strategy.FEWEST, f"refine.strategy = {refine.strategy}", "choose another strategy"),
    ]
    if strategy.SCORER and refine.scorer == "out_of_fold":
        fewer = f"set refine.folds to at most {there // 2}, or " if there >= 4 else ""
        needs.append(
            (
                2 * refine.folds,
                f"refine.scorer = out_of_fold with refine.folds = {refine.folds}",
                f"{fewer}set refine.scorer to in_sample",
            )
        )
    return needs
