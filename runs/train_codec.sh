#!/bin/sh
# Train the codec: runs/train_codec.sh DATA OUT
# OUT/reconstruction learns everything; from it OUT/adversarial learns the decoder against a discriminator; from the mean of
# both, OUT/mean, OUT/decoder learns the decoder once more; from the mean of these two, OUT/nearly, OUT/again learns everything
# again, and OUT/large and OUT/mynah-16k twice more in batches of 128 and 192, which want a GPU (six minutes each on a large one);
# the last one gets entropy tables.
# Run again with the same arguments, it goes on where it was stopped.
set -eu
data=$1 out=$2
recipe="$(dirname "$0")/codec-16k.json"

train() {
    mynah train codec "$recipe" --data "$data" --exclude noise --exclude meetings "$@"
}

decoder() {
    train --set train.latent_steps=0 --set 'train.rate_weights=[0.42,0.36,0.22]' \
        --set 'train.complex_weights=[0,0.5,1]' "$@"
}

everything() {
    train --set train.latent_steps=0 --set 'train.rate_weights=[0.40,0.34,0.22,0.04]' \
        --set 'train.weights={"mel":0.35,"perceptual":0.3,"complex":0.15,"intelligibility":0.2}' "$@"
}

train --out "$out/reconstruction"
decoder --init "$out/reconstruction" --out "$out/adversarial" --set train.stage=adversarial --set train.lr=0.0005 \
    --set train.steps=2900 --set train.decay=0.4 \
    --set 'train.weights={"mel":0.35,"perceptual":0.2,"complex":0.12,"adversarial":0.13,"features":0.2}'
[ -e "$out/mean/config.json" ] ||
    mynah train average "$out/reconstruction" "$out/adversarial" --out "$out/mean"
decoder --init "$out/mean" --out "$out/decoder" --set train.stage=decoder --set train.lr=0.0007 \
    --set train.steps=4000 --set train.decay=0.5 \
    --set 'train.weights={"mel":0.35,"perceptual":0.3,"complex":0.15,"intelligibility":0.2}'
[ -e "$out/nearly/config.json" ] ||
    mynah train average "$out/mean" "$out/decoder" --out "$out/nearly"
everything --init "$out/nearly" --out "$out/again" --set train.lr=0.0008 --set train.seed=41 \
    --set train.steps=4500 --set train.decay=0.5
large() {
    everything --set train.lr=0.0012 --set train.decay=0.6 --set train.warmup=200 --set train.workers=14 "$@"
}

large --init "$out/again" --out "$out/large" --set train.steps=4304 --set train.batch=128 --set train.seed=51
large --init "$out/large" --out "$out/mynah-16k" --set train.steps=4279 --set train.batch=192 --set train.seed=71
[ -e "$out/mynah-16k/tables.safetensors" ] ||
    mynah train tables "$out/mynah-16k" --data "$data" --exclude noise --exclude meetings
