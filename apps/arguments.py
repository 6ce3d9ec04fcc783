"""Options that several verbs share."""

from typing import Annotated

import typer

Force = Annotated[bool, typer.Option("--force", help="Replace existing files.")]
Codec = Annotated[str, typer.Option(help="Name or folder of the codec.")]
CodecOfModel = Annotated[
    str | None,
    typer.Option(
        "--codec",
        help="Name or folder of the codec; by default the one the language model names.",
        show_default=False,
    ),
]
LanguageModel = Annotated[str, typer.Option(help="Name or folder of the language model.")]
Durations = Annotated[str, typer.Option(help="Name or folder of the duration model.")]
Head = Annotated[str, typer.Option(help="Name or folder of the codec's phone head.")]
Language = Annotated[
    str,
    typer.Option(
        metavar="CODE",
        help="Of the text, such as de, fr or es. Others than English need the extra espeak, and are spoken "
        "in English sounds, with an accent: the shipped voices have learned no others.",
    ),
]
SpeakerHead = Annotated[str, typer.Option(help="Name or folder of the codec's speaker head.")]
