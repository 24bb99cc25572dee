"""JSON read byte by byte: strings, and values that are skipped, all of them checked.

Every function takes the text, a position in it and its end, and returns the position behind what it read, or -1
where that is not JSON, or JSON that these functions leave to a full parser (negative numbers, 60 levels deep).
"""

import numpy as np

from splade.kernels.compiled import kernel
from splade.kernels.json_numbers import NINE, ZERO, read_number

QUOTE, BACKSLASH, COMMA, COLON, MINUS = 34, 92, 44, 58, 45
OPEN_OBJECT, CLOSE_OBJECT, OPEN_LIST, CLOSE_LIST = 123, 125, 91, 93
SHORT_ESCAPES = (
    (34, 34),
    (92, 92),
    (47, 47),
    (98, 8),
    (102, 12),
    (110, 10),
    (114, 13),
    (116, 9),
)  # the letter, its code
DEEPEST = 60


@kernel
def skip_space(text, p, end):  # type: ignore[no-untyped-def]
    """Behind white space, of which there may be none."""
    while p < end and (text[p] == 32 or text[p] == 9 or text[p] == 10 or text[p] == 13):
        p += 1
    return p


@kernel
def read_string(text, p, end, out, at):  # type: ignore[no-untyped-def]
    """Write a string, unescaped UTF-8, to ``out[at:]``; ``p`` is behind its first quote. Positions in both."""
    while p < end:
        letter = text[p]
        if letter == QUOTE:
            return p + 1, at
        if letter == BACKSLASH:
            p, code = read_escape(text, p + 1, end)
            if p < 0:
                return -1, at
            at = write_utf8(code, out, at)
        elif letter < 32:
            return -1, at
        else:
            out[at] = letter
            at += 1
            p += 1
    return -1, at


@kernel
def read_escape(text, p, end):  # type: ignore[no-untyped-def]
    """The character behind a backslash; half of a pair is refused."""
    if p >= end:
        return -1, 0
    letter = text[p]
    for name, code in SHORT_ESCAPES:
        if letter == name:
            return p + 1, code
    if letter != 117:  # u
        return -1, 0
    p, code = read_hex(text, p + 1, end)
    if p < 0 or 0xDC00 <= code < 0xE000:
        return -1, 0
    if 0xD800 <= code < 0xDC00:
        if p + 1 >= end or text[p] != BACKSLASH or text[p + 1] != 117:
            return -1, 0
        p, low = read_hex(text, p + 2, end)
        if p < 0 or low < 0xDC00 or low >= 0xE000:
            return -1, 0
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
    return p, code


@kernel
def read_hex(text, p, end):  # type: ignore[no-untyped-def]
    """Four hexadecimal digits."""
    code = np.int64(0)
    if p + 4 > end:
        return -1, code
    for letter in text[p : p + 4]:
        digit = np.int64(letter)
        if ZERO <= digit <= NINE:
            digit -= ZERO
        elif 97 <= (digit | 32) <= 102:
            digit = (digit | 32) - 87
        else:
            return -1, code
        code = code * 16 + digit
    return p + 4, code


@kernel
def write_utf8(code, out, at):  # type: ignore[no-untyped-def]
    """Write a character; the place behind it."""
    if code < 0x80:
        out[at] = code
        return at + 1
    if code < 0x800:
        out[at] = 0xC0 | (code >> 6)
    else:
        if code < 0x10000:
            out[at] = 0xE0 | (code >> 12)
        else:
            out[at] = 0xF0 | (code >> 18)
            at += 1
            out[at] = 0x80 | ((code >> 12) & 63)
        at += 1
        out[at] = 0x80 | ((code >> 6) & 63)
    out[at + 1] = 0x80 | (code & 63)
    return at + 2


@kernel
def skip_value(text, p, end, scratch):  # type: ignore[no-untyped-def]
    """Behind a value of any kind; ``scratch`` has room for its strings."""
    inside, depth = np.uint64(0), 0  # a bit per level, 1 for an object
    while True:
        p = skip_space(text, p, end)
        fresh = p < end and depth < DEEPEST and (text[p] == OPEN_OBJECT or text[p] == OPEN_LIST)
        if fresh:
            inside = (inside << np.uint64(1)) | np.uint64(text[p] == OPEN_OBJECT)
            depth += 1
            p += 1
        else:
            p = skip_plain(text, p, end, scratch)
        p, inside, depth = skip_closed(text, p, end, inside, depth, fresh)
        if p < 0 or depth == 0:
            return p
        if inside & np.uint64(1):
            p = skip_name(text, skip_space(text, p, end), end, scratch)


@kernel
def skip_closed(text, p, end, inside, depth, fresh):  # type: ignore[no-untyped-def]
    """Behind all that ends at ``p``, and the comma that then comes; ``fresh``: something has just begun there."""
    while depth and p >= 0:
        p = skip_space(text, p, end)
        if p >= end:
            return -1, inside, depth
        if text[p] == (CLOSE_OBJECT if inside & np.uint64(1) else CLOSE_LIST):
            p, depth, inside, fresh = p + 1, depth - 1, inside >> np.uint64(1), False
        elif fresh:
            return p, inside, depth
        else:
            return p + 1 if text[p] == COMMA else -1, inside, depth
    return p, inside, depth


@kernel
def skip_name(text, p, end, scratch):  # type: ignore[no-untyped-def]
    """Behind a name and its colon."""
    if p < 0 or p >= end or text[p] != QUOTE:
        return -1
    p, _ = read_string(text, p + 1, end, scratch, 0)
    if p < 0:
        return -1
    p = skip_space(text, p, end)
    return p + 1 if p < end and text[p] == COLON else -1


@kernel
def skip_plain(text, p, end, scratch):  # type: ignore[no-untyped-def]
    """Behind a string, a number, true, false or null."""
    if p < 0 or p >= end:
        return -1
    if text[p] == QUOTE:
        p, _ = read_string(text, p + 1, end, scratch, 0)
        return p
    if text[p] == MINUS or ZERO <= text[p] <= NINE:
        p, _, _ = read_number(text, p + (text[p] == MINUS), end)
        return p
    for word in (b"true", b"false", b"null"):
        size = len(word)
        if p + size <= end:
            same = True
            for i in range(size):
                same = same and text[p + i] == word[i]
            if same:
                return p + size
    return -1
