"""What stands between a handler and the bus; sole importer of faststream, nats, OTel SDK."""

from pointsman.runtime.bus import Bus
from pointsman.runtime.service import Handler, Service
from pointsman.runtime.settings import ServiceSettings

__all__ = ["Bus", "Handler", "Service", "ServiceSettings"]
