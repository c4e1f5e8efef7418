type Attribute = string | number | boolean | undefined | ((event: Event) => void);

/**
 * Creates an element. Functions become listeners (`onclick`), booleans become present or absent attributes,
 * `undefined` is skipped.
 */
export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Readonly<Record<string, Attribute>> = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') made.addEventListener(name.slice(2), value);
    else if (typeof value === 'boolean') made.toggleAttribute(name, value);
    else if (value !== undefined) made.setAttribute(name, String(value));
  }
  made.append(...children);
  return made;
}

/** An icon from the sprite in index.html, hidden from screen readers. */
export function icon(name: string): SVGSVGElement {
  const namespace = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(namespace, 'svg');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(namespace, 'use');
  use.setAttribute('href', `#icon-${name}`);
  svg.append(use);
  return svg;
}

/** A button that shows only an icon; the label is its accessible name and tooltip. */
export function iconButton(name: string, label: string, onclick: () => void): HTMLButtonElement {
  return element(
    'button',
    {
      ...{ type: 'button', class: 'icon-button', 'data-icon': name },
      ...{ 'aria-label': label, title: label, onclick },
    },
    icon(name),
  );
}

/**
 * Finds an element of index.html by its id.
 *
 * @throws Error if the page has none, or one of another kind.
 */
export function find<T extends Element>(id: string, kind: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`index.html has no ${kind.name} #${id}`);
  return found;
}
