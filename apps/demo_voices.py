"""The Voices tab of the demo: all voices with their cards, and making and removing one's own."""

import html
from typing import Any

import gradio as gr

from ..data.errors import MynahError
from ..tts import voice_store
from ..tts.cloning import CONSENT
from . import demo_voicing
from .demo_models import Models
from .demo_parts import MODEL_QUEUE, clear_errors, table

NOT_HERE = "Voices can be added and removed only where the demo serves its own machine alone (127.0.0.1)."
NOT_MEANT = ""
# What this returns goes to the handler instead of the name that was chosen.
ASK = f"(name) => !name || confirm('Remove the voice ' + name + '?') ? name : '{NOT_MEANT}'"


def choose_voice(tab: gr.Tab, elem_id: str) -> gr.Dropdown:
    """A list of voices, read anew whenever its tab is opened.

    Gradio would check a choice against the list that the page was built with: handlers check it instead.
    """
    voice = gr.Dropdown(
        demo_voicing.names(), label="Voice", allow_custom_value=True, interactive=True, elem_id=elem_id
    )
    tab.select(_choices, voice, voice, api_visibility="private", show_progress="hidden")
    return voice


def add_tab(models: Models, own_voices: bool) -> None:
    """Put the tab into the page that is being built.

    Args:
        models: the codec that voices are made with.
        own_voices: whether they may be added and removed.
    """
    with gr.Tab("Voices") as tab, gr.Row():
        with gr.Column(min_width=320):
            rows = table(demo_voicing.HEADERS, demo_voicing.listed(), "voices-list", widths=(22, 23, 55))
            chosen = choose_voice(tab, "voices-chosen")
            card = gr.Markdown(container=True, elem_id="voices-card")
            remove = gr.Button(
                "Remove this voice", variant="stop", size="sm", visible=own_voices, interactive=False
            )
            if not own_voices:
                gr.Markdown(NOT_HERE)
        with gr.Column(min_width=320, visible=own_voices):
            gr.Markdown("#### A voice of your own")
            clip = gr.Audio(
                label="3 to 10 s of speech",
                sources=["upload", "microphone"],
                type="filepath",
                buttons=[],
                elem_id="voices-clip",
            )
            text = gr.Textbox(
                label="What it says, word for word: the voice gets steadier", lines=2, elem_id="voices-text"
            )
            name = gr.Textbox(
                label="Name: lower-case letters, digits, - and _", max_lines=1, elem_id="voices-name"
            )
            consent = gr.Checkbox(
                label="The person whose voice this is agrees", info=CONSENT[0].upper() + CONSENT[1:] + "."
            )
            add = gr.Button("Add the voice", variant="primary")
            told = gr.Textbox(label="Done", visible=False, elem_id="voices-told")

    def add_voice(
        name: str,
        clip: str | None,
        text: str,
        consent: bool,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> list[Any]:
        with clear_errors():
            done = demo_voicing.add(models, name, clip, text, consent, progress)
        return [gr.Textbox(done, visible=True), demo_voicing.listed(), _choices(name.strip())]

    def remove_voice(name: str | None) -> list[Any]:
        if name == NOT_MEANT:
            return [gr.skip()] * 3
        with clear_errors():
            done = demo_voicing.remove(name)
        return [gr.Textbox(done, visible=True), demo_voicing.listed(), _choices(None)]

    tab.select(demo_voicing.listed, outputs=rows, api_visibility="private", show_progress="hidden")
    gr.api(
        demo_voicing.listed,
        api_name="voices",
        api_description="The voices: name, whose, what is known of them.",
    )
    # The voice that stays chosen does not change, and has a card too.
    tab.select(_card, chosen, card, api_visibility="private", show_progress="hidden")
    chosen.change(
        _card,
        chosen,
        card,
        api_name="voice",
        api_description="The card of a voice.",
        show_progress="hidden",
    )
    if not own_voices:
        return
    gr.on(
        [tab.select, chosen.change],
        lambda name: gr.Button(interactive=name in voice_store.user_names()),
        chosen,
        remove,
        api_visibility="private",
        show_progress="hidden",
    )
    # What was told of the last one is not to stand beside an error.
    hiding = {"outputs": told, "queue": False, "api_visibility": "private", "show_progress": "hidden"}
    add.click(_hidden, **hiding).then(
        add_voice,
        [name, clip, text, consent],
        [told, rows, chosen],
        show_progress_on=told,
        api_name="add_voice",
        api_description="Make a voice of a clip of 3 to 10 s, with the consent of the person whose it is.",
        **MODEL_QUEUE,
    )
    remove.click(_hidden, **hiding).then(
        remove_voice,
        chosen,
        [told, rows, chosen],
        js=ASK,
        api_name="remove_voice",
        api_description="Delete a voice of your own.",
    )


def _hidden() -> gr.Textbox:
    return gr.Textbox(visible=False)


def _choices(current: str | None) -> gr.Dropdown:
    """The names that there are now; the one that is chosen stays so, if it is among them."""
    names = demo_voicing.names()
    return gr.Dropdown(names, value=current if current in names else next(iter(names), None))


def _card(name: str | None) -> str:
    try:
        return demo_voicing.card(name)
    except MynahError as error:  # of a damaged voice: what is wrong is what is known of it
        return html.escape(str(error))
