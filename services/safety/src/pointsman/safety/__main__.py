"""Run this service alone."""

from pointsman.runtime.app import run
from pointsman.safety.app import build
from pointsman.safety.settings import Settings

if __name__ == "__main__":
    run(build(Settings()))
