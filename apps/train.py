"""Options of `mynah train`; what it needs is imported when it is called."""

from pathlib import Path
from typing import Annotated

import typer

from . import arguments

OK, INTERRUPTED = 0, 130


Out = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="The run's folder; out/RECIPE if left out.", show_default=False),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="As train.steps=100; repeatable.", show_default=False),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(metavar="CORPUS", help="A corpus of DIR to leave out; repeatable.", show_default=False),
]


def codec(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="As runs/codec-16k.json.")],
    data: Annotated[
        Path, typer.Option(metavar="DIR", help="Speech: LibriSpeech, LibriTTS, VCTK, LJSpeech, ...")
    ],
    out: Out = None,
    init: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A codec to start from.", show_default=False)
    ] = None,
    settings: Settings = None,
    exclude: Exclude = None,
) -> int:
    """Train a codec, or take up the run in --out. Ctrl-C saves it."""
    from .train_data import train_codec

    out = Path("out") / recipe.stem if out is None else out
    finished = train_codec(recipe, data, out, init, settings or [], exclude or [])
    return OK if finished else INTERRUPTED


def lm(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="As runs/lm-16k.json.")],
    data: Annotated[Path, typer.Option(metavar="TOKENS", help="What mynah tokenize has made.")],
    out: Out = None,
    init: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A language model to start from.", show_default=False)
    ] = None,
    codec: Annotated[
        str | None,
        typer.Option(
            help="Name or folder of the codec that made the tokens; by default the one they name.",
            show_default=False,
        ),
    ] = None,
    settings: Settings = None,
) -> int:
    """Train a language model on tokens, or take up the run in --out. Ctrl-C saves it."""
    from .train_lm_data import train_lm

    out = Path("out") / recipe.stem if out is None else out
    return OK if train_lm(recipe, data, out, init, codec, settings or []) else INTERRUPTED


def durations(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="As runs/durations-16k.json.")],
    data: Annotated[
        Path,
        typer.Option(metavar="JSONL", help="A line a recording: split, speaker, phonemes, durations."),
    ],
    out: Out = None,
    settings: Settings = None,
) -> int:
    """Train a duration model on alignments, or take up the run in --out. Ctrl-C saves it."""
    from .train_durations_data import train_durations

    out = Path("out") / recipe.stem if out is None else out
    return OK if train_durations(recipe, data, out, settings or []) else INTERRUPTED


def ctc(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="As runs/ctc-16k.json.")],
    data: Annotated[Path, typer.Option(metavar="DIR", help="English speech with its text.")],
    codec: arguments.Codec = "mynah-16k",
    out: Out = None,
    init: Annotated[
        Path | None,
        typer.Option(metavar="NAME", help="A phone head to start from, or its folder.", show_default=False),
    ] = None,
    settings: Settings = None,
) -> int:
    """Train a phone head, or take up the run in --out. Ctrl-C saves it."""
    from .train_ctc_data import train_ctc

    out = Path("out") / recipe.stem if out is None else out
    return OK if train_ctc(recipe, data, codec, out, init, settings or []) else INTERRUPTED


def speakers(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="As runs/speakers-16k.json.")],
    data: Annotated[Path, typer.Option(metavar="DIR", help="Speech whose speakers are known.")],
    codec: arguments.Codec = "mynah-16k",
    out: Out = None,
    settings: Settings = None,
) -> int:
    """Train a speaker head, or take up the run in --out. Ctrl-C saves it."""
    from .train_speakers_data import train_speakers

    out = Path("out") / recipe.stem if out is None else out
    return OK if train_speakers(recipe, data, codec, out, settings or []) else INTERRUPTED


def tables(
    codec: Annotated[Path, typer.Argument(metavar="DIR", help="A trained codec's folder.")],
    data: Annotated[Path, typer.Option(metavar="DIR", help="Speech to count codes on, as for training.")],
    hours: Annotated[float, typer.Option(min=0.01, help="Hours of it that are coded.")] = 8.0,
    exclude: Exclude = None,
    force: Annotated[bool, typer.Option("--force", help="Replace tables that are there.")] = False,
) -> int:
    """Fit the entropy coder's tables of a trained codec: its files get 5 to 15 % smaller."""
    from .fit_tables import fit_from

    print(fit_from(codec, data, hours, exclude or [], force))
    return OK


def subwords(
    data: Annotated[Path, typer.Argument(metavar="TOKENS", help="What mynah tokenize has made.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The SentencePiece model's file.")],
    size: Annotated[int, typer.Option(help="Pieces, 50 to 100000.")] = 1000,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> int:
    """Learn in what pieces words are spelled, for a language model with train.subwords=OUT."""
    from .train_subwords import fit_subwords

    print(fit_subwords(data, out, size, force))
    return OK


def average(
    models: Annotated[
        list[Path], typer.Argument(metavar="MODEL MODEL ...", help="Names or folders; one may come twice.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder of the new model.")],
) -> int:
    """Average codecs that share encoder and quantizer, or language models of one architecture."""
    from .average import average

    average(models, out)
    return OK
