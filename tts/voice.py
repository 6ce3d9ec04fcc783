"""A voice: what the language model has to hear before it speaks in it, in one small safetensors file.

The file holds `codes` int16 [K, P], the prompt; `durations` int32 [S] of its phonemes, where they are known;
`speaker_vector` float32 [D], where the voice has one. Its metadata are `format`, `version`, and `voice`: a
JSON object with everything else. What is read is checked before it is believed, and a file is never larger
than `MAX_BYTES` in memory, whatever its header says.
"""

import json
import os
import re
import secrets
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from ..codec import Codec
from ..data.errors import MynahError
from ..lm import LanguageModel, Prompt

SUFFIX = ".safetensors"
FORMAT, VERSION = "mynah-voice", "1"
MAX_BYTES = 1 << 20
MAX_CODEBOOKS, MAX_FRAMES, MAX_VECTOR = 64, 3000, 4096
GUIDANCE = 1.5  # more makes words clearer, sounds harsher, and leads away from a prompt's voice
MAX_TEXT = 10_000  # characters of `rights`
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


class VoiceError(MynahError, ValueError):
    """A voice that is missing, damaged, or made for another codec or language model."""


@dataclass(frozen=True)
class Voice:
    """Checked when it is made: a `Voice` is one that can be stored.

    Attributes:
        name: lower-case letters, digits, - and _, 40 at the most.
        codec, codec_hash: name and `codes_hash` of the codec that made the codes.
        lm: name of the language model that its speaker vector belongs to; "" for a voice without one.
        speaker: name by which the duration model knows the voice; "" where it does not.
        rights: licence and consent, as text.
        codes: int64 [K, P], the prompt; P may be 0 for a voice that the language model knows by its vector.
        phonemes, durations: what the prompt says, and the frames of each, which add up to P; or neither.
        speaker_vector: float [D] for a language model with speaker vectors, or None.
    """

    name: str
    codec: str
    codec_hash: str
    codes: Tensor
    phonemes: tuple[str, ...] = ()
    durations: tuple[int, ...] = ()
    lm: str = ""
    speaker: str = ""
    rights: str = ""
    speaker_vector: Tensor | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not NAME.fullmatch(self.name):
            shown = repr(self.name)[:60]
            raise VoiceError(f"name={shown}: a name of lower-case letters, digits, - and _ is expected")
        for field in ("codec", "codec_hash", "lm", "speaker", "rights"):
            value = getattr(self, field)
            if not isinstance(value, str) or len(value) > MAX_TEXT:
                raise VoiceError(f"{field}: a text of at most {MAX_TEXT} characters is expected")
        self._check_codes()
        self._check_phonemes()
        vector = self.speaker_vector
        if vector is not None:
            if vector.ndim != 1 or not 0 < len(vector) <= MAX_VECTOR or not vector.is_floating_point():
                raise VoiceError(f"speaker_vector has shape {tuple(vector.shape)}: float [D] is expected")
            if not bool(vector.isfinite().all()):
                raise VoiceError("speaker_vector holds NaN or infinity")

    def _check_codes(self) -> None:
        codes = self.codes
        if codes.ndim != 2 or codes.dtype != torch.int64 or not 0 < len(codes) <= MAX_CODEBOOKS:
            found = f"{codes.dtype} of shape {tuple(codes.shape)}"
            raise VoiceError(f"codes are {found}: int64 [codebooks, frames] is expected")
        if codes.shape[1] > MAX_FRAMES:
            raise VoiceError(f"codes have {codes.shape[1]} frames, at most {MAX_FRAMES} are allowed")
        if codes.numel() and not 0 <= int(codes.min()) <= int(codes.max()) < 1 << 15:
            raise VoiceError(f"codes lie in {int(codes.min())}..{int(codes.max())}: 0..32767 is expected")

    def _check_phonemes(self) -> None:
        if not all(isinstance(p, str) and 0 < len(p) <= 8 for p in self.phonemes):
            raise VoiceError("phonemes: a list of short texts is expected")
        if len(self.phonemes) != len(self.durations):
            raise VoiceError(f"{len(self.phonemes)} phonemes and {len(self.durations)} durations")
        if not self.phonemes:
            return
        if any(type(n) is not int or n < 0 for n in self.durations):
            raise VoiceError("durations: whole numbers of frames from 0 are expected")
        if sum(self.durations) != self.codes.shape[1]:
            total = sum(self.durations)
            raise VoiceError(f"durations add up to {total} frames, the codes have {self.codes.shape[1]}")

    def check(self, codec: Codec, lm: LanguageModel) -> None:
        """VoiceError unless these models can speak in this voice."""
        if self.codec_hash not in ("", codec.codes_hash):
            raise VoiceError(
                f"the voice {self.name} was made with codec {self.codec} {self.codec_hash[:8]}, not with "
                f"{codec.config.name} {codec.codes_hash[:8]}: make it again with mynah voice add"
            )
        c = lm.config
        if len(self.codes) < c.n_codebooks:
            have = f"the voice {self.name} has {len(self.codes)} codebooks"
            raise VoiceError(f"{have}, {c.name} needs {c.n_codebooks}")
        if self.codes.numel() and int(self.codes.max()) >= c.codebook_size:
            raise VoiceError(f"the voice {self.name} has codes above {c.codebook_size - 1}: not of {c.codec}")
        unknown = sorted(set(self.phonemes) - set(c.symbols)) if lm.subwords is None else []
        if unknown:
            raise VoiceError(f"the voice {self.name} says {unknown[0]!r}, which {c.name} does not know")
        if self.speaker_vector is not None and (self.lm, len(self.speaker_vector)) != (c.name, c.speaker_dim):
            raise VoiceError(
                f"the voice {self.name} is one of {self.lm} with {len(self.speaker_vector)} dimensions, "
                f"not of {c.name} with {c.speaker_dim}"
            )
        if self.speaker and self.speaker_vector is not None and c.speakers:
            own = c.speakers.index(self.speaker) if self.speaker in c.speakers else -1
            if int(self.speaker_vector.argmax()) != own:
                raise VoiceError(f"the voice {self.name} is none of this {c.name}'s: {', '.join(c.speakers)}")

    def prompt(self, n_codebooks: int) -> Prompt | None:
        """What `LanguageModel.speak` takes; None for a voice without prompt."""
        if not self.codes.shape[1]:
            return None
        return Prompt(self.codes[:n_codebooks], self.phonemes, self.durations)

    def save(self, path: Path) -> None:
        """Write the file, to a temporary name first."""
        tensors = {"codes": self.codes.to(torch.int16).contiguous()}
        if self.phonemes:
            tensors["durations"] = torch.tensor(self.durations, dtype=torch.int32)
        if self.speaker_vector is not None:
            tensors["speaker_vector"] = self.speaker_vector.float().contiguous()
        about = {name: getattr(self, name) for name in _TEXTS} | {"phonemes": list(self.phonemes)}
        metadata = {"format": FORMAT, "version": VERSION, "voice": json.dumps(about, ensure_ascii=False)}
        temporary = path.with_name(f".mynah-{secrets.token_hex(6)}.part")
        try:
            temporary.write_bytes(save(tensors, metadata))
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: Path) -> "Voice":
        """Read a file.

        Raises:
            VoiceError: not a voice, damaged, or of a later version; one line with the path.
        """
        try:
            with open(path, "rb") as file:
                data = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise VoiceError(f"{path}: cannot be read ({error.strerror or error})") from None
        try:
            return cls._parse(data)
        except VoiceError as error:
            raise VoiceError(f"{path}: {error}") from None
        except (SafetensorError, ValueError, KeyError, TypeError, RecursionError, RuntimeError):
            raise VoiceError(f"{path}: not a voice, or damaged") from None

    @classmethod
    def _parse(cls, data: bytes) -> "Voice":
        if len(data) > MAX_BYTES:
            raise VoiceError(f"larger than {MAX_BYTES} bytes: not a voice")
        tensors = load(data)  # checks that header and tensors are just these bytes
        metadata = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")]).get("__metadata__") or {}
        if metadata.get("format") != FORMAT:
            raise VoiceError("not a voice")
        if metadata.get("version") != VERSION:
            found = str(metadata.get("version"))[:20]
            raise VoiceError(f"a voice of version {found}, this program reads {VERSION}")
        about = json.loads(metadata["voice"])
        if not isinstance(about, dict) or set(about) != {*_TEXTS, "phonemes"}:
            raise VoiceError("damaged: its description lacks something, or has too much")
        if not isinstance(about["phonemes"], list):
            raise VoiceError("phonemes: a list of short texts is expected")
        _check_tensors(tensors)
        durations = tensors.get("durations")
        return cls(
            codes=tensors["codes"].long(),
            durations=tuple(durations.tolist()) if durations is not None else (),
            speaker_vector=tensors.get("speaker_vector"),
            **about | {"phonemes": tuple(about["phonemes"])},
        )


_TENSORS = {"codes": torch.int16, "durations": torch.int32, "speaker_vector": torch.float32}
_TEXTS = [f.name for f in fields(Voice) if f.name not in (*_TENSORS, "phonemes")]


def _check_tensors(tensors: dict[str, Any]) -> None:
    """VoiceError for a tensor too many, of another type, or too few."""
    if "codes" not in tensors or not set(tensors) <= set(_TENSORS):
        expected = ", ".join(_TENSORS)
        raise VoiceError(f"damaged: of the tensors {expected} it has {', '.join(sorted(tensors)) or 'none'}")
    for name, tensor in tensors.items():
        if tensor.dtype != _TENSORS[name] or (name == "durations" and tensor.ndim != 1):
            raise VoiceError(f"{name} are {tensor.dtype} of shape {tuple(tensor.shape)}")
