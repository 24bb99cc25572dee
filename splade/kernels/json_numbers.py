"""JSON's numbers, from 0 on, as float32: surely the one that Python's float64 rounds to, or marked as not sure."""

import numpy as np

from splade.kernels.compiled import kernel

PLUS, MINUS, POINT, ZERO, NINE = 43, 45, 46, 48, 57
POWERS = np.array([float(f"1e{power}") for power in range(281)])
MARGIN = 2.0**-48  # more than the rounding of a number that is read approximately
SMALLEST_NORMAL = float(np.finfo(np.float32).tiny)


@kernel
def read_digits(text, p, end):  # type: ignore[no-untyped-def]
    """Behind the digits from ``p``, of which there may be none."""
    while p < end and ZERO <= text[p] <= NINE:
        p += 1
    return p


@kernel
def read_number(text, p, end):  # type: ignore[no-untyped-def]
    """A number ≥ 0 as float32, and whether that is surely the float32 nearest to its float64."""
    whole = read_digits(text, p, end)
    if whole == p or (text[p] == ZERO and whole > p + 1):
        return -1, np.float32(0), False
    last = whole
    if whole < end and text[whole] == POINT:
        last = read_digits(text, whole + 1, end)
        if last == whole + 1:
            return -1, np.float32(0), False
    mantissa, exponent, cut = significant(text, p, whole, last)
    p = last
    if p < end and (text[p] | 32) == 101:  # e
        p, power = read_power(text, p + 1, end)
        exponent += power
    weight, sure = scaled(mantissa, exponent, cut)
    return p, weight, sure


@kernel
def significant(text, p, point, last):  # type: ignore[no-untyped-def]
    """The first 19 digits of ``text[p:last]`` as one number, the power of ten it lacks, and whether others follow."""
    mantissa, exponent, cut = np.uint64(0), 0, False
    for q in range(p, last):
        if q == point:
            continue
        exponent -= 1 if q > point else 0
        if mantissa >= np.uint64(10**18):  # no room for another digit
            exponent += 1
            cut = True
        else:
            mantissa = mantissa * np.uint64(10) + np.uint64(text[q] - ZERO)
    return mantissa, exponent, cut


@kernel
def read_power(text, p, end):  # type: ignore[no-untyped-def]
    """The whole number behind an e."""
    minus = p < end and text[p] == MINUS
    if p < end and (minus or text[p] == PLUS):
        p += 1
    last = read_digits(text, p, end)
    power = 0
    for q in range(p, last):
        power = min(power * 10 + np.int64(text[q] - ZERO), 100_000)
    return last if last > p else -1, -power if minus else power


@kernel
def scaled(mantissa, exponent, cut):  # type: ignore[no-untyped-def]
    """``mantissa · 10^exponent`` as float32, and whether rounding, once to float64 and then, gives the same.

    A mantissa below 2^53 times or by a power of ten up to 22 is rounded once, so as float64 should be. Else the
    product is off by less than ``MARGIN``, and what is about that far away on either side must round alike.
    """
    if mantissa == 0:
        return np.float32(0), True
    if abs(exponent) >= POWERS.size:
        return np.float32(0), False
    value = np.float64(mantissa)
    value = value * POWERS[exponent] if exponent >= 0 else value / POWERS[-exponent]
    if abs(exponent) <= 22 and mantissa < np.uint64(2**53) and not cut:
        return np.float32(value), True
    low, high = np.float32(value * (1 - MARGIN)), np.float32(value * (1 + MARGIN))
    return low, low == high and value > 2 * SMALLEST_NORMAL
