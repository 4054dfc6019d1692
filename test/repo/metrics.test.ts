import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { it } from "node:test";

interface Documented {
  readonly name: string;
  readonly type: string;
}

const DOCUMENT = "docs/metrics.md";

it(`${DOCUMENT} lists exactly the metrics that the source registers`, () => {
  const metrics = registered();
  assert.ok(metrics.length > 0);
  assert.deepEqual(byName(documented()), byName(metrics));
});

/** Every call that registers a metric; names are literals, which the count of calls makes sure of. */
function registered(): readonly Documented[] {
  const files = readdirSync("src", { recursive: true, encoding: "utf8" });
  const sources = files.filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"));
  return sources
    .filter((file) => !file.startsWith("telemetry/"))
    .flatMap((file) => {
      const text = readFileSync(`src/${file}`, "utf8");
      const calls = [...text.matchAll(/\.(counter|gauge|histogram|onScrape)\(\s*(?:"([^"]+)")?/g)];
      return calls.map(([, call = "", name]) => {
        assert.ok(name !== undefined, `src/${file}: .${call}() without a literal name`);
        return { name, type: call === "onScrape" ? "gauge" : call };
      });
    });
}

/** Rows of the tables: | `name` | type | ... */
function documented(): readonly Documented[] {
  const rows = readFileSync(DOCUMENT, "utf8").matchAll(/^\| `([^`]+)` \| (\w+) \|/gm);
  return [...rows].map(([, name = "", type = ""]) => ({ name, type }));
}

/** Sorted, each once: some are registered by more than one instance. */
function byName(metrics: readonly Documented[]): readonly string[] {
  return [...new Set(metrics.map(({ name, type }) => `${name} ${type}`))].sort();
}
