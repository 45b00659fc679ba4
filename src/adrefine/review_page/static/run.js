// `dvc repro`, its log, and the report when it is done.
import { $, get, notice, post } from "./api.js";

const WORDS = { none: "", running: "running …", stopping: "stopping, at the next line of the log …", done: "done", failed: "failed: see the log", stopped: "stopped" };
let next = 0;
let state = "none";
const going = (one) => one === "running" || one === "stopping";
let ended = async () => {};

export function start(whenDone) {
  ended = whenDone;
  $("start").addEventListener("click", begin);
  $("stop").addEventListener("click", () => post("stop").catch((error) => notice(error.message)));
  follow();
}

async function begin() {
  try {
    if ((await post("run")).started) {
      next = 0;
      $("log").textContent = "";
      $("result").hidden = $("result-link").hidden = true;
    }
    state = "running";
    follow();
  } catch (error) {
    notice(error.message);
  }
}

async function follow() {
  let told;
  try {
    told = await get("run", { since: next });
  } catch {
    return;
  }
  const was = state;
  ({ state, next } = told);
  for (const line of told.lines) $("log").append(`${line}\n`);
  if (told.lines.length) $("log").scrollTop = $("log").scrollHeight;
  $("state").textContent = WORDS[state];
  $("start").disabled = going(state);
  $("stop").disabled = state !== "running";
  if (going(state)) setTimeout(follow, 500);
  else if (going(was)) {
    if (state === "done") show();
    await ended();
  }
}

function show() {
  $("result").src = "report";
  $("result").hidden = $("result-link").hidden = false;
}
