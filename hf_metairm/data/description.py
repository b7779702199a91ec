"""What a dataset's card says of it."""

from __future__ import annotations

from dataclasses import dataclass, field


COMMON_COLUMNS = {
    "label": "the noisy label y: what is to be predicted",
    "environment": "name of the environment, such as `p=0.2`",
    "clean_label": "the label before noise, c",
}


@dataclass(frozen=True)
class DatasetDescription:
    """
    The words of a dataset's card; Markdown, in whole sentences where nothing else is said.

    Args:
        title (`str`): its name for people.
        task (`str`): the Hub's name of the task, such as `"text-classification"`.
        summary (`str`): what the rows are, what the cue is, and what a model does that follows it.
        construction (`str`): a list: how clean label c, label y and cue are drawn, with p_e and η.
        credits (`str`): who made the original rows.
        columns (`dict[str, str]`, *optional*): what is in each column that is not in `COMMON_COLUMNS`.
        notes (`str`, *optional*): what else one must know to use the rows.
        limits (`str`, *optional*): what the dataset does not show.
        language (`str`, *optional*): code of the language of its texts.
        natural (`bool`, *optional*, defaults to `False`): whether the cue is one that people left in the data, so that
            nobody can say how often it agrees with the label.
    """

    title: str
    task: str
    summary: str
    construction: str
    credits: str
    columns: dict[str, str] = field(default_factory=dict)
    notes: str = ""
    limits: str = ""
    language: str | None = None
    natural: bool = False

    def column(self, name: str) -> str:
        """What is in the column `name`; the name in words where nothing is said."""
        return {**COMMON_COLUMNS, **self.columns}.get(name, name.replace("_", " "))
