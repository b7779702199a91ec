"""The local Hub as tests hold it: server, accounts, environment variables."""

from __future__ import annotations

from pathlib import Path

from .api import Account, Api
from .server import Server
from .storage import File


class LocalHub(Server):
    """A running Hub with one user, an organization, and a stranger.

    `user` owns the namespaces `user` and `organization`; `token` may write, `read_token` may not; `outsider_token`
    belongs to somebody else. Any other token is answered with 401, none at all may read what is public.

    What happens can be steered with `fail_next`, `cut_next`, `delay`, `heal` and `stop`, and read in `requests`
    and `seen(method, path_regex)`.
    """

    user = "tester"
    organization = "test-lab"
    outsider = "stranger"
    token = "hf_LocalHubWrite"
    read_token = "hf_LocalHubRead"
    outsider_token = "hf_LocalHubStranger"

    def __init__(self, home: Path):
        accounts = {
            self.token: Account(self.user, (self.organization,)),
            self.read_token: Account(self.user, (self.organization,), writes=False),
            self.outsider_token: Account(self.outsider),
        }
        self._api = Api(accounts)
        self.home = Path(home)
        super().__init__(self._api.answer)
        self._api.url = self.url

    @property
    def environ(self) -> dict[str, str]:
        """Environment variables for a process that takes this for the Hub, signed in as the user."""
        return self.environ_for(self.token)

    def environ_for(self, token: str | None) -> dict[str, str]:
        """The same with another token; `None` for nobody."""
        environ = {
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(self.home),
            "HF_TOKEN": token or "",
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_UPDATE_DOWNLOAD_COUNTS": "0",
            # Said, not left out: the test suite itself runs offline, and a child inherits its environment.
            "HF_HUB_OFFLINE": "0",
            "HF_DATASETS_OFFLINE": "0",
            "TRANSFORMERS_OFFLINE": "0",
        }
        # As everybody's proxy, the Hub sees, logs and refuses whatever is addressed to another host: the dataset
        # viewer's, whose name is made from ours and is in no name server, or a real one that slipped through.
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            environ[name] = environ[name.upper()] = self.url
        environ["no_proxy"] = environ["NO_PROXY"] = "127.0.0.1,localhost"
        return environ

    def api(self, token: str | bool | None = None):
        """An `HfApi` for this Hub; with the user's token unless told otherwise, `False` for none."""
        from huggingface_hub import HfApi

        return HfApi(endpoint=self.url, token=self.token if token is None else token)

    def files(self, repo_id: str, repo_type: str = "model", revision: str = "main") -> dict[str, bytes]:
        """Path and content of every file that the Hub holds for a repository, private or not."""
        files: dict[str, File] = self._api.files(repo_type, repo_id, revision)
        return {path: file.content for path, file in files.items()}

    def repos(self, repo_type: str = "model") -> list[str]:
        """The names of all repositories of a type."""
        return [repo_id for kind, repo_id in self._api.repos if kind == repo_type]

    @property
    def strays(self) -> list[str]:
        """Hosts outside that something tried to reach through the proxy settings, the dataset viewer's apart."""
        own = self.url.removeprefix("http://")
        return [r.host for r in self.requests if r.host and r.host not in (own, f"datasets-server.{own}")]
