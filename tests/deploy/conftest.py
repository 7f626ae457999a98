"""What a machine may lack is said in one line; everything else is checked without a cluster."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from manifests import ROOT, kubectl_problem


@pytest.fixture(scope="session")
def kubectl() -> None:
    if problem := kubectl_problem():
        pytest.skip(problem)


@pytest.fixture(scope="session")
def schemas() -> Path:
    """The folder of public CRDs: ``POINTSMAN_SCHEMAS``, else ``../shared/schemas``."""
    folder = Path(os.environ.get("POINTSMAN_SCHEMAS", ROOT.parent / "shared" / "schemas"))
    if not folder.is_dir():
        pytest.skip(f"no CRD schemas in {folder}; POINTSMAN_SCHEMAS names their folder")
    return folder
