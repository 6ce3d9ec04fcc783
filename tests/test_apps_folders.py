"""Folders: the tree is kept, finished files are skipped, one bad file does not keep the others back."""

import pytest

from mynah.apps.folders import Tally, convert, pair
from mynah.data import audio
from mynah.data.errors import MynahError


@pytest.fixture
def talks(tmp_path, speech):
    """Three sounds, a text file named .wav, and what is to be left alone."""
    folder = tmp_path / "talks"
    for name in ("a.wav", "deep/er/b.flac", "deep/c.ogg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        audio.save(folder / name, speech[None, :8_000], 16_000)
    (folder / "deep" / "bad.wav").write_text("not a sound at all")
    (folder / "notes.txt").write_text("left alone")
    (folder / ".hidden.wav").write_text("left alone")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "d.wav").write_text("left alone")
    return folder


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_tree_there_and_back(talks, tmp_path, mynah, tiny_folder, jobs):
    coded, back = tmp_path / "coded", tmp_path / "back"
    options = ["--codec", tiny_folder, "--jobs", jobs]
    result = mynah("encode", talks, coded, *options)
    assert result.returncode == 2
    bad, summary = result.stderr.splitlines()
    assert "bad.wav: not a sound file" in bad
    assert summary == "mynah: 3 done, 0 were there already, 1 failed"
    assert names(coded) == ["a.mynah", "deep/c.mynah", "deep/er/b.mynah"]

    result = mynah("decode", coded, back, *options, "--suffix", ".flac")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")  # no bar on a pipe
    assert names(back) == ["a.flac", "deep/c.flac", "deep/er/b.flac"]
    assert all(audio.probe(back / name)[:3] == (16_000, 1, 8_000) for name in names(back))

    assert mynah("truncate", coded, tmp_path / "low", *options).returncode == 0
    assert names(tmp_path / "low") == names(coded)
    result = mynah("info", tmp_path / "low")
    assert result.returncode == 0
    assert [line.split()[-1] for line in result.stdout.splitlines()] == ["intact"] * 3


def test_finished_files_are_skipped_unless_forced(talks, tmp_path, mynah, tiny_folder):
    (talks / "deep" / "bad.wav").unlink()
    coded = tmp_path / "coded"
    coded.mkdir()
    (coded / "a.mynah").write_bytes(b"finished earlier")
    result = mynah("encode", talks, coded, "--codec", tiny_folder)
    assert result.returncode == 0
    assert "2 done, 1 were there already" in result.stderr
    assert (coded / "a.mynah").read_bytes() == b"finished earlier"
    assert mynah("encode", talks, coded, "--codec", tiny_folder, "--force").returncode == 0
    assert (coded / "a.mynah").read_bytes()[:4] == b"MYNA"


def test_two_files_with_one_result_are_not_both_done(tmp_path, mynah, tiny_folder, speech):
    for name in ("a.flac", "a.wav"):
        audio.save(tmp_path / name, speech[None, :4_000], 16_000)
    result = mynah("encode", tmp_path, tmp_path / "out", "--codec", tiny_folder)
    assert result.returncode == 2
    assert "a.wav: its output" in result.stderr
    assert names(tmp_path / "out") == ["a.mynah"]


def test_damage_in_a_folder_is_shown_by_info(talks, tmp_path, mynah, tiny_folder):
    coded = tmp_path / "coded"
    mynah("encode", talks, coded, "--codec", tiny_folder)
    damaged = coded / "deep" / "c.mynah"
    damaged.write_bytes(damaged.read_bytes()[:-7])
    result = mynah("info", coded)
    assert result.returncode == 2
    states = {
        line.split("  ")[-2].rsplit("/", 1)[1]: line.split("  ")[-1] for line in result.stdout.splitlines()
    }
    assert states["a.mynah"] == states["b.mynah"] == "intact"
    assert states["c.mynah"].startswith("DAMAGED")


def test_an_error_that_is_the_programs_is_not_hidden(tmp_path):
    def work(source, target, advance):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        convert(pair(["x/a.wav"], "x", str(tmp_path), ".mynah"), work, 1, False, "work", print)


def test_errors_are_told_and_counted(tmp_path):
    def work(source, target, advance):
        if source.endswith("1.wav"):
            raise MynahError("one is bad")
        if source.endswith("2.wav"):
            raise OSError(5, "Input/output error")
        return [f"{source} was odd"]

    told = []
    sources = [f"x/{number}.wav" for number in range(4)]
    tally = convert(pair(sources, "x", str(tmp_path), ".mynah"), work, 2, False, "work", told.append)
    assert tally == Tally(done=2, skipped=0, failed=2)
    assert sorted(told) == [
        "one is bad", "x/0.wav was odd", "x/2.wav: Input/output error", "x/3.wav was odd",
    ]  # fmt: skip
