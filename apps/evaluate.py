"""Options of `mynah evaluate codec`; what it needs is imported when it is called."""

from typing import Annotated

import typer

OK = 0


def codec(
    data: Annotated[
        str, typer.Option(metavar="DIR", help="A folder of speech: a manifest or a known layout.")
    ],
    codec: Annotated[str, typer.Option(help="Name or folder of the codec.")] = "mynah-16k",
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
    out: Annotated[
        str | None, typer.Option(metavar="JSON", help="Write everything there as well.", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing JSON file.")] = False,
) -> int:
    """Measure a codec on recordings: quality, real bitrate, tokens kept, speed, beside other codecs."""
    from . import files
    from .evaluate_codec import evaluate

    if out is not None:
        files.check_target("", out, force, (".json",))
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


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _tell(line: str) -> None:
    print(line, flush=True)
