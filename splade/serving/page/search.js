// The form, the address that holds the view, and the requests. What the server sends becomes text, never markup.
import { ask, Problem, useKey } from "./asking.js";
import { answerView, problemView } from "./view.js";

const byId = (id) => document.getElementById(id);
const LONGEST = 1_000_000; // characters of an address; browsers open no much longer ones
let about = null; // of /info
let running = null;
let shown = null; // the view
let picked = null; // the token of a term whose words stand out

/** The view that the address names: behind `#`, which no server or log is sent; behind `?` it is read too. */
function viewInAddress() {
  const given = new URLSearchParams(location.hash.length > 1 ? location.hash.slice(1) : location.search);
  const only = (given.get("only") ?? "").split(/\s+/).filter(Boolean);
  const [q, k, strategy] = [given.get("q") ?? "", given.get("k") ?? "10", given.get("strategy") ?? ""];
  const [system, beside] = [given.get("system") ?? "", given.get("beside") ?? ""];
  return { q, k, strategy, only, system, beside, term: given.get("term") };
}

function addressOf(view) {
  const kept = { ...view, only: view.only.join(" "), k: view.k === "10" ? "" : view.k };
  return `#${new URLSearchParams(Object.entries(kept).filter(([, value]) => value))}`;
}

function viewInForm() {
  const value = (id) => byId(id).value.trim();
  const only = value("only").split(/\s+/).filter(Boolean);
  const [k, strategy, beside] = [value("k"), value("strategy"), value("beside")];
  const system = about && value("system") === Object.keys(about.systems)[0] ? "" : value("system");
  return { q: byId("q").value, k, strategy, only, system, beside, term: null };
}

function fillForm(view) {
  for (const id of ["q", "k"]) byId(id).value = view[id];
  byId("only").value = view.only.join(" ");
  fillLists(view);
}

function fillLists(view) {
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
  const documents = size === undefined ? "" : ` · ${size.toLocaleString("en")} documents`;
  byId("about").textContent = `${about.served_model_name}${documents}`;
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
  shown = view;
  say("", "");
  byId("answers").replaceChildren();
  byId("legend").hidden = true;
  try {
    if (view.q.trim()) say("Searching …", "");
    if (about === null) {
      await learn(mine.signal);
      fillLists(view); // and not what was typed meanwhile
    }
    byId("link-row").hidden = !view.q.trim() || addressOf(view).length > LONGEST;
    if (!view.q.trim()) {
      say(byId("form").dataset.sent ? "The query is empty: type some words to search for." : "", "");
      return;
    }
    const first = view.system || Object.keys(about.systems)[0];
    const names = view.beside ? [first, view.beside] : [first];
    const requests = names.map((name) => requestOf(view, name));
    const asked = await Promise.allSettled(requests.map((request) => ask("search", request, mine.signal)));
    if (mine.signal.aborted) return;
    place(view, names, asked);
  } catch (error) {
    if (mine.signal.aborted) return;
    if (error.status === 401) askForKey();
    say("", error instanceof Problem ? error.message : "This page failed; the browser's console has the reason.");
    if (!(error instanceof Problem)) throw error;
  } finally {
    byId("link").href = addressOf(view);
    if (running === mine) document.body.dataset.done = String(Number(document.body.dataset.done ?? 0) + 1);
  }
}

/** Put the answers on the page; of two, one that failed says why, and the other stands. */
function place(view, names, asked) {
  const wrong = asked.map((each) => each.reason).filter((reason) => reason && !(reason instanceof Problem));
  if (wrong.length || asked.every((each) => each.reason)) throw wrong[0] ?? asked[0].reason;
  const ranks = asked.map(({ value }) => new Map((value?.hits ?? []).map((hit, i) => [hit.id, i + 1])));
  const views = asked.map(({ value, reason }, i) => {
    if (reason) return problemView(names[i], reason.message);
    return answerView(names[i], view, value, names.length > 1 ? ranks[1 - i] : null);
  });
  byId("answers").classList.toggle("two", names.length > 1);
  byId("answers").replaceChildren(...views);
  byId("legend").hidden = !document.querySelector("button.term");
  const traced = document.querySelector("#answers mark") !== null;
  byId("traced").hidden = !traced;
  byId("untraced").hidden = traced;
  say(`Found: ${ranks.map((rank) => rank.size).join(" and ")} hits`, "");
  byId("status").className = "heard";
  pick(view.term);
}

function say(status, problem) {
  byId("status").className = "";
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
  const terms = [...document.querySelectorAll("button.term")];
  picked = terms.some((button) => button.token === token) ? token : null;
  byId("answers").classList.toggle("picking", picked !== null);
  for (const mark of document.querySelectorAll("#answers mark")) {
    mark.classList.toggle("picked", mark.tokens.has(picked));
  }
  for (const button of terms) {
    button.setAttribute("aria-pressed", String(button.token === picked));
    const folded = button.closest(".bag details");
    if (folded && button.token === picked) folded.open = true;
  }
}

function submit() {
  useKey(byId("key").value);
  byId("form").dataset.sent = "yes";
  const view = viewInForm();
  const address = addressOf(view);
  if (address !== location.hash && address.length <= LONGEST) history.pushState(null, "", location.pathname + address);
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
  shown = { ...shown, term: picked };
  const address = addressOf(shown);
  if (address.length <= LONGEST) history.replaceState(null, "", location.pathname + address);
  byId("link").href = address;
});
byId("answers").addEventListener("marked", () => pick(picked));
addEventListener("popstate", () => {
  const view = viewInAddress();
  fillForm(view);
  show(view);
});

fillForm(viewInAddress());
show(viewInAddress());
