// The form, the address that holds the view, and the requests. What the server sends becomes text, never markup.
import { ask, Problem, useKey } from "./asking.js";
import { make } from "./marks.js";
import { answerView } from "./view.js";

const byId = (id) => document.getElementById(id);
let about = null; // of /info
let running = null;
let picked = null; // the token of a term whose words stand out

/** The view that the address names: behind `#`, which no server or log is sent; behind `?` it is read too. */
function viewInAddress() {
  const given = new URLSearchParams(location.hash.length > 1 ? location.hash.slice(1) : location.search);
  const only = (given.get("only") ?? "").split(/\s+/).filter(Boolean);
  const [q, k, strategy] = [given.get("q") ?? "", given.get("k") ?? "10", given.get("strategy") ?? ""];
  return { q, k, strategy, only, system: given.get("system") ?? "", beside: given.get("beside") ?? "", term: given.get("term") };
}

function addressOf(view) {
  const kept = { ...view, only: view.only.join(" "), k: view.k === "10" ? "" : view.k };
  return `#${new URLSearchParams(Object.entries(kept).filter(([, value]) => value))}`;
}

function viewInForm() {
  const value = (id) => byId(id).value.trim();
  const only = value("only").split(/\s+/).filter(Boolean);
  const view = { q: byId("q").value, k: value("k"), strategy: value("strategy"), only, system: value("system"), beside: value("beside") };
  return { ...view, system: about && view.system === Object.keys(about.systems)[0] ? "" : view.system, term: null };
}

function fillForm(view) {
  for (const id of ["q", "k"]) byId(id).value = view[id];
  byId("only").value = view.only.join(" ");
  for (const id of ["system", "beside", "strategy"]) choose(byId(id), view[id]);
}

/** Choose `value`; one that the list lacks is added, so that the server's words about it are read. */
function choose(select, value) {
  const options = [...select.options].map((option) => option.value);
  if (value && !options.includes(value)) select.add(new Option(value, value));
  select.value = value || (options[0] ?? "");
}

async function learn(signal) {
  about = await ask("info", null, signal);
  const names = Object.keys(about.systems);
  const several = names.length > 1;
  byId("system").replaceChildren(...names.map((name) => new Option(name, name)));
  byId("beside").replaceChildren(new Option("no other", ""), ...names.map((name) => new Option(name, name)));
  for (const label of document.querySelectorAll(".several")) label.hidden = !several;
  const systems = Object.values(about.systems);
  const strategies = [...new Set(systems.flatMap((system) => system.strategies ?? []))];
  byId("strategy").replaceChildren(new Option("the server's", ""), ...strategies.map((name) => new Option(name, name)));
  for (const label of document.querySelectorAll(".ours")) label.hidden = !strategies.length;
  byId("k").max = about.max_k;
  const { n_docs: size } = systems[0];
  byId("about").textContent = `${about.served_model_name}${size === undefined ? "" : ` · ${size.toLocaleString("en")} documents`}`;
}

function requestOf(view, name) {
  const k = view.k === "" ? 10 : Number(view.k);
  if (!Number.isInteger(k) || k < 1) throw new Problem(`Hits: ${view.k} is not a whole number of 1 or more.`);
  const known = about.systems[name];
  const ours = !known || (known.strategies ?? []).length > 0;
  const request = { query: view.q, k, explain: ours };
  if (name) request.system = name;
  if (view.strategy) request.strategy = view.strategy;
  if (view.only.length) request.filter = view.only;
  return request;
}

async function show(view) {
  running?.abort();
  const mine = (running = new AbortController());
  say("", "");
  byId("answers").replaceChildren();
  try {
    if (view.q.trim()) say("Searching …", "");
    if (about === null) {
      await learn(mine.signal);
      fillForm(view);
    }
    byId("link-row").hidden = !view.q.trim();
    if (!view.q.trim()) {
      say(byId("form").dataset.sent ? "The query is empty: type some words to search for." : "", "");
      return;
    }
    const first = view.system || Object.keys(about.systems)[0];
    const names = view.beside ? [first, view.beside] : [first];
    const requests = names.map((name) => requestOf(view, name));
    const answers = await Promise.all(requests.map((request) => ask("search", request, mine.signal)));
    const ranks = answers.map((answer) => new Map(answer.hits.map((hit, i) => [hit.id, i + 1])));
    const views = answers.map((answer, i) => answerView(names[i], view, answer, view.beside ? ranks[1 - i] : null));
    byId("answers").className = view.beside ? "two" : "";
    byId("answers").replaceChildren(...views);
    say(answers.map((answer) => `${answer.hits.length} hits`).join(" and "), "");
    pick(view.term);
  } catch (error) {
    if (mine.signal.aborted) return;
    if (!(error instanceof Problem)) throw error;
    if (error.status === 401) askForKey();
    say("", error.message);
  } finally {
    byId("link").href = addressOf(view);
    if (running === mine) document.body.dataset.done = String(Number(document.body.dataset.done ?? 0) + 1);
  }
}

function say(status, problem) {
  byId("status").textContent = status;
  byId("problem").textContent = problem;
  byId("problem").hidden = !problem;
}

function askForKey() {
  byId("key-row").hidden = false;
  byId("key").focus();
}

/** Let the words of one term stand out, everywhere; null: all as before. */
function pick(token) {
  picked = token;
  byId("answers").classList.toggle("picking", token !== null);
  for (const mark of document.querySelectorAll("mark")) mark.classList.toggle("picked", mark.tokens.has(token));
  for (const button of document.querySelectorAll("button.term")) button.ariaPressed = String(button.token === token);
}

function submit() {
  useKey(byId("key").value);
  byId("form").dataset.sent = "yes";
  const view = viewInForm();
  if (addressOf(view) !== location.hash) history.pushState(null, "", addressOf(view));
  show(view);
}

byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});
byId("q").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  submit();
});
byId("answers").addEventListener("click", (event) => {
  const button = event.target.closest("button.term");
  if (!button) return;
  pick(button.token === picked ? null : button.token);
  const address = addressOf({ ...viewInAddress(), term: picked });
  history.replaceState(null, "", address);
  byId("link").href = address;
});
byId("answers").addEventListener("marked", () => pick(picked));
addEventListener("popstate", () => {
  const view = viewInAddress();
  fillForm(view);
  show(view);
});

byId("strategy").append(make("option", { value: "" }, "the server's"));
fillForm(viewInAddress());
show(viewInAddress());
