"""How fast the language model makes codes, beside a transformers model of the same shape in the same run.

    python benchmarks/lm_speed.py [--recipe runs/lm-16k.json] [--threads 1,2] [--seconds 5] [--out JSON]

The peer is a Llama with as many layers, heads and channels, as wide a feed-forward layer, one vocabulary of
the size of a codebook (so one code a step where ours makes one for each stream, and a smaller output layer)
and its static cache: once through `generate` with the same top-k and top-p, once as a bare loop of its
forward pass that takes the likeliest code. Weights are random, which are as fast as trained ones. The batch
is one, the prompt three seconds. Times are the best of several repeats; a frame is a step, 50 a second for
the real-time factor, without the codec's decoder. Each number of threads runs in a process of its own.
Beside the times stand processor times: with one thread, they are equal on an idle machine, and where the
processor was shared with something else, the times are worth little.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from mynah.apps.train_lm_options import read_lm_recipe
from mynah.lm import LanguageModel, LMConfig, Sampling
from mynah.lm.int8 import quantize
from mynah.lm.network import LMNetwork

PROMPT_SECONDS = 3.0
Row = dict[str, Any]


def measure(name: str, function: Callable[[], int], codes: int, frame_rate: float, repeats: int) -> Row:
    """`function` makes frames and returns how many."""
    function()
    best, least = float("inf"), float("inf")
    for _ in range(repeats):
        start, cpu = time.perf_counter(), time.process_time()
        frames = function()
        best = min(best, (time.perf_counter() - start) / frames)
        least = min(least, (time.process_time() - cpu) / frames)
    print(f"  {name}", file=sys.stderr)
    return {
        "name": name,
        "ms_a_step": 1000 * best,
        "processor_ms_a_step": 1000 * least,
        "codes_a_second": codes / best,
        "real_time_factor": best * frame_rate,
    }


def own_rows(config: LMConfig, frames: int, repeats: int) -> list[Row]:
    """In full precision, and with weights in 8 bits."""
    rows = []
    prompt = torch.randint(
        config.codebook_size, (config.n_codebooks, round(PROMPT_SECONDS * config.frame_rate))
    )
    seconds = frames / config.frame_rate
    for name in ("mynah fp32", "mynah int8"):
        network = LMNetwork(config)
        model = LanguageModel(quantize(network) if name.endswith("int8") else network)

        def speak(model: LanguageModel = model) -> int:
            generators = [torch.Generator().manual_seed(0)]
            options = {"generators": generators, "least_seconds": seconds, "sampling": Sampling()}
            (codes,) = model.continue_codes([prompt], seconds, **options).codes()
            return codes.shape[1]

        rows.append(measure(name, speak, config.n_codebooks, config.frame_rate, repeats))
    return rows


def peer_rows(config: LMConfig, frames: int, repeats: int) -> list[Row]:
    """A Llama of the same shape with its static cache."""
    from transformers import LlamaConfig, LlamaForCausalLM, StaticCache

    hidden = (
        LMNetwork(LMConfig(dim=config.dim, layers=1, head_dim=config.head_dim)).blocks[0].output.in_features
    )
    prompt = round(PROMPT_SECONDS * config.frame_rate)
    shape = LlamaConfig(
        vocab_size=config.codebook_size + 1,
        hidden_size=config.dim,
        intermediate_size=hidden,
        num_hidden_layers=config.layers,
        num_attention_heads=config.dim // config.head_dim,
        max_position_embeddings=prompt + frames,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=0,
        attn_implementation="sdpa",
    )
    model = LlamaForCausalLM(shape).eval()
    tokens = torch.randint(config.codebook_size, (1, prompt))

    def generate() -> int:
        made = model.generate(
            tokens,
            attention_mask=torch.ones_like(tokens),
            do_sample=True,
            top_k=25,
            top_p=0.8,
            min_new_tokens=frames,
            max_new_tokens=frames,
            cache_implementation="static",
        )
        return made.shape[1] - prompt

    @torch.inference_mode()
    def loop() -> int:
        cache = StaticCache(config=shape, max_cache_len=prompt + frames)
        now = tokens
        for _ in range(frames):
            logits = model(now, past_key_values=cache, use_cache=True, logits_to_keep=1).logits
            now = logits[:, -1].argmax(-1, keepdim=True)
        return frames

    pairs = (("transformers generate", generate), ("transformers forward", loop))
    return [measure(name, function, 1, config.frame_rate, repeats) for name, function in pairs]


def table(rows: list[Row]) -> list[str]:
    """Lines of text: steps, codes and the real-time factor, and steps a second over the peer's."""
    lines = [
        "threads  model                  ms/step  processor ms  codes/s  real-time factor  over generate"
    ]
    generate = {r["threads"]: r["ms_a_step"] for r in rows if r["name"] == "transformers generate"}
    for found in rows:
        ratio = generate[found["threads"]] / found["ms_a_step"]
        line = f"{found['threads']:7d}  {found['name']:21}  {found['ms_a_step']:7.2f}"
        line += f"  {found['processor_ms_a_step']:12.2f}  {found['codes_a_second']:7.0f}"
        lines.append(f"{line}  {found['real_time_factor']:16.3f}  {ratio:13.2f}")
    return lines


def main() -> None:
    recipe = Path(__file__).parents[1] / "runs" / "lm-16k.json"
    parser = argparse.ArgumentParser(description="Time the language model and a peer.")
    parser.add_argument("--recipe", type=Path, default=recipe, help="whose section lm gives the shape")
    parser.add_argument("--threads", default="1,2", help="numbers of threads, with commas")
    parser.add_argument("--seconds", type=float, default=5.0, help="of speech")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--run", type=int, help=argparse.SUPPRESS)  # a child process: threads, JSON out
    options = parser.parse_args()
    config, _ = read_lm_recipe(options.recipe, [])
    if options.run:
        torch.set_num_threads(options.run)
        torch.manual_seed(0)
        frames = round(options.seconds * config.frame_rate)
        found = own_rows(config, frames, options.repeats) + peer_rows(config, frames, options.repeats)
        print(json.dumps([{"threads": options.run, **row} for row in found]))
        return
    rows: list[Row] = []
    for threads in map(int, options.threads.split(",")):
        print(f"{threads} thread{'s' * (threads > 1)}:", file=sys.stderr)
        command = [sys.executable, __file__, "--run", str(threads), "--recipe", str(options.recipe)]
        command += ["--seconds", str(options.seconds), "--repeats", str(options.repeats)]
        environment = os.environ | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        done = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=True)
        rows += json.loads(done.stdout)
    print("\n".join(table(rows)))
    if options.out:
        from mynah.apps.evaluate_run import processor, versions

        machine = {"processor": processor(), "cores": os.cpu_count()}
        report = {"machine": machine, "versions": versions(), "rows": rows}
        partial = options.out.with_name(options.out.name + ".part")
        partial.write_text(json.dumps(report, indent=1) + "\n")
        os.replace(partial, options.out)


if __name__ == "__main__":
    main()
