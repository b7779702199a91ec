"""Shows the page on an address of this machine, until Ctrl-C."""

from __future__ import annotations

import gc
import logging
import os
import socket
import threading
import webbrowser
from collections.abc import Callable

from .found import Found


LOOPBACK = ("127.0.0.1", "localhost", "::1")


def need_gradio() -> None:
    """
    Raises:
        ImportError: the extra is not installed; the sentence says how to install it.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # It is read when gradio is imported.
    try:
        import gradio  # noqa: F401
    except ImportError:
        raise ImportError("`explore` needs the extra of that name: pip install 'hf_metairm[explore]'.") from None


def serve(found: Found, host: str, port: int | None, open_browser: bool, say: Callable[[str], None] = print) -> None:
    """
    Serve the page until this process is interrupted.

    Args:
        found ([`Found`]): what to show.
        host (`str`): an address of this machine.
        port (`int`, *optional*): a free one by default.
        open_browser (`bool`): whether to open the page in the reader's browser.
        say (`Callable`, *optional*): takes what a person is to know, line by line.

    Raises:
        OSError: there is no such address, or the port is taken.
    """
    port = _free(host, port)
    _no_proxy_for(host)
    import gradio as gr

    from .page import FONTS, FONTS_OF_CODE, STYLE, build

    page = build(found)
    theme = gr.themes.Default(font=list(FONTS), font_mono=list(FONTS_OF_CODE))
    try:
        _, address, _ = page.launch(
            server_name=host, server_port=port, prevent_thread_lock=True, quiet=True, share=False, ssr_mode=False,
            pwa=False, run_history=False, footer_links=[], theme=theme, head=STYLE,
        )  # fmt: skip
        say(f"The page: {address}")
        if host not in LOOPBACK:
            say("Whoever reaches this machine can see it: without --host it is for this machine alone.")
        say("Ctrl-C ends it.")
        if open_browser:
            webbrowser.open(address)
        threading.Event().wait()
    except KeyboardInterrupt:
        say("The page is closed.")
    finally:
        if page.is_running:
            # A browser that is still open would keep its connection; that it is cut off is nothing to report.
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
            page.server.force_exit = True
        page.close(verbose=False)
        gc.freeze()  # Python would look through all of the libraries' objects, for seconds, before it ends.


def _free(host: str, port: int | None) -> int:
    """The port if it is free; any free one where none is given."""
    try:
        family, kind, _, _, (address, *_) = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port or 0))
            return int(probe.getsockname()[1])
    except socket.gaierror:
        raise OSError(f"--host {host} is no address: leave it out, or give one of this machine.") from None
    except OverflowError:
        raise ValueError(f"--port {port}: give a number from 1 to 65535.") from None
    except OSError as error:
        where = f"--host {host} --port {port}" if port else f"--host {host}"
        raise OSError(f"{where} cannot be listened on ({error.strerror}): give another, or leave it out.") from None


def _no_proxy_for(host: str) -> None:
    """Gradio asks its own server whether it is there; a proxy would ask another machine."""
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), *LOOPBACK, host]))
