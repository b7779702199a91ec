"""Build every config of one of the package's datasets as Parquet, look at it, and push it.

    python dataset_scripts/build.py NAME OUTPUT [--source FOLDER] [--push_to_hub REPO]

`colored_mnist/README.md` beside this file is the card of a build from the full MNIST, `punctuated_sst2/README.md` that
of a build from the movie-review sentences that the package carries, `cad_imdb/README.md` that of one from its authors'
files.
"""

from __future__ import annotations

import argparse

from hf_metairm.cards.publish_dataset import push_to_hub, write_parquet
from hf_metairm.data import DATASETS
from hf_metairm.inspection import inspect_dataset


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("name", choices=list(DATASETS))
parser.add_argument("output")
parser.add_argument("--source", default="auto")
parser.add_argument("--push_to_hub", metavar="REPO")
arguments = parser.parse_args()

cls = DATASETS[arguments.name]
builders = [cls(config.name, source=arguments.source) for config in cls.BUILDER_CONFIGS]
for builder in builders:
    builder.download_and_prepare()
    report = inspect_dataset(builder.as_dataset("train"))
    cue = report.differing[0] if report.differing else None
    print(builder.config_id, [f"{cue.column} {cue.what}", cue.strength] if cue else "no cue differs", report.warnings)
write_parquet(builders, arguments.output, repo_id=arguments.push_to_hub or f"USERNAME/{arguments.name}")
if arguments.push_to_hub:
    print(push_to_hub(builders, arguments.push_to_hub, folder=arguments.output))
