// One system's answer as elements: its query's terms as bars, its hits, and the reasons of their scores.
import { make, marked, windowOf } from "./marks.js";

const BARS = 12; // shown at first, of own terms and of added ones
const CHIPS = 8;
const SHOWN = 600; // code points of a long document at first

/** The answer of the system `name`; `elsewhere` has the ranks of documents in the answer beside it, or is null. */
export function answerView(name, question, answer, elsewhere) {
  const found = answer.hits.length;
  const hits = answer.hits.map((hit, i) => hitView(hit, i + 1, elsewhere));
  return make(
    "section",
    { className: "answer", "aria-label": `Answer of ${name}` },
    elsewhere && make("h2", {}, name),
    make("p", { className: "facts" }, facts(answer)),
    answer.query ? queryView(answer.query, question) : null,
    make("h3", {}, found ? "Hits" : "No hits"),
    found ? make("ol", { className: "hits" }, ...hits) : make("p", { className: "nothing" }, nothing(answer, question)),
  );
}

/** A system that did not answer. */
export function problemView(name, message) {
  return make("section", { className: "answer" }, make("h2", {}, name), make("p", { className: "problem" }, message));
}

function facts(answer) {
  const { total, tokenization, queue, inference, search } = answer.time_ms;
  const parts = `tokens ${ms(tokenization)}, waiting ${ms(queue)}, model ${ms(inference)}, search and terms ${ms(search)}`;
  const strategy = answer.strategy ? ` · strategy ${answer.strategy}` : "";
  const hits = answer.hits.length;
  const found = `${hits} ${hits === 1 ? "hit" : "hits"} of ${answer.n_docs.toLocaleString("en")} documents`;
  return `${found} in ${ms(total)} ms (${parts}) · engine ${answer.engine}${strategy}`;
}

function nothing(answer, question) {
  if (answer.query && !answer.query.terms.length) return "The query has no term that this model knows.";
  if (question.only.length) return `None of the ids that may be found (${question.only.length}) has a term of the query.`;
  return "No document has a term of the query.";
}

function queryView(bag, question) {
  const points = Array.from(bag.text ?? question.q);
  const spans = bag.terms.flatMap((term) => spansIn(term, term.spans, term.own, term.weight));
  const read = Math.max(0, ...bag.tokens.map((token) => (token.span ? token.span[1] : 0)));
  const cut = bag.tokens.length > 0 && points.slice(read).join("").trim() !== "";
  const end = cut ? read : points.length;
  const groups = [
    ["Words of the query", "own", bag.terms.filter((term) => term.own === true)],
    ["Added by the model", "added", bag.terms.filter((term) => term.own === false)],
    ["Terms of the query", "other", bag.terms.filter((term) => term.own === null)],
  ];
  const heaviest = Math.max(...bag.terms.map((term) => term.weight), 1e-9);
  return make(
    "div",
    { className: "asked" },
    make("h3", {}, "Query"),
    make(
      "p",
      { className: "text query-text", tabIndex: points.length > SHOWN ? 0 : -1 },
      ...marked(points, spans, 0, end),
      cut ? make("span", { className: "unread" }, points.slice(read).join("")) : null,
    ),
    cut ? soft(`The model read the first ${bag.tokens.length} tokens; the rest is pale.`) : null,
    make(
      "div",
      { className: "bags" },
      ...groups.filter(([, kind, terms]) => terms.length || kind !== "other").map((group) => barsView(...group, heaviest)),
    ),
  );
}

function barsView(title, kind, terms, heaviest) {
  const bars = terms.map((term) => make("li", {}, barView(term, kind, heaviest)));
  const rest = bars.slice(BARS);
  return make(
    "div",
    { className: "bag" },
    make("h4", {}, `${title} `, make("span", { className: "soft" }, `${terms.length}`)),
    terms.length ? make("ol", { className: "bars" }, ...bars.slice(0, BARS)) : soft("none"),
    rest.length ? more(`${rest.length} more`, make("ol", { className: "bars" }, ...rest)) : null,
  );
}

function barView(term, kind, heaviest) {
  const bar = make("span", { className: "bar" });
  bar.style.width = `${((100 * term.weight) / heaviest).toFixed(1)}%`;
  const label = make("span", { className: "label" }, term.reading);
  const track = make("span", { className: "track" }, bar);
  return termButton(term.token, `term line ${kind}`, label, track, number(term.weight));
}

function termButton(token, className, ...children) {
  const button = make("button", { type: "button", className, "aria-pressed": "false" }, ...children);
  button.token = token;
  return button;
}

function hitView(hit, rank, elsewhere) {
  const terms = hit.terms ?? [];
  const title = hit.title ?? "";
  const place = elsewhere ? ` · ${elsewhere.has(hit.id) ? `hit ${elsewhere.get(hit.id)} beside` : "not beside"}` : "";
  const heading = title ? marked(Array.from(title), spansOf(terms, "title_spans")) : [hit.id];
  return make(
    "li",
    { className: "hit" },
    make("h4", {}, make("span", { className: "rank" }, `${rank}`), make("span", { className: "title" }, ...heading),
      make("span", { className: "number" }, scoreOf(hit.score))),
    title || place ? make("p", { className: "soft id" }, `${title ? hit.id : ""}${title ? place : place.slice(3)}`) : null,
    hit.text === undefined ? soft("The server does not have the text of this document.") : textView(hit, terms),
    hit.terms ? make("p", { className: "chips" }, ...terms.slice(0, CHIPS).map(chip)) : null,
    hit.terms ? reasons(hit) : null,
  );
}

function chip(term) {
  const kind = term.query_own === null ? "other" : term.query_own ? "own" : "added";
  return termButton(term.token, `term chip ${kind}`, `${term.reading} `, number(term.product));
}

function textView(hit, terms) {
  const points = Array.from(hit.text);
  const spans = spansOf(terms, "document_spans");
  const [start, stop] = windowOf(points, spans, SHOWN);
  const [before, after] = [start > 0 ? "… " : "", stop < points.length ? " … " : ""];
  const text = make("p", { className: "text" }, before, ...marked(points, spans, start, stop), after);
  if (start === 0 && stop === points.length) return text;
  const whole = make("button", { type: "button", className: "plain" }, "Show all of it");
  whole.addEventListener("click", () => {
    text.replaceChildren(...marked(points, spans));
    text.tabIndex = -1;
    text.focus();
    text.dispatchEvent(new CustomEvent("marked", { bubbles: true }));
  });
  text.append(whole);
  return text;
}

function reasons(hit) {
  const missing = hit.missing.length ? `; ${hit.missing.length} missing` : "";
  const rows = hit.terms.map((term) =>
    make("tr", {},
      make("th", { scope: "row" }, termButton(term.token, "term plain", term.reading)),
      make("td", { className: "number" }, term.query_weight.toFixed(3), ownness(term.query_own)),
      make("td", { className: "number" }, term.document_weight.toFixed(3), ownness(term.document_own)),
      make("td", { className: "number" }, term.product.toFixed(3))));
  const head = ["term", "query", "document", "product"].map((name) => make("th", { scope: "col" }, name));
  const count = hit.terms.length;
  return more(
    `${scoreOf(hit.score)} from ${count} ${count === 1 ? "term" : "terms"}${missing}`,
    make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows)),
    hit.missing.length ? soft(`Missing in the document: ${hit.missing.join(", ")}`) : null,
  );
}

function ownness(own) {
  return make("small", {}, own === null ? "" : own ? " own" : " added");
}

function more(summary, ...children) {
  return make("details", {}, make("summary", {}, summary), ...children);
}

function spansOf(terms, name) {
  return terms.flatMap((term) => spansIn(term, term[name] ?? [], term.document_own, term.product));
}

function spansIn({ token, reading }, spans, own, weight) {
  return spans.map(([start, stop]) => ({ start, stop, token, reading, own: own === true, weight }));
}

function soft(sentence) {
  return make("p", { className: "soft" }, sentence);
}

function number(value) {
  return make("span", { className: "number" }, value.toFixed(2));
}

function scoreOf(score) {
  return score === null ? "?" : score.toFixed(3);
}

function ms(time) {
  return time < 10 ? time.toFixed(1) : time.toFixed(0);
}
