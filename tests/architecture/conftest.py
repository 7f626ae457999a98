"""Lets the tests here import ``repository``, the module beside them that reads the tree."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
