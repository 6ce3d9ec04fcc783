"""What the README shows is what works: its commands and its Python are run, in order, in a scratch folder."""

import os
import re
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from mynah.data import audio

README = Path(__file__).parents[1] / "README.md"
_BLOCK = re.compile(r"(<!-- not run here: [^>]*-->\n)?```(\w+)\n(.*?)```", re.DOTALL)


class Block(NamedTuple):
    """A fenced block of the README that is to be run."""

    language: str
    text: str


def blocks(text: str) -> list[Block]:
    """All blocks but those that a comment before them takes out."""
    return [Block(language, body) for skipped, language, body in _BLOCK.findall(text) if not skipped]


@pytest.fixture(scope="module")
def scratch(tmp_path_factory, speech):
    """A folder with interview.wav, stereo at 44.1 kHz, and the folder talks."""
    folder = tmp_path_factory.mktemp("readme")
    wav = audio.resample(np.stack([speech, 0.5 * speech]), 16_000, 44_100)
    audio.save(folder / "interview.wav", wav, 44_100)
    (folder / "talks").mkdir()
    audio.save(folder / "talks" / "a.flac", wav[:1, :44_100], 44_100)
    return folder


def test_every_block_is_of_a_language_that_is_run():
    found = blocks(README.read_text(encoding="utf-8"))
    assert {block.language for block in found} == {"sh", "python"}
    assert len(found) >= 4


@pytest.fixture(scope="module")
def programs(tmp_path_factory, python_program):
    """A folder with `mynah`, which starts faster than the one that is installed."""
    folder = tmp_path_factory.mktemp("bin")
    command = python_program("from mynah.apps.cli import main; main()")
    (folder / "mynah").write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
    (folder / "mynah").chmod(0o755)
    return folder


def test_the_installed_command():
    mynah = Path(sys.executable).with_name("mynah")
    said = subprocess.run([mynah, "--version"], capture_output=True, text=True, check=True).stdout
    assert said == f"mynah {version('mynah')}\n"


def test_the_commands(scratch, programs):
    """All of them in one shell, which stops at the first that fails."""
    script = "\n".join(
        block.text for block in blocks(README.read_text(encoding="utf-8")) if block.language == "sh"
    )
    path = os.pathsep.join([str(programs), os.environ["PATH"]])
    result = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=scratch,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=1200,  # half a minute on an idle machine
    )
    assert result.returncode == 0, result.stderr
    assert "3 kbit/s a channel" in result.stdout  # mynah info
    assert "PESQ-WB" in result.stdout  # mynah compare

    original = audio.load(scratch / "interview.wav")
    for name in ("copy.wav", "piped.wav", "whole.wav"):
        copy = audio.load(scratch / name)
        assert (copy.wav.shape, copy.sample_rate) == (original.wav.shape, original.sample_rate), name
    assert audio.probe(scratch / "part.flac").seconds == 2
    assert (scratch / "ab.png").read_bytes()[:4] == b"\x89PNG"
    assert (scratch / "again.mynah").read_bytes() == (scratch / "best.mynah").read_bytes()
    assert (scratch / "small.mynah").stat().st_size < 0.4 * (scratch / "best.mynah").stat().st_size
    assert (scratch / "coded" / "a.mynah").exists()


def test_the_python(scratch, monkeypatch, capsys):
    """All of it in one namespace, as someone who reads on would type it."""
    monkeypatch.chdir(scratch)
    names: dict[str, object] = {}
    for block in blocks(README.read_text(encoding="utf-8")):
        if block.language == "python":
            exec(compile(block.text, str(README), "exec"), names)
    frames = audio.probe("interview.wav").seconds * 50
    assert capsys.readouterr().out.startswith(f"torch.Size([2, 6, {int(np.ceil(frames)) + 1}])")
    assert names["sound"].shape == (1, 1, 320)


def test_the_tree_is_that_of_the_repository():
    listed = re.findall(r"^    ([\w.]+)/ ", README.read_text(encoding="utf-8"), re.MULTILINE)
    tracked = {"data", "codec", "lm", "tts", "apps", "tests", "benchmarks", "runs", "docs", ".ci"}
    there = {path.relative_to(README.parent).parts[0] for path in README.parent.glob("*/*") if path.is_file()}
    assert set(listed) == tracked & there


def test_files_that_it_links_to_are_there():
    text = re.sub(r"```.*?```", "", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)#]+)\)", text)
    assert [link for link in links if "://" not in link and not (README.parent / link).exists()] == []
