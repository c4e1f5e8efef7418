#!/bin/sh
# one command: tokenizer -> training -> export -> evaluation -> golden conversations.  usage: sh run.sh [minutes]
set -e
cd "$(dirname "$0")"
PY=${PYTHON:-python3}
# passive waiting matters when the cores are shared; the malloc settings avoid page faults for large temporaries
export OMP_WAIT_POLICY=PASSIVE OPENBLAS_NUM_THREADS=1 MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=17179869184 MALLOC_TOP_PAD_=268435456
MODEL=../../../demo/public/models/gpt-oss-nano
GOLDEN=../../../packages/core/test/golden/nano.json
mkdir -p "$MODEL"
$PY bpe.py "$MODEL/tokenizer.json" 1600
$PY train.py --minutes "${1:-37}" --out ckpt.pt
$PY export.py --ckpt ckpt.pt --out "$MODEL"
echo "float weights"; $PY evaluate.py --model ckpt.pt -n 100
echo "exported weights"; $PY evaluate.py --model "$MODEL" -n 100 --json scores.json
$PY evaluate.py --model "$MODEL" --golden "$GOLDEN"
