"""What must hold of the installed package, run by scripts/wheel: importing it takes no library of the system's but
those that every Linux has, and no time that one notices."""

import importlib.util
import os
import re
import subprocess
import sys
import time

SYSTEM = re.compile(r"(ld-linux[-\w]*|lib(c|m|dl|rt|util|pthread|resolv|gcc_s|stdc\+\+|z))\.so")  # as auditwheel has it
MOST_SECONDS = 0.2


def libraries():
    """The paths of the shared libraries in this process."""
    with open("/proc/self/maps", encoding="utf-8") as f:
        return set(re.findall(r"/.*\.so\S*$", f.read(), re.M))


def seconds(code):
    """How long a process takes that runs the code."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-I", "-c", code], check=True)
    return time.perf_counter() - began


# The module alone: Python's own modules, which the package imports too, have libraries of the system's.
[folder] = importlib.util.find_spec("gyro").submodule_search_locations
spec = importlib.util.spec_from_file_location("_core", os.path.join(folder, "_core.abi3.so"))
before = libraries()
module = importlib.util.module_from_spec(spec)
taken = libraries() - before
own = {path for path in taken if path.startswith(sys.prefix + os.sep)}
foreign = sorted(path for path in taken - own if not SYSTEM.match(os.path.basename(path)))
if foreign:
    sys.exit("wheel: importing gyro takes libraries that are not in the wheel: " + " ".join(foreign))
if not any("openblas" in path for path in own):
    sys.exit("wheel: gyro brought no OpenBLAS of its own")

times = [(seconds("pass"), seconds("import gyro")) for _ in range(15)]
bare, imported = (min(column) for column in zip(*times))
print(
    f"wheel: 'import gyro' takes {1000 * (imported - bare):.0f} ms"
    f" (a process that does so {1000 * imported:.0f} ms, one that does nothing {1000 * bare:.0f} ms)"
)
if imported - bare > MOST_SECONDS:
    sys.exit(f"wheel: importing gyro takes longer than {MOST_SECONDS} s")
