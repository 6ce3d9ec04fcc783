"""Other people's tokenizers behind one small protocol, to compare with and to train language models on.

EnCodec (Défossez et al. 2022), Mimi (Défossez et al. 2024, Moshi) and DAC (Kumar et al. 2023) run through
`transformers` (`pip install 'mynah[peers]'`), from a local folder or by their name on the hub; EnCodec also
through its authors' package `encodec`, from a folder with their file of weights. All are imported only when
asked for.
"""

import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from ..data import audio
from ..data.errors import AudioError, CheckpointError
from .codec import Codec

_HUB_TIMEOUT = 10.0  # seconds; the hub's own client tries for minutes
_HUB_NAMES = {"encodec": "facebook/encodec_24khz", "mimi": "kyutai/mimi", "dac": "descript/dac_16khz"}


class Tokenizer(Protocol):
    """Waveform to codes and back, at one of several bitrates.

    Attributes:
        name: such as "encodec:facebook/encodec_24khz".
        sample_rate: of the sound that `decode` gives, Hz.
        frame_rate: frames of codes per second.
        codebook_size: entries per codebook.
        n_codebooks: codebooks K at the highest bitrate.
        bitrates: what `encode` offers, kbit/s without entropy coding, lowest first.
    """

    name: str
    sample_rate: int
    frame_rate: float
    codebook_size: int
    n_codebooks: int
    bitrates: tuple[float, ...]

    def encode(self, wav: Tensor, sample_rate: int, bitrate: float) -> Tensor:
        """Codes int64 [B, K, N] of mono wav [B, 1, T]; ValueError lists the offered bitrates."""

    def decode(self, codes: Tensor) -> Tensor:
        """wav float32 [B, 1, T] at the tokenizer's own rate: of the coded length, or up to a frame longer."""


class CodecTokenizer:
    """One of this project's codecs as a `Tokenizer`."""

    def __init__(self, codec: Codec):
        self.codec = codec
        self.name = codec.config.name
        self.sample_rate, self.frame_rate = codec.config.sample_rate, codec.config.frame_rate
        self.codebook_size, self.n_codebooks = codec.config.codebook_size, codec.config.n_codebooks
        self.bitrates = codec.config.bitrates

    def encode(self, wav: Tensor, sample_rate: int, bitrate: float) -> Tensor:
        """As `Tokenizer.encode`; there is one frame more than the sound fills."""
        return self.codec.encode(_mono(wav), sample_rate, bitrate).codes

    def decode(self, codes: Tensor) -> Tensor:
        """As `Tokenizer.decode`."""
        return self.codec.decode(codes)


class PeerTokenizer:
    """What all peers share: rates, resampling, the choice of a number of codebooks.

    Args:
        name: as in `Tokenizer`.
        sample_rate, hop_length: of the network, Hz and samples.
        codebook_size: entries per codebook, a power of two.
        codebooks: the numbers of codebooks that are offered, rising.
        run_encode: wav [B, 1, T] at `sample_rate`, T a multiple of `hop_length`, and K -> codes [B, K, N].
        run_decode: codes [B, K, N] -> wav [B, 1, T].
    """

    def __init__(
        self,
        name: str,
        sample_rate: int,
        hop_length: int,
        codebook_size: int,
        codebooks: list[int],
        run_encode: Callable[[Tensor, int], Tensor],
        run_decode: Callable[[Tensor], Tensor],
    ):
        self.name, self.sample_rate, self.hop_length = name, sample_rate, hop_length
        self.frame_rate = sample_rate / hop_length
        self.codebook_size, self.n_codebooks = codebook_size, codebooks[-1]
        bits = codebook_size.bit_length() - 1
        self._codebooks = {round(k * bits * self.frame_rate / 1000, 4): k for k in codebooks}
        self.bitrates = tuple(self._codebooks)
        self._run_encode, self._run_decode = run_encode, run_decode

    @torch.no_grad()
    def encode(self, wav: Tensor, sample_rate: int, bitrate: float) -> Tensor:
        """As `Tokenizer.encode`."""
        n_codebooks = self._codebooks.get(round(bitrate, 4))
        if n_codebooks is None:
            offered = ", ".join(f"{b:g}" for b in self.bitrates)
            raise ValueError(f"{self.name} does not offer {bitrate:g} kbit/s: choose one of {offered}")
        own = torch.from_numpy(audio.resample(_mono(wav)[:, 0].numpy(), sample_rate, self.sample_rate))
        padded = F.pad(own, (0, -own.shape[-1] % self.hop_length)).unsqueeze(1)
        return self._run_encode(padded, n_codebooks)

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """As `Tokenizer.decode`; what a network leaves out at the end is silence."""
        wav = self._run_decode(codes)
        return F.pad(wav, (0, max(0, codes.shape[-1] * self.hop_length - wav.shape[-1])))


def load_tokenizer(spec: str, download: bool = True) -> Tokenizer:
    """Load a tokenizer by what it is and where it lies.

    Args:
        spec: "encodec", "mimi" or "dac", a colon, and a local folder or a name on the hub (without colon: the
            published weights); anything else is a codec of this project, by its name or folder.
        download: ask the hub for what is neither a folder nor in the hub's cache on this machine.

    Raises:
        CheckpointError: no weights there, others than those asked for, or a package that is not installed.
    """
    family, _, place = spec.partition(":")
    if family not in _HUB_NAMES:
        return CodecTokenizer(Codec.from_pretrained(spec))
    place = place or _HUB_NAMES[family]
    name = f"{family}:{place}"
    if family == "encodec" and list(Path(place).glob("encodec_24khz-*.th")):
        return _wrap_encodec_package(name, _load_encodec_package(Path(place)))
    return wrap_model(name, _load_model(family, place, download))


def wrap_model(name: str, model: Any) -> PeerTokenizer:
    """A `transformers` model (EncodecModel, MimiModel or DacModel) as a `Tokenizer`.

    Raises:
        CheckpointError: a stereo EnCodec, whose codes do not hold the loudness of its chunks.
    """
    config, model = model.config, model.eval()
    if config.model_type == "encodec":
        if config.normalize or config.chunk_length_s or config.audio_channels != 1:
            raise CheckpointError(f"{name}: only EnCodec's 24 kHz model for one channel can be used")
        bits = config.codebook_size.bit_length() - 1
        hop, per_book = config.hop_length, config.sampling_rate / config.hop_length * bits / 1000
        bandwidths = {int(b // per_book): b for b in config.target_bandwidths}
        codebooks = list(bandwidths)

        def encode(wav: Tensor, k: int) -> Tensor:
            return model.encode(wav, bandwidth=bandwidths[k]).audio_codes[0]

        def decode(codes: Tensor) -> Tensor:
            return model.decode(codes[None], [None]).audio_values

    elif config.model_type == "mimi":
        hop = round(config.sampling_rate / config.frame_rate)
        codebooks = list(range(1, config.num_quantizers + 1))

        def encode(wav: Tensor, k: int) -> Tensor:
            return model.encode(wav, num_quantizers=k).audio_codes

        def decode(codes: Tensor) -> Tensor:
            return model.decode(codes).audio_values

    else:
        hop, codebooks = config.hop_length, list(range(1, config.n_codebooks + 1))

        def encode(wav: Tensor, k: int) -> Tensor:
            return model.encode(wav, n_quantizers=k).audio_codes

        def decode(codes: Tensor) -> Tensor:
            return model.decode(audio_codes=codes).audio_values.unsqueeze(1)

    return PeerTokenizer(name, config.sampling_rate, hop, config.codebook_size, codebooks, encode, decode)


def _wrap_encodec_package(name: str, model: Any) -> PeerTokenizer:
    per_book = model.frame_rate * model.bits_per_codebook / 1000
    bandwidths = {int(b // per_book): b for b in model.target_bandwidths}

    def encode(wav: Tensor, k: int) -> Tensor:
        model.set_target_bandwidth(bandwidths[k])
        return model.encode(wav)[0][0]

    def decode(codes: Tensor) -> Tensor:
        return model.decode([(codes, None)])

    hop = model.sample_rate // model.frame_rate
    return PeerTokenizer(
        name, model.sample_rate, hop, 1 << model.bits_per_codebook, list(bandwidths), encode, decode
    )


def _load_encodec_package(folder: Path) -> Any:
    try:
        from encodec import EncodecModel
    except (ImportError, OSError) as error:  # OSError: a torchaudio that was built for another torch
        raise CheckpointError(
            f"{folder}: these weights need the package encodec, which cannot be imported ({_line(error)})"
        ) from error
    try:
        return EncodecModel.encodec_model_24khz(repository=folder).eval()
    except Exception as error:  # whatever that package raises for a damaged file
        raise CheckpointError(f"{folder}: not EnCodec's weights ({_line(error)})") from error


def _load_model(family: str, place: str, download: bool) -> Any:
    name, local = f"{family}:{place}", Path(place).is_dir()
    if not local and (place.startswith((".", "/", "~")) or place.count("/") != 1):
        raise CheckpointError(f"{name}: no such folder")
    try:
        from transformers import AutoConfig, AutoModel
    except (ImportError, OSError, RuntimeError) as error:  # a broken torchaudio breaks it in its own ways
        raise CheckpointError(
            f"{name} needs the package transformers ({_line(error)}): pip install 'mynah[peers]'"
        ) from error
    try:
        offline = local or not download or _is_cached(AutoConfig, place)
        if not offline:
            _require_hub(name, place)
        config = AutoConfig.from_pretrained(place, local_files_only=offline)
        if config.model_type != family:
            raise CheckpointError(f"{name}: holds a model of type {config.model_type!r}, not {family!r}")
        model, found = AutoModel.from_pretrained(
            place, config=config, use_safetensors=True, output_loading_info=True, local_files_only=offline
        )
    except CheckpointError:
        raise
    except Exception as error:  # every kind of damage has its own, in another package
        where = "" if local else " on this machine"
        raise CheckpointError(f"{name}: no weights that can be read{where} ({_line(error)})") from error
    lacking = sorted([*found["missing_keys"], *(str(key[0]) for key in found["mismatched_keys"])])
    if lacking:
        count = f"{len(lacking)} tensors are missing or misshapen"
        raise CheckpointError(f"{name}: {count}, such as {lacking[0]}")
    return model


def _is_cached(config_class: Any, place: str) -> bool:
    try:
        config_class.from_pretrained(place, local_files_only=True)
    except OSError:
        return False
    return True


def _require_hub(name: str, place: str) -> None:
    """One short question first: the client itself asks for minutes."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        raise CheckpointError(f"{name}: not on this machine, and HF_HUB_OFFLINE forbids the hub")
    request = urllib.request.Request(f"{constants.ENDPOINT}/{place}", method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=_HUB_TIMEOUT).close()
    except urllib.error.HTTPError as error:
        raise CheckpointError(f"{name}: not on this machine, and the hub says {error}") from error
    except OSError as error:
        raise CheckpointError(
            f"{name}: not on this machine, and the hub cannot be reached ({_line(error)})"
        ) from error


def _mono(wav: Tensor) -> Tensor:
    wav = Codec.checked(wav)
    if wav.shape[1] != 1:
        raise AudioError(f"wav has {wav.shape[1]} channels: a tokenizer takes one, [batch, 1, samples]")
    return wav


def _line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
