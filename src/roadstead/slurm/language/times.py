"""Durations, moments and signals as options take them. Sources: sbatch(1) `--time`, `--begin`, `--signal`; where an error is seen
(`pos=4`) as observed on 22.05.8."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

UNLIMITED: Final = -1

_DURATION: Final = re.compile(r"(?:(\d+)-)?(?:(\d+)(?::(\d+)(?::(\d+))?)?)?")
_SIGNAL: Final = re.compile(r"(?:([BRbr]{0,2}):)?(?:(?:SIG)?([A-Za-z]+\d*)|(-?\d+))(?:@(\d*))?", re.IGNORECASE)
SIGNALS: Final = (
    "HUP", "INT", "QUIT", "ABRT", "KILL", "ALRM", "TERM", "USR1", "USR2", "URG", "CONT", "STOP", "TSTP", "TTIN", "TTOU",
)  # fmt: skip
MAX_SIGNAL_TIME: Final = 65535

UNITS: Final = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
CLOCK_WORDS: Final = {"midnight": (0, 0), "noon": (12, 0), "elevenses": (11, 0), "fika": (15, 0), "teatime": (16, 0)}


def minutes(text: str) -> int | None:
    """A time limit in minutes, seconds rounded up: `90`, `1:30` (minutes and seconds), `2:00:00`, `1-12`, `1-12:30[:00]`; UNLIMITED for
    `infinite`, `unlimited` and what is below 0. None if it is none."""
    if text.lower() in ("infinite", "unlimited") or re.fullmatch(r"-\d+", text):
        return UNLIMITED
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        return None
    days, *rest = match.groups()
    numbers = [int(part) for part in rest if part is not None]
    if days is None:
        hours = numbers[0] if len(numbers) == 3 else 0
        minute, second = numbers[-2:] if len(numbers) > 1 else (numbers[0], 0)
        total = hours * 3600 + minute * 60 + second
    else:
        hours, minute, second = [*numbers, 0, 0, 0][:3]
        total = int(days) * 86400 + hours * 3600 + minute * 60 + second
    return -(-total // 60)


@dataclass(frozen=True, slots=True)
class SignalWish:
    """`[{R|B}:]SIGNAL[@SECONDS]`. `name` is upper case without SIG, or a number."""

    name: str
    seconds: int = 60
    to_batch: bool = False
    may_overlap_reservation: bool = False


def signal_wish(text: str) -> SignalWish | None:
    """The signal to send before a job's end. None if it is none."""
    match = _SIGNAL.fullmatch(text)
    if match is None:
        return None
    flags, name, number, seconds = match.groups()
    if (name and name.upper() not in SIGNALS) or number == "0" or int(seconds or 60) > MAX_SIGNAL_TIME:
        return None
    flags = (flags or "").upper()
    return SignalWish((name or number).upper(), int(seconds or 60), "B" in flags, "R" in flags)


class MomentError(ValueError):
    """The text names no moment. `position`: where that was seen, -1 if there is nothing to see."""

    def __init__(self, text: str, position: int) -> None:
        super().__init__(f"Invalid time specification (pos={position}): {text}")
        self.position = position


def moment(text: str, now: datetime, *, with_elevenses: bool = True) -> datetime:
    """The moment that `--begin` or `--deadline` names: `now+2hours`, `16:00`, `2030-01-02T12:34`, `tomorrow`, a date and a clock time in
    either order. MomentError if it names none."""
    if not text:
        raise MomentError(text, -1)
    return _Moment(text, now, with_elevenses).read()


class _Moment:
    def __init__(self, text: str, now: datetime, with_elevenses: bool) -> None:
        self.text, self.now, self.at = text, now, 0
        self.with_elevenses = with_elevenses
        self.date: datetime | None = None
        self.clock: tuple[int, int, int] | None = None

    def fail(self, offset: int = 0) -> MomentError:
        return MomentError(self.text, self.at + offset)

    def read(self) -> datetime:
        while self.at < len(self.text):
            if self.text[self.at] in " \tT":
                self.at += 1
                continue
            if re.compile("now", re.IGNORECASE).match(self.text, self.at):
                return self._now()
            if not (self._word() or self._numbers()):
                raise self.fail()
        midnight = self.now.replace(hour=0, minute=0, second=0, microsecond=0)
        hour, minute, second = self.clock or (0, 0, 0)
        found = (self.date or midnight).replace(hour=hour, minute=minute, second=second)
        if self.date is None and self.clock is not None and found < self.now:
            found += timedelta(days=1)
        return found

    def _now(self) -> datetime:
        self.at += 3
        if self.at == len(self.text):
            return self.now
        match = re.compile(r"([+-])(\d+)([a-z]*)", re.IGNORECASE).match(self.text, self.at)
        if match is None:
            raise self.fail()
        unit = match[3].lower().removesuffix("s") if match[3].lower() != "s" else ""
        if match[3] and unit not in UNITS:
            raise self.fail(len(match[1] + match[2]) - 1)
        self.at = match.end()
        if self.at < len(self.text):
            raise self.fail()
        seconds = int(match[2]) * UNITS.get(unit, 1)
        try:
            return self.now + timedelta(seconds=seconds if match[1] == "+" else -seconds)
        except OverflowError as err:
            raise self.fail() from err

    def _word(self) -> bool:
        match = re.compile(r"[a-z]+").match(self.text, self.at)
        if match is None:
            return False
        word = match[0]
        today = self.now.replace(hour=0, minute=0, second=0, microsecond=0)
        if word in ("today", "tomorrow"):
            self.date = today + timedelta(days=word == "tomorrow")
        elif word in CLOCK_WORDS and (word != "elevenses" or self.with_elevenses):
            hour, minute = CLOCK_WORDS[word]
            self.clock = (hour, minute, 0)
        else:
            return False
        self.at = match.end()
        return True

    def _numbers(self) -> bool:
        start = self.at
        for pattern, reader in (
            (r"(\d{1,2}):(\d\d)(?::(\d\d))?\s*([AaPp][Mm])?", self._clock_time),
            (r"(\d{4})-(\d{1,2})-(\d{1,2})", self._iso),
            (r"(\d{1,2})[/.](\d{1,2})(?:[/.](\d{2}(?:\d\d)?))?", self._american),
            (r"(\d\d)(\d\d)(\d\d)?(?!\d)", self._american),
        ):
            match = re.compile(pattern).match(self.text, start)
            if match:
                reader(match)
                self.at = match.end()
                return True
        digits = re.compile(r"\d+").match(self.text, start)
        self.at += len(digits[0]) if digits else 0
        return False

    def _clock_time(self, match: re.Match[str]) -> None:
        hour, minute, second = int(match[1]), int(match[2]), int(match[3] or 0)
        half = (match[4] or "").upper()
        if hour > 23 or minute > 59 or second > 59 or (half and not 1 <= hour <= 12):
            raise self.fail()
        if half:
            hour = hour % 12 + 12 * (half == "PM")
        self.clock = (hour, minute, second)

    def _iso(self, match: re.Match[str]) -> None:
        self._set(int(match[1]), match, 2, 3)

    def _american(self, match: re.Match[str]) -> None:
        year = int(match[3]) if match[3] else self.now.year
        self._set(year + 2000 if year < 100 else year, match, 1, 2)

    def _set(self, year: int, match: re.Match[str], month: int, day: int) -> None:
        if not 1 <= int(match[month]) <= 12:
            raise MomentError(self.text, match.start(month))
        try:
            self.date = self.now.replace(
                year=year, month=int(match[month]), day=int(match[day]), hour=0, minute=0, second=0, microsecond=0
            )
        except ValueError as err:
            raise MomentError(self.text, match.start(day)) from err
