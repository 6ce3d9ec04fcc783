"""`mynah demo`: a page in the browser, served by this machine for itself, without network."""

import os
import socket
import tempfile
import threading
import warnings
from ipaddress import ip_address
from typing import TYPE_CHECKING

from ..data.errors import MynahError

if TYPE_CHECKING:
    import gradio as gr
OK = 0
HOUR = 3600
WAITING = 20  # jobs at the most, of all who use the page
# Without a stated width Gradio's page shrinks to its contents, which then never come to rest.
STYLE = """
.gradio-container {width: 100% !important; max-width: 1240px !important; margin: 0 auto !important}
.mynah-table * {font-family: var(--font) !important; font-size: 13px !important}
/* below the buttons in the corner */
.mynah-wide img {margin-top: 26px}
.mynah-picture img {padding-top: 26px; box-sizing: border-box}
@media (max-width: 640px) {
    .mynah-picture {height: auto !important; min-height: 150px}
    .mynah-wide .image-frame {overflow-x: auto !important; justify-content: flex-start !important}
    .mynah-wide img {min-width: 1000px !important}
}
"""


def serve(host: str, port: int, open_browser: bool, lm: str, durations: str, codec: str | None) -> int:
    """Serve the page until the program is stopped.

    Args:
        host: address to listen on; 127.0.0.1 is reached from this machine only.
        port: 1 to 65535.
        open_browser: show the page in the browser.
        lm, durations, codec: names or folders of the models that speak; None for the codec that the language
            model names.

    Raises:
        MynahError: Gradio is not installed, or the address is in use or not this machine's.
    """
    address = _checked_address(host, port)
    with tempfile.TemporaryDirectory(prefix="mynah-demo-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder  # uploads and results: gone with the program
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        os.environ["NO_PROXY"] = os.environ["no_proxy"] = "*"  # Gradio asks its own server whether it is up
        blocks = build(own_voices=ip_address(address).is_loopback, lm=lm, durations=durations, codec=codec)
        from .demo_limits import MAX_MEGABYTES

        url = blocks.launch(
            server_name=host,
            server_port=port,
            inbrowser=open_browser,
            prevent_thread_lock=True,
            quiet=True,
            share=False,
            ssr_mode=False,
            max_file_size=MAX_MEGABYTES * 1_000_000,
            footer_links=["api", "settings"],
            css=STYLE,
        )[1]
        try:
            print(f"mynah demo: {url} (Ctrl-C ends it)", flush=True)
            threading.Event().wait()
        finally:
            blocks.close(verbose=False)
    return OK


def build(own_voices: bool, lm: str, durations: str, codec: str | None) -> "gr.Blocks":
    """The page with all its tabs; nothing is loaded for them before they are used.

    Args:
        own_voices: whether voices may be added and removed: not by whoever comes over the network.
        lm, durations, codec: as for `serve`.

    Raises:
        MynahError: Gradio is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an FFmpeg that is missing: none is needed here
            import gradio as gr
    except ImportError as error:
        raise MynahError("the demo needs the package gradio: pip install 'mynah[demo]'") from error
    from . import demo_codec, demo_continue, demo_speak, demo_voices
    from .demo_models import Models

    models = Models(lm, durations, codec)
    with gr.Blocks(title="Mynah", delete_cache=(HOUR // 6, HOUR)) as blocks:
        gr.Markdown("# Mynah\nSpeech to a few discrete tokens and back, and speech made of them.")
        demo_codec.add_tab()
        demo_speak.add_tab(models)
        demo_continue.add_tab(models)
        demo_voices.add_tab(models, own_voices)
    blocks.queue(max_size=WAITING)
    return blocks


def _checked_address(host: str, port: int) -> str:
    """The numeric address; MynahError unless the server may listen there, before anything is loaded."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            return str(address[0])
    except OSError as error:
        reason = error.strerror or error
        raise MynahError(f"--host {host} --port {port}: cannot be listened on ({reason})") from error
