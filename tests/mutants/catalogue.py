"""All mutants: each a line of the source made wrong, and what is to notice."""

from tests.mutants import in_doors, in_processors, in_producers, in_sinks

MUTANTS = (*in_doors.MUTANTS, *in_processors.MUTANTS, *in_producers.MUTANTS, *in_sinks.MUTANTS)
