"""The command line: `gyro`, or `python -m gyro`."""

import sys

from . import _core


def main():
    sys.exit(_core.run_command(sys.argv[1:]))


if __name__ == "__main__":
    main()
