"""A trained folder to the Hub in one commit, and in one sentence what went wrong if it did not get there."""

from __future__ import annotations

import json
import re
from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi, ModelCard, constants
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    HTTPError,  # of whichever HTTP library the client is built on
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
)
from huggingface_hub.utils import filter_repo_objects


# What a training run leaves beside the model: its own bookkeeping, and a pickle that names local folders.
NOT_PUBLISHED = [
    "checkpoint-*/**",
    "_*",
    ".*",
    "**/.*",
    "runs/**",
    "settings.json",
    "result.json",
    "training_args.bin",
]
WEIGHTS = ("*.safetensors", "*.safetensors.index.json", "pytorch_model*.bin", "adapter_model.bin")


def push_folder(
    folder: str | Path,
    repo_id: str,
    *,
    private: bool | None = None,
    token: str | None = None,
    revision: str | None = None,
) -> str:
    """
    Push a trained model with its card to a model repository, all in one commit: all of it is there, or nothing.

    The folder is only read. What a run keeps for itself, checkpoints above all, stays behind; the lines of the card
    that load the model load it from the repository.

    Args:
        folder (`str` or `Path`): as a Trainer of this library leaves it: weights, configuration and `README.md`.
        repo_id (`str`): such as `"name/model"`; made if it does not exist.
        private (`bool`, *optional*): for a repository that is made.
        token (`str`, *optional*): the Hub's token; the one that is logged in by default.
        revision (`str`, *optional*): branch to commit to, made if it does not exist; the main one by default.

    Returns:
        `str`: the commit's address.

    Raises:
        ValueError: the folder is no trained model with a card, the card's metadata are not what the Hub takes, or
            `repo_id` is no name.
        ConnectionError: the Hub refused or could not be reached; the sentence says what to do.
    """
    folder = Path(folder)
    card = _check(folder)
    api = HfApi(token=token)
    try:
        card.validate(repo_type="model")
        api.create_repo(repo_id, private=private, exist_ok=True)
        if revision is not None:
            api.create_branch(repo_id, branch=revision, exist_ok=True)
        message = f"Upload {folder.resolve().name} with its card"
        commit = api.create_commit(
            repo_id, _contents(folder, card, repo_id), commit_message=message, revision=revision
        )
    except HFValidationError as error:
        raise ValueError(f"{repo_id!r} is no name of a repository: write NAME/MODEL. {error}") from error
    except (HfHubHTTPError, HTTPError, LocalTokenNotFoundError, OfflineModeIsEnabled) as error:
        raise ConnectionError(f"{explain(error, repo_id)} Nothing in {folder} was changed.") from error
    return str(commit.commit_url)


def _check(folder: Path) -> ModelCard:
    if not folder.is_dir():
        raise ValueError(f"There is no folder {folder}: name the folder of a trained model.")
    if not any(next(folder.glob(pattern), None) for pattern in WEIGHTS):
        raise ValueError(f"{folder} holds no model's weights: name the folder that a run was saved to.")
    if not (folder / "README.md").is_file():
        raise ValueError(
            f"{folder} holds no card (README.md), and without one nobody learns how the model does outside its "
            "training environments: write it with trainer.create_model_card()."
        )
    card: ModelCard = ModelCard.load(folder / "README.md")
    return card


def _contents(folder: Path, card: ModelCard, repo_id: str) -> list[CommitOperationAdd]:
    paths = (path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file())
    published = filter_repo_objects(paths, ignore_patterns=[*NOT_PUBLISHED, "README.md"])
    text = re.sub(r"(?m)^model_id = .*$", lambda _: f"model_id = {json.dumps(repo_id)}", str(card))
    readme = CommitOperationAdd("README.md", text.encode())
    return [readme, *(CommitOperationAdd(path, str(folder / path)) for path in published)]


def explain(error: Exception, repo_id: str) -> str:
    """What a failed exchange with the Hub means for somebody who pushes to `repo_id`, and what to do."""
    hub = constants.ENDPOINT
    if isinstance(error, OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set, so nothing is sent: unset it and try again."
    response = getattr(error, "response", None)
    if isinstance(error, LocalTokenNotFoundError) or (response is not None and response.status_code == 401):
        return f"{hub} does not know who you are: log in with `hf auth login`, or give a token that is valid."
    if response is None:
        return f"{hub} cannot be reached ({type(error).__name__}): try again when the network is back."
    if response.status_code == 403:
        return f"Your token may not write to {repo_id}: use one with write access, or a repository of your own."
    if response.status_code >= 500:
        return f"{hub} failed with status {response.status_code}, and nothing was published: try again later."
    return f"{hub} refused with status {response.status_code}: {getattr(error, 'server_message', None) or error}"
