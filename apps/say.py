"""`mynah say`: text to a sound file, streamed into it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from ..codec import Codec
from ..codec.heads import OtherCodecError, PhoneHead
from ..data.audio import COMMENTED, AudioWriter
from ..data.errors import MynahError, TextError
from ..data.replacing import is_stream
from ..data.text import ENGLISH, NothingToSay, check_language, read_lexicon
from ..data.text.lexicon import Lexicon
from ..lm import MOST_GUIDANCE, LanguageModel, Sampling
from ..tts import Durations, Retakes, Synthesizer, voice_store
from ..tts.pieces import Piece
from ..tts.synthesizer import RATES
from . import codecs, files
from .progress import seconds_bar
from .verbs import tell

MODEL, DURATIONS = "mynah-lm", "mynah-durations"
RETAKES = 4  # into a file; into a pipe none, so that the first sound is not kept waiting
LINE = 1 << 16  # bytes of standard input at a time


@dataclass(frozen=True)
class Say:
    """Speaks one text after the other.

    Attributes:
        voice: name or file; None for the first that there is.
        rate: how many times as fast as the voice usually speaks.
        seed: the same seed gives the same sound, with the same retakes.
        guidance: towards phonemes and voice; 1 for none, None for the usual.
        sampling: how codes are drawn.
        model, durations: names or folders of the language model and the duration model.
        codec: name or folder; None for the one that the language model names.
        lexicon: a file of the user's own pronunciations, or None.
        retakes: how often a piece is said again where a word is missing or said twice; None for `RETAKES`
            into a file where the codec has a phone head, and none otherwise.
        force: replace an existing file.
        language: of the text.
    """

    voice: str | None = None
    rate: float = 1.0
    seed: int = 0
    guidance: float | None = None
    sampling: Sampling = field(default_factory=Sampling)
    model: str = MODEL
    durations: str = DURATIONS
    codec: str | None = None
    lexicon: str | None = None
    retakes: int | None = None
    force: bool = False
    language: str = ENGLISH

    def __call__(self, text: str, target: str) -> int:
        """Speak `text`, or what comes through standard input if it is "-", into `target`.

        Raises:
            MynahError: one line that says what is wrong.
        """
        self.check()
        files.check_target("", target, self.force, COMMENTED)
        lexicon = read_lexicon(self.lexicon, self.language) if self.lexicon else None
        if not text.strip():
            raise NothingToSay("nothing to say in the text: it is empty")
        synthesizer = self.synthesizer()
        try:
            self._write(synthesizer, text_of(text), target, lexicon)
        except BrokenPipeError:
            name = files.display_name(target, output=True)
            raise MynahError(f"{name}: closed by its reader before the end") from None
        return 0

    def check(self) -> None:
        """MynahError for numbers out of range, and for a language that cannot be read."""
        check_language(self.language)
        if not RATES[0] <= self.rate <= RATES[1]:
            raise MynahError(f"--rate {self.rate:g}: {RATES[0]:g} to {RATES[1]:g} is expected")
        check_guidance(self.guidance)

    def listener(self, codec: Codec, target: str) -> Retakes | None:
        """Who decides whether a piece is said again; MynahError where one is wanted and there is none."""
        piped = target == "-" or is_stream(Path(target))
        most = self.retakes if self.retakes is not None else 0 if piped else RETAKES
        if not most:
            return None
        try:
            return Retakes(PhoneHead.from_pretrained(codec), most)
        except OtherCodecError:
            if self.retakes is None:
                return None
            raise

    def synthesizer(self) -> Synthesizer:
        """All models loaded; MynahError where one is missing, or they do not fit each other."""
        voice = voice_store.find(self.voice) if self.voice else None
        lm = LanguageModel.from_pretrained(self.model, int8=True)
        if voice is None:
            voice = voice_store.find(voice_store.default_name())
        codec = codecs.load(self.codec or lm.config.codec)
        return Synthesizer(codec, lm, Durations.from_pretrained(self.durations), voice)

    def _write(
        self, synthesizer: Synthesizer, text: Iterable[str], target: str, lexicon: Lexicon | None
    ) -> None:
        """Nothing is opened before there is sound to write."""
        retakes = self.listener(synthesizer.codec, target)
        blocks = synthesizer.speak(
            text,
            seed=self.seed,
            rate=self.rate,
            guidance=self.guidance,
            sampling=self.sampling,
            user_lexicon=lexicon,
            language=self.language,
            retakes=retakes,
            begun=_tell_warnings,
        )
        how = f"voice {synthesizer.voice.name}, seed {self.seed}"
        comment = files.generated(how + (f", up to {retakes.most} retakes" if retakes else ""))
        rate = synthesizer.sample_rate
        with seconds_bar("say") as advance:
            first = next(blocks)
            with AudioWriter(target, rate, 1, force=self.force, comment=comment) as writer:
                for block in chain([first], blocks):
                    writer.write(block)
                    advance(block.shape[1] / rate)


def check_guidance(guidance: float | None) -> None:
    """MynahError for a number out of range."""
    if guidance is not None and not 0 <= guidance <= MOST_GUIDANCE:
        raise MynahError(f"--guidance {guidance:g}: 0 to {MOST_GUIDANCE:g} is expected")


def sampling_of(temperature: float, top_p: float) -> Sampling:
    """How codes are drawn; MynahError for a number out of range."""
    try:
        return Sampling(temperature=temperature, top_p=top_p)
    except ValueError as error:
        raise MynahError(f"--{str(error).replace('_', '-', 1)}") from None


def text_of(text: str) -> Iterator[str]:
    """The text, or for "-" standard input in parts as it comes; TextError for what is not UTF-8."""
    if text != "-":
        try:
            text.encode()
        except UnicodeEncodeError:
            raise TextError("the text is not UTF-8") from None
        yield text
        return
    with files.open_input("-") as file:
        ends_in = b""
        while part := file.readline(LINE):
            ends_in += part
            whole, ends_in = _decoded(ends_in)
            yield whole
        if ends_in:
            raise TextError("standard input: not UTF-8 text")


def _decoded(data: bytes) -> tuple[str, bytes]:
    """Text, and the bytes of a last character that is not complete."""
    try:
        return data.decode(), b""
    except UnicodeDecodeError as error:
        if error.reason != "unexpected end of data":
            raise TextError("standard input: not UTF-8 text") from None
        return data[: error.start].decode(), data[error.start :]


def _tell_warnings(piece: Piece) -> None:
    for line in piece.warnings:
        tell(line)
