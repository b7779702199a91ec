"""The paper's tables: experiments as data, their runs, and a report beside what others published."""

from .rows import Row, Table
from .runs import Machine, run_of, search
from .tables import TABLES, table_of, tables_of


__all__ = ["TABLES", "Machine", "Row", "Table", "run_of", "search", "table_of", "tables_of"]
