"""
Public names that changed: where they are now, the version in which the old ones go, and how these work until then.

`MODULES`, `NAMES` and `GONE` say all of it, and nothing else does; docs/stability.md is the promise. What a name
is now is imported when somebody asks for the old one, so this module imports none of the others.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, ParamSpec, TypeVar


P = ParamSpec("P")
T = TypeVar("T")

# Everything below was public in version 0.1, warns since 0.2, and is to be deleted before this version comes out.
REMOVED_IN = "0.4.0"

# Modules with what they are now; a module inside of an old one is the module of that name inside of the new one.
MODULES = {
    "hf_metairm.datasets": "hf_metairm.data",
    "hf_metairm.datasets.causal": "hf_metairm.inspection.causal",
    "hf_metairm.datasets.cues": "hf_metairm.inspection.cues",
    "hf_metairm.datasets.inspection": "hf_metairm.inspection",
    "hf_metairm.datasets.publish": "hf_metairm.cards.publish_dataset",
    "hf_metairm.objectives": "hf_metairm.algorithms",
    "hf_metairm.publishing": "hf_metairm.cards.push",
    "hf_metairm.recipes": "hf_metairm.experiments",
    "hf_metairm.recipes.text_model": "hf_metairm.models.text_classifier",
    "hf_metairm.reproduction": "hf_metairm.paper",
    "hf_metairm.reproduction.selection": "hf_metairm.selection",
    "hf_metairm.trainers": "hf_metairm.trainer",
}

# Names with what they are now: of a module, or of an object, whose old attribute says itself how it is read.
NAMES = {
    "hf_metairm.evaluation.EnvironmentFigures": "hf_metairm.evaluation.EnvironmentScores",
    "hf_metairm.evaluation.EnvironmentScores.accuracy": 'metrics["accuracy"]',
    "hf_metairm.evaluation.Evaluation.accuracy": 'overall["accuracy"]',
    "hf_metairm.evaluation.Evaluation.mean_accuracy": "mean",
    "hf_metairm.evaluation.Evaluation.worst_accuracy": "worst",
    "hf_metairm.EnvironmentTrainer.objective_description": "algorithm.describe",
    "hf_metairm.metrics.EnvironmentAccuracy": "hf_metairm.trainer.accuracy.EnvironmentAccuracy",
    "hf_metairm.models.encoder_stepped_over": "hf_metairm.models.encoder_skipped",
    "hf_metairm.objectives.exponentiated_gradient": "hf_metairm.algorithms.group_dro.exponentiated_gradient",
    "hf_metairm.objectives.irm_penalty": "hf_metairm.algorithms.irmv1.irm_penalty",
    "hf_metairm.objectives.risk_variance": "hf_metairm.algorithms.rex.risk_variance",
    "hf_metairm.objectives.scale_gradients": "hf_metairm.algorithms.irmv1.scale_gradients",
    "hf_metairm.objectives.weighted_risk": "hf_metairm.algorithms.group_dro.weighted_risk",
    "hf_metairm.objectives.worst_risk_excess": "hf_metairm.algorithms.rex.worst_risk_excess",
    "hf_metairm.recipes.text_model.load_tokenizer": "hf_metairm.models.reading.load_tokenizer",
    "hf_metairm.reproduction.RULES": "hf_metairm.selection.RULES",
    "hf_metairm.trainer.EnvironmentResult.accuracy": 'metrics["accuracy"]',
    "hf_metairm.trainers.configs.wrong": "hf_metairm.algorithms.settings.wrong",
    "hf_metairm.trainers.model_card.Objective": "hf_metairm.algorithms.Description",
}

_ALGORITHM = "an algorithm is a class in hf_metairm.algorithms, see docs/new_algorithm.md"
# What has no successor that means the same, with what to do. Arguments and options are ignored, the others refused.
GONE = {
    "hf_metairm.meta_gradient": "import the function from hf_metairm, and what else the module had from "
    "hf_metairm.gradients",
    "hf_metairm.environments.split_by_environment": "a batch is {environment: inputs}, made by EnvironmentCollator",
    "hf_metairm.reproduction.carry_out": "hf_metairm.experiments.engine.carry_out takes runs and a store of results",
    "hf_metairm.trainers.PenaltyConfig": "its fields are hf_metairm.algorithms.settings.PenaltySettings, which is no "
    "TrainingArguments; use the Config of an algorithm",
    "hf_metairm.EnvironmentTrainer.algorithm_state": f"it is `state_dict` of the algorithm; {_ALGORITHM}",
    "hf_metairm.EnvironmentTrainer.load_algorithm_state": "it is `load_state_dict` of the algorithm; " + _ALGORITHM,
    "hf_metairm.EnvironmentTrainer.objective_divisor": f"it is a part of the objective; {_ALGORITHM}",
    "hf_metairm.EnvironmentTrainer.objective_of": f"it is `objective` of the algorithm; {_ALGORITHM}",
    "hf_metairm.EnvironmentTrainer.prepare_rows": "a batch is {environment: inputs} when it comes",
    "hf_metairm.EnvironmentTrainer.probe_dataloader": "the loss is checked on rows of the training dataset",
    "hf_metairm.EnvironmentTrainer.risk": "it is what `compute_loss` returns; override that one",
    "hf_metairm.EnvironmentTrainer.statistics": f"it is `statistics` of the algorithm; {_ALGORITHM}",
    "hf_metairm.evaluation.evaluate_checkpoint(resamples)": "intervals are Wilson's, without a bootstrap",
    "hf_metairm.evaluation.evaluate_checkpoint(seed)": "intervals are Wilson's, without a bootstrap",
    "hf-metairm evaluate --bootstrap": "intervals are Wilson's, without a bootstrap",
    "hf-metairm evaluate --seed": "intervals are Wilson's, without a bootstrap",
}


def overdue(version: str) -> bool:
    """Whether all this should have been deleted before `version`, such as `"0.2.0"`, came out."""
    return _numbers(version) >= _numbers(REMOVED_IN)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])


def renamed(old: str, new: str) -> str:
    """What the warning for a name says that has a new one."""
    return f"`{old}` is `{new}` since version 0.2; the old name will be removed in version {REMOVED_IN}."


def refused(old: str) -> str:
    """What the error for a name says that is gone."""
    return f"`{old}` of version 0.1 is gone: {GONE[old]}."


def ignored(old: str) -> str:
    """What the warning for an argument or option says that is still taken, and not looked at."""
    return f"`{old}` has no effect since version 0.2 and will be refused from version {REMOVED_IN} on: {GONE[old]}."


def _warn(text: str) -> None:
    """A `FutureWarning`, which Python shows to users, with the line of whoever called what calls this."""
    warnings.warn(text, FutureWarning, stacklevel=3)


def former_names(module: str) -> Callable[[str], Any]:
    """
    A `__getattr__` for a module some of whose names were others.

    Raises:
        ImportError: for a name that is gone, also where it is read as an attribute: Python drops what an
            `AttributeError` says when a name is imported.
    """

    def former(name: str) -> Any:
        old = f"{module}.{name}"
        if old in GONE:
            raise ImportError(refused(old))
        if old not in NAMES:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        _warn(renamed(old, NAMES[old]))
        return pkgutil.resolve_name(NAMES[old])

    return former


class FormerAttribute:
    """
    An attribute of a class that has another name now.

    Args:
        old (`str`): in `NAMES`, with what it is called now.
        read (`Callable`): takes the object.

    Raises:
        AttributeError: the object has no such metric.
    """

    def __init__(self, old: str, read: Callable[[Any], Any]):
        self.old, self.read = old, read

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        _warn(renamed(self.old, NAMES[self.old]))
        try:
            return self.read(instance)
        except KeyError as error:
            raise AttributeError(f"`{self.old}`: there is no {error} among the metrics here.") from None


def ignores(**arguments: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """A decorator of a function that had arguments which change nothing now, each with its place in `GONE`."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(function)
        def without(*args: P.args, **kwargs: P.kwargs) -> T:
            for name, old in arguments.items():
                if name in kwargs:
                    del kwargs[name]
                    _warn(ignored(old))
            return function(*args, **kwargs)

        return without

    return decorate


def warn_of_former_methods(made: type, base: str) -> None:
    """
    Warn of a class that defines methods which version 0.1 called on `base` and nobody calls now: it would train
    something else without a word. No error, since a new class may mean something of its own by `risk`.
    """
    for old in (*GONE, *NAMES):
        of, _, name = old.rpartition(".")
        if of == base and name in vars(made):
            said = GONE.get(old) or f"it is `{NAMES[old]}`; {_ALGORITHM}"
            warnings.warn(
                f"The library does not call {made.__name__}.{name} since version 0.2: {said}.",
                FutureWarning,
                stacklevel=3,
            )


class _FormerModule(ModuleType):
    """A module under its old name: each of its names is looked up where it is now, with a warning."""

    def __getattr__(self, name: str) -> Any:
        now = _module_now(self.__name__)
        if name == "__all__":
            return importlib.import_module(now).__all__
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        old = f"{self.__name__}.{name}"
        if old in GONE:
            raise ImportError(refused(old))
        new = NAMES.get(old) or MODULES.get(old) or f"{now}.{name}"
        try:
            value = pkgutil.resolve_name(new)
        except (AttributeError, ImportError):
            raise ImportError(f"`{self.__name__}` is `{now}` since version 0.2, which has no {name!r}.") from None
        _warn(renamed(old, new))
        setattr(self, name, value)  # Asked for again, it is there.
        return value


class _FormerModules(MetaPathFinder, Loader):
    """Finds modules by their old names, and says where they are."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        """The spec of a module of this package by its old name; an error that says what to do where it is gone."""
        if not name.startswith("hf_metairm."):
            return None
        if name in GONE:
            raise ModuleNotFoundError(refused(name), name=name)
        return ModuleSpec(name, self, is_package=True) if _former_parent(name) else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """An empty module that knows where its names are."""
        return _FormerModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Import what it is now."""
        new = _module_now(module.__name__)
        try:
            importlib.import_module(new)
        except ModuleNotFoundError as error:
            if error.name != new:
                raise
            old = _former_parent(module.__name__)
            raise ModuleNotFoundError(
                f"`{old}` is `{MODULES[old]}` since version 0.2, and there is no `{new}`.", name=module.__name__
            ) from None


def _former_parent(name: str) -> str:
    """The longest name in `MODULES` that `name` begins with; empty where there is none."""
    return next((old for old in _parents(name) if old in MODULES), "")


def _parents(name: str) -> Iterator[str]:
    while name:
        yield name
        name = name.rpartition(".")[0]


def _module_now(name: str) -> str:
    old = _former_parent(name)
    return MODULES[old] + name.removeprefix(old)


def find_former_modules() -> None:
    """
    Have modules found by their old names. Before everything else: where an older version stood in the same folder,
    empty folders are left of them, which Python takes for packages.
    """
    if not any(isinstance(finder, _FormerModules) for finder in sys.meta_path):
        sys.meta_path.insert(0, _FormerModules())
