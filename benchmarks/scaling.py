"""
What a meta-gradient costs on many GPUs, on paper: passes, bytes sent and memory, and the tables of `docs/scaling.md`.

    python benchmarks/scaling.py

prints the tables. `tests/docs/test_scaling.py` holds the formulas against what two processes over gloo send, and
against the tensors that one process keeps; no number here was measured on a GPU.
"""

from __future__ import annotations

from dataclasses import dataclass


# By how many gradients the Hessian-vector product of an inner step is computed.
PRODUCT = {"first_order": 0, "forward": 1, "central": 2}
KINDS = (*PRODUCT, "crossed", "crossed, surveyed")
KEPT_BYTES = 2**28  # As in `hf_metairm.gradients.crossed_difference`.
GPUS = 64
MODELS = {"1B": 1e9, "8B": 8e9, "70B": 70e9}
ADAPTER = 0.005  # of the parameters, where LoRA of rank 16 is put on all linear layers: about 40 million of 8 billion


@dataclass(frozen=True)
class Passes:
    """
    What one meta-gradient does.

    Args:
        gradients (`int`): forward and backward passes over one environment's rows.
        losses (`int`): forward passes alone.
        reductions (`int`): how often a gradient is summed over the processes where no FSDP2 does it.
        scalars (`int`): how many risks are summed over the processes.
    """

    gradients: int
    losses: int
    reductions: int
    scalars: int


def passes(
    kind: str, environments: int, inner_steps: int = 1, outer: int | None = None, spread: bool = True
) -> Passes:
    """
    The passes of a kind.

    Args:
        kind (`str`): one of `KINDS`: `"forward"` and `"central"` are the schemes of the finite difference; a crossed
            difference keeps its inner gradients, or surveys the meta-losses first where they are too large.
        environments (`int`): E, in the batch.
        inner_steps (`int`, *optional*, defaults to 1): T.
        outer (`int`, *optional*): outer environments for each inner one; all E − 1 others if `None`.
        spread (`bool`, *optional*, defaults to `True`): whether λ is not zero.
    """
    e = environments
    pairs = e * (e - 1 if outer is None else outer)
    if kind == "crossed" or (kind == "crossed, surveyed" and e == 2):
        return Passes(e + pairs, 0, e + pairs // 2, e + pairs)
    if kind == "crossed, surveyed":
        return Passes(2 * e + pairs, pairs, 2 * e + 1, 2 * (e + pairs))
    inner, products = e * inner_steps, e * inner_steps * PRODUCT[kind]
    # With several pairs for an inner environment, σ is computed first: inner gradients, and the pairs' losses alone.
    again, losses = (inner, pairs) if spread and pairs > e else (0, 0)
    return Passes(
        inner + pairs + products + again,
        losses,
        inner + e + products + again,
        inner + pairs + products + again + losses,
    )


def replicated_bytes(done: Passes, trained: float, tensors: int = 0, item: int = 4) -> float:
    """
    Bytes that each process hands to all-reduce in one meta-gradient where every process has the whole model. On a ring
    of P processes each sends 2(P − 1)/P times as many.

    Args:
        done ([`Passes`]): see [`passes`].
        trained (`float`): how many numbers are trained.
        tensors (`int`, *optional*): in how many tensors; of each, four bytes say whether any process used it.
        item (`int`, *optional*, defaults to 4): bytes of a number.
    """
    return item * (done.reductions * trained + done.scalars) + 4 * tensors


def sharded_bytes(
    done: Passes,
    blocks: float,
    root: float,
    trained: float | None = None,
    *,
    parts: int = 1,
    gathered: int = 4,
    reduced: int = 4,
) -> tuple[float, float]:
    """
    Bytes that come out of all-gather and that go into reduce-scatter on each process, in one meta-gradient under
    FSDP2. On a ring of P processes each sends (P − 1)/P times as many.

    Args:
        done ([`Passes`]): see [`passes`].
        blocks (`float`): how many numbers are in blocks that are sharded again after their forward pass.
        root (`float`): how many are in the root, which is not, and gathered once for forward and backward.
        trained (`float`, *optional*): how many of both are trained; all if `None`.
        parts (`int`, *optional*, defaults to 1): micro-batches.
        gathered (`int`, *optional*, defaults to 4), reduced (`int`, *optional*, defaults to 4): bytes of a number.
    """
    trained = blocks + root if trained is None else trained
    gathers = parts * (done.gradients * (2 * blocks + root) + done.losses * blocks) + done.losses * root
    return gathered * gathers, reduced * parts * done.gradients * trained


def vectors(kind: str, environments: int) -> int:
    """
    How many vectors as large as what is trained are alive at the peak of a meta-gradient, beside the parameters and
    the optimizer's state; the gradient that is found is one of them. For one inner step, all pairs and λ > 0; that of
    `"exact"` on one process, without its graph.
    """
    if kind == "crossed, surveyed" and environments > 2:
        return 3  # θ, the inner gradient, the sum
    if kind.startswith(
        "crossed"
    ):  # θ, the inner gradients, both outer ones of a pair, and two sums, one in the making
        return 5 if environments == 2 else environments + 5
    if kind in (
        "first_order",
        "exact",
    ):  # θ or θ', the inner gradient, the outer one, their sum where several, the sum
        return 4 if environments == 2 else 5
    return 6 if kind == "central" else 5  # θ, the inner gradient, v, that at θ + εu (and at θ − εu), and the sum


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 9.95 else f"{value:.2g}"


def table_of_passes() -> str:
    """Passes and vectors of each kind."""
    lines = ["| kind | E | gradients | losses alone | reductions without FSDP2 | vectors |", "|---|" + "---:|" * 5]
    for environments in (2, 3, 4, 8):
        for kind in KINDS if environments > 2 else KINDS[:-1]:
            done = passes(kind, environments)
            lines.append(
                f"| {kind} | {environments} | {done.gradients} | {done.losses} | {done.reductions} "
                f"| {vectors(kind, environments)} |"
            )
    return "\n".join(lines)


def table_of_models() -> str:
    """Memory and traffic of each model, all of it trained or with LoRA, at E = 2 and 4, in decimal gigabytes."""
    head = "parameters | kind | E | replicated: GB a GPU | GB sent | FSDP2: GB a GPU | GB sent"
    lines = [f"| {head} |", "|---|---|" + "---:|" * 5]
    for name, size in MODELS.items():
        for trained, how in ((size, ""), (ADAPTER * size, ", LoRA")):
            frozen = size - trained if how else 0.0
            for kind in ("forward", "crossed"):
                for environments in (2, 4):
                    surveyed = kind == "crossed" and environments > 2 and 4 * trained * environments > KEPT_BYTES
                    which = "crossed, surveyed" if surveyed else kind
                    done, kept = passes(which, environments), vectors(which, environments)
                    # Parameters, two moments of Adam and the vectors in float32; what is frozen in bfloat16.
                    memory = 4 * trained * (3 + kept) + 2 * frozen
                    sent = 2 * replicated_bytes(done, trained) * (GPUS - 1) / GPUS
                    whole = sum(sharded_bytes(done, size, 0, trained, gathered=2)) * (GPUS - 1) / GPUS
                    cells = [memory / 1e9, sent / 1e9, memory / GPUS / 1e9, whole / 1e9]
                    lines.append(
                        f"| {name}{how} | {which} | {environments} | " + " | ".join(map(_number, cells)) + " |"
                    )
    return "\n".join(lines)


if __name__ == "__main__":
    print(table_of_passes(), table_of_models(), sep="\n\n")
