/** What is wrong with a schema, with its place as a JSON pointer. */
export function schemaError(place: string, problem: string): RangeError {
  return new RangeError(`The schema at ${place} ${problem}`);
}
