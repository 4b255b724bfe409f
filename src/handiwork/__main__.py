"""`python -m handiwork` and the command `handiwork`. The commands themselves are in `cli`."""

import sys


def main() -> int:
    """Run the command of this process's arguments and return its exit code."""
    from handiwork.cli.app import start

    return start(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
