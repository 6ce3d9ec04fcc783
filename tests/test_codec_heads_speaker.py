"""The speaker head: a batch equals its items, voices are learned, the loss has a margin, foreign codecs are
refused."""

import dataclasses
import json
import math

import numpy as np
import pytest
import torch

from mynah.codec import Codec, checkpoint
from mynah.codec.heads import PhoneHead, SpeakerHead, SpeakerHeadConfig
from mynah.codec.heads.speaker import AttentivePooling, SpeakerNetwork
from mynah.codec.heads.speaker_objective import SpeakerClassifier, margin_loss, with_margin
from mynah.data.errors import AudioError, CheckpointError

SMALL = SpeakerHeadConfig(
    name="small", codec="tiny", layers=4, feature_dim=16, dim=24, blocks=2, embedding_dim=12, dropout=0.0
)


@pytest.fixture
def head(tiny) -> SpeakerHead:
    """An untrained head of the tiny codec."""
    torch.manual_seed(0)
    return SpeakerHead(tiny, SpeakerNetwork(dataclasses.replace(SMALL, codec_hash=tiny.codes_hash)))


@pytest.fixture
def stored(head, tmp_path):
    checkpoint.save(tmp_path / "head", head.config, head.network.state_dict())
    return tmp_path / "head"


def noise(batch: int, samples: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(batch, 1, samples, generator=torch.Generator().manual_seed(seed))


def test_a_batch_equals_its_items_whatever_the_padding_holds(head):
    lengths = [5000, 3210, 640, 1]
    wav = noise(4, 5000)  # loud after the end of its items too
    together = head.embed(wav, lengths)
    assert together.shape == (4, 12) and together.dtype == torch.float32
    alone = [head.embed(row[None, :, :length])[0] for row, length in zip(wav, lengths, strict=True)]
    torch.testing.assert_close(together, torch.stack(alone), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(together.norm(dim=1), torch.ones(4))
    assert bool((together[1:] - together[:-1]).norm(dim=1).gt(1e-3).all())
    assert torch.equal(head.embed(wav), head.embed(wav.numpy(), [5000] * 4))


def test_silence_has_an_embedding_too(head):
    found = head.embed(torch.zeros(1, 1, 1600))
    assert float(found.norm()) == pytest.approx(1, abs=1e-4)


def test_pooling_gives_mean_and_deviation_of_what_counts():
    pool = AttentivePooling(5)
    torch.nn.init.zeros_(pool.scores.weight)  # no frame tells more than another
    x = torch.randn(2, 9, 5)
    inside = (torch.arange(9) < torch.tensor([[9], [4]]))[:, :, None]
    found = pool(x, inside)
    for row, item, n in zip(found, x, (9, 4), strict=True):
        torch.testing.assert_close(row[:5], item[:n].mean(0))
        torch.testing.assert_close(row[5:], item[:n].std(0, correction=0), rtol=1e-3, atol=1e-3)
    with torch.no_grad():
        pool.scores.weight[3] = 1e3  # one channel looks at single frames, the others go on as they were
    picked = pool(x, inside)
    torch.testing.assert_close(picked[:, :3], found[:, :3])
    assert bool((picked[:, 8] < 0.5 * found[:, 8]).any())


def test_one_batch_of_tones_is_learned(tiny):
    """Four speakers who hum, each at a pitch of their own: new sounds of theirs are told apart."""

    def hum(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        rng = np.random.default_rng(seed)
        t = np.arange(8000) / 16000
        who = np.tile(np.arange(4), 3)
        pitch = 120 * 1.6 ** who[:, None] * rng.uniform(0.98, 1.02, (12, 1))
        phases = rng.uniform(0, 2 * np.pi, (12, 5))
        wav = sum(np.sin(2 * np.pi * (h + 1) * pitch * t + phases[:, h : h + 1]) / (h + 1) for h in range(5))
        wav = 0.2 * rng.uniform(0.5, 1, (12, 1)) * wav + rng.normal(0, 1e-3, wav.shape)
        return torch.from_numpy(wav.astype(np.float32))[:, None], torch.from_numpy(who)

    torch.manual_seed(0)
    network = SpeakerNetwork(SMALL)
    classifier = SpeakerClassifier(network, 4)
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=5e-3)
    wav, who = hum(0)
    hidden, frames = tiny.depths(wav).hidden, torch.full((12,), 25)
    for _ in range(80):
        optimizer.zero_grad()
        result = margin_loss(classifier.train()(hidden, frames), who)
        result.loss.backward()
        optimizer.step()
    assert result.report["error"] == 0 and result.report["loss"] < 0.5
    new, who = hum(1)
    found = SpeakerHead(tiny, network).embed(new)
    alike = found @ found.T
    same = who[:, None] == who
    assert float(alike[same].min()) > float(alike[~same].max())


def test_the_margin_is_an_angle():
    angles = torch.linspace(0.1, math.pi - 0.25, 30)
    torch.testing.assert_close(with_margin(angles.cos(), 0.2), (angles + 0.2).cos(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(with_margin(angles.cos(), 0.0), angles.cos())
    cosines = torch.linspace(-1, 1, 401, requires_grad=True)
    harder = with_margin(cosines, 0.2)
    assert bool((harder.diff() > -1e-3).all())  # more alike never counts less
    harder.sum().backward()
    assert bool(cosines.grad.isfinite().all())


def test_the_loss_asks_for_more_than_the_nearest():
    cosines, speakers = torch.tensor([[0.5, 0.45, -0.2], [0.1, 0.9, 0.2]]), torch.tensor([0, 1])
    plain = margin_loss(cosines, speakers, margin=0.0, scale=30.0)
    expected = torch.nn.functional.cross_entropy(30 * cosines, speakers)
    torch.testing.assert_close(plain.loss, expected)
    with_it = margin_loss(cosines, speakers, margin=0.2, scale=30.0)
    assert float(with_it.loss) > float(plain.loss) + 1
    by_hand = 30 * torch.tensor([math.cos(math.acos(0.5) + 0.2), 0.45, -0.2])
    first = margin_loss(cosines[:1], speakers[:1])
    assert float(first.loss) == pytest.approx(float(by_hand.logsumexp(0) - by_hand[0]), rel=1e-4)
    assert plain.report == {"loss": pytest.approx(float(expected)), "error": 0.0}
    assert margin_loss(cosines, torch.tensor([1, 1])).report["error"] == 0.5


def test_directions_are_not_of_the_head():
    network = SpeakerNetwork(SMALL)
    classifier = SpeakerClassifier(network, 5)
    assert classifier.directions.shape == (5, 12)
    assert not any("directions" in name for name in network.state_dict())
    louder = torch.randn(4, 2, 16, 10)
    before = classifier.eval()(louder, torch.tensor([10, 10])).detach()
    with torch.no_grad():
        classifier.directions *= 7
    torch.testing.assert_close(classifier(louder, torch.tensor([10, 10])).detach(), before)
    assert float(before.abs().max()) <= 1 + 1e-6


def test_a_stored_head_is_read_again(head, stored, tiny):
    again = SpeakerHead.from_pretrained(tiny, stored)
    assert again.config == head.config
    assert not any(p.requires_grad for p in again.network.parameters()) and not again.network.training
    wav = noise(1, 3200)
    torch.testing.assert_close(again.embed(wav), head.embed(wav), rtol=0.01, atol=0.01)


def test_a_foreign_codec_is_refused(stored, other_codec):
    with pytest.raises(CheckpointError, match=r"small reads features of tiny [0-9a-f]{8}, not of tiny"):
        SpeakerHead.from_pretrained(Codec.from_pretrained(other_codec), stored)


def test_other_sizes_are_refused(tiny):
    with pytest.raises(CheckpointError, match="3 depths of 16 channels, tiny has 4"):
        SpeakerHead(tiny, SpeakerNetwork(dataclasses.replace(SMALL, layers=3)))


def test_an_unknown_head_lists_the_shipped_ones_of_its_kind(tiny):
    with pytest.raises(CheckpointError, match="'nothing' is neither a shipped speaker head") as error:
        SpeakerHead.from_pretrained(tiny, "nothing")
    assert "phones" not in str(error.value)
    with pytest.raises(CheckpointError, match=r"neither a shipped phone head \(phones-16k\)"):
        PhoneHead.from_pretrained(tiny, "nothing")


def test_a_head_of_another_kind_is_refused(tiny, head_folder, stored):
    with pytest.raises(CheckpointError, match="unknown keys"):
        SpeakerHead.from_pretrained(tiny, head_folder)
    with pytest.raises(CheckpointError, match="unknown keys"):
        PhoneHead.from_pretrained(tiny, stored)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("colour", 1, "unknown keys"),
        ("embedding_dim", 0, "embedding_dim=0"),
        ("embedding_dim", 1.5, "embedding_dim=1.5"),
        ("kernel", 4, "odd"),
        ("dropout", 1, "dropout=1"),
        ("codec", "", "codec=''"),
        ("blocks", 3, "tensor"),
    ],
)
def test_a_wrong_config_is_refused(stored, tiny, key, value, words):
    path = stored / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(CheckpointError, match=words):
        SpeakerHead.from_pretrained(tiny, stored)


@pytest.mark.parametrize(
    ("wav", "lengths"),
    [
        (torch.zeros(1, 1, 0), None),
        (torch.zeros(0, 1, 400), None),
        (torch.full((1, 1, 400), torch.nan), None),
        (torch.full((1, 1, 400), torch.inf), None),
        (torch.zeros(400), None),
        (torch.zeros(1, 1, 9, dtype=torch.int16), None),
        (torch.zeros(1, 2, 400), None),
        (torch.zeros(2, 1, 400), [400]),
        (torch.zeros(2, 1, 400), [400, 0]),
        (torch.zeros(2, 1, 400), [401, 1]),
        (torch.zeros(2, 1, 400), []),
    ],
)
def test_bad_sound_is_refused(head, wav, lengths):
    with pytest.raises(AudioError):
        head.embed(wav, lengths)
