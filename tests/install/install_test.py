#!/usr/bin/env python3
"""Installs the build, moves it elsewhere, and uses it as others do: from CMake, from pkg-config, from a shell."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(SOURCE, "tests/cli"))
import checkpoints  # noqa: E402

BUILD, CMAKE, CXX = os.environ["GYRO_BUILD"], os.environ["CMAKE"], os.environ["CXX"]
MODEL = os.path.join(os.environ["GYRO_MODELS"], "pico-llama/base")


def run(*command, **options):
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **options)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}")
    return done.stdout


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder, first = folder.name, os.path.join(folder.name, "first")
        run(CMAKE, "--install", BUILD, "--prefix", first)
        cls.prefix = os.path.join(folder.name, "moved")
        os.rename(first, cls.prefix)

    def files(self, *endings):
        for folder, _, names in os.walk(self.prefix):
            yield from (os.path.join(folder, name) for name in names if name.endswith(endings))

    def check_program(self, program):
        tensor = checkpoints.values(checkpoints.read(MODEL)["model.layers.0.self_attn.q_proj.weight"])
        lines = run(program, MODEL, "nowhere").splitlines()
        np.testing.assert_allclose([float(line) for line in lines[:-1]], np.linalg.svd(tensor, compute_uv=False), rtol=1e-10)
        self.assertRegex(lines[-1], "^nowhere[^ ]*: ")

    def test_names_no_place_of_the_build(self):
        found = list(self.files(".cmake", ".pc", ".h"))
        self.assertGreater(len(found), 40)
        for path in found:
            with open(path, encoding="utf-8") as f:
                text = f.read()
            for place in (BUILD, SOURCE, os.path.join(self.folder, "first")):
                self.assertNotIn(place, text, path)

    def test_has_no_inner_headers(self):
        for path in self.files(".h"):
            inside = os.path.relpath(path, os.path.join(self.prefix, "include"))
            self.assertTrue(inside.startswith("gyro/"), inside)
            for part in ("test", "cuda", "cli", "cpu", "fuzz"):
                self.assertNotIn(part, inside)

    def test_cmake(self):
        headers = os.path.join(self.folder, "headers.cc")
        include = os.path.join(self.prefix, "include")
        with open(headers, "w", encoding="utf-8") as f:
            f.writelines(f'#include "{os.path.relpath(path, include)}"\n' for path in sorted(self.files(".h")))
            f.write("int main() {}\n")
        build = os.path.join(self.folder, "build")
        run(CMAKE, "-G", "Ninja", "-S", os.path.join(HERE, "project"), "-B", build, f"-DCMAKE_PREFIX_PATH={self.prefix}",
            f"-DCMAKE_CXX_COMPILER={CXX}", "-DCMAKE_BUILD_TYPE=Release", f"-DHEADERS={headers}")
        run(CMAKE, "--build", build)
        self.check_program(os.path.join(build, "program"))
        # What the shared library took in is its own.
        symbols = run("nm", "-DC", "--defined-only", os.path.join(build, "libspectrum.so"))
        self.assertIn("print_spectrum", symbols)
        self.assertNotIn("gyro::linalg::svd", symbols)

    def test_another_version_is_refused(self):
        project = os.path.join(self.folder, "newer")
        shutil.copytree(os.path.join(HERE, "project"), project)
        path = os.path.join(project, "CMakeLists.txt")
        with open(path, encoding="utf-8") as f:
            text = f.read()
        with open(path, "w", encoding="utf-8") as f:
            f.write(text.replace("find_package(Gyro 0.1 ", "find_package(Gyro 0.0 "))
        with self.assertRaisesRegex(AssertionError, "requested\\s+version"):
            run(CMAKE, "-G", "Ninja", "-S", project, "-B", project + "-build", f"-DCMAKE_PREFIX_PATH={self.prefix}")

    def test_pkg_config(self):
        (pc,) = self.files("gyro.pc")
        env = dict(os.environ, PKG_CONFIG_PATH=os.path.dirname(pc))
        flags = run("pkg-config", "--cflags", "--libs", "gyro", env=env).split()
        program = os.path.join(self.folder, "by-pkg-config")
        sources = [os.path.join(HERE, "project", name) for name in ("program.cc", "spectrum.cc")]
        run(CXX, "-std=c++20", *sources, "-o", program, *flags)
        self.check_program(program)

    def test_shells_and_man_find_their_files(self):
        for path in ("bash-completion/completions/gyro", "zsh/site-functions/_gyro", "fish/vendor_completions.d/gyro.fish",
                     "man/man1/gyro.1"):
            self.assertGreater(os.path.getsize(os.path.join(self.prefix, "share", path)), 1000, path)

    def test_program(self):
        self.assertRegex(run(os.path.join(self.prefix, "bin/gyro"), "--version"), r"\Agyro \d+\.\d+\.\d+")


if __name__ == "__main__":
    unittest.main()
