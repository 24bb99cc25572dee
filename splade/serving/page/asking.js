// Requests to the server that this page came from, and its refusals in words.

const BEGINNINGS = {
  401: "The server asks for a key",
  413: "The query is too long",
  422: "The server does not take this",
  429: "The server is busy",
};

/** Something that went wrong, in words for the person at the page. */
export class Problem extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

/** Send `key` with every request from now on, until the tab is closed; an empty one changes nothing. */
export function useKey(key) {
  if (key) sessionStorage.setItem("key", key);
}

/** The JSON that `path` answers; `content` is posted, null gets. A Problem where there is no answer. */
export async function ask(path, content, signal) {
  const key = sessionStorage.getItem("key");
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  const how = content === null ? { headers, signal } : {
    method: "POST", headers: { ...headers, "Content-Type": "application/json" }, body: JSON.stringify(content), signal,
  };
  let answer;
  let text;
  try {
    answer = await fetch(path, how);
    text = await answer.text();
  } catch (error) {
    if (signal.aborted) throw error;
    throw new Problem("The server does not answer. Is it still running, and is this machine connected to it?");
  }
  const found = parsed(text);
  if (answer.ok && found !== null) return found;
  throw new Problem(inWords(answer, found), answer.status);
}

function inWords(answer, found) {
  const beginning = BEGINNINGS[answer.status] ?? `The server could not answer (${answer.status})`;
  const reason = typeof found?.error === "string" ? `: ${found.error.replace(/\.$/, "")}` : "";
  const wait = answer.headers.get("Retry-After");
  return `${beginning}${reason}.${wait ? ` Try again in ${wait} s.` : ""}`;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
