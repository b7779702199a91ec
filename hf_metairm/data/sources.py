"""Where the original data come from: a folder, the Hub, or a copy that the package carries."""

from __future__ import annotations

import hashlib
import logging
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import huggingface_hub
from huggingface_hub import constants, try_to_load_from_cache
from huggingface_hub.utils import get_session


logger = logging.getLogger(__name__)

BUNDLED = Path(__file__).parent / "bundled"
PROBE_SECONDS = 1.5


@dataclass(frozen=True)
class Source:
    """Original data that have been found.

    Args:
        kind (`str`): `"hub"`, `"folder"` or `"bundled"`.
        title (`str`): what the data are, in words for the log and the card.
        licence (`str`): their licence, in words.
        files (`dict[str, Path]`): the files, by role.
        fingerprint (`str`): names the folder of the cache, so that builds from different data never mix.
    """

    kind: str
    title: str
    licence: str
    files: dict[str, Path]
    fingerprint: str


@dataclass(frozen=True)
class SourceSpec:
    """The places where a dataset's original data may be; a folder always is one.

    Args:
        dataset (`str`): short name of the original, for messages.
        find (`Callable`): the files in a folder and their title and licence; `None` if there are none.
        expected (`str`): what a folder should hold, for the message.
        hub_repo (`str`, *optional*): the Hub's dataset repository.
        hub_files (`dict[str, str]`, *optional*): path in that repository, by role.
        hub (`tuple[str, str]`, *optional*): title and licence of the Hub's data.
        bundled_file (`str`, *optional*): name of the bundled file.
        bundled (`tuple[str, str]`, *optional*): title and licence of the bundled data.
        address (`str`, *optional*): where people get the files; to be given where no file is bundled.
    """

    dataset: str
    find: Callable[[Path], tuple[dict[str, Path], str, str] | None]
    expected: str
    hub_repo: str | None = None
    hub_files: dict[str, str] = field(default_factory=dict)
    hub: tuple[str, str] = ("", "")
    bundled_file: str | None = None
    bundled: tuple[str, str] = ("", "")
    address: str = ""

    @property
    def advice(self) -> str:
        """What to do where neither the Hub nor the package has the files."""
        return f"get its files from {self.address} and name their folder as the source"


def locate(spec: SourceSpec, source: str | Path, is_built: Callable[[str], bool]) -> Source:
    """Find the original data.

    Args:
        spec (`SourceSpec`):
            The dataset's places.
        source (`str` or `Path`):
            `"auto"`: the Hub, or the bundled data where the Hub cannot be reached or `HF_HUB_OFFLINE=1` is set and
            the Hub's files are not in the local cache. `"hub"`: the Hub or an error. `"bundled"`. Anything else is a
            folder.
        is_built (`Callable[[str], bool]`):
            Whether a dataset from the source of this fingerprint is in the cache already; the Hub is then not asked.

    Raises:
        `ConnectionError`: the Hub cannot be reached, and `source="hub"` or no data are bundled.
        `FileNotFoundError`: no such folder, the files are not in it, or the dataset is not in the place that is asked
            for.
    """
    if str(source) == "bundled":
        return _bundled(spec)
    if str(source) not in ("auto", "hub"):
        return _folder(spec, Path(source).expanduser())
    if spec.hub_repo is None:
        if str(source) == "auto" and spec.bundled_file:
            return _bundled(spec)
        raise FileNotFoundError(f"{spec.dataset} is not fetched from the Hub: {spec.advice}.")
    return _hub(spec, spec.hub_repo, str(source), is_built)


def _hub(spec: SourceSpec, repo: str, source: str, is_built: Callable[[str], bool]) -> Source:
    fingerprint = "hub-" + repo.replace("/", "--")
    try:
        files = {} if is_built(fingerprint) else _fetch(repo, spec.hub_files)
        return Source("hub", *spec.hub, files, fingerprint)
    except Exception as error:  # whatever stops the client (network, proxy, server, token), the mend is the same
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        failed = f"{repo} cannot be fetched from the Hub ({reason})"
        if not spec.bundled_file:
            raise ConnectionError(f"{failed}; connect to it, or {spec.advice}.") from error
        if source == "hub":
            raise ConnectionError(f"{failed}; connect to it, or build from source='bundled' or a folder.") from error
        logger.warning("%s: building from the bundled %s.", failed, spec.bundled[0])
        return _bundled(spec)


def _bundled(spec: SourceSpec) -> Source:
    if spec.bundled_file is None:
        raise FileNotFoundError(f"The package carries no copy of {spec.dataset}: {spec.advice}.")
    path = BUNDLED / spec.bundled_file
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing from the installed package; install hf_metairm again.")
    return Source("bundled", *spec.bundled, {"bundled": path}, "bundled-" + _digest([path]))


def _folder(spec: SourceSpec, folder: Path) -> Source:
    if not folder.is_dir():
        raise FileNotFoundError(
            f"source={str(folder)!r} is neither 'auto', 'hub' nor 'bundled', and no folder of that name exists."
        )
    found = spec.find(folder)
    if found is None:
        raise FileNotFoundError(f"{folder} has no {spec.dataset} data; it should hold {spec.expected}.")
    files, title, licence = found
    return Source("folder", title, licence, files, "folder-" + _digest(list(files.values())))


def files_together(folder: Path, patterns: dict[str, str], name: str) -> dict[str, Path]:
    """
    Find one file for each pattern, all in one folder: `folder` or one below it.

    Args:
        folder (`Path`): where to look.
        patterns (`dict[str, str]`): the files' patterns, by role.
        name (`str`): of the dataset, in small letters and digits: where several folders hold such files, the one that
            is called so is meant.

    Returns:
        `dict[str, Path]`: the files by role; a role without a file is missing where no folder holds them all.

    Raises:
        ValueError: several folders hold such files, and none or several of them have the dataset's name; or the files
            of a role are in several pieces.
    """
    by_folder: dict[Path, dict[str, Path]] = {}
    for role, pattern in patterns.items():
        for path in sorted(path for path in folder.rglob(pattern) if path.is_file()):
            first = by_folder.setdefault(path.parent, {}).setdefault(role, path)
            if first.name.removesuffix(".gz") != path.name.removesuffix(".gz"):
                raise ValueError(
                    f"{path.parent} has several files for {role} ({first.name}, {path.name}): join them into one, or "
                    f"name a folder that holds one."
                )
    whole = {place: files for place, files in by_folder.items() if len(files) == len(patterns)}
    if len(whole) > 1:
        named = [place for place in whole if name in map(_plain, place.relative_to(folder).parts)]
        if len(named) != 1:
            places = ", ".join(str(place.relative_to(folder)) for place in named or whole)
            raise ValueError(
                f"{folder} has files of these names in several folders ({places}): name the one of {name}."
            )
        return whole[named[0]]
    found = next(iter(whole.values()), None)
    return found or {role: path for files in by_folder.values() for role, path in files.items()}


def _plain(part: str) -> str:
    return re.sub(r"[^a-z0-9]", "", part.lower())


def _digest(paths: list[Path]) -> str:
    """Hash the files' contents: 12 MB take 20 ms, and a file that was changed in place is then not mistaken."""
    digest = hashlib.blake2b(digest_size=6)
    for path in sorted(paths):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _fetch(repo: str, files: dict[str, str]) -> dict[str, Path]:
    cached = {role: try_to_load_from_cache(repo, name, repo_type="dataset") for role, name in files.items()}
    if all(isinstance(path, str) for path in cached.values()):
        return {role: Path(str(path)) for role, path in cached.items()}
    if constants.HF_HUB_OFFLINE:
        raise ConnectionError("HF_HUB_OFFLINE is set and its files are not in the local cache")
    reason = why_unreachable(constants.ENDPOINT)
    if reason:
        raise ConnectionError(reason)
    return {
        role: Path(huggingface_hub.hf_hub_download(repo, name, repo_type="dataset", etag_timeout=5))
        for role, name in files.items()
    }


@lru_cache(maxsize=8)
def why_unreachable(endpoint: str) -> str | None:
    """Ask the Hub once whether it is there, and give up after two seconds; the answer holds for this process.

    The client's own downloads retry for half a minute when there is no network. The request runs in a thread,
    because the time limit of a request does not cover the look-up of the host's name.
    """
    answer: list[str | None] = []

    def ask() -> None:
        try:
            get_session().head(endpoint, timeout=PROBE_SECONDS)
            answer.append(None)
        except Exception as error:
            answer.append(f"{endpoint} cannot be reached: {str(error) or type(error).__name__}")

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PROBE_SECONDS + 0.5)
    return answer[0] if answer else f"{endpoint} did not answer within {PROBE_SECONDS} seconds"
