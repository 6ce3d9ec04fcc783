"""`mynah train durations`: a flat loop for one device, minutes long on a laptop.

A run folder holds `recipe.json`, `progress.jsonl`, `progress.png`, `state.pt` (everything a resumed run
needs; tensors and plain values only) and, from the averaged weights, a model folder that
`Durations.from_pretrained` reads. Killed at any moment, the same command takes it up and reaches the same
losses."""

import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ..codec import checkpoint
from ..data.errors import MynahError
from ..data.text.symbols import PAUSES
from ..tts.duration_network import (
    PADDING,
    UNKNOWN_SPEAKER,
    DurationConfig,
    DurationNetwork,
    duration_loss,
    limits_of,
    stand_ins_of,
)
from ..tts.durations import Durations
from .run_folder import Average, cut_log, load_state, plot_progress, save_state, write_recipe
from .train_durations_data import DurationTrainOptions, Example, read_duration_recipe

TIMED_STEPS = 20  # after so many the duration of the run is told


def train(
    config: DurationConfig,
    options: DurationTrainOptions,
    examples: Sequence[Example],
    validation: Sequence[Example],
    out: Path,
    stop_at: int | None = None,
    log: Callable[[str], None] = print,
    interrupted: Callable[[], bool] = lambda: False,
) -> int:
    """Train until `options.steps` and return the step reached; `out` is then also a model folder.

    Args:
        config: the architecture, with its speakers.
        options: how to train it.
        examples: at least one.
        validation: what to evaluate on, at least one.
        out: the run's folder; a run that it holds is taken up.
        stop_at: stop early after this step, resumably.
        log: where a line per evaluation goes.
        interrupted: asked after every step; where it says so, the run is saved and stops.

    Raises:
        MynahError: `out` holds a run of another architecture; a loss that is no longer finite.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(options.seed)
    network = DurationNetwork(config)
    network.stand_ins.copy_(stand_ins_of([e.ids for e in examples], config.symbols))
    taken_for = [network.stand_ins[e.ids].numpy() for e in examples]
    network.limits.copy_(limits_of(taken_for, [e.durations for e in examples], len(config.symbols)))
    network.to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=options.lr, weight_decay=options.weight_decay)
    average = Average(network, options.ema)

    # The whole of a run's state: what is not listed here is a function of (recipe, step).
    step, seconds = 0, 0.0
    state_path = out / "state.pt"
    if state_path.exists():
        if read_duration_recipe(out / "recipe.json", [])[0] != config:
            raise MynahError(f"{out}: holds a run of another architecture or speakers; give another --out")
        state = load_state(state_path, device)
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        average.tensors = state["average"]
        step, seconds = state["step"], state["seconds"]
        log(f"resumed at step {step}")
    cut_log(out / "progress.jsonl", step)
    out.mkdir(parents=True, exist_ok=True)
    write_recipe(out, durations=config, train=options)

    def save() -> None:
        state = {
            "network": network.state_dict(),
            "optimizer": optimizer.state_dict(),
            "average": average.tensors,
            "step": step,
            "seconds": seconds,
        }
        save_state(state_path, state)
        checkpoint.save(out, config, average.tensors)

    known = {name: i for i, name in enumerate(config.speakers, 1)}
    losses: list[Tensor] = []
    clock = begun_at = time.monotonic()
    timed = step + TIMED_STEPS
    while step < options.steps and (stop_at is None or step < stop_at):
        rng = np.random.default_rng((options.seed, step))
        chosen = [examples[i] for i in rng.integers(len(examples), size=options.batch)]
        hidden = rng.random(options.batch) < options.speaker_dropout
        speakers = [
            UNKNOWN_SPEAKER if h else known.get(e.speaker, UNKNOWN_SPEAKER) for e, h in zip(chosen, hidden)
        ]
        ids, durations = (part.to(device) for part in padded(chosen))
        torch.manual_seed(options.seed * 1_000_003 + step)
        for group in optimizer.param_groups:
            group["lr"] = options.learning_rate(step)
        optimizer.zero_grad()
        loss = duration_loss(network(ids, torch.tensor(speakers, device=device)), durations)
        if not bool(loss.total.isfinite()):
            raise MynahError(
                f"step {step}: the loss is no longer finite; {out} keeps an earlier step: lower train.lr"
            )
        loss.total.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), options.clip)
        optimizer.step()
        average.update(network, step)
        losses.append(torch.stack(loss).detach())
        step += 1
        stopping = interrupted()
        if step == timed:
            pace = (time.monotonic() - begun_at) / TIMED_STEPS
            minutes = pace * (options.steps - step) / 60
            log(
                f"{pace:.2f} s a step: about {minutes:.0f} minutes to step {options.steps}, evaluations apart"
            )
        if step % options.evaluate_every == 0 or step == options.steps:
            mean = torch.stack(losses).mean(0).tolist()
            line = {
                "step": step,
                "minutes": round((seconds + time.monotonic() - clock) / 60, 2),
                **dict(zip(("loss", "frames", "pauses", "length"), (round(x, 4) for x in mean))),
                **evaluate(config, average.tensors, validation),
            }
            with open(out / "progress.jsonl", "a") as f:
                f.write(json.dumps(line) + "\n")
            log(json.dumps(line))
            plot_progress(out)
            losses = []
        # After the line: a kill between them takes back the line, which the resumed run writes again.
        if step % options.save_every == 0 or step in (options.steps, stop_at) or stopping:
            seconds += time.monotonic() - clock
            clock = time.monotonic()
            save()
        if stopping:
            break
    return step


def padded(examples: Sequence[Example]) -> tuple[Tensor, Tensor]:
    """Ids [B, P] and durations [B, P] of a batch."""
    ids = pad_sequence([torch.from_numpy(e.ids) for e in examples], batch_first=True)
    durations = [torch.from_numpy(e.durations) for e in examples]
    return ids, pad_sequence(durations, batch_first=True, padding_value=PADDING)


def evaluate(
    config: DurationConfig, tensors: dict[str, Tensor], examples: Sequence[Example]
) -> dict[str, float]:
    """How far the model is from recordings, said as by a speaker that it knows where it does.

    Returns:
        `error_ms`, the mean absolute error of sounds in ms; `pause_error`, the share of the symbols between
        words that wrongly are, or are not, a pause; `pause_ms`, the error of the pauses that are made;
        `length_ratio`, the geometric mean of predicted over real lengths.
    """
    network = DurationNetwork(config)
    network.load_state_dict({k: v.cpu() for k, v in tensors.items()})
    model = Durations(network)
    is_pause = np.array([False, *(symbol in PAUSES for symbol in config.symbols)])
    sounds, pauses, wrong, ratios = [], [], [], []
    for example in examples:
        symbols = [config.symbols[i - 1] for i in example.ids]
        speaker = example.speaker if example.speaker in config.speakers else ""
        own, real = np.array(model.frames(symbols, speaker)), example.durations
        between = is_pause[example.ids]
        sounds.append(np.abs(own - real)[~between])
        wrong.append((own > 0)[between] != (real > 0)[between])
        pauses.append(np.abs(own - real)[between & (own > 0) & (real > 0)])
        ratios.append(math.log(max(own.sum(), 1) / real.sum()))
    frame = 1000 / config.frame_rate
    return {
        "error_ms": round(_mean(sounds) * frame, 2),
        "pause_error": round(_mean(wrong), 4),
        "pause_ms": round(_mean(pauses) * frame, 2),
        "length_ratio": round(math.exp(float(np.mean(ratios))), 4),
    }


def _mean(parts: list[np.ndarray]) -> float:
    joined = np.concatenate(parts)
    return float(joined.mean()) if len(joined) else 0.0
