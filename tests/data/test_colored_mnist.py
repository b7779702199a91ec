import numpy as np
import pytest
import torch

from hf_metairm.data import ColoredMNIST

from .checks import (
    check_construction,
    check_digits,
    check_ideal_classifiers,
    check_images,
    columns,
    within_four_errors,
)


CONFIGS = [config.name for config in ColoredMNIST.BUILDER_CONFIGS]


@pytest.mark.parametrize("config", CONFIGS)
def test_every_config_is_what_it_says(bundled, config):
    builder = bundled("colored_mnist", config)
    check_construction(builder)
    check_digits(builder)
    check_images(builder)
    if builder.config.num_classes == 2 and builder.config.colored:
        check_ideal_classifiers(builder)


@pytest.mark.parametrize(
    ("config", "shape", "train"),
    [
        ("binary", (2, 14, 14), 7000),
        ("binary_half", (2, 14, 14), 3500),
        ("binary_quarter", (2, 14, 14), 1750),
        ("binary_28x28", (2, 28, 28), 7000),
        ("k3", (3, 14, 14), 7000),
        ("k10", (10, 14, 14), 7000),
        ("grayscale", (1, 14, 14), 7000),
    ],
)
def test_shapes(bundled, config, shape, train):
    builder = bundled("colored_mnist", config)
    dataset = builder.as_dataset()
    assert dataset["train"].num_rows == train - train % 2
    assert (dataset["validation"].num_rows, dataset["test"].num_rows) == (1000, 18_000)
    rows = builder.as_tensors("validation")
    assert rows["pixel_values"].shape == (1000, *shape)
    assert builder.num_channels == shape[0]
    assert dataset["train"][0]["image"].size == shape[1:]


def test_label_names_follow_the_classes(bundled):
    names = {c: bundled("colored_mnist", c).as_dataset("validation").features["label"].names for c in CONFIGS}
    assert names["binary"] == ["5-9", "0-4"]
    assert names["k3"] == ["0-3", "4-6", "7-9"]
    assert names["k5"] == ["0-1", "2-3", "4-5", "6-7", "8-9"]
    assert names["k10"] == [str(digit) for digit in range(10)]


def test_grayscale_is_binary_without_its_colours(bundled):
    colored, gray = (bundled("colored_mnist", name) for name in ("binary", "grayscale"))
    left, right = columns(colored.as_dataset("train")), columns(gray.as_dataset("train"))
    assert set(left) - set(right) == {"color"}
    assert all((left[name] == right[name]).all() for name in right)
    summed = colored.as_tensors("train")["pixel_values"].sum(1, keepdim=True)
    assert torch.equal(summed, gray.as_tensors("train")["pixel_values"])


def test_test_environments_share_digits_and_labels_but_not_colours(bundled):
    test = columns(bundled("colored_mnist", "binary").as_dataset("test"))
    first, last = (test["environment"] == name for name in ("p=0.1", "p=0.9"))
    assert (test["index"][first] == test["index"][last]).all()
    assert (test["label"][first] == test["label"][last]).all()
    agree = [(test["color"] == test["label"])[rows] for rows in (first, last)]
    assert 0.1 < (agree[0] == agree[1]).mean() < 0.3  # independent: 0.18


def test_following_both_cues_scores_as_independent_flips_let_it(bundled):
    # Where colour and patch agree, follow them; else the digit: (1 − p)² + 2 p (1 − p) (1 − η), so 94.5 / 88.0 / 14.5
    # at p = 0.1 / 0.2 / 0.9 (trained models reach 93.5 / 86.4 / 13.4 in the paper). A shared flip gives 90 / 80 / 10.
    test = columns(bundled("colored_mnist", "two_spurious").as_dataset("test"))
    for p, accuracy in ((0.1, 0.945), (0.2, 0.88), (0.9, 0.145)):
        rows = test["environment"] == f"p={p:g}"
        guess = np.where(test["color"] == test["patch"], test["color"], test["clean_label"])
        assert within_four_errors((guess == test["label"])[rows].mean(), accuracy, rows.sum())


def test_crossed_cues_are_followed_with_the_same_risk_in_both_training_environments(bundled):
    builder = bundled("colored_mnist", "two_spurious", patch_crossed=True)
    check_construction(builder)
    check_images(builder)
    train = columns(builder.as_dataset("train"))
    # 1 − p p' − (p (1 − p') + p' (1 − p)) η with p, p' = 0.1, 0.2 or the other way round.
    guess = np.where(train["color"] == train["patch"], train["color"], train["clean_label"])
    for name in ("p=0.1", "p=0.2"):
        rows = train["environment"] == name
        assert within_four_errors((guess == train["label"])[rows].mean(), 0.915, rows.sum())
    # Colours, labels and test rows are those of the config that is not crossed.
    plain = bundled("colored_mnist", "two_spurious")
    other = columns(plain.as_dataset("train"))
    assert all((train[name] == other[name]).all() for name in train if name != "patch")
    test, other = (columns(built.as_dataset("test")) for built in (builder, plain))
    assert all((test[name] == other[name]).all() for name in test)


def test_custom_config(bundled):
    fields = {
        "environments": (0.4, 0.3, 0.0),
        "test_environments": (1.0,),
        "label_noise": 0.1,
        "num_classes": 4,
        "patched": True,
        "examples_per_environment": 500,
        "seed": 7,
    }
    builder = bundled("colored_mnist", None, **fields)
    assert builder.config_id.startswith("binary-")
    dataset = builder.as_dataset()
    assert (dataset["train"].num_rows, dataset["validation"].num_rows) == (1500, 999)
    check_construction(builder)
    check_digits(builder)
    check_images(builder)


def test_seeds_change_the_draws_but_not_the_split(bundled):
    first, second = (
        columns(bundled("colored_mnist", None, seed=seed, test_environments=(0.9,)).as_dataset("train"))
        for seed in (0, 1)
    )
    assert set(first["index"]) == set(second["index"])
    assert (first["index"] != second["index"]).mean() > 0.9


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"environments": (0.2, 1.5)}, r"environments: 1\.5 is no probability; give a number from 0 to 1"),
        ({"test_environments": (-0.1,)}, r"test_environments: -0\.1 is no probability"),
        ({"environments": ()}, "environments must be a non-empty sequence"),
        ({"environments": (0.2, 0.2)}, "names an environment twice"),
        ({"label_noise": "much"}, "label_noise: 'much' is no probability"),
        ({"num_classes": 11}, "num_classes=11 does not fit ten digits; give 2 to 10"),
        ({"num_classes": 1}, "num_classes=1 does not fit"),
        ({"image_size": 16}, "image_size must be 14 or 28, not 16"),
        ({"patched": True, "num_classes": 5}, "num_classes can be 4 at most"),
        ({"patch_crossed": True}, "there is none: set patched=True"),
        ({"colored": 3}, "colored must be True or False"),
        ({"seed": -1}, "seed must be an integer of at least 0"),
        ({"train_fraction": 0}, r"train_fraction must lie in \(0, 1\]"),
        ({"examples_per_environment": 0}, "examples_per_environment must be an integer of at least 1"),
        ({"classes": 3}, "ColoredMNIST has no field 'classes'; a config's fields are colored, environments"),
    ],
)
def test_bad_fields_are_refused_with_one_sentence(fields, sentence, tmp_path):
    with pytest.raises(ValueError, match=sentence):
        ColoredMNIST(source="bundled", cache_dir=tmp_path, **fields)


def test_unknown_config_is_refused_with_the_list(tmp_path):
    with pytest.raises(ValueError, match=r"no config .k4.; choose binary, binary_half, .*, grayscale, and change"):
        ColoredMNIST("k4", cache_dir=tmp_path)


def test_more_digits_than_there_are(tmp_path):
    builder = ColoredMNIST(source="bundled", cache_dir=tmp_path, examples_per_environment=3501)
    with pytest.raises(ValueError, match=r"needs 7,002 training digits, but this source has 7,000; .* at most 3,500"):
        builder.download_and_prepare()
