"""Standard streams: closed ones, live ones, and names of files that no terminal can show."""

import io
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mynah.apps import codecs, evaluate_run, files
from mynah.data import audio


@pytest.fixture
def talk(tmp_path, mynah, tiny_folder, speech):
    """talk.wav of 10 s, three chunks, and talk.mynah."""
    audio.save(tmp_path / "talk.wav", np.resize(speech, 160_000), 16_000)
    assert mynah("encode", tmp_path / "talk.wav", "--codec", tiny_folder).returncode == 0
    return tmp_path / "talk.mynah"


def run_without(mynah_process, number, *arguments):
    """Exit code, standard output and standard error of a command that has one of the streams closed."""
    process = mynah_process(*arguments, preexec_fn=lambda: os.close(number))
    out, err = process.communicate(timeout=60)
    return process.returncode, out.decode(), err.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="no streams are closed here")
def test_a_closed_standard_output(talk, mynah, mynah_process, tiny_folder, monkeypatch):
    """As in `mynah info talk.mynah >&-`."""
    assert run_without(mynah_process, 1, "info", talk, "--codec", tiny_folder) == (0, "", "")
    refused = "mynah: standard output: not written to a terminal, pipe it or name a file\n"
    assert run_without(mynah_process, 1, "decode", talk, "-", "--codec", tiny_folder) == (2, "", refused)
    monkeypatch.setattr(sys, "__stdout__", None)  # as in such a process
    result = mynah("encode", talk.with_suffix(".wav"), "-", "--codec", tiny_folder)
    assert (result.returncode, result.stdout, result.stderr) == (2, "", refused)


@pytest.mark.skipif(sys.platform == "win32", reason="no streams are closed here")
def test_a_closed_standard_error(talk, mynah_process, tiny_folder, tmp_path):
    """As in `mynah decode talk.mynah 2>&-`: what is to be told goes nowhere, and not into the results."""
    arguments = ("decode", talk, tmp_path / "out.wav", "--codec", tiny_folder)
    assert run_without(mynah_process, 2, *arguments) == (0, "", "")
    assert audio.probe(tmp_path / "out.wav").length == 160_000
    assert run_without(mynah_process, 2, "decode", "--nothing") == (2, "", "")  # before torch is needed


@pytest.mark.parametrize("missing", [1, 100])
def test_what_has_come_through_a_pipe_is_decoded(talk, tiny_folder, missing):
    """The first chunk does not wait for as much as a buffer takes."""
    data = talk.read_bytes()
    assert len(data) < 8192
    read, write = os.pipe()
    os.write(write, data[:-missing])
    with os.fdopen(read, "rb") as file, ThreadPoolExecutor(1) as pool:
        try:
            first = pool.submit(lambda: next(iter(codecs.open_codes(file, str(tiny_folder))[0])))
            assert first.result(timeout=30).codes.shape[2] == 200
        finally:
            os.close(write)


def test_what_is_written_goes_out_at_once(monkeypatch):
    raw = io.BytesIO()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", io.TextIOWrapper(io.BufferedWriter(raw)))
        with files.open_output("-") as file:
            file.write(b"chunk")
            assert raw.getvalue() == b"chunk"
        sys.stdout.detach()


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are UTF-8 here")
def test_names_that_are_not_utf_8(mynah_process, tiny_folder, tmp_path):
    """A folder of them is done; they are shown with escapes."""
    folder = tmp_path / os.fsdecode(b"\xe4")
    folder.mkdir()
    audio.save(folder / os.fsdecode(b"\xfc.wav"), np.zeros(8_000, np.float32), 16_000)
    (folder / os.fsdecode(b"\xff.wav")).write_text("no sound")

    def run(*arguments):
        process = mynah_process(*arguments, "--codec", tiny_folder)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(arguments, process.returncode, out.decode(), err.decode())

    result = run("encode", folder, tmp_path / "out")
    assert (result.returncode, result.stderr.count("\n")) == (2, 2)
    assert r"\udcff.wav: not a sound file" in result.stderr
    assert os.listdir(os.fsencode(tmp_path / "out")) == [b"\xfc.mynah"]
    result = run("info", tmp_path / "out")
    assert (result.returncode, result.stderr) == (0, "")
    assert r"\udcfc.mynah" in result.stdout


def test_a_report_of_names_that_are_not_utf_8(tmp_path):
    report = {"data": os.fsdecode(b"talks \xfc"), "speaker": "Grüß"}
    evaluate_run.write(report, str(tmp_path / "report.json"))
    text = (tmp_path / "report.json").read_text(encoding="utf-8")
    assert json.loads(text) == report and "Grüß" in text
