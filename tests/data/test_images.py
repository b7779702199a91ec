import io

import datasets
import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from hf_metairm.data import TensorRows, image_tensors
from hf_metairm.data.coloring import add_patch, channels, paint, palette, shrink
from hf_metairm.data.images import decode_images, encode_pngs


RNG = np.random.default_rng(0)


@pytest.mark.parametrize("size", [(14, 14), (28, 28), (3, 7)])
def test_pngs_are_what_pillow_reads(size):
    images = RNG.integers(0, 256, (5, *size, 3), dtype=np.uint8)
    for image, data in zip(images, encode_pngs(images)):
        opened = Image.open(io.BytesIO(data))
        opened.verify()
        assert opened.mode == "RGB"
        assert (np.asarray(Image.open(io.BytesIO(data))) == image).all()


def test_columns_are_decoded_at_once_and_sliced_ones_too():
    images = RNG.integers(0, 256, (20, 14, 14, 3), dtype=np.uint8)
    column = pa.array(encode_pngs(images), pa.binary())
    assert (decode_images(column) == images).all()
    assert (decode_images(column.slice(3, 9)) == images[3:12]).all()
    assert (
        decode_images(pa.chunked_array([column.slice(0, 5), column.slice(11)])) == images[[*range(5), *range(11, 20)]]
    ).all()


def test_pngs_of_others_are_decoded_too():
    images = RNG.integers(0, 256, (4, 14, 14, 3), dtype=np.uint8)
    files = []
    for image in images:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "png")
        files.append(buffer.getvalue())
    assert (decode_images(pa.array(files)) == images).all()
    assert (decode_images(pa.array([*files[:2], *encode_pngs(images[2:])])) == images).all()


def test_unreadable_columns_are_refused():
    with pytest.raises(ValueError, match="no bytes"):
        decode_images(pa.array([None, b""], pa.binary()))
    small, large = (encode_pngs(np.zeros((1, n, n, 3), np.uint8))[0] for n in (14, 28))
    with pytest.raises(ValueError, match="differ in size"):
        decode_images(pa.array([small, large]))


@pytest.mark.parametrize("k", [2, 3, 5, 10])
def test_channels_undo_paint_exactly(k):
    grey = RNG.integers(0, 256, (200, 14, 14), dtype=np.uint8)
    color = RNG.integers(0, k, 200)
    rgb = paint(grey, color, k)
    planes = channels(rgb, color, k)
    assert planes.shape == (200, k, 14, 14)
    for row in range(200):
        assert (planes[row, color[row]] == grey[row]).all()
        assert planes[row].sum() == grey[row].astype(int).sum()
    if k <= 3:
        assert (rgb[..., :k].transpose(0, 3, 1, 2) == planes).all()
    assert (palette(k).max(1) == 255).all()
    assert len({tuple(c) for c in palette(k)}) == k


def test_gray_images_have_one_channel():
    grey = RNG.integers(0, 256, (7, 14, 14), dtype=np.uint8)
    assert (channels(paint(grey, None, 2), None, 2) == grey[:, None]).all()


def test_shrink_takes_each_second_pixel():
    images = RNG.integers(0, 256, (2, 28, 28), dtype=np.uint8)
    assert shrink(images, 14)[1, 3, 5] == images[1, 6, 10]
    assert (shrink(images, 28) == images).all()


def test_patch_stands_in_its_corner_and_nowhere_else():
    grey = np.zeros((4, 14, 14), np.uint8)
    lit = add_patch(grey, np.arange(4))
    assert (grey == 0).all()
    assert (lit.reshape(4, -1) > 0).sum(1).tolist() == [4] * 4
    assert [lit[i, y, x] for i, (y, x) in enumerate([(0, 0), (13, 13), (0, 13), (13, 0)])] == [255] * 4


def test_tensor_rows_hand_out_batches():
    rows = TensorRows({"x": torch.arange(12.0).reshape(6, 2), "environment": list("abcabc")})
    assert len(rows) == 6
    assert rows.column_names == ["x", "environment"]
    batch = rows.__getitems__([4, 0, 4])
    assert batch["x"].tolist() == [[8, 9], [0, 1], [8, 9]]
    assert batch["environment"] == ["b", "a", "b"]
    assert rows[1]["environment"] == "b"
    assert rows["x"].shape == (6, 2)
    assert rows["environment"][0] is rows["environment"][3]
    assert len(rows.select([1, 2])) == 2
    with pytest.raises(KeyError, match="there are x, environment"):
        rows["y"]
    with pytest.raises(IndexError):
        rows[6]
    with pytest.raises(ValueError, match="one length"):
        TensorRows({"x": torch.zeros(2), "environment": ["a"]})
    with pytest.raises(ValueError, match="at least one"):
        TensorRows({})


def test_data_loader_takes_whole_batches():
    rows = TensorRows({"x": torch.arange(10), "environment": ["a", "b"] * 5})
    loader = torch.utils.data.DataLoader(rows, batch_size=4, collate_fn=lambda batch: batch)
    assert [batch["x"].tolist() for batch in loader] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_as_tensors_equals_the_pictures_row_by_row(bundled):
    builder = bundled("colored_mnist", "two_spurious")
    rows = builder.as_tensors("validation", columns=["digit"])
    dataset = builder.as_dataset("validation")
    assert rows["pixel_values"].shape == (1000, 2, 14, 14)
    assert rows["pixel_values"].dtype == torch.float32
    assert rows["pixel_values"].max() == 1
    for i in (0, 17, 999):
        example = dataset[i]
        pixels = np.asarray(example["image"]).transpose(2, 0, 1)
        assert (pixels[2] == 0).all()
        assert torch.equal(rows[i]["pixel_values"], torch.from_numpy(pixels[:2].copy()).float() / 255)
        assert rows[i]["labels"] == example["label"]
        assert rows[i]["environment"] == example["environment"]
        assert rows[i]["digit"] == example["digit"]


def test_as_tensors_of_some_environments(bundled):
    builder = bundled("colored_mnist", "binary")
    rows = builder.as_tensors("test", environments=["p=0.9"])
    assert len(rows) == 2000
    assert set(rows["environment"]) == {"p=0.9"}
    with pytest.raises(ValueError, match=r"No rows of p=0\.95; there are p=0\.1"):
        builder.as_tensors("test", environments=["p=0.95"])
    with pytest.raises(ValueError, match="lacks image"):
        image_tensors(datasets.Dataset.from_dict({"label": [0], "environment": ["a"]}))
