"""What an algorithm minimizes, in words and formulas, for cards."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Description:
    """
    What an algorithm minimizes, for its card.

    Args:
        formula (`str`): in plain letters, several lines if need be.
        where (`str`): what stands for what, and with which values, as Markdown.
        against (`str`): the kind of shift that it works against, as the rest of a sentence.
        not_against (`str`): what it does nothing about, as a sentence.
    """

    formula: str
    where: str
    against: str
    not_against: str = (
        "A cue that is equally strong in all training environments is no different from the task to it and will have "
        "been learned; nor was it trained for classes, vocabulary or kinds of input that they do not have."
    )
