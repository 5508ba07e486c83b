#!/usr/bin/env python3
"""Completions and the man page, as the build made them: whole, and taken by the programs that read them."""
import os
import re
import shutil
import subprocess
import unittest

GYRO, FOLDER = os.environ["GYRO"], os.environ["GYRO_REFERENCE"]
COMMANDS = ("diff", "info", "report", "build", "init", "lora", "chat", "perplexity", "grade", "eval", "study")
BELOW = {"probe": ("attention", "cka", "drift", "rotation")}
ALL = COMMANDS + tuple(f"{above} {name}" for above, names in BELOW.items() for name in names)


def read(name):
    with open(os.path.join(FOLDER, name), encoding="utf-8") as f:
        return f.read()


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def commands_of(*command):
    """The commands that `gyro [COMMAND] --help` lists."""
    listed = run(GYRO, *command, "--help").stdout.split("\nSubcommands:\n")[1].split("\n\n")[0]
    return re.findall(r"(?m)^  ([a-z]+) ", listed)


def long_options(command):
    """The long options that `gyro COMMAND --help` lists."""
    found = set(re.findall(r"--[a-z][a-z-]*", re.sub(r"\nExamples?:.*", "", run(GYRO, *command.split(), "--help").stdout, flags=re.S)))
    assert len(found) > 3, found
    return found


class Reference(unittest.TestCase):
    def complete(self, *words):
        """What bash offers for the last of the words."""
        script = (f"source '{FOLDER}/gyro'; COMP_WORDS=({' '.join(repr(w) for w in words)}); COMP_CWORD={len(words) - 1}; _gyro;"
                  'printf "%s\\n" "${COMPREPLY[@]}"')
        done = run("bash", "-c", script, cwd=os.environ["GYRO_MODELS"])
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return set(done.stdout.split())

    def test_these_are_all_commands(self):
        self.assertEqual(sorted(commands_of()), sorted([*COMMANDS, *BELOW]))
        for command, names in BELOW.items():
            self.assertEqual(commands_of(command), list(names))
        self.assertEqual(sorted(re.findall(r"(?m)^\.SS gyro (.*)$", read("gyro.1"))), sorted([*ALL, *BELOW]))

    def test_every_option_is_there(self):
        man, fish, zsh = read("gyro.1").replace("\\-", "-"), read("gyro.fish"), read("_gyro")
        for command in ALL:
            *above, word = command.split()
            offered = self.complete("gyro", *above, word, "--")
            entries = man.split(f".SS gyro {command}\n")[1].split(".SS ")[0].split(".SH ")[0]
            function = zsh.split(f"\n{'_'.join(['_gyro', *above])}() {{\n")[1].split("\n}\n")[0]
            arguments = function.split(f"        {word})\n")[1].split(";;")[0]
            typed = "; and ".join(f"__fish_seen_subcommand_from {w}" for w in (*above, word))
            for option in long_options(command):
                self.assertIn(option, offered)
                self.assertRegex(entries, rf"\\fB{option}\\fR|\\fB{option}\b")
                self.assertRegex(arguments, rf"[{{,'*]{option}[}}\[',] ?")
                self.assertRegex(fish, rf"(?m)^complete -c gyro -n '{typed}'.* -l {option[2:]} ")

    def test_what_options_take(self):
        man = read("gyro.1").replace("\\-", "-")
        for entry in (r"--tasks\fR, \fB--task\fR \fIFILE ...", r"--variants\fR \fITEXT ...", r"--request-timeout\fR \fIN\fR", r"--seed\fR \fIN\fR"):
            self.assertIn(entry, man)

    def test_bash(self):
        self.assertEqual(run("bash", "-n", os.path.join(FOLDER, "gyro")).stderr, "")
        self.assertEqual(self.complete("gyro", ""), {*COMMANDS, *BELOW, "-h", "--help", "--version"})
        self.assertEqual(self.complete("gyro", "bu"), {"build"})
        self.assertEqual(self.complete("gyro", "build", "re"), {"replace", "restore"})
        self.assertEqual(self.complete("gyro", "build", "restore", "pico-q"), {"pico-qwen2", "pico-qwen3", "pico-qwen3moe"})
        self.assertEqual(self.complete("gyro", "diff", "--device", "c"), {"cpu", "cuda"})
        self.assertEqual(self.complete("gyro", "diff", "--out", "pico-l"), {"pico-llama"})
        self.assertEqual(self.complete("gyro", "diff", "--seed", ""), set())
        self.assertEqual(self.complete("gyro", "diff", "--nu"), {"--null-draws", "--null-nf-draws"})
        self.assertEqual(self.complete("gyro", "probe", ""), set(BELOW["probe"]))
        self.assertEqual(self.complete("gyro", "probe", "--"), {"--help"})
        self.assertEqual(self.complete("gyro", "probe", "c"), {"cka"})
        self.assertEqual(self.complete("gyro", "probe", "cka", "--device", "c"), {"cpu", "cuda"})
        self.assertEqual(self.complete("gyro", "probe", "cka", "pico-l"), {"pico-llama"})

    def test_zsh(self):
        self.assertTrue(read("_gyro").startswith("#compdef gyro\n"))
        if shutil.which("zsh"):
            self.assertEqual(run("zsh", "-n", os.path.join(FOLDER, "_gyro")).stderr, "")
        else:  # what bash takes for a script as well: quotes and brackets are closed
            self.assertEqual(run("bash", "-n", os.path.join(FOLDER, "_gyro")).stderr, "")

    def test_fish(self):
        script = read("gyro.fish")
        if shutil.which("fish"):
            for typed, words in (("diff --device ", ["auto", "cpu", "cuda"]), ("probe ", list(BELOW["probe"])),
                                 ("probe attention --device ", ["cpu", "cuda"])):
                offered = run("fish", "-c", f"source '{FOLDER}/gyro.fish'; complete -C 'gyro {typed}'").stdout.splitlines()
                self.assertEqual(sorted(line.split("\t")[0] for line in offered), words)
        for line in script.splitlines()[1:]:
            self.assertTrue(line.startswith("complete -c gyro "), line)
            self.assertEqual(len(re.findall(r"(?<!\\)'", line)) % 2, 0, line)

    def test_man_page(self):
        page = os.path.join(FOLDER, "gyro.1")
        if shutil.which("man"):
            shown = run("man", "--warnings=w", "-E", "UTF-8", "-l", page, env=dict(os.environ, MANPAGER="cat", MANWIDTH="100"))
            self.assertEqual((shown.returncode, shown.stderr), (0, ""))
            for part in ("gyro diff BASE POST", "gyro probe COMMAND", "gyro probe rotation BASE POST", "EXIT STATUS", "α' of replace"):
                self.assertIn(part, shown.stdout)
        # Without it: requests are those that are used, and no line is taken for one that is text.
        for line in read("gyro.1").splitlines():
            if line.startswith((".", "'")):
                self.assertRegex(line, r"^(\.(TH|SH|SS|TP|PP|B|I|RI|br|EX|EE)( .*)?|'\\\" .*)$")


if __name__ == "__main__":
    unittest.main()
