#!/usr/bin/env bash
# The bars of the project: PESQ-WB and ESTOI at 1.5, 3 and 6 kbit/s on the 30 one-utterance readers of LibriSpeech's
# test part (first 12 s of each), with the real kbit/s of the .mynah files, beside Opus (opus-tools, its default of a
# variable bitrate) and Codec2 (codec2) where they are installed. Five to ten minutes on one core.
#     runs/bars.sh [FOLDER_OF_SPEECH] [CODEC_NAME_OR_FOLDER]
set -euo pipefail
cd "$(dirname "$0")/.."
data=${1:-../shared/data}
codec=${2:-mynah-16k}
report=$(mktemp -d)/bars.json
trap 'rm -rf "$(dirname "$report")"' EXIT

mynah evaluate codec --data "$data" --codec "$codec" --groups librispeech-30 --peers opus,codec2 --scores pesq_wb,estoi \
    --json "$report" >&2
python - "$report" <<'PYTHON'
import json
import sys

BARS = {"1.5": (2.00, 0.77), "3": (2.60, 0.84), "6": (3.20, 0.89)}
report = json.load(open(sys.argv[1]))
clips = report["sets"]["librispeech-30"]
print(f"{report['codec']['name']} {report['codec']['identity']}, {clips['clips']} clips, {clips['seconds']:g} s")
print("| coder | bar: PESQ-WB / ESTOI | measured | file, kbit/s | payload, kbit/s | reached |")
print("|---|---|---|---|---|---|")
for name, found in clips["coders"].items():
    pesq, estoi = (found["scores"][score] for score in ("pesq_wb", "estoi"))
    lost = pesq["undefined"] + estoi["undefined"]
    bar, verdict = "", ""
    if name.startswith(report["codec"]["name"]):
        pesq_bar, estoi_bar = BARS[name.split()[-1]]
        bar = f"{pesq_bar:.2f} / {estoi_bar:.2f}"
        reached = not lost and pesq["mean"] >= pesq_bar and estoi["mean"] >= estoi_bar
        verdict = "yes" if reached else "no"
    verdict += f" {lost} scores undefined" if lost else ""
    measured = " / ".join("undefined" if s["mean"] is None else f"{s['mean']:.3f}" for s in (pesq, estoi))
    print(f"| {name} | {bar} | {measured} | {found['kbps_file']:.2f} | {found['kbps_payload']:.2f} | {verdict} |")
PYTHON
