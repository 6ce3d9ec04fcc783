"""What else the codec's encoder can do: heads that read its continuous features."""

from .ctc import PhoneHead, Scores
from .phone_config import PhoneHeadConfig
from .speaker import SpeakerHead
from .speaker_config import SpeakerHeadConfig
from .taps import OtherCodecError

__all__ = ["OtherCodecError", "PhoneHead", "PhoneHeadConfig", "Scores", "SpeakerHead", "SpeakerHeadConfig"]
