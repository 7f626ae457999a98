"""Run this service alone."""

from pointsman.accounting.app import build
from pointsman.accounting.settings import Settings
from pointsman.runtime.app import run

if __name__ == "__main__":
    run(build(Settings()))
