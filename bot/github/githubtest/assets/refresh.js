// Keeps the page's live part current: every two seconds the page is asked for
// again, which costs a 304 while nothing changed. The forms stay as they are.
const pause = 2000;
let tag = null;

async function refresh() {
  if (document.visibilityState === "visible") {
    const response = await fetch(location.href, { headers: tag ? { "If-None-Match": tag } : {}, cache: "no-store" });
    if (response.ok) {
      const first = tag === null;
      tag = response.headers.get("ETag");
      if (!first) replace(await response.text());
    }
  }
}

function replace(html) {
  const next = new DOMParser().parseFromString(html, "text/html").getElementById("live");
  const live = document.getElementById("live");
  if (!next || !live) return;
  for (const open of live.querySelectorAll("details[open]")) {
    for (const same of next.querySelectorAll("details")) {
      if (open.dataset.key ? same.dataset.key === open.dataset.key : same.textContent === open.textContent) same.open = true;
    }
  }
  live.replaceWith(next);
}

async function loop() {
  try { await refresh(); } catch { /* the server is away: try again */ }
  setTimeout(loop, pause);
}
loop();
