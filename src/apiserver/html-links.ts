/** Attributes of HTML elements whose value is a URL (HTML 5 and its forerunners). */
const LINKS: Readonly<Record<string, readonly string[]>> = {
  a: ["href"],
  applet: ["codebase"],
  area: ["href"],
  audio: ["src"],
  base: ["href"],
  blockquote: ["cite"],
  body: ["background"],
  button: ["formaction"],
  command: ["icon"],
  del: ["cite"],
  embed: ["src"],
  form: ["action"],
  frame: ["longdesc", "src"],
  head: ["profile"],
  html: ["manifest"],
  iframe: ["longdesc", "src"],
  img: ["longdesc", "src", "usemap"],
  input: ["formaction", "src", "usemap"],
  ins: ["cite"],
  link: ["href"],
  object: ["classid", "codebase", "data", "usemap"],
  q: ["cite"],
  script: ["src"],
  source: ["src"],
  track: ["src"],
  video: ["poster", "src"],
};

/** An element's name and where its attributes begin. Upper bound of names: what the table has. */
const OPENING = /^<([a-z]{1,16})(?=[\s/>])/i;
// Names begin after a space, a quote or a slash: without that a long word would be tried from each of its letters.
const ATTRIBUTE = /(?<=[\s"'/])([^\s"'<>/=]+)(\s*=\s*)("[^"]*"|'[^']*'|[^\s"'=<>`]+)/g;
/** A tag without an end in so many characters is none; what has come of it goes through as it is. */
const MAX_TAG = 16 * 1024;

/** Rewrites a URL; undefined leaves it as it is. */
export type RewriteUrl = (url: string) => string | undefined;

/**
 * Rewrites the links of an HTML text that comes in pieces; everything else stays as it is, byte for byte.
 * Comments and scripts go through: what looks like a tag in a script is rewritten too, as the text of a script
 * ends only at its closing tag and a link in it would be meant as one.
 */
export class LinkRewriter {
  readonly #rewrite: RewriteUrl;
  #kept = "";

  constructor(rewrite: RewriteUrl) {
    this.#rewrite = rewrite;
  }

  push(text: string): string {
    const all = this.#kept + text;
    let out = "";
    let at = 0;
    for (;;) {
      const start = all.indexOf("<", at);
      if (start === -1) {
        this.#kept = "";
        return out + all.slice(at);
      }
      const end = tagEnd(all, start);
      if (end === undefined && all.length - start <= MAX_TAG) {
        this.#kept = all.slice(start);
        return out + all.slice(at, start);
      }
      // All of it goes at once: looking into it again and again is what a hostile page would like.
      const next = end ?? all.length;
      out +=
        all.slice(at, start) +
        (end === undefined ? all.slice(start) : this.#tag(all.slice(start, end)));
      at = next;
    }
  }

  /** What is left at the end of the text. */
  end(): string {
    const rest = this.#kept;
    this.#kept = "";
    return rest;
  }

  #tag(tag: string): string {
    const [opening, name = ""] = OPENING.exec(tag) ?? [];
    const links = LINKS[name.toLowerCase()];
    if (opening === undefined || links === undefined) return tag;
    const attributes = tag.slice(opening.length);
    return (
      opening +
      attributes.replace(ATTRIBUTE, (whole, attribute: string, equals: string, value: string) => {
        if (!links.includes(attribute.toLowerCase())) return whole;
        const quote = value.startsWith('"') || value.startsWith("'") ? value.charAt(0) : "";
        const url = quote === "" ? value : value.slice(1, -1);
        const rewritten = this.#rewrite(url);
        return rewritten === undefined ? whole : attribute + equals + quote + rewritten + quote;
      })
    );
  }
}

/** Just after the tag's ">", which may not stand in quotes; undefined: not yet there. */
function tagEnd(text: string, start: number): number | undefined {
  if (text.startsWith("<!--", start)) {
    const end = text.indexOf("-->", start + 4);
    return end === -1 ? undefined : end + 3;
  }
  let quote = "";
  for (let at = start + 1; at < text.length; at++) {
    const char = text.charAt(at);
    if (quote !== "") {
      if (char === quote) quote = "";
    } else if (char === ">") return at + 1;
    // What came before was no tag.
    else if (char === "<") return at;
    // Outside a value a quote means nothing, as the one in "<don't".
    else if (
      (char === '"' || char === "'") &&
      /=\s*$/.test(text.slice(Math.max(start, at - 8), at))
    )
      quote = char;
  }
  return undefined;
}
