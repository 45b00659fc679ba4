// Which view is shown, what a key does there, and what the answers tell so far.
import { $, get, notice, renewed, tab } from "./api.js";
import * as grid from "./grid.js";
import * as region from "./region.js";
import * as run from "./run.js";
import * as scatter from "./scatter.js";
import * as triage from "./triage.js";

const VIEWS = ["triage", "grid", "region", "run"];
const REST = 800; // milliseconds
const POLL = 1000; // milliseconds between looks at what others answered
let number = 0; // the last change that this tab was told of
let known = -1; // the change that is drawn
let ranked = 0; // photos that the ranking had taken in by then
let edition = 0; // the run whose photos are drawn
let started = false;
let waiting = null;
let took = 0; // milliseconds, to say what the next run leaves out
let asking = false;
let refreshing = null;
let again = false;

const view = () => (VIEWS.includes(location.hash.slice(1)) ? location.hash.slice(1) : "triage");

// Once at a time, and again if somebody wants it meanwhile: with many photos the server takes a while.
function refresh() {
  if (refreshing) again = true;
  else
    refreshing = (async () => {
      try {
        do {
          again = false;
          await renew();
        } while (again);
      } finally {
        refreshing = null;
      }
    })();
  return refreshing;
}

async function renew() {
  let told;
  try {
    told = await get("state", { count: triage.wanted() });
  } catch (error) {
    notice(error.message);
    return;
  }
  const more = told.enough ? `. Enough: ${told.enough}` : told.behind ? `. Ranking: ${told.behind.toLocaleString("en")} to go` : "";
  const line = `${told.answered.toLocaleString("en")} of ${told.photos.toLocaleString("en")} answered: ${told.estimate}${more}`;
  if ($("estimate").textContent !== line) $("estimate").textContent = line;
  $("done").value = told.answered / Math.max(told.photos, 1);
  if (renewed(told.edition)) {
    grid.renew();
    region.renew();
    await triage.renew();
    show();
    known = -1; // what the next run leaves out may be other photos now
  }
  triage.offer(told.next);
  if (told.number !== known) later();
  ({ number: known, ranked, edition } = told);
}

// What other tabs and people did; the page is drawn anew only where something happened.
async function look() {
  try {
    const told = await get("news", { tab, since: number });
    if (number > 0 || started) told.others.forEach(other);
    ({ number } = told);
    started = true;
    if (number !== known || told.ranked !== ranked || told.edition !== edition) await refresh();
  } catch (error) {
    notice(error.message);
  }
  setTimeout(look, POLL);
}

function other(one) {
  triage.changed(one.id, one.now);
  if (one.lost)
    notice(`${one.name}: your answer ${one.was} was changed: ${one.by} ${one.now ? `said ${one.now}` : "took it back"}`);
  if (view() === "grid") grid.turn();
}

// What the next run would leave out takes seconds with many photos: asked for when the keys rest, and never twice
// at once, for a browser has six connections to a server, and the photos need some.
function later() {
  clearTimeout(waiting);
  waiting = setTimeout(foresee, Math.max(REST, took));
}

async function foresee() {
  if (asking) return later();
  asking = true;
  const begin = performance.now();
  try {
    $("foreseen").textContent = foreseen(await get("foreseen"));
    if (view() === "grid") await Promise.all([grid.turn(), scatter.renew()]); // what the next run leaves out
  } catch (error) {
    notice(error.message);
  }
  took = performance.now() - begin;
  asking = false;
}

function foreseen(told) {
  if (told.leaves === null)
    return `The next run leaves out ${told.by_you} photos that you removed, and those that ${told.strategy} removes.`;
  const moves = [told.new && `${told.new} more than the last`, told.back && `${told.back} back`].filter(Boolean);
  return `The next run leaves out ${told.leaves} of ${told.of} photos${moves.length ? ` (${moves.join(", ")})` : ""}.`;
}

function show() {
  const now = view();
  for (const name of VIEWS) $(name).hidden = name !== now;
  for (const link of document.querySelectorAll("nav a"))
    if (link.hash === `#${now}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  if (now === "grid") grid.turn().then(scatter.renew);
  if (now === "region") region.show().catch((error) => notice(error.message));
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || $("help").open) return;
  const into = event.target;
  if (into.matches("input[type=text], input[type=number], textarea, select")) return;
  if (into.matches("input[type=range]") && event.key.startsWith("Arrow")) return;
  if (into.matches("button, a, input") && (event.key === "Enter" || event.key === " ")) return;
  const single = event.key.length === 1 && event.key !== " ";
  if (single && !$("keys-on").checked) return;
  const views = { g: "grid", t: "triage" };
  let did = true;
  if (event.key === "?") $("help").showModal();
  else if (views[event.key]) location.hash = views[event.key];
  else did = { triage, grid }[view()]?.key(event) ?? false;
  if (did) event.preventDefault();
}

document.addEventListener("keydown", pressed);
window.addEventListener("hashchange", show);
$("keys").addEventListener("click", () => $("help").showModal());
triage.start(refresh);
const openPhoto = async (id) => {
  await triage.open(id).catch((error) => notice(error.message));
  location.hash = "triage";
};
grid.start(refresh, openPhoto);
region.start(async () => {
  const ordinary = await get("grid", { sort: "ordinary", count: 1 });
  return ordinary.cells[0]?.id;
});
scatter.start(grid.select, openPhoto);
run.start(refresh);
await refresh(); // it tells the edition of the pictures
show();
look();
