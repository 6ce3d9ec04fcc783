#!/usr/bin/env bash
# The complete evaluation of the shipped voices and language model: 100 sentences in every voice into
# docs/evaluation-tts.json, and continuation of test readers' prompts into docs/evaluation-continuation.json.
# Needs `pip install 'mynah[metrics]'`; one to two hours on two cores.
#     runs/evaluate_speech.sh [FOLDER_OF_SPEECH] [LANGUAGE_MODEL_NAME_OR_FOLDER]
set -euo pipefail
cd "$(dirname "$0")/.."
data=${1:-../shared/data}
model=${2:-mynah-lm}

mynah evaluate tts --data "$data" --model "$model" --json docs/evaluation-tts.json --force
mynah evaluate continuation --data "$data" --model "$model" --json docs/evaluation-continuation.json --force
