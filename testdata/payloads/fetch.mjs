// Keeps every example webhook of the npm package @octokit/webhooks-examples, in
// the form that the tests read: one file per GitHub (github.com and each GitHub
// Enterprise Server that the package covers), gzipped, of
//
//   [{"event": "pull_request", "payloads": [{...}, ...]}, ...]
//
// with the payloads as the package has them, less white space. The package is
// MIT by its package.json and ships no licence file; LICENSE says so beside the
// payloads. The version is pinned in package.json. Run in this
// folder: npm ci --ignore-scripts && npm run fetch

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";

const require = createRequire(import.meta.url);
const root = dirname(require.resolve("@octokit/webhooks-examples/package.json"));
const here = import.meta.dirname;

const sources = readdirSync(root, { withFileTypes: true }).filter((entry) => entry.isDirectory() && entry.name !== "node_modules");
for (const { name } of sources) {
  const examples = JSON.parse(readFileSync(join(root, name, "index.json"), "utf8"));
  const events = examples.map((entry) => ({ event: entry.name, payloads: entry.examples }));
  const count = events.reduce((sum, entry) => sum + entry.payloads.length, 0);
  writeFileSync(join(here, `${name}.json.gz`), gzipSync(JSON.stringify(events), { level: 9 }));
  console.log(`${name}: ${events.length} events, ${count} payloads`);
}
