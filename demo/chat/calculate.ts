/**
 * Evaluates an arithmetic expression: numbers, + - * / ^ and parentheses.
 *
 * @throws RangeError if the text is not such an expression.
 */
export function calculate(expression: string): number {
  const tokens =
    expression
      .replaceAll('×', '*')
      .replaceAll('÷', '/')
      .match(/\d+\.?\d*|\.\d+|\S/g) ?? [];
  let position = 0;
  const take = (...choices: readonly string[]): string | undefined =>
    choices.includes(tokens[position] ?? '') ? tokens[position++] : undefined;

  const sum = (): number => {
    let value = product();
    for (let sign = take('+', '-'); sign; sign = take('+', '-'))
      value += sign === '+' ? product() : -product();
    return value;
  };
  const product = (): number => {
    let value = signed();
    for (let sign = take('*', '/'); sign; sign = take('*', '/'))
      value = sign === '*' ? value * signed() : value / signed();
    return value;
  };
  const signed = (): number => {
    const sign = take('+', '-');
    if (sign) return sign === '-' ? -signed() : signed();
    const base = atom();
    return take('^') ? base ** signed() : base;
  };
  const atom = (): number => {
    if (take('(')) {
      const value = sum();
      if (!take(')')) throw new RangeError(`"${expression}" is missing a closing parenthesis.`);
      return value;
    }
    const token = tokens[position++] ?? '';
    if (!/^[\d.]/.test(token))
      throw new RangeError(`"${expression}" is not an arithmetic expression.`);
    return Number(token);
  };

  const value = sum();
  if (position < tokens.length)
    throw new RangeError(`"${expression}" is not an arithmetic expression.`);
  return value;
}
