import axe from 'axe-core';
import type { Page } from 'puppeteer-core';

/** The color schemes of the page. */
export const SCHEMES = ['light', 'dark'] as const;

/** What axe-core finds wrong with the page as it is now, in a color scheme or, if that is left out, in both. */
export async function axeViolations(
  page: Page,
  scheme?: (typeof SCHEMES)[number],
): Promise<readonly string[]> {
  const found: string[] = [];
  for (const value of scheme ? [scheme] : SCHEMES) {
    await page.emulateMediaFeatures([
      { name: 'prefers-color-scheme', value },
      { name: 'prefers-reduced-motion', value: 'reduce' }, // no colors in transition
    ]);
    await page.evaluate(axe.source);
    const violations = await page.evaluate(async () => {
      const result = await (globalThis as unknown as { axe: typeof axe }).axe.run(document, {
        resultTypes: ['violations'],
      });
      return result.violations.flatMap(({ id, nodes }) =>
        nodes.map(({ html, any }) => `${id}: ${html} ${any[0]?.message ?? ''}`),
      );
    });
    found.push(...violations);
  }
  return found;
}
