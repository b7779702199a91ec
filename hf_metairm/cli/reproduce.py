"""`hf-metairm reproduce`, `search` and `report`: the paper's tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from .errors import GOING_ON, one_line_errors


RESULTS = Path("outputs/reproduction")


def _names(incomplete: str) -> list[str]:
    """For the shell: the tables whose names begin so."""
    from hf_metairm.paper.tables import TABLES, groups

    return [name for name in (*TABLES, *groups()) if name.startswith(incomplete)]


Output = Annotated[Path, typer.Option(help="Folder of the results; what is there is not repeated.")]
BatchSize = Annotated[
    str, typer.Option("--batch_size", help="Rows in a batch, of all environments together, or 'full'.")
]
Seeds = Annotated[int, typer.Option(help="Seeds 0 to N - 1.")]
Algorithms = Annotated[list[str] | None, typer.Option("--algorithms", help="Only this algorithm; may be repeated.")]
Source = Annotated[str, typer.Option(help="auto, hub, bundled, or a folder with the original data.")]
WordVectors = Annotated[
    Path | None, typer.Option("--word_vectors", help="File in GloVe's format, for the PunctuatedSST-2 tables.")
]
Device = Annotated[str | None, typer.Option(help="cpu or cuda; a GPU if there is one, by default.")]
Jobs = Annotated[int | None, typer.Option(help="Runs side by side; one for each core, up to 4, by default.")]


def reproduce(
    tables: Annotated[
        list[str] | None,
        typer.Argument(
            help="Names of tables, or of a dataset for all of its tables; all that the data allows if none is given.",
            autocompletion=_names,
        ),
    ] = None,
    algorithms: Algorithms = None,
    seeds: Seeds = 3,
    batch_size: BatchSize = "full",
    source: Source = "auto",
    word_vectors: WordVectors = None,
    device: Device = None,
    jobs: Jobs = None,
    output: Output = RESULTS,
) -> None:
    """Carry out the runs of the paper's tables, one JSON line each; the same command goes on after an interruption."""
    with _carrying_out(output):
        from hf_metairm.paper import TABLES, run_of, tables_of

        machine, batch = _machine(source, word_vectors, device, jobs), _batch(batch_size)
        named = tables_of(tables or list(TABLES))
        on_words = [table for table in named if table.dataset == "punctuated_sst2" and table.model == "perceptron"]
        if on_words and word_vectors is None and not set(tables or []) & {table.name for table in on_words}:
            named = [table for table in named if table not in on_words]
            left_out = ", ".join(table.name for table in on_words)
            typer.echo(f"Without --word_vectors these tables are left out: {left_out}.")
        runs = [
            run_of(table, row, seed, batch=batch, source=source, word_vectors=machine.word_vectors)
            for table in named
            for seed in range(seeds)
            for row in table.rows
            if not algorithms or row.algorithm in algorithms
        ]
        if not runs:
            there = dict.fromkeys(row.algorithm for table in named for row in table.rows)
            raise ValueError(
                f"No row of {', '.join(table.name for table in named)} is of {', '.join(algorithms or [])}; there are "
                f"{', '.join(there)}."
            )
        machine.carry_out(runs, output, typer.echo).check()


def search(
    table: Annotated[str, typer.Argument(help="Name of a table.", autocompletion=_names)] = "colored_mnist",
    algorithms: Algorithms = None,
    trials: Annotated[int, typer.Option(help="Trials of each algorithm.")] = 30,
    seeds: Seeds = 3,
    batch_size: BatchSize = "full",
    source: Source = "auto",
    word_vectors: WordVectors = None,
    device: Device = None,
    jobs: Jobs = None,
    output: Output = RESULTS,
) -> None:
    """Search hyper-parameters at random and compare selection rules; only one of them sees the unseen environment."""
    with _carrying_out(output):
        from hf_metairm.paper import search as carry_out_search
        from hf_metairm.paper import table_of

        machine, batch = _machine(source, word_vectors, device, jobs), _batch(batch_size)
        carry_out_search(table_of(table), algorithms, trials, seeds, output, machine, batch=batch, say=typer.echo)


def report(
    results: Annotated[Path, typer.Option(help="Folder of the results.")] = RESULTS,
    output: Annotated[
        Path | None, typer.Option(help="Page that lists the tables; report.md among the results by default.")
    ] = None,
) -> None:
    """Write a page with pictures for each of the paper's tables, beside its finished runs, and a list of them."""
    from hf_metairm.paper.report import write_report

    target = output or results / "report.md"
    with one_line_errors():
        names = write_report(results, target)
    typer.echo(f"{target}: {', '.join(names)}")


def _batch(text: str) -> int | str:
    if text != "full" and not (text.isdigit() and int(text) > 1):
        raise ValueError(f"--batch_size {text}: give a number of rows, or 'full'.")
    return text if text == "full" else int(text)


def _machine(source: str, word_vectors: Path | None, device: str | None, jobs: int | None) -> Any:
    from hf_metairm.paper import Machine

    if device not in (None, "cpu", "cuda"):
        raise ValueError(f"--device {device}: give cpu or cuda.")
    if jobs is not None and jobs < 1:
        raise ValueError(f"--jobs {jobs}: give a number from 1 on.")
    if word_vectors is not None and not word_vectors.is_file():
        raise ValueError(f"--word_vectors {word_vectors}: there is no such file.")
    return Machine(source, None if word_vectors is None else str(word_vectors), device, jobs)


@contextmanager
def _carrying_out(output: Path) -> Iterator[None]:
    """Runs are carried out: a polite kill leaves checkpoints as Ctrl-C does, and the last word is how to go on."""
    with one_line_errors(GOING_ON):
        yield
        typer.echo(f"Results: {output}. Tables and pictures: hf-metairm report --results {output}")
