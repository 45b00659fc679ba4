// The training photos as points; a lasso selects those inside for the grid, a click opens the nearest.
import { $, get, notice } from "./api.js";

const NEAR = 12; // pixels within which a click means a point
const COLOURS = { "": "--blue", keep: "--good", remove: "--bad", removed: "--bad", unsure: "--unsure" };
let photos = { ids: [], at: [], states: [] };
let line = [];
let drawing = false;
let asking = false;

export function start(select, open) {
  const canvas = $("plane");
  $("scatter").addEventListener("toggle", renew);
  window.addEventListener("resize", draw);
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    drawing = true;
    line = [place(event)];
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!drawing) return;
    line.push(place(event));
    draw();
  });
  canvas.addEventListener("pointerup", () => {
    if (!drawing) return; // it went down elsewhere
    drawing = false;
    const far = Math.max(...line.map(([x, y]) => Math.hypot(x - line[0][0], y - line[0][1])));
    const found = far < 5 ? [] : photos.ids.filter((_, n) => inside(point(n), line));
    const near = far < 5 ? nearest(line[0]) : -1;
    line = [];
    draw();
    if (near >= 0) open(photos.ids[near]);
    else select(found);
  });
}

// As the photos and answers are now, if it is open.
export async function renew() {
  if (!$("scatter").open || asking) return;
  asking = true; // UMAP of many photos takes minutes: one question is enough
  try {
    photos = await get("scatter");
    $("axes").textContent = photos.axes;
  } catch (error) {
    notice(error.message);
  }
  asking = false;
  draw();
}

const place = (event) => [event.offsetX, event.offsetY];

// Pixels of a photo's point; its coordinates run from -1 to 1.
function point(n) {
  const { clientWidth: width, clientHeight: height } = $("plane");
  const [x, y] = photos.at[n];
  return [width / 2 + x * (width / 2 - 14), height / 2 - y * (height / 2 - 14)];
}

function nearest([x, y]) {
  let best = -1;
  let least = NEAR;
  photos.ids.forEach((_, n) => {
    const away = Math.hypot(point(n)[0] - x, point(n)[1] - y);
    if (away < least) [best, least] = [n, away];
  });
  return best;
}

// Whether a point lies inside a closed line: an odd number of its edges is to the right.
function inside([x, y], edge) {
  let odd = false;
  edge.forEach(([ax, ay], n) => {
    const [bx, by] = edge[(n + 1) % edge.length];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) odd = !odd;
  });
  return odd;
}

function draw() {
  const canvas = $("plane");
  const [width, height, scale] = [canvas.clientWidth, canvas.clientHeight, window.devicePixelRatio || 1];
  if (!width) return;
  [canvas.width, canvas.height] = [width * scale, height * scale];
  const pen = canvas.getContext("2d");
  const style = getComputedStyle(document.documentElement);
  pen.scale(scale, scale);
  pen.globalAlpha = 0.75;
  photos.ids.forEach((_, n) => {
    pen.fillStyle = style.getPropertyValue(COLOURS[photos.states[n]]);
    pen.beginPath();
    pen.arc(...point(n), photos.states[n] ? 5 : 3.5, 0, 7);
    pen.fill();
  });
  if (line.length < 2) return;
  pen.globalAlpha = 1;
  pen.strokeStyle = style.getPropertyValue("--ink");
  pen.beginPath();
  for (const [x, y] of line) pen.lineTo(x, y);
  pen.closePath();
  pen.stroke();
}
