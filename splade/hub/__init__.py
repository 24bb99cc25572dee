"""Models and index folders on a hub: what is pushed, the card that goes with it, and folders that are pulled.

``huggingface_hub`` speaks to the hub. Read `contents` first; `pushing` and `pulling` are the two ways, `card` and
`sections` the text, `client` the connection and its errors in words.
"""

from splade.hub.card import About, index_card, model_card
from splade.hub.client import connect, in_words
from splade.hub.contents import Kind, Manifest, files_of, index_in, manifest_of, model_in, read_manifest
from splade.hub.pulling import Pulled, pull
from splade.hub.pushing import Parcel, Pushed, push, write_parcel

__all__ = [
    "About",
    "Kind",
    "Manifest",
    "Parcel",
    "Pulled",
    "Pushed",
    "connect",
    "files_of",
    "in_words",
    "index_card",
    "index_in",
    "manifest_of",
    "model_card",
    "model_in",
    "pull",
    "push",
    "read_manifest",
    "write_parcel",
]
