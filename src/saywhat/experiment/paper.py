"""What the paper reports: its published numbers and its claims (Liu et al., 2019, Section 5.2)."""

from collections.abc import Mapping
from typing import Final

LISTS: Final = ("generated", "real")
"""Its target lists, in the order of every table."""
LENGTHS: Final = ("1-3", "4-6", "7-10")
RAW: Final = "embedding-average"
"""Its similarity."""
TABLE_1: Final[Mapping[str, tuple[float, float, float]]] = {
    "real-input": (0.439, 0.518, 0.566),
    "pretrained-greedy": (0.446, 0.529, 0.559),
    "rl-greedy": (0.486, 0.560, 0.588),
    "rl-beam-50": (0.599, 0.678, 0.709),
    "rl-beam-200": (0.621, 0.694, 0.726),
}
"""Table 1: method -> average similarity on the Real list, by length."""
GAIN: Final[Mapping[str, float]] = {"1-3": 41.5, "4-6": 34.0, "7-10": 28.3}
"""Percent by which RL BeamSearch(200) is above the real inputs (Section 5.2)."""
FIGURE_2: Final = (
    ("rl-beam-200", "both lists", 0.5, "around 80 % to 100 %"),
    ("rl-beam-200", "Generated, 4-6 and 7-10 words", 0.7, "more than around 80 %"),
)
"""What the text says of Figure 2; the paper prints its curves without numbers."""
TABLE_2: Final = (
    ("soo calm . you should be nervous .", "i ' m just trying to be a good person",
     "i ' m not . i ' m just trying to be a better person .", 0.952),
    ("guess she'll be invited .", "i ' m sure she ' ll be fine .",
     "i ' m sure she ' ll be a good one .", 0.946),
    ("neither ready pls", "i ' m not ready for this", "i ' m not ready for this", 1.0),
    ("how is nephew ?", "he ' s a good guy", "he ' s good . he ' s a good guy .", 0.982),
    ("you weren't invited .", "i was there", "i was there .", 1.0),
)  # fmt: skip
"""Table 2: (query, target, reply, similarity)."""
