"""The Speak tab of the demo: a text is heard while its sound is being made, and seen when it is done."""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from ..tts.synthesizer import RATES
from ..tts.voice import GUIDANCE
from . import demo_speaking
from .demo_limits import MAX_CHARACTERS
from .demo_models import Models
from .demo_parts import MODEL_QUEUE, clear_errors, new_folder, picture, player, streaming_player, table
from .demo_stream import AacEncoder
from .demo_voices import choose_voice

EXAMPLES = [
    "Hello, I am a mynah.",
    "Dr. Smith paid $1.50 on March 3rd, 1998.",
    "She sells sea shells by the sea shore; the shells she sells are sea shells, I'm sure.",
    "You say [tomato](/t ə m ˈɑː t oʊ/), I say tomato.",
]


def add_tab(models: Models) -> None:
    """Put the tab into the page that is being built.

    Args:
        models: what it speaks with.
    """
    with gr.Tab("Speak") as tab:
        with gr.Row():
            with gr.Column(min_width=320):
                text = gr.Textbox(
                    EXAMPLES[0],
                    label=f"Text in English, {MAX_CHARACTERS:,} characters at the most",
                    lines=3,
                    max_lines=8,
                    elem_id="speak-text",
                )
                gr.Examples(
                    [[example] for example in EXAMPLES],
                    text,
                    cache_examples=False,
                    api_visibility="private",
                )
                voice = choose_voice(tab, "speak-voice")
                with gr.Row():
                    rate = gr.Slider(*RATES, 1.0, step=0.05, label="Rate, 1 as usual")
                    guidance = gr.Slider(
                        *demo_speaking.GUIDANCE, GUIDANCE, step=0.1, label="Guidance, 1 for none"
                    )
                seed = gr.Number(0, label="Seed: another one, another take", precision=0)
                with gr.Row():
                    start = gr.Button("Speak", variant="primary")
                    stop = gr.Button("Stop")
            with gr.Column(min_width=320):
                live = streaming_player("While it is made", "speak-live")
                whole = player("Complete", "speak-whole")
                skipped = gr.Textbox(label="Not spoken", visible=False, elem_id="speak-skipped")
                gr.Markdown("Phonemes")
                words = table(demo_speaking.HEADERS, [], "speak-words", widths=(18, 61, 21), height=300)
        seen = picture("Spectrogram with the borders of the phonemes")

    def speak(
        text: str,
        voice: str | None,
        rate: float,
        guidance: float,
        seed: float | None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> Iterator[list[Any]]:
        aac: AacEncoder | None = None
        said: list[Any] = []
        with clear_errors():
            given = (text, voice, rate, guidance, seed)
            for new in demo_speaking.speak(models, *given, new_folder(), progress):
                if new.table is not None:
                    said = [gr.Textbox(new.skipped, visible=bool(new.skipped)), new.table]
                    yield [gr.skip(), None, *said, None]
                elif new.sound is not None:
                    aac = aac or AacEncoder(new.sound.sample_rate)
                    yield [aac.encode(new.sound.wav), *[gr.skip()] * 4]
                elif aac is not None:
                    yield [aac.end(), new.file, *said, new.picture]  # programs get the last result alone

    speaking = start.click(
        speak,
        [text, voice, rate, guidance, seed],
        [live, whole, skipped, words, seen],
        show_progress_on=[whole, seen],
        api_name="speak",
        api_description="Speak a text: the sound as it is made and complete, what is not spoken, the "
        "phonemes of each word and their durations, a picture.",
        **MODEL_QUEUE,
    )
    stop.click(None, cancels=[speaking], api_visibility="private")
