#!/usr/bin/env python3
"""Times generation by Gyro against transformers.generate, on the same prompts in turn, and prints the ratios.

  bench/generate.py MODEL QUESTIONS.jsonl [--prompts 32] [--tokens 64] [--threads 2] [--rounds 3] [--device cpu|cuda]
                    [--bench build/bench/bin/generate_bench] [--python .venv-reference/bin/python]

Each side loads its model once a round, is not timed for that, and continues the same token ids greedily: "fixed" --tokens new
tokens of every prompt (transformers forbids end tokens there), "natural" up to the model's end tokens. transformers gets one left-padded batch of all
prompts, in float32 and in bfloat16; the faster one counts. Gyro runs as many slots as there are prompts. "bare" is a loop of
llama_decode without sampling, with the cache in F16 and flash attention, as llama.cpp's batched benchmark runs it. Rates are
new tokens a second, prompts included in the time. The first tokens of both sides are compared, as far as they agree."""
import argparse
import json
import os
import statistics
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

TRANSFORMERS = r"""
import json, sys, time, torch
from transformers import AutoModelForCausalLM
model_path, dtype, device, threads, tokens = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
prompts = json.load(sys.stdin)
torch.set_num_threads(threads)
model = AutoModelForCausalLM.from_pretrained(model_path, dtype=getattr(torch, dtype)).to(device).eval()
length = max(map(len, prompts))
ids = torch.tensor([[0] * (length - len(p)) + p for p in prompts], device=device)
mask = torch.tensor([[0] * (length - len(p)) + [1] * len(p) for p in prompts], device=device)
ends = model.generation_config.eos_token_id
ends = set(ends if isinstance(ends, list) else [ends])
out = {}
for kind, least in (("fixed", tokens), ("natural", 0)):
    options = dict(attention_mask=mask, do_sample=False, temperature=None, top_p=None, top_k=None, max_new_tokens=tokens, min_new_tokens=least, pad_token_id=0)
    with torch.no_grad():
        if device == "cuda":
            model.generate(ids, **options | dict(max_new_tokens=2, min_new_tokens=0)); torch.cuda.synchronize()
        start = time.perf_counter()
        found = model.generate(ids, **options)
        if device == "cuda": torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    texts = found[:, length:].tolist()
    if kind == "natural":
        texts = [t[:next((i + 1 for i, x in enumerate(t) if x in ends), len(t))] for t in texts]
    out[kind] = {"seconds": seconds, "new_tokens": sum(map(len, texts)), "ids": texts}
print(json.dumps(out))
"""


def run(command, **options):
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout.splitlines()[-1])


def rate(side):
    return side["new_tokens"] / side["seconds"]


def agreement(ours, theirs):
    """Share of the tokens before each text's first difference."""
    same = total = 0
    for a, b in zip(ours["ids"], theirs["ids"]):
        size = min(len(a), len(b))
        same += next((i for i in range(size) if a[i] != b[i]), size)
        total += size
    return same / total


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("questions")
    parser.add_argument("--prompts", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--bench", default=os.path.join(ROOT, "build/bench/bin/generate_bench"))
    parser.add_argument("--python", default=os.path.join(ROOT, ".venv-reference/bin/python"))
    a = parser.parse_args()
    ours = [a.bench, a.model, a.questions, "--prompts", str(a.prompts), "--slots", str(a.prompts), "--tokens", str(a.tokens),
            "--threads", str(a.threads)] + (["--gpu"] if a.device == "cuda" else [])
    rates = {}
    for _ in range(a.rounds):
        sides = {dtype: run(ours + ["--dtype", dtype]) for dtype in ("BF16", "F32")}
        prompts = json.dumps(sides["BF16"]["prompts"])
        for dtype in ("float32", "bfloat16"):
            sides[dtype] = run([a.python, "-c", TRANSFORMERS, a.model, dtype, a.device, str(a.threads), str(a.tokens)], input=prompts)
        for side, kinds in sides.items():
            for kind in ("fixed", "natural", "bare"):
                if kind in kinds:
                    rates.setdefault((side, kind), []).append(rate(kinds[kind]))
    print(f"{a.prompts} prompts of {sides['BF16']['prompt_length']} tokens (mean), {a.tokens} new ones at most, {a.threads} threads, {a.device}; "
          f"loading (not counted) {sides['BF16']['load_seconds']:.2f} s; median of {a.rounds}")
    for (side, kind), all_rates in rates.items():
        print(f"{side:9} {kind:8} {statistics.median(all_rates):9.1f} tokens/s   ({', '.join(f'{r:.1f}' for r in all_rates)})")
    median = {key: statistics.median(values) for key, values in rates.items()}
    for kind in ("fixed", "natural"):
        theirs = max(median["float32", kind], median["bfloat16", kind])
        for dtype in ("BF16", "F32"):
            print(f"{kind}: gyro {dtype} is x{median[dtype, kind] / theirs:.2f} of transformers' faster one")
    for dtype in ("BF16", "F32"):
        print(f"gyro {dtype} fixed is {median[dtype, 'fixed'] / median[dtype, 'bare']:.2f} of llama.cpp's bare loop")
    print(f"the same greedy tokens before the first difference: {agreement(sides['F32']['natural'], sides['float32']['natural']):.1%} in F32")
    return 0


if __name__ == "__main__":
    sys.exit(main())
