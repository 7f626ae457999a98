"""Run this service alone."""

from pointsman.ingress.app import build
from pointsman.ingress.settings import Settings
from pointsman.runtime.app import run

if __name__ == "__main__":
    run(build(Settings()))
