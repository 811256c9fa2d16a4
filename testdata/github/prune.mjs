// Cuts GitHub's published descriptions down to what idp speaks:
//
//   openapi.json           from @octokit/openapi (generated/api.github.com.json):
//                          the operations below, and the components they reach.
//   webhooks.schema.json   from @octokit/webhooks-schemas: the events below, and
//                          the definitions they reach.
//
// Both packages are MIT (LICENSE; the second package names the licence
// in its package.json and carries no file of its own). Versions are pinned
// in package.json. Run in this folder: npm ci --ignore-scripts && npm run prune
//
// Changes made to the text, all of them here:
//   - {path}, {ref}, {branch} and {basehead} become {path:.+} and so on in the
//     paths, since they may hold slashes, which an OpenAPI path parameter cannot say;
//   - {commit_sha} becomes {ref} like in the other paths below commits, or a commit with
//     a slash in its name would be taken for this one;
//   - examples, descriptions and x- extensions are dropped: nothing validates
//     by them, and they are three quarters of the size;
//   - the list of installations says that an account is a user and an enterprise
//     at once, which none is: it gets the schema of a single installation;
//   - the list of attestations has null for each bundle since July 2026, in every
//     version of the API, and the bundle at bundle_url: it may be null there;
//   - the events' permissions of an App lack "attestations", which is younger than
//     the package that describes them.

import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const require = createRequire(import.meta.url);
const here = import.meta.dirname;

// One line per operation in use: "METHOD path" as in GitHub's description.
const operations = `
GET    /app
POST   /app-manifests/{code}/conversions
GET    /app/hook/config
GET    /app/hook/deliveries
GET    /app/hook/deliveries/{delivery_id}
POST   /app/hook/deliveries/{delivery_id}/attempts
POST   /applications/{client_id}/token
GET    /app/installations
GET    /app/installations/{installation_id}
POST   /app/installations/{installation_id}/access_tokens
GET    /installation/repositories
DELETE /installation/token
GET    /orgs/{org}/installation
GET    /orgs/{org}/teams/{team_slug}/memberships/{username}
GET    /rate_limit
GET    /users/{username}
GET    /users/{username}/installation
GET    /repos/{owner}/{repo}
GET    /repos/{owner}/{repo}/attestations/{subject_digest}
GET    /repos/{owner}/{repo}/actions/runs
GET    /repos/{owner}/{repo}/actions/workflows/{workflow_id}/runs
GET    /repos/{owner}/{repo}/activity
GET    /repos/{owner}/{repo}/installation
GET    /repos/{owner}/{repo}/branches
GET    /repos/{owner}/{repo}/branches/{branch}
POST   /repos/{owner}/{repo}/check-runs
GET    /repos/{owner}/{repo}/check-runs/{check_run_id}
PATCH  /repos/{owner}/{repo}/check-runs/{check_run_id}
GET    /repos/{owner}/{repo}/check-runs/{check_run_id}/annotations
GET    /repos/{owner}/{repo}/check-suites/{check_suite_id}
GET    /repos/{owner}/{repo}/check-suites/{check_suite_id}/check-runs
GET    /repos/{owner}/{repo}/collaborators/{username}/permission
GET    /repos/{owner}/{repo}/commits
GET    /repos/{owner}/{repo}/commits/{commit_sha}/pulls
GET    /repos/{owner}/{repo}/commits/{ref}
GET    /repos/{owner}/{repo}/commits/{ref}/check-runs
GET    /repos/{owner}/{repo}/commits/{ref}/check-suites
GET    /repos/{owner}/{repo}/commits/{ref}/status
GET    /repos/{owner}/{repo}/compare/{basehead}
GET    /repos/{owner}/{repo}/contents/{path}
GET    /repos/{owner}/{repo}/deployments
POST   /repos/{owner}/{repo}/deployments
GET    /repos/{owner}/{repo}/deployments/{deployment_id}
DELETE /repos/{owner}/{repo}/deployments/{deployment_id}
GET    /repos/{owner}/{repo}/deployments/{deployment_id}/statuses
POST   /repos/{owner}/{repo}/deployments/{deployment_id}/statuses
GET    /repos/{owner}/{repo}/git/ref/{ref}
GET    /repos/{owner}/{repo}/issues/{issue_number}/comments
POST   /repos/{owner}/{repo}/issues/{issue_number}/comments
GET    /repos/{owner}/{repo}/issues/comments/{comment_id}
PATCH  /repos/{owner}/{repo}/issues/comments/{comment_id}
DELETE /repos/{owner}/{repo}/issues/comments/{comment_id}
GET    /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions
POST   /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions
DELETE /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions/{reaction_id}
GET    /repos/{owner}/{repo}/issues/{issue_number}/reactions
POST   /repos/{owner}/{repo}/issues/{issue_number}/reactions
GET    /repos/{owner}/{repo}/pulls
POST   /repos/{owner}/{repo}/pulls
GET    /repos/{owner}/{repo}/pulls/{pull_number}
PATCH  /repos/{owner}/{repo}/pulls/{pull_number}
GET    /repos/{owner}/{repo}/pulls/{pull_number}/commits
GET    /repos/{owner}/{repo}/pulls/{pull_number}/files
GET    /repos/{owner}/{repo}/rules/branches/{branch}
GET    /repos/{owner}/{repo}/rulesets/{ruleset_id}
GET    /repos/{owner}/{repo}/tarball/{ref}
`.trim().split("\n").map((line) => line.split(/\s+/));

// The webhook events that the stand-in sends.
const events = [
  "check_run", "check_suite", "installation", "installation_repositories",
  "issue_comment", "ping", "pull_request", "push", "repository", "workflow_run",
];

// Objects whose keys are names, not keywords: nothing in them is dropped by name.
const maps = ["properties", "headers", "schemas", "parameters", "responses", "definitions", "paths"];

function strip(node, named = false) {
  if (Array.isArray(node)) return node.map((n) => strip(n));
  if (node === null || typeof node !== "object") return node;
  const out = {};
  for (const [key, value] of Object.entries(node)) {
    const annotation = ["description", "example", "examples", "externalDocs", "title", "tsAdditionalProperties"].includes(key) || key.startsWith("x-");
    if (annotation && !named) continue;
    out[key] = strip(value, maps.includes(key) && !named);
  }
  return out;
}

// Every "#/a/b" that node refers to.
function references(node, found = new Set()) {
  if (Array.isArray(node)) node.forEach((n) => references(n, found));
  else if (node !== null && typeof node === "object") {
    if (typeof node.$ref === "string") found.add(node.$ref);
    Object.values(node).forEach((n) => references(n, found));
  }
  return found;
}

// Copies into target, at the same place, whatever its references reach in source.
function reach(source, target) {
  const done = new Set();
  for (let todo = [...references(target)]; todo.length > 0; ) {
    const ref = todo.pop();
    if (done.has(ref)) continue;
    done.add(ref);
    const keys = ref.slice(2).split("/");
    const value = keys.reduce((node, key) => node[key], source);
    const parent = keys.slice(0, -1).reduce((node, key) => (node[key] ??= {}), target);
    parent[keys.at(-1)] = value;
    todo.push(...references(value));
  }
  return target;
}

function sorted(node) {
  if (Array.isArray(node) || node === null || typeof node !== "object") return node;
  return Object.fromEntries(Object.keys(node).sort().map((key) => [key, node[key]]));
}

function pruneOpenAPI() {
  const source = strip(JSON.parse(readFileSync(require.resolve("@octokit/openapi/generated/api.github.com.json"), "utf8")));
  const target = { openapi: source.openapi, info: { ...source.info, title: "GitHub v3 REST API, pruned to what idp uses" }, paths: {}, components: { schemas: {} } };
  for (const [method, path] of operations) {
    const operation = source.paths[path]?.[method.toLowerCase()];
    if (!operation) throw new Error(`GitHub describes no ${method} ${path}`);
    delete operation.tags;
    for (const one of operation.parameters ?? []) if (one.$ref?.endsWith("/commit-sha")) one.$ref = "#/components/parameters/commit-ref";
    const renamed = path.replace("{commit_sha}", "{ref}").replace(/\{(path|ref|branch|basehead)\}/g, "{$1:.+}");
    (target.paths[renamed] ??= {})[method.toLowerCase()] = operation;
  }
  target.paths["/app/installations"].get.responses["200"].content["application/json"].schema.items = { $ref: "#/components/schemas/installation" };
  const attested = target.paths["/repos/{owner}/{repo}/attestations/{subject_digest}"].get.responses["200"];
  attested.content["application/json"].schema.properties.attestations.items.properties.bundle.nullable = true;
  // Every error body is held to this one, also where GitHub's description
  // leaves the status out.
  target.components.schemas["basic-error"] = source.components.schemas["basic-error"];
  target.components.schemas["validation-error"] = source.components.schemas["validation-error"];
  reach(source, target);
  for (const kind of Object.keys(target.components)) target.components[kind] = sorted(target.components[kind]);
  return target;
}

// Gives every list of an App's permissions the one that it lacks.
function withAttestations(node) {
  if (Array.isArray(node)) node.forEach(withAttestations);
  else if (node !== null && typeof node === "object") {
    const known = node.properties;
    if (known?.checks?.enum && known.metadata && known.pull_requests) known.attestations ??= { type: "string", enum: ["read", "write"] };
    Object.values(node).forEach(withAttestations);
  }
}

function pruneWebhooks() {
  const source = strip(JSON.parse(readFileSync(require.resolve("@octokit/webhooks-schemas/schema.json"), "utf8")));
  const definition = (event) => {
    const name = [`${event}_event`, `${event}$event`].find((n) => n in source.definitions);
    if (!name) throw new Error(`the schemas have no event ${event}`);
    return { $ref: `#/definitions/${name}` };
  };
  const target = { $schema: source.$schema, definitions: {}, properties: Object.fromEntries(events.map((event) => [event, definition(event)])) };
  reach(source, target);
  withAttestations(target);
  target.definitions = sorted(target.definitions);
  return target;
}

const root = (name) => dirname(require.resolve(`${name}/package.json`));
writeFileSync(join(here, "openapi.json"), JSON.stringify(pruneOpenAPI(), null, 1) + "\n");
writeFileSync(join(here, "webhooks.schema.json"), JSON.stringify(pruneWebhooks(), null, 1) + "\n");
copyFileSync(join(root("@octokit/openapi"), "LICENSE"), join(here, "LICENSE"));
