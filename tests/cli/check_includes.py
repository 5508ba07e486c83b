#!/usr/bin/env python3
"""scripts/check-includes finds what it is for."""
import os
import shutil
import subprocess
import tempfile
import unittest

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../scripts/check-includes")


class CheckIncludes(unittest.TestCase):
    def problems(self, files):
        with tempfile.TemporaryDirectory() as folder:
            os.mkdir(os.path.join(folder, "scripts"))
            script = shutil.copy(SCRIPT, os.path.join(folder, "scripts"))
            for path, text in files.items():
                os.makedirs(os.path.join(folder, os.path.dirname(path)), exist_ok=True)
                with open(os.path.join(folder, path), "w", encoding="utf-8") as f:
                    f.write(text)
            subprocess.run(["git", "init", "-q", folder], check=True)
            done = subprocess.run([script], capture_output=True, text=True, check=False)
            self.assertEqual((done.returncode, done.stderr), (1 if done.stdout else 0, ""))
            return done.stdout.splitlines()

    def test_house_in_order(self):
        self.assertEqual(self.problems({"gyro/diff/a.cc": '#include "gyro/base/error.h"\n#include "gyro/diff/a.h"\n',
                                        "gyro/base/version.cc": '#include "gyro/version.h"\n#include <vector>\n',
                                        "tests/a.py": "\n" * 600}), [])

    def test_include_of_a_room_below(self):
        for line in ('#include "gyro/report/report.h"', '  # include <gyro/report/report.h>'):
            self.assertEqual(self.problems({"gyro/diff/deep/a.cu": f"// x\n{line}\n"}),
                             ["gyro/diff/deep/a.cu: includes the room report, which is not above diff"])

    def test_unknown_room(self):
        self.assertEqual(self.problems({"gyro/cellar/a.h": ""}),
                         ["gyro/cellar/a.h: in a room that scripts/check-includes does not know"])

    def test_long_file(self):
        self.assertEqual(self.problems({"docs/a.md": "x\n" * 601}), ["docs/a.md: longer than 600 lines"])


if __name__ == "__main__":
    unittest.main()
