"""The demo's tabs that speak, in a real browser: what is shipped where it is, else untrained models.

How it is run and where its pictures go stands in `test_apps_demo_browser`.
"""

import re
from pathlib import Path

import pytest

from mynah.codec.heads.ctc import SHIPPED as SHIPPED_HEADS
from mynah.lm import checkpoint as lm_checkpoint
from mynah.tts import durations, voice_store

pytestmark = pytest.mark.browser

TEXT = "Dr. Smith paid $1.50 for a mynah bird, and it has not stopped talking since."
SHIPPED = all(
    (
        voice_store.shipped_names(),
        list(lm_checkpoint.SHIPPED.glob("mynah-lm/config.json")),
        list(durations.SHIPPED.glob("mynah-durations/config.json")),
    )
)
HEAD = SHIPPED and list(SHIPPED_HEADS.glob("phones-16k/config.json"))


@pytest.fixture
def url(request) -> str:
    return request.getfixturevalue("demo_url" if SHIPPED else "tiny_demo_url")


@pytest.fixture
def browsing(browse, url):
    return browse(url)


@pytest.fixture
def said(url, tmp_path) -> Path:
    """TEXT, spoken."""
    from gradio_client import Client

    client = Client(url, verbose=False, download_files=tmp_path / "got")
    return Path(client.predict(TEXT, None, 1.0, 1.0, 0, api_name="/speak")[1])


def pictures_are_drawn(page, name):
    (picture,) = page.locator(f"img[src*='{name}']").all()
    picture.evaluate("e => e.decode()")
    return picture.evaluate("e => e.naturalWidth > 900")


def test_a_text_is_heard_while_it_is_made(browsing):
    """Type, choose a voice, another rate, listen, look."""
    page = browsing.page
    page.get_by_role("tab", name="Speak").click()
    page.locator("#speak-text textarea").fill(TEXT + " ♫")
    page.locator("#speak-voice input").click()
    page.get_by_role("option").first.click()
    page.get_by_role("button", name="Speak", exact=True).click()
    page.wait_for_function("document.querySelector('#speak-live audio')?.currentTime > 0.5")
    browsing.wait_for_sound("#speak-whole")
    browsing.wait_for("#speak-words", re.compile(r"s \d+ · m \d+ · ˈɪ \d+ · θ"))
    assert "♫" in page.locator("#speak-skipped textarea").input_value()
    assert pictures_are_drawn(page, "phonemes")
    page.wait_for_function("document.querySelector('#speak-live audio').ended")
    heard = page.evaluate("document.querySelector('#speak-live audio').duration")
    minutes, seconds = page.locator("#speak-whole #duration").inner_text().split(":")
    whole = 60 * int(minutes) + int(seconds)  # rounded
    assert -1 < heard - whole < 3  # the last second is filled up, the encoder adds its delay
    browsing.shoot("demo-speak")
    assert browsing.hosts <= {"127.0.0.1", "inline"}


def test_an_example_and_what_cannot_be_said(browsing):
    page = browsing.page
    page.get_by_role("tab", name="Speak").click()
    page.get_by_text("She sells sea shells").click()
    page.wait_for_function("document.querySelector('#speak-text textarea').value.startsWith('She sells')")
    page.locator("#speak-text textarea").fill("?!")
    page.get_by_role("button", name="Speak", exact=True).click()
    page.get_by_text("nothing to say in '?!'").wait_for()
    page.locator("#speak-text textarea").fill("  ")
    page.get_by_role("button", name="Speak", exact=True).click()
    page.get_by_text("no text yet: write what is to be said").wait_for()


def test_who_stops_it_can_begin_anew(browsing):
    page = browsing.page
    page.get_by_role("tab", name="Speak").click()
    page.locator("#speak-text textarea").fill(("and on " * 140) + ".")
    page.get_by_role("button", name="Speak", exact=True).click()
    page.locator("#speak-live audio").wait_for(state="attached")
    page.get_by_role("button", name="Stop").click()
    page.locator("#speak-text textarea").fill("Hello.")
    done = page.locator("#speak-whole #duration").get_by_text(re.compile("0:0[0-3]"))
    for _ in range(60):  # a press while the first speech is still being stopped does nothing
        page.get_by_role("button", name="Speak", exact=True).click()
        page.wait_for_timeout(5000)
        if done.is_visible():
            return
    pytest.fail("nothing is spoken any more")


def test_a_recording_is_gone_on_from(browsing, said):
    page = browsing.page
    page.get_by_role("tab", name="Continue").click()
    page.get_by_role("button", name="Go on").click()
    page.get_by_text("no sound yet: upload one, record one or take the sample").wait_for()
    page.locator("#continue-prompt input[type=file]").set_input_files(said)
    browsing.wait_for_sound("#continue-prompt")
    page.get_by_role("button", name="Go on").click()
    browsing.wait_for_sound("#continue-sound")
    browsing.wait_for("#continue-note", re.compile("s that nobody has spoken"))
    assert pictures_are_drawn(page, "continued")
    browsing.shoot("demo-continue")
    assert browsing.hosts <= {"127.0.0.1", "inline"}


def test_a_voice_of_ones_own(browsing, said):
    """Not without consent; then it is in the list and can be chosen elsewhere; removed when that is meant."""
    page = browsing.page
    page.get_by_role("tab", name="Voices").click()
    remove = page.get_by_role("button", name="Remove this voice")
    if SHIPPED:  # the first voice has a card from the beginning, and stays
        browsing.wait_for("#voices-card", "The default voice")
        assert remove.is_disabled()
    page.locator("#voices-clip input[type=file]").set_input_files(said)
    browsing.wait_for_sound("#voices-clip")
    if HEAD:
        page.locator("#voices-text textarea").fill(TEXT)
    page.locator("#voices-name input, #voices-name textarea").fill("bea")
    page.get_by_role("button", name="Add the voice").click()
    page.get_by_text("tick the box first").wait_for()
    page.locator(".toast-close").click()
    page.get_by_role("checkbox", name="agrees").check()
    page.get_by_role("button", name="Add the voice").click()
    browsing.wait_for("#voices-list", "bea")
    browsing.wait_for("#voices-card", "Rights: added by the user")
    remove.and_(page.locator(":enabled")).wait_for()
    browsing.shoot("demo-voices")

    page.get_by_role("tab", name="Speak").click()
    page.locator("#speak-voice input").click()
    page.get_by_role("option", name="bea").click()
    page.get_by_role("tab", name="Voices").click()
    page.once("dialog", lambda dialog: dialog.dismiss())
    remove.click()
    page.wait_for_timeout(1000)
    assert page.locator("#voices-list").get_by_text("bea").count()
    page.once("dialog", lambda dialog: dialog.accept())
    remove.click()
    page.get_by_label("Done").and_(page.locator("textarea, input")).wait_for()
    page.wait_for_function("!document.querySelector('#voices-list').innerText.includes('bea')")


def test_the_tabs_fit_a_phone(browsing):
    page = browsing.page
    page.set_viewport_size({"width": 390, "height": 844})
    for name in ("Voices", "Continue", "Speak"):
        page.get_by_role("tab", name=name).click()
        page.wait_for_timeout(500)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
    page.get_by_role("button", name="Speak", exact=True).click()
    browsing.wait_for_sound("#speak-whole")
    assert pictures_are_drawn(page, "phonemes")
    picture = page.locator("img[src*='phonemes']")
    picture.evaluate("e => e.scrollIntoView({inline: 'start'})")
    assert picture.bounding_box()["x"] >= 0  # what is wider than the page can be reached
    page.wait_for_timeout(500)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    browsing.shoot("demo-speak-phone")
