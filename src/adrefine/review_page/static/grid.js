// All photos, a page at a time: filter, order, select many, answer them.
import { $, element, get, inOrder, notice, picture, post, say, tab } from "./api.js";

const COUNT = 60;
const WORDS = { leaving: "next run leaves out" };
const selected = new Set();
let view = { show: "all", sort: "suspicious", start: 0 };
let only = null; // ids that a lasso chose: they alone are listed
let total = 0;
let cells = [];
let focused = 0;
let anchor = 0;
let opens = () => {};
let refresh = async () => {};
let number = 0; // of the last page that was asked for

export function start(ask, openPhoto) {
  refresh = ask;
  opens = openPhoto;
  $("sort").addEventListener("change", () => turn({ sort: $("sort").value, start: 0 }));
  $("previous").addEventListener("click", () => turn({ start: view.start - COUNT }));
  $("following").addEventListener("click", () => turn({ start: view.start + COUNT }));
  $("clear").addEventListener("click", clear);
  $("select-page").addEventListener("click", selectPage);
  $("undo-many").addEventListener("click", undo);
  for (const button of document.querySelectorAll("[data-many]"))
    button.addEventListener("click", () => answer(button.dataset.many));
  $("cells").addEventListener("click", clicked);
  $("cells").addEventListener("dblclick", (event) => {
    const place = placeOf(event.target);
    if (place >= 0 && cells[place].id) opens(cells[place].id);
  });
}

export async function turn(change = {}) {
  view = { ...view, ...change };
  view.start = Math.max(0, Math.min(view.start, Math.max(total - 1, change.show ? 0 : view.start)));
  const mine = (number += 1);
  let found;
  try {
    if (change.show || change.sort) only = null;
    found = only ? { ...(await post("some", { ids: only, start: view.start, count: COUNT })), counts: null }
      : await get("grid", { ...view, count: COUNT });
  } catch (error) {
    notice(error.message);
    return;
  }
  if (mine !== number) return; // a later page was asked for meanwhile
  ({ total, cells } = found);
  if (!cells.length && total && view.start) return turn({ start: Math.floor((total - 1) / COUNT) * COUNT });
  if (found.counts) filters(found.counts);
  for (const button of $("filters").children)
    button.setAttribute("aria-pressed", String(!only && button.dataset.show === view.show));
  $("range").textContent = total
    ? `${(view.start + 1).toLocaleString("en")} to ${(view.start + cells.length).toLocaleString("en")} of ${total.toLocaleString("en")}`
    : "no photo";
  $("previous").disabled = view.start === 0;
  $("following").disabled = view.start + COUNT >= total;
  if (change.start !== undefined) focused = anchor = 0;
  focused = Math.min(focused, Math.max(cells.length - 1, 0));
  $("cells").replaceChildren(...cells.map(option));
  marks();
}

// Select these photos and list them alone, until a filter is chosen.
export async function select(ids) {
  if (!ids.length) return;
  only = ids;
  selected.clear();
  for (const id of ids) selected.add(id);
  await turn({ start: 0 });
  say(`${ids.length} photos selected`);
}

// After a run: the photos that were selected may be gone.
export function renew() {
  only = null;
  selected.clear();
}

export function key(event) {
  const inside = $("cells").contains(document.activeElement) || document.activeElement === document.body || document.activeElement === $("main");
  const wide = columns();
  const does = {
    k: () => answer("keep"),
    r: () => answer("remove"),
    u: () => answer("unsure"),
    z: undo,
    Escape: clear,
    PageDown: () => $("following").disabled || turn({ start: view.start + COUNT }).then(focusNow),
    PageUp: () => $("previous").disabled || turn({ start: view.start - COUNT }).then(focusNow),
    ...(inside && {
      ArrowRight: () => go(focused + 1, event.shiftKey),
      ArrowLeft: () => go(focused - 1, event.shiftKey),
      ArrowDown: () => go(focused + wide, event.shiftKey),
      ArrowUp: () => go(focused - wide, event.shiftKey),
      Home: () => go(0, event.shiftKey),
      End: () => go(cells.length - 1, event.shiftKey),
      " ": () => choose(focused),
      Enter: () => cells[focused]?.id && opens(cells[focused].id),
    }),
  }[event.key];
  if (does) does();
  return Boolean(does);
}

function filters(counts) {
  const had = document.activeElement?.dataset?.show;
  $("filters").replaceChildren(
    ...Object.entries(counts).map(([name, count]) => {
      const button = element(
        "button", { type: "button", "data-show": name, "aria-pressed": String(name === view.show) },
        `${WORDS[name] || name} `, element("b", {}, count.toLocaleString("en")));
      button.addEventListener("click", () => turn({ show: name, start: 0 }));
      return button;
    }));
  if (had) $("filters").querySelector(`[data-show="${had}"]`)?.focus();
}

function option(cell, place) {
  const text = [cell.score === null || cell.score === undefined ? "" : `score ${cell.score.toFixed(1)}`, cell.state, cell.note]
    .filter(Boolean).join(" · ");
  const box = element("div", { role: "option", tabindex: "-1", "data-place": place, "aria-selected": "false" });
  box.append(
    cell.id ? element("img", { src: picture("thumbnail", cell.id), alt: "", loading: "lazy", decoding: "async" })
      : element("span", { class: "none" }, "no picture"),
    element("span", { class: "name", title: cell.name }, cell.name.split("/").pop()),
    element("span", { class: "soft" }, text));
  if (cell.answer) box.append(element("span", { class: "badge", "data-verdict": cell.answer }, cell.answer));
  return box;
}

function marks() {
  [...$("cells").children].forEach((box, place) => {
    box.setAttribute("aria-selected", String(selected.has(cells[place].id)));
    box.tabIndex = place === focused ? 0 : -1;
  });
  $("selected").textContent = selected.size ? `${selected.size.toLocaleString("en")} selected` : "none selected";
}

const placeOf = (target) => Number(target.closest("[role=option]")?.dataset.place ?? -1);
const columns = () => getComputedStyle($("cells")).gridTemplateColumns.split(" ").length;

function clicked(event) {
  const place = placeOf(event.target);
  if (place < 0) return;
  if (event.shiftKey) range(anchor, place);
  else choose(place);
  focused = place;
  marks();
  focusNow();
}

function go(place, extending) {
  focused = Math.max(0, Math.min(place, cells.length - 1));
  if (extending) range(anchor, focused);
  else anchor = focused;
  marks();
  focusNow();
}

function focusNow() {
  $("cells").children[focused]?.focus();
}

function choose(place) {
  const id = cells[place]?.id;
  anchor = place;
  if (!id) return;
  if (!selected.delete(id)) selected.add(id);
  marks();
}

function range(from, to) {
  for (const cell of cells.slice(Math.min(from, to), Math.max(from, to) + 1)) if (cell.id) selected.add(cell.id);
  marks();
}

function selectPage() {
  range(0, cells.length - 1);
}

function clear() {
  selected.clear();
  marks();
}

async function answer(verdict) {
  const one = cells[focused]?.id;
  const ids = selected.size ? [...selected] : one ? [one] : [];
  if (!ids.length) return;
  try {
    await inOrder(() => post("answer", { tab, ids, verdict }));
    say(`${ids.length === 1 ? "1 photo" : `${ids.length} photos`}: ${verdict}`);
    selected.clear();
  } catch (error) {
    notice(`not saved: ${error.message}`);
  }
  await Promise.all([turn(), refresh()]);
  focusNow();
}

async function undo() {
  try {
    const done = await inOrder(() => post("undo", { tab }));
    for (const name of done.lost) notice(`${name}: another tab or person has answered since; theirs stays`);
    say(done.count ? `${done.count} taken back` : "nothing to undo");
  } catch (error) {
    notice(error.message);
  }
  await Promise.all([turn(), refresh()]);
  focusNow();
}
