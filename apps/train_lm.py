"""`mynah train lm`: one flat loop on Accelerate, for one CPU as for many GPUs.

A run folder holds `recipe.json`, `progress.jsonl`, `progress.png`, `samples/`, `state.pt` (everything a
resumed run needs; tensors and plain values only) and, from the averaged weights, a model folder that
`LanguageModel.from_pretrained` reads. Killed at any moment, the same command takes it up and reaches the same
losses."""

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.utils.data import DataLoader

from ..codec.distributed import all_reduce_mean, all_reduce_sum
from ..data.errors import MynahError
from ..data.shards import TokenCorpus
from ..data.text.subwords import Subwords
from ..data.token_batches import TokenBatches
from ..data.token_prompts import TokenPrompts
from ..lm import checkpoint
from ..lm.config import LMConfig
from ..lm.network import LMNetwork
from ..lm.objective import Objective
from .run_folder import Average, cut_log, leave, load_state, plot_progress, save_state
from .train_lm_evaluate import LMValidation, by_stream
from .train_lm_options import LMTrainOptions, frames_of
from .train_lm_parts import (
    Collator,
    StepBatches,
    as_it_is,
    check_told,
    parameter_groups,
    start_from,
    take_up_or_start,
)
from .train_parts import leave_interrupt

TIMED_STEPS = 20  # after so many the duration of the run is told


def train(
    config: LMConfig,
    options: LMTrainOptions,
    corpus: TokenCorpus,
    validation: LMValidation | None,
    out: Path,
    initial: Path | None = None,
    subwords: Subwords | None = None,
    stop_at: int | None = None,
    log: Callable[[str], None] = print,
    interrupted: Callable[[], bool] = lambda: False,
) -> int:
    """Train until `options.steps` and return the step reached; `out` is then also a model folder.

    Args:
        config: the architecture, as `fitted` to the tokens.
        options: how to train it.
        corpus: tokens; those of its split "train" are learned.
        validation: what to evaluate on, or None.
        out: the run's folder; a run that it holds is taken up.
        initial: a model folder to start from, see `start_from`.
        subwords: how the words of the corpus are spelled, to be kept with the model; None for phonemes.
        stop_at: stop early after this step, resumably.
        log: where a line per evaluation goes.
        interrupted: asked after every step; where it says so in any process, the run is saved and stops.

    Raises:
        MynahError: recipe, tokens, `initial` or `out` do not fit together; a loss that is no longer finite.
    """
    accelerator = Accelerator(
        mixed_precision="bf16" if options.bf16 else "no", cpu=not torch.cuda.is_available()
    )
    device, main, processes = accelerator.device, accelerator.is_main_process, accelerator.num_processes
    labels = [label for label in corpus.labels if label.split == "train"]
    check_told(corpus, config, labels)
    bound = frames_of(options.crop, config)
    weights = options.corpus_weights
    prompts = None
    if options.prompted:
        aligned = corpus.alignments if config.symbols else ()  # without text nothing tells of a cut
        prompts = TokenPrompts(labels, weights, config.speakers, aligned, options.prompted)
    ends_after = frames_of(options.ends_after, config)
    batches = TokenBatches(labels, bound, options.batch_frames, weights, options.seed, prompts, ends_after)
    if options.batch_frames // bound < processes:
        raise MynahError(f"batch_frames={options.batch_frames}: at least a crop for each process is needed")
    objective = Objective(
        options.stream_weights,
        options.z,
        options.token_noise,
        options.phoneme_dropout,
        options.speaker_dropout,
    )
    torch.manual_seed(options.seed)
    network = LMNetwork(config)
    if initial is not None:
        begun = start_from(network, config, initial)
        if begun and main:
            log(f"not in {initial}, begun anew: {', '.join(begun)}")
    groups = parameter_groups(network, options.weight_decay)
    optimizer = torch.optim.AdamW(groups, lr=options.lr, betas=(0.9, 0.95), fused=True)
    average = Average(network.to(device), options.ema)
    model, optimizer = accelerator.prepare(network, optimizer)
    data = StepBatches(corpus, batches, Collator(config), accelerator.process_index, processes)

    # The whole of a run's state: what is not listed here is a function of (recipe, step).
    step, seconds = 0, 0.0
    state_path = out / "state.pt"
    if take_up_or_start(out, config, options, main):
        state = load_state(state_path, device)
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        average.tensors = state["average"]
        step, seconds = state["step"], state["seconds"]
        if main:
            log(f"resumed at step {step}")
    if main:
        cut_log(out / "progress.jsonl", step)

    def save() -> None:
        state = {
            "network": network.state_dict(),
            "optimizer": optimizer.state_dict(),
            "average": average.tensors,
            "step": step,
            "seconds": seconds,
        }
        save_state(state_path, state)
        checkpoint.save(out, config, average.tensors, subwords)

    losses: list[Tensor] = []
    norms: list[float] = []
    frames = 0
    clock = begun_at = time.monotonic()
    timed = step + TIMED_STEPS
    loader: DataLoader = DataLoader(
        data,  # type: ignore[arg-type]
        batch_size=None,
        sampler=range(step, options.steps),
        collate_fn=as_it_is,
        num_workers=options.workers,
        worker_init_fn=leave_interrupt,
    )
    for batch, seeds, learned, ends in loader:
        if stop_at is not None and step >= stop_at:
            break
        count = torch.full((config.n_codebooks,), float(learned))
        count[0] += ends
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        torch.manual_seed((options.seed * 1_000_003 + step) * processes + accelerator.process_index)
        for group in optimizer.param_groups:
            group["lr"] = options.learning_rate(step)
        optimizer.zero_grad()
        loss = objective(model, config, batch.to(device), generators, count.to(device) / processes)
        nats = all_reduce_mean(loss.nats.clone())
        if not bool(nats.isfinite().all()):
            raise MynahError(
                f"step {step}: the loss is no longer finite; {out} keeps an earlier step: lower train.lr"
            )
        accelerator.backward(loss.total)
        norms.append(float(accelerator.clip_grad_norm_(network.parameters(), options.clip)))
        optimizer.step()
        average.update(network, step)
        losses.append(nats)
        frames += learned
        step += 1
        stopping = bool(all_reduce_sum(torch.tensor(float(interrupted()), device=device)))
        if main and step == timed:
            pace = (time.monotonic() - begun_at) / TIMED_STEPS
            hours = pace * (options.steps - step) / 3600
            log(f"{pace:.2f} s a step: about {hours:.1f} hours to step {options.steps}, evaluations apart")
        if main and (step % options.evaluate_every == 0 or step == options.steps):
            line: dict[str, Any] = {
                "step": step,
                "hours": round((seconds + time.monotonic() - clock) / 3600, 4),
                "frames_a_step": round(frames / len(losses)),
                "grad_norm": round(sum(norms) / len(norms), 4),
                **by_stream("train_bits", torch.stack(losses).mean(0).cpu() / math.log(2)),
            }
            if validation is not None:
                line |= validation.run(average.tensors, out / "samples" / f"{step:07d}")
            with open(out / "progress.jsonl", "a") as f:
                f.write(json.dumps(line) + "\n")
            log(json.dumps(line))
            plot_progress(out)
            losses, norms, frames = [], [], 0
        # After the line: a kill between them takes back the line, which the resumed run writes again.
        if main and (step % options.save_every == 0 or step in (options.steps, stop_at) or stopping):
            seconds += time.monotonic() - clock
            clock = time.monotonic()
            save()
        if stopping:
            break
    leave(accelerator)
    return step
