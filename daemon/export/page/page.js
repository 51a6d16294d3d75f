// SPDX-License-Identifier: GPL-2.0-only
// Keep the page up to date and draw the rates of its counters. Rows are never made here: the page is asked for
// again, what has changed in it is taken over, and only the charts are added.
"use strict";

const POLL_MS = 2000;
const SPAN_MS = 300000, SPAN_MIN_MS = 60000; // what a chart shows: as much as is known, up to five minutes
const KEYS_MAX = 2000; // of which a history is kept
const QUIET_MS = 60000; // between two announcements of faults
const WIDTH = 120, HEIGHT = 24;
const SVG = "http://www.w3.org/2000/svg";

const histories = new Map(); // key -> [{time, count}], oldest first
const served = new Map(); // id -> HTML as it was served
const status = document.getElementById("status");
let paused = false, failing = false, asking = false, announced = -Infinity;

const one = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const format = (rate) => rate > 0 && rate < 0.1 ? "<0.1" : one.format(rate);

function say(text) {
	if (status.textContent !== text)
		status.textContent = text;
}

// Rates between neighbours; null where the counter began anew.
function rates(history) {
	const points = [];
	for (let i = 1; i < history.length; i++) {
		const count = history[i].count - history[i - 1].count;
		const seconds = (history[i].time - history[i - 1].time) / 1000;
		points.push({ time: history[i].time, rate: count < 0 || seconds <= 0 ? null : count / seconds });
	}
	return points;
}

function note(key, count, time) {
	let history = histories.get(key);
	if (!history) {
		if (histories.size >= KEYS_MAX)
			histories.delete(histories.keys().next().value);
		history = [];
	}
	// The latest noted is the last to be dropped.
	histories.delete(key);
	histories.set(key, history);
	if (!history.length || history[history.length - 1].time < time)
		history.push({ time, count });
	while (history.length > 2 && history[0].time < time - SPAN_MS)
		history.shift();
	return rates(history);
}

function draw(points, label, now) {
	const svg = document.createElementNS(SVG, "svg");
	const peak = Math.max(...points.map((p) => p.rate ?? 0), 0);
	const last = points.length ? points[points.length - 1].rate : null;
	const span = Math.min(SPAN_MS, Math.max(SPAN_MIN_MS, now));
	const x = (p) => (WIDTH * (1 - (now - p.time) / span)).toFixed(1);
	const y = (p) => (HEIGHT - 1 - (HEIGHT - 3) * (peak ? p.rate / peak : 0)).toFixed(1);
	let line = "", area = "", start = null, end = null;

	for (const p of points) {
		if (p.rate === null) {
			start = null;
			continue;
		}
		line += `${start === null ? "M" : "L"}${x(p)} ${y(p)}`;
		if (start === null)
			area += `${area ? `L${end} ${HEIGHT}Z` : ""}M${x(p)} ${HEIGHT}`;
		area += `L${x(p)} ${y(p)}`;
		start = start ?? x(p);
		end = x(p);
	}
	svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
	svg.setAttribute("preserveAspectRatio", "none");
	svg.setAttribute("class", peak ? "chart" : "chart flat");
	svg.setAttribute("role", "img");
	svg.setAttribute("aria-label", last === null ? `${label}: no rate yet` :
		`${label}: ${format(last)} a second now, at most ${format(peak)} in five minutes`);
	for (const [name, d] of [["area", area && `${area}L${end} ${HEIGHT}Z`], ["line", line]]) {
		const path = document.createElementNS(SVG, "path");
		path.setAttribute("class", name);
		path.setAttribute("d", d || "");
		svg.append(path);
	}
	return { svg, last };
}

// The chart and the rate of each counter, in the cells that the server left for them.
function decorate(time) {
	for (const cell of document.querySelectorAll("[data-count]")) {
		const key = cell.closest("[data-key]").dataset.key;
		const { svg, last } = draw(note(key, Number(cell.dataset.count), time), key.replace(/^vm /, ""), time);
		const rate = document.createElement("span");
		rate.className = "rate";
		rate.textContent = last === null ? "" : `${format(last)}/s`;
		cell.replaceChildren(svg, rate);
	}
}

// A faulting VM is told once a minute at most, by name.
function announce(time) {
	const names = [];
	for (const row of document.querySelectorAll("#vm-rows tr")) {
		const last = rates(histories.get(row.dataset.key) ?? []).pop();
		if (last && last.rate > 0)
			names.push(row.querySelector("bdi").textContent);
	}
	if (names.length && time - announced > QUIET_MS) {
		announced = time;
		say(`New #CP: ${names.slice(0, 3).join(", ")}${names.length > 3 ? ` and ${names.length - 3} more` : ""}`);
	} else if (!names.length && time - announced > QUIET_MS) {
		say("");
	}
}

function take(next) {
	for (const mine of document.querySelectorAll("[data-live]")) {
		const theirs = next.getElementById(mine.id);
		if (!theirs || served.get(mine.id) === theirs.innerHTML)
			continue;
		served.set(mine.id, theirs.innerHTML);
		mine.replaceChildren(...document.importNode(theirs, true).childNodes);
	}
}

async function refresh() {
	if (paused || asking || document.hidden)
		return;
	asking = true;
	try {
		const answer = await fetch(location.pathname + location.search,
			{ cache: "no-store", signal: AbortSignal.timeout(10000) });
		if (!answer.ok)
			throw new Error(`HTTP ${answer.status}`);
		take(new DOMParser().parseFromString(await answer.text(), "text/html"));
		const time = performance.now();
		if (failing)
			say("");
		failing = false;
		decorate(time);
		announce(time);
	} catch {
		if (!failing)
			say(`No answer from cetd since ${new Date().toLocaleTimeString()}; trying again.`);
		failing = true;
	}
	asking = false;
}

function pause(button) {
	paused = !paused;
	button.setAttribute("aria-pressed", String(paused));
	button.textContent = paused ? "Go on" : "Pause";
	say(paused ? "Paused." : "");
	refresh();
}

for (const element of document.querySelectorAll("[data-live]"))
	served.set(element.id, element.innerHTML);
document.documentElement.classList.add("live");
const button = document.createElement("button");
button.type = "button";
button.textContent = "Pause";
button.setAttribute("aria-pressed", "false");
button.addEventListener("click", () => pause(button));
status.before(button);
decorate(performance.now());
setInterval(refresh, POLL_MS);
document.addEventListener("visibilitychange", refresh);
