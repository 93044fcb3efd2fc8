// The page's policy admits no style written into the page as text. xterm.js writes its rules into style elements and
// attributes; here they become what the policy admits: sheets and properties that a script sets.

type Create = typeof document.createElement;

/** While this stands, elements that are made take text as rules without holding it. Answers how to end it. */
export function rulesByScript(): () => void {
  const create = Document.prototype.createElement;
  const sheets = new Set<CSSStyleSheet>();
  document.createElement = function (this: Document, name: string, options?: ElementCreationOptions): HTMLElement {
    if (name === "style") return adopt(create.call(this, "template"), sheets);
    const element = create.call(this, name, options);
    if (name === "span") element.setAttribute = setAttribute;
    return element;
  } as Create;
  return () => {
    Reflect.deleteProperty(document, "createElement");
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((sheet) => !sheets.has(sheet));
  };
}

/**
 * An element in the place of one for styles, of which the policy refuses even an empty one: what is written into it
 * becomes a sheet of the document.
 */
function adopt(element: HTMLElement, sheets: Set<CSSStyleSheet>): HTMLElement {
  const sheet = new CSSStyleSheet();
  sheets.add(sheet);
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  Object.defineProperty(element, "textContent", { set: (text: string) => sheet.replaceSync(text), get: () => "" });
  return element;
}

function setAttribute(this: HTMLElement, name: string, value: string): void {
  if (name === "style") this.style.cssText = value;
  else Element.prototype.setAttribute.call(this, name, value);
}
