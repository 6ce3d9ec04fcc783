"""What the tabs of the demo share: errors for people, one queue, files that go away, sound for players."""

import html
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from gradio.utils import get_upload_folder
from numpy.typing import NDArray

from ..data.audio import Audio
from ..data.errors import MynahError
from .demo_coding import Table
from .demo_stream import duration

# Whatever runs a network is in one queue, one job at a time: two would only slow each other down.
MODEL_QUEUE: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1}


@contextmanager
def clear_errors() -> Iterator[None]:
    """Show what is wrong with the input as one line on the page; Gradio takes the line for HTML."""
    try:
        yield
    except MynahError as error:
        raise gr.Error(html.escape(str(error), quote=False), print_exception=False) from error


def new_folder() -> Path:
    """A folder for what a handler returns. It lies in Gradio's, whose files go when they are an hour old."""
    folder = get_upload_folder()
    Path(folder).mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(dir=folder))


def for_player(sound: Audio) -> tuple[int, NDArray[np.int16]]:
    """(sample rate, [T, C]) as 16-bit integers: floating point would be scaled to its own peak."""
    return sound.sample_rate, np.round(sound.wav.T.clip(-1, 1) * 32767).astype(np.int16)


def sample() -> tuple[int, NDArray[np.int16]]:
    """The sample sound, for a player."""
    from ..data.sample import speech_like

    return for_player(speech_like())


def player(label: str, elem_id: str) -> gr.Audio:
    """What a handler's sound is played with."""
    return gr.Audio(label=label, interactive=False, buttons=["download"], elem_id=elem_id)


def picture(title: str, height: int | None = None) -> gr.Image:
    """Where a handler's picture is shown, of a fixed height in pixels or of its own."""
    gr.Markdown(title)  # a label would cover the picture's corner
    return gr.Image(
        label=title,
        show_label=False,
        interactive=False,
        height=height,
        buttons=["download", "fullscreen"],
        elem_classes="mynah-picture" if height else "mynah-wide",
    )


def table(
    headers: list[str], rows: Table, elem_id: str, widths: tuple[int, ...], height: int = 500
) -> gr.Dataframe:
    """A table to read; widths of its columns in per cent: left to itself, it grows wider than a phone."""
    return gr.Dataframe(
        rows,
        headers=headers,
        interactive=False,
        wrap=True,
        column_widths=[f"{width}%" for width in widths],
        max_height=height,
        buttons=[],
        elem_id=elem_id,
        elem_classes="mynah-table",
    )


def streaming_player(label: str, elem_id: str) -> gr.Audio:
    """A player that takes bytes from `demo_stream.AacEncoder`, one result of a handler after the other."""
    player = gr.Audio(
        label=label, streaming=True, autoplay=True, interactive=False, buttons=[], elem_id=elem_id
    )
    player.stream_output = _stream_output  # for a class of our own, Gradio would write a .pyi file beside it
    return player


async def _stream_output(
    value: bytes | None, output_id: str, first_chunk: bool
) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """What Gradio's own method of this name returns, without its encoder."""
    meta = {"_type": "gradio.FileData"}
    file = {"path": output_id, "is_stream": True, "orig_name": "speech.aac", "meta": meta}
    return {"data": value, "duration": duration(value), "extension": ".aac"} if value else None, file
