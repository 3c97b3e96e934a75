"""The systems that are compared, one file each."""

from benchmarks.systems.contract import System
from benchmarks.systems.fairseq import Fairseq
from benchmarks.systems.joeynmt import JoeyNMT
from benchmarks.systems.marian import Marian
from benchmarks.systems.opennmt import OpenNMT
from benchmarks.systems.ours import Ours, OursByDefault

OURS: dict[str, type[System]] = {"ours": Ours, "ours_default": OursByDefault}
PEERS: dict[str, type[System]] = {
    "joeynmt": JoeyNMT,
    "opennmt": OpenNMT,
    "fairseq": Fairseq,
    "marian": Marian,
}
