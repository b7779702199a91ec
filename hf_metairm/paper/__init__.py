"""The paper's tables: experiments as data, a runner that can be interrupted, a search, and a report."""

from .experiments import TABLES, Row, Table
from .runner import Machine, carry_out
from .selection import RULES


__all__ = ["RULES", "TABLES", "Machine", "Row", "Table", "carry_out"]
