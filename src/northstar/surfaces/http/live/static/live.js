"use strict";
// Takes what has changed, once a second, into the tables that the page came with. All text is set as text: names come from strangers.
(() => {
  const NUMBERS = { pools: new Set([1, 2, 3]), lanes: new Set([3]), machines: new Set() };
  const NEXT_JOB = 5;
  const MOST_POINTS = 900;
  const LATE_MS = 5000;
  const byId = (id) => document.getElementById(id);
  const bodies = { pools: byId("pools").tBodies[0], lanes: byId("lanes").tBodies[0], machines: byId("machines").tBodies[0] };
  const rows = new Map();
  let heard = performance.now();
  let wanted = "";

  for (const row of bodies.machines.rows) rows.set(row.cells[0].textContent, row);

  const fill = (row, cells, table) => {
    cells.forEach((text, at) => {
      const cell = row.cells[at] ?? row.insertCell();
      if (NUMBERS[table].has(at)) cell.className = "number";
      if (cell.textContent === text) return;
      if (table === "lanes" && at === NEXT_JOB && text) {
        const link = document.createElement("a");
        link.href = "/live/jobs/" + encodeURIComponent(text);
        link.textContent = text;
        cell.replaceChildren(link);
      } else {
        cell.textContent = text;
      }
    });
  };

  const replaceAll = (table, all) => {
    const body = bodies[table];
    while (body.rows.length > all.length) body.deleteRow(-1);
    all.forEach((cells, at) => fill(body.rows[at] ?? body.insertRow(), cells, table));
  };

  const show = (row) => { row.hidden = wanted !== "" && !row.textContent.toLowerCase().includes(wanted); };

  const takeMachines = (news) => {
    if (news.whole) {
      const here = new Set(news.machines.map((cells) => cells[0]));
      for (const name of [...rows.keys()]) if (!here.has(name)) forget(name);
    }
    news.gone.forEach(forget);
    for (const cells of news.machines) {
      let row = rows.get(cells[0]);
      if (!row) {
        row = bodies.machines.insertRow(place(cells[0]));
        rows.set(cells[0], row);
      }
      fill(row, cells, "machines");
      show(row);
      if (!news.whole) flash(row);
    }
    byId("no-machines").hidden = rows.size > 0;
  };

  const forget = (name) => { rows.get(name)?.remove(); rows.delete(name); };

  // Machines stand in the order of their names, however late one comes.
  const place = (name) => {
    let low = 0;
    let high = bodies.machines.rows.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (bodies.machines.rows[middle].cells[0].textContent < name) low = middle + 1;
      else high = middle;
    }
    return low;
  };

  const flash = (row) => {
    row.classList.add("changed");
    setTimeout(() => row.classList.remove("changed"), 900);
  };

  const figure = byId("curves");
  figure.hidden = false;
  const start = JSON.parse(figure.dataset.points);
  const curves = [start.at, start.waiting, start.busy, start.slots];
  const style = getComputedStyle(document.body);
  const line = (label, stroke, dash) => ({ label, stroke, width: 2, dash, points: { show: false } });
  const axis = { stroke: style.getPropertyValue("color"), grid: { stroke: "rgba(128,128,128,.2)" }, ticks: { stroke: "rgba(128,128,128,.2)" } };
  const width = () => Math.max(320, figure.clientWidth - 20);
  const plot = new uPlot({
    width: width(), height: 200,
    scales: { y: { range: (_, low, high) => [0, Math.max(5, high * 1.1)] } },
    axes: [axis, axis],
    series: [{}, line("waiting", "#d9822b"), line("busy slots", "#4c7fd9"), line("slots", "#8a94a6", [4, 4])],
  }, curves, figure);
  addEventListener("resize", () => plot.setSize({ width: width(), height: 200 }));

  const takePoint = (totals) => {
    const at = totals.at_ms / 1000;
    if (curves[0].length && at <= curves[0][curves[0].length - 1]) return;
    [at, totals.waiting, totals.busy_slots, totals.slots].forEach((value, number) => {
      curves[number].push(value);
      if (curves[number].length > MOST_POINTS) curves[number].shift();
    });
    plot.setData(curves);
  };

  const take = (news) => {
    for (const [name, value] of Object.entries(news.totals)) {
      const shown = byId("total-" + name);
      if (shown && shown.textContent !== String(value)) shown.textContent = value;
    }
    document.title = document.title.replace(/^\d+ waiting/, news.totals.waiting + " waiting");
    replaceAll("pools", news.pools);
    replaceAll("lanes", news.lanes);
    byId("no-lanes").hidden = news.lanes.length > 0;
    byId("more-lanes").hidden = news.more_lanes === 0;
    byId("more-lanes").textContent = `and ${news.more_lanes} more kinds of jobs`;
    byId("pauses").replaceChildren(...news.pauses.map((text) => {
      const item = document.createElement("li");
      item.textContent = text;
      return item;
    }));
    takeMachines(news);
    takePoint(news.totals);
  };

  const state = byId("state");
  const say = (text, late) => {
    if (state.textContent !== text) state.textContent = text;
    state.classList.toggle("late", late);
  };

  const source = new EventSource("/live/stream");
  source.addEventListener("fleet", (event) => { heard = performance.now(); take(JSON.parse(event.data)); say("live", false); });
  source.addEventListener("trouble", () => { heard = performance.now(); say("the cell does not answer at present", true); });
  source.addEventListener("over", () => { source.close(); location.assign("/live/login?to=/live"); });
  source.addEventListener("error", () => say("the connection is broken; trying again", true));
  setInterval(() => {
    const silent = performance.now() - heard;
    if (silent > LATE_MS && source.readyState === EventSource.OPEN) say(`nothing heard for ${Math.round(silent / 1000)} s`, true);
  }, 1000);

  const filter = byId("filter");
  filter.addEventListener("input", () => {
    wanted = filter.value.trim().toLowerCase();
    for (const row of rows.values()) show(row);
  });
  addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== filter) { event.preventDefault(); filter.focus(); }
    if (event.key === "Escape" && document.activeElement === filter) { filter.value = ""; filter.dispatchEvent(new Event("input")); filter.blur(); }
  });
})();
