"""The command line: `gyro`, or `python -m gyro`."""

import os
import sys

from . import _core


def main():
    sys.exit(_core.run_command([os.fsencode(word) for word in sys.argv[1:]]))


if __name__ == "__main__":
    main()
