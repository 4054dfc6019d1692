// Lists the conformance IDs (EPS-012, DNS-019, ...) that names of tests claim, by area: npm run conformance.
// An ID in a comment or a helper does not count: only the first argument of it(), test() or describe().
import { readdirSync, readFileSync } from "node:fs";

const ID = /\b[A-Z][A-Z0-9]*-\d{3}\b/g;
/** "EPS-022..025" and "EPS-022, 025" name more than one. */
const RANGE = /\b([A-Z][A-Z0-9]*)-(\d{3})\.\.(?:[A-Z][A-Z0-9]*-)?(\d{3})\b/g;
const LIST = /\b([A-Z][A-Z0-9]*)-\d{3}((?:(?:,| and|;) \d{3}\b)+)/g;
const TEST_NAME = /\b(?:it|test|describe)\(\s*(["'`])((?:\\.|(?!\1)[^\\])*)\1/g;

/** IDs that a test's name claims. */
function idsOf(name) {
  const ids = new Set(name.match(ID) ?? []);
  for (const [, area, first, last] of name.matchAll(RANGE)) {
    for (let n = Number(first); n <= Number(last); n++) ids.add(idOf(area, n));
  }
  for (const [, area, rest] of name.matchAll(LIST)) {
    for (const number of rest.match(/\d{3}/g) ?? []) ids.add(idOf(area, Number(number)));
  }
  return ids;
}

function idOf(area, number) {
  return `${area}-${String(number).padStart(3, "0")}`;
}

const counts = new Map();
const files = ["src", "test"]
  .flatMap((folder) => readdirSync(folder, { recursive: true }).map((file) => `${folder}/${file}`))
  .filter((file) => /\.(test|contract)\.ts$/.test(file));
for (const file of files) {
  for (const [, , name] of readFileSync(file, "utf8").matchAll(TEST_NAME)) {
    for (const id of idsOf(name)) counts.set(id, (counts.get(id) ?? 0) + 1);
  }
}

const areas = new Map();
for (const id of [...counts.keys()].sort()) {
  const area = areaOf(id);
  areas.set(area, [...(areas.get(area) ?? []), id]);
}
for (const [area, ids] of areas) {
  console.log(`${area} (${String(ids.length)})`);
  console.log(`  ${ids.map((id) => numberAndTests(id)).join(" ")}`);
}
console.log(
  `${String(counts.size)} IDs in ${String(areas.size)} areas; (n): in n tests' names where more than one`,
);

function areaOf(id) {
  return id.slice(0, id.lastIndexOf("-"));
}

function numberAndTests(id) {
  const tests = counts.get(id);
  return `${id.slice(id.lastIndexOf("-") + 1)}${tests > 1 ? `(${String(tests)})` : ""}`;
}
