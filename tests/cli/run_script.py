#!/usr/bin/env python3
"""Runs a .test script: commands with the text they must print.

A script is made of blocks. `$ COMMAND` is run by sh in an empty folder of the script's own, where `gyro` is the program
under test, $MODELS the shipped models and $DATA the shipped questions. The lines after it that begin with `| ` are what it must print (stderr after
stdout), in full; in them `[...]` stands for any text, and a line `| [...]` alone for any number of lines. `? N` is the exit
code, 0 when not given. Lines beginning with `#` and empty lines are skipped.
"""
import os
import re
import subprocess
import sys
import tempfile


def parse(path):
    blocks = []
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            line = line.rstrip("\n")
            if line.startswith("$ "):
                blocks.append({"line": number, "command": line[2:], "expected": [], "code": 0})
            elif line.startswith("|"):
                blocks[-1]["expected"].append(line[2:])
            elif line.startswith("? "):
                blocks[-1]["code"] = int(line[2:])
            elif line and not line.startswith("#"):
                sys.exit(f"{path}:{number}: neither a command nor an expectation: {line}")
    return blocks


def pattern(expected):
    parts = []
    for line in expected:
        if line == "[...]":
            parts.append("(?:.*\n)*?")
        else:
            parts.append(".*?".join(re.escape(piece) for piece in line.split("[...]")) + "\n")
    return re.compile("".join(parts))


def main():
    path = sys.argv[1]
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(os.path.join(folder, "bin"))
        os.symlink(os.environ["GYRO"], os.path.join(folder, "bin", "gyro"))
        os.mkdir(os.path.join(folder, "work"))
        env = dict(os.environ, PATH=os.path.join(folder, "bin") + ":" + os.environ["PATH"],
                   MODELS=os.environ["GYRO_MODELS"], DATA=os.environ["GYRO_DATA"], COLUMNS="80", NO_COLOR="1")
        for block in parse(path):
            done = subprocess.run(["sh", "-c", block["command"]], cwd=os.path.join(folder, "work"), env=env,
                                  capture_output=True, text=True, errors="replace", timeout=240, check=False)
            printed = done.stdout + done.stderr
            if done.returncode == block["code"] and pattern(block["expected"]).fullmatch(printed):
                continue
            failures += 1
            print(f"{path}:{block['line']}: $ {block['command']}\nexit {done.returncode}, expected {block['code']}; printed:")
            print(printed)
            print("expected:\n" + "\n".join(block["expected"]))
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
