"""all-MiniLM-L6-v2 on ONNX Runtime: one model a process, shared by whoever embeds.

``encoder`` vectors for an event loop · ``model`` one text in, its vector out · ``artefact`` the
model's file on disk · ``export``, ``graph``, ``reference`` make that file at set-up, the only users
of torch, sentence-transformers and onnx.
"""

from pointsman.embedding.artefact import ModelAbsent, ensure, identity
from pointsman.embedding.encoder import Encoder, open_encoder
from pointsman.embedding.model import DIMENSIONS, MODEL, Array, Model, opened, tokenizer

__all__ = [
    "DIMENSIONS",
    "MODEL",
    "Array",
    "Encoder",
    "Model",
    "ModelAbsent",
    "ensure",
    "identity",
    "open_encoder",
    "opened",
    "tokenizer",
]
