"""How far an evaluation is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm.auto import tqdm


SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def counting(total: int) -> Iterator[Callable[[int], None]]:
    """
    Show on stderr how many of `total` rows are done; what is given takes how many were done since it was last called.
    Where there is no terminal, an evaluation that is done within seconds says nothing.
    """
    if sys.stderr.isatty():
        with tqdm(total=total, desc="Evaluating", unit=" rows", leave=False) as bar:
            yield bar.update
        return
    done, said = 0, time.monotonic()

    def count(more: int) -> None:
        nonlocal done, said
        done += more
        if done < total and time.monotonic() - said >= SECONDS_BETWEEN_LINES:
            said = time.monotonic()
            print(f"Evaluating: {done:,} of {total:,} rows", file=sys.stderr, flush=True)

    yield count
