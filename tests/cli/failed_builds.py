#!/usr/bin/env python3
"""A build that fails ends the scripts that build: what was built before is not taken for it."""
import os
import shutil
import subprocess
import tempfile
import unittest

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Stands for every tool: prints what it was called with, and fails where it is to.
TOOL = """#!/bin/sh
echo "$(basename "$0") $*" >>"$CALLS"
case "$(basename "$0") $*" in *"$FAILS"*) echo "the compiler's complaint"; exit 1 ;; esac
"""
STUBS = ("bin/cmake", "bin/ctest", "bin/clang-format", "bin/clang-tidy", "scripts/setup", "scripts/test",
         "scripts/wheel", "scripts/try-plain", "scripts/check-includes", "scripts/api-docs", "scripts/lint", "build/release/bin/gyro", "build/tsan/tests/base_parallel_test",
         "build/tsan/tests/base_team_test", "build/tsan/tests/linalg_shared_test",
         "build/tsan/tests/diff_runner_test", "build/fuzz/bin/fuzz_config")


class FailedBuilds(unittest.TestCase):
    def run_script(self, script, fails):
        """Runs a copy of the script among stubs, one of which fails. Returns exit code, output and what was called."""
        with tempfile.TemporaryDirectory() as folder:
            for stub in (*STUBS, script):
                path = os.path.join(folder, stub)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "w", encoding="utf-8") as f:
                    f.write(TOOL)
                os.chmod(path, 0o755)
            shutil.copy(os.path.join(SOURCE, script), os.path.join(folder, script))
            subprocess.run(["git", "init", "-q", folder], check=True)
            calls = os.path.join(folder, "calls")
            env = dict(os.environ, PATH=os.path.join(folder, "bin") + ":" + os.environ["PATH"], CALLS=calls, FAILS=fails)
            done = subprocess.run([os.path.join(folder, script)], env=env, text=True, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, check=False)
            with open(calls, encoding="utf-8") as f:
                return done.returncode, done.stdout, f.read().splitlines()

    def test_demo(self):
        code, output, calls = self.run_script("scripts/demo", "--build")
        self.assertNotEqual(code, 0, output)
        self.assertIn("the compiler's complaint", output)
        self.assertFalse([call for call in calls if call.startswith("gyro")], "the old program was run")
        code, output, calls = self.run_script("scripts/demo", "nothing fails")
        self.assertEqual(code, 0, output)
        self.assertTrue(calls[-1].startswith("gyro diff"), calls)

    def test_ci(self):
        for preset in ("asan", "tsan", "fuzz"):
            code, output, calls = self.run_script(".ci/run", f"--build --preset {preset}")
            self.assertNotEqual(code, 0, output)
            self.assertIn("the compiler's complaint", output)
            self.assertIn(f"--build --preset {preset}", calls[-1], "something was run after the build that failed")


if __name__ == "__main__":
    unittest.main()
