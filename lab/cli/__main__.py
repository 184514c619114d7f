"""Makes `python -m lab.cli` the same as the installed `chatlab`."""

import sys

from lab.cli import main

sys.exit(main())
