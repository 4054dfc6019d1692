import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { LinkRewriter } from "./html-links.ts";
import { rewriteLink } from "./proxy-link.ts";

const PREFIX = "/api/v1/namespaces/ns/pods/p/proxy";

function rewritten(...pieces: readonly string[]): string {
  const rewriter = new LinkRewriter((url) => rewriteLink(url, PREFIX, "10.0.0.1:8080"));
  return pieces.map((piece) => rewriter.push(piece)).join("") + rewriter.end();
}

describe("rewriteLink()", () => {
  const cases: readonly (readonly [string, string | undefined])[] = [
    ["/x", `${PREFIX}/x`],
    ["/", `${PREFIX}/`],
    ["/a/?b=/c#d", `${PREFIX}/a/?b=/c#d`],
    ["http://10.0.0.1:8080/x", `${PREFIX}/x`],
    ["http://10.0.0.1:8080", `${PREFIX}/`],
    ["//10.0.0.1:8080/x", `${PREFIX}/x`],
    ["http://elsewhere/x", undefined],
    ["//elsewhere/x", undefined],
    ["x/y", undefined],
    ["#top", undefined],
    ["mailto:a@b", undefined],
    [`${PREFIX}/x`, undefined],
    [PREFIX, undefined],
    [`${PREFIX}x`, `${PREFIX}${PREFIX}x`],
  ];
  for (const [link, expected] of cases) {
    it(`APIS-008: makes ${String(expected)} of ${link}`, () => {
      assert.equal(rewriteLink(link, PREFIX, "10.0.0.1:8080"), expected);
    });
  }
});

describe("LinkRewriter", () => {
  it("APIS-008: changes links and nothing else", () => {
    assert.equal(
      rewritten('<a href="/rewriteme">test</a>'),
      `<a href="${PREFIX}/rewriteme">test</a>`,
    );
    assert.equal(
      rewritten(`<!doctype html>\n<IMG class=a SRC = '/i.png'/><p title="/no">/x <b>a<b</p>`),
      `<!doctype html>\n<IMG class=a SRC = '${PREFIX}/i.png'/><p title="/no">/x <b>a<b</p>`,
    );
    assert.equal(
      rewritten("<form action=/go method=post>"),
      `<form action=${PREFIX}/go method=post>`,
    );
    assert.equal(rewritten('<!-- <a href="/x"> -->'), '<!-- <a href="/x"> -->');
    assert.equal(
      rewritten('<abbr href="/x"><a data-href="/x">'),
      '<abbr href="/x"><a data-href="/x">',
    );
    assert.equal(rewritten(`<a title=">" href="/x">`), `<a title=">" href="${PREFIX}/x">`);
    assert.equal(rewritten('a < b <a href="/x">'), `a < b <a href="${PREFIX}/x">`);
    assert.equal(rewritten('1 < 2 <a href="/x'), '1 < 2 <a href="/x');
  });

  it("gives the same however the text is cut", () => {
    const piece = fc.constantFrom(
      "<a ",
      'href="/x"',
      ">",
      "<",
      "!--",
      "-->",
      "=",
      "'",
      '"',
      "/y ",
      "img src=",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 20 }), fc.array(fc.nat(60)), (pieces, places) => {
        const text = pieces.join("");
        const cuts = [...new Set(places.map((place) => Math.min(place, text.length)))].sort(
          (a, b) => a - b,
        );
        const parts = [0, ...cuts].map((from, i) => text.slice(from, [...cuts, text.length][i]));
        assert.equal(rewritten(...parts), rewritten(text));
      }),
    );
  });

  it("keeps no more of a tag without an end than 16 KiB", () => {
    const rewriter = new LinkRewriter(() => undefined);
    const text = `<a ${"x".repeat(100_000)}`;
    assert.equal(rewriter.push(text), text);
  });

  it("takes time in proportion to the text, whatever is in it", () => {
    const size = 400_000;
    for (const text of ["<", "<a ", '="<a', "<a b=", "<a ".padEnd(10_000, "x"), "<!--", '<a "'])
      assert.equal(rewritten(text.repeat(size / text.length)).length > 0, true);
  });
});
