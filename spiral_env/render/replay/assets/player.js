// Time: the player at the foot of the page, the keyboard, and the page put together.

const SPEEDS = [1, 2, 4, 8, 16];
const timer = { speed: 4, id: null };
const INCIDENT_MONTHS = [...new Set(TEAMS.flatMap((team) => team.incidents.filter((x) => !["alert", "closing"].includes(x.kind)).map((x) => x.month)))].sort((a, b) => a - b);
const CALENDAR = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const part = {};

// Icons as paths in a box of 16.
const ICONS = { first: "M3 2v12M14 2L6 8l8 6z", back: "M12 2L4 8l8 6z", play: "M4 2l10 6-10 6z", pause: "M4 2v12M5 2v12M11 2v12M12 2v12", on: "M4 2l8 6-8 6z", incident: "M8 2v8M8 13v1" };
const icon = (name) => el("svg", { viewBox: "0 0 16 16", class: "icon", "aria-hidden": "true" }, el("path", { d: ICONS[name] }));

function goTo(month) {
  const next = Math.max(1, Math.min(MONTHS, month));
  if (next === now.month) return;
  now.month = next;
  show();
}

function show() {
  figures.forEach((x) => x.show());
  part.time.value = now.month;
  const calendar = CALENDAR[(DATA.start_month + now.month - 1) % 12];
  part.said.textContent = `month ${now.month} of ${DATA.months} · ${calendar}`;
  part.time.setAttribute("aria-valuetext", `month ${now.month} of ${DATA.months}`);
  part.happens.replaceChildren(...happening());
  if (!timer.id) tell();
}

function happening() {
  return TEAMS.flatMap((team, k) => {
    const found = team.incidents.filter((x) => x.month === now.month).map((x) => x.words + (x.loss ? ` (${number(x.loss)} k$)` : ""));
    if (ended(team, now.month)) found.push("ended before");
    return found.length ? [el("span", { class: `team${k}` }, TWO ? `${k ? "●" : "○"} ` : ""), found.join(", "), " "] : [];
  });
}

// Words for those who hear the page, once time rests.
function tell() {
  clearTimeout(tell.later);
  tell.later = setTimeout(() => {
    figures.forEach((x) => x.words());
    const line = TEAMS.map((team) => `${team.label}: height ${number(at(team.series.height, now.month))}, value ${number(at(team.series.ecosystem_value, now.month))} k$`).join("; ");
    document.getElementById("now").textContent = `Month ${now.month}. ${line}. ${part.happens.textContent}`;
  }, 250);
}

function play(on = !timer.id) {
  clearInterval(timer.id);
  timer.id = null;
  if (on) {
    if (now.month === MONTHS) goTo(1);
    timer.id = setInterval(() => { if (now.month >= MONTHS) play(false); else goTo(now.month + 1); }, 1000 / timer.speed);
  } else tell();
  part.play.replaceChildren(icon(on ? "pause" : "play"));
  part.play.setAttribute("aria-label", on ? "Pause" : "Play");
  part.play.setAttribute("aria-pressed", String(on));
}

function jump(direction) {
  const found = direction > 0 ? INCIDENT_MONTHS.find((m) => m > now.month) : INCIDENT_MONTHS.findLast((m) => m < now.month);
  if (found) goTo(found);
}

const KEYS = {
  " ": () => play(), ArrowRight: (e) => goTo(now.month + (e.shiftKey ? 12 : 1)), ArrowLeft: (e) => goTo(now.month - (e.shiftKey ? 12 : 1)),
  Home: () => goTo(1), End: () => goTo(MONTHS), n: () => jump(1), p: () => jump(-1),
};

document.addEventListener("keydown", (event) => {
  const act = KEYS[event.key];
  const own = event.target.closest("select, input[type=radio], .scroll") || (event.key === " " && event.target.closest("button, summary, a"));
  if (!act || own || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  act(event);
});

function ticks() {
  const kinds = { level: "stage0", breach: "bad", privacy: "bad", collapse: "bad" };
  const marks = TEAMS.flatMap((team, k) => team.incidents.filter((x) => kinds[x.kind]).map((x) => {
    const left = MONTHS > 1 ? ((x.month - 1) / (MONTHS - 1)) * 100 : 0;
    const good = x.kind === "level";
    return el("text", { x: `${left}%`, y: 8 + 7 * k, "text-anchor": "middle", "font-size": 9, fill: `var(--team${k})` }, good ? "▲" : "✖");
  }));
  return el("svg", { class: "ticks", "aria-hidden": "true" }, marks);
}

function player() {
  const button = (text, label, act, more = {}) => el("button", { type: "button", "aria-label": label, title: label, onclick: act, ...more }, icon(text));
  part.play = button("play", "Play", () => play(), { id: "play", "aria-pressed": "false" });
  part.time = el("input", { type: "range", id: "time", min: 1, max: MONTHS, step: 1, "aria-label": "Month", oninput: (event) => goTo(Number(event.target.value)) });
  part.said = el("output", { id: "month", for: "time" });
  part.happens = el("span", { id: "happens" });
  const speed = el("select", { "aria-label": "Speed in months a second", onchange: (event) => { timer.speed = Number(event.target.value); if (timer.id) play(true); } }, SPEEDS.map((x) => el("option", { value: x, selected: x === timer.speed }, `${x}×`)));
  const row = el("div", { class: "row" }, button("first", "First month", () => goTo(1)), button("back", "One month back", () => goTo(now.month - 1)), part.play, button("on", "One month on", () => goTo(now.month + 1)), button("incident", "Next incident", () => jump(1)), speed, part.said, part.happens);
  document.getElementById("player").append(row, el("div", { class: "track" }, ticks(), part.time));
}

function section(title, fill, id) {
  const grid = el("div", { class: "grid" });
  document.getElementById("main").append(el("section", { "aria-labelledby": id }, el("h2", { id }, title), grid));
  fill(grid);
}

function head() {
  const { scenario, seed } = DATA;
  const versus = TEAMS.flatMap((_, k) => (k ? [" against ", teamName(k)] : [teamName(k)]));
  const told = DATA.books.told.length ? el("p", { class: "told" }, DATA.books.told.join(" ")) : null;
  const keys = el("p", { class: "soft wide-only" }, "Keys: ", el("kbd", {}, "space"), " plays, ", el("kbd", {}, "←"), " ", el("kbd", {}, "→"), " a month (with shift a year), ", el("kbd", {}, "n"), " ", el("kbd", {}, "p"), " next and previous incident, ", el("kbd", {}, "Home"), " ", el("kbd", {}, "End"), ". A click in a chart goes to its month.");
  document.getElementById("head").append(...[el("h1", {}, versus), el("p", { class: "soft" }, `${scenario.title} (${scenario.id}), ${DATA.smes} SMEs, ${DATA.months} months, seed ${seed}${TWO ? ": the same world and the same luck for both" : ""}.`), told, keys].filter(Boolean));
}

function foot() {
  const versions = Object.entries(DATA.versions).map(([name, x]) => `${name} ${x}`).join(", ");
  document.body.insertBefore(el("footer", { class: "soft" }, `Made by ${DATA.command || "spiral_env"}; world ${DATA.scenario.hash}; ${versions}. Charts: Apache ECharts.`), document.getElementById("player"));
}

document.body.classList.toggle("two", TWO);
head();
player();
section("Where they stand", (grid) => { spirals(grid); scores(grid); firms(grid); }, "stand");
section("Over time", (grid) => { course(grid); strip(grid); }, "course");
section(TWO ? `Where the difference comes from` : "Where the value comes from", explained, "explained");
section("What each role does and is paid", roles, "roles");
section("Where the money goes", (grid) => { picker(grid); TEAMS.forEach((_, k) => sankey(grid, k)); }, "money");
foot();
show();
