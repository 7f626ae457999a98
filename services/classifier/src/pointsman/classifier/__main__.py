"""Run this service alone."""

from pointsman.classifier.app import build
from pointsman.classifier.settings import Settings
from pointsman.runtime.app import run

if __name__ == "__main__":
    run(build(Settings()))
