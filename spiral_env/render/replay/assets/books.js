// Money: the ledger as a diagram of flows, and what value is made of.

const money = { mode: "total" };
const KIND_COLOURS = { operating: "good", capital: "soft", loss: "bad", market: "stage2", externality: "soft" };

// Payers -> purposes -> payees of a team, in k$, of this month or since the start; small purposes of a class are one.
function flowsOf(team, month, most) {
  const from = money.mode === "month" ? month - 1 : 0;
  const list = Object.entries(team.flows).map(([k, rows]) => {
    const paid = DATA.accounts.map(() => 0), got = DATA.accounts.map(() => 0);
    rows.slice(from, month).forEach((row) => row.forEach((x, a) => { if (x < 0) paid[a] -= x; else got[a] += x; }));
    return { ...DATA.purposes[k], paid, got, size: total(got) };
  }).filter((x) => x.size > 0).sort((a, b) => b.size - a.size);
  const kept = list.slice(0, most);
  for (const kind of ["operating", "capital", "loss"]) {
    const rest = list.slice(most).filter((x) => x.class === kind);
    const sum = (side) => DATA.accounts.map((_, a) => total(rest.map((x) => x[side][a])));
    if (rest.length) kept.push({ name: rest.length > 1 ? `${rest.length} other ${kind}` : rest[0].name, class: kind, paid: sum("paid"), got: sum("got"), size: total(rest.map((x) => x.size)) });
  }
  return kept;
}

function sankey(parent, k) {
  const team = TEAMS[k];
  const made = figure(parent, {
    title: `Money of ${team.label}`, note: "k$: who pays, what for, who gets it; green business, grey capital, red losses", width: TWO ? "w6" : "",
    describe: () => `${money.mode === "month" ? `In month ${now.month}` : `From the start to month ${now.month}`}, in k$: ` + flowsOf(team, now.month, 8).map((x) => `${words(x.name)} ${number(x.size)}, paid by ${who(x.paid)} to ${who(x.got)}`).join("; "),
    numbers: () => [["purpose", "class", ...DATA.accounts.map((a) => `${words(a)} pay`), ...DATA.accounts.map((a) => `${words(a)} get`)], flowsOf(team, now.month, 99).map((x) => [words(x.name), x.class, ...x.paid, ...x.got])],
  });
  const height = 470;
  new Chart(made, height, () => {
    const turnover = (x) => total(flowsOf(x, now.month, 99).map((f) => f.size));
    const share = Math.max(0.55, turnover(team) / Math.max(...TEAMS.map(turnover), 1e-9));
    const flows = flowsOf(team, now.month, Math.round((narrow() ? 8 : 14) * share));
    const spare = ((height - 16) * (1 - share)) / 2;
    const links = [], nodes = new Map();
    const node = (id, name, look, side) => nodes.set(id, { name: id, said: name, itemStyle: { color: look, borderWidth: 0 }, label: { position: side } });
    flows.forEach((x) => {
      const look = colour(KIND_COLOURS[x.class]), id = `for ${x.name}`;
      node(id, words(x.name), look, "right");
      x.paid.forEach((amount, a) => { if (amount > 0) { node(`from ${DATA.accounts[a]}`, words(DATA.accounts[a]), colour("ink"), "right"); links.push({ source: `from ${DATA.accounts[a]}`, target: id, value: amount, lineStyle: { color: look } }); } });
      x.got.forEach((amount, a) => { if (amount > 0) { node(`to ${DATA.accounts[a]}`, words(DATA.accounts[a]), colour("ink"), "left"); links.push({ source: id, target: `to ${DATA.accounts[a]}`, value: amount, lineStyle: { color: look } }); } });
    });
    return base({
      tooltip: { formatter: (x) => x.dataType === "edge" ? `${echarts.format.encodeHTML(x.data.source)} ${echarts.format.encodeHTML(x.data.target)}: ${number(x.data.value)} k$` : `${echarts.format.encodeHTML(x.name)}: ${number(x.value)} k$` },
      series: [{
        type: "sankey", left: 4, right: 8, top: 8 + spare, bottom: 8 + spare, nodeWidth: 8, nodeGap: narrow() ? 9 : 7, layoutIterations: 24, draggable: false, nodeAlign: "justify",
        data: [...nodes.values()], links, lineStyle: { opacity: dark.matches ? 0.4 : 0.3, curveness: 0.5 }, emphasis: { focus: "adjacency" },
        label: { color: colour("ink"), fontSize: narrow() ? 10 : 11, textBorderColor: colour("card"), textBorderWidth: 2, formatter: (x) => `${x.data.said} ${number(x.value)}` },
      }],
    });
  }, { moves: true });
}

const who = (amounts) => words(DATA.accounts.filter((_, a) => amounts[a] > 0).join(" and "));

function picker(parent) {
  const choose = (mode) => { money.mode = mode; show(); };
  const button = (mode, text) => el("label", {}, el("input", { type: "radio", name: "money", value: mode, checked: money.mode === mode, onchange: () => choose(mode) }), text);
  parent.before(el("div", { class: "pick", role: "radiogroup", "aria-label": "Money of" }, button("total", "since the start"), button("month", "this month")));
}

// Bars to both sides of zero: [{name, value, look, more}], largest first.
function bars(parent, { title, note, rows, width, unit = "k$ a month" }) {
  const made = figure(parent, {
    title, note, width, describe: () => `In ${unit}: ` + rows.map((x) => `${x.name} ${number(x.value, true)}${x.more ? ` (${x.more})` : ""}`).join("; "),
    numbers: () => [["", unit, "of which"], rows.map((x) => [x.name, x.value, x.more ?? ""])],
  });
  new Chart(made, 34 + rows.length * 24, () => base({
    grid: room({ right: 56, top: 4 }),
    tooltip: { formatter: (x) => `${echarts.format.encodeHTML(rows[x.dataIndex].name)}: ${number(x.value, true)} ${unit}<br>${echarts.format.encodeHTML(rows[x.dataIndex].more ?? "")}` },
    xAxis: axis({ type: "value", splitNumber: 3, axisLabel: { formatter: (x) => number(x) } }),
    yAxis: axis({ type: "category", inverse: true, data: rows.map((x) => x.name), axisLabel: { color: colour("ink"), interval: 0, width: narrow() ? 120 : 170, overflow: "truncate" } }),
    series: [{ type: "bar", barWidth: 15, data: rows.map((x) => ({ value: x.value, itemStyle: { color: colour(x.look), borderRadius: 2 }, label: { position: x.value < 0 ? "left" : "right" } })), label: { show: true, formatter: (x) => number(x.value, TWO), color: colour("ink"), fontSize: 11 } }],
  }));
}

const largestFirst = (rows) => rows.sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
const gap = (teams, pick) => (TWO ? pick(teams[1]) - pick(teams[0]) : pick(teams[0]));

// What the value, or the difference between the teams, is made of: by line, by holder, by role, by decision.
function explained(parent) {
  const books = DATA.books;
  const parts = (line) => books.holders.map((name, h) => [words(name), gap(line.teams, (x) => x[h])]).filter(([, x]) => Math.abs(x) > 0.05).map(([name, x]) => `${name} ${number(x, true)}`).join(", ");
  const lineRows = largestFirst(books.lines.map((line) => ({ name: words(line.name), value: gap(line.teams, (x) => total(x)), look: KIND_COLOURS[line.class], more: parts(line) })));
  const sum = total(lineRows.map((x) => x.value));
  const most = 17, rest = lineRows.slice(most);
  const shown = [...lineRows.slice(0, most), { name: `${rest.length} other lines`, value: total(rest.map((x) => x.value)), look: "soft" }, { name: TWO ? "whole difference" : "ecosystem value", value: sum, look: TWO ? "team1" : "team0" }];
  bars(parent, { title: TWO ? "By line of the books" : "Lines of the books", note: "mean over the months as planned; green business, red losses, grey harm to others", rows: shown, width: "w6" });
  const side = el("div", { class: "w6", style: "display: grid; gap: .8rem; align-content: start" });
  parent.append(side);
  if (books.brought) bars(side, { title: "Whose decisions bring it", note: "Shapley value over all 16 mixes of the two teams, same seed", rows: Object.entries(books.brought).map(([role, x]) => ({ name: roleName(role), value: x, look: "team1" })) });
  bars(side, { title: "Who holds it", note: "by account; society bears harm and emissions", rows: books.holders.map((name, h) => ({ name: words(name), value: total(books.lines.map((line) => gap(line.teams, (x) => x[h]))), look: h === books.holders.length - 1 ? "soft" : "good" })) });
  bars(side, { title: "What each role is paid for", note: "reward vectors: security + cost + value; what one role pays another stands in both", rows: Object.keys(DATA.levers).map((role) => ({ name: roleName(role), value: gap(books.received, (x) => total(x[role])), look: "stage2", more: DATA.components.map((name, i) => `${name} ${number(gap(books.received, (x) => x[role][i]), true)}`).join(", ") })) });
}
