"""Colours of digits: between grey pixels, the RGB picture that is stored, and the k channels that models read.

A picture of colour c has the pixels grey · palette[c], and each colour of the palette has one component of full
strength. So max(R, G, B) is the grey pixel again, exactly; with the column `color` it gives the k channels back, for
any k. For k ≤ 3 the colours are red, green and blue, and the picture's components are the channels themselves.
"""

from __future__ import annotations

import colorsys

import numpy as np


PATCH = 2  # side of the patch, in pixels of a 14 × 14 image
MOST_PATCHES = 4


def palette(k: int) -> np.ndarray:
    """The k colours: uint8 of shape (k, 3), hues spread evenly from red on, each with a component of 255."""
    return np.array(
        [[round(255 * part) for part in colorsys.hsv_to_rgb(_hue(c, k), 1, 1)] for c in range(k)], np.uint8
    )


def _hue(color: int, k: int) -> float:
    return color / max(k, 3)


def shrink(images: np.ndarray, size: int) -> np.ndarray:
    """Take each second pixel, beginning with the first, for 14 × 14; all of them for 28 × 28."""
    return images[:, :: 28 // size, :: 28 // size]


def add_patch(grey: np.ndarray, patch: np.ndarray) -> np.ndarray:
    """Put a bright square into a corner: the upper left, lower right, upper right or lower left for 0, 1, 2, 3.

    Args:
        grey (`np.ndarray`): uint8 of shape (n, size, size).
        patch (`np.ndarray`): integers of shape (n,), 0 … 3.

    Returns:
        `np.ndarray`: a copy with a square of full brightness, 2 × 2 pixels in 14 × 14 and 4 × 4 in 28 × 28.
    """
    grey = grey.copy()
    side = PATCH * grey.shape[1] // 14
    for value, (lines, columns) in enumerate(corners(side)):
        rows = np.flatnonzero(patch == value)
        grey[rows[:, None, None], np.arange(grey.shape[1])[lines][:, None], np.arange(grey.shape[2])[columns]] = 255
    return grey


def corners(side: int) -> list[tuple[slice, slice]]:
    """Lines and columns of the four corners, in the order of `add_patch`."""
    low, high = slice(None, side), slice(-side, None)
    return [(low, low), (high, high), (low, high), (high, low)]


def paint(grey: np.ndarray, color: np.ndarray | None, k: int) -> np.ndarray:
    """Colour grey images.

    Args:
        grey (`np.ndarray`): uint8 of shape (n, height, width).
        color (`np.ndarray`, *optional*): integers of shape (n,), 0 … k − 1; `None` leaves them grey.
        k (`int`): number of colours.

    Returns:
        `np.ndarray`: uint8 of shape (n, height, width, 3).
    """
    if color is None:
        return np.repeat(grey[..., None], 3, axis=3)
    strength = palette(k)[color].astype(np.uint16)
    painted: np.ndarray = (grey[..., None] * strength[:, None, None, :] + 127) // 255
    return painted.astype(np.uint8)


def channels(rgb: np.ndarray, color: np.ndarray | None, k: int) -> np.ndarray:
    """Undo `paint`: the grey pixels in the channel of their colour, zero in the others.

    Args:
        rgb (`np.ndarray`): uint8 of shape (n, height, width, 3).
        color (`np.ndarray`, *optional*): integers of shape (n,); `None` for grey images.
        k (`int`): number of channels.

    Returns:
        `np.ndarray`: uint8 of shape (n, k, height, width), or (n, 1, height, width) without colours.
    """
    grey: np.ndarray = rgb.max(axis=3)
    if color is None:
        return grey[:, None]
    planes = np.zeros((len(grey), k, *grey.shape[1:]), np.uint8)
    planes[np.arange(len(grey)), color] = grey
    return planes
