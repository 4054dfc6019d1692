/** The named classes of characters of RE2. */

/** ASCII only, as in RE2. */
export function isWordCode(code: number): boolean {
  return (
    (code >= 48 && code <= 57) ||
    (code >= 65 && code <= 90) ||
    (code >= 97 && code <= 122) ||
    code === 95
  );
}

export const PERL_CLASSES: Readonly<Record<string, (code: number) => boolean>> = {
  d: (code) => code >= 48 && code <= 57,
  w: isWordCode,
  s: (code) => code === 32 || code === 9 || code === 10 || code === 12 || code === 13,
};

export const POSIX_CLASSES: Readonly<Record<string, RegExp>> = {
  alnum: /^[0-9A-Za-z]$/,
  alpha: /^[A-Za-z]$/,
  // oxlint-disable-next-line no-control-regex -- ASCII is what the class is.
  ascii: /^[\x00-\x7f]$/,
  blank: /^[\t ]$/,
  // oxlint-disable-next-line no-control-regex -- Control characters are what the class is.
  cntrl: /^[\x00-\x1f\x7f]$/,
  digit: /^[0-9]$/,
  graph: /^[!-~]$/,
  lower: /^[a-z]$/,
  print: /^[ -~]$/,
  punct: /^[!-/:-@[-`{-~]$/,
  space: /^[\t\n\v\f\r ]$/,
  upper: /^[A-Z]$/,
  word: /^[0-9A-Za-z_]$/,
  xdigit: /^[0-9A-Fa-f]$/,
};

/** The class of a general category or a script; undefined when there is none of that name. */
export function unicodeTest(name: string): RegExp | undefined {
  if (!/^[A-Z][A-Za-z_]*$/.test(name)) return undefined;
  for (const property of [name, `Script=${name}`]) {
    try {
      return new RegExp(`^\\p{${property}}$`, "u");
    } catch {
      // Not a property of that sort: the only way in which this expression can be wrong.
    }
  }
  return undefined;
}
