"""The demo's codec tab in a real browser, used as a person would: headless Chromium through Playwright.

Runs with `pytest -m browser`, where the packages gradio and playwright and the program chromium are there.
MYNAH_SCREENSHOTS names a folder that the pictures of the page are kept in.
"""

import re
from pathlib import Path

import pytest

from mynah.data import audio

pytestmark = pytest.mark.browser


@pytest.fixture
def browsing(browse, demo_url):
    return browse(demo_url)


@pytest.fixture
def recording(speech, tmp_path) -> Path:
    audio.save(tmp_path / "talk.wav", speech, 16_000)
    return tmp_path / "talk.wav"


def test_a_recording_there_and_back(browsing, recording, tmp_path):
    """Upload, choose a rate, press the button, look, download the file and open it again."""
    page = browsing.page
    page.locator("#codec-recording input[type=file]").set_input_files(recording)
    page.locator("#codec-recording #duration").get_by_text("0:04").wait_for()
    page.get_by_role("radio", name="6").check()
    download = page.get_by_role("button", name="Download the .mynah file")
    assert download.is_disabled()  # there is none yet
    page.get_by_role("button", name="Code and decode").click()
    browsing.wait_for("#codec-scores", "times less than 16-bit samples")
    for player in ("#codec-original", "#codec-copy"):
        page.locator(f"{player} #duration").get_by_text("0:04").wait_for()
    table = page.locator("#codec-scores").inner_text()
    found = [re.search(rf"{name}\s+([\d.]+)", table) for name in ("real kbit/s", "PESQ-WB", "ESTOI")]
    rate, pesq, estoi = (float(match[1]) if match else 0 for match in found)
    assert 4 < rate < 7 and 1.5 < pesq < 4.64 and 0.6 < estoi < 1, table
    pictures = page.locator("img[src*='spectrograms'], img[src*='tokens']")
    assert pictures.count() == 2
    for picture in pictures.all():  # what is drawn begins below the buttons in the corner
        assert picture.evaluate("e => parseInt(getComputedStyle(e).paddingTop)") >= 26
    assert all(picture.evaluate("e => e.complete && e.naturalWidth > 900") for picture in pictures.all())
    browsing.shoot("demo-codec")

    with page.expect_download() as got:
        download.click()
    got.value.save_as(tmp_path / "again.mynah")
    assert got.value.suggested_filename == "talk.mynah"
    page.get_by_text("Open a .mynah file").click()
    page.locator("#codec-file input[type=file]").set_input_files(tmp_path / "again.mynah")
    page.locator("#codec-file").get_by_text("again").first.wait_for()
    page.get_by_role("button", name="Open", exact=True).click()
    browsing.wait_for("#codec-facts", "intact: the index and all chunks")
    page.locator("#codec-opened #duration").get_by_text("0:04").wait_for()

    page.emulate_media(color_scheme="dark")
    browsing.shoot("demo-codec-open")
    assert browsing.hosts <= {"127.0.0.1", "inline"}


def test_what_is_wrong_is_said_on_the_page(browsing, tmp_path):
    page = browsing.page
    page.get_by_role("button", name="Code and decode").click()
    page.get_by_text("no sound yet: upload one, record one or take the sample").wait_for()
    (tmp_path / "notes.wav").write_text("not a sound at all " * 50)
    page.locator("#codec-recording input[type=file]").set_input_files(tmp_path / "notes.wav")
    page.locator("#codec-recording #duration, #codec-recording audio").first.wait_for(state="attached")
    page.get_by_role("button", name="Code and decode").click()
    page.get_by_text("notes.wav: not a sound file").wait_for()


def test_it_fits_a_phone(browsing):
    page = browsing.page
    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_role("button", name="Take the sample sound").click()
    page.locator("#codec-recording #duration").get_by_text("0:04").wait_for()
    page.get_by_role("button", name="Code and decode").click()
    browsing.wait_for("#codec-scores", "times less than 16-bit samples")
    page.locator("#codec-copy #duration").get_by_text("0:04").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    within = "e => e.scrollWidth <= e.clientWidth"
    assert page.locator("#codec-scores .virtual-table-viewport").evaluate(within)  # nothing is cut off
    browsing.shoot("demo-codec-phone")
