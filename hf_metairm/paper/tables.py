"""The paper's tables as data: what is trained on what, with which settings, and what others reported."""

from __future__ import annotations

from collections.abc import Sequence

from .image_tables import IMAGE_TABLES
from .rows import Table
from .text_tables import PROTOCOLS_EXPLAINED, TEXT_TABLES


TABLES: dict[str, Table] = {table.name: table for table in (*IMAGE_TABLES, *TEXT_TABLES)}
# For people: the name of each dataset, and what must be known before its tables are compared.
DATASETS: dict[str, tuple[str, tuple[str, ...]]] = {
    "colored_mnist": ("Colored MNIST", ()),
    "punctuated_sst2": ("PunctuatedSST-2", PROTOCOLS_EXPLAINED),
}


def groups() -> list[str]:
    """Names of datasets that stand for all of their tables: those that are no table's own name."""
    return [name for name in dict.fromkeys(table.dataset for table in TABLES.values()) if name not in TABLES]


def tables_of(names: Sequence[str]) -> list[Table]:
    """
    The tables of these names; a dataset's name, such as `punctuated_sst2`, stands for all tables of it.

    Raises:
        ValueError: there is none; the message lists the names.
    """
    found: dict[str, Table] = {}
    for name in names:
        own = [TABLES[name]] if name in TABLES else [table for table in TABLES.values() if table.dataset == name]
        if not own:
            raise ValueError(
                f"There is no table {name!r}; there are {', '.join(TABLES)}, and {' and '.join(groups())} for all of "
                "that dataset."
            )
        found |= {table.name: table for table in own}
    return list(found.values())


def table_of(name: str) -> Table:
    """
    The table of that name.

    Raises:
        ValueError: there is none; the message lists the names.
    """
    if name not in TABLES:
        raise ValueError(f"There is no table {name!r}; there are {', '.join(TABLES)}.")
    return TABLES[name]
