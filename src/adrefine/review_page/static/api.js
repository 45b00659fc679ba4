// What the views share: the server, pictures, messages. Text goes into the page as text, never as HTML.

const remembered = sessionStorage.getItem("tab");
export const tab = remembered || crypto.getRandomValues(new Uint32Array(4)).reduce((all, n) => all + n.toString(36), "");
sessionStorage.setItem("tab", tab);

export const $ = (id) => document.getElementById(id);
let edition = 0; // of the pictures: after a run others may stand under the same ids
export const picture = (kind, id) => `picture/${kind}/${encodeURIComponent(id)}?${edition}`;

// Whether there was a run since the last look.
export function renewed(latest) {
  const was = edition;
  edition = latest;
  return was !== 0 && was !== latest;
}

async function asked(path, options) {
  let answer;
  try {
    answer = await fetch(`api/${path}`, { ...options, credentials: "omit" });
  } catch {
    throw new Error("the server does not answer: is `adrefine review --open` still running?");
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(body.error || `the server refused it (${answer.status})`);
  return body;
}

export const get = (path, query = {}) => asked(`${path}?${new URLSearchParams(query)}`);
export const post = (path, body = {}) =>
  asked(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

export function element(kind, attributes = {}, ...children) {
  const made = document.createElement(kind);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

export function say(text) {
  $("spoken").textContent = text;
}

// A message that stays until it is closed: an error, or an answer that somebody else changed.
export function notice(text) {
  if ([...$("notices").children].some((one) => one.firstChild.textContent === text)) return;
  const close = element("button", { type: "button", "aria-label": "Close this message" }, "×");
  const line = element("p", {}, element("span", {}, text), close);
  close.addEventListener("click", () => line.remove());
  $("notices").append(line);
}

// Answers reach the server one after the other, in the order of the keys.
let last = Promise.resolve();
export function inOrder(work) {
  const done = last.then(work);
  last = done.catch(() => undefined);
  return done;
}
