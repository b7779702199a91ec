"""What an algorithm is: from a model, a risk, batches and the step to a gradient, an objective and what to log."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar

import torch
from torch import Tensor, nn

from ..gradients import Parts, Risk, trainable_parameters
from ..registry import Registry
from .description import Description
from .settings import AlgorithmSettings


Logs = dict[str, Tensor]  # Scalars by name


@dataclass(frozen=True)
class Step:
    """
    What an algorithm may know of the optimizer step it is asked for, the same on every process.

    Args:
        number (`int`): how many steps were taken before.
        seed (`int`, *optional*, defaults to 0): decides with the number whatever is drawn.
        loss_scale (`float`, *optional*, defaults to 1.0): what losses are multiplied by before a backward pass, for
            fp16's sake. The gradient that is returned does not have it.
        compute_dtype (`torch.dtype`, *optional*): autocast's, where the risk is computed under it.
    """

    number: int
    seed: int = 0
    loss_scale: float = 1.0
    compute_dtype: torch.dtype | None = None


@dataclass
class StepGradient:
    """
    What an algorithm found for one optimizer step, the same on every process.

    Args:
        gradients (list of `Tensor` or `None`): of the objective, one for each trainable parameter, in their order;
            `None` for a parameter that the objective does not depend on, which the optimizer then leaves alone.
        objective (`Tensor`): a scalar.
        risks (`dict[str, Tensor]`): R_e of each environment in the batch.
        logs (`dict[str, Tensor]`): more scalars to log, by name.
    """

    gradients: list[Tensor | None]
    objective: Tensor
    risks: dict[str, Tensor]
    logs: Logs = field(default_factory=dict)


class Algorithm(ABC):
    """
    An algorithm with its settings and its state.

    Args:
        settings ([`AlgorithmSettings`]): an instance of the class's `Settings`.
        environments (`Sequence[str]`): the names of all training environments.

    A subclass has the class attributes `title` (its name in prose), `paper` (BibTeX), `tags` (for cards), `Settings`,
    and `gentler`, which says what to change where it has gone too far; where it carries state from step to step, also
    `state_name`, which says what that is, and `without_state`, which says what someone can do who has a checkpoint
    that lacks it.
    """

    name: ClassVar[str] = ""
    title: ClassVar[str] = ""
    paper: ClassVar[str | None] = None
    tags: ClassVar[tuple[str, ...]] = ()
    gentler: ClassVar[str] = "a lower learning rate"
    state_name: str = ""
    without_state: str = "start anew"
    Settings: ClassVar[type[AlgorithmSettings]] = AlgorithmSettings

    settings: AlgorithmSettings

    def __init__(self, settings: AlgorithmSettings, environments: Sequence[str]):
        self.settings = settings
        self.environments = tuple(environments)

    @abstractmethod
    def objective_gradient(self, model: nn.Module, risk: Risk, batches: Parts, step: Step) -> StepGradient:
        """The gradient of the objective without its L2 term; see [`gradient`]."""

    def gradient(self, model: nn.Module, risk: Risk, batches: Parts, step: Step) -> StepGradient:
        """
        The gradient of the whole objective.

        Args:
            model (`nn.Module`): as it is trained, in its DDP wrapper where it has one. Its parameters are left as they
                were; their `.grad` may be empty afterwards.
            risk (`Callable[[nn.Module, Any], Tensor]`): the mean loss over the rows of some inputs. An algorithm that
                looks at logits takes one with a method `evaluate(model, inputs)`, which gives an
                [`~hf_metairm.gradients.Evaluation`].
            batches (`Mapping[str, Sequence[Part]]`): for each environment in the batch this process's parts.
            step ([`Step`]): which step it is.
        """
        # A loss may freeze and unfreeze parameters on the way, as where adapters are switched off for a reference.
        parameters = trainable_parameters(model)
        found = self.objective_gradient(model, risk, batches, step)
        weight = self.settings.l2_regularization / self.divisor(step)
        return _regularized(found, parameters, weight) if weight else found

    def divisor(self, step: Step) -> float:
        """What the objective of a step is divided by, its L2 term included."""
        return 1.0

    def check(self, model: nn.Module, share: int) -> None:  # noqa: B027
        """
        Raise `ValueError` for a model, or for a number of rows of each environment in a batch (`share`), that this
        algorithm cannot be right for.
        """

    def describe(self) -> Description:
        """What is minimized, with the settings, for cards; an algorithm says it better than this."""
        return Description(
            f"the objective of {type(self).__name__}",
            "It is described where the class is defined; it has no `describe` of its own.",
            "what its objective says, by the training environments",
        )

    def state_dict(self) -> dict[str, Tensor]:
        """What the next step depends on beside the model: tensors, whose first axis is `environments` long."""
        return {}

    def load_state_dict(self, state: dict[str, Tensor], environments: Sequence[str]) -> None:  # noqa: B027
        """
        Put back what `state_dict` gave, when the environments were `environments`.

        Raises:
            ValueError: the state is of other environments, and the algorithm cannot go on without theirs.
        """

    @property
    def has_state(self) -> bool:
        """Whether these settings carry anything from step to step."""
        return False

    def _l2_term(self) -> str:
        weight = self.settings.l2_regularization
        return f" + {weight:g} Σθ²" if weight else ""


AlgorithmT = TypeVar("AlgorithmT", bound=Algorithm)
ALGORITHMS: Registry[type[Algorithm]] = Registry("algorithm")


def algorithm(name: str) -> Callable[[type[AlgorithmT]], type[AlgorithmT]]:
    """Register a class of algorithm under the name that the command line, results and cards use."""

    def decorate(cls: type[AlgorithmT]) -> type[AlgorithmT]:
        cls.name = name
        ALGORITHMS.register(name)(cls)
        return cls

    return decorate


def aligned(state: Tensor, environments: Sequence[str], wanted: Sequence[str], fill: float = 0.0) -> Tensor:
    """
    A state tensor whose every axis belongs to `environments`, with its axes in the order `wanted` instead: what is
    not wanted is left out, and what is missing is `fill`.
    """
    place = {name: k for k, name in enumerate(environments)}
    new = [k for k, name in enumerate(wanted) if name in place]
    old = [place[wanted[k]] for k in new]
    found = torch.full((len(wanted),) * state.dim(), fill, dtype=state.dtype, device=state.device)
    if state.dim() == 1:
        found[new] = state[old]
    else:
        found[torch.tensor(new)[:, None], torch.tensor(new)] = state[torch.tensor(old)[:, None], torch.tensor(old)]
    return found


@torch.no_grad()
def _regularized(found: StepGradient, parameters: list[nn.Parameter], weight: float) -> StepGradient:
    """The same with `weight` Σθ² in the objective."""
    total = torch.zeros((), device=found.objective.device)
    for k, parameter in enumerate(parameters):
        change = parameter.detach() * (2 * weight)
        gradient = found.gradients[k]
        found.gradients[k] = change if gradient is None else gradient.add_(change)
        squares = parameter.detach().pow(2).sum()
        total += squares.full_tensor() if hasattr(squares, "full_tensor") else squares
    found.objective = found.objective + weight * total
    return found
