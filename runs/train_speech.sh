#!/bin/sh
# Train everything that speaks, on the codec's features and tokens: runs/train_speech.sh DATA OUT
# Phone head, speaker head, tokens with alignments, durations, language model; a folder in OUT each. Run again with the same
# arguments, it goes on where it was stopped.
set -eu
cd "$(dirname "$0")/.."
data=$1 out=$2

tokenize() {
    mynah tokenize "$data" "$out/tokens" --exclude noise --exclude meetings --align --head "$out/phones-16k" "$@"
}

mynah train ctc runs/ctc-16k.json --data "$data" --out "$out/phones-16k"
mynah train speakers runs/speakers-16k.json --data "$data" --out "$out/speakers-16k"
tokenize
# Four views of the speech that is drawn most often.
tokenize --views 4 --exclude coffee_intents --exclude commonvoice --exclude fsdd --exclude kerstin \
    --exclude speechocean762 --exclude wake_words
mynah train durations runs/durations-16k.json --data "$out/tokens/alignments.jsonl" --out "$out/mynah-durations"
# All speech first, without text; then with phonemes, and voices by name; then once more, and the mean of both.
mynah train lm runs/lm-16k.json --data "$out/tokens" --out "$out/lm-speech" --set train.steps=1000 --set train.decay=0
mynah train lm runs/lm-voices-16k.json --data "$out/tokens" --out "$out/lm-voices" --init "$out/lm-speech"
mynah train lm runs/lm-voices-16k.json --data "$out/tokens" --out "$out/lm-again" --init "$out/lm-voices" \
    --set train.seed=1 --set train.warmup=50 --set train.steps=1300
[ -e "$out/mynah-lm/config.json" ] ||
    mynah train average "$out/lm-voices" "$out/lm-again" --out "$out/mynah-lm"
