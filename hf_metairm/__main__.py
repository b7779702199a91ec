"""`python -m hf_metairm`: the command line, without the console script."""

from .cli import main


if __name__ == "__main__":
    main()
