"""A line of the source made wrong."""

from dataclasses import dataclass

SIMULATION = "simulation"


@dataclass(frozen=True, slots=True)
class Mutant:
    """In `file`, `text` (which stands there once) becomes `wrong`; `breaks` names what is then promised in vain.

    `caught_by`: the simulation, or tests by file or name, on the real thing where SQL is wrong.
    """

    name: str
    breaks: str
    file: str
    text: str
    wrong: str
    caught_by: str = SIMULATION
