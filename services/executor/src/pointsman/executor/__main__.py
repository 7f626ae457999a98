"""Run this service alone."""

from pointsman.executor.app import build
from pointsman.executor.settings import Settings
from pointsman.runtime.app import run

if __name__ == "__main__":
    run(build(Settings()))
