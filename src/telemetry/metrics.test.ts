import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { metricNameProblem } from "./metric-name.ts";
import { MAX_SERIES, Metrics } from "./metrics.ts";

describe("Metrics", () => {
  it("renders counters, gauges, histograms and what is read at the scrape, sorted by name", () => {
    const metrics = new Metrics();
    metrics
      .histogram("portolan_wait_seconds", "Waits.", ["q"], [0.1, 1])
      .with({ q: "a" })
      .observe(0.5);
    metrics.counter("portolan_asked_total", "Questions.", ["proto"]).with({ proto: "udp" }).inc(2);
    metrics.gauge("portolan_open", "Open.").with().set(3);
    metrics.onScrape("workqueue_depth", "Depth.", ["name"], () => [[{ name: "x" }, 4]]);
    assert.equal(
      metrics.render(),
      `# HELP portolan_asked_total Questions.
# TYPE portolan_asked_total counter
portolan_asked_total{proto="udp"} 2
# HELP portolan_open Open.
# TYPE portolan_open gauge
portolan_open 3
# HELP portolan_wait_seconds Waits.
# TYPE portolan_wait_seconds histogram
portolan_wait_seconds_bucket{q="a",le="0.1"} 0
portolan_wait_seconds_bucket{q="a",le="1"} 1
portolan_wait_seconds_bucket{q="a",le="+Inf"} 1
portolan_wait_seconds_sum{q="a"} 0.5
portolan_wait_seconds_count{q="a"} 1
# HELP workqueue_depth Depth.
# TYPE workqueue_depth gauge
workqueue_depth{name="x"} 4
`,
    );
  });

  it("gives the same series to all who declare it alike, and throws when they differ", () => {
    const metrics = new Metrics();
    metrics.counter("portolan_a_total", "A.", ["x"]).with({ x: "1" }).inc();
    metrics.counter("portolan_a_total", "A.", ["x"]).with({ x: "1" }).inc();
    assert.match(metrics.render(), /portolan_a_total\{x="1"\} 2/);
    assert.throws(
      () => metrics.counter("portolan_a_total", "A.", ["y"]),
      /labels \[x\].*labels \[y\]/,
    );
    assert.throws(() => metrics.gauge("portolan_a_total", "A.", ["x"]), /is a counter/);
  });

  it("escapes label values", () => {
    const metrics = new Metrics();
    metrics.gauge("portolan_g", "G.", ["x"]).with({ x: 'a"b\\c\nd' }).set(1);
    assert.match(metrics.render(), /portolan_g\{x="a\\"b\\\\c\\nd"\} 1/);
  });

  it("tells the sum of gauges that are read where several have the same labels", () => {
    const metrics = new Metrics();
    const first = metrics.onScrape("portolan_h", "H.", ["name"], () => [[{ name: "x" }, 2]]);
    metrics.onScrape("portolan_h", "H.", ["name"], () => [
      [{ name: "x" }, 3],
      [{ name: "y" }, 1],
    ]);
    assert.match(metrics.render(), /^portolan_h\{name="x"\} 5\nportolan_h\{name="y"\} 1$/m);
    first[Symbol.dispose]();
    assert.match(metrics.render(), /^portolan_h\{name="x"\} 3$/m);
  });

  it("forgets a removed series and stops reading a disposed collector", () => {
    const metrics = new Metrics();
    const gauge = metrics.gauge("portolan_g", "G.", ["x"]);
    gauge.with({ x: "1" }).set(1);
    gauge.remove({ x: "1" });
    metrics.onScrape("portolan_h", "H.", [], () => [[{}, 1]])[Symbol.dispose]();
    assert.equal(metrics.render(), "");
  });

  it("keeps a bound on series: what is beyond shares one", () => {
    const metrics = new Metrics();
    const counter = metrics.counter("portolan_a_total", "A.", ["x"]);
    for (let i = 0; i < MAX_SERIES + 5; i += 1) counter.with({ x: String(i) }).inc();
    assert.match(metrics.render(), /portolan_a_total\{x="_overflow"\} 5\n/);
  });

  it("throws when a counter is to go down", () => {
    const counter = new Metrics().counter("portolan_a_total", "A.").with();
    assert.throws(() => {
      counter.inc(-1);
    }, RangeError);
  });
});

describe("metricNameProblem()", () => {
  const cases = [
    ["portolan_asked_total", "counter", undefined],
    ["portolan_asked", "counter", /_total/],
    ["portolan_open_total", "gauge", /must not end in _total/],
    ["portolan_wait_seconds", "histogram", undefined],
    ["portolan_wait", "histogram", /unit/],
    ["portolan_wait_ms", "gauge", /base units/],
    ["portolan_open_count", "gauge", /histogram adds/],
    ["asked_total", "counter", /portolan_/],
    ["Portolan_Asked_total", "counter", /lower-case/],
    ["workqueue_depth", "gauge", undefined],
  ] as const;
  for (const [name, type, problem] of cases) {
    it(`${problem === undefined ? "allows" : "refuses"} the ${type} ${name}`, () => {
      const found = metricNameProblem(name, type);
      if (problem === undefined) assert.equal(found, undefined);
      else assert.match(found ?? "", problem);
    });
  }

  it("is asked by the registry", () => {
    assert.throws(() => new Metrics().counter("portolan_asked", "A."), /portolan_asked: .*_total/);
  });
});
