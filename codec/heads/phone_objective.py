"""The arithmetic of training a phone head, apart from any loop.

CTC is trained as always. The frames learn by expectation and maximisation, as in hidden Markov models (Baum
et al. 1970): an *aligner*, which is the network as it was some steps ago, says how probable each phone is in
each frame, given the transcript; the network learns to tell the same from the sound alone. The first aligner
knows nothing and spreads the phones evenly. A network that aligns for itself at every step, in contrast, ends
with a silence, or a phone, that lasts for most of the recording (docs/log.md)."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .ctc import PhoneNetwork
from .paths import GAP, all_paths, ctc_chain, stack, word_chain
from .taps import mask_features

TIME_SHARE, CHANNEL_SHARE = 0.08, 0.2


class Loss(NamedTuple):
    """`loss`: call backward on it; `report`: nats per frame of each part, for the log."""

    loss: Tensor
    report: dict[str, float]


def phone_loss(
    model: nn.Module,
    aligner: PhoneNetwork | None,
    hidden: Tensor,
    lengths: Tensor,
    words: Sequence[Sequence[Sequence[int]]],
) -> Loss:
    """CTC, plus the cross-entropy of the frames to what the aligner says, less that of the symbols as such
    (which has no gradient); both in nats per frame.

    Items with fewer frames than their phones need count nothing.

    Args:
        model: a `PhoneNetwork`, perhaps wrapped for several processes.
        aligner: the network of some steps ago in evaluation mode, or None for the one that knows nothing.
        hidden: features [L, B, D, N]; with the model in training mode it sees them with holes (SpecAugment).
        lengths: frames of each item [B].
        words: ids of the phones of each word of each item.
    """
    labels = [[phone for word in item for phone in word] for item in words]
    long_enough = [ctc_chain(item).least <= n for item, n in zip(labels, lengths.tolist(), strict=True)]
    counted = torch.tensor(long_enough, device=hidden.device)
    total = (lengths * counted).sum().clamp_min(1)
    holed = mask_features(hidden, lengths, TIME_SHARE, CHANNEL_SHARE) if model.training else hidden
    scores = model(holed, lengths)
    known = torch.zeros_like(scores.frames)
    if aligner is not None:
        with torch.no_grad():
            heard = aligner(hidden, lengths)
        known = heard.hinted(1.0)
    expected = all_paths(known, lengths, stack([word_chain(item) for item in words], hidden.device)).occupancy
    frames = -(expected * counted[:, None, None] * scores.frames).sum()
    ctc = F.ctc_loss(
        scores.ctc.transpose(0, 1),
        torch.tensor([label for item in labels for label in item], device=hidden.device),
        lengths,
        torch.tensor([len(item) for item in labels], device=hidden.device),
        blank=GAP,
        reduction="sum",
        zero_infinity=True,
    )
    loss = (ctc + frames) / total
    return Loss(loss, {"ctc": float(ctc.detach() / total), "frames": float(frames.detach() / total)})
