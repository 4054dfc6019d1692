import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { CorefileError } from "./corefile-error.ts";
import { parseCorefile } from "./corefile.ts";
import { parseStatements } from "./statements.ts";
import type { Statement } from "./statements.ts";

interface Written {
  readonly words: readonly string[];
  readonly block: readonly Written[] | undefined;
}

function record<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true });
}

/** Any text is a word in quotes; but the first of a line is a name, and \\ before a quote is no text of its own. */
const name = fc.stringMatching(/^[a-z][a-z0-9_]{0,8}$/).filter((text) => text !== "import");
const argument = fc
  .oneof(
    name,
    fc.constantFrom("{", "}", "#x", "a b", "two\nlines", 'say "x"', "", ".:53"),
    fc.string(),
  )
  .filter((text) => !/\\|\{\$|\{%/.test(text));
const { statement } = fc.letrec<{ statement: Written }>((tie) => ({
  statement: record<Written>({
    words: fc
      .tuple(name, fc.array(argument, { maxLength: 3 }))
      .map(([first, rest]) => [first, ...rest]),
    block: fc.option(fc.array(tie("statement"), { maxLength: 3 }), {
      nil: undefined,
      maxDepth: 3,
      depthIdentifier: "block",
    }),
  }),
}));
const anyStatements = fc.array(
  statement.map((each) => ({ ...each, block: each.block ?? [] })),
  { maxLength: 3 },
);

function print(statements: readonly Written[], indent = ""): string {
  return statements
    .map(({ words, block }) => {
      const line = words.map((word) => `"${word.replaceAll('"', '\\"')}"`).join(" ");
      // Words in quotes may go over lines, and what is behind them is in the last one's.
      return block === undefined
        ? `${indent}${line} # a comment\n`
        : `${indent}${line} {\n${print(block, `${indent}  `)}${indent}}\n`;
    })
    .join("");
}

function plain(statements: readonly Statement[]): readonly Written[] {
  return statements.map(({ words, block }) => ({
    words,
    block: block === undefined ? undefined : plain(block),
  }));
}

const PIECES = [
  ".",
  "{",
  "}",
  "\n",
  " ",
  '"',
  "\\",
  "#",
  "(a)",
  "import a",
  "{$X}",
  ".:53",
  "cluster.local",
  "10.0.0.0/8",
  "tls://.",
  "errors",
  "kubernetes",
  "pods verified",
  "fallthrough",
  "ttl 5",
  "forward . 1.1.1.1",
  "health :8080",
  "cache 30",
  "hosts",
  "1.2.3.4 a.b",
  "rewrite name a b",
  "log",
  "class denial",
  "reload 2s",
  "transfer",
  "to *",
  "autopath @kubernetes",
  "tls a b",
  "bind ::1",
  "loadbalance",
  "99999999999999999999",
  "__proto__",
  "constructor",
];

describe("parseStatements()", () => {
  it("reads what was printed, whatever the words hold", () => {
    fc.assert(
      fc.property(anyStatements, (statements) => {
        const text = print(statements);
        assert.deepEqual(plain(parseStatements(text, { env: {} })), statements);
      }),
      { numRuns: 500 },
    );
  });

  it("says where each statement starts", () => {
    const [block] = parseStatements('\n. {\n\terrors\n  "a\nb" c {\n    d\n  }\n}\n', { env: {} });
    assert.deepEqual(
      [block, ...(block?.block ?? []), block?.block?.[1]?.block?.[0]].map((each) => [
        each?.line,
        each?.column,
      ]),
      [
        [2, 1],
        [3, 2],
        [4, 3],
        [6, 5],
      ],
    );
  });
});

describe("parseCorefile()", () => {
  it("throws nothing but a CorefileError that names a place in the text, whatever the text is", () => {
    let failures = 0;
    const pieces = fc.array(fc.constantFrom(...PIECES), { maxLength: 30 });
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ maxLength: 200 }),
          pieces.map((each) => each.join(" ")),
          pieces.map((each) => each.join("\n")),
          pieces.map((each) => `. {\n${each.join("\n")}\n}\n`),
        ),
        (text) => {
          try {
            parseCorefile(text, { env: { X: "x" } });
          } catch (error) {
            failures += 1;
            assert.ok(error instanceof CorefileError, String(error));
            const lines = text.split("\n");
            assert.ok(error.line >= 1 && error.line <= lines.length, error.message);
            const line = lines[error.line - 1] ?? "";
            assert.ok(error.column >= 1 && error.column <= line.length + 1, error.message);
          }
        },
      ),
      { numRuns: 5000 },
    );
    assert.ok(failures > 1000);
  });
});
