#!/usr/bin/env python3
"""scripts/lint --recent looks at what the last commits touched, and at everything where it cannot know."""
import os
import shutil
import subprocess
import tempfile
import unittest

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../scripts/lint")
COMMITS, MOST = 40, 25
TIDY = '#!/bin/sh\nfor file; do case $file in *.cc) echo "$file" >>"$CALLS" ;; esac; done\n'


class Lint(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        self.git("init", "-q")
        for stub in ("bin/cmake", "bin/clang-tidy", "scripts/setup", "scripts/lint-page"):
            self.write(stub, TIDY if stub == "bin/clang-tidy" else "#!/bin/sh\n")
            os.chmod(os.path.join(self.folder, stub), 0o755)
        shutil.copy(SCRIPT, os.path.join(self.folder, "scripts"))

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)

    def git(self, *words):
        subprocess.run(["git", "-C", self.folder, "-c", "user.name=t", "-c", "user.email=t@t", *words], check=True)

    def commit(self, *names):
        """A commit that touches the files."""
        for name in names:
            path = os.path.join(self.folder, name)
            before = ""
            if os.path.exists(path):
                with open(path, encoding="utf-8") as f:
                    before = f.read()
            self.write(name, before + "//\n")
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "m")

    def linted(self, *words):
        calls = os.path.join(self.folder, "calls")
        open(calls, "w", encoding="utf-8").close()
        env = dict(os.environ, PATH=os.path.join(self.folder, "bin") + ":" + os.environ["PATH"], CALLS=calls)
        subprocess.run([os.path.join(self.folder, "scripts/lint"), *words], env=env, check=True)
        with open(calls, encoding="utf-8") as f:
            return sorted(f.read().split())

    def test_what_is_recent(self):
        self.commit("gyro/a/old.cc", "gyro/a/declared.cc", "gyro/a/declared.h", "gyro/a/gone.cc", "gyro/a/changed.cc")
        everything = [f"gyro/a/{name}.cc" for name in ("changed", "declared", "gone", "old")]
        self.assertEqual(self.linted("--recent"), everything, "a history that is too short to tell")
        for _ in range(COMMITS - 4):
            self.commit()
        self.commit("gyro/a/changed.cc", "gyro/a/gone.cc", "gyro/a/changed_test.cc", "tests/a.cc")
        self.commit("gyro/a/declared.h")
        self.git("rm", "-q", "gyro/a/gone.cc")
        self.commit("gyro/a/b/new.cc")
        everything = [f"gyro/a/{name}.cc" for name in ("b/new", "changed", "declared", "old")]
        self.assertEqual(self.linted("--recent"), everything, "the first commit is among the last ones")
        self.commit()
        self.assertEqual(self.linted("--recent"), ["gyro/a/b/new.cc", "gyro/a/changed.cc", "gyro/a/declared.cc"])
        self.assertEqual(self.linted("--quick"), everything)
        self.assertEqual(self.linted(), everything)
        many = [f"gyro/c/{i:02}.cc" for i in range(MOST)]
        self.commit(*many)
        self.assertEqual(self.linted("--recent"), many, "the newest")
        everything += many
        for _ in range(COMMITS):
            self.commit()
        self.assertEqual(self.linted("--recent"), everything, "they touched nothing that is linted")


if __name__ == "__main__":
    unittest.main()
