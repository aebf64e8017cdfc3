"""`python -m convjit`: the same as the command `convjit`."""

import sys

from convjit.cli import main

if __name__ == "__main__":
    sys.exit(main())
