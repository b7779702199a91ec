"""Datasets whose environments differ in how far a spurious cue follows the label."""

from .punctuated_sst2 import PunctuatedSST2, PunctuatedSST2Config

__all__ = ["PunctuatedSST2", "PunctuatedSST2Config"]
