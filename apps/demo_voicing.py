"""What the Voices tab of the demo does: the voices that there are, new ones, and removing one's own."""

from ..data.errors import MynahError
from ..tts import voice_store
from . import voices
from .codecs import DEFAULT
from .demo_coding import Table, Tell
from .demo_limits import checked_text, given, short_name
from .demo_models import Models

HEADERS = ["voice", "whose", "what is known of it"]


def names() -> list[str]:
    """Names of all voices, shipped ones first."""
    return [*voice_store.shipped_names(), *voice_store.user_names()]


def listed() -> Table:
    """A row for each voice, as `HEADERS` says."""
    shipped = voice_store.shipped_names()
    return [[name, "shipped" if name in shipped else "yours", voices.line(name)] for name in names()]


def card(name: str | None) -> str:
    """What is known of a voice, in Markdown.

    Raises:
        MynahError: there is none of this name, or it is damaged.
    """
    if not name:
        return ""
    voice = voice_store.named(name)
    written = voice_store.card(name)
    if written:
        return written
    lines = [f"### {name}", f"Made with the codec {voice.codec} {voice.codec_hash[:8]}"]
    if voice.phonemes:
        lines.append(f"The clip says /{''.join(voice.phonemes)}/")
    if voice.rights:
        lines.append(f"Rights: {voice.rights}")
    return "\n\n".join(lines)


def add(
    models: Models, name: str | None, path: str | None, text: str | None, consent: bool, tell: Tell
) -> str:
    """Make a voice as `mynah voice add` does, and return what is to be said about it.

    Args:
        models: its codec makes the voice.
        name: lower-case letters, digits, - and _.
        path: a sound file with 3 to 10 s of speech.
        text: what it says, word for word; "" where that is not known.
        consent: whether the person whose voice it is agrees.
        tell: progress.

    Raises:
        MynahError: no consent, no clip, a name that is taken, or anything that `voices.make` refuses.
    """
    if consent is not True:
        raise MynahError("tick the box first: a voice needs the consent of the person whose it is")
    name = (name or "").strip()
    if not name:
        raise MynahError("no name yet: give the voice one")
    clip = given(path, "no clip yet: upload or record 3 to 10 s of speech")
    said = checked_text(text).strip() or None
    if name in voice_store.user_names():
        raise MynahError(f"{name}: there is such a voice already, remove it first or choose another name")
    tell(0.1, "Listening to the clip")
    with short_name(clip):
        made = voices.make(name, clip, said, models.codec or DEFAULT, force=False)
    return f"{name} is there now" + (f"; but the clip {voices.DOUBT}" if made.doubtful else "")


def remove(name: str | None) -> str:
    """Delete a voice of the user's and return what is to be said; MynahError where there is none."""
    if not name:
        raise MynahError("no voice chosen")
    voice_store.remove(name)
    return f"{name} is removed"
