"""Options of `mynah evaluate`; what it needs is imported when it is called."""

from typing import Annotated

import typer

from ..data.errors import MynahError
from . import arguments

OK = 0

Out = Annotated[
    str | None,
    typer.Option("--json", metavar="OUT", help="Write everything there as well.", show_default=False),
]


def codec(
    data: Annotated[
        str, typer.Option(metavar="DIR", help="A folder of speech: a manifest or a known layout.")
    ],
    codec: arguments.Codec = "mynah-16k",
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    groups: Annotated[
        str, typer.Option(metavar="A,B", help="Sets or corpora to measure; all if left out.")
    ] = "",
    clips: Annotated[
        int | None, typer.Option(min=1, help="At most so many clips of a set.", show_default=False)
    ] = None,
    seconds: Annotated[float, typer.Option(help="Length of a clip, from its beginning.")] = 12.0,
    peers: Annotated[
        str,
        typer.Option(
            metavar="A,B",
            help="What to compare with: opus, codec2, encodec[:PLACE], mimi[:PLACE], dac[:PLACE]; PLACE is a "
            "folder or a name on the hub that was fetched before; nothing if empty.",
        ),
    ] = "opus,codec2,encodec",
    scores: Annotated[
        str, typer.Option(metavar="A,B", help="Which scores to take.")
    ] = "pesq_wb,estoi,si_sdr,mel_distance,dnsmos",
    out: Out = None,
    force: arguments.Force = False,
) -> int:
    """Measure a codec on recordings: quality, real bitrate, tokens kept, speed, beside other codecs."""
    from .evaluate_codec import evaluate

    _check(out, force)
    evaluate(
        data,
        codec,
        split=split,
        groups=_names(groups),
        clips=clips,
        seconds=seconds,
        peers=_names(peers),
        scored=_names(scores),
        out=out,
        tell=_tell,
    )
    return OK


def tts(
    voice: Annotated[
        list[str] | None,
        typer.Option(help="Name or file; repeatable. All shipped ones if left out.", show_default=False),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Speech, with recordings of the voices' speakers in test or val, to compare with.",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="At most so many sentences of each set, and recordings of a voice.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Another seed, other takes.")] = 0,
    guidance: Annotated[float | None, typer.Option(help="As for mynah say.", show_default=False)] = None,
    temperature: Annotated[float, typer.Option(help="As for mynah say.")] = 0.7,
    top_p: Annotated[float, typer.Option(help="As for mynah say.")] = 0.85,
    retakes: Annotated[int, typer.Option(min=0, max=20, help="As for mynah say.")] = 0,
    model: arguments.LanguageModel = "mynah-lm",
    durations: arguments.Durations = "mynah-durations",
    codec: arguments.CodecOfModel = None,
    head: arguments.Head = "phones-16k",
    speaker_head: arguments.SpeakerHead = "speakers-16k",
    out: Out = None,
    force: arguments.Force = False,
) -> int:
    """Speak 100 sentences in each voice and measure them: phone errors, words skipped or repeated, speed.

    With --data, the same is measured on real recordings of the voice's speaker, as they are and through the
    codec. DNSMOS needs the extra "metrics".
    """
    from .evaluate_tts import evaluate
    from .say import check_guidance, sampling_of

    check_guidance(guidance)
    sampling = sampling_of(temperature, top_p)
    _check(out, force)
    evaluate(
        voice or [],
        data,
        model=model,
        durations=durations,
        codec=codec,
        head=head,
        speaker_head=speaker_head,
        seed=seed,
        guidance=guidance,
        sampling=sampling,
        retakes=retakes,
        limit=limit,
        out=out,
        tell=_tell,
    )
    return OK


def continuation(
    data: Annotated[
        str, typer.Option(metavar="DIR", help="A folder of speech: a manifest or a known layout.")
    ],
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    groups: Annotated[
        str, typer.Option(metavar="A,B", help="Sets or corpora to take prompts from; all if empty.")
    ] = "librispeech",
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most so many prompts.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Another seed, other speech.")] = 0,
    temperature: Annotated[float, typer.Option(help="As for mynah continue.")] = 1.0,
    takes: Annotated[
        int, typer.Option(min=1, max=32, help="As for mynah continue, which has 8 into a file.")
    ] = 1,
    model: arguments.LanguageModel = "mynah-lm",
    codec: arguments.CodecOfModel = None,
    speaker_head: arguments.SpeakerHead = "speakers-16k",
    out: Out = None,
    force: arguments.Force = False,
) -> int:
    """Go on for 7 s from the first 3 s of one recording of each speaker, and measure it beside what was said.

    DNSMOS needs the extra "metrics".
    """
    from .evaluate_continuation import evaluate
    from .say import sampling_of

    sampling_of(temperature, 1.0)
    _check(out, force)
    evaluate(
        data,
        model=model,
        codec=codec,
        speaker_head=speaker_head,
        split=split,
        groups=_names(groups),
        seed=seed,
        temperature=temperature,
        takes=takes,
        limit=limit,
        out=out,
        tell=_tell,
    )
    return OK


def _check(out: str | None, force: bool) -> None:
    """MynahError unless the report may be written there."""
    from . import files

    if out == "-":
        raise MynahError("the report is written to a file, not to standard output, where the table goes")
    if out is not None:
        files.check_target("", out, force, (".json",))


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _tell(line: str) -> None:
    print(line, flush=True)
