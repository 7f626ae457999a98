"""Lets the tests here import the generators beside them, which tasks also run as programs."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
