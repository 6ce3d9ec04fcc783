"""`mynah train codec`: one flat loop on Accelerate, for one CPU as for many GPUs.

A run folder holds `recipe.json`, `progress.jsonl`, `progress.png`, `samples/`, `state.pt` (everything a
resumed run needs; tensors and plain values only) and, from the averaged weights, a codec folder that
`Codec.from_pretrained` reads. Killed at any moment, the same command takes it up and reaches the same
losses."""

import dataclasses
import json
import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs
from torch.utils.data import DataLoader

from ..codec import checkpoint
from ..codec.config import CodecConfig
from ..codec.discriminator import MultiScaleDiscriminator
from ..codec.distributed import all_reduce_sum
from ..codec.network import CodecNetwork
from ..codec.objective import Adversarial, Reconstruction
from ..data.corpus import CropSampler, PackedCorpus
from ..data.crops import Crops
from ..data.errors import MynahError
from .run_folder import Average, cut_log, leave, load_state, plot_progress, save_state, write_recipe
from .train_evaluate import Validation
from .train_options import TrainOptions
from .train_parts import Rank, check_continues, collate, leave_interrupt, start_codebooks

TIMED_STEPS = 20  # after so many the duration of the run is told


def train(
    config: CodecConfig,
    options: TrainOptions,
    corpus: PackedCorpus,
    validation: Validation | None,
    out: Path,
    initial: Path | None = None,
    stop_at: int | None = None,
    log: Callable[[str], None] = print,
    interrupted: Callable[[], bool] = lambda: False,
) -> int:
    """Train until `options.steps` and return the step reached; `out` is then also a codec folder.

    Args:
        config: the architecture.
        options: how to train it.
        corpus: what to train on.
        validation: what to evaluate on, or None.
        out: the run's folder; a run that it holds is taken up.
        initial: a codec folder to start from; its architecture must equal `config`. The frozen stages need
            it.
        stop_at: stop early after this step, resumably.
        log: where a line per evaluation goes.
        interrupted: asked after every step; where it says so in any process, the run is saved and stops.

    Raises:
        MynahError: recipe, `initial` or `out` do not fit together; a loss that is no longer finite.
    """
    accelerator = Accelerator(
        mixed_precision="bf16" if options.bf16 else "no",
        cpu=not torch.cuda.is_available(),
        kwargs_handlers=[DistributedDataParallelKwargs(broadcast_buffers=False)],
    )
    device, main = accelerator.device, accelerator.is_main_process
    torch.manual_seed(options.seed)
    network = CodecNetwork(config)
    adversarial = options.stage == "adversarial"
    if initial is not None:
        loaded, tensors = checkpoint.load(initial)
        if dataclasses.replace(loaded, name=config.name) != config:
            raise MynahError(f"{initial}: its architecture differs from the recipe's")
        checkpoint.fill(network, tensors, initial)
    elif options.frozen:
        raise MynahError(
            f"stage={options.stage} needs --init FOLDER, a codec trained by stage=reconstruction"
        )
    reconstruction = Reconstruction(
        options.weights, options.commitment, config.sample_rate, options.complex_weights
    ).to(device)
    if options.frozen:
        network.freeze_codes()
    trained = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=options.lr, betas=(0.8, 0.95), weight_decay=0.01, fused=True)
    average = Average(network.to(device), options.ema)
    model, optimizer = accelerator.prepare(network, optimizer)
    objective: Reconstruction | Adversarial = reconstruction
    critic_optimizer = None
    if adversarial:
        critic_network = MultiScaleDiscriminator()
        critic_optimizer = torch.optim.AdamW(
            critic_network.parameters(), lr=options.lr, betas=(0.5, 0.9), fused=True
        )
        critic, critic_optimizer = accelerator.prepare(critic_network, critic_optimizer)
        objective = Adversarial(reconstruction, critic, options.weights)
    balancer = objective.balancer

    frames = round(options.crop * config.frame_rate)
    sampler = CropSampler(corpus, frames * config.hop_length, options.corpus_weights)
    noisy = options.latent_steps * options.batch
    shape = (frames, config.latent_dim)
    crops = Crops(sampler, options.seed, options.rate_weights, noisy, shape, options.latent_noise)

    # The whole of a run's state: what is not listed here is a function of (recipe, step).
    step, seconds = 0, 0.0
    state_path = out / "state.pt"
    if state_path.exists():
        check_continues(out, config, options)
        state = load_state(state_path, device)
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        average.tensors = state["average"]
        balancer.load_state_dict(state["balancer"])
        step, seconds = state["step"], state["seconds"]
        if critic_optimizer is not None:
            critic_network.load_state_dict(state["critic"])
            critic_optimizer.load_state_dict(state["critic_optimizer"])
        if main:
            log(f"resumed at step {step}")
    if main:
        cut_log(out / "progress.jsonl", step)

    def save() -> None:
        state = {
            "network": network.state_dict(),
            "optimizer": optimizer.state_dict(),
            "average": average.tensors,
            "balancer": balancer.state_dict(),
            "step": step,
            "seconds": seconds,
        }
        if critic_optimizer is not None:
            state |= {
                "critic": critic_network.state_dict(),
                "critic_optimizer": critic_optimizer.state_dict(),
            }
        save_state(state_path, state)
        checkpoint.save(out, config, average.tensors)

    if main:
        out.mkdir(parents=True, exist_ok=True)
        if options.frozen and initial is not None and step == 0 and (initial / checkpoint.TABLES).exists():
            shutil.copyfile(initial / checkpoint.TABLES, out / checkpoint.TABLES)  # its codes, so its files
        write_recipe(out, codec=config, train=options)
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
    for wav, rate, noise in loader:
        if stop_at is not None and step >= stop_at:
            break
        if step == options.latent_steps and (initial is None or noisy):
            network.load_state_dict(average.tensors)
            start_codebooks(network, crops, options.steps * options.batch, device, options.seed)
            average = Average(network, options.ema)
        for group in optimizer.param_groups:
            group["lr"] = options.learning_rate(step)
        wav, rate = wav.to(device), rate.to(device)
        optimizer.zero_grad()
        if isinstance(objective, Adversarial):
            result, critic_loss = objective(model, config, wav, rate)
        else:
            generator = torch.Generator().manual_seed(options.seed * 1_000_003 + step)
            result = objective(
                model, config, wav, rate, noise if noise is None else noise.to(device), generator
            )
        bad = [k for k, v in result.report.items() if not math.isfinite(v)]
        if bad:
            raise MynahError(
                f"step {step}: {bad} no longer finite; {out} keeps an earlier step: lower train.lr"
            )
        accelerator.backward(result.loss)
        optimizer.step()
        if isinstance(objective, Adversarial) and critic_optimizer is not None:
            for group in critic_optimizer.param_groups:
                group["lr"] = options.learning_rate(step)
            critic_optimizer.zero_grad()
            accelerator.backward(critic_loss)
            critic_optimizer.step()
            result.report["critic"] = float(critic_loss.detach())
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
            line |= {k: round(float(np.mean([r[k] for r in reports if k in r])), 4) for k in reports[-1]}
            if result.codes is not None:
                used = [len(torch.unique(result.codes[:, k])) for k in range(config.n_codebooks)]
                line["used_in_batch"] = used
            if validation is not None:
                folder, quantized = (
                    out / "samples" / f"{step:07d}",
                    result.codes is not None or options.frozen,
                )
                line |= validation.run(config, average.tensors, folder, quantized)
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
