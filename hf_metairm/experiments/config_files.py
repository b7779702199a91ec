"""Settings files: one of the user's, or by its name one that comes with the package."""

from __future__ import annotations

from pathlib import Path


FOLDER = Path(__file__).parents[1] / "configs"


def find_config(name: str | Path) -> Path:
    """
    The settings file of that path, or the package's of that name, such as `"punctuated_sst2"`.

    Raises:
        ValueError: there is neither; the message lists the names.
    """
    file = Path(name)
    if file.is_file():
        return file
    own = {path.stem: path for path in sorted(FOLDER.glob("*.yaml"))}
    if str(name) in own:
        return own[str(name)]
    raise ValueError(
        f"There is no settings file {str(name)!r}: give --config the path of a YAML file, or one of the names "
        f"{', '.join(own)}."
    )
