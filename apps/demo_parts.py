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

# Whatever runs a network is in one queue, one job at a time: two would only slow each other down.
MODEL_QUEUE: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1}


@contextmanager
def clear_errors() -> Iterator[None]:
    """Show what is wrong with the input as one line on the page; Gradio takes the line for HTML."""
    try:
        yield
    except MynahError as error:
        raise gr.Error(html.escape(str(error)), print_exception=False) from error


def new_folder() -> Path:
    """A folder for what a handler returns. It lies in Gradio's, whose files go when they are an hour old."""
    folder = get_upload_folder()
    Path(folder).mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(dir=folder))


def for_player(sound: Audio) -> tuple[int, NDArray[np.int16]]:
    """(sample rate, [T, C]) as 16-bit integers: floating point would be scaled to its own peak."""
    return sound.sample_rate, np.round(sound.wav.T.clip(-1, 1) * 32767).astype(np.int16)
