"""Command lines as getopt_long reads them: long options by name, prefix, `--name=value` or `--name value`; letters run together; the
first word that is no option ends them. Source: getopt_long(3), and sbatch(1) for what follows the options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from roadstead.slurm.language.errors import Refused
from roadstead.slurm.language.optiontable import LETTER, Option, Value, options_of

PREFIX = {"sbatch": "SBATCH_", "srun": "SLURM_", "salloc": "SALLOC_"}


@dataclass(frozen=True, slots=True)
class Given:
    """One option as it was given. `source`: "cli", "env" or "script"; `spelled`: how to name it in a text."""

    option: Option
    value: str | None
    source: str
    spelled: str


@dataclass(frozen=True, slots=True)
class CommandLine:
    command: str
    given: tuple[Given, ...]
    """Weakest first."""
    operands: tuple[str, ...] = field(default=())


def read(argv: Sequence[str], environment: Mapping[str, str] | None = None) -> CommandLine:
    """The options of a command line, after those that its environment variables stand for. Refused if one is unknown or lacks its
    value."""
    command = argv[0]
    options = options_of(command)
    given = [*_from_environment(command, options, environment or {})]
    words = list(argv[1:])
    while words:
        word = words.pop(0)
        if word == "--":
            break
        if word.startswith("--"):
            given.append(_long(command, options, word, words))
        elif word.startswith("-") and word != "-":
            given += _letters(command, options, word, words)
        else:
            words.insert(0, word)
            break
    return CommandLine(command, tuple(given), tuple(words))


def _from_environment(command: str, options: Sequence[Option], environment: Mapping[str, str]) -> Iterator[Given]:
    for option in options:
        if not option.variable or LETTER[command] not in option.variable_commands:
            continue
        name = PREFIX[command] + option.variable
        if name in environment:
            yield Given(option, environment[name], "env", name)


def _usage(command: str, text: str) -> Refused:
    return Refused(text, code=255, bare=(f'Try "{command} --help" for more information',))


def _long(command: str, options: Sequence[Option], word: str, words: list[str]) -> Given:
    name, equals, value = word[2:].partition("=")
    exact = [option for option in options if option.name == name]
    found = exact or [option for option in options if option.name.startswith(name)]
    if not found:
        raise _usage(command, f"unrecognized option '{word}'")
    if len(found) > 1:
        shown = " ".join(f"'--{option.name}'" for option in found)
        raise _usage(command, f"option '{word}' is ambiguous; possibilities: {shown}")
    option = found[0]
    spelled = f"--{option.name}"
    if equals:
        if option.value is Value.NONE:
            raise _usage(command, f"option '{spelled}' doesn't allow an argument")
        return Given(option, value, "cli", spelled)
    if option.value is not Value.REQUIRED:
        return Given(option, None, "cli", spelled)
    if not words:
        raise _usage(command, f"option '{spelled}' requires an argument")
    return Given(option, words.pop(0), "cli", spelled)


def _letters(command: str, options: Sequence[Option], word: str, words: list[str]) -> Iterator[Given]:
    rest = word[1:]
    while rest:
        letter, rest = rest[0], rest[1:]
        found = next((option for option in options if option.short == letter), None)
        if found is None:
            raise _usage(command, f"invalid option -- '{letter}'")
        spelled = f"--{found.name}"
        if found.value is Value.NONE:
            yield Given(found, None, "cli", spelled)
            continue
        if rest:
            yield Given(found, rest, "cli", spelled)
        elif found.value is Value.OPTIONAL:
            yield Given(found, None, "cli", spelled)
        elif words:
            yield Given(found, words.pop(0), "cli", spelled)
        else:
            raise _usage(command, f"option requires an argument -- '{letter}'")
        return
