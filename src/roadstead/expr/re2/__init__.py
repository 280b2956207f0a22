"""Regular expressions as RE2 understands them, in time that grows with the text alone
(github.com/google/re2/wiki/Syntax).

Python's own engine knows more (backreferences, lookaround) and can take exponential time; an expression from a user
must not be able to stop a scheduler. A pattern becomes a program of a few instructions, which is run on all
alternatives at once (Pike's machine): O(length of the text x length of the program). Matches are leftmost, and by
preference as in Perl.
"""

from roadstead.expr.re2.machine import Pattern
from roadstead.expr.re2.parser import PatternError, compile_pattern

__all__ = ["Pattern", "PatternError", "compile_pattern"]
