"""What holds for every test: no network, a cache of its own; and the local Hub."""

import atexit
import gc
import ipaddress
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


# The Hugging Face libraries read their settings when they are imported, so this stands before any of them.
_LIBRARIES = {"huggingface_hub", "datasets", "transformers", "evaluate"} & sys.modules.keys()
if _LIBRARIES:
    raise RuntimeError(f"imported before tests/conftest.py could keep them offline: {sorted(_LIBRARIES)}")
for _name in list(os.environ):
    # Places and credentials of the person who runs the tests.
    _foreign = _name.startswith(("HF_", "HUGGINGFACE_", "HUGGING_FACE_")) and not _name.startswith("HF_METAIRM_")
    if _foreign or _name == "TRANSFORMERS_OFFLINE":
        del os.environ[_name]
_HOME = tempfile.mkdtemp(prefix="hf_metairm-tests-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
os.environ.update(
    HF_HOME=_HOME,
    HF_HUB_OFFLINE="1",
    HF_HUB_DISABLE_XET="1",
    HF_HUB_DISABLE_TELEMETRY="1",
    HF_UPDATE_DOWNLOAD_COUNTS="0",
)


# Each takes half a minute and more: first, so that at the end no process works on one while the others are idle.
_LONG = (
    "paper/test_interruption.py",
    "parallel/test_processes.py",
    "experiments/test_faults.py",
    "experiments/test_finetune_text.py",
    "explore/test_page.py",
    "data/test_colored_mnist.py",
    "parallel/test_resume.py",
    "parallel/test_sharded.py",
    "hub/test_push.py",
    "trainer/test_trl.py",
    "trainer/test_model_card.py",
    "experiments/test_two_stages.py",
    "trainer/test_meta_irm.py",
    "parallel/test_example.py",
    "parallel/test_search.py",
    "experiments/test_engine.py",
    "docs/test_site_in_a_browser.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long files first."""
    places = {Path(__file__).parent / name: place for place, name in enumerate(_LONG)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_collection_finish(session: pytest.Session) -> None:
    """A Trainer has garbage collected several times; what was imported by now need not be looked through each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _only_loopback() -> Iterator[None]:
    """Refuse connections to other machines, whichever library wants them."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address):
        if self.family in (socket.AF_INET, socket.AF_INET6):
            try:
                inside = ipaddress.ip_address(address[0]).is_loopback
            except ValueError:
                inside = address[0] == "localhost"
            if not inside:
                raise OSError(101, f"the tests do not leave the machine: {address[0]}")
        return connect(self, address)

    socket.socket.connect = guarded
    yield
    socket.socket.connect = connect


@pytest.fixture(autouse=True)
def _ctrl_c_is_heard() -> Iterator[None]:
    """
    A shell that starts the suite in the background has Ctrl-C ignored: by this process, by all that the tests start,
    and by the commands that they interrupt. So does a command that was interrupted in this process, from then on.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session", autouse=True)
def _sketches() -> Iterator[Callable[..., None]]:
    """
    To lay out and to draw pictures takes more time than to train what most tests train, which look at other things:
    there a figure is made, and a file written without drawing it.
    """
    from matplotlib.figure import Figure

    drawn = Figure.savefig
    Figure.savefig = lambda self, file, **options: Path(file).write_bytes(b"a picture")
    yield drawn
    Figure.savefig = drawn


@pytest.fixture
def drawn_pictures(_sketches: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests whose pictures are to be drawn."""
    from matplotlib.figure import Figure

    monkeypatch.setattr(Figure, "savefig", _sketches)


@pytest.fixture
def local_hub(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator:
    """A Hub of the test's own that `huggingface_hub`, `datasets` and `transformers` talk to (`tests/local_hub`).

    In this process it is the Hub by default, signed in as `local_hub.user`. For others:
    `subprocess.run([...], env={**os.environ, **local_hub.environ})`.
    """
    from tests.local_hub import LocalHub, connect
    from tests.local_hub.in_process import forget_connections

    hub = LocalHub(Path(tmp_path_factory.mktemp("hub-home")))
    connect(hub, monkeypatch)
    yield hub
    hub.stop()
    forget_connections()


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """The machine's Chromium (`tests/browser.py`); the tests that want it are skipped where there is none."""
    from tests.browser import chromium

    with chromium() as browser:
        yield browser


@pytest.fixture
def visit(browser) -> Iterator[Callable]:
    """
    Opens an address in a window of its own: `visit(address, width=1280, scheme="light")` is a `tests.browser.Visit`.

    A test ends by asserting `seen.left == []` and `seen.errors == []`.
    """
    from tests.browser import Visit

    windows = []

    def opened(address: str, width: int = 1280, height: int = 900, scheme: str = "light") -> Visit:
        size = {"width": width, "height": height}
        windows.append(browser.new_context(viewport=size, color_scheme=scheme, service_workers="block"))
        windows[-1].set_default_timeout(60_000)  # of a click, say: a busy machine takes its time
        seen = Visit(windows[-1].new_page())
        seen.page.goto(address)
        return seen

    yield opened
    for window in windows:
        window.close()
