// Words of a text that terms come from. Offsets are code points, as the server counts; JavaScript's strings are not.

/** The element `tag` with properties and children; strings become text, never markup. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("aria-")) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** The pieces of points[start..stop) between the ends of spans, each with the spans that cover it. */
export function pieces(spans, start, stop) {
  const inside = spans.filter((span) => span.start < stop && span.stop > start && span.stop > span.start);
  const ends = new Set([start, stop]);
  for (const span of inside) {
    ends.add(Math.max(start, span.start));
    ends.add(Math.min(stop, span.stop));
  }
  const cuts = [...ends].sort((a, b) => a - b);
  const found = [];
  for (let i = 0; i + 1 < cuts.length; i += 1) found.push({ start: cuts[i], stop: cuts[i + 1], spans: [] });
  const place = new Map(cuts.map((cut, i) => [cut, i]));
  for (const span of inside) {
    const last = place.get(Math.min(stop, span.stop));
    for (let i = place.get(Math.max(start, span.start)); i < last; i += 1) found[i].spans.push(span);
  }
  return found;
}

/** The part of a text from `start` to `stop` (code points) as nodes: words that a term comes from are marked. */
export function marked(points, spans, start = 0, stop = points.length) {
  const sums = pieces(spans, start, stop);
  const heaviest = Math.max(...sums.map((piece) => total(piece.spans)), 1e-9);
  return sums.map((piece) => {
    const text = points.slice(piece.start, piece.stop).join("");
    if (!piece.spans.length) return document.createTextNode(text);
    const own = piece.spans.some((span) => span.own);
    const mark = make("mark", { className: own ? "own" : "added" }, text);
    mark.tokens = new Set(piece.spans.map((span) => span.token));
    mark.style.setProperty("--share", (0.15 + 0.45 * (total(piece.spans) / heaviest)).toFixed(3));
    mark.title = piece.spans.slice(0, 12).map((span) => `${span.reading} ${span.weight.toFixed(2)}`).join(" · ");
    return mark;
  });
}

/** The window of at most `size` code points around the heaviest span, from a space to a space. */
export function windowOf(points, spans, size) {
  if (points.length <= size * 1.25) return [0, points.length];
  const best = spans.reduce((a, b) => (a && a.weight >= b.weight ? a : b), null);
  const aim = best ? best.start - Math.floor(size / 3) : 0;
  let start = Math.max(0, Math.min(aim, points.length - size));
  while (start > 0 && start < points.length && points[start - 1].trim()) start += 1;
  let stop = Math.min(points.length, start + size);
  while (stop < points.length && points[stop].trim()) stop += 1;
  return [start, stop];
}

function total(spans) {
  return spans.reduce((sum, span) => sum + span.weight, 0);
}
