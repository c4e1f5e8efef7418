/**
 * The built-in tools of gpt-oss, for the page: `python` in a sandbox, and a `browser` over a search of the application's.
 *
 * @packageDocumentation
 */

export type { BrowserBackend, BrowserDocument, SearchResult } from './browser/browser-backend.ts';
export type { Citation } from './browser/citations.ts';
export { type Browser, type BrowserOptions, createBrowser } from './browser/create-browser.ts';
export { createDocumentBackend, type LocalDocument } from './browser/document-backend.ts';
export { createHttpBackend, type HttpBackendOptions } from './browser/http-backend.ts';
export {
  createPython,
  type Python,
  type PythonFile,
  type PythonOptions,
  type PythonResult,
} from './python/create-python.ts';
