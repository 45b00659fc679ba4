// The region of interest, drawn on a photo: drag for a free outline, click for corners, several shapes.
import { $, get, notice, picture, post, say } from "./api.js";

let shapes = []; // closed outlines, of shares of the photo's width and height
let line = []; // the one that is being drawn
let drawing = false;
let photo = null;
let example = async () => undefined;

export function start(ordinary) {
  example = ordinary;
  const canvas = $("region-plane");
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    drawing = true;
    line.push(place(event));
    draw();
  });
  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = place(event);
    const [a, b] = line[line.length - 1] || [2, 2];
    if (drawing && Math.hypot(x - a, y - b) > 0.01) line.push([x, y]);
    draw();
  });
  canvas.addEventListener("pointerup", () => {
    drawing = false;
    if (line.length > 12) close(); // a free outline ends where the pen is lifted
    draw();
  });
  canvas.addEventListener("dblclick", close);
  $("region-close").addEventListener("click", close);
  $("region-back").addEventListener("click", () => {
    if (line.length) line.pop();
    else shapes.pop();
    draw();
  });
  $("region-clear").addEventListener("click", () => {
    shapes = [];
    line = [];
    draw();
  });
  $("region-corner").addEventListener("click", corner);
  $("region-save").addEventListener("click", save);
  $("region-none").addEventListener("click", () => store([]));
  window.addEventListener("resize", draw);
}

// A photo, without the region of the last run, and that region's outlines.
export async function show() {
  if (!photo) {
    const [id, present] = await Promise.all([example(), get("region")]);
    shapes = shapes.length ? shapes : present.shapes;
    $("region-said").textContent = present.file ? `Now: dataset.roi = ${present.file}` : "Now: the whole photo counts.";
    photo = (await loaded(`picture/region?${performance.timeOrigin}`)) || (id && (await loaded(picture("photo", id)))) || null;
  }
  draw();
}

// After a run the photo may be another one.
export function renew() {
  photo = null;
}

async function loaded(address) {
  const image = new Image();
  image.src = address;
  return image.decode().then(() => image, () => null);
}

const share = (value) => Math.min(1, Math.max(0, value));
const place = (event) => [share(event.offsetX / $("region-plane").clientWidth), share(event.offsetY / $("region-plane").clientHeight)];

// Without a mouse: a corner from two numbers, in per cent of the photo.
function corner() {
  const [x, y] = [$("region-x"), $("region-y")].map((input) => share(Number(input.value) / 100));
  line.push([x, y]);
  say(`corner ${line.length}`);
  draw();
}

function close() {
  if (line.length > 2) shapes.push(line);
  line = [];
  draw();
}

function save() {
  close();
  return store(shapes);
}

async function store(drawn) {
  try {
    const { file } = await post("region", { shapes: drawn });
    shapes = drawn;
    draw();
    $("region-said").textContent = `Saved: ${file ? `dataset.roi = ${file}` : "the whole photo counts"}. "Apply" runs what depends on it.`;
  } catch (error) {
    notice(error.message);
  }
}

function draw() {
  const canvas = $("region-plane");
  const [width, height, scale] = [canvas.clientWidth, canvas.clientHeight, window.devicePixelRatio || 1];
  if (!width) return;
  [canvas.width, canvas.height] = [width * scale, height * scale];
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  if (photo) pen.drawImage(photo, 0, 0, width, height);
  const outline = (points) => points.map(([x, y]) => [x * width, y * height]);
  if (shapes.length) {
    pen.beginPath(); // what does not count is darkened
    pen.rect(0, 0, width, height);
    for (const shape of shapes) {
      outline(shape).forEach((at, n) => (n ? pen.lineTo(...at) : pen.moveTo(...at)));
      pen.closePath();
    }
    pen.fillStyle = "rgb(0 0 0 / 60%)";
    pen.fill("evenodd");
  }
  pen.strokeStyle = "#00e5ff";
  pen.lineWidth = 2;
  pen.beginPath();
  outline(line).forEach((at, n) => (n ? pen.lineTo(...at) : pen.moveTo(...at)));
  pen.stroke();
  for (const at of outline(line)) pen.strokeRect(at[0] - 2, at[1] - 2, 4, 4);
  $("region-save").disabled = !shapes.length && line.length < 3;
}
