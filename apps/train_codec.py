"""`mynah train codec`: one flat loop on Accelerate, for one CPU as for many GPUs.

A run folder holds `recipe.json`, `progress.jsonl`, `progress.png`, `samples/`, `state.pt` (everything a resumed
run needs; tensors and plain values only) and, from the averaged weights, a codec folder that `Codec.from_pretrained`
reads. Killed at any moment, the same command takes it up and reaches the same losses."""

import dataclasses
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs
from torch import Tensor
from torch.utils.data import DataLoader

from ..codec import checkpoint
from ..codec.config import CodecConfig
from ..codec.discriminator import MultiScaleDiscriminator
from ..codec.network import CodecNetwork
from ..codec.objective import Adversarial, Reconstruction
from ..data.corpus import CropSampler, PackedCorpus
from ..data.crops import Crop, Crops
from ..data.errors import MynahError
from .train_evaluate import Validation
from .train_options import TrainOptions

KMEANS_LATENTS = 32768


class Rank:
    """This process's share of every step's examples, from a given step on, as a batch sampler."""

    def __init__(self, options: TrainOptions, accelerator: Accelerator, step: int):
        self.per_process = options.batch // accelerator.num_processes
        if self.per_process * accelerator.num_processes != options.batch:
            raise MynahError(f"batch={options.batch} is not a multiple of {accelerator.num_processes} processes")
        self.options, self.rank, self.step = options, accelerator.process_index, step

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(self.step, self.options.steps):
            first = step * self.options.batch + self.rank * self.per_process
            yield list(range(first, first + self.per_process))

    def __len__(self) -> int:
        return self.options.steps - self.step


def collate(crops: list[Crop]) -> tuple[Tensor, Tensor, Tensor | None]:
    """wav [B, T], rate [B], noise [B, N, D] or None."""
    noise = torch.from_numpy(np.stack([c.noise for c in crops])) if crops[0].noise.size else None
    return torch.from_numpy(np.stack([c.wav for c in crops])), torch.tensor([c.rate for c in crops]), noise


class Average:
    """Exponential moving average of parameters; buffers are copied."""

    def __init__(self, network: CodecNetwork, decay: float):
        self.decay = decay
        self.tensors = {k: v.detach().clone() for k, v in network.state_dict().items()}
        self.parameters = {k for k, _ in network.named_parameters()}

    @torch.no_grad()
    def update(self, network: CodecNetwork, step: int) -> None:
        """Follow the network; early steps are followed more closely."""
        decay = min(self.decay, (step + 1) / (step + 10))
        for key, value in network.state_dict().items():
            if key in self.parameters:
                self.tensors[key].lerp_(value, 1 - decay)
            else:
                self.tensors[key].copy_(value)


def start_codebooks(network: CodecNetwork, crops: Crops, first: int, device: torch.device, seed: int) -> None:
    """K-means of the quantizer on the latents of fresh crops; every process computes the same."""
    latents, index, count = [], first, 0
    while count < KMEANS_LATENTS:
        wav = torch.from_numpy(np.stack([crops[i].wav for i in range(index, index + 32)])).to(device)
        with torch.no_grad():
            latents.append(network.encoder(wav).flatten(0, 1).cpu())
        index, count = index + 32, count + len(latents[-1])
    network.cpu().quantizer.kmeans(torch.cat(latents)[:KMEANS_LATENTS], torch.Generator().manual_seed(seed))
    network.to(device)


def train(
    config: CodecConfig,
    options: TrainOptions,
    corpus: PackedCorpus,
    validation: Validation | None,
    out: Path,
    initial: Path | None = None,
    stop_at: int | None = None,
    log: Callable[[str], None] = print,
) -> Path:
    """Train until `options.steps` (or `stop_at`) and return `out`, which is then also a codec folder.

    Args:
        initial: a codec folder to start from; its architecture must equal `config`. The adversarial stage needs it.
        stop_at: stop early after this step, resumably.
        log: where a line per evaluation goes.
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
    elif adversarial:
        raise MynahError("stage=adversarial needs --init FOLDER, a codec trained by stage=reconstruction")
    reconstruction = Reconstruction(options.weights, options.commitment, config.sample_rate).to(device)
    if adversarial:
        network.encoder.requires_grad_(False)
        network.quantizer.eval()
    trained = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=options.lr, betas=(0.8, 0.95), weight_decay=0.01)
    average = Average(network.to(device), options.ema)
    model, optimizer = accelerator.prepare(network, optimizer)
    objective: Reconstruction | Adversarial = reconstruction
    critic_optimizer = None
    if adversarial:
        critic = MultiScaleDiscriminator()
        critic_optimizer = torch.optim.AdamW(critic.parameters(), lr=options.lr, betas=(0.5, 0.9))
        critic, critic_optimizer = accelerator.prepare(critic, critic_optimizer)
        objective = Adversarial(reconstruction, critic, options.weights)
    balancer = objective.balancer

    frames = round(options.crop * config.frame_rate)
    sampler = CropSampler(corpus, frames * config.hop_length, options.corpus_weights)
    noisy = 0 if initial is not None else options.latent_steps * options.batch
    shape = (frames, config.latent_dim)
    crops = Crops(sampler, options.seed, options.rate_weights, noisy, shape, options.latent_noise)

    # The whole of a run's state: what is not listed here is a function of (recipe, step).
    step, seconds = 0, 0.0
    state_path = out / "state.pt"
    if state_path.exists():
        state = torch.load(state_path, map_location=device, weights_only=True)
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        average.tensors = state["average"]
        balancer.load_state_dict(state["balancer"])
        step, seconds = state["step"], state["seconds"]
        if critic_optimizer is not None:
            critic.load_state_dict(state["critic"])
            critic_optimizer.load_state_dict(state["critic_optimizer"])
        log(f"resumed at step {step}")

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
            state |= {"critic": critic.state_dict(), "critic_optimizer": critic_optimizer.state_dict()}
        temporary = state_path.with_name("state.pt.part")
        torch.save(state, temporary)
        os.replace(temporary, state_path)
        checkpoint.save(out, config, average.tensors)

    if main:
        out.mkdir(parents=True, exist_ok=True)
        recipe = {"codec": dataclasses.asdict(config), "train": dataclasses.asdict(options)}
        (out / "recipe.json").write_text(json.dumps(recipe, indent=2) + "\n")
    loader = DataLoader(
        crops, batch_sampler=Rank(options, accelerator, step), collate_fn=collate, num_workers=options.workers  # type: ignore[arg-type]
    )
    reports: list[dict[str, float]] = []
    clock = time.monotonic()
    for wav, rate, noise in loader:
        if stop_at is not None and step >= stop_at:
            break
        if step == options.latent_steps and initial is None:
            network.load_state_dict(average.tensors)
            start_codebooks(network, crops, options.steps * options.batch, device, options.seed)
            average = Average(network, options.ema)
        for group in optimizer.param_groups:
            group["lr"] = options.learning_rate(step)
        wav, rate = wav.to(device), rate.to(device)
        optimizer.zero_grad()
        if isinstance(objective, Adversarial):
            result, output, target = objective(model, config, wav, rate)
        else:
            generator = torch.Generator().manual_seed(options.seed * 1_000_003 + step)
            result = objective(model, config, wav, rate, noise if noise is None else noise.to(device), generator)
        accelerator.backward(result.loss)
        optimizer.step()
        if critic_optimizer is not None:
            for group in critic_optimizer.param_groups:
                group["lr"] = options.learning_rate(step)
            critic_optimizer.zero_grad()
            critic_loss = objective.discriminator_step(output, target)
            accelerator.backward(critic_loss)
            critic_optimizer.step()
            result.report["critic"] = float(critic_loss.detach())
        average.update(network, step)
        reports.append(result.report)
        step += 1
        if main and (step % options.save_every == 0 or step == options.steps or step == stop_at):
            seconds += time.monotonic() - clock
            clock = time.monotonic()
            save()
        if main and (step % options.evaluate_every == 0 or step == options.steps):
            line = {"step": step, "hours": round((seconds + time.monotonic() - clock) / 3600, 4)}
            line |= {k: round(float(np.mean([r[k] for r in reports if k in r])), 4) for k in reports[-1]}
            if result.codes is not None:
                used = [len(torch.unique(result.codes[:, k])) for k in range(config.n_codebooks)]
                line["used_in_batch"] = used
            if validation is not None:
                line |= validation.run(config, average.tensors, out / "samples" / f"{step:07d}", step)
            with open(out / "progress.jsonl", "a") as f:
                f.write(json.dumps(line) + "\n")
            log(json.dumps(line))
            reports = []
    accelerator.end_training()
    return out
