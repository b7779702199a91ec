"""PNG files of small images, written and read thousands at a time.

Compressed PNGs differ between versions of zlib. These store their pixels uncompressed, so the same pixels are the
same bytes on every platform; and since all files of one size have one layout, a whole column of them is an array
whose pixels can be read by indexing, with no decoder. (PNG specification, third edition, sections 5 and 11; RFC 1950
and 1951 for the zlib stream of one stored block.)
"""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pyarrow as pa


_HEAD = 8 + 25 + 8 + 2 + 5  # signature, IHDR chunk, IDAT's length and name, zlib header, header of the stored block
_TAIL = 4 + 4 + 12  # Adler-32, IDAT's CRC, IEND chunk


def encode_pngs(images: np.ndarray) -> list[bytes]:
    """Write RGB images as PNG files.

    Args:
        images (`np.ndarray`):
            uint8 of shape (n, height, width, 3), at most 65,535 bytes each with one more byte per line.

    Returns:
        `list[bytes]`: n files of the same length.
    """
    n, height, width, _ = images.shape
    size = height * (3 * width + 1)
    if size > 0xFFFF:
        raise ValueError(f"Images of {height} × {width} pixels do not fit one stored block of 65,535 bytes.")
    head = _head(height, width)
    lines = np.zeros((n, height, 3 * width + 1), np.uint8)  # each line begins with its filter, 0: none
    lines[:, :, 1:] = images.reshape(n, height, 3 * width)
    end = _chunk(b"IEND", b"")
    files = []
    for pixels in lines.reshape(n, size):
        stored = pixels.tobytes()
        body = head[37:] + stored + struct.pack(">I", zlib.adler32(stored))  # from IDAT's name on
        files.append(head[:37] + body + struct.pack(">I", zlib.crc32(body)) + end)
    return files


def decode_pngs(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Read a column of PNG files, all of one size.

    Args:
        column (`pa.Array` or `pa.ChunkedArray`):
            The files' bytes, as binary or as the struct that `datasets.Image` stores.

    Returns:
        `np.ndarray`: uint8 of shape (n, height, width, 3). Files that `encode_pngs` wrote are read as one array;
        other image files one by one, by Pillow.

    Raises:
        `ValueError`: the images differ in size, or one has no bytes.
    """
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], pa.binary())
    if pa.types.is_struct(column.type):
        column = column.field("bytes")
    if column.null_count:
        raise ValueError("An image has no bytes: embed the files with `datasets.table.embed_table_storage` first.")
    if not len(column):
        return np.zeros((0, 0, 0, 3), np.uint8)
    first = column[0].as_py()
    width, height = struct.unpack(">II", first[16:24]) if first[:4] == b"\x89PNG" else (0, 0)
    size = height * (3 * width + 1)
    if len(first) == _HEAD + size + _TAIL and first.startswith(_head(height, width)):
        offsets = np.frombuffer(column.buffers()[1], np.int64 if pa.types.is_large_binary(column.type) else np.int32)[
            column.offset : column.offset + len(column) + 1
        ]
        if (np.diff(offsets) == len(first)).all():
            data = np.frombuffer(column.buffers()[2], np.uint8)[offsets[0] : offsets[-1]].reshape(-1, len(first))
            if (data[:, :_HEAD] == data[0, :_HEAD]).all():
                lines = data[:, _HEAD : _HEAD + size].reshape(-1, height, 3 * width + 1)
                return np.ascontiguousarray(lines[:, :, 1:]).reshape(-1, height, width, 3)
    return _decode_one_by_one(column)


def _decode_one_by_one(column: pa.Array) -> np.ndarray:
    from PIL import Image

    images = []
    for data in column.to_pylist():
        with Image.open(io.BytesIO(data)) as image:
            images.append(np.asarray(image.convert("RGB")))
    shapes = {image.shape for image in images}
    if len(shapes) > 1:
        raise ValueError(f"The images differ in size ({len(shapes)} sizes); scale them to one first.")
    return np.stack(images)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _head(height: int, width: int) -> bytes:
    """Everything before the pixels; the same for all files of one size."""
    size = height * (3 * width + 1)
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))  # 8 bits, RGB, no interlacing
    block = b"\x78\x01" + b"\x01" + struct.pack("<HH", size, size ^ 0xFFFF)
    return b"\x89PNG\r\n\x1a\n" + header + struct.pack(">I", len(block) + size + 4) + b"IDAT" + block
