#!/usr/bin/env python3
"""How often `gyro grade` agrees with the test vectors of other graders.

    bench/grade_agreement.py [--gyro build/release/bin/gyro] [--strict] [--quiet] PATH...

A PATH is a JSONL file of vectors {"policy", "gold", "pred_text", "expected", "source"} (expected: whether it is correct), or
a checkout, whose Python tests are read and not run:
  - pytest's parametrize with columns gold, pred and expected (or result), as Math-Verify's tests have them; rows of other
    than the default options (strict=False, allow_set_relation_comp=True) are left out
  - unittest's methods that set test_in and test_out and assert is_equiv, as those of Hendrycks' MATH
  - example_model_solutions.jsonl of GSM8K, where each solution says whether it is correct
  - data/mix_data/TASK/test.jsonl of RealCritic: models' outputs with their score
  - gsm8k.yaml of lm-evaluation-harness: its filters are run on those solutions, and what its exact match makes of them is
    expected, of strict-match from the strict verdict
The flexible verdict is held against what is expected, with --strict the strict one. Prints every disagreement, and a
table by source.
"""
import argparse
import ast
import collections
import json
import os
import re
import subprocess
import sys

USUAL = {"strict": True, "allow_set_relation_comp": False}
MODELS = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")


def literal(tree):
    try:
        return ast.literal_eval(tree)
    except ValueError:
        return None


def parametrized(function):
    """Rows of a pytest function as dictionaries, and how many are no literals."""
    rows, skipped = [], 0
    for mark in function.decorator_list:
        if not (isinstance(mark, ast.Call) and ast.unparse(mark.func).endswith("parametrize") and len(mark.args) > 1):
            continue
        names = [name.strip() for name in literal(mark.args[0]).split(",")]
        for row in getattr(mark.args[1], "elts", []):
            values = literal(row)
            if values is None:
                skipped += 1
            else:
                rows.append(dict(zip(names, values)))
    return rows, skipped


def from_pytest(function, source):
    rows, skipped = parametrized(function)
    for row in rows:
        expected = row.get("expected", row.get("result"))
        if not isinstance(expected, int) or "gold" not in row or "pred" not in row:
            continue
        if any(row.get(name, usual) != usual for name, usual in USUAL.items()):
            continue
        yield {"policy": "math", "gold": row["gold"], "pred_text": row["pred"], "expected": bool(expected), "source": source}
    if skipped:
        print(f"{source}: {skipped} rows that are no literals are left out", file=sys.stderr)


def from_unittest(function, source):
    values = {}
    for line in function.body:
        if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
            values[line.targets[0].id] = literal(line.value)
        text = ast.unparse(line)
        if "is_equiv(" in text and "assert" in text and {"test_in", "test_out"} <= values.keys():
            # The prediction is the whole answer there, with nothing around it.
            yield {"policy": "math", "gold": values["test_in"], "pred_text": "\\boxed{" + values["test_out"] + "}",
                   "expected": "assertTrue" in text, "source": source}


def from_python(path, source):
    with open(path, encoding="utf-8") as f:
        tree = ast.parse(f.read())
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            yield from from_pytest(function, source)
            yield from from_unittest(function, source)


def from_gsm8k(path):
    with open(path, encoding="utf-8") as f:
        for line in f:
            row = json.loads(line)
            for model in MODELS:
                solution = row[model]
                yield {"policy": "gsm8k", "gold": row["ground_truth"].rpartition("A:")[2], "pred_text": solution["solution"],
                       "expected": solution["is_correct"], "source": f"GSM8K solutions, {model}"}


def from_realcritic(path):
    task = os.path.basename(os.path.dirname(path))
    policy = "gsm8k" if task == "gsm8k" else "choice" if task in ("arc-challenge", "gpqa", "mmlu_stem") else "math"
    with open(path, encoding="utf-8") as f:
        for row in map(json.loads, f):
            yield {"policy": policy, "gold": str(row["gt"]), "pred_text": row["reasoning"], "expected": row["previous_score"][0],
                   "source": f"RealCritic {task}"}


def filters(path):
    """Name, pattern and number of the match that is taken, of each filter of a task."""
    with open(path, encoding="utf-8") as f:
        text = f.read()
    for name, body in re.findall(r'- name: "([a-z-]+)"(.*?)take_first', text, re.S):
        pattern = json.loads(re.search(r'regex_pattern: (".*")', body).group(1))
        index = re.search(r"group_select: (-?\d+)", body)
        yield name, re.compile(pattern), int(index.group(1)) if index else 0


def exact_match(pattern, index, answer, gold):
    """The harness's: the match without commas, dollar signs and a full stop is the gold."""
    found = pattern.findall(answer)
    match = found[index] if found else "[invalid]"
    if isinstance(match, tuple):
        match = next((group for group in match if group), "[invalid]")
    plain = [re.sub(r"\.$", "", re.sub(r"[,$]", "", text)).strip().lower() for text in (match, gold)]
    return plain[0] == plain[1]


def by_filters(rows, path):
    for name, pattern, index in filters(path):
        for row in rows:
            answer = "####".join(row["pred_text"].rsplit("\nA:", 1))
            yield row | {"pred_text": answer, "expected": exact_match(pattern, index, answer, row["gold"]),
                         "source": f"GSM8K solutions by lm-evaluation-harness's {name}",
                         "which": "" if name == "strict-match" else "_flexible"}


def vectors(path):
    if os.path.isfile(path):
        with open(path, encoding="utf-8") as f:
            yield from (json.loads(line) for line in f)
        return
    for folder, _, names in sorted(os.walk(path)):
        for name in sorted(names):
            file = os.path.join(folder, name)
            if name == "example_model_solutions.jsonl":
                yield from from_gsm8k(file)
            elif name == "test.jsonl" and "mix_data" in folder:
                yield from from_realcritic(file)
            elif name.endswith(".py") and "test" in name:
                yield from from_python(file, os.path.relpath(file, path))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gyro", default="build/release/bin/gyro")
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--quiet", action="store_true", help="only the table")
    parser.add_argument("paths", nargs="+", metavar="PATH")
    arguments = parser.parse_args()
    rows = [row for path in arguments.paths for row in vectors(path)]
    solutions = [row for row in rows if row["source"].startswith("GSM8K solutions")]
    for path in arguments.paths:
        if os.path.exists(task := os.path.join(path, "lm_eval/tasks/gsm8k/gsm8k.yaml")):
            rows += by_filters(solutions, task)
    lines = "".join(json.dumps({key: row[key] for key in ("policy", "gold", "pred_text", "choices", "finish") if key in row}) +
                    "\n" for row in rows)
    done = subprocess.run([arguments.gyro, "grade", "--json"], input=lines, text=True, capture_output=True, check=False)
    if done.returncode != 0:
        sys.exit(done.stderr)
    usual = "" if arguments.strict else "_flexible"
    counts = collections.defaultdict(collections.Counter)
    for row, line in zip(rows, done.stdout.splitlines(), strict=True):
        grade, which = json.loads(line), row.get("which", usual)
        correct = grade["verdict" + which] == "correct"
        kind = "agree" if correct == row["expected"] else "we say correct" if correct else "we say wrong"
        counts[row["source"]][kind] += 1
        if kind != "agree" and not arguments.quiet:
            print(f"{row['source']}: {kind} ({grade['rule' + which]})\n  gold {row['gold'][-200:]!r}\n  pred "
                  f"{row['pred_text'][-200:]!r}\n  took {grade['extracted' + which]!r}")
    for source, count in counts.items():
        total = count.total()
        print(f"{source}: {count['agree']} of {total} ({100 * count['agree'] / total:.1f} %), we say correct: "
              f"{count['we say correct']}, we say wrong: {count['we say wrong']}")


if __name__ == "__main__":
    main()
