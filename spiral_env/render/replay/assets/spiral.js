// Where a team stands: the spiral, the gates of its stages, what it has reached so far, its firms.

const STAGES = ["aggregation", "governance", "value"];
const STEP = 36; // pieces of a turn
const TOP = Math.max(1, Math.ceil(Math.max(...TEAMS.map((team) => Math.max(...team.series.height))) + 0.15));
const BOX = { width: 300, height: 330, left: 30, across: 108 };

// A point of the spiral at a height in levels; `behind` where it runs at the back.
function place(height) {
  const turn = 2 * Math.PI * height;
  const rise = (BOX.height - 94) / TOP;
  const deep = Math.min(30, Math.max(7, rise * 0.32));
  return { x: BOX.left + 120 + BOX.across * Math.sin(turn), y: BOX.height - 46 - rise * height + deep * Math.cos(turn), behind: Math.cos(turn) < 0 };
}

function drawSpiral(k) {
  const pieces = [];
  for (let i = 0; i < TOP * STEP; i++) {
    const [from, to] = [place(i / STEP), place((i + 1) / STEP)];
    const stage = Math.floor((i % STEP) / (STEP / 3));
    const piece = el("line", { x1: from.x, y1: from.y, x2: to.x, y2: to.y, class: `way s${stage}${from.behind ? " behind" : ""}` });
    pieces.push(piece);
  }
  const order = [...pieces].sort((a, b) => b.classList.contains("behind") - a.classList.contains("behind"));
  const marks = [];
  const every = Math.ceil(TOP / 8);
  for (let level = 0; level <= TOP; level += every) marks.push(el("text", { x: 4, y: place(level).y + 4 }, String(level)));
  const ball = el("circle", { r: 11, class: "ball", fill: `var(--team${k})` });
  const said = el("text", { x: BOX.width - 4, y: 26, "text-anchor": "end", class: "big", style: `fill: var(--team${k})` });
  const drawn = el("svg", { viewBox: `0 0 ${BOX.width} ${BOX.height}`, "aria-hidden": "true" }, marks, order, ball, said);
  return { drawn, pieces, ball, said };
}

function spirals(parent) {
  const made = figure(parent, {
    title: "The spiral", note: "turns climbed, in levels", width: "w8",
    describe: () => TEAMS.map((team) => `${team.label}: height ${number(at(team.series.height, now.month))} levels in the stage of ${STAGES[at(team.series.stage, now.month)]} in month ${now.month}`).join("; "),
    numbers: () => [["month", ...TEAMS.map((team) => team.label)], months().map((m) => [m, ...TEAMS.map((team) => valueIn(team, "height", m))])],
  });
  made.plot.classList.add("spirals");
  const drawn = TEAMS.map((_, k) => drawSpiral(k));
  made.plot.append(...drawn.map((x, k) => el("div", {}, teamName(k), x.drawn, gates(k))));
  made.box.append(el("ul", { class: "legend" }, STAGES.map((name, k) => el("li", {}, el("i", { style: `background: var(--stage${k})` }), name))));
  made.show = () => drawn.forEach(({ pieces, ball, said }, k) => {
    const heights = TEAMS[k].series.height;
    const height = at(heights, now.month), reached = Math.max(...heights.slice(0, now.month));
    pieces.forEach((piece, i) => piece.classList.toggle("gone", (i + 0.5) / STEP <= reached));
    const { x, y } = place(height);
    ball.setAttribute("cx", x);
    ball.setAttribute("cy", y);
    said.textContent = number(height);
    showGates(k);
  });
}

// Each gate as the share of it that is reached: 1 opens it.
const GATES = [
  { name: "A need", stage: 0, share: (s, m) => at(s.aggregation, m), said: (s, m) => at(s.aggregation, m) },
  { name: "R risk", stage: 1, share: (s, m) => DATA.gate_risk / Math.max(at(s.risk, m), 1e-9), said: (s, m) => at(s.risk, m) },
  { name: "trust", stage: 1, share: (s, m) => at(s.trust, m) / at(s.trust_needed, m), said: (s, m) => at(s.trust, m) },
  { name: "V value", stage: 2, share: (s, m) => at(s.value, m), said: (s, m) => at(s.value, m) },
];
const gateRows = [];

function gates(k) {
  gateRows[k] = GATES.map(({ name }) => el("div", { class: "gate" }, el("span", {}, name), el("span", { class: "bar" }, el("i")), el("span", { class: "num" })));
  return el("div", { class: "gates", title: "the mark is where the gate opens; bold: the stage's own" }, gateRows[k]);
}

function showGates(k) {
  const series = TEAMS[k].series;
  GATES.forEach((gate, i) => {
    const row = gateRows[k][i];
    row.classList.toggle("on", at(series.stage, now.month) === gate.stage);
    row.children[1].firstChild.style.cssText = `width: ${Math.max(0, Math.min(1.25, gate.share(series, now.month))) * 80}%; color: var(--stage${gate.stage})`;
    row.children[2].textContent = number(gate.said(series, now.month));
  });
}

const SCORES = [
  { name: "spiral height", unit: "levels", of: (s, m) => at(s.height, m) },
  { name: "value so far", unit: "k$ a month", of: (s, m) => total(s.ecosystem_value, m) / m },
  { name: "risk so far", unit: "k$ expected a month", of: (s, m) => total(s.expected_loss, m) / Math.min(m, s.expected_loss.length) },
  { name: "lost so far", unit: "k$", of: (s, m) => total(s.realised_loss, m) },
  { name: "members", unit: "share of SMEs", of: (s, m) => at(s.members, m) },
  { name: "trust", unit: "share", of: (s, m) => at(s.trust, m) },
  { name: "revenue of SMEs", unit: "k$ a month", of: (s, m) => at(s.revenue, m) },
  { name: "cash held", unit: "k$, platform and treasury", of: (s, m) => at(s.platform_cash, m) + at(s.treasury_cash, m) },
];

function scores(parent) {
  const rows = SCORES.map((score) => ({ ...score, cells: TEAMS.map((_, k) => el("td", { class: `team${k}` }, el("span", { class: "num" }), el("span", { class: "bar" }, el("i")))) }));
  const heads = el("tr", {}, el("th", { scope: "col" }, "measure"), TEAMS.map((_, k) => el("th", { scope: "col", class: "left" }, teamName(k))));
  const box = el("section", { class: "card w4", "aria-label": "Scores" }, el("table", { class: "scores" }, el("thead", {}, heads), el("tbody", {}, rows.map((row) => el("tr", {}, el("th", { scope: "row" }, row.name, el("br"), el("small", {}, row.unit)), row.cells)))));
  const most = SCORES.map(({ of }) => Math.max(...TEAMS.flatMap((team) => months().map((m) => of(team.series, m) || 0)), 1e-9));
  parent.append(box);
  figures.push({
    words() {},
    show: () => rows.forEach(({ of, cells }, i) => cells.forEach((cell, k) => {
      const x = of(TEAMS[k].series, now.month);
      cell.firstChild.textContent = number(x);
      cell.lastChild.firstChild.style.width = `${Math.max(0, x / most[i]) * 100}%`;
    })),
  });
}

const MEMBERSHIP = ["outside", "waiting", "basic member", "full member"];
const HAPPENED = ["", "breached", "breached through the platform", "closing"];
const firmOf = (digit) => { const code = parseInt(digit, 32); return { member: code & 3, happened: (code >> 2) & 3, green: code >> 4 }; };

function firms(parent) {
  const count = (team, test) => [...at(team.firms, now.month)].map(firmOf).filter(test).length;
  const made = figure(parent, {
    title: `The ${DATA.smes} SMEs`, note: "each a square",
    describe: () => TEAMS.map((team) => `${team.label} in month ${now.month}: ${MEMBERSHIP.map((name, m) => `${count(team, (f) => f.member === m)} ${name}`).join(", ")}, ${HAPPENED.slice(1).map((name, h) => `${count(team, (f) => f.happened === h + 1)} ${name}`).join(", ")}, ${count(team, (f) => f.green)} green`).join("; "),
    numbers: () => [["month", "team", ...MEMBERSHIP, ...HAPPENED.slice(1), "green"], months().flatMap((m) => TEAMS.map((team) => {
      const all = [...at(team.firms, m)].map(firmOf);
      return [m, team.label, ...MEMBERSHIP.map((_, i) => all.filter((f) => f.member === i).length), ...[1, 2, 3].map((h) => all.filter((f) => f.happened === h).length), all.filter((f) => f.green).length];
    }))],
  });
  made.plot.classList.add("grid");
  const boxes = TEAMS.map((_, k) => {
    const cells = Array.from({ length: DATA.smes }, () => el("i"));
    made.plot.append(el("div", { class: TWO ? "card w6" : "card", style: "border: 0; padding: 0" }, teamName(k), el("div", { class: "firms" }, cells)));
    return cells;
  });
  const square = (name, text) => el("li", { class: "firms", style: "display: flex; gap: .35em" }, el("i", { class: name, style: "width: 14px" }), text);
  made.box.append(el("ul", { class: "legend" }, square("", "outside"), square("m1", "waiting"), square("m2", "basic member"), square("m3", "full member"), square("green", "green"), square("h1", "breached"), square("h3", "closing")));
  made.show = () => boxes.forEach((cells, k) => [...at(TEAMS[k].firms, now.month)].forEach((digit, i) => {
    const firm = firmOf(digit);
    cells[i].className = `m${firm.member} h${firm.happened}${firm.green ? " green" : ""}`;
  }));
}
