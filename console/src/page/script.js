const POINTS = 120;
const GAUGES = new Set(["sources", "timers", "tasks", "jobs_queued", "jobs_running", "blocking_threads",
  "longest_stall", "longest_poll"]);
const points = [];
let last = null;
let before = null;
let lastArrival = performance.now();
let paused = false;
let source = null;
let refusal = "";

const find = (id) => document.getElementById(id);

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function drawing(tag, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const name in attributes) made.setAttribute(name, attributes[name]);
  if (text !== undefined) made.textContent = text;
  return made;
}

/* Durations are written with two or three digits. */
function span(seconds) {
  if (seconds === null || seconds === undefined) return "";
  const digits = (number) => (number < 9.95 ? number.toFixed(1) : Math.round(number).toString());
  if (seconds === 0) return "0 s";
  if (seconds < 999.5e-9) return Math.round(seconds * 1e9) + " ns";
  if (seconds < 999.5e-6) return digits(seconds * 1e6) + " µs";
  if (seconds < 0.9995) return digits(seconds * 1e3) + " ms";
  if (seconds < 60) return digits(seconds) + " s";
  const minutes = Math.floor(seconds / 60);
  const rest = Math.floor(seconds % 60);
  if (minutes < 60) return minutes + " min" + (rest ? " " + rest + " s" : "");
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return hours + " h " + (minutes % 60) + " min";
  return Math.floor(hours / 24) + " days";
}

const grouped = (number) => number.toLocaleString("en-US", { maximumFractionDigits: 0 });
const percent = (part) => Math.round(100 * part) + " %";
const isDuration = (value) => value !== null && typeof value === "object" && "nanos" in value;
const seconds = (value) => value.secs + value.nanos / 1e9;
const numberOf = (value) => (isDuration(value) ? seconds(value) : value);

function rate(number) {
  return number < 10 ? number.toFixed(1) : grouped(number);
}

function each(name) {
  if (!before || !last.metrics || !before.metrics) return null;
  const time = seconds(last.metrics.elapsed) - seconds(before.metrics.elapsed);
  if (time <= 0) return null;
  return Math.max(0, numberOf(last.metrics[name]) - numberOf(before.metrics[name])) / time;
}

/* The connection. */

function connect() {
  source = new EventSource("events");
  source.onmessage = (event) => {
    lastArrival = performance.now();
    refusal = "";
    const snapshot = JSON.parse(event.data);
    before = last;
    last = snapshot;
    note();
    if (!paused) render();
    showStatus();
  };
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED) {
      source.close();
      explain();
      setTimeout(connect, 2000);
    }
    showStatus();
  };
}

/* A stream that was refused says why if it is requested in another way. */
function explain() {
  fetch("events", { method: "GET", headers: { accept: "text/plain" } })
    .then((response) => {
      if (response.ok) return response.body.cancel();
      return response.text().then((text) => { refusal = text.trim(); });
    })
    .catch(() => {});
}

function setText(id, text) {
  const target = find(id);
  if (target.textContent !== text) target.textContent = text;
}

function showStatus() {
  const age = (performance.now() - lastArrival) / 1000;
  const isLate = last !== null && age > Math.max(2, 3 * last.period);
  const isOpen = source !== null && source.readyState === EventSource.OPEN;
  let status = "Live";
  if (!isOpen) status = refusal || (last ? "Disconnected: the program has ended, or does not answer" : "Connecting");
  else if (isLate) status = "No answer: a task keeps the thread, or the program is stopped";
  else if (paused) status = "Paused";
  else if (!last) status = "Connecting";
  setText("status", status);
  find("status").className = "status" + (status === "Live" ? " live" : isLate || !isOpen ? " lost" : "");
  setText("age", last && (isLate || !isOpen) ? "last event " + Math.round(age) + " s ago" : "");
}

/* Keeps a point of the utilization. */
function note() {
  const cpu = each("cpu_time");
  if (cpu === null) return;
  let busy = null;
  const tracked = last.metrics.tracked;
  if (tracked && before.metrics.tracked) {
    const busyTime = seconds(tracked.busy) - seconds(before.metrics.tracked.busy);
    const idleTime = seconds(tracked.idle) - seconds(before.metrics.tracked.idle);
    if (busyTime + idleTime > 0) busy = Math.min(1, Math.max(0, busyTime / (busyTime + idleTime)));
  }
  points.push({ cpu: Math.min(1, cpu), busy, at: performance.now() });
  if (points.length > POINTS) points.shift();
}

/* The parts of the page. */

function render() {
  if (!last) return;
  const metrics = last.metrics;
  const name = last.runtime || "runtime";
  setText("name", name);
  document.title = name + " - runtime console";
  const up = metrics ? ", up " + span(seconds(metrics.elapsed)) : "";
  setText("about", "runtime console, process " + last.process + up);
  find("untracked").hidden = !metrics || metrics.tracked !== null;
  if (metrics) {
    renderTiles(metrics);
    renderUtilization();
    const tracked = metrics.tracked;
    renderHistogram("polls", "polls", tracked && tracked.poll_times, tracked && seconds(tracked.longest_poll));
    renderHistogram("lateness", "timers", tracked && tracked.lateness, null);
    renderCounters(metrics);
  }
  renderTasks(last.tasks);
  renderStalls(last.stalls);
}

function renderTiles(metrics) {
  const point = points[points.length - 1];
  const polls = each("polls");
  const slow = last.tasks.rows.filter((row) => row.is_slow).length;
  const tiles = [
    ["Tasks", grouped(last.tasks.total)],
    ["Slow tasks", metrics.tracked ? grouped(slow) : "not known"],
    ["Polls a second", polls === null ? "" : grouped(polls)],
    ["Processor time", point ? percent(point.cpu) : ""],
    ["Timers", grouped(metrics.timers)],
    ["Sources", grouped(metrics.sources)],
    ["Blocking jobs", grouped(metrics.jobs_running + metrics.jobs_queued)],
  ];
  find("tiles").replaceChildren(...tiles.map(([title, value]) => {
    const tile = element("div");
    tile.append(element("dt", title), element("dd", value || "\u2013"));
    return tile;
  }));
}

function axis(chart, x, y, text, anchor) {
  chart.push(drawing("text", { x, y, "text-anchor": anchor || "end" }, text));
}

function renderUtilization() {
  const [left, right, top, bottom] = [38, 316, 8, 132];
  const chart = [];
  for (const part of [0, 0.5, 1]) {
    const y = bottom - part * (bottom - top);
    chart.push(drawing("line", { class: "grid", x1: left, x2: right, y1: y, y2: y }));
    axis(chart, left - 5, y + 3.5, percent(part));
  }
  const x = (at) => right - ((points.length - 1 - at) * (right - left)) / (POINTS - 1);
  const y = (part) => bottom - part * (bottom - top);
  const line = (points) => points.map(([at, part], n) => (n ? "L" : "M") + x(at).toFixed(1) + " " + y(part).toFixed(1)).join("");
  const cpu = points.map((point, at) => [at, point.cpu]);
  const busy = points.map((point, at) => [at, point.busy]).filter(([, part]) => part !== null);
  if (cpu.length > 1) {
    const end = "L" + right + " " + bottom + "L" + x(0).toFixed(1) + " " + bottom + "Z";
    chart.push(drawing("path", { class: "area", d: line(cpu) + end }));
    chart.push(drawing("path", { class: "curve", d: line(cpu) }));
    if (busy.length > 1) chart.push(drawing("path", { class: "curve busy", d: line(busy) }));
  }
  axis(chart, left, 146, span(POINTS * last.period) + " ago", "start");
  axis(chart, right, 146, "now");
  find("utilization").replaceChildren(...chart);
  find("busy-key").hidden = busy.length === 0;
  const point = points[points.length - 1];
  if (!point) return;
  const most = points.reduce((most, point) => Math.max(most, point.cpu), 0);
  const idle = point.busy === null ? "" : ", " + percent(point.busy) + " not idle";
  setText("utilization-text", "Now " + percent(point.cpu) + " processor time" + idle + "; at most " + percent(most)
    + " processor time in the time shown.");
}

/* The count at n is that of values below 2^n nanoseconds. */
const bound = (index) => 2 ** index / 1e9;

function quantile(counts, total, part) {
  let below = 0;
  for (let index = 0; index < counts.length; index++) {
    below += counts[index];
    if (below >= total * part) return span(bound(index));
  }
  return "";
}

function renderHistogram(id, unit, histogram, longest) {
  if (!histogram) return;
  const counts = histogram.counts;
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) {
    find(id).replaceChildren();
    setText(id + "-text", "No " + unit + " yet.");
    return;
  }
  const [left, right, top, bottom] = [38, 316, 8, 132];
  let first = counts.findIndex((count) => count > 0);
  let end = counts.length - [...counts].reverse().findIndex((count) => count > 0);
  while (end - first < 12) {
    if (first > 0) first--;
    if (end < counts.length) end++;
  }
  const most = Math.max(...counts);
  const decades = Math.max(1, Math.ceil(Math.log10(most + 1)));
  const chart = [];
  const step = decades > 5 ? 2 : 1;
  for (let decade = 0; decade <= decades; decade += step) {
    const y = bottom - (decade / decades) * (bottom - top);
    chart.push(drawing("line", { class: "grid", x1: left, x2: right, y1: y, y2: y }));
    axis(chart, left - 5, y + 3.5, decade === 0 ? "0" : compact(10 ** decade));
  }
  const width = (right - left) / (end - first);
  const labels = Math.ceil((end - first) / 6);
  for (let index = first; index < end; index++) {
    const x = left + (index - first) * width;
    const height = (Math.log10(counts[index] + 1) / decades) * (bottom - top);
    if (counts[index] > 0) {
      const bar = drawing("rect", { class: "bar", x: x + 0.75, y: bottom - height, width: width - 1.5, height });
      const low = index === 0 ? 0 : bound(index - 1);
      const text = grouped(counts[index]) + " " + unit + " of " + span(low) + " to " + span(bound(index));
      bar.append(drawing("title", {}, text));
      chart.push(bar);
    }
    if ((index - first) % labels === labels - 1) axis(chart, x + width, 146, span(bound(index)), index === end - 1 ? "end" : "middle");
  }
  find(id).replaceChildren(...chart);
  const all = longest === null ? "" : "; the longest took " + span(longest);
  setText(id + "-text", grouped(total) + " " + unit + ": half below " + quantile(counts, total, 0.5) + ", 99 % below "
    + quantile(counts, total, 0.99) + all + ". The heights are logarithmic.");
}

function compact(number) {
  if (number >= 1e9) return number / 1e9 + " G";
  if (number >= 1e6) return number / 1e6 + " M";
  if (number >= 1e3) return number / 1e3 + " k";
  return String(number);
}

/* On a narrow screen a row is a card, where each cell has the title of its column. */
function cell(label, content, className) {
  const made = element("td", undefined, className || "");
  made.setAttribute("role", "cell");
  made.dataset.label = label;
  const inner = element("div");
  for (const line of [content].flat()) {
    inner.append(typeof line === "string" ? element("div", line) : line);
  }
  made.append(inner);
  if (content === "" || content.length === 0) made.classList.add("empty");
  return made;
}

function taskCell(name, id, place, isSlow) {
  const made = element("th");
  made.scope = "row";
  made.setAttribute("role", "rowheader");
  const title = element("div");
  title.append(element("span", name || "task " + id, "task"));
  if (isSlow) title.append(element("span", "slow", "badge"));
  made.append(title);
  const details = (name && id ? "task " + id + (place ? ", " : "") : "") + (place || "");
  if (details) made.append(element("div", details, "muted"));
  return made;
}

function row(className, cells) {
  const made = element("tr", undefined, className);
  made.setAttribute("role", "row");
  made.append(...cells);
  return made;
}

function lines(waits) {
  return waits.rest ? [...waits.shown, "and " + waits.rest + " more"] : waits.shown;
}

/* A selection is kept until it is given up. */
function isSelected(table) {
  const selection = getSelection();
  return selection && !selection.isCollapsed && table.contains(selection.anchorNode);
}

function renderTasks(tasks) {
  const table = find("tasks");
  if (isSelected(table)) return;
  const states = tasks.states.filter(([, count]) => count > 0).map(([state, count]) => grouped(count) + " " + state);
  const own = tasks.own ? " The " + tasks.own + " of this page are left out." : "";
  setText("tasks-text", grouped(tasks.total) + (tasks.total === 1 ? " task" : " tasks")
    + (states.length ? ": " + states.join(", ") : "") + "." + own);
  const slowFirst = [...tasks.rows].sort((a, b) => b.is_slow - a.is_slow);
  const rows = slowFirst.map((task) => row(task.is_slow ? "slow" : "", [
    taskCell(task.name, task.id, task.spawned_at, task.is_slow),
    cell("State", task.state, "state"),
    cell("Waits for", lines(task.waits)),
    cell("Polls", task.polls === null ? "" : grouped(task.polls), "number"),
    cell("Longest poll", span(task.longest_poll), "number"),
    cell("All polls", span(task.polled), "number"),
    cell("Idle for", task.state === "waiting" ? span(task.idle) : "", "number"),
    cell("Age", span(task.age), "number"),
    cell("Bytes", task.size === null ? "" : grouped(task.size), "number"),
  ]));
  if (last.root_waits.shown.length) {
    const root = [taskCell("the future of block_on", "", "", false), cell("State", "waiting"),
      cell("Waits for", lines(last.root_waits))];
    for (const label of ["Polls", "Longest poll", "All polls", "Idle for", "Age", "Bytes"]) {
      root.push(cell(label, "", "number"));
    }
    rows.push(row("", root));
  }
  table.tBodies[0].replaceChildren(...rows);
  const kinds = tasks.rest_waits.map(([kind, count]) => grouped(count) + " " + kind);
  const choice = last.metrics && last.metrics.tracked
    ? " Listed are those with the longest polls and those that have waited longest." : "";
  setText("rest", tasks.rest ? "And " + grouped(tasks.rest) + " more"
    + (kinds.length ? ", which wait for: " + kinds.join(", ") : "") + "." + choice : "");
}

function renderStalls(stalls) {
  const table = find("stalls");
  if (isSelected(table)) return;
  table.hidden = !stalls || stalls.length === 0;
  if (!stalls) {
    const count = last.metrics ? last.metrics.stalls : 0;
    setText("stalls-text", (count ? grouped(count) + " polls were longer than the threshold. " : "")
      + "A runtime_console::StallLog lists the polls that runtime::Builder::on_stall reports.");
    return;
  }
  setText("stalls-text", stalls.length ? "The last polls that kept the thread from all other tasks."
    : "No poll was longer than the threshold of on_stall.");
  table.tBodies[0].replaceChildren(...stalls.map((stall) => row("", [
    taskCell(stall.task === null ? "the future of block_on" : stall.name, stall.task, stall.spawned_at, false),
    cell("Duration", span(stall.duration) + (stall.is_over ? "" : " so far"), "number"),
    cell("Seen", span(stall.ago) + " ago", "number"),
    cell("Thread", stall.thread || ""),
  ])));
}

function renderCounters(metrics) {
  const table = find("counters");
  if (isSelected(table)) return;
  const values = Object.entries(metrics).filter(([, value]) => typeof value === "number" || isDuration(value));
  const tracked = Object.entries(metrics.tracked || {}).filter(([, value]) => typeof value === "number" || isDuration(value));
  const rows = [...values, ...tracked].map(([name, value]) => {
    const made = element("tr");
    const title = element("th", name.replaceAll("_", " "));
    title.scope = "row";
    const text = isDuration(value) ? span(seconds(value)) : grouped(value);
    const isCounted = !GAUGES.has(name) && !isDuration(value);
    const change = isCounted && name in metrics ? each(name) : null;
    made.append(title, element("td", text, "number"), element("td", change === null ? "" : rate(change), "number"));
    return made;
  });
  table.tBodies[0].replaceChildren(...rows);
}

find("pause").addEventListener("click", () => {
  paused = !paused;
  find("pause").setAttribute("aria-pressed", String(paused));
  find("pause").textContent = paused ? "Continue" : "Pause";
  if (!paused) render();
  showStatus();
});

setInterval(showStatus, 500);
connect();
