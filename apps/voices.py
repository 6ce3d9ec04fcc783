"""Options of `mynah voice`; what it needs is imported when it is called."""

from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from ..data.errors import MynahError
from . import arguments

OK = 0
DOUBT = "does not seem to say this text; the voice may be poor"

Name = Annotated[str, typer.Argument(metavar="NAME", help="Of the voice.")]


def list_voices() -> int:
    """List the voices: shipped ones first, then your own."""
    from ..tts import voice_store

    for kind, names in (("shipped", voice_store.shipped_names()), ("yours", voice_store.user_names())):
        for name in names:
            print(f"{name:<20} {kind:<8} {line(name)}")
    if not [*voice_store.shipped_names(), *voice_store.user_names()]:
        print("no voices yet: mynah voice add NAME CLIP makes one")
    return OK


def add(
    name: Name,
    clip: Annotated[
        str | None,
        typer.Argument(
            metavar="[CLIP]", help="A sound file with 3 to 10 s of speech, or -.", show_default=False
        ),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(help="What the clip says, word for word: the voice gets steadier.", show_default=False),
    ] = None,
    speaker: Annotated[
        str | None,
        typer.Option(help="Instead of a clip: a speaker that --model knows by name.", show_default=False),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="With --speaker: name or folder of the language model.", show_default="mynah-lm"),
    ] = None,
    codec: arguments.Codec = "mynah-16k",
    force: Annotated[bool, typer.Option("--force", help="Replace a voice of this name.")] = False,
) -> int:
    """Make a voice from a clip of somebody who agrees to it, or of a speaker that the model knows."""
    from ..lm import LanguageModel
    from ..tts import voice_store
    from ..tts.cloning import CONSENT, known_voice
    from .codecs import load
    from .files import display_name
    from .say import MODEL
    from .verbs import tell

    if (clip is None) == (speaker is None) or (speaker is not None and text is not None):
        raise MynahError("a voice comes from a clip, perhaps with its --text, or from a --speaker")
    if clip is not None and model is not None:
        raise MynahError("--model goes with --speaker: a voice from a clip is not a language model's")
    if clip is None:
        voice_store.check_new(name, force)
        voice = known_voice(load(codec), LanguageModel.from_pretrained(model or MODEL), name, speaker or "")
        print(f"{name}: {voice_store.add(voice, force)}")
        return OK
    made = make(name, clip, text, codec, force)
    if made.doubtful:
        tell(f"{display_name(clip)}: {DOUBT}")
    print(f"{name}: {made.path}")
    print(CONSENT)
    return OK


class Made(NamedTuple):
    """Where a new voice lies, and whether its clip does not seem to say what it is said to say."""

    path: Path
    doubtful: bool


def make(name: str, clip: str, text: str | None, codec: str, force: bool) -> Made:
    """Make a voice and store it among the user's.

    Args:
        name: of the voice.
        clip: a sound file with 3 to 10 s of speech, or "-".
        text: what it says, or None.
        codec: name or folder.
        force: replace a voice of this name.

    Raises:
        MynahError: a name that cannot be or is taken, a clip that is no voice, a text that it cannot be
            aligned with; no such codec or, with a text, no phone head for it; the voice cannot be stored.
    """
    from ..data.text import phonemize
    from ..tts import voice_store
    from ..tts.cloning import LONGEST, clone
    from .clips import ClipAligner, read_clip
    from .codecs import load
    from .files import display_name

    voice_store.check_new(name, force)
    said = phonemize(text) if text is not None else None
    loaded = load(codec)
    wav = read_clip(clip, loaded.config.sample_rate, LONGEST)
    aligner = ClipAligner(loaded) if said is not None else None
    try:
        voice = clone(loaded, name, wav, said, aligner)
    except MynahError as error:
        raise MynahError(f"{display_name(clip)}: {error}") from None
    return Made(voice_store.add(voice, force), aligner is not None and aligner.doubtful)


def remove(name: Name) -> int:
    """Delete a voice of your own."""
    from ..tts import voice_store

    voice_store.remove(name)
    return OK


def show(name: Name) -> int:
    """Tell what is known of a voice."""
    from ..tts import voice_store

    voice = voice_store.find(name)
    print(f"{voice.name}: {summary(name)}")
    print(f"codec: {voice.codec} {voice.codec_hash[:8]}")
    if voice.phonemes:
        print(f"prompt: {''.join(voice.phonemes)}")
    if voice.rights:
        print(f"rights: {voice.rights}")
    text = voice_store.card(name)
    if text:
        print(f"\n{text.rstrip()}")
    return OK


def line(name: str) -> str:
    """What a list tells of a voice, damaged or not: of a shipped one who speaks."""
    from ..tts import voice_store

    return voice_store.described(name) or summary(name)


def summary(name: str) -> str:
    """What a voice is made of, damaged or not."""
    from ..tts import voice_store

    try:
        voice = voice_store.find(name)
    except MynahError as error:
        return str(error)
    frames = voice.codes.shape[1]
    text = "with its text" if voice.phonemes else "without text"
    return f"prompt of {frames} frames {text}" if frames else "no prompt"
