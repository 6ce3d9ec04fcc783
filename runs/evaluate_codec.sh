#!/usr/bin/env bash
# The complete evaluation of the shipped codec into docs/evaluation.json: up to 30 clips of every set of the test part,
# beside Opus (opus-tools), Codec2 (codec2) and EnCodec (its weights in the hub's cache), where they are installed.
# Needs `pip install 'mynah[metrics]'`; one to two hours on one core, most of it DNSMOS and PESQ.
#     runs/evaluate_codec.sh [FOLDER_OF_SPEECH] [CODEC_NAME_OR_FOLDER]
set -euo pipefail
cd "$(dirname "$0")/.."
data=${1:-../shared/data}
codec=${2:-mynah-16k}

mynah evaluate codec --data "$data" --codec "$codec" --clips 30 --json docs/evaluation.json --force
