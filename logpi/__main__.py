"""`python -m logpi` is the command `logpi`."""

import sys

# Python looks for modules in the folder that one is in, before all others: that may be a stranger's run, and nothing of
# it is to be executed. Where logpi itself lies there, it is loaded already.
if __name__ == "__main__" and not sys.flags.safe_path and not __file__.startswith(sys.path[0].rstrip("/") + "/logpi/"):
    del sys.path[0]

from .cli.main import main

if __name__ == "__main__":
    sys.exit(main())
