"""Which class was taken for which."""

from __future__ import annotations

import numpy as np


def confusion_matrix(labels: np.ndarray, predictions: np.ndarray, classes: int) -> np.ndarray:
    """
    Count the rows of each class that were taken for each class.

    Args:
        labels (`np.ndarray`), predictions (`np.ndarray`): class ids from 0 to `classes` − 1, shape (n,).
        classes (`int`): how many there are.

    Returns:
        `np.ndarray`: int64 of shape (classes, classes); row: the true class, column: the predicted one.
    """
    return np.bincount(labels * classes + predictions, minlength=classes**2).reshape(classes, classes)
