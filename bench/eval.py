#!/usr/bin/env python3
"""Times `gyro eval` against transformers.generate on the same questions and settings, in turn, and prints the ratio.

  bench/eval.py MODEL TASK.jsonl [--limit 100] [--tokens 96] [--threads 2] [--batch 32] [--rounds 3] [--device cpu|cuda]
                [--gyro build/release/bin/gyro] [--python .venv-reference/bin/python]

One repeat at temperature 0.2 and top-p 0.95, the paper's system prompt, the model's chat template. Of gyro the whole process counts, with
loading and grading; of transformers generation alone, in left-padded batches, in float32 and in bfloat16: the faster one. Problems a minute."""
import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SYSTEM = "Please put your final answer within \\boxed{}."

TRANSFORMERS = r"""
import json, sys, time, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
path, task, dtype, device, system = sys.argv[1:6]
limit, tokens, threads, batch = map(int, sys.argv[6:])
torch.set_num_threads(threads); torch.manual_seed(0)
questions = [json.loads(line)["question"] for line in open(task)][:limit]
tokenizer = AutoTokenizer.from_pretrained(path, padding_side="left")
if tokenizer.pad_token is None: tokenizer.pad_token = tokenizer.eos_token
model = AutoModelForCausalLM.from_pretrained(path, dtype=getattr(torch, dtype)).to(device).eval()
prompts = [tokenizer.apply_chat_template([{"role": "system", "content": system}, {"role": "user", "content": q}], tokenize=False, add_generation_prompt=True) for q in questions]
start, boxed = time.perf_counter(), 0
for i in range(0, len(prompts), batch):
    inputs = tokenizer(prompts[i:i + batch], return_tensors="pt", padding=True, add_special_tokens=False, return_token_type_ids=False).to(device)
    with torch.no_grad():
        out = model.generate(**inputs, do_sample=True, temperature=0.2, top_p=0.95, top_k=0, max_new_tokens=tokens, pad_token_id=tokenizer.pad_token_id)
    boxed += sum("\\boxed{" in text for text in tokenizer.batch_decode(out[:, inputs["input_ids"].shape[1]:]))
print(time.perf_counter() - start, boxed)
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("task")
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--gyro", default=os.path.join(ROOT, "build/release/bin/gyro"))
    parser.add_argument("--python", default=os.path.join(ROOT, ".venv-reference/bin/python"))
    a = parser.parse_args()
    rates = {}
    for _ in range(a.rounds):
        for dtype in ("f32", "bf16"):
            with tempfile.TemporaryDirectory() as folder:
                start = time.perf_counter()
                subprocess.run([a.gyro, "eval", a.model, "--task", a.task, "--limit", str(a.limit), "-n", str(a.tokens), "--repeats", "1", "--dtype", dtype, "--system", SYSTEM,
                                "--concurrency", str(a.batch), "-t", str(a.threads), "--device", a.device, "--out", os.path.join(folder, "e"), "-q"], check=True)
                rates.setdefault("gyro " + dtype, []).append(60 * a.limit / (time.perf_counter() - start))
        for dtype in ("float32", "bfloat16"):
            done = subprocess.run([a.python, "-c", TRANSFORMERS, a.model, a.task, dtype, a.device, SYSTEM, str(a.limit), str(a.tokens), str(a.threads), str(a.batch)],
                                  check=True, capture_output=True, text=True)
            seconds, boxed = done.stdout.split()[-2:]
            rates.setdefault("transformers " + dtype, []).append(60 * a.limit / float(seconds))
            print(f"transformers {dtype}: {boxed} of {a.limit} answers have a box", file=sys.stderr)
    for side, values in rates.items():
        print(f"{side:24} {statistics.median(values):9.0f} problems a minute   ({', '.join(f'{v:.0f}' for v in values)})")
    theirs = max(statistics.median(values) for side, values in rates.items() if side.startswith("transformers"))
    for side in ("gyro f32", "gyro bf16"):
        print(f"{side} is x{statistics.median(rates[side]) / theirs:.2f} of transformers' faster one")
    return 0


if __name__ == "__main__":
    sys.exit(main())
