import type { NamePattern } from "../name-pattern.ts";
import type { Directive } from "./directive.ts";
import { readPattern } from "./rewrite-directive.ts";

/** Failures of one sort that are counted, and written to the log as one line. */
export interface ConsolidateConfig {
  /** Of the first failure until the line. */
  readonly periodMs: number;
  /** What the failure's reason says. */
  readonly pattern: NamePattern;
  readonly level: "error" | "warn" | "info" | "debug";
  /** Whether the first is written by itself as well. */
  readonly showsFirst: boolean;
}

const LEVELS = ["warning", "error", "info", "debug"] as const;

/** The `errors` directive: failures that are written to the log. */
export interface ErrorsConfig {
  readonly consolidate: readonly ConsolidateConfig[];
  /** Whether a defect is written with where it was. */
  readonly hasStacks: boolean;
}

/** `errors { stacktrace consolidate DURATION REGEX [LEVEL] [show_first] }`. */
export function readErrors(directive: Directive): ErrorsConfig {
  const found: ConsolidateConfig[] = [];
  let hasStacks = false;
  directive.options({
    stacktrace: () => {
      hasStacks = true;
    },
    consolidate: (option) => {
      const periodMs = option.duration("a duration");
      if (periodMs <= 0) option.fail("a duration above 0 is needed");
      const pattern = readPattern(option, option.required("a pattern"));
      let level: ConsolidateConfig["level"] = "error";
      let showsFirst = false;
      for (let word = option.optional(); word !== undefined; word = option.optional()) {
        const named = LEVELS.find((each) => each === word);
        if (word === "show_first") showsFirst = true;
        else if (named !== undefined) level = named === "warning" ? "warn" : named;
        else {
          option.fail(`${word} is not supported; there are ${LEVELS.join(", ")}, show_first`);
        }
      }
      found.push({ periodMs, pattern, level, showsFirst });
    },
  });
  return { consolidate: found, hasStacks };
}
