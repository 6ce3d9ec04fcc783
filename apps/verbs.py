"""What the verbs of the command line share: one file or a folder, progress, what is printed."""

import os
import sys
from collections.abc import Callable, Collection, Iterator

from tqdm import tqdm

from ..data.errors import MynahError
from ..data.walking import find
from . import files, folders
from .progress import seconds_bar

OK, FAILED = 0, 2


def run(
    verb: str,
    work: folders.Work,
    source: str,
    target: str | None,
    suffixes: Collection[str],
    new_suffix: str,
    force: bool,
    jobs: int,
    allowed: tuple[str, ...] = (),
    tag: str = "",
    check: Callable[[], object] = lambda: None,
) -> int:
    """Do `work` on a file or on every file of a folder, and return the exit code.

    Args:
        verb: what the progress says.
        work: the job for one file.
        source, target: as given by the user.
        suffixes: which files of a folder are meant.
        new_suffix: of the results.
        force: replace existing results.
        jobs: files at a time.
        allowed: suffixes that a result may have; `new_suffix` alone where there are none.
        tag: put before the suffix of a result that lies beside its source.
        check: what takes longer to check than these, called after them.
    """
    if not os.path.isdir(source):
        name = files.default_target(source, target, new_suffix, tag)
        files.check_target(source, name, force, allowed or (new_suffix,))
        check()
        with seconds_bar(verb) as advance:
            notes = work(source, name, advance)
        for line in notes:
            tell(line)
        return OK

    if target is None or target == "-":
        raise MynahError(f"{source}: is a folder, name a folder for the results: mynah {verb} {source} OUT")
    if os.path.lexists(target) and not os.path.isdir(target):
        raise MynahError(f"{target}: is a file, a folder is needed for the results of the folder {source}")
    if new_suffix in suffixes and os.path.exists(target) and os.path.samefile(source, target):
        raise MynahError(f"{target}: is the input as well, name another folder for the results")
    found = find(source, suffixes)
    if not found:
        raise MynahError(f"{source}: holds no {' or '.join(sorted(suffixes))} files")
    check()
    if jobs > 1:
        import torch

        torch.set_num_threads(max(1, torch.get_num_threads() // jobs))
    pairs = folders.pair(found, source, target, new_suffix)
    tally = folders.convert(pairs, work, jobs, force, verb, tell)
    if tally.failed or tally.skipped:
        tell(f"{tally.done} done, {tally.skipped} were there already, {tally.failed} failed")
    return FAILED if tally.failed else OK


def tell(line: str) -> None:
    """A line on standard error, above the progress bar."""
    tqdm.write(f"mynah: {line}", file=sys.stderr)


def info(source: str, codec: str | None) -> int:
    """Print what is known of a file, or a line for each file of a folder."""
    from .info import describe, summarise

    if not os.path.isdir(source):
        report = describe(source, codec)
        print("\n".join(report.lines))
        return OK if report.intact else FAILED
    found = find(source, [files.SUFFIX])
    if not found:
        raise MynahError(f"{source}: holds no {files.SUFFIX} files")
    intact = True
    for path in found:
        try:
            report = summarise(path, codec)
        except MynahError as error:
            tell(str(error))
            intact = False
        else:
            print(report.lines[0])
            intact = intact and report.intact
    return OK if intact else FAILED


def compare(
    source: str | None, plot: str | None, start: float, duration: float, codec: str, force: bool
) -> int:
    """Print the table and draw the picture, of a recording or (None) of the sound made in code."""
    from .codecs import load
    from .compare import Row, compare, read_part, table

    if plot is not None:
        files.check_picture(source or "", plot, force)
    loaded = load(codec)
    if source is None:
        from ..data.sample import speech_like

        sound = speech_like()
    else:
        sound = read_part(source, start, duration)
        if files.is_generated(source):
            tell(f"{source}: mynah made it from such codes, so these scores flatter the codec")
    rows: list[Row] = []

    def kept() -> Iterator[Row]:
        for row in compare(loaded, sound):
            rows.append(row)
            yield row

    for line in table(kept(), len(sound.wav)):
        print(line, flush=True)
    if plot is not None:
        from ..data.spectrogram import plot_comparison

        sounds = [("original", sound.wav, sound.sample_rate)]
        sounds += [
            (
                f"{row.nominal:g} kbit/s: PESQ {row.pesq:.2f}, ESTOI {row.estoi:.3f}",
                row.wav,
                sound.sample_rate,
            )
            for row in rows
        ]
        plot_comparison(sounds, plot)
    return OK
