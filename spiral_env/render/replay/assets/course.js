// What is drawn over time: value and risk, incidents, and each role's levers and rewards.

const months = () => Array.from({ length: MONTHS }, (_, i) => i + 1);
const valueIn = (team, name, month) => team.series[name][month - 1];

function said(list) {
  const kept = list.filter((x) => x != null);
  const most = Math.max(...kept), least = Math.min(...kept);
  return `from ${number(kept[0])} to ${number(kept.at(-1))}, between ${number(least)} and ${number(most)}; ${number(at(list, now.month))} in month ${now.month}`;
}

// Lines over months, one a team and a series: [{name, lists: a list a team, colour}].
function lines(parent, { title, note, unit, rows, height = 210, width = "w6", marks = null }) {
  const label = (row, k) => [TWO ? TEAMS[k].label : "", rows.length > 1 ? row.name : ""].filter(Boolean).join(": ") || row.name;
  const made = figure(parent, {
    title, note: note ?? unit, width,
    describe: () => `In ${unit}. ` + rows.flatMap((row) => row.lists.map((list, k) => `${label(row, k)}: ${said(list)}`)).join(". "),
    numbers: () => [["month", ...rows.flatMap((row) => row.lists.map((_, k) => label(row, k)))], months().map((m) => [m, ...rows.flatMap((row) => row.lists.map((list) => list[m - 1]))])],
  });
  if (rows.some((row) => row.colour)) made.box.children[0].after(el("ul", { class: "legend" }, rows.map((row) => el("li", {}, el("i", { style: `background: var(--${row.colour})` }), row.name))));
  const drawn = () => rows.flatMap((row) => row.lists.map((list, k) => ({
    type: "line", name: label(row, k), showSymbol: false, data: list.map((x, i) => [i + 1, x]), markPoint: marks && marks(k),
    lineStyle: { ...stroke(k), ...(row.colour && { color: colour(row.colour) }) }, itemStyle: { color: colour(row.colour ?? `team${k}`) },
  })));
  return new Chart(made, height, () => base({
    grid: room(), tooltip: { trigger: "axis", valueFormatter: (x) => number(x) },
    xAxis: monthAxis(), yAxis: axis({ type: "value", scale: false, splitNumber: 4 }), series: drawn(),
  }), { cursor: "value" });
}

const all = (name, change = (x) => x) => TEAMS.map((team) => change(team.series[name]));

function breaches(k) {
  const found = TEAMS[k].incidents.filter((x) => x.kind === "breach" || x.kind === "privacy");
  return { symbol: "pin", symbolSize: 26, label: { formatter: (x) => x.data.sign, color: "#fff", fontSize: 10 }, itemStyle: { color: colour(`team${k}`) },
    data: found.map((x) => ({ name: x.words, sign: x.kind === "breach" ? "!" : "p", coord: [x.month, valueIn(TEAMS[k], "ecosystem_value", x.month)] })) };
}

function course(parent) {
  lines(parent, { title: "Spiral height", unit: "levels", rows: [{ name: "height", lists: all("height") }] });
  lines(parent, { title: "Value, added up", unit: "k$ since the start", rows: [{ name: "value", lists: all("ecosystem_value", cumulated) }] });
  lines(parent, { title: "Ecosystem value", unit: "k$ a month", note: "k$ a month; pins: ! platform breach, p privacy incident", rows: [{ name: "value", lists: all("ecosystem_value") }], marks: breaches });
  lines(parent, { title: "Risk", unit: "k$ a month", note: "expected breach loss of platform and SMEs, k$ a month", rows: [{ name: "expected loss", lists: all("expected_loss") }] });
  lines(parent, { title: "Risk against appetite", unit: "appetite", note: `R; governance's gate opens at ${number(DATA.gate_risk)}`, rows: [{ name: "R", lists: all("risk") }] });
  lines(parent, { title: "Lost in breaches, added up", unit: "k$ since the start", rows: [{ name: "lost", lists: all("realised_loss", cumulated) }] });
  lines(parent, { title: "Trust", unit: "share", rows: [{ name: "trust", lists: all("trust") }] });
  lines(parent, { title: "Members", unit: "share of SMEs", rows: [{ name: "members", lists: all("members") }] });
}

// Incidents as rows of dots, a row a kind and team; those with a loss are larger.
function strip(parent) {
  const kinds = Object.keys(DATA.kinds).filter((kind) => TEAMS.some((team) => team.incidents.some((x) => x.kind === kind)));
  const count = (team, kind) => team.incidents.filter((x) => x.kind === kind).length;
  const made = figure(parent, {
    title: "What happened", note: "a dot an incident; larger: more k$ lost; click for its month",
    describe: () => TEAMS.map((team) => `${team.label}: ${kinds.map((kind) => `${DATA.kinds[kind]}, ${count(team, kind)} months`).join("; ")}`).join(". "),
  });
  new Chart(made, 40 + kinds.length * (TWO ? 34 : 24), () => base({
    grid: room({ top: 6 }),
    tooltip: { formatter: (x) => `month ${x.value[0]}, ${echarts.format.encodeHTML(TEAMS[x.value[3]].label)}<br>${echarts.format.encodeHTML(x.value[4])}${x.value[2] ? `: ${number(x.value[2])} k$` : ""}` },
    xAxis: monthAxis(), yAxis: axis({ type: "category", data: kinds, inverse: true, axisLabel: { formatter: (kind) => narrow() ? kind : DATA.kinds[kind] }, splitLine: { show: true, lineStyle: { color: colour("faint") } } }),
    series: TEAMS.map((team, k) => ({
      type: "scatter", symbol: k === 0 && TWO ? "emptyCircle" : "circle", symbolOffset: TWO ? [0, k ? 7 : -7] : 0, symbolSize: (x) => 8 + Math.min(12, Math.sqrt(x[2])),
      itemStyle: { color: colour(`team${k}`), borderColor: colour(`team${k}`), borderWidth: 2 }, data: team.incidents.map((x) => [x.month, kinds.indexOf(x.kind), x.loss, k, x.words]),
    })),
  }), { cursor: "value" });
  made.box.append(eventList());
}

function eventList() {
  const rows = TEAMS.flatMap((team, k) => team.incidents.map((x) => ({ ...x, k }))).sort((a, b) => a.month - b.month || a.k - b.k);
  const line = (x) => el("tr", {}, el("td", {}, el("button", { type: "button", "data-month": x.month, onclick: () => goTo(x.month) }, `month ${x.month}`)), el("td", { class: "left" }, teamName(x.k)), el("td", { class: "left" }, x.words), el("td", {}, x.loss ? `${number(x.loss)} k$` : ""));
  const heads = ["month", "team", "what", "lost"].map((x, i) => el("th", { scope: "col", class: i < 3 ? "left" : "" }, x));
  return el("details", { class: "events" }, el("summary", {}, `List of the ${rows.length} incidents`), el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Incidents" }, el("table", {}, el("thead", {}, el("tr", {}, heads)), el("tbody", {}, rows.map(line)))));
}

const RAMP = () => (dark.matches ? ["#11161d", "#1d4e77", "#3f93c8", "#c9ecff"] : ["#f3f5f8", "#a8cbe3", "#3f86b8", "#0b2f57"]);

// Efforts of a role's levers over time, a row a lever; for SMEs the mean over them.
function levers(parent, role) {
  const names = DATA.levers[role].map(words);
  const mean = (list) => total(list) / list.length;
  const made = figure(parent, {
    title: `Levers of ${roleName(role)}`, note: `effort 0 to 1, dark ${dark.matches ? "low" : "high"}${role === "sme" ? ", mean over SMEs" : ""}`, width: "w8",
    describe: () => TEAMS.map((team) => `${team.label}, mean effort and effort in month ${now.month}: ${names.map((name, i) => `${name} ${number(mean(team.efforts[role][i]))}, ${number(at(team.efforts[role][i], now.month))}`).join("; ")}`).join(". "),
    numbers: () => [["month", "team", ...names], months().flatMap((m) => TEAMS.map((team) => [m, team.label, ...team.efforts[role].map((list) => list[m - 1])]))],
  });
  const part = names.length * 17, gap = 26;
  const grids = TEAMS.map((_, k) => ({ left: narrow() ? 92 : 130, right: 10, top: 18 + k * (part + gap), height: part }));
  const cells = (team) => team.efforts[role].flatMap((list, i) => list.map((x, m) => [m, i, x]));
  new Chart(made, 40 + TEAMS.length * (part + gap) - gap, () => base({
    grid: grids.map((x) => ({ ...x, left: narrow() ? 92 : 130 })), tooltip: { formatter: (x) => `month ${x.value[0] + 1}<br>${names[x.value[1]]}: ${number(x.value[2])}` },
    visualMap: { show: false, min: 0, max: 1, dimension: 2, inRange: { color: RAMP() } },
    title: TEAMS.map((team, k) => ({ text: team.label, left: grids[k].left - 2, top: grids[k].top - 18, textStyle: { fontSize: 11, fontWeight: 650, color: colour(`team${k}`), width: 300, overflow: "truncate" } })),
    xAxis: grids.map((_, k) => axis({ type: "category", gridIndex: k, data: months(), axisLabel: { show: k === TEAMS.length - 1, formatter: (x) => monthLabel(Number(x)) }, axisLine: { show: false } })),
    yAxis: grids.map((_, k) => axis({ type: "category", gridIndex: k, data: names, inverse: true, axisLine: { show: false }, axisLabel: { width: narrow() ? 84 : 120, overflow: "truncate", interval: 0 } })),
    series: TEAMS.map((team, k) => ({ type: "heatmap", xAxisIndex: k, yAxisIndex: k, data: cells(team), progressive: 0 })),
  }), { cursor: "category" });
}

function rewards(parent, role) {
  const looks = ["bad", "soft", "good"];
  lines(parent, {
    title: `Rewards of ${roleName(role)}`, unit: "k$ since the start", width: "w4", height: 40 + TEAMS.length * 17 * DATA.levers[role].length,
    note: `k$ since the start${role === "sme" ? ", all SMEs" : ""}`,
    rows: DATA.components.map((name, i) => ({ name, colour: looks[i], lists: TEAMS.map((team) => cumulated(team.rewards[role][i])) })),
  });
}

function roles(parent) {
  Object.keys(DATA.levers).forEach((role) => { levers(parent, role); rewards(parent, role); });
}
