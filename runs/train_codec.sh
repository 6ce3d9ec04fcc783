#!/bin/sh
# Train the codec: runs/train_codec.sh DATA OUT
# OUT/reconstruction learns everything and gets its entropy tables; from it OUT/adversarial learns the decoder against a
# discriminator; from the mean of both, OUT/mean, OUT/decoder learns the decoder once more, and OUT/mynah-16k is the mean
# of these two. Run again with the same arguments, it goes on where it was stopped.
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

train --out "$out/reconstruction"
[ -e "$out/reconstruction/tables.safetensors" ] ||
    mynah train tables "$out/reconstruction" --data "$data" --exclude noise --exclude meetings
decoder --init "$out/reconstruction" --out "$out/adversarial" --set train.stage=adversarial --set train.lr=0.0005 \
    --set train.steps=2900 --set train.decay=0.4 \
    --set 'train.weights={"mel":0.35,"perceptual":0.2,"complex":0.12,"adversarial":0.13,"features":0.2}'
[ -e "$out/mean/config.json" ] ||
    mynah train average "$out/reconstruction" "$out/adversarial" --out "$out/mean"
decoder --init "$out/mean" --out "$out/decoder" --set train.stage=decoder --set train.lr=0.0007 \
    --set train.steps=4000 --set train.decay=0.5 \
    --set 'train.weights={"mel":0.35,"perceptual":0.3,"complex":0.15,"intelligibility":0.2}'
[ -e "$out/mynah-16k/config.json" ] ||
    mynah train average "$out/mean" "$out/decoder" --out "$out/mynah-16k"
