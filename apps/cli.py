"""The `mynah` command: `mynah VERB IN [OUT]`. What a verb needs is imported when it is called."""

import functools
import os
import signal
import sys
from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import Annotated, Any, NoReturn

import typer

from ..data.errors import MynahError
from . import arguments, speech
from . import evaluate as evaluate_options
from . import train as train_options
from . import voices as voice_options

OK, USER_ERROR, INTERRUPTED, TERMINATED = 0, 2, 130, 143

app = typer.Typer(
    help="Speech to a few discrete tokens and back.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def fail(line: str, code: int = USER_ERROR) -> int:
    """Say why on standard error."""
    print(f"mynah: {line}", file=sys.stderr)
    return code


def guarded(function: Callable[..., int]) -> Callable[..., int]:
    """One clear line and an exit code for everything that is not the program's fault."""

    @functools.wraps(function)
    def run(*arguments: Any, **options: Any) -> int:
        try:
            return function(*arguments, **options)
        except MynahError as error:
            return fail(str(error))
        except BrokenPipeError:  # of a table or a help page: whoever read it has seen enough
            return USER_ERROR
        except KeyboardInterrupt:
            return fail("stopped", INTERRUPTED)
        except OSError as error:
            name = f"{error.filename}: " if error.filename else ""
            return fail(f"{name}{error.strerror or error}")

    return run


def verb(function: Callable[..., int]) -> Callable[..., int]:
    """Make a function a subcommand of the same name."""
    return app.command()(guarded(function))


Source = Annotated[str, typer.Argument(metavar="IN", help="A file, a folder, or - for standard input.")]
Target = Annotated[
    str | None,
    typer.Argument(
        metavar="[OUT]",
        help="A file, a folder, or - for standard output; beside IN if left out. A folder IN needs one.",
        show_default=False,
    ),
]
Bitrate = Annotated[float, typer.Option(help="kbit/s per channel: 1.5, 3 or 6.")]
CodecName = Annotated[
    str | None,
    typer.Option(
        "--codec", help="Name or folder of the codec; by default the one the file names.", show_default=False
    ),
]
Jobs = Annotated[int, typer.Option(min=1, help="Files of a folder to work on at a time.")]


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    if version:
        from importlib.metadata import version as version_of

        print(f"mynah {version_of('mynah')}")
        raise typer.Exit


@verb
def encode(
    source: Source,
    target: Target = None,
    bitrate: Bitrate = 3.0,
    codec: arguments.Codec = "mynah-16k",
    force: arguments.Force = False,
    jobs: Jobs = 1,
) -> int:
    """Compress sound files (any format, rate and number of channels) to .mynah files."""
    from ..data.manifest import AUDIO_SUFFIXES
    from . import files, verbs
    from .encode import Encode

    work = Encode(codec, bitrate, force)
    return verbs.run(
        "encode", work, source, target, AUDIO_SUFFIXES, files.SUFFIX, force, jobs, check=work.check
    )


@verb
def decode(
    source: Source,
    target: Target = None,
    codec: CodecName = None,
    start: Annotated[float, typer.Option(metavar="S", help="Begin S seconds into the recording.")] = 0.0,
    duration: Annotated[
        float | None, typer.Option(metavar="S", help="Decode S seconds only.", show_default=False)
    ] = None,
    salvage: Annotated[
        bool, typer.Option("--salvage", help="Decode what is intact of a damaged file, silence for the rest.")
    ] = False,
    suffix: Annotated[
        str, typer.Option(help="What to write where OUT does not say it: .wav, .flac, ...")
    ] = ".wav",
    force: arguments.Force = False,
    jobs: Jobs = 1,
) -> int:
    """Bring .mynah files back to sound, with the rate, length and channels of the original."""
    from ..data.audio import FORMATS
    from . import files, verbs
    from .decode import Decode

    work = Decode(codec, force, start, duration, salvage)
    work.check()
    if suffix.lower() not in FORMATS:
        raise MynahError(f"--suffix {suffix}: not one of {', '.join(FORMATS)}")
    if files.default_target(source, target, suffix) == "-" and suffix.lower() != ".wav":
        raise MynahError(f"--suffix {suffix}: standard output gets .wav alone, name a file")
    return verbs.run("decode", work, source, target, (files.SUFFIX,), suffix, force, jobs, tuple(FORMATS))


@verb
def truncate(
    source: Source,
    target: Target = None,
    bitrate: Annotated[float, typer.Option(help="kbit/s per channel, lower than that of the file.")] = 1.5,
    codec: CodecName = None,
    force: arguments.Force = False,
    jobs: Jobs = 1,
) -> int:
    """Lower the bitrate of .mynah files without coding them again."""
    from . import files, verbs
    from .truncate import Truncate

    work = Truncate(bitrate, codec, force)
    return verbs.run(
        "truncate", work, source, target, (files.SUFFIX,), files.SUFFIX, force, jobs, tag=f"-{bitrate:g}"
    )


@verb
def tokens(
    source: Source,
    target: Target = None,
    codec: CodecName = None,
    force: arguments.Force = False,
    jobs: Jobs = 1,
) -> int:
    """Take the codes out of .mynah files as .npy (int16 [C, K, N]), or put them back from .npy.

    What decoding needs besides goes to a .npy.json file beside the .npy. An .npy without one is taken for
    sound at the codec's own rate.
    """
    from . import files, verbs
    from .tokens import Tokens, from_arrays

    old, new = (".npy", files.SUFFIX) if from_arrays(source, target) else (files.SUFFIX, ".npy")
    return verbs.run("tokens", Tokens(codec, force), source, target, (old,), new, force, jobs)


@verb
def info(
    source: Annotated[str, typer.Argument(metavar="IN", help="A .mynah file, a folder of them, or -.")],
    codec: CodecName = None,
) -> int:
    """Tell rate, length, operating point, real bitrate, codec and integrity; 2 if anything is damaged."""
    from . import verbs

    return verbs.info(source, codec)


@verb
def compare(
    source: Annotated[
        str | None, typer.Argument(metavar="[IN]", help="A sound file, or -.", show_default=False)
    ] = None,
    sample: Annotated[
        bool, typer.Option("--sample", help="Take a short sound made in code instead.")
    ] = False,
    plot: Annotated[
        str | None, typer.Option(metavar="PNG", help="Draw the spectrograms.", show_default=False)
    ] = None,
    start: Annotated[float, typer.Option(metavar="S", help="Begin S seconds into the recording.")] = 0.0,
    duration: Annotated[float, typer.Option(metavar="S", help="Take S seconds at the most.")] = 30.0,
    codec: arguments.Codec = "mynah-16k",
    force: arguments.Force = False,
) -> int:
    """Code a recording at every bitrate and measure it against the original: PESQ, ESTOI, mel distance."""
    from . import verbs

    if (source is None) != sample:
        raise MynahError("compare needs a sound file, or --sample for the one made in code, and not both")
    return verbs.compare(source, plot, start, duration, codec, force)


@verb
def tokenize(
    data: Annotated[str, typer.Argument(metavar="DIR", help="Speech: a manifest or a known layout.")],
    out: Annotated[str, typer.Argument(metavar="OUT", help="The folder for the token shards.")],
    codec: arguments.Codec = "mynah-16k",
    bitrate: Annotated[float, typer.Option(help="kbit/s: one of the codec's.")] = 1.5,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="CORPUS", help="A corpus of DIR to leave out; repeatable.", show_default=False),
    ] = None,
    views: Annotated[
        int,
        typer.Option(
            min=1, max=16, help="Of each recording to train on, each begun a part of a frame later."
        ),
    ] = 1,
    align: Annotated[
        bool,
        typer.Option("--align", help="Also say which phoneme of its text each frame belongs to."),
    ] = False,
    head: Annotated[str, typer.Option(help="Name or folder of the phone head to align with.")] = "phones-16k",
    language: Annotated[
        str,
        typer.Option(
            metavar="CODE", help="Of the texts to align; others than English need the extra espeak."
        ),
    ] = "en",
) -> int:
    """Encode a folder of speech as token shards, to train a language model on.

    Stopped or killed, the same command goes on: recordings that are in OUT already are skipped.
    """
    from pathlib import Path

    from . import tokenizing, verbs

    head_name = head if align else None
    tokenizing.tokenize(
        Path(data), Path(out), codec, bitrate, exclude or [], views, head_name, verbs.tell, language
    )
    return OK


@verb
def demo(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where the page is found.")] = 7860,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in.")
    ] = "127.0.0.1",
    open_browser: Annotated[bool, typer.Option("--open", help="Show the page in the browser.")] = False,
    model: arguments.LanguageModel = "mynah-lm",
    durations: arguments.Durations = "mynah-durations",
    codec: arguments.CodecOfModel = None,
) -> int:
    """Serve a page to try it on in the browser, without network; needs the extra "demo"."""
    from .demo import serve

    return serve(host, port, open_browser, model, durations, codec)


verb(speech.say)
app.command("continue")(guarded(speech.continue_))
verb(speech.align)

voice = typer.Typer(help="The voices that mynah say speaks in.", no_args_is_help=True)
voice.command("list")(guarded(voice_options.list_voices))
voice.command("add")(guarded(voice_options.add))
voice.command("remove")(guarded(voice_options.remove))
voice.command("show")(guarded(voice_options.show))
app.add_typer(voice, name="voice")

evaluate = typer.Typer(
    help="Measure a model on a fixed list of sentences or on recordings.", no_args_is_help=True
)
evaluate.command("codec")(guarded(evaluate_options.codec))
evaluate.command("tts")(guarded(evaluate_options.tts))
evaluate.command("continuation")(guarded(evaluate_options.continuation))
app.add_typer(evaluate, name="evaluate")

train = typer.Typer(help="Train a network on your own speech.", no_args_is_help=True)
train.command("codec")(guarded(train_options.codec))
train.command("lm")(guarded(train_options.lm))
train.command("durations")(guarded(train_options.durations))
train.command("ctc")(guarded(train_options.ctc))
train.command("speakers")(guarded(train_options.speakers))
train.command("tables")(guarded(train_options.tables))
train.command("average")(guarded(train_options.average))
train.command("subwords")(guarded(train_options.subwords))
app.add_typer(train, name="train")


def main() -> NoReturn:
    """Run the command line and exit."""
    _open_streams()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))  # so that unfinished files are removed
    code = run(sys.argv[1:])
    if code != OK:
        # What a broken pipe or a full disk did not take must not be tried again, and fail again, at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def _open_streams() -> None:
    """Standard output and error that take every line: nowhere where they are closed (sys.__stdout__ is still
    None then), with escapes for names of files that are not UTF-8."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - open to the end
        getattr(sys, name).reconfigure(errors="backslashreplace")


@guarded
def run(arguments: list[str]) -> int:
    """Run the command line; returns the exit code."""
    try:
        code = typer.main.get_command(app).main(arguments, "mynah", standalone_mode=False)
    except typer.TyperException as error:
        line = getattr(error, "format_message", error.__str__)()
        return fail(line) if line else USER_ERROR  # without arguments the help has said it
    with suppress(OSError) if code else nullcontext():  # why it failed has been said
        sys.stdout.flush()
    return code or OK


if __name__ == "__main__":
    main()
