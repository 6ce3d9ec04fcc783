"""Speech tokens from phonemes or from a prompt: a language model over the codec's codes."""

from .config import LMConfig
from .generate import MOST_GUIDANCE, Frames
from .language_model import Generation, Heard, LanguageModel, Prompt
from .sampling import Sampling

__all__ = [
    "LanguageModel",
    "LMConfig",
    "Generation",
    "Frames",
    "Heard",
    "Prompt",
    "Sampling",
    "MOST_GUIDANCE",
]
