"""The Continue tab of the demo: a recording, and what the language model says after it."""

from typing import Any

import gradio as gr

from . import demo_continuing
from .demo_models import Models
from .demo_parts import MODEL_QUEUE, clear_errors, new_folder, picture, player, sample


def add_tab(models: Models) -> None:
    """Put the tab into the page that is being built.

    Args:
        models: what it speaks with.
    """
    with gr.Tab("Continue"):
        with gr.Row():
            with gr.Column(min_width=320):
                prompt = gr.Audio(
                    label="Prompt: a second of speech or more",
                    sources=["upload", "microphone"],
                    type="filepath",
                    buttons=[],
                    elem_id="continue-prompt",
                )
                take = gr.Button("Take the sample sound", size="sm")
            with gr.Column(min_width=320):
                with gr.Row():
                    seconds = gr.Slider(*demo_continuing.LENGTHS, 10, step=1, label="Seconds, at most")
                    temperature = gr.Slider(
                        *demo_continuing.TEMPERATURES,
                        1.0,
                        step=0.05,
                        label="Temperature",
                    )
                seed = gr.Number(0, label="Seed: another one, another take", precision=0)
                start = gr.Button("Go on", variant="primary")
        sound = player("Prompt and continuation", "continue-sound")
        note = gr.Markdown(elem_id="continue-note")
        seen = picture("Spectrogram: the line is where the prompt ends")

    def go_on(
        prompt: str | None,
        seconds: float,
        temperature: float,
        seed: float | None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> list[Any]:
        with clear_errors():
            done = demo_continuing.go_on(models, prompt, seconds, temperature, seed, new_folder(), progress)
        note = f"{done.heard:.2f} s of the prompt, then {done.made:.2f} s that nobody has spoken"
        return [done.file, note, done.picture]

    take.click(sample, outputs=prompt, api_visibility="private")
    start.click(
        go_on,
        [prompt, seconds, temperature, seed],
        [sound, note, seen],
        show_progress_on=[sound, seen],
        api_name="continue",
        api_description="Go on speaking from a recording: the sound of both, how long they are, a picture.",
        **MODEL_QUEUE,
    )
