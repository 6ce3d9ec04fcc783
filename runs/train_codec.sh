#!/bin/sh
# Train the codec: runs/train_codec.sh DATA OUT [further options of `mynah train codec`]
# Run again with the same arguments, it goes on where it was stopped.
set -eu
data=$1 out=$2
shift 2
exec mynah train codec "$(dirname "$0")/codec-16k.json" --data "$data" --out "$out" \
    --exclude noise --exclude meetings "$@"
