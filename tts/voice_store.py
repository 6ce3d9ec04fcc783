"""Where voices lie: those that are shipped, in the package, and the user's own, in a folder of the user's."""

import os
from pathlib import Path

from .voice import NAME, SUFFIX, Voice, VoiceError

SHIPPED = Path(__file__).parent / "voices"


def user_folder() -> Path:
    """$MYNAH_VOICES, or mynah/voices in $XDG_DATA_HOME or ~/.local/share."""
    named = os.environ.get("MYNAH_VOICES")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "mynah" / "voices"


def shipped_names() -> list[str]:
    """Names of the voices in the package, sorted."""
    return _names(SHIPPED)


def user_names() -> list[str]:
    """Names of the user's voices, sorted."""
    return [name for name in _names(user_folder()) if name not in shipped_names()]


def find(name_or_file: str) -> Voice:
    """A voice by its name, or from a file whose name ends in .safetensors.

    Raises:
        VoiceError: there is none, with the names of those that there are; or it is damaged.
    """
    return Voice.load(Path(name_or_file)) if name_or_file.endswith(SUFFIX) else named(name_or_file)


def named(name: str) -> Voice:
    """A voice by its name alone, for those who must not choose a file; VoiceError as `find`."""
    return Voice.load(_path(name))


def default_name() -> str:
    """The first shipped voice, or else the user's first; VoiceError where there is none."""
    names = [*shipped_names(), *user_names()]
    if not names:
        raise VoiceError(
            "there is no voice yet: none is shipped with this version, mynah voice add makes one from a clip"
        )
    return names[0]


def card(name: str) -> str | None:
    """The text that a shipped voice comes with, or None."""
    path = SHIPPED / f"{name}.md"
    return path.read_text(encoding="utf-8") if name in shipped_names() and path.is_file() else None


def described(name: str) -> str | None:
    """The first sentences of a shipped voice's card, in a line, or None."""
    text = card(name)
    return None if text is None else " ".join(text.split("\n\n")[1].split())


def check_new(name: str, force: bool) -> None:
    """VoiceError unless a voice of this name may be added to the user's.

    Args:
        name: wanted.
        force: whether a voice of the user's may be replaced.
    """
    if not NAME.fullmatch(name):
        raise VoiceError(f"{name[:60]!r}: a name of lower-case letters, digits, - and _ is expected")
    if name in shipped_names():
        raise VoiceError(f"{name}: is the name of a shipped voice, choose another one")
    if name in user_names() and not force:
        raise VoiceError(f"{name}: there is such a voice already, --force replaces it")


def add(voice: Voice, force: bool) -> Path:
    """Store a voice among the user's and return its file; VoiceError as `check_new`, or if it cannot be."""
    check_new(voice.name, force)
    path = user_folder() / f"{voice.name}{SUFFIX}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        voice.save(path)
    except OSError as error:
        raise VoiceError(f"{path}: cannot be written ({error.strerror or error})") from None
    return path


def remove(name: str) -> None:
    """Delete a voice of the user's; VoiceError where there is none of this name, or it is shipped."""
    if name in shipped_names():
        raise VoiceError(f"{name}: is a shipped voice, only your own can be removed")
    path = _path(name)
    try:
        path.unlink()
    except OSError as error:
        raise VoiceError(f"{path}: cannot be removed ({error.strerror or error})") from None


def _path(name: str) -> Path:
    for folder, names in ((SHIPPED, shipped_names()), (user_folder(), user_names())):
        if name in names:
            return folder / f"{name}{SUFFIX}"
    known = ", ".join([*shipped_names(), *user_names()]) or "none yet, mynah voice add makes one"
    raise VoiceError(f"{name[:60]!r} is no voice; there are: {known}")


def _names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob(f"*{SUFFIX}") if NAME.fullmatch(path.stem))
