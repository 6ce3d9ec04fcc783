"""What benchmarks/lm_scaling.py compares: parts of a corpus that contain each other; what an arm tells."""

import dataclasses
import importlib
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("accelerate")

from mynah.apps.train_lm_options import LMTrainOptions, fitted
from mynah.data.shards import Label, TokenCorpus, TokenInfo
from mynah.lm import LMConfig

TINY = LMConfig(dim=16, layers=1, head_dim=8, embedding_dim=8, max_frames=60)
OPTIONS = LMTrainOptions(steps=2, batch_frames=60, crop=0.6, warmup=1, bf16=False, validation_corpora=())


@pytest.fixture(scope="module")
def scaling() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
        return importlib.import_module("lm_scaling")


def label(id_: str, split: str = "train", frames: int = 100) -> Label:
    return Label(id_, "a", split, id_, None, None, frames, 0, 0)


def test_parts_contain_each_other_with_all_their_views(scaling):
    labels = [label(f"r{i}{view}") for i in range(200) for view in ("", "@1/2")]
    labels += [label(f"v{i}", "val") for i in range(5)]
    parts = [{x.id for x in scaling.part_of(labels, share)} for share in (0.1, 0.5, 1.0)]
    assert parts[0] < parts[1] < parts[2] == {x.id for x in labels}
    for part, recordings in zip(parts, (20, 100, 200), strict=True):
        assert {x.id for x in labels if x.split == "val"} <= part
        assert len(part) == 2 * recordings + 5
        assert all(id_.removesuffix("@1/2") in part for id_ in part)


def test_arms(scaling):
    assert scaling.arms([384, 128, 256], [1.0, 0.1, 0.03]) == [
        (128, 1.0),
        (256, 1.0),
        (384, 1.0),
        (256, 0.03),
        (256, 0.1),
    ]


def test_an_arm_is_trained_and_told(scaling, tmp_path, tiny, write_tokens):
    info = TokenInfo("tiny", tiny.codes_hash, 50.0, 3, 1024)
    data = write_tokens(tmp_path / "tokens", info)
    config = fitted(dataclasses.replace(TINY, codec_hash=""), OPTIONS, TokenCorpus(data).info)
    line = scaling.run(scaling.Arm(16, 1.0), config, OPTIONS, data, tmp_path / "out", tiny)
    width, parameters, hours, bits, _ = [cell.strip() for cell in line.strip("|").split("|")]
    assert (width, parameters[-2:]) == ("16", " M")
    assert float(hours) >= 0
    assert 25 < float(bits.split()[0]) < 35  # three codes of 1024, untrained
