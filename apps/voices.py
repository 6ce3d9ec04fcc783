"""Options of `mynah voice`; what it needs is imported when it is called."""

from typing import Annotated

import typer

from ..data.errors import MynahError

OK = 0

Name = Annotated[str, typer.Argument(metavar="NAME", help="Of the voice.")]


def list_voices() -> int:
    """List the voices: shipped ones first, then your own."""
    from ..tts import voice_store

    for kind, names in (("shipped", voice_store.shipped_names()), ("yours", voice_store.user_names())):
        for name in names:
            print(f"{name:<20} {kind:<8} {_summary(name)}")
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
    model: Annotated[str, typer.Option(help="Name or folder of the language model.")] = "mynah-lm",
    codec: Annotated[str, typer.Option(help="Name or folder of the codec.")] = "mynah-16k",
    force: Annotated[bool, typer.Option("--force", help="Replace a voice of this name.")] = False,
) -> int:
    """Make a voice from a clip of somebody who agrees to it, or of a speaker that the model knows."""
    from ..tts import voice_store
    from ..tts.cloning import known_voice
    from .codecs import load
    from .say import load_lm

    voice_store.check_new(name, force)
    if (clip is None) == (speaker is None) or (speaker is not None and text is not None):
        raise MynahError("a voice comes from a clip, perhaps with its --text, or from a --speaker")
    if clip is not None:
        return _add_clip(name, clip, text, codec, force)
    voice = known_voice(load(codec), load_lm(model), name, speaker or "")
    print(f"{name}: {voice_store.add(voice, force)}")
    return OK


def _add_clip(name: str, clip: str, text: str | None, codec: str, force: bool) -> int:
    from ..data.text import phonemize
    from ..tts import voice_store
    from ..tts.cloning import CONSENT, LONGEST, clone
    from .clips import ClipAligner, read_clip
    from .codecs import load
    from .files import display_name
    from .verbs import tell

    said = phonemize(text) if text is not None else None
    loaded = load(codec)
    wav = read_clip(clip, loaded.config.sample_rate, LONGEST)
    aligner = ClipAligner(loaded) if said is not None else None
    try:
        voice = clone(loaded, name, wav, said, aligner)
    except MynahError as error:
        raise MynahError(f"{display_name(clip)}: {error}") from None
    path = voice_store.add(voice, force)
    if aligner is not None and aligner.doubtful:
        tell(f"{display_name(clip)}: does not seem to say this text; the voice may be poor")
    print(f"{name}: {path}")
    print(CONSENT)
    return OK


def remove(name: Name) -> int:
    """Delete a voice of your own."""
    from ..tts import voice_store

    voice_store.remove(name)
    return OK


def show(name: Name) -> int:
    """Tell what is known of a voice."""
    from ..tts import voice_store

    voice = voice_store.find(name)
    print(f"{voice.name}: {_summary(name)}")
    print(f"codec: {voice.codec} {voice.codec_hash[:8]}")
    if voice.phonemes:
        print(f"prompt: {''.join(voice.phonemes)}")
    if voice.rights:
        print(f"rights: {voice.rights}")
    text = voice_store.card(name)
    if text:
        print(f"\n{text.rstrip()}")
    return OK


def _summary(name: str) -> str:
    """What a list tells of a voice, damaged or not."""
    from ..tts import voice_store

    try:
        voice = voice_store.find(name)
    except MynahError as error:
        return str(error)
    frames = voice.codes.shape[1]
    text = "with its text" if voice.phonemes else "without text"
    return f"prompt of {frames} frames {text}" if frames else "no prompt"
