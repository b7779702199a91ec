"""The full MNIST, where the folder named by `HF_METAIRM_DATA` holds it; skipped otherwise."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hf_metairm.data import ColoredMNIST

from .checks import check_construction, check_digits, check_ideal_classifiers, check_images


DATA = Path(os.environ.get("HF_METAIRM_DATA", "/nonexistent"))

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="HF_METAIRM_DATA names no folder")


@pytest.mark.parametrize("config", [config.name for config in ColoredMNIST.BUILDER_CONFIGS])
def test_every_config_is_what_it_says(config, tmp_path):
    builder = ColoredMNIST(config, source=DATA, cache_dir=tmp_path)
    builder.download_and_prepare()
    dataset = builder.as_dataset()
    part = {"binary_half": 2, "binary_quarter": 4}.get(config, 1)
    assert dataset["train"].num_rows == 50_000 // part
    assert dataset["validation"].num_rows == 10_000
    assert dataset["test"].num_rows == 90_000
    check_construction(builder)
    check_digits(builder)
    check_images(builder)
    if builder.config.num_classes == 2 and builder.config.colored:
        check_ideal_classifiers(builder)


BUILD = """
import resource, sys
from hf_metairm.data import ColoredMNIST
ColoredMNIST("binary", source=sys.argv[1], cache_dir=sys.argv[2]).download_and_prepare()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kilobytes on Linux only")
def test_the_binary_build_takes_a_minute_and_two_gigabytes_at_most(tmp_path):
    start = time.monotonic()
    built = subprocess.run(
        [sys.executable, "-c", BUILD, str(DATA), str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert time.monotonic() - start <= 60
    assert int(built.stdout) * 1024 <= 2e9
