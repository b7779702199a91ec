"""The datasets of this package: one file each, named as the dataset is; see `hf_metairm.data.registry`."""
