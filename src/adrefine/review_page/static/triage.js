// One photo after the other. The next ones are loaded before they are needed; an answer shows at once and is
// sent behind it.
import { $, element, get, inOrder, notice, picture, post, say, tab } from "./api.js";

const AHEAD = 8; // as many as a quick person answers while a slow server looks for the next ones
const seen = []; // cards in the order they were shown
const skipped = new Set();
const sending = new Set(); // ids whose answer is on its way
let at = -1; // of seen: the one that is shown
let ahead = []; // cards to come
let refresh = async () => {};
const loaded = new Map(); // pictures that are kept in memory

const shown = () => seen[at];
export const wanted = () => AHEAD + Math.min(skipped.size, 40);

export function start(ask) {
  refresh = ask;
  for (const button of document.querySelectorAll("[data-verdict]"))
    button.addEventListener("click", () => answer(button.dataset.verdict));
  $("undo").addEventListener("click", undo);
  $("back").addEventListener("click", back);
  $("skip").addEventListener("click", forward);
  $("zoom").addEventListener("click", zoom);
  $("heat-on").addEventListener("change", lay);
  $("heat-strength").addEventListener("input", lay);
  $("note").addEventListener("keydown", (event) => {
    if (event.key === "Enter") noted();
    else if (event.key !== "Escape") return;
    event.preventDefault();
    $("stage").focus();
  });
  $("native").addEventListener("load", centre);
  lay();
}

// The server's next photos; the one that a person looks at stays where it is.
export function offer(cards) {
  const busy = new Set([...sending, ...skipped, shown()?.id]);
  ahead = cards.filter((card) => !busy.has(card.id));
  ahead.forEach(preload);
  if (!shown()) forward();
}

// After a run: the photo that a person looks at stays, with what is true of it now.
export async function renew() {
  const id = shown()?.id;
  seen.length = 0;
  at = -1;
  ahead = [];
  loaded.clear();
  if (id) await open(id).catch(() => undefined); // gone: the next one comes
}

// Another tab or program answered the photo that is shown, or one before it.
export function changed(id, verdict) {
  for (const card of seen) if (card.id === id) card.answer = verdict;
  if (shown()?.id === id) labels(shown());
}

export async function open(id) {
  const card = await get(`photo/${encodeURIComponent(id)}`);
  put(card);
}

export function key(event) {
  const zoomed = $("stage").classList.contains("zoomed");
  const does = {
    k: () => answer("keep"),
    r: () => answer("remove"),
    u: () => answer("unsure"),
    z: undo,
    n: () => $("note").focus(),
    m: () => ($("heat-on").checked = !$("heat-on").checked, lay()),
    "+": zoom,
    "=": zoom,
    ...(zoomed
      ? { Escape: zoom, ArrowLeft: () => move(-1, 0), ArrowRight: () => move(1, 0), ArrowUp: () => move(0, -1), ArrowDown: () => move(0, 1) }
      : { ArrowLeft: back, ArrowRight: forward }),
  }[event.key];
  if (does) does();
  return Boolean(does);
}

function answer(verdict) {
  const card = shown();
  if (!card) return;
  const before = card.answer;
  const note = $("note").value === (card.note || "") ? null : $("note").value;
  card.answer = verdict;
  if (note !== null) card.note = note;
  sending.add(card.id);
  skipped.delete(card.id);
  say(`${card.name}: ${verdict}`);
  inOrder(() => post("answer", { tab, ids: [card.id], verdict, note, asked: card.asked || "" }))
    .catch((error) => {
      card.answer = before;
      if (shown() === card) labels(card);
      notice(`${card.name}: not saved: ${error.message}`);
    })
    .finally(refresh) // until then the server may offer it again
    .finally(() => sending.delete(card.id));
  forward();
}

function noted() {
  const card = shown();
  if (card && card.answer) answer(card.answer);
}

async function undo() {
  try {
    const done = await inOrder(() => post("undo", { tab }));
    for (const name of done.lost) notice(`${name}: another tab or person has answered since; theirs stays`);
    if (done.photos.length) {
      put(done.photos[0]);
      say(`taken back: ${done.photos[0].name}${done.count > 1 ? ` and ${done.count - 1} more` : ""}`);
    } else if (!done.lost.length) say("nothing to undo");
  } catch (error) {
    notice(error.message);
  }
  await refresh();
}

function put(card) {
  const place = seen.findIndex((one) => one.id === card.id);
  if (place >= 0) seen[(at = place)] = card;
  else seen.splice((at = Math.max(at, 0)), 0, card);
  ahead = ahead.filter((one) => one.id !== card.id);
  draw();
}

function back() {
  if (at > 0) at -= 1;
  draw();
}

function forward() {
  const card = shown();
  if (card && !card.answer) skipped.add(card.id);
  if (at < seen.length - 1) at += 1;
  else if (ahead.length) at = seen.push(ahead.shift()) - 1;
  else {
    at = seen.length;
    refresh();
  }
  draw();
}

function draw() {
  const card = shown();
  if ($("stage").classList.contains("zoomed")) zoom();
  $("empty").hidden = Boolean(card);
  $("photo").hidden = !card;
  for (const button of document.querySelectorAll("#triage button, #note")) button.disabled = !card && !["undo", "back"].includes(button.id);
  if (!card) {
    $("empty").textContent = sending.size || !seen.length ? "Looking for the next photo …" : "No photo is left to ask for.";
    $("name").textContent = $("answer").textContent = "";
    $("why").replaceChildren();
    $("votes").replaceChildren();
    $("alike").replaceChildren();
    lay();
    return;
  }
  $("photo").src = picture("photo", card.id);
  $("photo").alt = card.name;
  if (card.map) $("heat").src = `${picture("map", card.id)}`;
  lay();
  labels(card);
  $("note").value = card.note || "";
  $("why").replaceChildren(...card.why.map((line) => element("li", {}, line)));
  $("votes").replaceChildren(...card.votes.map((row, number) =>
    element("tr", {}, ...row.map((text) => element(number ? "td" : "th", {}, text)))));
  $("alike-part").hidden = !card.alike.length;
  $("alike").replaceChildren(
    ...card.alike.map((one) => element("img", { src: picture("photo", one.id), alt: one.name, title: one.name })));
  say(`${card.name}. ${card.why.join(" ")}`);
  ahead.forEach(preload);
}

function labels(card) {
  $("name").textContent = card.name;
  $("answer").textContent = card.answer ? `Your answer: ${card.answer}` : "No answer yet";
  $("answer").dataset.verdict = card.answer || "";
  for (const button of document.querySelectorAll("[data-verdict]"))
    if (button.id !== "answer") button.setAttribute("aria-pressed", String(button.dataset.verdict === card.answer));
}

function lay() {
  const heat = $("heat");
  heat.hidden = !shown()?.map || !$("heat-on").checked || $("stage").classList.contains("zoomed");
  heat.style.opacity = $("heat-strength").value / 100;
  heat.alt = "";
}

function preload(card) {
  for (const kind of card.map ? ["photo", "map"] : ["photo"]) fetchPicture(picture(kind, card.id));
  for (const one of card.alike) fetchPicture(picture("photo", one.id));
}

function fetchPicture(address) {
  if (loaded.has(address)) return;
  const image = new Image();
  image.src = address;
  loaded.set(address, image);
  if (loaded.size > 160) loaded.delete(loaded.keys().next().value);
}

function zoom() {
  const card = shown();
  const on = $("stage").classList.toggle("zoomed") && Boolean(card);
  $("stage").classList.toggle("zoomed", on);
  $("zoom").setAttribute("aria-pressed", String(on));
  $("native").hidden = !on;
  $("photo").hidden = on || !card;
  if (on) {
    $("native").src = picture("native", card.id);
    $("native").alt = `${card.name}, native pixels`;
    if ($("native").complete) centre();
    $("stage").focus();
  }
  lay();
}

function centre() {
  const [x, y] = shown()?.spot || [0.5, 0.5];
  const stage = $("stage");
  stage.scrollTo(x * $("native").width - stage.clientWidth / 2, y * $("native").height - stage.clientHeight / 2);
}

function move(x, y) {
  $("stage").scrollBy(x * 80, y * 80);
}
