"""The codec tab of the demo: a recording beside its reconstruction, and a `.mynah` file opened."""

from typing import Any

import gradio as gr

from . import demo_coding
from .demo_parts import MODEL_QUEUE, clear_errors, for_player, new_folder, picture, player, sample, table

BITRATES = (1.5, 3.0, 6.0)  # kbit/s: of the shipped codec, which is not loaded before it is needed


def add_tab() -> None:
    """Put the tab into the page that is being built."""
    with gr.Tab("Codec"):
        with gr.Row():
            with gr.Column(min_width=320):
                recording = gr.Audio(
                    label="Recording",
                    sources=["upload", "microphone"],
                    type="filepath",
                    buttons=[],
                    elem_id="codec-recording",
                )
                take = gr.Button("Take the sample sound", size="sm")
                bitrate = gr.Radio([(f"{rate:g}", rate) for rate in BITRATES], value=3.0, label="kbit/s")
                start = gr.Button("Code and decode", variant="primary")
            with gr.Column(min_width=320):
                original = player("A: original", "codec-original")
                copy = player("B: reconstruction", "codec-copy")
                coded = gr.DownloadButton("Download the .mynah file", interactive=False)
        with gr.Row():
            with gr.Column(min_width=320):
                spectrograms = picture("Spectrograms", 430)
            with gr.Column(min_width=320):
                tokens = picture("Tokens: a row for each codebook, alike tokens in like colours", 260)
                scores = table(
                    ["score", "value", "how to read it"],
                    demo_coding.NOT_MEASURED,
                    "codec-scores",
                    widths=(27, 18, 55),
                )
        with gr.Accordion("Open a .mynah file", open=False), gr.Row():
            with gr.Column(min_width=320):
                chosen = gr.File(label=".mynah file", height=140, elem_id="codec-file")
                open_it = gr.Button("Open")
                sound = player("Sound", "codec-opened")
            with gr.Column(min_width=320):
                map_of_file = picture("Tokens", 260)
                facts = table(["what", "value"], [], "codec-facts", widths=(32, 68))

    take.click(sample, outputs=recording, api_visibility="private")
    done = start.click(
        _reconstruct,
        [recording, bitrate],
        [original, copy, scores, spectrograms, tokens, coded],
        show_progress_on=[copy, spectrograms],
        api_name="reconstruct",
        api_description="Code a recording and decode it: both sounds, scores, pictures, the .mynah file.",
        **MODEL_QUEUE,
    )
    done.success(
        lambda: gr.DownloadButton(interactive=True),
        outputs=coded,
        api_visibility="private",
        show_progress="hidden",
    )
    open_it.click(
        _open,
        chosen,
        [sound, facts, map_of_file],
        show_progress_on=[sound, map_of_file],
        api_name="open",
        api_description="Decode a .mynah file: its sound, what is known of it, its tokens.",
        **MODEL_QUEUE,
    )


def _reconstruct(recording: str | None, bitrate: float, progress: gr.Progress = gr.Progress()) -> list[Any]:  # noqa: B008
    with clear_errors():
        done = demo_coding.reconstruct(recording, bitrate, new_folder(), progress)
    return [for_player(done.original), for_player(done.copy), *done[2:]]


def _open(chosen: str | None, progress: gr.Progress = gr.Progress()) -> list[Any]:  # noqa: B008
    with clear_errors():
        opened = demo_coding.open_file(chosen, new_folder(), progress)
    return [for_player(opened.sound), *opened[1:]]
