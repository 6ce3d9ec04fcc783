"""`mynah train speakers`: one flat loop on Accelerate, for one CPU as for many GPUs.

A run folder holds `recipe.json`, `progress.jsonl`, `progress.png`, `state.pt` (everything a resumed run
needs; tensors and plain values only) and, from the averaged weights, a head's folder that
`SpeakerHead.from_pretrained` reads. Killed at any moment, the same command takes it up and reaches the same
losses."""

import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor
from torch.utils.data import DataLoader

from ..codec import checkpoint
from ..codec.codec import Codec
from ..codec.distributed import all_reduce_sum
from ..codec.heads.speaker import SpeakerHead, SpeakerNetwork
from ..codec.heads.speaker_config import SpeakerHeadConfig
from ..codec.heads.speaker_objective import SpeakerClassifier, margin_loss
from ..data.corpus import PackedCorpus
from ..data.errors import MynahError
from ..data.verification import Errors, parts_to_compare, verification_errors
from ..data.voices import Speaker, VoiceCrop, VoiceCrops
from .run_folder import Average, cut_log, leave, load_state, plot_progress, save_state, write_recipe
from .speakers import cut, embed_all
from .train_parts import Rank, leave_interrupt
from .train_speakers_options import SpeakerOptions, read_speaker_recipe

TIMED_STEPS = 20  # after so many the duration of the run is told


def train(
    config: SpeakerHeadConfig,
    options: SpeakerOptions,
    codec: Codec,
    corpus: PackedCorpus,
    speakers: Sequence[Speaker],
    validation: PackedCorpus,
    out: Path,
    stop_at: int | None = None,
    log: Callable[[str], None] = print,
    interrupted: Callable[[], bool] = lambda: False,
) -> int:
    """Train until `options.steps` and return the step reached; `out` is then also a head's folder.

    Args:
        config: the architecture, for `codec`.
        options: how to train it.
        codec: whose features the head reads; it stays as it is.
        corpus: the sound to train on.
        speakers: who speaks in it.
        validation: what to measure equal error rates on.
        out: the run's folder; a run that it holds is taken up.
        stop_at: stop early after this step, resumably.
        log: where a line per evaluation goes.
        interrupted: asked after every step; where it says so in any process, the run is saved and stops.

    Raises:
        MynahError: recipe, data and `out` do not fit together; a loss that is no longer finite.
    """
    accelerator = Accelerator(
        mixed_precision="bf16" if options.bf16 else "no", cpu=not torch.cuda.is_available()
    )
    device, main = accelerator.device, accelerator.is_main_process
    torch.manual_seed(options.seed)
    codec.network.to(device)
    network = SpeakerNetwork(config)
    classifier = SpeakerClassifier(network, len(speakers)).to(device)
    optimizer = torch.optim.AdamW(
        classifier.parameters(), lr=options.lr, betas=(0.9, 0.98), weight_decay=options.weight_decay
    )
    average = Average(network, options.ema)
    model, optimizer = accelerator.prepare(classifier, optimizer)
    rate = codec.config.sample_rate
    shortest, longest = round(options.shortest * rate), round(options.longest * rate)
    crops = VoiceCrops(
        corpus, speakers, options.batch, shortest, longest, options.seed, options.corpus_weights, rate
    )
    names = [f"{speaker.group}/{speaker.name}" for speaker in speakers]

    # The whole of a run's state: what is not listed here is a function of (recipe, step).
    step, seconds = 0, 0.0
    state_path = out / "state.pt"
    if state_path.exists():
        earlier, _ = read_speaker_recipe(out / "recipe.json", [])
        state = load_state(state_path, device)
        if earlier != config or state["speakers"] != names:
            raise MynahError(
                f"{out}: holds a run of another architecture, codec or speakers; give another --out"
            )
        classifier.load_state_dict(state["classifier"])
        optimizer.load_state_dict(state["optimizer"])
        average.tensors = state["average"]
        step, seconds = state["step"], state["seconds"]
        if main:
            log(f"resumed at step {step}")
    if main:
        cut_log(out / "progress.jsonl", step)

    def save() -> None:
        state = {
            "classifier": classifier.state_dict(),
            "optimizer": optimizer.state_dict(),
            "average": average.tensors,
            "speakers": names,
            "step": step,
            "seconds": seconds,
        }
        save_state(state_path, state)
        checkpoint.save(out, config, average.tensors)

    if main:
        out.mkdir(parents=True, exist_ok=True)
        write_recipe(out, head=config, train=options)
    loader: DataLoader = DataLoader(
        crops,  # type: ignore[arg-type]
        batch_sampler=Rank(options, accelerator, step),
        collate_fn=collate,
        num_workers=options.workers,
        worker_init_fn=leave_interrupt,
    )
    reports: list[dict[str, float]] = []
    clock = begun = time.monotonic()
    timed = step + TIMED_STEPS
    for wav, spoken_by in loader:
        if stop_at is not None and step >= stop_at:
            break
        for group in optimizer.param_groups:
            group["lr"] = options.learning_rate(step)
        torch.manual_seed((options.seed * 1_000_003 + step) * 1009 + accelerator.process_index)
        hidden = codec.depths(wav).hidden
        frames = torch.full((len(wav),), hidden.shape[3], device=device)
        optimizer.zero_grad()
        with accelerator.autocast():
            cosines = model.train()(hidden, frames)
        result = margin_loss(cosines.float(), spoken_by.to(device), options.margin, options.scale)
        if not math.isfinite(result.report["loss"]):
            raise MynahError(
                f"step {step}: the loss is no longer finite; {out} keeps an earlier step: lower train.lr"
            )
        accelerator.backward(result.loss)
        accelerator.clip_grad_norm_(model.parameters(), options.clip)
        optimizer.step()
        average.update(network, step)
        reports.append(result.report)
        step += 1
        stopping = bool(all_reduce_sum(torch.tensor(float(interrupted()), device=device)))
        if main and step == timed:
            pace = (time.monotonic() - begun) / TIMED_STEPS
            hours = pace * (options.steps - step) / 3600
            log(f"{pace:.2f} s a step: about {hours:.1f} hours to step {options.steps}, evaluations apart")
        if main and (step % options.evaluate_every == 0 or step == options.steps):
            line: dict[str, Any] = {
                "step": step,
                "hours": round((seconds + time.monotonic() - clock) / 3600, 4),
            }
            line |= {k: round(float(np.mean([r[k] for r in reports])), 4) for k in reports[-1]}
            line |= {
                f"eer_{group}": round(errors.rate, 4)
                for group, errors in equal_error_rates(averaged(config, average, codec), validation).items()
            }
            with open(out / "progress.jsonl", "a") as f:
                f.write(json.dumps(line) + "\n")
            log(json.dumps(line))
            plot_progress(out)
            reports = []
        # After the line: a kill between them takes back the line, which the resumed run writes again.
        if main and (step % options.save_every == 0 or step in (options.steps, stop_at) or stopping):
            seconds += time.monotonic() - clock
            clock = time.monotonic()
            save()
        if stopping:
            break
    leave(accelerator)
    return step


def averaged(config: SpeakerHeadConfig, average: Average, codec: Codec) -> SpeakerHead:
    """The head of the averaged weights."""
    network = SpeakerNetwork(config).to(codec.device)
    network.load_state_dict(average.tensors)
    return SpeakerHead(codec, network)


def equal_error_rates(head: SpeakerHead, corpus: PackedCorpus) -> dict[str, Errors]:
    """How well the head tells the speakers of a corpus apart, by group; `verification_errors`."""
    rate = head.codec.config.sample_rate
    entries = [entry for entry in corpus.entries if entry.speaker]
    parts = parts_to_compare([(e.group, e.speaker) for e in entries], [e.length / rate for e in entries])
    chosen = [entries[part.recording] for part in parts]
    wavs = [cut(corpus.wav(e), p.start, p.stop, rate) for e, p in zip(chosen, parts, strict=True)]
    return verification_errors(embed_all(head, wavs), [e.group for e in chosen], [e.speaker for e in chosen])


def collate(crops: Sequence[VoiceCrop]) -> tuple[Tensor, Tensor]:
    """wav [B, 1, T] and the speaker of each [B]."""
    wav = torch.from_numpy(np.stack([crop.wav for crop in crops]))
    return wav[:, None], torch.tensor([crop.speaker for crop in crops])
