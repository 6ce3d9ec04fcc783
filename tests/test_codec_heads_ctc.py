"""The phone head: a batch equals its items, one batch is learned, foreign codecs are refused."""

import copy
import dataclasses
import json
from typing import NamedTuple

import numpy as np
import pytest
import torch

from mynah.codec import Codec, checkpoint
from mynah.codec.heads import PhoneHead, PhoneHeadConfig
from mynah.codec.heads.ctc import PhoneNetwork, collapse
from mynah.codec.heads.paths import best_path, stack, word_chain
from mynah.codec.heads.phone_config import PHONES
from mynah.codec.heads.phone_objective import phone_loss
from mynah.codec.heads.taps import DepthMix, mask_features
from mynah.data.errors import AudioError, CheckpointError
from mynah.data.text import SILENCE, SYMBOLS

SMALL = PhoneHeadConfig(
    name="small", codec="tiny", layers=4, feature_dim=16, dim=32, blocks=2, kernel=5, dropout=0.0
)


@pytest.fixture
def head(tiny) -> PhoneHead:
    """An untrained head of the tiny codec."""
    torch.manual_seed(0)
    config = dataclasses.replace(SMALL, codec_hash=tiny.codes_hash)
    return PhoneHead(tiny, PhoneNetwork(config))


@pytest.fixture
def stored(head, tmp_path):
    checkpoint.save(tmp_path / "head", head.config, head.network.state_dict())
    return tmp_path / "head"


def noise(batch: int, samples: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(batch, 1, samples, generator=torch.Generator().manual_seed(seed))


def test_phones_are_the_sounds_of_the_inventory_without_their_stress():
    assert len(PHONES) == 41
    marks = str.maketrans("", "", "ˈˌ")
    assert set(PHONES) == {s.translate(marks) for s in SYMBOLS[SYMBOLS.index("p") :]}
    assert SMALL.ids(["ˈɑ", "ɑ", "ˌɑ"]) == [SMALL.symbols.index("ɑ")] * 3
    with pytest.raises(ValueError, match="'~' is no phone"):
        SMALL.ids([SILENCE])


def test_depths_are_weighted_by_a_softmax():
    hidden = torch.randn(3, 2, 8, 5)
    mix = DepthMix(3, 8)
    with torch.no_grad():
        mix.weights.copy_(torch.tensor([-50.0, 50.0, -50.0]))
    alone = torch.nn.functional.layer_norm(hidden[1].transpose(1, 2), (8,))
    torch.testing.assert_close(mix(hidden), torch.nn.functional.layer_norm(alone, (8,)))
    louder = hidden.clone()
    louder[0] *= 1000  # no depth outweighs the others by its scale
    torch.testing.assert_close(DepthMix(3, 8)(louder), DepthMix(3, 8)(hidden), rtol=1e-3, atol=1e-3)


def test_masks_are_holes_in_time_and_channels():
    torch.manual_seed(0)
    hidden = torch.ones(2, 3, 40, 100)
    masked = mask_features(hidden, torch.tensor([100, 100, 50]), 0.2, 0.3)
    assert torch.equal(masked[0], masked[1])  # the same at every depth
    lost = masked[0] == 0
    assert set(masked.unique().tolist()) == {0.0, 1.0}
    assert 0 < lost.float().mean() < 0.7
    dead = lost.all(2).float().mean(1)
    assert bool((dead <= 0.3 + 0.2).all())
    assert torch.equal(mask_features(hidden, torch.tensor([100] * 3), 0.0, 0.0), hidden)


def test_a_batch_equals_its_items(head):
    lengths = [5000, 3210, 640]
    wav = noise(3, 5000)
    for row, length in zip(wav, lengths, strict=True):
        row[:, length:] = 0
    together = head.scores(wav, lengths)
    for i, length in enumerate(lengths):
        alone = head.scores(wav[i : i + 1, :, :length])
        assert alone.ctc.shape == (1, head.frames_of(length), len(head.config.symbols))
        for one, all_ in ((alone.ctc, together.ctc), (alone.frames, together.frames)):
            torch.testing.assert_close(one[0], all_[i, : one.shape[1]], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(together.ctc.exp().sum(-1), torch.ones(3, 16))
    assert head.recognise(wav, lengths)[2] == head.recognise(wav[2:, :, :640])[0]


def test_it_sees_both_sides(head):
    wav = noise(1, 6400)
    changed = wav.clone()
    changed[..., 3200:] *= -0.5
    before, after = head.scores(wav).frames[0, :10], head.scores(changed).frames[0, :10]
    assert (before - after).abs().amax(1)[-1] > 1e-4


class Batch(NamedTuple):
    """Sentences in which each phone is a tone; `ends`: frames where the states of their chains end."""

    wav: torch.Tensor
    lengths: torch.Tensor
    words: list[list[list[int]]]
    ends: list[np.ndarray]


def tones(rng: np.random.Generator, size: int, n_phones: int, n_words: int) -> Batch:
    """Words of one to three phones, 0.08 to 0.2 s each, with pauses of up to 0.24 s around."""
    waves, words, ends = [], [], []
    for _ in range(size):
        said = [rng.permutation(n_phones)[: rng.integers(1, 4)] + 1 for _ in range(n_words)]
        durations, parts = [int(rng.integers(3, 12))], [np.zeros(0)]
        parts.append(np.zeros(320 * durations[0]))
        for word in said:
            for phone in word:
                durations.append(int(rng.integers(4, 11)))
                t = np.arange(320 * durations[-1]) / 16000
                parts.append(0.3 * np.sin(2 * np.pi * 250 * 1.8 ** (phone - 1) * t))
            durations.append(int(rng.integers(0, 12)))
            parts.append(np.zeros(320 * durations[-1]))
        waves.append(np.concatenate(parts))
        words.append([word.tolist() for word in said])
        ends.append(np.cumsum(durations))
    wav = rng.normal(0, 1e-3, (size, 1, max(map(len, waves)))).astype(np.float32)
    for row, wave in zip(wav, waves, strict=True):
        row[0, : len(wave)] += wave
    return Batch(torch.from_numpy(wav), torch.tensor([len(w) // 320 for w in waves]), words, ends)


def learn(network: PhoneNetwork, codec: Codec, batches: list[Batch], steps: int, lr: float) -> None:
    """As the training program does, aligned anew every 30 steps."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=lr)
    hidden = [codec.depths(batch.wav).hidden for batch in batches]
    aligner = None
    for step in range(steps):
        if step and step % 30 == 0:
            aligner = copy.deepcopy(network).eval()
        batch, features = batches[step % len(batches)], hidden[step % len(batches)]
        optimizer.zero_grad()
        phone_loss(network.train(), aligner, features, batch.lengths, batch.words).loss.backward()
        optimizer.step()


def test_one_batch_is_learned_and_recognised(tiny):
    torch.manual_seed(0)
    network = PhoneNetwork(dataclasses.replace(SMALL, codec_hash=tiny.codes_hash))
    batch = tones(np.random.default_rng(0), 6, n_phones=3, n_words=1)
    learn(network, tiny, [batch], 300, 1e-2)
    head = PhoneHead(tiny, network)
    said = [tuple(head.config.symbols[phone] for word in item for phone in word) for item in batch.words]
    assert head.recognise(batch.wav, (batch.lengths * 320).tolist()) == said


def test_boundaries_are_found_without_having_been_told(tiny):
    """Trained on sentences and their phones, it knows in new ones where each begins: half of the boundaries
    to a frame."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    network = PhoneNetwork(dataclasses.replace(SMALL, frame_blocks=1))
    learn(network, tiny, [tones(rng, 8, n_phones=5, n_words=2) for _ in range(20)], 150, 3e-3)
    unseen = tones(rng, 16, n_phones=5, n_words=2)
    with torch.no_grad():
        scores = network.eval()(tiny.depths(unseen.wav).hidden, unseen.lengths)
    chains = [word_chain(words) for words in unseen.words]
    states = best_path(scores.frames, unseen.lengths, stack(chains)).states
    errors = []
    for chain, own, n, ends in zip(chains, states, unseen.lengths, unseen.ends, strict=True):
        found = np.cumsum(np.bincount(own[:n].numpy(), minlength=len(chain.symbols)))
        errors += abs(found - ends)[:-1].tolist()
    assert np.median(errors) <= 1
    assert np.mean(errors) < 2.5


def test_items_that_are_too_short_teach_nothing(tiny):
    torch.manual_seed(0)
    network = PhoneNetwork(SMALL).eval()
    hidden = tiny.depths(noise(2, 3200)).hidden
    both = phone_loss(network, None, hidden, torch.tensor([10, 3]), [[[1, 2]], [[1, 2, 3, 4]]])
    alone = phone_loss(network, None, hidden[:, :1], torch.tensor([10]), [[[1, 2]]])
    torch.testing.assert_close(both.loss, alone.loss)
    assert both.report == pytest.approx(alone.report)
    both.loss.backward()
    assert all(p.grad is None or bool(p.grad.isfinite().all()) for p in network.parameters())


def test_the_prior_follows_what_is_said_and_is_taken_out(tiny):
    torch.manual_seed(0)
    network = PhoneNetwork(SMALL).train()
    hidden, lengths = tiny.depths(noise(2, 3200)).hidden, torch.tensor([10, 7])
    before = network.log_prior.clone()
    network(hidden, lengths)
    assert not torch.equal(network.log_prior, before)
    torch.testing.assert_close(network.log_prior.exp().sum(), torch.tensor(1.0), rtol=1e-3, atol=1e-3)
    network.eval()
    scores = network(hidden, lengths).frames
    posterior = (scores + network.log_prior).exp().sum(-1)
    torch.testing.assert_close(posterior, torch.ones_like(posterior))


def test_a_path_is_collapsed():
    assert collapse(torch.tensor([0, 0, 3, 3, 0, 3, 1, 1, 2, 0])) == [3, 3, 1, 2]
    assert collapse(torch.tensor([0, 0])) == []


def test_a_stored_head_is_read_again(head, stored, tiny):
    again = PhoneHead.from_pretrained(tiny, stored)
    assert again.config == head.config
    wav = noise(1, 3200)
    torch.testing.assert_close(again.scores(wav).ctc, head.scores(wav).ctc, rtol=0.02, atol=0.02)


def test_a_foreign_codec_is_refused(stored, other_codec):
    with pytest.raises(CheckpointError, match=r"small reads features of tiny [0-9a-f]{8}, not of tiny"):
        PhoneHead.from_pretrained(Codec.from_pretrained(other_codec), stored)


def test_other_sizes_are_refused(tiny):
    with pytest.raises(CheckpointError, match="3 depths of 16 channels, tiny has 4"):
        PhoneHead(tiny, PhoneNetwork(dataclasses.replace(SMALL, layers=3)))


def test_an_unknown_head_lists_the_shipped_ones(tiny):
    with pytest.raises(CheckpointError, match="'nothing' is neither a shipped phone head"):
        PhoneHead.from_pretrained(tiny, "nothing")


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("colour", 1, "unknown keys"),
        ("dim", 0, "dim=0"),
        ("kernel", 4, "odd"),
        ("dropout", 1, "dropout=1"),
        ("symbols", ["a", "b"], "symbols: ~ first"),
        ("symbols", 3, "symbols=3"),
        ("codec", "", "codec=''"),
        ("blocks", 3, "tensor"),
    ],
)
def test_a_wrong_config_is_refused(stored, tiny, key, value, words):
    path = stored / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(CheckpointError, match=words):
        PhoneHead.from_pretrained(tiny, stored)


@pytest.mark.parametrize(
    "wav",
    [
        torch.zeros(1, 1, 0),
        torch.full((1, 1, 400), torch.nan),
        torch.zeros(400),
        torch.zeros(1, 1, 9, dtype=torch.int16),
    ],
)
def test_bad_sound_is_refused(head, wav):
    with pytest.raises(AudioError):
        head.scores(wav)
