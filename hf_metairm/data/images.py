"""Columns of small image files, written and read by Pillow."""

from __future__ import annotations

import io
from itertools import chain

import numpy as np
import pyarrow as pa
from PIL import Image


def encode_pngs(images: np.ndarray) -> list[bytes]:
    """Write RGB images, uint8 of shape (n, height, width, 3), as n PNG files.

    The pixels are stored uncompressed, so that the bytes do not depend on the version of zlib; the Parquet file
    around them is compressed.
    """
    return [_encode(image) for image in images]


def _encode(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "png", compress_level=0)
    return file.getvalue()


def decode_images(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Read a column of image files, all of one size.

    Args:
        column (`pa.Array` or `pa.ChunkedArray`):
            The files' bytes, as binary or as the struct that `datasets.Image` stores.

    Returns:
        `np.ndarray`: uint8 of shape (n, height, width, 3).

    Raises:
        `ValueError`: the images differ in size, or one has no bytes.
        `OSError`: one is no image.
    """
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    chunks = [chunk.field("bytes") if pa.types.is_struct(chunk.type) else chunk for chunk in chunks]
    if any(chunk.null_count for chunk in chunks):
        raise ValueError("An image has no bytes: embed the files with `datasets.table.embed_table_storage` first.")
    images: np.ndarray | None = None
    for row, data in enumerate(chain.from_iterable(chunks)):
        with Image.open(io.BytesIO(data.as_buffer())) as image:
            pixels = np.asarray(image.convert("RGB"))
        if images is None:
            images = np.empty((len(column), *pixels.shape), np.uint8)
        if pixels.shape != images.shape[1:]:
            raise ValueError(f"The images differ in size ({_size(images[0])} and {_size(pixels)}): scale them to one.")
        images[row] = pixels
    return np.zeros((0, 0, 0, 3), np.uint8) if images is None else images


def _size(image: np.ndarray) -> str:
    return f"{image.shape[1]} × {image.shape[0]}"
