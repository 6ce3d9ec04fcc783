"""The demo as a process of its own, and in a browser: fixtures of the tests that use it."""

import os
import re
import shutil
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Gives a port that nobody listens on."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return probe.getsockname()[1]

    return find


@pytest.fixture(scope="session")
def serve_demo(mynah_process, free_port, tmp_path_factory) -> Callable:
    """Runs the demo as a process of its own, with a folder of voices and options, where a proxy that does not
    answer is set; the context gives its address."""
    pytest.importorskip("gradio", reason='the demo needs gradio: pip install ".[demo]"')

    @contextmanager
    def serve(voices: Path, *options: object, imported: Sequence[str] | None = None) -> Iterator[str]:
        log = tmp_path_factory.mktemp("demo") / "stderr"
        with pytest.MonkeyPatch.context() as patch, open(log, "w") as stderr:
            patch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
            patch.delenv("NO_PROXY", raising=False)
            patch.setenv("MYNAH_VOICES", str(voices))
            process = mynah_process("demo", "--port", free_port(), *options, imported=imported, stderr=stderr)
        with process:
            line = process.stdout.readline().decode()
            assert line.startswith("mynah demo: http://127.0.0.1:"), line + log.read_text()
            yield line.split()[2]
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=120) == 130
        assert log.read_text().splitlines()[-1] == "mynah: stopped"

    return serve


# For one file at a time: while nobody asks for anything, Gradio takes a twentieth of a processor.


@pytest.fixture(scope="module")
def demo_url(serve_demo, tmp_path_factory) -> Iterator[str]:
    """Address of the demo with what is shipped, and no voice of the user's."""
    with serve_demo(tmp_path_factory.mktemp("voices")) as url:
        yield url


@pytest.fixture(scope="module")
def tiny_demo_url(serve_demo, speaking, tiny_folder, tmp_path_factory) -> Iterator[str]:
    """Address of a demo with the untrained models of `speaking`; the user has the voice `ann`."""
    voices = tmp_path_factory.mktemp("voices")
    (voices / "ann.safetensors").write_bytes(speaking.voice.read_bytes())
    models = ["--model", speaking.lm, "--durations", speaking.durations, "--codec", tiny_folder]
    with serve_demo(voices, *models, imported=["gradio"]) as url:
        yield url


# The demo in a real browser: headless Chromium through Playwright, for `pytest -m browser`.

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
PATIENCE = 300_000  # ms, of a test machine that has other things to do


class Browsing:
    """A page of the demo, and the hosts that it asked for anything."""

    def __init__(self, page: Any, url: str, shots: Path) -> None:
        self.page, self.shots = page, shots
        self.hosts: set[str] = set()
        page.set_default_timeout(PATIENCE)
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).hostname or "inline"))
        page.goto(url, timeout=PATIENCE)

    def wait_for(self, selector: str, text: str | re.Pattern) -> None:
        """Until the text is to be seen; tables hold a hidden copy of their widest cells."""
        self.page.locator(selector).get_by_text(text).locator("visible=true").first.wait_for()

    def wait_for_sound(self, selector: str) -> None:
        """Until a player shows the length of its sound."""
        self.page.locator(f"{selector} #duration").get_by_text(
            re.compile(r"0:0[1-9]|[0-9]:[1-5][0-9]")
        ).wait_for()

    def shoot(self, name: str) -> None:
        """A picture of the whole page."""
        self.page.screenshot(path=self.shots / f"{name}.png", full_page=True)


@pytest.fixture(scope="module")
def browser_context(tmp_path_factory) -> Iterator:
    """A browser that reaches this machine only."""
    sync_api = pytest.importorskip("playwright.sync_api", reason='needs playwright: pip install ".[browser]"')
    if CHROMIUM is None:
        pytest.skip("needs chromium: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("profile"),
            executable_path=CHROMIUM,
            args=FLAGS.split(),
            viewport={"width": 1280, "height": 900},
        )
        local = lambda url: urlsplit(url).hostname in ("127.0.0.1", None)  # noqa: E731
        context.route(lambda url: not local(url), lambda route: route.abort())
        yield context
        context.close()


@pytest.fixture
def browse(browser_context, tmp_path) -> Iterator[Callable[[str], Browsing]]:
    """Opens an address in a new page of 1280 x 900; $MYNAH_SCREENSHOTS keeps the pictures that are taken."""
    shots = Path(os.environ.get("MYNAH_SCREENSHOTS", tmp_path))
    page = browser_context.new_page()
    yield lambda url: Browsing(page, url, shots)
    page.close()
