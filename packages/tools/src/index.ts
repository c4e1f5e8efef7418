/**
 * The built-in tools of gpt-oss, for the page: `python` in a sandbox.
 *
 * @packageDocumentation
 */

export {
  createPython,
  type Python,
  type PythonFile,
  type PythonOptions,
  type PythonResult,
} from './python/create-python.ts';
