// Figures: a caption, what is drawn, words for those who do not see it, and the numbers behind it.

const DATA = JSON.parse(document.getElementById("data").textContent);
const TEAMS = DATA.teams;
const TWO = TEAMS.length === 2;
const MONTHS = Math.max(...TEAMS.map((team) => team.firms.length));
const now = { month: MONTHS };

function el(tag, attributes = {}, ...children) {
  const svg = ["svg", "path", "circle", "text", "line", "polyline", "rect", "title", "g"].includes(tag);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== false && value != null) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child != null));
  return made;
}

const words = (name) => name.replaceAll("_", " ").replace(/\bsme(s?)\b/g, "SME$1").replace(/\bit\b/g, "IT");
const roleName = (role) => (role === "sme" ? "SMEs" : words(role));
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const dark = matchMedia("(prefers-color-scheme: dark)");

function number(x, sign = false) {
  if (x == null || !Number.isFinite(x)) return "–";
  const size = Math.abs(x);
  const digits = size >= 100 || size === 0 ? 0 : size >= 10 ? 1 : 2;
  return x.toLocaleString("en", { maximumFractionDigits: digits, minimumFractionDigits: size < 10 && size ? digits : 0, signDisplay: sign ? "exceptZero" : "auto" });
}

// What a team's list says in a month; after its end, what it said last.
const at = (list, month) => list[Math.min(month, list.length) - 1];
const ended = (team, month) => month > team.firms.length;
const total = (list, month = list.length) => list.slice(0, month).reduce((sum, x) => sum + (x ?? 0), 0);
const cumulated = (list) => { let sum = 0; return list.map((x) => (sum += x ?? 0)); };
const teamName = (k) => el("span", { class: `team team${k}`, title: TEAMS[k].name }, el("i", { class: `key team${k}` }), TEAMS[k].label);

const figures = [];

// Adds a figure to `parent`: `describe()` gives its words, `numbers()` its table as [heads, rows].
function figure(parent, { title, note = "", width = "", describe, numbers, label = "figure" }) {
  const plot = el("div", { class: "plot", role: "img" });
  const frame = el("div", { class: "frame" }, plot);
  const box = el("figure", { class: `card ${width}`, "aria-label": title }, el("figcaption", {}, el("h3", {}, title), el("span", { class: "soft" }, note)), frame);
  const made = { box, frame, plot, title, show() {}, words() { plot.setAttribute("aria-label", `${title}. ${describe()}`); } };
  if (numbers) box.append(numbersOf(title, numbers));
  parent.append(box);
  figures.push(made);
  return made;
}

function numbersOf(title, numbers) {
  const body = el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `Numbers of ${title}` });
  const details = el("details", {}, el("summary", {}, "Numbers"), body);
  details.addEventListener("toggle", () => { if (details.open) body.replaceChildren(table(...numbers())); });
  return details;
}

function table(heads, rows) {
  const cells = (row) => row.map((x) => el("td", {}, typeof x === "number" || x == null ? number(x) : x));
  return el("table", {}, el("thead", {}, el("tr", {}, heads.map((x) => el("th", { scope: "col" }, x)))), el("tbody", {}, rows.map((row) => el("tr", {}, cells(row)))));
}

const charts = [];
const seen = new IntersectionObserver((entries) => entries.forEach((x) => { x.target.chart.near = x.isIntersecting; if (x.isIntersecting) x.target.chart.refresh(); }), { rootMargin: "400px" });

// A chart of the library inside a figure. `option()` is asked anew when colours change and, if `moves`, with the month;
// with `cursor` a line stands at the month, and a click or tap goes to one: "value" or "category" says what its axis holds.
class Chart {
  constructor(made, height, option, { cursor = null, moves = false } = {}) {
    Object.assign(this, { made, option, cursor, moves, near: false, stale: true, chart: null });
    made.plot.style.height = `${height}px`;
    made.plot.chart = this;
    if (cursor) made.frame.append((this.line = el("div", { class: "cursor" })));
    made.show = () => { if (moves) this.stale = true; this.refresh(); };
    charts.push(this);
    seen.observe(made.plot);
  }

  refresh() {
    if (!this.near) return;
    if (!this.chart) this.open();
    if (this.stale) this.chart.setOption(this.option(), { notMerge: true });
    this.stale = false;
    if (this.cursor) this.point();
  }

  open() {
    this.chart = echarts.init(this.made.plot, null, { renderer: "canvas" });
    if (!this.cursor) return;
    this.chart.getZr().on("click", (event) => {
      const place = this.chart.convertFromPixel({ xAxisIndex: 0 }, event.offsetX);
      goTo(Math.round(place) + (this.cursor === "category" ? 1 : 0));
    });
  }

  point() {
    const x = this.chart.convertToPixel({ xAxisIndex: 0 }, now.month - (this.cursor === "category" ? 1 : 0));
    this.line.style.left = `${x}px`;
  }

  recolour() {
    this.stale = true;
    this.refresh();
  }
}

dark.addEventListener("change", () => charts.forEach((chart) => chart.recolour()));
const sizes = new ResizeObserver(() => charts.forEach((chart) => { if (chart.chart) { chart.chart.resize(); chart.stale = true; chart.refresh(); } }));
sizes.observe(document.body);

const narrow = () => document.body.clientWidth < 560;

// What all charts share.
function base(extra) {
  const ink = colour("ink");
  return {
    animation: false, textStyle: { color: ink, fontFamily: "sans-serif" }, color: [colour("team0"), colour("team1")],
    tooltip: { confine: true, backgroundColor: colour("card"), borderColor: colour("line"), textStyle: { color: ink, fontSize: 12 }, ...extra.tooltip },
    ...Object.fromEntries(Object.entries(extra).filter(([name]) => name !== "tooltip")),
  };
}

function axis(extra = {}) {
  const soft = colour("soft");
  return {
    axisLabel: { color: soft, fontSize: 11, hideOverlap: true, ...extra.axisLabel }, axisLine: { lineStyle: { color: colour("line") } },
    axisTick: { show: false }, splitLine: { lineStyle: { color: colour("faint") } }, nameTextStyle: { color: soft, fontSize: 11 },
    ...Object.fromEntries(Object.entries(extra).filter(([name]) => name !== "axisLabel")),
  };
}

const monthLabel = (month) => (month === 1 ? "month 1" : month);
const monthAxis = () => axis({ type: "value", min: 1, max: Math.max(2, MONTHS), splitLine: { show: false }, minInterval: 1, axisLabel: { formatter: monthLabel } });
// The room of a chart, labels of its axes inside.
const room = (extra = {}) => ({ left: 8, right: 16, top: 14, bottom: 6, outerBoundsMode: "same", outerBoundsContain: "axisLabel", ...extra });
// The first team is drawn thin and broken, the second thick and whole: told apart without colour.
const stroke = (k) => ({ width: TWO && k === 0 ? 2 : 2.6, type: TWO && k === 0 ? [5, 4] : "solid", color: colour(`team${k}`) });
