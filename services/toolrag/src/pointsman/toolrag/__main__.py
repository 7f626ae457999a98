"""Run this service alone."""

from pointsman.runtime.app import run
from pointsman.toolrag.app import build
from pointsman.toolrag.settings import Settings

if __name__ == "__main__":
    run(build(Settings()))
