"""eSpeak NG, which reads other languages than English: what it says to a text, in IPA.

It is free software under the GPL, version 3, and no part of this package: the extra `espeak` installs
`espeakng-loader`, a wheel with the library and its data for Linux, macOS and Windows. It is loaded the first
time that another language is asked for, and never for English. The library has one state for the whole
process, which `words` guards, so that threads can read texts at the same time.
"""

import ctypes
import re
import threading
from functools import lru_cache
from typing import NamedTuple

from ..errors import TextError

ENGLISH = "en"
NEEDED = "eSpeak NG: pip install 'mynah[espeak]'"


class LanguageError(TextError):
    """A language that is not known, or whose reader is not installed."""


class Language(NamedTuple):
    """How a language is read.

    Attributes:
        voice: eSpeak's name of it.
        script: whose letters it is written in beside Latin ones, as Unicode's names of letters begin.
    """

    voice: str
    script: str = "LATIN"


# Danish is not here: in release 1.52 it ends the process at some hyphens.
_LATIN = "ca cs de es es-419 fi fr hu it nb nl pl pt pt-br ro sk sv tr"
LANGUAGES = {
    **{code: Language(code) for code in _LATIN.split()},
    "el": Language("el", "GREEK"),
    "ru": Language("ru", "CYRILLIC"),
    "uk": Language("uk", "CYRILLIC"),
}

_RETRIEVAL, _DONT_EXIT = 1, 0x8000
_UTF8, _IPA = 1, 2
_SWITCH = re.compile(r"\([a-z][a-z0-9-]*\)")  # "(en)" before a word that is read as another language's
_LOCK = threading.Lock()


def code_of(language: str) -> str:
    """Return the code by which a language is known here: "de" for "DE", "de_AT" and "de-AT".

    Raises:
        LanguageError: it is not known; the line has those that are.
    """
    code = language.strip().lower().replace("_", "-")
    for known in (code, code.partition("-")[0]):
        if known == ENGLISH or known in LANGUAGES:
            return known
    shown = language if len(language) <= 40 else language[:40] + "…"
    raise LanguageError(
        f"language {shown!r} is not known; there are {', '.join(sorted([ENGLISH, *LANGUAGES]))}"
    )


def check_language(language: str) -> str:
    """Return the code of a language that can be read.

    Raises:
        LanguageError: it is not known, or eSpeak NG is not installed and it is not English.
    """
    code = code_of(language)
    if code != ENGLISH:
        _library()
    return code


def words(text: str, language: str) -> list[str]:
    """Return what eSpeak NG says to a text: IPA, a word a string; small words are joined, numbers are more.

    Args:
        text: without control characters; a few sentences at the most.
        language: a code of `LANGUAGES`.

    Raises:
        LanguageError: eSpeak NG is not installed, or does not have the language.
    """
    library = _library()
    data = ctypes.create_string_buffer(text.replace("\0", " ").encode())
    rest = ctypes.c_void_p(ctypes.addressof(data))
    clauses: list[str] = []
    with _LOCK:
        if library.espeak_SetVoiceByName(LANGUAGES[language].voice.encode()):
            raise LanguageError(
                f"eSpeak NG does not have the language {language!r}; another release of it does"
            )
        while rest.value:  # a clause a time
            clauses.append(library.espeak_TextToPhonemes(ctypes.byref(rest), _UTF8, _IPA).decode())
    return [word for word in _SWITCH.sub("", " ".join(clauses)).split() if any(map(str.isalpha, word))]


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL:
    """The library, started; LanguageError where there is none."""
    try:
        import espeakng_loader
    except ImportError:
        raise LanguageError(f"other languages than English need {NEEDED}") from None
    with _LOCK:
        try:
            library = ctypes.CDLL(espeakng_loader.get_library_path())
            data = espeakng_loader.get_data_path().encode()
        except (OSError, RuntimeError) as error:
            raise LanguageError(f"eSpeak NG does not load ({error}); its extra is mynah[espeak]") from None
        library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        if library.espeak_Initialize(_RETRIEVAL, 0, data, _DONT_EXIT) <= 0:
            raise LanguageError(f"eSpeak NG does not start with its data in {data.decode()}")
    return library
