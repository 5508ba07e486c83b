"""What must hold of the installed package, run by scripts/wheel: importing it takes no library of the system's but those
that every Linux has, and no time that one notices."""
import os
import re
import statistics
import subprocess
import sys
import time

SYSTEM = re.compile(r"(ld-linux[-\w]*|lib(c|m|dl|rt|util|pthread|resolv|gcc_s|stdc\+\+|z))\.so")  # as auditwheel has it
MOST_SECONDS = 0.2


def libraries():
    with open("/proc/self/maps", encoding="utf-8") as f:
        return {words[5].rstrip("\n") for words in (line.split(maxsplit=5) for line in f) if len(words) == 6 and ".so" in words[5]}


def seconds(code):
    """The median time of a process that runs the code."""
    times = []
    for _ in range(15):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-I", "-c", code], check=True)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


before = libraries()
import gyro._core  # noqa: E402

taken = libraries() - before
own = {path for path in taken if path.startswith(sys.prefix + os.sep)}
foreign = sorted(path for path in taken - own if not SYSTEM.match(os.path.basename(path)))
if foreign:
    sys.exit("wheel: importing gyro takes libraries that are not in the wheel: " + " ".join(foreign))
if not any("openblas" in path for path in own):
    sys.exit("wheel: gyro brought no OpenBLAS of its own")

bare, imported = seconds("pass"), seconds("import gyro")
print(f"wheel: 'import gyro' takes {1000 * (imported - bare):.0f} ms (process {1000 * imported:.0f} ms, Python alone {1000 * bare:.0f} ms)")
if imported - bare > MOST_SECONDS:
    sys.exit(f"wheel: importing gyro takes longer than {MOST_SECONDS} s")
