"use strict";
// Photos enlarge by click; the tables of `lists` sort by their heads. Nothing is asked of any server.
const large = JSON.parse(document.getElementById("large-photos").textContent);
const dialog = document.getElementById("large");
const picture = new Image();
dialog.prepend(picture);
const cards = [...document.querySelectorAll("[data-large]")].filter((card) => card.dataset.large in large);
let shown = 0;
function show(place) {
  shown = (place + cards.length) % cards.length;
  const card = cards[shown];
  picture.src = "data:image/jpeg;base64," + large[card.dataset.large];
  picture.alt = dialog.querySelector("p").textContent = card.dataset.name;
  if (!dialog.open) dialog.showModal();
}
cards.forEach((card, place) => {
  card.disabled = false;
  card.addEventListener("click", () => show(place));
});
dialog.querySelector("button").addEventListener("click", () => dialog.close());
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
dialog.addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (step) show(shown + step);
});
const key = (row, column) => row.cells[column].dataset.key || row.cells[column].textContent;
for (const head of document.querySelectorAll(".sortable th button"))
  head.addEventListener("click", () => {
    const cell = head.closest("th");
    const down = cell.getAttribute("aria-sort") === "ascending";
    for (const other of cell.parentElement.cells) other.removeAttribute("aria-sort");
    cell.setAttribute("aria-sort", down ? "descending" : "ascending");
    const body = cell.closest("table").tBodies[0];
    const compare = (a, b) => {
      const [one, other] = [key(a, cell.cellIndex), key(b, cell.cellIndex)];
      const numbers = one !== "" && other !== "" && !isNaN(one) && !isNaN(other);
      return (down ? -1 : 1) * (numbers ? one - other : one.localeCompare(other, "en", { numeric: true }));
    };
    body.append(...[...body.rows].sort(compare));
  });
