"""Model cards and dataset cards: what stands in the README of a checkpoint or a dataset."""
