"""
One engine for runs (`run`, `store`, `engine`, `workers`, `training`, `tables`, `pictures`), rules and ranges for a
search over them (`selection`, `search`), and the recipes of `hf-metairm train`.
"""

# Modules of this package with a function `main`; the first is the default.
RECIPES = ("finetune_text", "train_colored_mnist")
