"""Whole jobs, from a settings file to a table: what the scripts in `trainer_examples/` and `hf-metairm train` run."""
