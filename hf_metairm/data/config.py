"""What the configurations of datasets have in common: seed, size, and how often a drawn cue is wrong."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any

import datasets


VERSION = datasets.Version("1.1.0")  # to be raised whenever the same config and seed give other rows
META_IRM_PAPER = """@article{bae2021meta,
  title={Meta-Learned Invariant Risk Minimization},
  author={Bae, Jun-Hyun and Choi, Inchul and Lee, Minho},
  journal={arXiv preprint arXiv:2103.12947},
  year={2021}
}"""
TEST_ENVIRONMENTS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def environment_name(p: float) -> str:
    """Name the environment whose cue disagrees with the label with probability `p`, such as `"p=0.2"`."""
    return f"p={p:g}"


@dataclass
class DatasetConfig(datasets.BuilderConfig):
    """Configuration of any dataset of this package.

    Args:
        seed (`int`, *optional*, defaults to `0`):
            Seed of every draw. Which source rows are trained, validated and tested on does not depend on it.
        train_fraction (`float`, *optional*, defaults to `1.0`):
            The part of the source's training rows to use, in (0, 1].
    """

    version: Any = VERSION
    seed: int = 0
    train_fraction: float = 1.0

    def validate(self) -> None:
        """Raise `ValueError` with one sentence for the first field whose value makes no sense."""
        for field in dataclasses.fields(self):
            if field.type == "bool" and not isinstance(getattr(self, field.name), bool):
                raise ValueError(f"{field.name} must be True or False, not {getattr(self, field.name)!r}.")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise ValueError(f"seed must be an integer of at least 0, not {self.seed!r}.")
        if not isinstance(self.train_fraction, (int, float)) or not 0 < self.train_fraction <= 1:
            raise ValueError(f"train_fraction must lie in (0, 1], not {self.train_fraction!r}.")

    def fields(self) -> dict[str, Any]:
        """Every field that decides the data, in the order of their names."""
        leave = {"name", "version", "data_dir", "data_files", "description"}
        return {
            field.name: getattr(self, field.name)
            for field in sorted(dataclasses.fields(self), key=lambda field: field.name)
            if field.name not in leave
        }

    def create_config_id(self, config_kwargs: dict[str, Any], custom_features: datasets.Features | None = None) -> str:
        """Name the cache folder: the config's name, with a hash of the fields where any was given by keyword."""
        if not any(value is not None for value in config_kwargs.values()):
            name: str = self.name
            return name
        self.validate()
        text = json.dumps(self.fields(), sort_keys=True)
        return f"{self.name}-{hashlib.blake2b(text.encode(), digest_size=4).hexdigest()}"


@dataclass
class EnvironmentDatasetConfig(DatasetConfig):
    """Configuration of a dataset whose cue agrees with the label with probability 1 − p_e in environment e.

    Args:
        environments (`tuple[float, ...]`, *optional*, defaults to `(0.2, 0.1)`):
            p_e of the training environments; the `validation` split has the same ones.
        test_environments (`tuple[float, ...]`, *optional*, defaults to `(0.1, 0.2, …, 0.9)`):
            p_e of the test environments.
        label_noise (`float`, *optional*, defaults to `0.25`):
            η, the probability that a label is not the clean label. It is drawn before the cue, which follows the
            noisy label.
        examples_per_environment (`int`, *optional*):
            Rows per training environment, instead of all that `train_fraction` gives.
        test_once (`bool`, *optional*, defaults to `False`):
            Whether a test row stands in one test environment, dealt out in turn as the training rows are, and not in
            each of them.

    The other fields are those of [`DatasetConfig`].
    """

    environments: tuple[float, ...] = (0.2, 0.1)
    test_environments: tuple[float, ...] = TEST_ENVIRONMENTS
    label_noise: float = 0.25
    examples_per_environment: int | None = None
    test_once: bool = False

    def validate(self) -> None:
        """Raise `ValueError` with one sentence for the first field whose value makes no sense."""
        for name in ("environments", "test_environments"):
            values = getattr(self, name)
            if isinstance(values, (int, float, str)) or not len(values):
                raise ValueError(f"{name} must be a non-empty sequence of probabilities, such as (0.2, 0.1).")
            values = tuple(float(_probability(name, p)) for p in values)
            if len({environment_name(p) for p in values}) < len(values):
                raise ValueError(f"{name}={values} names an environment twice; give each probability once.")
            setattr(self, name, values)
        self.label_noise = float(_probability("label_noise", self.label_noise))
        super().validate()
        wanted = self.examples_per_environment
        if wanted is not None and (isinstance(wanted, bool) or not isinstance(wanted, int) or wanted < 1):
            raise ValueError(f"examples_per_environment must be an integer of at least 1, not {wanted!r}.")


def _probability(field: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ValueError(f"{field}: {value!r} is no probability; give a number from 0 to 1.")
    return value


def rows_per_environment(config: EnvironmentDatasetConfig, available: int, what: str) -> int:
    """How many of the `available` training rows each environment gets.

    Raises:
        `ValueError`: the source has fewer than `config.examples_per_environment` asks for, or none at all.
    """
    number = len(config.environments)
    most = int(available * config.train_fraction) // number
    wanted = config.examples_per_environment or most
    if wanted > available // number:
        raise ValueError(
            f"examples_per_environment={wanted:,} with {number} environments needs {wanted * number:,} {what}, but "
            f"this source has {available:,}; ask for at most {available // number:,}."
        )
    if wanted < 1:
        raise ValueError(f"{available:,} {what} are too few for {number} environments.")
    return wanted
