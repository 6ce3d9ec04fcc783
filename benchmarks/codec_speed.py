"""How fast the codec is, beside EnCodec's 24 kHz and DAC's 16 kHz network in the same run.

    python benchmarks/codec_speed.py [--codec NAME_OR_FOLDER] [--threads 1,2] [--seconds 10] [--out JSON]

Times are medians of several repeats, as multiples of real time (60 s of sound in 1 s: 60 x). The peers have
their published architectures with random weights, which are as fast as trained ones, and their weight
normalisation folded in. Each number of threads runs in a process of its own. Whole files go through
`Codec.encode` and `Codec.decode`; "file" adds writing and reading a `.mynah` file; streams go chunk by chunk
through `encode_step` and `decode_step`. Where the processor was shared with something else, the share of a
core that was ours is printed: such times are worth nothing.
"""

import argparse
import io
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mynah.codec import Codec
from mynah.codec.bitstream import BitstreamReader, BitstreamWriter, Header
from mynah.codec.peers import wrap_model
from mynah.data import metrics
from mynah.data.sample import speech_like

SAMPLE_RATE = 16000
AIM = 100  # times real time, encoding and decoding together, on one thread
AIM_OVER_ENCODEC = 5
PEERS = ("EnCodec 24k", "DAC 16k")
Row = dict[str, Any]


def measure(function: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Median seconds of `repeats` calls after a first one, and processor seconds per second of them."""
    function()
    times, began, cpu = [], time.perf_counter(), time.process_time()
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times), (time.process_time() - cpu) / (time.perf_counter() - began)


def row(
    name: str,
    bitrate: float,
    way: str,
    seconds: float,
    encode: Callable[[], object],
    decode: Callable[[], object],
    repeats: int,
) -> Row:
    """Encoding, decoding, and both, in multiples of real time."""
    (encoding, share), (decoding, other) = measure(encode, repeats), measure(decode, repeats)
    print(f"  {name} {bitrate:g} kbit/s, {way}", file=sys.stderr)
    return {
        "name": name,
        "kbps": bitrate,
        "way": way,
        "encode": seconds / encoding,
        "decode": seconds / decoding,
        "both": seconds / (encoding + decoding),
        "processor_share": min(share, other),
    }


def own_rows(codec: Codec, wav: torch.Tensor, repeats: int) -> list[Row]:
    """The codec at every operating point: whole, through a file, in chunks."""
    config, seconds = codec.config, wav.shape[-1] / SAMPLE_RATE
    rows = []
    for bitrate in config.bitrates:
        encoded = codec.encode(wav, SAMPLE_RATE, bitrate)
        codes = encoded.codes

        def write(bitrate: float = bitrate) -> bytes:
            found = codec.encode(wav, SAMPLE_RATE, bitrate)
            k = found.codes.shape[1]
            header = Header(config.name, codec.identity, SAMPLE_RATE, 1, k, config.frame_rate)
            file = io.BytesIO()
            writer = BitstreamWriter(file, header, codec.tables)
            writer.write(found.codes.numpy())
            writer.close(found.length)
            return file.getvalue()

        def read(data: bytes, encoded: Any = encoded) -> torch.Tensor:
            pieces = [piece.codes for piece in BitstreamReader(io.BytesIO(data), codec.tables)]
            return codec.decode(encoded._replace(codes=torch.from_numpy(np.concatenate(pieces, 2))))

        def whole(bitrate: float = bitrate) -> object:
            return codec.encode(wav, SAMPLE_RATE, bitrate)

        def back(encoded: Any = encoded) -> torch.Tensor:
            return codec.decode(encoded)

        def back_bf16(encoded: Any = encoded) -> torch.Tensor:
            with torch.autocast("cpu", torch.bfloat16):
                return codec.decode(encoded)

        data = write()
        rows.append(row(config.name, bitrate, "whole", seconds, whole, back, repeats))
        rows.append(row(config.name, bitrate, "file", seconds, write, lambda d=data: read(d), repeats))
        for frames in (1, 2):
            steps = stream(codec, wav, codes, frames)
            way = f"{1000 * frames / config.frame_rate:g} ms"
            rows.append(row(config.name, bitrate, way, seconds, *steps, max(2, repeats // 3)))
        rows.append(row(config.name, bitrate, "decode bf16", seconds, whole, back_bf16, repeats))
        # What the reduced precision does to the sound; the tokens are those of full precision.
        rows[-1]["si_sdr_to_fp32"] = metrics.si_sdr(back()[0, 0].numpy(), back_bf16()[0, 0].float().numpy())
    return rows


def stream(
    codec: Codec, wav: torch.Tensor, codes: torch.Tensor, frames: int
) -> tuple[Callable[[], object], Callable[[], object]]:
    """Encoding and decoding in chunks of so many frames."""
    size = frames * codec.config.hop_length
    whole = wav[..., : wav.shape[-1] // size * size]

    def encode() -> None:
        state = codec.init_encode_state(1)
        for chunk in whole.split(size, -1):
            _, state = codec.encode_step(chunk, state, codes.shape[1])

    def decode() -> None:
        state = codec.init_decode_state(1)
        for chunk in codes.split(frames, -1):
            _, state = codec.decode_step(chunk, state)

    return encode, decode


def peer_model(name: str) -> Any:
    """A published architecture with random weights, in evaluation mode."""
    import transformers
    from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations

    if name == "EnCodec 24k":
        model = transformers.EncodecModel(transformers.EncodecConfig())
    else:  # facts of descript/dac_16khz
        model = transformers.DacModel(
            transformers.DacConfig(sampling_rate=16000, downsampling_ratios=[2, 4, 5, 8], n_codebooks=12)
        )
    for module in model.modules():
        if is_parametrized(module, "weight"):
            remove_parametrizations(module, "weight")
    return model.eval()


def peer_rows(name: str, seconds: float, bitrates: tuple[float, ...], repeats: int) -> list[Row]:
    """A peer on sound at its own rate, whole."""
    tokenizer = wrap_model(name, peer_model(name))
    wav = 0.1 * torch.randn(1, 1, round(seconds * tokenizer.sample_rate))
    rows = []
    for bitrate in bitrates:
        codes = tokenizer.encode(wav, tokenizer.sample_rate, bitrate)

        def encode(bitrate: float = bitrate) -> object:
            return tokenizer.encode(wav, tokenizer.sample_rate, bitrate)

        def decode(codes: torch.Tensor = codes) -> object:
            return tokenizer.decode(codes)

        rows.append(row(name, bitrate, "whole", seconds, encode, decode, repeats))
    return rows


def sound(seconds: float) -> torch.Tensor:
    """[1, 1, T]: the speech-like sound, repeated."""
    wav = speech_like().wav[0]
    length = round(seconds * SAMPLE_RATE)
    return torch.from_numpy(np.tile(wav, math.ceil(length / len(wav)))[:length])[None, None]


def run(options: argparse.Namespace) -> list[Row]:
    """All rows with this process's number of threads."""
    torch.set_num_threads(options.run)
    codec = Codec.from_pretrained(options.codec)
    rows = own_rows(codec, sound(options.seconds), options.repeats)
    for name in PEERS:
        rows += peer_rows(name, options.seconds, codec.config.bitrates, max(2, options.repeats // 4))
    return [{"threads": options.run, **found} for found in rows]


def table(rows: list[Row]) -> list[str]:
    """Lines of text: speeds, and how many times faster than EnCodec at the same bitrate and threads."""
    encodec = {(r["threads"], r["kbps"]): r["both"] for r in rows if r["name"] == PEERS[0]}
    lines = ["threads  kbit/s  codec         way          encode x  decode x    both x  / EnCodec"]
    for found in rows:
        ratio = found["both"] / encodec[found["threads"], found["kbps"]]
        line = f"{found['threads']:7d}  {found['kbps']:6g}  {found['name']:12}  {found['way']:11}"
        line += f"  {found['encode']:8.1f}  {found['decode']:8.1f}  {found['both']:8.1f}  {ratio:9.2f}"
        if "si_sdr_to_fp32" in found:
            line += f"  (SI-SDR to full precision {found['si_sdr_to_fp32']:.1f} dB)"
        if found["processor_share"] < 0.9:
            line += f"  (shared processor: {100 * found['processor_share']:.0f} % of a core)"
        lines.append(line)
    return lines


def verdict(rows: list[Row], name: str) -> str:
    """The aim of the project, at 3 kbit/s on one thread."""
    found = {(r["name"], r["way"]): r["both"] for r in rows if r["threads"] == 1 and r["kbps"] == 3}
    if (name, "whole") not in found:
        return "no row for 3 kbit/s on one thread: nothing to hold against the aim"
    speed, ratio = found[name, "whole"], found[name, "whole"] / found[PEERS[0], "whole"]
    reached = speed >= AIM and ratio >= AIM_OVER_ENCODEC
    return (
        f"3 kbit/s, one thread: {speed:.0f} x real time (aim {AIM}), {ratio:.1f} times EnCodec "
        f"(aim {AIM_OVER_ENCODEC}): {'reached' if reached else 'not reached'}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the codec and its peers.")
    parser.add_argument("--codec", default="mynah-16k", help="name or folder")
    parser.add_argument("--threads", default="1,2", help="numbers of threads, with commas")
    parser.add_argument("--seconds", type=float, default=10.0, help="of sound")
    parser.add_argument("--repeats", type=int, default=11, help="of a whole file; slower things have fewer")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--run", type=int, help=argparse.SUPPRESS)  # a child process: threads, JSON out
    options = parser.parse_args()
    if options.run:
        print(json.dumps(run(options)))
        return
    rows: list[Row] = []
    for threads in map(int, options.threads.split(",")):
        print(f"{threads} thread{'s' * (threads > 1)}:", file=sys.stderr)
        command = [sys.executable, __file__, "--run", str(threads), "--codec", options.codec]
        command += ["--seconds", str(options.seconds), "--repeats", str(options.repeats)]
        environment = os.environ | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        done = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=True)
        rows += json.loads(done.stdout)
    result = verdict(rows, Codec.from_pretrained(options.codec).config.name)
    print("\n".join([*table(rows), result]))
    if options.out:
        from mynah.apps.evaluate_run import processor, versions

        machine = {"processor": processor(), "cores": os.cpu_count()}
        report = {"verdict": result, "machine": machine, "versions": versions(), "rows": rows}
        partial = options.out.with_name(options.out.name + ".part")
        partial.write_text(json.dumps(report, indent=1) + "\n")
        os.replace(partial, options.out)


if __name__ == "__main__":
    main()
