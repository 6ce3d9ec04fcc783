"""What several test files need: models small enough to build, tokens, and the `mynah` command."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

# Two workers share the machine: a thread each, in their child processes too. Read when torch is imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch

from mynah.codec import Codec, checkpoint
from mynah.codec.config import CodecConfig
from mynah.codec.heads import PhoneHeadConfig, SpeakerHeadConfig
from mynah.codec.heads.ctc import PhoneNetwork
from mynah.codec.heads.speaker import SpeakerNetwork
from mynah.codec.network import CodecNetwork

# A shell that starts the tests in the background has Ctrl-C ignored, which every child would inherit.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

TINY = CodecConfig(
    name="tiny",
    latent_dim=8,
    codebook_size=1024,
    encoder_dim=16,
    encoder_layers=2,
    decoder_dim=16,
    decoder_layers=2,
    fine_dim=16,
    fine_layers=1,
)
pytest_plugins = ["demo_fixtures"]  # beside this file
SHARED_DATA = Path(os.environ.get("MYNAH_DATA", Path(__file__).parents[2] / "shared" / "data"))


def make_codec(folder: Path, seed: int = 0) -> Path:
    """A folder with an untrained codec whose codes and sound depend on the input."""
    torch.manual_seed(seed)
    network = CodecNetwork(TINY)
    for codebook in network.quantizer.codebooks:
        torch.nn.init.normal_(codebook, std=0.3)
    checkpoint.save(folder, TINY, network.state_dict())
    return folder


@pytest.fixture
def other_codec(tmp_path) -> Path:
    """A codec of the same name as `tiny` with other weights."""
    return make_codec(tmp_path / "other", seed=1)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory) -> Path:
    """A codec folder with random weights: right in everything but the sound."""
    return make_codec(tmp_path_factory.mktemp("codec") / "tiny")


@pytest.fixture(scope="session")
def tiny(tiny_folder) -> Codec:
    """The codec of `tiny_folder`."""
    return Codec.from_pretrained(tiny_folder)


class Speaking(NamedTuple):
    """Folders of a language model and a duration model for `tiny`, and the file of a voice for both."""

    lm: Path
    durations: Path
    voice: Path


@pytest.fixture(scope="session")
def speaking(tmp_path_factory, tiny) -> Speaking:
    """Untrained models that speak any text, a frame to four a phoneme."""
    from mynah.data.text import PAD, SYMBOLS
    from mynah.lm import LMConfig
    from mynah.lm.network import LMNetwork
    from mynah.tts import Voice
    from mynah.tts.duration_network import DurationConfig, DurationNetwork

    folder = tmp_path_factory.mktemp("speaking")
    torch.manual_seed(0)
    lm = LMNetwork(
        LMConfig(
            name="tiny-lm",
            codec="tiny",
            codec_hash=tiny.codes_hash,
            n_codebooks=3,
            max_frames=350,
            dim=16,
            layers=1,
            head_dim=8,
            embedding_dim=8,
            symbols=tuple(symbol for symbol in SYMBOLS if symbol != PAD),
            phoneme_dim=16,
            phoneme_layers=1,
        )
    )
    durations = DurationNetwork(DurationConfig(name="tiny-durations", speakers=("ann",), dim=16, layers=1))
    for parameter in (*lm.parameters(), *durations.parameters()):
        torch.nn.init.normal_(parameter, std=0.3)
    durations.limits.copy_(torch.tensor([1.0, 4.0]))
    checkpoint.save(folder / "lm", lm.config, lm.state_dict())
    checkpoint.save(folder / "durations", durations.config, durations.state_dict())
    codes = torch.randint(1024, (3, 20))
    voice = Voice("tiny", "tiny", tiny.codes_hash, codes, ("h", "ˈaɪ", "."), (4, 9, 7), rights="CC0")
    voice.save(folder / "tiny.safetensors")
    return Speaking(folder / "lm", folder / "durations", folder / "tiny.safetensors")


@pytest.fixture(scope="session")
def head_folder(tiny, tmp_path_factory) -> Path:
    """A phone head with random weights on `tiny`."""
    torch.manual_seed(0)
    config = PhoneHeadConfig(
        codec="tiny", codec_hash=tiny.codes_hash, layers=4, feature_dim=16, dim=16, blocks=1, kernel=3
    )
    folder = tmp_path_factory.mktemp("head") / "phones"
    checkpoint.save(folder, config, PhoneNetwork(config).state_dict())
    return folder


@pytest.fixture(scope="session")
def speaker_folder(tiny, tmp_path_factory) -> Path:
    """A speaker head with random weights on `tiny`."""
    torch.manual_seed(0)
    config = SpeakerHeadConfig(
        name="tiny-speakers",
        codec="tiny",
        codec_hash=tiny.codes_hash,
        layers=4,
        feature_dim=16,
        dim=16,
        blocks=1,
        embedding_dim=8,
    )
    folder = tmp_path_factory.mktemp("head") / "speakers"
    checkpoint.save(folder, config, SpeakerNetwork(config).state_dict())
    return folder


@pytest.fixture
def tiny_listeners(monkeypatch, head_folder, speaker_folder) -> None:
    """Those who choose among takes listen with the heads of `tiny`."""
    from mynah.apps.continuing_takes import Listener
    from mynah.codec.heads import PhoneHead, SpeakerHead

    def load(cls, codec, takes):
        heads = (
            PhoneHead.from_pretrained(codec, head_folder),
            SpeakerHead.from_pretrained(codec, speaker_folder),
        )
        return cls(codec, *heads, takes)

    monkeypatch.setattr(Listener, "from_pretrained", classmethod(load))


@pytest.fixture(scope="session")
def speech() -> np.ndarray:
    """The speech-like sound, float32 [T] at 16 kHz."""
    from mynah.data.sample import speech_like

    return speech_like().wav[0]


@pytest.fixture(scope="module")
def first_curves() -> Iterator[None]:
    """Of the curves of a run one picture is drawn: one for every evaluation takes longer than training."""
    from mynah.data import spectrogram

    draw = spectrogram.plot_curves

    def draw_first(progress: Path, path: Path, *panels: Sequence[str]) -> None:
        if not path.exists():
            draw(progress, path, *panels)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spectrogram, "plot_curves", draw_first)
        yield


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Torch computes in one thread, whatever the tests before have set."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def write_tokens() -> Callable[..., Path]:
    """Fills a folder of tokens: twelve recordings, each of a few codes that recur, by three speakers; every
    other one is aligned."""
    from mynah.data.shards import Label, ShardWriter, TokenInfo

    def write(folder: Path, info: TokenInfo, aligned: bool = True) -> Path:
        rng = np.random.default_rng(0)
        with ShardWriter(folder, info) as writer:
            for i in range(12):
                frames = 12 + 3 * i
                codes = rng.integers(info.codebook_size, size=(info.n_codebooks, 4))
                codes = np.tile(codes, (1, frames))[:, :frames]
                split = "val" if i % 3 == 2 else "train"
                writer.add(Label(f"r{i}", "own", split, f"s{i % 3}", None, None, 0, 0, 0), codes)
                if aligned and i % 2:
                    line = {"id": f"r{i}", "phonemes": ["a", "~", "b"], "durations": [4, 0, frames - 4]}
                    with open(folder / "alignments.jsonl", "a") as f:
                        f.write(json.dumps(line) + "\n")
        return folder

    return write


@pytest.fixture(scope="session")
def fuzz() -> ModuleType:
    """The program benchmarks/bitstream_fuzz.py as a module."""
    path = Path(__file__).parents[1] / "benchmarks" / "bitstream_fuzz.py"
    spec = importlib.util.spec_from_file_location("bitstream_fuzz", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def mynah(monkeypatch, capfd) -> Callable[..., subprocess.CompletedProcess]:
    """Runs the command line inside this process: `mynah("info", path)` has returncode, stdout and stderr."""
    from mynah.apps import cli

    def run(*arguments: object) -> subprocess.CompletedProcess:
        capfd.readouterr()
        code = cli.run([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return subprocess.CompletedProcess(arguments, code, out, err)

    return run


@pytest.fixture(scope="session")
def python_program() -> Iterator[Callable[..., list[str]]]:
    """Gives the command that runs a Python program like `python -c`, on Linux without the seconds that
    importing torch and whatever is named takes: see tests/warm_python.py."""
    if sys.platform != "linux":
        yield lambda program, *_: [sys.executable, "-c", program]
        return
    script = Path(__file__).with_name("warm_python.py")
    modules = ["torch", "typer", "soundfile", "soxr", "safetensors.torch", "tqdm"]
    with tempfile.TemporaryDirectory(prefix="mynah-") as folder:  # a socket's path has to be short
        address = str(Path(folder, "socket"))
        server = subprocess.Popen(
            [sys.executable, script, "serve", address, *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the programs
        )
        with server:
            assert server.stdout.readline() == b"ready\n"
            run = [sys.executable, "-IS", str(script), "run", address]
            yield lambda program, *more: [*run, ",".join(more), program]
            server.stdin.close()
            assert server.wait(timeout=60) == 0


MYNAH = "from mynah.apps.cli import main; main()"


@pytest.fixture(scope="session")
def mynah_process(python_program) -> Callable[..., subprocess.Popen]:
    """Starts the command line as a process of its own, for pipes and signals.

    `before` is a program to run before it. The named packages are imported already, besides those that every
    process has; for None, or where `preexec_fn` prepares the process, none is.
    """

    def start(
        *arguments: object, before: str = "pass", imported: Sequence[str] | None = (), **options
    ) -> subprocess.Popen:
        program = f"{before}\n{MYNAH}"
        if imported is None or "preexec_fn" in options:
            python = [sys.executable, "-c", program]
        else:
            python = python_program(program, *imported)
        options = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
        } | options
        command = [*python, *map(str, arguments)]
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}  # as users have it
        return subprocess.Popen(command, env={**environment, "OMP_NUM_THREADS": "1"}, **options)

    return start
