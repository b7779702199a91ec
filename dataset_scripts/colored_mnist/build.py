"""Build every config of Colored MNIST as Parquet, look at it, and push it.

    python dataset_scripts/colored_mnist/build.py OUTPUT [--source FOLDER] [--push_to_hub REPO]

`README.md` beside this file is the card of a build from the full MNIST.
"""

from __future__ import annotations

import argparse

from hf_metairm.data import ColoredMNIST
from hf_metairm.data.inspection import inspect_dataset
from hf_metairm.data.publish import push_to_hub, write_parquet


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("output")
parser.add_argument("--source", default="auto")
parser.add_argument("--push_to_hub", metavar="REPO")
arguments = parser.parse_args()

builders = [ColoredMNIST(config.name, source=arguments.source) for config in ColoredMNIST.BUILDER_CONFIGS]
for builder in builders:
    builder.download_and_prepare()
    report = inspect_dataset(builder.as_dataset("train"))
    cue = report.differing[0] if report.differing else None
    print(builder.config_id, [f"{cue.column} {cue.what}", cue.strength] if cue else "no cue differs", report.warnings)
write_parquet(builders, arguments.output, repo_id=arguments.push_to_hub or "USERNAME/colored_mnist")
if arguments.push_to_hub:
    print(push_to_hub(builders, arguments.push_to_hub, folder=arguments.output))
