"""The features of rows: what goes into a model's last linear layer, or comes out of a module that is named."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from .risk_objective import RiskObjective
from .settings import AlgorithmSettings


@dataclass
class FeatureSettings(AlgorithmSettings):
    """
    Settings of the algorithms that look at features.

    Args:
        feature_module (`str`, *optional*):
            The name of a module of the model, such as `"bert.pooler"`: the features are its output, of shape
            (rows, d). Where none is named they are what goes into the model's last linear layer.
    """

    feature_module: str | None = field(
        default=None,
        metadata={"help": "Module whose output are the features; what goes into the last linear layer by default."},
    )


class FeatureReader:
    """
    Sees the features of some rows while a model runs on them; they carry the graph of that forward pass.

    Args:
        model (`nn.Module`): whose forward pass it is.
        module (`str`, *optional*): the module whose output the features are. `None` takes what goes into the linear
            layer that is called last.

    Raises:
        ValueError: the model has no such module, or no linear layer.
    """

    def __init__(self, model: nn.Module, module: str | None = None):
        whole = getattr(model, "_orig_mod", model)
        self.name = module or "the last linear layer"
        self._kind = type(whole).__name__
        self._takes_input = module is None
        known = dict(whole.named_modules())
        if module is None:
            self._watched = [part for part in known.values() if isinstance(part, nn.Linear)]
            if not self._watched:
                raise ValueError(
                    f"{self._kind} has no linear layer, whose input the features would be: name a module whose "
                    "output they are with feature_module."
                )
        else:
            if module not in known:
                raise ValueError(_unknown(self._kind, module, list(known)))
            self._watched = [known[module]]
        self._seen: Any = None
        self.layer: nn.Module | None = None
        """The module that was called last among those that are watched."""

    @contextmanager
    def reading(self) -> Iterator[None]:
        """While open, forward passes of the model are seen."""
        self._seen = self.layer = None
        handles = [part.register_forward_hook(self._see) for part in self._watched]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _see(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        self._seen, self.layer = (inputs[0] if inputs else None) if self._takes_input else output, module

    @property
    def features(self) -> Tensor:
        """
        The features, in single precision at least: shape (rows, d).

        Raises:
            ValueError: there was no forward pass through the module, or what it gave is not such a tensor.
        """
        where = f"what goes into {self.name}" if self._takes_input else f"the output of {self.name!r}"
        if self.layer is None:
            raise ValueError(
                f"The forward pass of {self._kind} did not call {self.name!r}, so there are no features: name a "
                "module that it calls with feature_module, and leave torch.compile off."
            )
        found = self._seen
        if not isinstance(found, Tensor) or found.dim() != 2 or not found.is_floating_point():
            is_tensor = isinstance(found, Tensor)
            what = f"a {found.dtype} tensor of shape {tuple(found.shape)}" if is_tensor else type(found).__name__
            raise ValueError(
                f"In {self._kind} {where} is {what}, where features are floats of shape (rows, d): name a module "
                "with such an output with feature_module."
            )
        return at_least_single(found)


def at_least_single(values: Tensor) -> Tensor:
    """The values in float32 where they are in half precision, in which means of squares are too coarse."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


class OfFeatures(RiskObjective):
    """A [`RiskObjective`] of means over features; its settings are [`FeatureSettings`]."""

    settings: FeatureSettings
    width = 0
    """d, the number of features, known after the first forward pass."""

    def check(self, model: nn.Module, share: int) -> None:
        """A model that has the module."""
        super().check(model, share)
        FeatureReader(model, self.settings.feature_module)

    def reader(self, model: nn.Module) -> FeatureReader:
        """What sees the features of a forward pass."""
        return FeatureReader(model, self.settings.feature_module)

    def check_finite(self, moments: Tensor, environments: Sequence[str]) -> None:
        """Raise `ValueError` where the means over features, shape (E, k), are not all finite."""
        finite = moments.detach().isfinite().all(1)
        if not finite.all():
            name = environments[int((~finite).nonzero()[0])]
            raise ValueError(
                f"The features of environment {name!r} are not finite (NaN, or too large), and {self.title} compares "
                "them: lower the learning rate, or look for such values in the data."
            )


def _unknown(kind: str, module: str, known: list[str]) -> str:
    near = difflib.get_close_matches(module, [name for name in known if name], 3)
    near = near or [name for name in known if name and "." not in name][:8]
    return (
        f"{kind} has no module {module!r}, which feature_module names: use the name of one that it has, such as "
        f"{', '.join(map(repr, near))}."
    )
