"""`mynah train ctc`: one flat loop on Accelerate, for one CPU as for many GPUs.

A run folder holds `recipe.json`, `progress.jsonl`, `progress.png`, `state.pt` (everything a resumed run
needs; tensors and plain values only) and, from the averaged weights, a head's folder that
`PhoneHead.from_pretrained` reads. Killed at any moment, the same command takes it up and reaches the same
losses."""

import json
import math
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs
from torch import Tensor
from torch.utils.data import DataLoader

from ..codec import checkpoint
from ..codec.codec import Codec
from ..codec.distributed import all_reduce_sum
from ..codec.heads.ctc import SHIPPED, PhoneHead, PhoneNetwork
from ..codec.heads.phone_config import PhoneHeadConfig
from ..codec.heads.phone_objective import phone_loss
from ..data.corpus import PackedCorpus
from ..data.edit_distance import error_rate
from ..data.errors import CheckpointError, MynahError
from ..data.utterances import Example, Utterance, Utterances, Words
from .run_folder import Average, cut_log, leave, load_state, plot_progress, save_state, write_recipe
from .train_ctc_options import CtcOptions, read_ctc_recipe
from .train_parts import Rank, leave_interrupt

TIMED_STEPS = 20  # after so many the duration of the run is told


class Spoken(NamedTuple):
    """Packed recordings and what is said in them."""

    corpus: PackedCorpus
    utterances: list[Utterance]


def train(
    config: PhoneHeadConfig,
    options: CtcOptions,
    codec: Codec,
    spoken: Spoken,
    validation: Spoken,
    out: Path,
    initial: Path | None = None,
    stop_at: int | None = None,
    log: Callable[[str], None] = print,
    interrupted: Callable[[], bool] = lambda: False,
) -> int:
    """Train until `options.steps` and return the step reached; `out` is then also a head's folder.

    Args:
        config: the architecture, for `codec`.
        options: how to train it.
        codec: whose features the head reads; it stays as it is.
        spoken: what to train on.
        validation: what to measure phone error rates on.
        out: the run's folder; a run that it holds is taken up.
        initial: a phone head's folder to start from, see `start_from`.
        stop_at: stop early after this step, resumably.
        log: where a line per evaluation goes.
        interrupted: asked after every step; where it says so in any process, the run is saved and stops.

    Raises:
        MynahError: recipe, `initial` and `out` do not fit together; a loss that is no longer finite.
    """
    accelerator = Accelerator(
        mixed_precision="bf16" if options.bf16 else "no",
        cpu=not torch.cuda.is_available(),
        kwargs_handlers=[DistributedDataParallelKwargs(broadcast_buffers=False)],
    )
    device, main = accelerator.device, accelerator.is_main_process
    torch.manual_seed(options.seed)
    codec.network.to(device)
    network = PhoneNetwork(config)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=options.lr, betas=(0.9, 0.98), weight_decay=options.weight_decay
    )
    average = Average(network.to(device), options.ema)
    aligner = PhoneNetwork(config).to(device).eval().requires_grad_(False)
    model, optimizer = accelerator.prepare(network, optimizer)
    examples = Utterances(*spoken, options.batch, options.seed, options.corpus_weights)

    # The whole of a run's state: what is not listed here is a function of (recipe, step).
    step, seconds = 0, 0.0
    aligns = False  # whether the run began with a head that can align
    state_path = out / "state.pt"
    if state_path.exists():
        earlier, _ = read_ctc_recipe(out / "recipe.json", [])
        if earlier != config:
            raise MynahError(f"{out}: holds a run of another architecture or codec; give another --out")
        state = load_state(state_path, device)
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        average.tensors = state["average"]
        aligner.load_state_dict(state["aligner"])
        step, seconds, aligns = state["step"], state["seconds"], state["aligns"]
        if main:
            log(f"resumed at step {step}")
    elif initial is not None:
        folder = checkpoint.resolve_in(SHIPPED, "phone head", initial, "phones*")
        missing = start_from(network, config, folder)
        average.tensors = {k: v.detach().clone() for k, v in network.state_dict().items()}
        aligns = "frames" not in missing
        if main and missing:
            log(f"not in {initial}, begun anew: {', '.join(missing)}")
    if main:
        cut_log(out / "progress.jsonl", step)

    def save() -> None:
        state = {
            "network": network.state_dict(),
            "optimizer": optimizer.state_dict(),
            "average": average.tensors,
            "aligner": aligner.state_dict(),
            "aligns": aligns,
            "step": step,
            "seconds": seconds,
        }
        save_state(state_path, state)
        checkpoint.save(out, config, average.tensors)

    if main:
        out.mkdir(parents=True, exist_ok=True)
        write_recipe(out, head=config, train=options)
    loader: DataLoader = DataLoader(
        examples,  # type: ignore[arg-type]
        batch_sampler=Rank(options, accelerator, step),
        collate_fn=collate,
        num_workers=options.workers,
        worker_init_fn=leave_interrupt,
    )
    reports: list[dict[str, float]] = []
    clock = begun = time.monotonic()
    timed = step + TIMED_STEPS
    for wav, lengths, words in loader:
        if stop_at is not None and step >= stop_at:
            break
        if step % options.realign == 0:
            aligner.load_state_dict(network.state_dict())
        for group in optimizer.param_groups:
            group["lr"] = options.learning_rate(step)
        torch.manual_seed((options.seed * 1_000_003 + step) * 1009 + accelerator.process_index)
        hidden = codec.depths(wav).hidden
        frames = (lengths / codec.config.hop_length).ceil().long().to(device)
        optimizer.zero_grad()
        with accelerator.autocast():
            result = phone_loss(
                model.train(), aligner if aligns or step >= options.realign else None, hidden, frames, words
            )
        bad = [k for k, v in result.report.items() if not math.isfinite(v)]
        if bad:
            raise MynahError(
                f"step {step}: {bad} no longer finite; {out} keeps an earlier step: lower train.lr"
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
                f"per_{group}": round(rate, 4)
                for group, rate in phone_error_rates(averaged(config, average, codec), validation).items()
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


def start_from(network: PhoneNetwork, config: PhoneHeadConfig, folder: Path) -> list[str]:
    """Load the weights of another head, branch by branch; returns the branches that it has in other sizes.

    It may be one of an earlier training of the codec, whose features were much the same.

    Raises:
        CheckpointError: not a phone head, a damaged one, or one of other symbols.
    """
    loaded, tensors = checkpoint.load_as(PhoneHeadConfig, folder)
    if loaded.symbols != config.symbols:
        raise CheckpointError(f"{folder}: its symbols differ from the recipe's")
    source = PhoneNetwork(loaded)
    checkpoint.fill(source, tensors, folder)
    missing = []
    for name, branch in network.named_children():
        wanted, found = branch.state_dict(), source.get_submodule(name).state_dict()
        if {k: t.shape for k, t in found.items()} == {k: t.shape for k, t in wanted.items()}:
            branch.load_state_dict(found)
        else:
            missing.append(name)
    if "frames" not in missing:
        network.log_prior.copy_(source.log_prior)
    return missing


def averaged(config: PhoneHeadConfig, average: Average, codec: Codec) -> PhoneHead:
    """The head of the averaged weights."""
    network = PhoneNetwork(config).to(codec.device)
    network.load_state_dict(average.tensors)
    return PhoneHead(codec, network)


def phone_error_rates(head: PhoneHead, spoken: Spoken, batch: int = 8) -> dict[str, float]:
    """Edits per phone of greedy recognition, by group."""
    items = sorted(spoken.utterances, key=lambda u: u.entry.length)
    pairs = defaultdict(list)
    for first in range(0, len(items), batch):
        some = items[first : first + batch]
        wav, lengths, _ = collate([Example(spoken.corpus.wav(u.entry), u.words) for u in some])
        for item, heard in zip(some, head.recognise(wav, lengths.tolist()), strict=True):
            said = [head.config.symbols[phone] for word in item.words for phone in word]
            pairs[item.entry.group].append((said, heard))
    return {group: error_rate(pairs[group]) for group in sorted(pairs)}


def collate(examples: Sequence[Example]) -> tuple[Tensor, Tensor, list[Words]]:
    """wav [B, 1, T], zero where an item has ended; samples of each [B]; words of each."""
    lengths = torch.tensor([len(e.wav) for e in examples])
    wav = torch.zeros(len(examples), 1, int(lengths.max()))
    for row, example in zip(wav, examples, strict=True):
        row[0, : len(example.wav)] = torch.from_numpy(example.wav)
    return wav, lengths, [e.words for e in examples]
