#!/bin/sh
# When encoder or quantizer of the codec were trained on, its codes and features mean something else: entropy tables, heads and language
# model follow, the last two from those that are shipped: runs/follow_codec.sh DATA CODEC OUT
# Tables into the folder CODEC; a folder in OUT for each of the others. Run again with the same arguments, it goes on where it
# was stopped. Durations stay, which are of sounds and not of codes; the voices are made again with runs/make_voices.py.
set -eu
cd "$(dirname "$0")/.."
data=$1 codec=$2 out=$3

tokenize() {
    mynah tokenize "$data" "$out/tokens" --codec "$codec" --exclude noise --exclude meetings --align \
        --head "$out/phones-16k" "$@"
}

[ -e "$codec/tables.safetensors" ] ||
    mynah train tables "$codec" --data "$data" --exclude noise --exclude meetings
mynah train ctc runs/ctc-16k.json --data "$data" --codec "$codec" --out "$out/phones-16k" --init phones-16k \
    --set train.steps=350 --set train.lr=0.001 --set train.seed=7
mynah train speakers runs/speakers-16k.json --data "$data" --codec "$codec" --out "$out/speakers-16k" \
    --set train.steps=700
tokenize --views 4
tokenize --views 12 --exclude coffee_intents --exclude commonvoice --exclude fsdd --exclude kerstin \
    --exclude speechocean762 --exclude wake_words
mynah train lm runs/lm-voices-16k.json --data "$out/tokens" --codec "$codec" --out "$out/learned" --init lm/weights/mynah-lm \
    --set lm.dropout=0.2 --set train.steps=3299 --set train.batch_frames=30000 --set train.lr=0.001 --set train.warmup=100 \
    --set train.decay=0.6 --set train.seed=61 --set train.workers=6
# so many steps learn the recordings by heart; the mean with the model before has most of what they bring and less of that
[ -e "$out/mynah-lm/config.json" ] ||
    mynah train average "$out/learned" lm/weights/mynah-lm --out "$out/mynah-lm"
