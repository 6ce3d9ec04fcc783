"""Options of the verbs that speak and listen: `mynah say`, `continue`, `align`."""

from typing import Annotated

import typer

from ..data.errors import MynahError
from . import arguments

OK = 0


def say(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to say, or - for standard input.")],
    target: Annotated[
        str, typer.Option("-o", "--output", metavar="OUT", help="A sound file, or - for standard output.")
    ] = "-",
    voice: Annotated[
        str | None,
        typer.Option(
            help="Name or file; mynah voice list tells which there are, the first is the default.",
            show_default=False,
        ),
    ] = None,
    rate: Annotated[float, typer.Option(help="0.5 for half as fast, to 2 for twice as fast.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Another seed, another take.")] = 0,
    guidance: Annotated[
        float | None,
        typer.Option(
            help="Above 1, words are clearer and the sound is harsher; 1 is faster.", show_default="1.5"
        ),
    ] = None,
    temperature: Annotated[float, typer.Option(help="0 for the likeliest codes; below 1, tamer.")] = 0.7,
    top_p: Annotated[float, typer.Option(help="Share of the likeliest codes that may be drawn.")] = 0.85,
    model: arguments.LanguageModel = "mynah-lm",
    durations: arguments.Durations = "mynah-durations",
    codec: arguments.CodecOfModel = None,
    lexicon: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Your pronunciations: a line is WORD, a tab, sounds.", show_default=False
        ),
    ] = None,
    retakes: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=20,
            help="Listen to each sentence, and say it again up to so often where a word is missing or said "
            "twice. Left out, it is 4 into a file, where the codec has a phone head, and 0 into a pipe, "
            "whose sound then leaves while it is made.",
            show_default=False,
        ),
    ] = None,
    language: arguments.Language = "en",
    force: arguments.Force = False,
) -> int:
    """Speak a text of any length, streamed into a sound file that is marked as generated."""
    from .say import Say, sampling_of

    sampling = sampling_of(temperature, top_p)
    say = Say(
        voice, rate, seed, guidance, sampling, model, durations, codec, lexicon, retakes, force, language
    )
    return say(text, target)


def continue_(
    source: Annotated[str, typer.Argument(metavar="PROMPT", help="A recording of a second or more, or -.")],
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="[OUT]", help="A sound file, or -; PROMPT-continued.wav if left out.", show_default=False
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(metavar="S", help="Go on for S seconds at the most.")] = 10.0,
    least: Annotated[
        float, typer.Option(metavar="S", help="Let the model end the speech after S seconds, not before.")
    ] = 2.0,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Another seed, other speech.")] = 0,
    temperature: Annotated[
        float, typer.Option(help="0 says the likeliest, 1 is as varied as the model.")
    ] = 1.0,
    takes: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=32,
            help="Say every 1.6 s so often, and keep what has the most speech in the voice of PROMPT. Left "
            "out, it is 8 into a file, where the codec has heads that hear it, and 1 into a pipe, whose "
            "sound then leaves while it is made.",
            show_default=False,
        ),
    ] = None,
    model: arguments.LanguageModel = "mynah-lm",
    codec: arguments.CodecOfModel = None,
    force: arguments.Force = False,
) -> int:
    """Go on speaking in the voice of a recording: the recording, then what a language model adds to it; mono,
    at the codec's 16 kHz."""
    from ..data.audio import COMMENTED
    from . import files, verbs
    from .continuing import speak_on
    from .progress import seconds_bar

    if not 0 < seconds < float("inf"):
        raise MynahError(f"--seconds {seconds:g}: a time in seconds above 0 is expected")
    if not 0 <= least < float("inf"):
        raise MynahError(f"--least {least:g}: a time in seconds from 0 on is expected")
    if not 0 <= temperature < float("inf"):
        raise MynahError(f"--temperature {temperature:g}: a number from 0 on is expected")
    name = files.default_target(source, target, ".wav", "-continued")
    files.check_target(source, name, force, COMMENTED)
    with seconds_bar("continue") as advance:
        new = speak_on(
            source, name, model, codec, seconds, min(least, seconds), temperature, seed, takes, force, advance
        )
    verbs.tell(f"{new:.2f} s added")
    return OK


def align(
    source: Annotated[str, typer.Argument(metavar="AUDIO", help="A sound file, or -.")],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What is said: text, a file of it, or -.")],
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="[OUT]",
            help="A .TextGrid or .json file, or - for JSON on standard output; both files beside AUDIO if "
            "left out.",
            show_default=False,
        ),
    ] = None,
    plot: Annotated[
        str | None,
        typer.Option(metavar="PNG", help="Draw the first 24 s with their phonemes.", show_default=False),
    ] = None,
    codec: arguments.Codec = "mynah-16k",
    head: arguments.Head = "phones-16k",
    language: arguments.Language = "en",
    force: arguments.Force = False,
) -> int:
    """Find when each word and phoneme of a text is spoken in a recording of up to ten minutes.

    TextGrid is what Praat reads: tiers of words and phones. JSON has the same with a score.
    """
    from . import align as work

    return work.run(source, text, target, plot, codec, head, force, language)
