"""`python -m npattn` is `npattn`."""

import sys

from npattn.cli import main

sys.exit(main())
