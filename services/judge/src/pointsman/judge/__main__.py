"""Run this service alone."""

from pointsman.judge.app import build
from pointsman.judge.settings import Settings
from pointsman.runtime.app import run

if __name__ == "__main__":
    run(build(Settings()))
