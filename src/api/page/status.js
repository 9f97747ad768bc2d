"use strict";
// Everything shown is set as text, never as markup: topic names and messages come from outside.

const EVERY_MS = 2000;
const byId = (id) => document.getElementById(id);
const open = new Set();
let last = null;
let failedSince = null;

function make(tag, classes, ...children) {
  const node = document.createElement(tag);
  if (classes) node.className = classes;
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

const UNKNOWN = "–";
// Offsets are copied into commands, so they have no separators.
const offset = (n) => (n === null || n === undefined ? UNKNOWN : String(n));
const count = (n) => (n === null || n === undefined ? UNKNOWN : n.toLocaleString("en-US"));

function span(ms) {
  if (ms === null || ms === undefined) return UNKNOWN;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const s = ms / 1000;
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 60) return `${Math.round(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${Math.floor(s % 60)} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

const since = (ms) => `${new Date(ms).toLocaleString()} (${span(Math.max(0, Date.now() - ms))} ago)`;
const words = (state) => state.replaceAll("_", " ");

const TONE = {
  mirroring: "good", active: "good", promoted: "good", failed_over: "good",
  starting: "warn", paused: "warn", fast_forwarding: "warn", promoting: "warn", failing_over: "warn", restoring: "warn",
  stopped: "bad",
  connected: "good", served_elsewhere: "good", away: "bad",
};
const badge = (state) => make("span", `badge ${TONE[state] || ""}`, words(state));
const number = (text) => make("td", "number", text);

const sumOrNull = (list) => list.reduce((sum, n) => (sum === null || n === null || n === undefined ? null : sum + n), 0);
const maxOrNull = (list) => list.reduce((max, n) => (n === null || n === undefined ? max : Math.max(max ?? 0, n)), null);

// A word as a POSIX shell takes it.
const shellWord = (text) => (/^[A-Za-z0-9._\/-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

function stopNote(link, topic, partition, stop) {
  const where = stop.source_offset === null ? "" : ` at source offset ${offset(stop.source_offset)}`;
  const what = partition === null ? "topic" : `partition ${partition}`;
  const note = make("div", "note bad", make("p", "", `${what}: `, make("strong", "", stop.reason), `${where}, since ${since(stop.since_ms)}`));
  if (stop.message) note.append(make("p", "", stop.message));
  if (stop.resolve.length > 0) {
    const verbs = make("div", "verbs", "To go on, one of:");
    const at = partition === null ? "" : ` --partition ${partition}`;
    for (const verb of stop.resolve) {
      verbs.append(make("code", "", `causeway resolve --link ${shellWord(link)} --topic ${shellWord(topic)}${at} --with ${verb}`));
    }
    note.append(verbs);
  }
  return note;
}

function noteRow(columns, note) {
  const cell = make("td", "", note);
  cell.colSpan = columns;
  return make("tr", "trouble", cell);
}

function table(heads, rows) {
  const head = make("tr", "", ...heads.map(([text, classes, title]) => {
    const cell = make("th", classes, text);
    cell.scope = "col";
    if (title) cell.title = title;
    return cell;
  }));
  return make("table", "", make("thead", "", head), make("tbody", "", ...rows));
}

const PARTITION_HEADS = [
  ["partition", "number"], ["state", ""],
  ["source position", "number", "next source offset to copy"],
  ["high watermark", "number", "of the source"],
  ["lag, records", "number"], ["lag, time", "number"],
  ["target position", "number", "target offset of the next record"],
  ["retention left", "number", "until the source's retention would overtake the mirror"],
  ["daemon", ""],
];

function partitionRows(link, topic) {
  return topic.partitions.flatMap((partition) => {
    const rows = [make("tr", "",
      number(String(partition.partition)), make("td", "", badge(partition.state)),
      number(offset(partition.source_position)), number(offset(partition.source_high_watermark)),
      number(count(partition.lag_records)), number(span(partition.lag_ms)),
      number(offset(partition.target_position)), number(span(partition.retention_left_ms)),
      make("td", "", partition.daemon ?? UNKNOWN))];
    if (partition.error) {
      rows.push(noteRow(PARTITION_HEADS.length, stopNote(link, topic.source_topic, partition.partition, partition.error)));
    }
    if (partition.held_back) {
      const held = partition.held_back;
      const who = held.producer_id === null ? "an open transaction" : `the open transaction of producer ${held.producer_id}`;
      const age = held.age_ms === null ? "" : ` for ${span(held.age_ms)}`;
      rows.push(noteRow(PARTITION_HEADS.length, make("div", "note warn", `${count(held.records)} records held back by ${who}${age}`)));
    }
    return rows;
  });
}

const TOPIC_HEADS = [
  ["topic", ""], ["state", ""], ["offsets", ""], ["partitions", "number"],
  ["lag, records", "number"], ["lag, time", "number", "age of the oldest record not yet on the target"],
];

function topicRows(link, topic) {
  const key = `${link}/${topic.source_topic}`;
  const button = make("button", "topic", topic.source_topic);
  button.type = "button";
  button.dataset.key = key;
  button.setAttribute("aria-expanded", String(open.has(key)));
  const renamed = topic.source_topic === topic.target_topic ? null : make("span", "quiet", ` → ${topic.target_topic}`);
  const stopped = topic.partitions.filter((partition) => partition.state === "stopped");
  const rows = [make("tr", "",
    make("td", "name", button, renamed), make("td", "", badge(topic.state)), make("td", "", topic.offsets),
    number(stopped.length > 0 ? `${topic.partitions.length}, ${stopped.length} stopped` : String(topic.partitions.length)),
    number(count(sumOrNull(topic.partitions.map((partition) => partition.lag_records)))),
    number(span(maxOrNull(topic.partitions.map((partition) => partition.lag_ms)))))];
  if (topic.error) rows.push(noteRow(TOPIC_HEADS.length, stopNote(link, topic.source_topic, null, topic.error)));
  if (open.has(key)) {
    const cell = make("td", "", table(PARTITION_HEADS, partitionRows(link, topic)));
    cell.colSpan = TOPIC_HEADS.length;
    rows.push(make("tr", "inner", cell));
  } else if (stopped.length > 0) {
    // The first one in full, so that whoever is called out of bed needs no click.
    const [first, ...others] = stopped.filter((partition) => partition.error);
    if (first) rows.push(noteRow(TOPIC_HEADS.length, stopNote(link, topic.source_topic, first.partition, first.error)));
    if (others.length > 0) {
      const reasons = [...new Set(others.map((partition) => partition.error.reason))].join(", ");
      rows.push(noteRow(TOPIC_HEADS.length, make("div", "note bad", `and ${others.length} more partitions: ${reasons}`)));
    }
  }
  return rows;
}

const hasTrouble = (topic) => topic.state === "stopped" || topic.error !== null || topic.partitions.some((p) => p.error || p.held_back);

function fact(name, value) {
  return make("div", "", make("dt", "", name), make("dd", "", value));
}

function linkCard(link, topics) {
  const head = make("div", "head", make("h2", "", link.name), badge(link.state),
    make("span", "quiet", `${link.source} → ${link.target}, offsets ${link.offsets}`));
  if (!link.served_here) head.append(make("span", "badge", "served elsewhere"));
  const card = make("section", "card", head, make("dl", "facts",
    fact("topics", count(link.topics)), fact("partitions", count(link.partitions)),
    fact("stopped", count(link.partitions_stopped)), fact("lag in records", count(link.lag_records)),
    fact("lag in time", span(link.lag_ms)), fact("source last seen", link.source_contact_age_ms === null ? UNKNOWN : `${span(link.source_contact_age_ms)} ago`)));
  if (link.config_mismatch) {
    card.append(make("div", "note warn", `this daemon's file differs from the settings the link works by: ${link.config_mismatch}`));
  }
  for (const problem of link.problems) {
    const when = problem.since_ms === null ? "" : `, since ${since(problem.since_ms)}`;
    card.append(make("div", "note bad", make("p", "", make("strong", "", words(problem.kind)), when), make("p", "", problem.message)));
  }
  const wanted = byId("filter").value.trim().toLowerCase();
  const shown = topics.filter((topic) =>
    (topic.source_topic.toLowerCase().includes(wanted) || topic.target_topic.toLowerCase().includes(wanted)) &&
    (!byId("troubled").checked || hasTrouble(topic)));
  shown.sort((one, other) => Number(hasTrouble(other)) - Number(hasTrouble(one)));
  if (shown.length > 0) {
    card.append(make("div", "scroll", table(TOPIC_HEADS, shown.flatMap((topic) => topicRows(link.name, topic)))));
  } else {
    card.append(make("p", "quiet", topics.length > 0 ? "No topic fits the filter." : "No topics yet."));
  }
  return card;
}

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];
function size(bytes) {
  let unit = 0;
  while (bytes >= 1000 && unit + 1 < UNITS.length) { bytes /= 1000; unit += 1; }
  return `${bytes < 10 && unit > 0 ? bytes.toFixed(1) : Math.round(bytes)} ${UNITS[unit]}`;
}

const PEER_HEADS = [
  ["peer", ""], ["state", ""], ["since", ""], ["daemon there", ""], ["dialled by", ""],
  ["connections", "number"], ["round trip", "number"], ["sent", "number"], ["received", "number"],
  ["credit", "number", "what the peer may send us without further credit"],
  ["retention left", "number", "until the retention of a source behind it would overtake a mirror"],
];

function peerRows(peer) {
  const elsewhere = peer.state === "served_elsewhere" ? make("span", "quiet", ` ${peer.served_by.join(", ")}`) : null;
  const sessions = peer.sessions.length > 0 ? peer.sessions : [null];
  const rows = sessions.map((session) => make("tr", "",
    make("td", "name", peer.name), make("td", "", badge(peer.state), elsewhere), make("td", "", since(peer.since_ms)),
    make("td", "", session?.instance ?? UNKNOWN), make("td", "", session?.dialled_by ?? UNKNOWN),
    number(session ? `${session.connections} of ${session.connections_wanted}` : UNKNOWN),
    number(session === null || session.round_trip_ms === null ? UNKNOWN : `${session.round_trip_ms.toFixed(1)} ms`),
    number(session ? size(session.sent_bytes) : UNKNOWN), number(session ? size(session.received_bytes) : UNKNOWN),
    number(session ? size(session.credit_bytes) : UNKNOWN), number(span(peer.retention_left_ms))));
  if (peer.error && peer.state !== "connected") {
    const note = make("div", "note bad", make("p", "", `${peer.error.message}, ${since(peer.error.at_ms)}`));
    if (peer.error.advice) note.append(make("p", "", peer.error.advice));
    rows.push(noteRow(PEER_HEADS.length, note));
  }
  return rows;
}

function showPeers(peers) {
  byId("peers").hidden = peers.length === 0;
  byId("peers").replaceChildren(make("div", "scroll", table(PEER_HEADS, peers.flatMap(peerRows))));
}

function show() {
  if (last === null) return;
  // Whoever is marking text to copy it keeps it.
  if (document.getSelection().type === "Range") return;
  const { daemon, readiness, links, peers } = last;
  showPeers(peers);
  byId("ready").textContent = readiness.ready ? "ready" : "not ready";
  byId("ready").className = `badge ${readiness.ready ? "good" : "warn"}`;
  byId("daemon").textContent = `${daemon.id} in group ${daemon.group}, version ${daemon.version}, up ${span(daemon.uptime_ms)}, ` +
    `${daemon.shards_owned} of ${daemon.shards} shards` + (daemon.members.length > 1 ? `, ${daemon.members.length} daemons` : "");
  byId("reasons").hidden = readiness.ready;
  byId("reasons").textContent = readiness.reasons.join("; ");
  const focused = document.activeElement?.dataset?.key;
  byId("links").replaceChildren(...(links.length > 0
    ? links.map(({ link, topics }) => linkCard(link, topics))
    : [make("p", "quiet", "No links are configured.")]));
  if (focused) document.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  const stopped = links.reduce((sum, { link }) => sum + link.partitions_stopped, 0);
  document.title = stopped > 0 ? `${stopped} stopped · causeway` : "causeway";
  byId("updated").textContent = `As of ${new Date().toLocaleTimeString()}, renewed every ${EVERY_MS / 1000} s.`;
}

async function ask(path) {
  const response = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(10000) });
  const body = await response.json();
  // Not being ready is an answer, not a failure.
  if (!response.ok && path !== "readyz") throw new Error(body.error?.message ?? `${path}: ${response.status}`);
  return body;
}

async function renew() {
  try {
    const [daemon, readiness, all, { peers }] =
      await Promise.all([ask("v1/daemon"), ask("readyz"), ask("v1/links"), ask("v1/peers")]);
    const links = await Promise.all(all.links.map(async (link) => (
      { link, topics: (await ask(`v1/links/${encodeURIComponent(link.name)}/topics`)).topics })));
    last = { daemon, readiness, links, peers };
    failedSince = null;
    byId("silence").hidden = true;
    show();
  } catch (error) {
    failedSince ??= Date.now();
    byId("silence").hidden = false;
    byId("silence").textContent = `No answer from the daemon for ${span(Date.now() - failedSince)} (${error.message}). What is shown below is old.`;
  }
}

async function keepRenewing() {
  if (!document.hidden) await renew();
  setTimeout(keepRenewing, EVERY_MS);
}

byId("links").addEventListener("click", (event) => {
  const key = event.target.dataset?.key;
  if (key === undefined) return;
  if (!open.delete(key)) open.add(key);
  show();
});
byId("filter").addEventListener("input", show);
byId("troubled").addEventListener("change", show);
document.addEventListener("visibilitychange", () => { if (!document.hidden) renew(); });
keepRenewing();
