"""nmt: recurrent neural machine translation with attention, for small corpora and ordinary CPUs."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nmt.decoding.translator import Translation, Translator

__version__ = "0.1.0"
__all__ = ["Translation", "Translator", "__version__"]


def __getattr__(name: str) -> Any:
    # Importing torch takes a second and a half: `nmt --help` must not wait for it.
    if name in ("Translation", "Translator"):
        from nmt.decoding import translator

        return getattr(translator, name)
    raise AttributeError(f"module 'nmt' has no attribute {name!r}")
