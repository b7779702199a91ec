"""A Hub on loopback for tests: the real `huggingface_hub` client talks to it, nothing leaves the machine.

Use it through the fixture `local_hub` (tests/conftest.py), which also explains itself in `LocalHub`.

Not there: Xet storage, pagination, `.gitignore` on upload, the dataset viewer (its addresses answer 404, as for a
dataset that has not been processed), discussions beyond the reference of a pull request, moving and liking.
"""

from .hub import LocalHub
from .in_process import connect


__all__ = ["LocalHub", "connect"]
