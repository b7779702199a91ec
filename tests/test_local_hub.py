"""The local Hub against the real clients: what they send is stored, what they read back is the same."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    DatasetCard,
    ModelCard,
    auth_check,
    constants,
    create_repo,
    get_session,
    hf_hub_download,
    snapshot_download,
)
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)


REPO = "tester/things"


def status_of(error: pytest.ExceptionInfo) -> int:
    return error.value.response.status_code


@pytest.fixture
def no_waiting(monkeypatch):
    """Retries without the client's seconds between them; gives the list of waits that were asked for."""
    waits = []
    monkeypatch.setattr(time, "sleep", waits.append)
    return waits


def make_folder(folder: Path) -> dict[str, bytes]:
    """Small and large, text and binary, nested, and names that must be quoted."""
    contents = {
        "README.md": b"---\nlicense: apache-2.0\ntags: [meta-irm]\n---\n# Things\n",
        "config.json": b'{"model_type": "bert"}',
        "empty.txt": b"",
        "weights/model.safetensors": os.urandom(1000),
        # Over 10 MB, and of a type that is not otherwise a large file.
        "weights/large.raw": os.urandom(1 << 20) * 11,
        "names/with space & ünïcode#1.txt": b"quoted",
    }
    for path, content in contents.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return contents


def test_suite_is_offline(monkeypatch):
    assert constants.HF_HUB_OFFLINE
    assert Path(constants.HF_HOME) == Path(os.environ["HF_HOME"])
    assert Path(os.environ["HF_HOME"]) != Path.home() / ".cache" / "huggingface"
    with pytest.raises(OfflineModeIsEnabled):
        auth_check(REPO)
    with pytest.raises(OSError, match="do not leave the machine"):
        socket.create_connection(("192.0.2.1", 80), timeout=1)


def test_folder_there_and_back(local_hub, tmp_path):
    contents = make_folder(tmp_path / "up")
    api = local_hub.api()
    assert api.whoami()["name"] == local_hub.user
    assert create_repo(REPO).repo_id == REPO
    with pytest.raises(HfHubHTTPError) as error:
        create_repo(REPO)
    assert status_of(error) == 409
    assert create_repo(REPO, exist_ok=True).repo_id == REPO
    commit = api.upload_folder(repo_id=REPO, folder_path=tmp_path / "up", commit_message="All of it")

    assert {p: c for p, c in local_hub.files(REPO).items() if p != ".gitattributes"} == contents
    # The large files went to the large file store, once each; the small ones did not.
    assert len(local_hub.seen("PUT", "^/lfs-store/")) == 2
    snapshot = Path(snapshot_download(REPO))
    assert {p: (snapshot / p).read_bytes() for p in contents} == contents
    assert snapshot.name == commit.oid
    single = hf_hub_download(REPO, "weights/large.raw", local_dir=tmp_path / "single")
    assert Path(single).read_bytes() == contents["weights/large.raw"]

    info = api.model_info(REPO, files_metadata=True)
    assert (info.sha, info.private, info.gated) == (commit.oid, False, False)
    assert info.card_data.license == "apache-2.0"
    assert {"meta-irm", "license:apache-2.0"} <= set(info.tags)
    large = {s.rfilename: s.lfs for s in info.siblings if s.lfs}
    assert {p: lfs.size for p, lfs in large.items()} == {p: len(contents[p]) for p in large}
    assert set(large) == {"weights/model.safetensors", "weights/large.raw"}
    top = {entry.path for entry in api.list_repo_tree(REPO)}
    assert top == {".gitattributes", "README.md", "config.json", "empty.txt", "weights", "names"}
    below = {entry.path for entry in api.list_repo_tree(REPO, "weights", recursive=True)}
    assert below == {"weights/model.safetensors", "weights/large.raw"}
    [entry] = api.get_paths_info(REPO, ["config.json", "absent"], expand=True)
    assert (entry.size, entry.last_commit.title) == (len(contents["config.json"]), "All of it")

    # Nothing changed, so nothing is sent: the Hub told the client what it has.
    again = api.upload_folder(repo_id=REPO, folder_path=tmp_path / "up")
    assert again.oid == commit.oid
    assert len(local_hub.seen("POST", "/commit/")) == 1
    assert local_hub.strays == []


def test_commits_branches_and_deletion(local_hub):
    api = local_hub.api()
    create_repo(REPO, repo_type="dataset")
    kwargs = {"repo_id": REPO, "repo_type": "dataset"}
    adds = [CommitOperationAdd(f"data/{name}", name.encode()) for name in "ab"]
    first = api.create_commit(operations=adds, commit_message="first", **kwargs)
    api.create_branch(branch="side", **kwargs)
    api.create_tag(tag="v1", **kwargs)
    change = [CommitOperationDelete("data/a"), CommitOperationAdd("c", b"c")]
    second = api.create_commit(operations=change, commit_message="second", parent_commit=first.oid, **kwargs)
    assert set(local_hub.files(REPO, "dataset")) == {".gitattributes", "data/b", "c"}
    for revision in ("side", "v1", first.oid, first.oid[:8]):
        assert set(local_hub.files(REPO, "dataset", revision)) == {".gitattributes", "data/a", "data/b"}
    with pytest.raises(HfHubHTTPError) as error:
        api.create_commit(
            operations=[CommitOperationAdd("d", b"d")], commit_message="late", parent_commit=first.oid, **kwargs
        )
    assert status_of(error) == 412
    with pytest.raises(EntryNotFoundError):
        api.delete_file("absent", **kwargs)
    proposal = api.upload_file(path_or_fileobj=b"e", path_in_repo="e", create_pr=True, **kwargs)
    assert proposal.pr_revision == "refs/pr/1"
    assert "e" in local_hub.files(REPO, "dataset", "refs/pr/1")
    assert "e" not in local_hub.files(REPO, "dataset")
    api.delete_folder("data", **kwargs)
    assert set(local_hub.files(REPO, "dataset")) == {".gitattributes", "c"}
    refs = api.list_repo_refs(**kwargs)
    assert {ref.name: ref.target_commit for ref in refs.tags} == {"v1": first.oid}
    titles = [commit.title for commit in api.list_repo_commits(revision=second.oid, **kwargs)]
    assert titles == ["second", "first", "initial commit"]
    assert [info.id for info in api.list_datasets(author=local_hub.user)] == [REPO]
    assert list(api.list_models()) == []
    api.delete_repo(**kwargs)
    with pytest.raises(RepositoryNotFoundError):
        api.dataset_info(REPO)


def test_rights(local_hub, tmp_path):
    api, reader, outsider = (local_hub.api(t) for t in (None, local_hub.read_token, local_hub.outsider_token))
    nobody, wrong = local_hub.api(False), local_hub.api("hf_wrong")
    create_repo(REPO, private=True)
    api.upload_file(path_or_fileobj=b"secret", path_in_repo="a.txt", repo_id=REPO)

    # Who may read what is private. A stranger is not told that it exists.
    # (A cache for each: what the owner has downloaded is nobody else's.)
    for i, allowed in enumerate((api, reader)):
        assert Path(allowed.hf_hub_download(REPO, "a.txt", cache_dir=tmp_path / str(i))).read_bytes() == b"secret"
    for other, status in ((nobody, 401), (outsider, 404)):
        with pytest.raises(RepositoryNotFoundError) as error:
            other.model_info(REPO)
        assert status_of(error) == status
        with pytest.raises(RepositoryNotFoundError):
            other.hf_hub_download(REPO, "a.txt", cache_dir=tmp_path / "other")
        assert list(other.list_models()) == []
    with pytest.raises(HfHubHTTPError, match="Invalid user token") as error:
        wrong.whoami()
    assert status_of(error) == 401
    with pytest.raises(HfHubHTTPError) as error:
        wrong.model_info(REPO)
    assert status_of(error) == 401
    assert not isinstance(error.value, RepositoryNotFoundError)

    # Who may write.
    for other, status, repo_id in ((reader, 403, REPO), (outsider, 404, REPO), (nobody, 401, REPO)):
        with pytest.raises(HfHubHTTPError) as error:
            other.upload_file(path_or_fileobj=b"x", path_in_repo="x", repo_id=repo_id)
        assert status_of(error) == status
    for other, status in ((reader, 403), (outsider, 403), (nobody, 401), (wrong, 401)):
        with pytest.raises(HfHubHTTPError) as error:
            other.create_repo("tester/new")
        assert status_of(error) == status
    assert local_hub.repos() == [REPO]
    assert set(local_hub.files(REPO)) == {".gitattributes", "a.txt"}
    assert api.create_repo(f"{local_hub.organization}/shared").repo_id == "test-lab/shared"

    # Gated: everybody may see it, only the owner may read it.
    api.update_repo_settings(REPO, private=False, gated="auto")
    assert outsider.model_info(REPO).gated == "auto"
    for other, status in ((outsider, 403), (nobody, 401)):
        with pytest.raises(GatedRepoError) as error:
            other.hf_hub_download(REPO, "a.txt", cache_dir=tmp_path / "other")
        assert status_of(error) == status
    assert Path(reader.hf_hub_download(REPO, "a.txt")).read_bytes() == b"secret"


def test_not_found(local_hub):
    api = local_hub.api()
    create_repo(REPO)
    for call in (api.model_info, api.list_repo_files, snapshot_download):
        with pytest.raises(RepositoryNotFoundError):
            call("tester/absent")
        with pytest.raises(RevisionNotFoundError):
            call(REPO, revision="absent")
    # The repositories without a namespace that people know by heart.
    with pytest.raises(RepositoryNotFoundError):
        hf_hub_download("bert-base-uncased", "config.json")
    with pytest.raises(RepositoryNotFoundError):
        api.upload_file(path_or_fileobj=b"x", path_in_repo="x", repo_id="tester/absent")
    with pytest.raises(RevisionNotFoundError):
        hf_hub_download(REPO, "config.json", revision="absent")
    with pytest.raises(EntryNotFoundError):
        hf_hub_download(REPO, "config.json")
    with pytest.raises(EntryNotFoundError):
        list(api.list_repo_tree(REPO, "absent"))
    # A dataset of the same name is another repository.
    with pytest.raises(RepositoryNotFoundError):
        api.dataset_info(REPO)


def test_server_error_midway(local_hub, tmp_path, no_waiting):
    api = local_hub.api()
    create_repo(REPO)
    contents = {"model.safetensors": os.urandom(5000), "config.json": b"{}"}
    for path, content in contents.items():
        (tmp_path / path).write_bytes(content)

    # The client tries a failed upload again by itself ...
    local_hub.fail_next("PUT", "^/lfs-store/", status=503, times=2)
    # ... but not a failed commit: a clear error, nothing half done, and a second try completes.
    local_hub.fail_next("POST", "/commit/main", status=500)
    before = local_hub.files(REPO)
    with pytest.raises(HfHubHTTPError, match="500") as error:
        api.upload_folder(repo_id=REPO, folder_path=tmp_path)
    assert status_of(error) == 500
    assert len(no_waiting) == 2
    assert [r.status for r in local_hub.seen("PUT", "^/lfs-store/")] == [503, 503, 200]
    assert local_hub.files(REPO) == before
    api.upload_folder(repo_id=REPO, folder_path=tmp_path)
    assert {p: local_hub.files(REPO)[p] for p in contents} == contents
    # The large file was there already.
    assert len(local_hub.seen("PUT", "^/lfs-store/")) == 3

    # A server that does not recover.
    local_hub.fail_next("*", "^/api/", status=502, times=None)
    with pytest.raises(HfHubHTTPError, match="502"):
        api.upload_file(path_or_fileobj=b"x", path_in_repo="x", repo_id=REPO)
    local_hub.heal()
    api.upload_file(path_or_fileobj=b"x", path_in_repo="x", repo_id=REPO)
    assert local_hub.files(REPO)["x"] == b"x"


def test_lost_connection(local_hub, no_waiting):
    api = local_hub.api()
    create_repo(REPO)
    content = os.urandom(1 << 20) * 12
    api.upload_file(path_or_fileobj=content, path_in_repo="big.bin", repo_id=REPO)

    # A download that breaks off goes on where it stopped: after the last whole chunk of 10 MB.
    local_hub.cut_next("GET", "/resolve/.*big.bin", after_bytes=11 << 20)
    assert Path(hf_hub_download(REPO, "big.bin")).read_bytes() == content
    ranges = [r.headers.get("range") for r in local_hub.seen("GET", "/resolve/.*big.bin")]
    assert ranges == [None, f"bytes={10 << 20}-"]
    # The commit arrived, its answer did not: the error says so, and a second try finds nothing left to do.
    local_hub.cut_next("POST", "/commit/main")
    with pytest.raises(Exception, match="disconnected"):
        api.upload_file(path_or_fileobj=b"new", path_in_repo="new", repo_id=REPO)
    assert local_hub.files(REPO)["new"] == b"new"
    api.upload_file(path_or_fileobj=b"new", path_in_repo="new", repo_id=REPO)
    assert len(local_hub.seen("POST", "/commit/main")) == 2

    # No Hub at all. What was downloaded before still serves.
    local_hub.stop()
    assert Path(hf_hub_download(REPO, "big.bin")).read_bytes() == content
    with pytest.raises(LocalEntryNotFoundError):
        hf_hub_download(REPO, "new")


def test_slow_answers(local_hub):
    api = local_hub.api()
    create_repo(REPO)
    local_hub.delay("/resolve/", 0.6, times=1)
    api.upload_file(path_or_fileobj=b"x", path_in_repo="x", repo_id=REPO)
    start = time.perf_counter()
    assert Path(hf_hub_download(REPO, "x")).read_bytes() == b"x"
    assert time.perf_counter() - start > 0.6
    # Slower than the client's first patience: it asks again and waits longer.
    api.upload_file(path_or_fileobj=b"y", path_in_repo="y", repo_id=REPO)
    local_hub.delay("/resolve/.*/y$", 1.0, times=1)
    assert Path(hf_hub_download(REPO, "y", etag_timeout=0.2)).read_bytes() == b"y"
    assert [r.method for r in local_hub.seen("*", "/resolve/.*/y$")] == ["HEAD", "HEAD", "GET"]
    # Slower than any patience; the end of the Hub does not wait for its own answer either.
    local_hub.delay("^/api/models/", 600)
    start = time.perf_counter()
    with pytest.raises(Exception, match="timed out"):
        api.model_info(REPO, timeout=0.2)
    local_hub.stop()
    assert time.perf_counter() - start < 5


def test_cards(local_hub):
    create_repo(REPO)
    result = {
        "task": {"type": "text-classification"},
        "dataset": {"name": "PunctuatedSST-2", "type": "punctuated_sst2"},
        "metrics": [{"type": "accuracy", "value": 0.7}],
    }
    front = {"license": "apache-2.0", "tags": ["meta-irm"], "model-index": [{"name": "m", "results": [result]}]}
    card = ModelCard(f"---\n{json.dumps(front)}\n---\n# A model\n")
    card.validate()
    card.push_to_hub(REPO)
    assert ModelCard.load(REPO).data.eval_results[0].metric_value == 0.7
    assert local_hub.api().model_info(REPO).card_data.eval_results[0].dataset_name == "PunctuatedSST-2"

    before = local_hub.files(REPO)
    for wrong, complaint in (
        ("license: my-own", "license"),
        ("tags: [{a: 1}]", "tags"),
        ("a: [1", "YAML"),
        ("model-index: [{name: m, results: [{task: {}}]}]", r"results\[0\]\.task\.type"),
    ):
        bad = f"---\n{wrong}\n---\n# A model\n".encode()
        with pytest.raises(ValueError, match=f"(?s)Invalid metadata in README.*{complaint}"):
            local_hub.api().upload_file(path_or_fileobj=bad, path_in_repo="README.md", repo_id=REPO)
    assert local_hub.files(REPO) == before
    with pytest.raises(ValueError, match="my-own"):
        ModelCard("---\nlicense: my-own\n---\n").validate()
    DatasetCard("---\nlicense: mit\nconfigs:\n- config_name: a\n  data_files: a.csv\n---\n").validate()
    with pytest.warns(UserWarning, match="empty or missing yaml"):
        local_hub.api().upload_file(path_or_fileobj=b"# Bare", path_in_repo="README.md", repo_id=REPO)


CREATE = """
from huggingface_hub import create_repo
from huggingface_hub.errors import HfHubHTTPError
try:
    print(create_repo("tester/new").repo_id)
except HfHubHTTPError as error:
    print(error.response.status_code)
"""


def test_other_processes_and_other_hosts(local_hub):
    # A child inherits the user's settings; `environ_for` gives it another token.
    reader, nobody = local_hub.environ_for(local_hub.read_token), local_hub.environ_for(None)
    for environ, answer in ((reader, "403"), (nobody, "401"), ({}, "tester/new")):
        command = [sys.executable, "-c", CREATE]
        done = subprocess.run(
            command, env=os.environ | environ, capture_output=True, text=True, timeout=600, check=True
        )
        assert done.stdout.strip() == answer
    assert local_hub.repos() == ["tester/new"]

    assert local_hub.strays == []
    assert get_session().get("http://elsewhere.test/page").status_code == 404
    with pytest.raises(Exception, match="404"):
        get_session().get("https://elsewhere.test/page")
    assert local_hub.strays == ["elsewhere.test", "elsewhere.test:443"]


LOAD_IN_A_FRESH_PROCESS = """
import json, sys
import torch
from datasets import load_dataset
from transformers import AutoModelForSequenceClassification

rows = {}
for config in ("easy", "hard"):
    rows[config] = load_dataset("tester/rows", config, split="train").to_list()
    rows[config + " streamed"] = list(load_dataset("tester/rows", config, split="train", streaming=True))
model = AutoModelForSequenceClassification.from_pretrained("tester/tiny").eval()
with torch.no_grad():
    logits = model(input_ids=torch.arange(24).reshape(2, 12)).logits
print(json.dumps({"rows": rows, "logits": logits.tolist()}))
"""


def test_datasets_and_models_by_name(local_hub):
    import torch
    from datasets import Dataset, get_dataset_config_names, load_dataset
    from transformers import BertConfig, BertForSequenceClassification

    rows = {
        name: [{"sentence": f"{name} {i}", "label": i % 2, "environment": "ab"[i % 3 > 0]} for i in range(n)]
        for name, n in (("easy", 7), ("hard", 11))
    }
    for name in rows:
        Dataset.from_list(rows[name]).push_to_hub("tester/rows", config_name=name)
    assert get_dataset_config_names("tester/rows") == ["easy", "hard"]
    assert {"easy/train-00000-of-00001.parquet", "hard/train-00000-of-00001.parquet"} <= set(
        local_hub.files("tester/rows", "dataset")
    )
    for name in rows:
        assert load_dataset("tester/rows", name, split="train").to_list() == rows[name]

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=30, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, num_labels=3
    )
    model = BertForSequenceClassification(config).eval()
    model.push_to_hub("tester/tiny", private=True)
    with torch.no_grad():
        logits = model(input_ids=torch.arange(24).reshape(2, 12)).logits
        again = BertForSequenceClassification.from_pretrained("tester/tiny")(torch.arange(24).reshape(2, 12)).logits
    assert torch.equal(again, logits)
    info = local_hub.api().model_info("tester/tiny")
    assert (info.library_name, info.pipeline_tag) == ("transformers", "text-classification")

    env = {**os.environ, **local_hub.environ, "HF_HOME": str(local_hub.home / "fresh"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", LOAD_IN_A_FRESH_PROCESS]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    for name in rows:
        assert found["rows"][name] == rows[name]
        assert found["rows"][name + " streamed"] == rows[name]
    # Bit for bit: JSON keeps every digit of a double, and a float is one.
    assert torch.equal(torch.tensor(found["logits"]), logits)
    # The dataset viewer was asked, and was not there.
    assert {r.status for r in local_hub.requests if r.host.startswith("datasets-server.")} == {404}
    assert local_hub.strays == []
