"""One algorithm a file, one class each, in pure PyTorch."""
