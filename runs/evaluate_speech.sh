#!/usr/bin/env bash
# The complete evaluation of the shipped voices and language model: 100 sentences in every voice into
# docs/evaluation-tts-VOICE.json, and continuation of test readers' prompts into docs/evaluation-continuation.json.
# Needs `pip install 'mynah[metrics]'`; ten to twenty minutes a voice on one core.
#     runs/evaluate_speech.sh [FOLDER_OF_SPEECH] [VOICE ...]
set -euo pipefail
cd "$(dirname "$0")/.."
data=${1:-../shared/data}
shift $(($# ? 1 : 0))
[ $# -gt 0 ] || set -- kathleen lj p239  # of philipp there are no recordings to compare with
for voice; do
    mynah evaluate tts --data "$data" --voice "$voice" --retakes 4 --json "docs/evaluation-tts-$voice.json" --force
done
mynah evaluate continuation --data "$data" --takes 8 --json docs/evaluation-continuation.json --force
